// SPDX-License-Identifier: GPL-3.0-or-later
// Where a new partition goes: alignment and best fit, in sectors, without libparted.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace partition_helper {

/** Free sectors, first and last. */
struct Region {
    std::int64_t first{};
    std::int64_t last{};
    bool logical{}; ///< inside the extended partition
};

/** Starts are offset + n * grain. */
struct Alignment {
    std::int64_t offset{};
    std::int64_t grain{1};
};

struct Place {
    std::int64_t first{};
    std::int64_t last{};
    bool logical{};
};

/** The part of the region that an aligned partition can have. */
std::optional<Region> usable(const Region& region, const Alignment& alignment);

/**
 * The place for that many sectors in the smallest region that has room. It is rounded up to the
 * grain where the region allows it, so that the next partition starts where this one ends.
 */
std::optional<Place> best_fit(const std::vector<Region>& regions, const Alignment& alignment,
                              std::int64_t sectors, bool logical);

/** The last sector of a partition of at least that many sectors: rounded up, at most `last`. */
std::int64_t rounded_end(std::int64_t first, std::int64_t sectors, std::int64_t last,
                         const Alignment& alignment);

} // namespace partition_helper
