// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "logical": an LVM volume group; volumes are logical volumes.
#include "backend_options.h"
#include "backends.hpp"
#include "blockers.hpp"
#include "device_probe.hpp"
#include "logical_creation.hpp"
#include "lvm_steps.hpp"
#include "names.hpp"
#include "owner_access.hpp"
#include "source_identity.hpp"
#include "system_root.hpp"
#include "volume_access.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"lvm2", "unknown"};
constexpr std::string_view tools[] = {"lvm"};
constexpr std::string_view libraries[] = {"libcryptsetup.so.12", "libcrypto.so.3"};

// What stop() is told by start(): uuids of volumes that were inactive, one each line; or this,
// where none was active.
constexpr std::string_view everything = "all";

std::string real_path(const std::string& path)
{
    std::error_code failed;
    const auto real = std::filesystem::canonical(path, failed);
    return failed ? path : real.string();
}

/** The devices that the definition lists, as paths. */
std::vector<std::string> devices_of(const PoolDef& def, const SystemRoot& system)
{
    std::vector<std::string> result;
    for (const auto& device : def.source.devices)
        result.push_back(find_device(device.path, system));
    return result;
}

bool is_pv_of(const LvmGroup& group, const std::string& device)
{
    return std::any_of(group.pvs.begin(), group.pvs.end(), [&](const auto& pv) {
        return !pv.missing && real_path(pv.path) == real_path(device);
    });
}

/** Thin pools cannot be deactivated before the volumes in them. */
std::vector<std::string> in_order(const LvmGroup& group, const auto& wanted)
{
    std::vector<std::string> first;
    std::vector<std::string> last;
    for (const auto& lv : group.lvs)
        if (wanted(lv))
            (lv.is_thin_pool() ? last : first).push_back(lv.uuid);
    first.insert(first.end(), last.begin(), last.end());
    return first;
}

/** What LVM removes together with the volume: its classic snapshots; or the thin volumes that are
 * based on it, from outside of their pool, with the snapshots of these. */
std::vector<const LvmLv*> dependents_of(const LvmGroup& group, const LvmLv& lv)
{
    std::vector<const LvmLv*> result;
    if (!lv.is_classic_origin() && !lv.is_external_origin())
        return result;
    std::set<std::string_view> origins{lv.name};
    for (std::size_t before = 0; before != origins.size();) {
        before = origins.size();
        for (const auto& other : group.lvs)
            if (!is_unfinished(other) && origins.contains(other.origin) &&
                // Thin snapshots and copies of a thin volume, in its pool, do not need it.
                (other.is_classic_snapshot() ||
                 (lv.is_external_origin() && (other.origin != lv.name || other.pool != lv.pool))) &&
                origins.insert(other.name).second)
                result.push_back(&other);
    }
    return result;
}

/** What goes with the volume, in an order in which nothing is removed that something else needs. */
std::vector<const LvmLv*> company_of(const LvmGroup& group, const LvmLv& lv)
{
    std::vector<const LvmLv*> result;
    const auto add = [&](const LvmLv* each) {
        if (std::find(result.begin(), result.end(), each) == result.end())
            result.push_back(each);
    };
    const auto add_dependents = [&](const LvmLv& of) {
        const auto dependents = dependents_of(group, of);
        std::for_each(dependents.rbegin(), dependents.rend(), add);
    };
    add_dependents(lv);
    for (const auto* inside : group.volumes_in(lv)) {
        add_dependents(*inside);
        add(inside);
    }
    return result;
}

class LogicalBackend final : public Backend {
public:
    LogicalBackend(const PoolDef& def, const Host& host)
        : def_(def), host_(host), volumes_(def.source.name, host)
    {
    }

    Presence presence() override { return volumes_.presence(); }
    Presence health() override { return volumes_.health(); }
    PoolSizes sizes() override { return volumes_.sizes(); }
    void refresh(const VolumeTable* previous, VolumeTable& table, Job* job) override
    {
        volumes_.refresh(previous, table, job);
    }
    std::vector<std::string> names(Job* job) override;
    std::string storage_identity() override;
    VolumeRecord read(std::string_view name, const VolumeRecord*) override
    {
        const auto group = volumes_.read_group();
        return volumes_.record(volumes_.find(group, name), nullptr);
    }
    VolumeDef describe(std::string_view name) override
    {
        const auto group = volumes_.read_group();
        return volumes_.describe(group, volumes_.find(group, name));
    }
    ImageInfo inspect(std::string_view name) override;
    std::string identity(std::string_view name) override
    {
        const auto group = volumes_.read_group();
        return volumes_.find(group, name).uuid;
    }

