// SPDX-License-Identifier: LGPL-2.1-or-later
// One figure of a benchmark: a line "name seconds", the mean of so many turns.
#pragma once

#include <chrono>
#include <cstdio>

template <typename Work>
void measure(const char* name, Work&& work, int turns = 1)
{
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i != turns; ++i)
        work();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    std::printf("%s %.6f\n", name, time.count() / turns);
}
