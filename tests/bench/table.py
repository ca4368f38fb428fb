# SPDX-License-Identifier: LGPL-2.1-or-later
# One line of the result, and how it is printed.
import statistics
from dataclasses import dataclass, field


def scaled(value, unit):
    if unit == 's':
        for factor, name in ((1, 's'), (1e-3, 'ms'), (1e-6, 'µs')):
            if abs(value) >= factor:
                return f'{value / factor:.3g} {name}'
        return f'{value / 1e-9:.3g} ns'
    if unit == 'B':
        for factor, name in ((1 << 20, 'MiB'), (1 << 10, 'KiB')):
            if abs(value) >= factor * 10:
                return f'{value / factor:.3g} {name}'
        return f'{value:.0f} B'
    return f'{value:.3g}{unit}'


@dataclass
class Line:
    """Samples of the three contestants; an empty list where one has none."""
    work: str
    basin: list
    limit: list
    libvirt: list
    target: str = ''
    checks: list = field(default_factory=list)
    unit: str = 's'


@dataclass
class AtMostLimit:
    """basin ≤ factor × limit"""
    factor: float

    def met(self, basin, limit, libvirt):
        return None if limit is None else basin <= self.factor * limit


@dataclass
class AtMostOrLimit:
    """basin ≤ value, or no more than the bare loop has itself"""
    value: float

    def met(self, basin, limit, libvirt):
        return basin <= max(self.value, limit or 0)


@dataclass
class TimesFaster:
    """libvirt ≥ factor × basin"""
    factor: float

    def met(self, basin, limit, libvirt):
        return None if libvirt is None else libvirt >= self.factor * basin


@dataclass
class TimesFasterThanLimit:
    """limit ≥ factor × basin, where another program is in the limit's place"""
    factor: float

    def met(self, basin, limit, libvirt):
        return None if limit is None else limit >= self.factor * basin


@dataclass
class AtMost:
    """basin ≤ value"""
    value: float

    def met(self, basin, limit, libvirt):
        return basin <= self.value


def pick(function, line):
    return [function(samples) if samples else None
            for samples in (line.basin, line.limit, line.libvirt)]


def verdict(line):
    """Medians decide; "at best" says that only the minima meet the target. A check whose
    contestant is missing is left out."""
    if not line.basin or not line.checks:
        return '–'
    answers = []
    for function in (statistics.median, min):
        results = [check.met(*pick(function, line)) for check in line.checks]
        known = [result for result in results if result is not None]
        if not known:
            return '–'
        answers.append(all(known))
    if answers[0]:
        return 'yes'
    return 'at best' if answers[1] else 'NO'


def cell(samples, unit):
    if not samples:
        return '–'
    middle, least = statistics.median(samples), min(samples)
    text = scaled(middle, unit)
    return text if len(samples) == 1 else f'{text} ({scaled(least, unit)})'


def ratio(above, below):
    if not above or not below:
        return '–'
    return ' '.join(f'{form % (function(above) / function(below))}' if function(below) else '–'
                    for function, form in ((statistics.median, '%.2f'), (min, '(%.2f)')))


def print_table(system, lines, notes):
    out = [f'{system}. Medians, minima in brackets; ratios likewise.', '',
           '| work | basin | limit | libvirt | basin/limit | libvirt/basin | target | met? |',
           '|---|---|---|---|---|---|---|---|']
    for line in lines:
        out.append('| ' + ' | '.join((
            line.work, cell(line.basin, line.unit), cell(line.limit, line.unit),
            cell(line.libvirt, line.unit), ratio(line.basin, line.limit),
            ratio(line.libvirt, line.basin), line.target or '–', verdict(line))) + ' |')
    if notes:
        out += [''] + [f'- {note}' for note in notes]
    return '\n'.join(out)
