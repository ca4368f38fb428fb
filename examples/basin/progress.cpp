// SPDX-License-Identifier: LGPL-2.1-or-later
// A progress bar on standard error.
#include "progress.hpp"

#include "output.hpp"

#include <algorithm>
#include <cstdio>

namespace command {

std::string progress_line(const storage::Progress& progress)
{
    constexpr std::size_t width = 30;
    constexpr std::uint64_t surely_bytes = 1024 * 1024; // a phase without bytes counts items
    const auto rate = progress.rate && std::max(progress.done, progress.total) >= surely_bytes
                          ? ", " + pretty_size(progress.rate) + "/s"
                          : std::string();
    if (progress.total == 0)
        return progress.phase +
               (progress.done ? ' ' + pretty_size(progress.done) + rate : std::string());
    const double part = progress.done >= progress.total ? 1.0
                                                        : static_cast<double>(progress.done) /
                                                              static_cast<double>(progress.total);
    const auto full = static_cast<std::size_t>(part * width);
    char percent[16];
    std::snprintf(percent, sizeof percent, "%3d %% ", static_cast<int>(part * 100));
    auto line = '[' + std::string(full, '#') + std::string(width - full, ' ') + "] " + percent +
                progress.phase;
    if (progress.total >= surely_bytes)
        line += ' ' + pretty_size(progress.done) + " of " + pretty_size(progress.total) + rate;
    return line;
}

void ProgressBar::show(const storage::Progress& progress)
{
    constexpr auto patience = std::chrono::milliseconds(700);
    if (!drawn_ && std::chrono::steady_clock::now() - start_ < patience)
        return;
    drawn_ = true;
    std::fprintf(stderr, "\r\x1b[K%s", printable(progress_line(progress)).c_str());
}

void ProgressBar::clear()
{
    if (drawn_)
        std::fputs("\r\x1b[K", stderr);
    drawn_ = false;
}

} // namespace command