    void build(BuildMode mode, Change& change) override;
    std::string start(Change& change) override;
    void stop(const std::string& started, Change& change) override;
    void remove(Change& change) override;
    std::vector<Blocker> storage_blockers() override;

    void create_volume(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                       Change& change) override
    {
        plan_logical_volume(volumes_, {.def = def, .source = source, .flags = flags}, def_.name,
                            host_, change);
    }
    void create_uploaded(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options, Change& change) override;
    void discard_upload(const std::string& name, Change&) override
    {
        throw Error(ErrorCode::not_found,
                    "no unfinished upload of '" + name + "' in '" + volumes_.directory() + "'");
    }
    void delete_volume(std::string_view name, Change& change) override;
    void rename_volume(std::string_view name, const std::string& new_name, Change& change) override;
    void resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                       Change& change) override;
    void wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change) override
    {
        require_usable(volume);
        require_own_space(volume);
        change.add(in_thin_pool(wipe_step(volume, algorithm), volume));
    }
    void upload(const VolumeDef& volume, const UploadSource& source, const TransferOptions& options,
                std::uint64_t& received, Change& change) override
    {
        require_usable(volume);
        auto whole = volume; // also what is before the data of an encrypted one
        whole.capacity = volume.physical;
        change.add(in_thin_pool(upload_step(whole, source, options, received), volume));
    }
    std::uint64_t download(std::string_view name, const DownloadTarget& target,
                           const TransferOptions& options, Job* job) override
    {
        require_usable(describe(name));
        return download_content(volumes_.path_of(name), target, options, job);
    }

    std::vector<Snapshot> snapshots(std::string_view name) override;
    bool snapshots_while_open() override { return true; }
    void create_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        const auto group = volumes_.read_group();
        plan_logical_snapshot(group, volumes_.find(group, volume.name), name, change);
    }
    void delete_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override;
    void revert_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override;

    std::vector<Blocker> blockers(std::string_view name) override;

private:
    /** What has no device node has no content to be read or written. */
    void require_usable(const VolumeDef& volume) const;
    /** A snapshot that gets full is lost, and what it had of its own stays where it was. Full it is
     * of less than what is written to it: there are a header, and 16 bytes for each of 4096. */
    static void require_own_space(const VolumeDef& volume)
    {
        const auto& provisioning = volume.target.provisioning;
        if (provisioning && provisioning->kind == ProvisioningKind::snapshot &&
            volume.allocation.value_or(0) <= volume.physical + volume.physical / 256)
            throw Error(ErrorCode::not_supported,
                        "'" + volume.target.path + "' is a snapshot with " +
                            std::to_string(volume.allocation.value_or(0)) +
                            " bytes of its own: it would be lost when " +
                            std::to_string(volume.physical) + " are written to it",
                        "delete it, or give it more space of its own (lvextend)");
    }
    /** The step, which tells that the volume's thin pool is full where that is why it fails. */
    Step in_thin_pool(Step step, const VolumeDef& volume) const
    {
        const auto& provisioning = volume.target.provisioning;
        if (provisioning && provisioning->kind == ProvisioningKind::thin)
            step.work = telling_full_pool(std::move(step.work), volumes_, provisioning->pool);
        return step;
    }
    const LvmLv& snapshot_of(const LvmGroup& group, const LvmLv& lv, const std::string& name) const;
    /** Who wrote to it and closed it made udev look at it, for a moment. */
    bool stays_open(const LvmLv& lv) const
    {
        constexpr int looks = 8;
        constexpr useconds_t pause = 250000;
        for (int i = 0; i != looks; ++i) {
            ::usleep(pause);
            const auto group = find_lvm_group(host_.runner, volumes_.group_name(), nullptr);
            const auto* now = group ? group->find_uuid(lv.uuid) : nullptr;
            if (!now || !now->open)
                return false;
        }
        return true;
    }
    void refuse_open(const LvmLv& lv, const char* what) const
    {
        if (lv.open && stays_open(lv))
            throw Error(ErrorCode::busy,
                        "'" + volumes_.path_of(lv.name) + "' is open: " + what + " needs it closed",
                        "end its use first");
    }

    PoolDef def_;
    const Host& host_;
    LogicalVolumes volumes_;
    std::optional<LvmGroup> told_{}; ///< as storage_blockers() saw it
};

