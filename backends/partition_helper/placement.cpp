// SPDX-License-Identifier: GPL-3.0-or-later
#include "placement.hpp"

#include <algorithm>

namespace partition_helper {
namespace {

std::int64_t round_up(std::int64_t sector, const Alignment& alignment)
{
    const auto offset = alignment.offset % alignment.grain;
    const auto past = (sector - offset) % alignment.grain;
    if (past == 0)
        return sector;
    return past < 0 ? offset : sector - past + alignment.grain;
}

} // namespace

std::optional<Region> usable(const Region& region, const Alignment& alignment)
{
    // A logical partition needs a sector before it for its own table (EBR).
    const auto first = round_up(region.first + (region.logical ? 1 : 0), alignment);
    if (first > region.last)
        return std::nullopt;
    return Region{.first = first, .last = region.last, .logical = region.logical};
}

std::int64_t rounded_end(std::int64_t first, std::int64_t sectors, std::int64_t last,
                         const Alignment& alignment)
{
    return std::min(last, round_up(first + sectors, alignment) - 1);
}

std::optional<Place> best_fit(const std::vector<Region>& regions, const Alignment& alignment,
                              std::int64_t sectors, bool logical)
{
    std::optional<Region> best;
    for (const auto& each : regions) {
        if (each.logical != logical)
            continue;
        const auto region = usable(each, alignment);
        if (!region || region->last - region->first + 1 < sectors)
            continue;
        if (!best || region->last - region->first < best->last - best->first)
            best = region;
    }
    if (!best)
        return std::nullopt;
    return Place{.first = best->first,
                 .last = rounded_end(best->first, sectors, best->last, alignment),
                 .logical = logical};
}

} // namespace partition_helper
