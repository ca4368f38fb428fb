// SPDX-License-Identifier: LGPL-2.1-or-later
// What a journal says of a change: by this version, another one, or a damaged file.
#pragma once

#include "change.hpp"

namespace storage::inline v1 {

/** A change as its journal tells it. */
struct RecordedChange {
    std::string operation{};
    ChangePlace place{};
    std::vector<Step> steps{};
    std::size_t commit{SIZE_MAX};
    std::size_t begun{0};  ///< steps that were begun
    std::size_t done{0};   ///< steps that were finished
    std::string pending{}; ///< why the last recovery put it off
};

/**
 * Reads the lines of a journal. What a kill cut short, the last line, speaks of nothing that began.
 * Of a change that is over there are no steps.
 * @param steps_too  false: what it is and where, no more
 * @throws std::exception  it makes no sense
 */
RecordedChange parse_recorded_change(const std::string& text, bool steps_too = true);

} // namespace storage::inline v1