std::vector<std::string> LogicalBackend::names(Job* job)
{
    std::vector<std::string> result;
    for (const auto& lv : volumes_.read_group(job).lvs)
        if (!is_unfinished(lv))
            result.push_back(lv.name);
    std::sort(result.begin(), result.end());
    return result;
}

ImageInfo LogicalBackend::inspect(std::string_view name)
{
    const auto volume = describe(name);
    // A logical volume is raw whatever a guest writes to it; only encryption is looked for.
    if (!volume.target.encryption)
        return {.virtual_size = volume.capacity};
    const auto fd = open_content(volume.target.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return inspect_file(fd.get(), volume.target.path);
}

void LogicalBackend::require_usable(const VolumeDef& volume) const
{
    const auto& provisioning = volume.target.provisioning;
    if (provisioning && provisioning->kind == ProvisioningKind::thin_pool)
        throw Error(ErrorCode::not_supported,
                    "'" + volume.target.path + "' is a thin pool: it has no content of its own",
                    "use the volumes in it");
    if (volume.physical != 0)
        return;
    const auto group = volumes_.read_group();
    refuse_other_pool(volumes_.find(group, volume.name), group);
    throw Error(ErrorCode::invalid_state, "'" + volume.target.path + "' is not active",
                "activate it (lvchange --activate y), or see why it cannot be: a device of "
                "the group may be missing");
}

// ---- the pool ----------------------------------------------------------------------------------

void LogicalBackend::build(BuildMode mode, Change& change)
{
    const auto& name = checked_group_name(volumes_.group_name());
    const auto devices = devices_of(def_, host_.system);
    const bool overwrite = mode == BuildMode::overwrite;
    const auto present = find_lvm_group(host_.runner, name, nullptr);
    const bool same = present && std::all_of(devices.begin(), devices.end(), [&](const auto& path) {
                          return is_pv_of(*present, path);
                      });
    if (present && same && mode == BuildMode::keep)
        return;
    if (present && !(overwrite && same && devices.size() == present->pvs.size()))
        throw Error(ErrorCode::already_exists,
                    "there is a volume group '" + name + "'" +
                        (same ? "" : " on other devices than those of the definition"),
                    "leave the devices out to use it as it is, or delete it first");
    if (devices.empty())
        throw Error(ErrorCode::invalid_argument,
                    "there is no volume group '" + name + "', and no device to make it of",
                    "list devices in the definition's source");
    for (const auto& device : devices) // LVM asks the kernel only what is mounted or built on it
        require_unused(device, host_.system,
                       BlockerKind::mounted | BlockerKind::holder | BlockerKind::loop_device);
    if (present)
        change.add(remove_group_step(*present));
    else if (!overwrite)
        for (const auto& device : devices)
            require_empty_device(device);
    for (const auto& device : devices)
        change.add(create_pv_step(device, overwrite));
    const auto tag = make_lvm_tag();
    change.add(create_group_step(name, tag, devices));
    change.add(finish_group_step(name, tag));
    change.commit_here();
}

std::string LogicalBackend::start(Change& change)
{
    const auto& name = checked_group_name(volumes_.group_name());
    if (!change.empty()) // it is built first, and has nothing to activate
        return std::string(everything);
    const auto group = find_lvm_group(host_.runner, name, nullptr);
    if (!group)
        throw Error(ErrorCode::not_found, "there is no volume group " + shown(name),
                    "build the pool, or bring back the group's devices");
    if (group->is_exported())
        throw Error(ErrorCode::invalid_state, "volume group '" + name + "' is exported",
                    "import it with vgimport(8), if no other host uses it");
    const auto devices = devices_of(def_, host_.system);
    if (!devices.empty() && std::none_of(devices.begin(), devices.end(), [&](const auto& device) {
            return is_pv_of(*group, device);
        }))
        throw Error(ErrorCode::invalid_state,
                    "volume group '" + name + "' is on none of the devices of the definition",
                    "correct the definition's devices, or leave them out");
    const auto inactive = in_order(*group, [](const auto& lv) {
        return !lv.active && !lv.skip_activation && !lv.is_other_pool() && !is_unfinished(lv);
    });
    if (!inactive.empty())
        change.add(activate_group_step(name, inactive));
    if (std::none_of(group->lvs.begin(), group->lvs.end(),
                     [](const auto& lv) { return lv.active; }))
        return std::string(everything);
    std::string note;
    for (const auto& uuid : inactive)
        note += uuid + '\n';
    return note;
}

void LogicalBackend::stop(const std::string& started, Change& change)
{
    const auto group = find_lvm_group(host_.runner, volumes_.group_name(), nullptr);
    if (!group)
        return;
    const auto uuids = in_order(*group, [&](const auto& lv) {
        return lv.active && (started == everything || started.find(lv.uuid + '\n') != started.npos);
    });
    for (const auto& uuid : uuids)
        if (const auto& lv = *group->find_uuid(uuid); !lv.is_thin_pool())
            refuse_open(lv, "stopping the pool");
    if (!uuids.empty())
        change.add(deactivate_lvs_step(group->name, uuids));
}

std::string LogicalBackend::storage_identity()
{
    const auto& name = checked_group_name(volumes_.group_name());
    std::string identity;
    if (const auto group = find_lvm_group(host_.runner, name, nullptr))
        identity = "vg:" + group->uuid;
    for (const auto& device : devices_of(def_, host_.system))
        identity += (identity.empty() ? "" : " ") + device_content_identity(device);
    if (identity.empty())
        throw Error(ErrorCode::not_found, "there is no volume group '" + name + "'");
    return identity;
}

std::vector<Blocker> LogicalBackend::storage_blockers()
{
    told_ = find_lvm_group(host_.runner, volumes_.group_name(), nullptr);
    std::vector<Blocker> result;
    if (told_)
        for (const auto& lv : told_->lvs)
            result.push_back({.kind = BlockerKind::volume,
                              .message = "logical volume '" + lv.name + "' would be lost"});
    return result;
}

void LogicalBackend::remove(Change& change)
{
    // What was made since somebody was asked whether the volumes may go was not meant.
    const auto group = told_ ? *told_ : volumes_.read_group();
    for (const auto& lv : group.lvs)
        if (!lv.is_thin_pool())
            refuse_open(lv, "removing it");
    change.add(remove_group_step(group));
    change.commit_here();
    const auto devices = devices_of(def_, host_.system);
    for (const auto& pv : group.pvs)
        if (!pv.missing && std::any_of(devices.begin(), devices.end(), [&](const auto& device) {
                return real_path(device) == real_path(pv.path);
            }))
            change.add(remove_pv_step(pv.path, pv.uuid));
}

// ---- volumes -----------------------------------------------------------------------------------

void LogicalBackend::create_uploaded(const VolumeDef& def, const UploadSource& source,
                                     const TransferOptions& options, Change& change)
{
    const auto path = volumes_.path_of(def.name);
    if (options.resumable)
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an upload to a logical volume cannot be resumed",
                    "make the volume, then upload into it from an offset on");
    if (options.offset != 0)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': the upload of a new volume begins at offset 0");
    if (def.target.encryption)
        throw Error(ErrorCode::not_supported, "'" + path + "': an upload is stored as it comes",
                    "leave the encryption out");
    plan_logical_volume(volumes_, {.def = def, .upload = &source, .transfer = &options}, def_.name,
                        host_, change);
}

