# SPDX-License-Identifier: LGPL-2.1-or-later
# How the contestants take turns, and what they report.
from collections import defaultdict


class Samples:
    """Figures by contestant and name; an unknown one is an empty list."""

    def __init__(self):
        self.values = defaultdict(list)

    def add(self, contestant, figures):
        for name, value in figures.items():
            self.values[contestant, name].append(value)

    def __call__(self, contestant, name):
        return self.values.get((contestant, name), [])

    def scaled(self, contestant, name, factor):
        return [value * factor for value in self(contestant, name)]


def interleave(bench, turns, warm_up=True, rounds=None):
    """Gives every contestant its turn, round after round; the first round only warms up."""
    samples = Samples()
    counted = rounds or bench.sizes.rounds
    rounds = counted + (1 if warm_up and counted > 1 else 0)
    for i in range(rounds):
        for contestant, turn in turns.items():
            figures = turn()
            if i >= rounds - counted:
                samples.add(contestant, figures)
    return samples
