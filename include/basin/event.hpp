// SPDX-License-Identifier: LGPL-2.1-or-later
// Events: what happened to pools and volumes, in this process and in others.
#pragma once

#include <basin/definition.hpp>

namespace storage::inline v1 {

/** What happened. New kinds are only appended. */
enum class EventKind : std::uint8_t {
    pool_defined,
    pool_undefined,
    pool_started,
    pool_stopped,
    pool_built,
    pool_deleted,
    pool_refreshed,
    pool_changed, ///< autostart or state
    volume_created,
    volume_changed,
    volume_deleted,
    overflow, ///< events were lost because nobody read them: look at everything again
};

/** The kind's name as written above. */
BASIN_API std::string_view to_string(EventKind kind) noexcept;

/** One event. */
struct Event {
    std::uint64_t sequence{}; ///< counts from 1 in each Context, without gaps
    EventKind kind{};
    Timestamp time{}; ///< wall clock
    std::string pool_name{};
    std::string pool_uuid{};
    std::string volume_name{}; ///< volume events
    bool from_other_process{};
    bool operator==(const Event&) const = default;
};

BASIN_API std::string to_json(const Event& event);

} // namespace storage::inline v1
