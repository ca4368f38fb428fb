// SPDX-License-Identifier: LGPL-2.1-or-later
// The names of the public enumerators.
#include <basin/backend.hpp>
#include <basin/event.hpp>
#include <basin/pool.hpp>

namespace storage::inline v1 {
namespace {

/** The name at the enumerator's place; "unknown" for a stranger. */
template <typename Enum, std::size_t Count>
std::string_view name_of(const std::string_view (&names)[Count], Enum value)
{
    const auto index = static_cast<std::size_t>(value);
    return index < Count ? names[index] : "unknown";
}

} // namespace

std::string_view to_string(Capability capability) noexcept
{
    static constexpr std::string_view names[] = {
        "find_sources",  "build_pool",     "overwrite_pool",   "start_pool",       "delete_pool",
        "create_volume", "create_from",    "delete_volume",    "grow_volume",      "shrink_volume",
        "rename_volume", "wipe_volume",    "upload",           "download",         "snapshots",
        "thin_volume",   "backing_images", "encrypted_volume", "reflink",          "names_only",
        "watch",         "flatten_volume", "metadata",         "protect_snapshots"};
    static_assert(std::size(names) == capability_count);
    return name_of(names, capability);
}

std::string_view to_string(EventKind kind) noexcept
{
    static constexpr std::string_view names[] = {
        "pool_defined",   "pool_undefined", "pool_started",   "pool_stopped",
        "pool_built",     "pool_deleted",   "pool_refreshed", "pool_changed",
        "volume_created", "volume_changed", "volume_deleted", "overflow"};
    static_assert(std::size(names) == static_cast<std::size_t>(EventKind::overflow) + 1);
    return name_of(names, kind);
}

std::string_view to_string(ProvisioningKind kind) noexcept
{
    static constexpr std::string_view names[] = {"thick", "thin", "thin-pool", "snapshot"};
    static_assert(std::size(names) == static_cast<std::size_t>(ProvisioningKind::snapshot) + 1);
    return name_of(names, kind);
}

std::string_view to_string(PoolState state) noexcept
{
    static constexpr std::string_view names[] = {"inactive", "building", "running", "degraded",
                                                 "inaccessible"};
    static_assert(std::size(names) == static_cast<std::size_t>(PoolState::inaccessible) + 1);
    return name_of(names, state);
}

std::string_view to_string(DiagnosticReason reason) noexcept
{
    static constexpr std::string_view names[] = {
        "unreadable", "vanished",         "dangling_link", "link_loop",  "fifo",
        "socket",     "character_device", "unusable_name", "read_error", "damaged_image",
        "duplicate",  "inactive",         "incomplete"};
    static_assert(std::size(names) == static_cast<std::size_t>(DiagnosticReason::incomplete) + 1);
    return name_of(names, reason);
}

std::string_view to_string(BlockerKind kind) noexcept
{
    static constexpr std::string_view names[] = {"open", "backing_image", "loop_device", "mounted",
                                                 "job",  "snapshot",      "holder",      "volume"};
    for (std::size_t i = 0; i < std::size(names); ++i)
        if (static_cast<std::uint32_t>(kind) == 1u << i)
            return names[i];
    return "unknown";
}

std::string_view to_string(ChainState state) noexcept
{
    static constexpr std::string_view names[] = {"ok",         "missing", "outside", "network",
                                                 "unreadable", "cycle",   "too_deep"};
    static_assert(std::size(names) == static_cast<std::size_t>(ChainState::too_deep) + 1);
    return name_of(names, state);
}

} // namespace storage::inline v1
