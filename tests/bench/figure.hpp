// SPDX-License-Identifier: LGPL-2.1-or-later
// One figure of a benchmark: a line "name seconds".
#pragma once

#include <chrono>
#include <cstdio>

template <typename Work>
void measure(const char* name, Work&& work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    std::printf("%s %.6f\n", name, time.count());
}