void LogicalBackend::delete_volume(std::string_view name, Change& change)
{
    // The core has made sure that what goes with it may go.
    const auto group = volumes_.read_group();
    const auto& lv = volumes_.find(group, name);
    auto doomed = company_of(group, lv);
    doomed.push_back(&lv);
    // All or none: what one of them is in the way of shall not cost the others.
    for (const auto* each : doomed)
        if (!each->is_thin_pool() && !each->is_other_pool())
            refuse_open(*each, "deleting it");
    change.add(remove_lv_step(group.name, *doomed.front(), doomed.size() > 1));
    if (doomed.size() > 1)
        change.commit_here(); // it does not come back: what was begun is finished
    for (const auto* each : std::span(doomed).subspan(1))
        change.add(remove_lv_step(group.name, *each));
}

void LogicalBackend::rename_volume(std::string_view name, const std::string& new_name,
                                   Change& change)
{
    const auto group = volumes_.read_group();
    require_whole_group(group);
    require_new_lv(group, new_name);
    change.add(rename_lv_step(group.name, volumes_.find(group, name), new_name));
}

void LogicalBackend::resize_volume(const VolumeDef& volume, std::uint64_t capacity,
                                   ResizeFlags flags, Change& change)
{
    const auto group = volumes_.read_group();
    const auto& lv = volumes_.find(group, volume.name);
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::not_supported, "'" + volume.target.path + "' " + what, remedy);
    };
    require_whole_group(group);
    refuse_other_pool(lv, group);
    if (lv.is_classic_snapshot())
        refuse("is a snapshot: it has the size of its origin", "make a copy of it");
    if (lv.is_classic_origin())
        refuse("has snapshots: LVM does not change its size meanwhile", "delete them first");
    if (lv.is_thin() && has(flags, ResizeFlags::allocate))
        refuse("is thin: it gets its space when it is written to", "leave the flag out");
    const auto header = lv.visible_size() - std::min(volume.capacity, lv.visible_size());
    if (capacity > UINT64_MAX - header)
        throw Error(ErrorCode::invalid_argument, "'" + volume.target.path + "': a capacity of " +
                                                     std::to_string(capacity) +
                                                     " bytes is too large");
    const bool striped = !lv.segments.empty() && lv.segments.back().type == "striped";
    const auto stripes = striped ? std::max(lv.segments.back().stripes, 1u) : 1;
    auto extents = std::max<std::uint64_t>(extents_for(capacity + header, group.extent_size), 1);
    if (lv.segments.size() == 1)
        extents = (extents + stripes - 1) / stripes * stripes;
    const auto present = lv.size / group.extent_size;
    if (lv.is_thin_pool() && extents < present)
        refuse("is a thin pool: LVM does not make it smaller", "make another one");
    if (extents > present && !lv.is_thin() && !lv.is_vdo())
        require_extents(group, extents - present, stripes, "'" + volume.target.path + "'");
    if (extents != present)
        change.add(resize_lv_step(group.name, lv, extents, group.extent_size));
}

