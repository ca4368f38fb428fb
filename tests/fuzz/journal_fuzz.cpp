// SPDX-License-Identifier: LGPL-2.1-or-later
// What a journal says: it is refused as a whole, or it tells of steps that basin knows, in places
// that are named as pools and volumes are.
#include "fuzz.hpp"

#include "names.hpp"
#include "recorded_change.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace storage;
    const std::string text(text_of(data, size));
    RecordedChange change;
    try {
        change = parse_recorded_change(text);
    } catch (const std::exception&) {
        return 0;
    }
    require(change.begun <= change.steps.size() && change.done <= change.steps.size(),
            "more steps were begun than there are", text);
    for (const auto& step : change.steps)
        require(step.action && step.action->apply, "a step that nobody can do", text);
    const auto& place = change.place;
    require(place.pool_uuid.empty() || canonical_uuid(place.pool_uuid) == place.pool_uuid,
            "a pool's uuid is none", place.pool_uuid);
    const auto alone = parse_recorded_change(text, false);
    require(alone.steps.empty() && alone.operation == change.operation &&
                alone.place.pool_uuid == place.pool_uuid && alone.place.volumes == place.volumes,
            "its place depends on what follows", text);
    return 0;
}
