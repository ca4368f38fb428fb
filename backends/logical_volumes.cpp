// SPDX-License-Identifier: LGPL-2.1-or-later
#include "logical_volumes.hpp"

#include "device_content.hpp"
#include "file_io.hpp"
#include "job_impl.hpp"
#include "lvm_steps.hpp"
#include "names.hpp"
#include "owner_access.hpp"
#include "system_root.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

/** "12.34" */
std::string percent_text(std::uint32_t hundredths)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%u.%02u", hundredths / 100, hundredths % 100);
    return text.data();
}

/** LVM's uuid as the kernel has it: without hyphens. */
std::string plain_uuid(std::string uuid)
{
    std::erase(uuid, '-');
    return uuid;
}

/** The uuid of the group of a device of device-mapper: "LVM-", the group's 32 characters, the
 * volume's 32, and for hidden parts an ending. */
std::string group_uuid_of(const std::string& node, const SystemRoot& system)
{
    const auto slash = node.rfind('/');
    const auto name = slash == node.npos ? node : node.substr(slash + 1);
    const UniqueFd fd(::open(system.path("/sys/block/" + name + "/dm/uuid").c_str(),
                             O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 256> text{};
    const auto length = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
    constexpr std::string_view start = "LVM-";
    constexpr std::size_t uuid_length = 32;
    const std::string_view uuid(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    if (!uuid.starts_with(start) || uuid.size() < start.size() + 2 * uuid_length)
        return {};
    return std::string(uuid.substr(start.size(), uuid_length));
}

/** What udev's links below /dev/GROUP and the kernel say; "" where no volume is active. */
std::string active_group_uuid(const std::string& group, const SystemRoot& system)
{
    const auto directory = system.path("/dev/" + group);
    const auto entries = open_listing(directory);
    if (!entries)
        return {};
    while (const auto* entry = ::readdir(entries.get())) {
        std::array<char, 256> target{};
        const auto length =
            ::readlinkat(::dirfd(entries.get()), entry->d_name, target.data(), target.size());
        if (length <= 0)
            continue;
        const std::string node(target.data(), static_cast<std::size_t>(length));
        if (auto uuid = group_uuid_of(node, system); !uuid.empty())
            return uuid;
    }
    return {};
}

/** What is wrong with the group as a whole; "" when nothing is. */
std::string damage_of(const LvmGroup& group)
{
    if (group.missing_pvs != 0)
        return std::to_string(group.missing_pvs) + " of " + std::to_string(group.pvs.size()) +
               " devices of volume group '" + group.name + "' are missing" +
               (std::any_of(group.pvs.begin(), group.pvs.end(), is_back)
                    ? ", or were when it was changed"
                    : "");
    for (const auto& lv : group.lvs)
        if (!lv.health.empty())
            return "logical volume '" + lv.name + "': " + lv.health;
    return {};
}

void add_diagnostics(const LvmGroup& group, VolumeTable& table)
{
    for (const auto& pv : group.pvs)
        if (pv.missing)
            table.add_diagnostic(
                {.name = pv.path,
                 .reason = DiagnosticReason::incomplete,
                 .message = "the device with uuid " + pv.uuid +
                            (is_back(pv) ? " is back, but was missing when the group was changed: "
                                           "see vgextend(8), --restoremissing"
                                         : " is missing")});
    for (const auto& lv : group.lvs) {
        const auto add = [&](DiagnosticReason reason, std::string message) {
            table.add_diagnostic(
                {.name = lv.name, .reason = reason, .message = std::move(message)});
        };
        if (is_unfinished(lv))
            continue;
        if (lv.is_partial())
            add(DiagnosticReason::incomplete, "lies partly on a device that is missing");
        else if (lv.is_invalid())
            add(DiagnosticReason::incomplete,
                "its space for differences was full: the snapshot is lost");
        else if (!lv.health.empty())
            add(DiagnosticReason::incomplete, "LVM says: " + lv.health);
        if (lv.is_other_pool()) {
            if (group.volumes_in(lv).empty())
                add(DiagnosticReason::inactive,
                    "is a " + lv.layout.front() + " pool that no volume uses: it has no content");
        } else if (!lv.active)
            add(DiagnosticReason::inactive,
                lv.skip_activation ? "is marked to be left out when the group is activated"
                                   : "is not active");
    }
}

VolumeRecord basic_record(const LogicalVolumes& volumes, const LvmLv& lv)
{
    return {.name = lv.name,
            .key = lv.uuid,
            .path = volumes.path_of(lv.name),
            .facts = {.capacity = lv.visible_size(),
                      .allocation = allocation_of(lv),
                      .physical = lv.visible_size(),
                      .format = ImageFormat::raw,
                      .type = VolumeType::block,
                      .damaged = lv.is_partial() || lv.is_invalid()}};
}

/** The size of a LUKS header, where the volume has one: a guest sees what is behind it. */
std::uint64_t header_of(const std::string& path)
{
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd)
        return 0;
    const auto info = inspect_file(fd.get(), path);
    return info.format == ImageFormat::luks ? info.payload_offset : 0;
}

std::vector<SourceExtent> extents_of(const LvmGroup& group, const LvmLv& lv)
{
    std::vector<SourceExtent> result;
    for (const auto& segment : lv.segments) {
        const bool spread = segment.type == "striped" && !segment.areas.empty();
        const auto length = spread ? segment.size / segment.areas.size() : segment.size;
        for (const auto& area : segment.areas) {
            std::uint64_t start = 0;
            std::uint64_t end = 0;
            if (area.device.starts_with('/') &&
                !__builtin_mul_overflow(area.first_extent, group.extent_size, &start) &&
                !__builtin_add_overflow(start, length, &end))
                result.push_back({.device = area.device, .start = start, .end = end});
        }
    }
    return result;
}

/** Nothing for what XML without the element means. */
std::optional<Provisioning> provisioning_of(const LvmLv& lv)
{
    if (lv.is_thin_pool())
        return Provisioning{.kind = ProvisioningKind::thin_pool};
    if (lv.is_thin())
        return Provisioning{.kind = ProvisioningKind::thin, .pool = lv.pool};
    if (lv.is_classic_snapshot())
        return Provisioning{.kind = ProvisioningKind::snapshot};
    if (!lv.segments.empty() && lv.segments[0].type == "striped")
        return Provisioning{.stripes = lv.segments[0].stripes};
    return std::nullopt;
}

} // namespace

bool is_back(const LvmPv& pv)
{
    return pv.missing && pv.path.starts_with('/');
}

std::uint64_t allocation_of(const LvmLv& lv)
{
    if (!lv.is_thin())
        return lv.size;
    constexpr std::uint64_t whole = 10000;
    const auto usage = lv.data_usage.value_or(0);
    return lv.size / whole * usage + lv.size % whole * usage / whole;
}

Presence LogicalVolumes::presence() const
{
    if (auto uuid = active_group_uuid(group_, host_.system); !uuid.empty())
        return {.state = PoolState::running, .identity = std::move(uuid)};
    return health();
}

Presence LogicalVolumes::health() const
{
    try {
        const auto group = find_lvm_group(host_.runner, group_, nullptr);
        if (!group)
            return {.reason = "there is no volume group " + shown(group_)};
        if (group->is_exported())
            return {.reason = "volume group " + shown(group_) + " is exported: see vgimport(8)"};
        auto damage = damage_of(*group);
        return {.state = damage.empty() ? PoolState::running : PoolState::degraded,
                .reason = std::move(damage),
                .identity = plain_uuid(group->uuid)};
    } catch (const Error& error) {
        return {.reason = error.what()};
    }
}

PoolSizes LogicalVolumes::sizes() const
{
    const auto group = read_group();
    PoolSizes sizes{.capacity = group.size,
                    .allocation = group.size - group.free,
                    .available = std::min(group.usable_extents() * group.extent_size, group.free)};
    sizes.details["extent_size"] = std::to_string(group.extent_size);
    if (group.missing_pvs != 0)
        sizes.details["missing_devices"] = std::to_string(group.missing_pvs);
    for (const auto* pool : group.thin_pools()) {
        const auto name = "thin_pool." + pool->name + '.';
        sizes.details[name + "size"] = std::to_string(pool->size);
        if (pool->data_usage)
            sizes.details[name + "data_percent"] = percent_text(*pool->data_usage);
        if (pool->metadata_usage)
            sizes.details[name + "metadata_percent"] = percent_text(*pool->metadata_usage);
        if (!pool->health.empty())
            sizes.details[name + "health"] = pool->health;
    }
    return sizes;
}

LvmGroup LogicalVolumes::read_group(Job* job) const
{
    return read_lvm_group(host_.runner, group_, job);
}

const LvmLv& LogicalVolumes::find(const LvmGroup& group, std::string_view name) const
{
    const auto* lv = group.find(name);
    if (!lv || is_unfinished(*lv))
        throw Error(ErrorCode::not_found,
                    shown(path_of(name)) + ": there is no such logical volume");
    return *lv;
}

VolumeRecord LogicalVolumes::record(const LvmLv& lv, const VolumeRecord* previous) const
{
    auto result = basic_record(*this, lv);
    if (!lv.active || lv.is_thin_pool() || lv.is_partial() || lv.is_invalid())
        return result;
    auto& facts = result.facts;
    const bool known =
        previous && previous->key == lv.uuid && previous->facts.physical == facts.physical;
    const auto header = known ? previous->facts.physical - previous->facts.capacity
                              : header_of(host_.system.path(result.path));
    facts.capacity -= std::min(header, facts.capacity);
    return result;
}

void LogicalVolumes::refresh(const VolumeTable* previous, VolumeTable& table, Job* job) const
{
    const auto group = read_group(job);
    table.reserve(group.lvs.size());
    for (const auto& lv : group.lvs) {
        if (is_unfinished(lv))
            continue;
        check(job, "refreshing volume group " + shown(group_));
        const auto before = previous ? previous->find(lv.name) : std::nullopt;
        try {
            table.add(record(lv, before ? &*before : nullptr));
        } catch (const Error& error) { // its header could not be read
            table.add(basic_record(*this, lv));
            table.add_diagnostic(
                {.name = lv.name, .reason = DiagnosticReason::read_error, .message = error.what()});
        }
    }
    add_diagnostics(group, table);
}

VolumeDef LogicalVolumes::describe(const LvmGroup& group, const LvmLv& lv) const
{
    VolumeDef def{.name = lv.name,
                  .key = lv.uuid,
                  .type = VolumeType::block,
                  .capacity = lv.visible_size(),
                  .allocation = allocation_of(lv),
                  .extents = extents_of(group, lv),
                  .target = {.path = path_of(lv.name), .provisioning = provisioning_of(lv)}};
    if (!lv.origin.empty() && !lv.has_hidden_origin())
        def.backing = {{.path = path_of(lv.origin)}};
    if (!lv.active || lv.is_thin_pool() || lv.is_invalid())
        return def;
    describe_device(def);
    if (def.target.encryption)
        def.capacity -= std::min(header_of(def.target.path), def.capacity);
    return def;
}

std::vector<const LvmLv*> LogicalVolumes::snapshots_of(const LvmGroup& group, const LvmLv& lv) const
{
    std::vector<const LvmLv*> result;
    for (const auto& other : group.lvs)
        if (is_snapshot_of(other, lv))
            result.push_back(&other);
    std::sort(result.begin(), result.end(), [](const auto* a, const auto* b) {
        return a->created != b->created ? a->created < b->created : a->name < b->name;
    });
    return result;
}

} // namespace storage::inline v1