std::vector<Blocker> LogicalBackend::blockers(std::string_view name)
{
    const auto group = volumes_.read_group();
    const auto& lv = volumes_.find(group, name);
    std::vector<Blocker> result;
    const bool is_pool = lv.is_thin_pool() || lv.is_other_pool();
    if (lv.active && !is_pool)
        result = file_blockers(volumes_.path_of(lv.name), host_.system);
    for (const auto* inside : group.volumes_in(lv))
        result.push_back({.kind = BlockerKind::volume,
                          .message = (inside->is_thin() ? "thin volume '" : "volume '") +
                                     inside->name + "' would be lost"});
    for (const auto* each : company_of(group, lv))
        if (each->pool != lv.name || !is_pool)
            result.push_back({.kind = BlockerKind::snapshot,
                              .message = "snapshot '" + each->name + "' would be lost"});
    return result;
}

// ---- snapshots ---------------------------------------------------------------------------------

std::vector<Snapshot> LogicalBackend::snapshots(std::string_view name)
{
    const auto group = volumes_.read_group();
    std::vector<Snapshot> result;
    for (const auto* lv : volumes_.snapshots_of(group, volumes_.find(group, name)))
        result.push_back({.name = lv->name,
                          .id = lv->uuid,
                          .created = {.seconds = lv->created},
                          .size = allocation_of(*lv)});
    return result;
}

