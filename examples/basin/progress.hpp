// SPDX-License-Identifier: LGPL-2.1-or-later
// A progress bar on standard error.
#pragma once

#include <basin/job.hpp>

#include <chrono>

namespace command {

/** Draws once a call has taken a while, and wipes what it drew. */
class ProgressBar {
public:
    void show(const storage::Progress& progress);
    void clear();

private:
    std::chrono::steady_clock::time_point start_{std::chrono::steady_clock::now()};
    bool drawn_{};
};

/** "[#####     ]  50 % copying 1.00 GiB of 2.00 GiB, 200.00 MiB/s" */
std::string progress_line(const storage::Progress& progress);

} // namespace command