const LvmLv& LogicalBackend::snapshot_of(const LvmGroup& group, const LvmLv& lv,
                                         const std::string& name) const
{
    for (const auto* snapshot : volumes_.snapshots_of(group, lv))
        if (snapshot->name == name)
            return *snapshot;
    throw Error(ErrorCode::not_found,
                "'" + volumes_.path_of(lv.name) + "' has no snapshot '" + name + "'");
}

void LogicalBackend::delete_snapshot(const VolumeDef& volume, const std::string& name,
                                     Change& change)
{
    const auto group = volumes_.read_group();
    const auto& snapshot = snapshot_of(group, volumes_.find(group, volume.name), name);
    refuse_open(snapshot, "deleting it");
    change.add(remove_lv_step(group.name, snapshot));
}

void LogicalBackend::revert_snapshot(const VolumeDef& volume, const std::string& name,
                                     Change& change)
{
    const auto group = volumes_.read_group();
    const auto& lv = volumes_.find(group, volume.name);
    const auto& snapshot = snapshot_of(group, lv, name);
    require_whole_group(group);
    refuse_open(lv, "going back to a snapshot");
    refuse_open(snapshot, "going back to it");
    if (snapshot.is_thin()) {
        revert_thin_snapshot(group.name, lv, snapshot, change);
        return;
    }
    if (snapshot.is_invalid())
        throw Error(ErrorCode::invalid_state,
                    "snapshot '" + name + "' was full, its content is lost", "delete it");
    if (!lv.active)
        throw Error(ErrorCode::invalid_state, "'" + volume.target.path + "' is not active",
                    "start the pool again");
    revert_classic_snapshot(group.name, lv, snapshot, group.extent_size, change);
}

// ---- the type ----------------------------------------------------------------------------------

std::unique_ptr<Backend> open_logical(const PoolDef& def, const Host& host)
{
    return std::make_unique<LogicalBackend>(def, host);
}

std::vector<PoolSource> find_sources(const PoolSource&, const Host& host, Job* job)
{
    std::vector<PoolSource> result;
    for (const auto& group : read_lvm_groups(host.runner, job)) {
        PoolSource source{.name = group.name, .format = "lvm2"};
        for (const auto& pv : group.pvs)
            if (!pv.missing)
                source.devices.push_back({.path = pv.path});
        result.push_back(std::move(source));
    }
    return result;
}

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    auto result = device_identities(def, system);
    result.push_back("volume-group:" + def.source.name);
    return result;
}

} // namespace

const BackendType logical_backend{
    .info =
        {
            .type = "logical",
            .summary = "logical volumes of an LVM volume group",
            .available = BASIN_BACKEND_LOGICAL,
            .unavailable_reason =
                BASIN_BACKEND_LOGICAL ? "" : "pool type 'logical' was left out of this build",
            .capabilities =
                BASIN_BACKEND_LOGICAL
                    ? Capabilities{Capability::find_sources,   Capability::build_pool,
                                   Capability::overwrite_pool, Capability::start_pool,
                                   Capability::delete_pool,    Capability::create_volume,
                                   Capability::create_from,    Capability::delete_volume,
                                   Capability::grow_volume,    Capability::shrink_volume,
                                   Capability::rename_volume,  Capability::wipe_volume,
                                   Capability::upload,         Capability::download,
                                   Capability::snapshots,      Capability::thin_volume,
                                   Capability::backing_images, Capability::encrypted_volume,
                                   Capability::reflink,        Capability::names_only}
                    : Capabilities{},
            .volume_type = VolumeType::block,
            .source_required = {SourceField::name},
            .source_accepted = {SourceField::name, SourceField::device},
            .source_name_defaults_to_pool_name = true,
            .target_path = TargetPath::fixed,
            .target_prefix = "/dev/",
            .provisioning = true,
            .source_formats = source_formats,
            .tools = tools,
            .libraries = libraries,
        },
    .open = BASIN_BACKEND_LOGICAL ? open_logical : nullptr,
    .find_sources = BASIN_BACKEND_LOGICAL ? find_sources : nullptr,
    .source_identities = source_identities,
    .actions = lvm_actions,
};

} // namespace storage::inline v1
