// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "disk": a disk with a partition table; volumes are partitions.
#include "backend_options.h"
#include "backends.hpp"
#include "blockers.hpp"
#include "device_content.hpp"
#include "device_probe.hpp"
#include "device_steps.hpp"
#include "disk_steps.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "job_impl.hpp"
#include "source_identity.hpp"
#include "system_root.hpp"
#include "table_signature.hpp"
#include "transfer.hpp"
#include "volume_access.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"unknown", "dos",  "dvh", "gpt", "mac",
                                               "bsd",     "pc98", "sun", "lvm2"};
constexpr std::string_view volume_formats[] = {"none",       "linux",     "fat16",      "fat32",
                                               "linux-swap", "linux-lvm", "linux-raid", "extended"};
constexpr std::string_view tools[] = {"basin-partition"};
constexpr std::string_view libraries[] = {"libcryptsetup.so.12"};

/** The disk as it is now. */
struct FoundDisk {
    std::string path{};
    std::string number{}; ///< "8:0"
    TableSignature table{};
    bool part_separator{};

    PartitionProgram::Disk reference() const
    {
        return {.path = path,
                .device_number = number,
                .format = table.format,
                .disk_id = table.disk_id,
                .part_separator = part_separator};
    }
};

class DiskBackend final : public Backend {
public:
    DiskBackend(const PoolDef& def, const Host& host)
        : def_(def), host_(host), program_(host.runner, host.helper_directory)
    {
    }

    Presence presence() override
    {
        try {
            const auto disk = find_table();
            const auto& id = disk.table.disk_id;
            return {.state = PoolState::running,
                    .reason = {},
                    .identity = disk.table.format + ':' + (id.empty() ? disk.number : id)};
        } catch (const Error& error) {
            return {.state = PoolState::inactive, .reason = error.what(), .identity = {}};
        }
    }

    PoolSizes sizes() override
    {
        const auto table = read_table(nullptr);
        PoolSizes sizes;
        for (const auto& partition : table.partitions) {
            sizes.capacity = std::max(sizes.capacity, partition.start + partition.length);
            if (partition.kind == "primary" || partition.kind == "logical")
                sizes.allocation += partition.length;
        }
        for (const auto& region : table.free) {
            sizes.capacity = std::max(sizes.capacity, region.start + region.length);
            sizes.available += region.length;
        }
        return sizes;
    }

    void show(PoolDef& def) override
    {
        if (def.source.devices.empty())
            return;
        for (const auto& region : read_table(nullptr).free)
            def.source.devices.front().free_extents.push_back(
                {.start = region.start, .end = region.start + region.length});
    }

    void refresh(const VolumeTable*, VolumeTable& table, Job* job) override
    {
        const auto found = read_table(job);
        const StableLinks links(target(), host_.system);
        for (const auto& partition : found.partitions) {
            if (partition.kind == "metadata")
                continue;
            const auto record = record_of(partition, found, links);
            if (!table.add(record))
                table.add_diagnostic(
                    {.name = record.name,
                     .reason = DiagnosticReason::duplicate,
                     .message = "another partition has the path '" + record.path + "'"});
            else if (record.facts.device == 0)
                table.add_diagnostic({.name = record.name,
                                      .reason = DiagnosticReason::inactive,
                                      .message = "there is no device node '" + partition.path +
                                                 "': see whether udev runs, and whether this "
                                                 "process sees the host's /dev"});
        }
        for (const auto& warning : found.warnings)
            table.add_diagnostic({.name = def_.source.devices.front().path,
                                  .reason = DiagnosticReason::read_error,
                                  .message = warning});
    }

    std::vector<std::string> names(Job* job) override
    {
        std::vector<std::string> result;
        for (const auto& partition : read_table(job).partitions)
            if (partition.kind != "metadata")
                result.push_back(partition.name());
        std::sort(result.begin(), result.end());
        return result;
    }

    VolumeRecord read(std::string_view name, const VolumeRecord*) override
    {
        const auto table = read_table(nullptr);
        return record_of(partition_of(table, name), table, StableLinks(target(), host_.system));
    }

    VolumeDef describe(std::string_view name) override
    {
        const auto table = read_table(nullptr);
        const auto& partition = partition_of(table, name);
        const auto record = record_of(partition, table, StableLinks(target(), host_.system));
        VolumeDef volume{.name = record.name,
                         .key = record.key,
                         .type = VolumeType::block,
                         .capacity = record.facts.capacity,
                         .allocation = record.facts.allocation,
                         .extents = {{.device = def_.source.devices.front().path,
                                      .start = partition.start,
                                      .end = partition.start + partition.length}}};
        volume.target.path = record.path;
        volume.target.format = partition.format;
        // The kernel shows but the beginning of an extended partition.
        if (partition.kind != "extended")
            describe_device(volume);
        return volume;
    }

    /** Whatever a guest wrote to it: its bytes are what the next one sees. */
    ImageInfo inspect(std::string_view name) override
    {
        ImageInfo info;
        info.virtual_size = read(name, nullptr).facts.capacity;
        return info;
    }

    std::string identity(std::string_view name) override
    {
        const auto table = read_table(nullptr);
        return partition_of(table, name).identity(table.disk_id);
    }

    void build(BuildMode mode, Change& change) override
    {
        const auto disk = find_disk();
        if (wanted_format() == "lvm2")
            throw Error(ErrorCode::not_supported,
                        "a disk pool cannot make '" + disk.path + "' a physical volume of LVM",
                        "use pvcreate, or a pool of type 'logical'");
        if (mode == BuildMode::keep && disk.table.format == wanted_format() &&
            !disk.table.is_damaged)
            return; // nothing is missing
        if (mode != BuildMode::overwrite)
            require_empty(disk);
        require_closed(disk);
        change.add(label_disk_step({.path = disk.path,
                                    .device_number = disk.number,
                                    .part_separator = disk.part_separator},
                                   wanted_format(), mode == BuildMode::overwrite));
    }

    std::string start(Change& change) override
    {
        if (wanted_format() == "lvm2")
            return {};
        // A table that this change makes is not there yet.
        const auto disk = find_disk();
        if (change.empty()) {
            refuse_damaged(disk);
            require_table(disk);
        }
        change.add(sync_disk_step({.path = disk.path,
                                   .device_number = disk.number,
                                   .format = wanted_format(),
                                   .part_separator = disk.part_separator}));
        return {};
    }

    void remove(Change& change) override
    {
        const auto disk = find_table();
        if (disk.table.format == "lvm2")
            throw Error(ErrorCode::not_supported, "'" + disk.path + "' is a physical volume of LVM",
                        "use pvremove");
        require_closed(disk);
        change.add(clear_disk_step(disk.reference()));
    }

    std::string storage_identity() override { return device_content_identity(find_disk().path); }

    std::vector<Blocker> storage_blockers() override
    {
        std::vector<Blocker> found;
        for (const auto& name : names(nullptr))
            found.push_back(
                {.kind = BlockerKind::volume, .message = "volume '" + name + "' would be lost"});
        return found;
    }

    std::string new_name(const VolumeDef& def) override
    {
        const auto disk = find_table().reference();
        if (disk.format == "lvm2")
            throw Error(ErrorCode::not_supported, "'" + disk.path + "' is a physical volume of LVM",
                        "use a pool of type 'logical' to make volumes in it");
        const auto planned = plan(disk, def);
        if (def.name.empty() || def.name == planned.name())
            return planned.name();
        const auto remedy = "name it '" + planned.name() + "', or leave the name out";
        const auto& source = def_.source.devices.front().path;
        if (program_.read(disk, nullptr).find(def.name))
            throw Error(ErrorCode::already_exists,
                        "'" + source + "' has a partition '" + def.name + "'", remedy);
        throw Error(ErrorCode::invalid_argument,
                    "a new partition of '" + source + "' would be '" + planned.name() + "', not '" +
                        def.name + "'",
                    remedy);
    }

    void create_volume(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                       Change& change) override
    {
        const NewVolume volume{.directory = target(),
                               .def = def,
                               .source = source,
                               .flags = flags,
                               .host = host_,
                               .pool_name = def_.name};
        const bool is_extended = def.target.format == "extended";
        if (is_extended && (source || def.target.encryption))
            throw Error(ErrorCode::not_supported,
                        "volume '" + def.name + "': an extended partition holds partitions alone");
        auto content = is_extended ? NewContent() : plan_device_content(volume);
        const auto path = add_partition(def, change).path;
        const bool changes = content.fill || has_owner(def.target.permissions);
        content.summary = (changes ? "fill '" : "wait for '") + path + "'";
        change.add(fill_device_step(path, std::move(content),
                                    changes ? def.target.permissions : Permissions()));
    }

    void create_uploaded(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options, Change& change) override
    {
        const auto refuse = [&](const std::string& what, const std::string& remedy) {
            throw Error(ErrorCode::not_supported, "upload into '" + def_.name + "': " + what,
                        remedy);
        };
        if (options.resumable || options.offset != 0)
            refuse("what a partition received in part cannot be kept", "begin at offset 0");
        if (def.target.format == "extended" || def.target.encryption)
            refuse("the new volume must be a plain one", "create it first, then upload into it");
        const auto planned = add_partition(def, change);
        const auto& path = planned.path;
        check_upload(path, source, options, planned.length);
        change.add(fill_device_step(path,
                                    {.summary = "receive into '" + path + "'",
                                     .fill =
                                         [source, options](const FileWork& work) {
                                             const auto room = content_length(work.fd, work.path);
                                             receive_content(source, options, work.fd, work.path,
                                                             room, work.job);
                                             return true;
                                         }},
                                    def.target.permissions));
    }

    void discard_upload(const std::string& name, Change&) override
    {
        throw Error(ErrorCode::not_found, "pool '" + def_.name + "' has no part of an upload of '" +
                                              name + "': a failed one is undone");
    }

    void delete_volume(std::string_view name, Change& change) override
    {
        const auto disk = find_table().reference();
        const auto table = read_table(nullptr);
        const auto& partition = partition_of(table, name);
        program_.plan_remove(disk, partition, nullptr);
        change.add(delete_partition_step(disk, partition));
    }

    void resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags,
                       Change& change) override
    {
        const auto disk = find_table().reference();
        const auto table = read_table(nullptr);
        const auto& partition = partition_of(table, volume.name);
        const auto planned = program_.plan_resize(disk, partition, capacity, nullptr);
        change.add(resize_partition_step(disk, partition, planned.length));
    }

    void wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change) override
    {
        require_data(volume, "wipe");
        change.add(wipe_step(volume, algorithm));
    }

    void upload(const VolumeDef& volume, const UploadSource& source, const TransferOptions& options,
                std::uint64_t& received, Change& change) override
    {
        require_data(volume, "replace");
        change.add(upload_step(volume, source, options, received));
    }

    std::uint64_t download(std::string_view name, const DownloadTarget& target,
                           const TransferOptions& options, Job* job) override
    {
        const auto volume = describe(name);
        require_data(volume, "read");
        return download_content(volume.target.path, target, options, job);
    }

    std::vector<Blocker> blockers(std::string_view name) override
    {
        const auto table = read_table(nullptr);
        const auto& partition = partition_of(table, name);
        if (partition.kind == "extended")
            return {};
        return file_blockers(partition.path, host_.system);
    }

private:
    /** The links of udev in a pool's target directory, by the device that each leads to. */
    class StableLinks {
    public:
        StableLinks(const std::string& directory, const SystemRoot& system)
        {
            if (directory == "/dev")
                return; // it has the nodes themselves
            const auto place = system.path(directory);
            for_each_name(place, [&](const char* name) {
                const auto link = place + '/' + name;
                const std::unique_ptr<char, decltype(&std::free)> real(
                    ::realpath(link.c_str(), nullptr), std::free);
                if (!real)
                    return true;
                auto& best = links_[real.get()];
                const auto shown = directory + '/' + name;
                if (best.empty() || shown < best)
                    best = shown;
                return true;
            });
        }

        std::string path_for(const std::string& node) const
        {
            if (links_.empty())
                return node;
            const std::unique_ptr<char, decltype(&std::free)> real(
                ::realpath(node.c_str(), nullptr), std::free);
            const auto found = links_.find(real ? real.get() : node);
            return found == links_.end() ? node : found->second;
        }

    private:
        std::map<std::string, std::string, std::less<>> links_{};
    };

    const std::string& target() const { return def_.target.path; }

    std::string wanted_format() const
    {
        const auto& format = def_.source.format;
        return format.empty() || format == "unknown" ? "dos" : format;
    }

    /** @throws Error not_found, not_supported */
    FoundDisk find_disk() const
    {
        if (def_.source.devices.empty())
            throw Error(ErrorCode::invalid_argument,
                        "pool '" + def_.name + "' has no source device");
        const auto& device = def_.source.devices.front();
        const auto& source = device.path;
        FoundDisk disk{.path = host_.system.path(find_device(source, host_.system)),
                       .part_separator = device.part_separator.value_or(false)};
        const auto fd = open_file(disk.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        struct stat status {};
        if (::fstat(fd.get(), &status) != 0)
            throw system_error(errno, "cannot look at '" + disk.path + "'");
        if (!S_ISBLK(status.st_mode))
            throw Error(ErrorCode::not_supported, "'" + source + "' is no block device",
                        "attach an image file to a loop device: losetup --partscan");
        disk.number =
            std::to_string(major(status.st_rdev)) + ':' + std::to_string(minor(status.st_rdev));
        disk.table = table_signature(fd.get(), disk.path);
        return disk;
    }

    /** The disk, with a table of the definition's format. */
    FoundDisk find_table() const
    {
        auto disk = find_disk();
        require_table(disk);
        refuse_damaged(disk);
        return disk;
    }

    void require_table(const FoundDisk& disk) const
    {
        if (disk.table.format.empty())
            throw Error(ErrorCode::not_found, "'" + disk.path + "' has no partition table",
                        "build the pool to make one");
        if (disk.table.format != wanted_format())
            throw Error(ErrorCode::invalid_state,
                        "'" + disk.path + "' has a partition table of type '" + disk.table.format +
                            "', not '" + wanted_format() + "' as the definition says",
                        "correct the definition, or build with overwrite to lose what is there");
    }

    /** libparted sees nothing there, and what it would write cannot be taken back. */
    static void refuse_damaged(const FoundDisk& disk)
    {
        if (const auto made_for = disk.table.other_sector_size)
            throw Error(ErrorCode::invalid_state,
                        "the gpt of '" + disk.path + "' was made for a disk with sectors of " +
                            std::to_string(made_for) + " bytes, which this one has not",
                        "attach it with sectors of that size (losetup --sector-size), then start "
                        "the pool");
        if (disk.table.is_damaged)
            throw Error(ErrorCode::invalid_state,
                        "the first header of the gpt of '" + disk.path +
                            "' is damaged, or the dos table that protects it",
                        "bring it back from the copy at the disk's end (fdisk, gdisk), then "
                        "start the pool");
    }

    /** Refuses what has any content, whoever can name it. */
    void require_empty(const FoundDisk& disk) const
    {
        if (!disk.table.format.empty())
            throw Error(ErrorCode::already_exists,
                        "'" + disk.path + "' has a partition table of type '" + disk.table.format +
                            "' on it",
                        "choose another device, or build with overwrite to lose what is there");
        require_empty_device(disk.path);
    }

    /** What is mounted or built on a partition of it, the kernel says, as it will to the helper. */
    void require_closed(const FoundDisk& disk) const
    {
        require_unused(disk.path, host_.system,
                       BlockerKind::mounted | BlockerKind::holder | BlockerKind::loop_device);
        // Partitions of a device-mapper disk are devices that keep it open: the helper takes them
        // away before it asks.
        const auto dm = host_.system.path("/sys/dev/block/" + disk.number + "/dm");
        if (::access(dm.c_str(), F_OK) == 0)
            return;
        const UniqueFd fd(::open(disk.path.c_str(), O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC));
        if (!fd && errno == EBUSY)
            throw Error(ErrorCode::busy, "'" + disk.path + "' or a partition of it is in use",
                        "unmount it or stop what uses it");
    }

    PartitionTable read_table(Job* job) const
    {
        const auto disk = find_table();
        if (disk.table.format == "lvm2")
            return {.format = "lvm2"}; // no partitions; pools of type logical look into it
        return program_.read(disk.reference(), job);
    }

    const Partition& partition_of(const PartitionTable& table, std::string_view name) const
    {
        const auto* partition = table.find(name);
        if (!partition || partition->kind == "metadata")
            throw Error(ErrorCode::not_found,
                        "'" + def_.source.devices.front().path + "' has no partition '" +
                            std::string(name) + "'",
                        "list the volumes to see which exist");
        return *partition;
    }

    VolumeRecord record_of(const Partition& partition, const PartitionTable& table,
                           const StableLinks& links) const
    {
        VolumeRecord record{.name = partition.name(), .path = links.path_for(partition.path)};
        record.key = key_of(partition, table, record.path);
        auto& facts = record.facts;
        facts.capacity = partition.length;
        facts.allocation = partition.length;
        if (partition.kind == "extended") {
            facts.allocation = 0;
            for (const auto& each : table.partitions)
                if (each.kind == "logical")
                    facts.allocation += each.length;
        }
        facts.type = VolumeType::block;
        // Its place on the disk: after a deletion another partition may have its name.
        facts.inode = partition.start;
        struct stat status {};
        if (::stat(partition.path.c_str(), &status) == 0 && S_ISBLK(status.st_mode))
            facts.device = status.st_rdev;
        return record;
    }

    /** What stays when the disk gets another name; of two partitions that a careless copy gave the
     * same GUID each has its path. */
    static std::string key_of(const Partition& partition, const PartitionTable& table,
                              const std::string& path)
    {
        const auto& all = table.partitions;
        const bool own =
            !partition.guid.empty() && std::count_if(all.begin(), all.end(), [&](const auto& each) {
                                           return each.guid == partition.guid;
                                       }) == 1;
        return own ? partition.guid : path;
    }

    static void require_data(const VolumeDef& volume, const std::string& what)
    {
        if (volume.target.format == "extended")
            throw Error(ErrorCode::not_supported,
                        "'" + volume.target.path +
                            "' is an extended partition: it has no content to " + what);
    }

    std::uint64_t size_of(const VolumeDef& def) const
    {
        return def.target.format == "extended" ? def.capacity : device_capacity(def);
    }

    Partition plan(const PartitionProgram::Disk& disk, const VolumeDef& def) const
    {
        return program_.plan(disk, {.size = size_of(def), .format = def.target.format}, nullptr);
    }

    /** Adds the step that makes the partition, whole: an allocation means nothing here. @return its
     * device node */
    Partition add_partition(const VolumeDef& def, Change& change) const
    {
        const auto disk = find_table().reference();
        const auto planned = plan(disk, def);
        if (planned.name() != def.name)
            throw Error(ErrorCode::busy,
                        "volume '" + def.name + "': the next partition is '" + planned.name() +
                            "' by now",
                        "try again");
        change.add(create_partition_step(disk, planned, size_of(def), def.target.format));
        return planned;
    }

    static bool has_owner(const Permissions& permissions)
    {
        return permissions.mode || permissions.owner || permissions.group || permissions.label;
    }

    PoolDef def_;
    const Host& host_;
    PartitionProgram program_;
};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    return device_identities(def, system);
}

} // namespace

const BackendType disk_backend
{
    .info =
    {.type = "disk",
     .summary = "partitions of a disk",
     .available = BASIN_BACKEND_DISK,
     .unavailable_reason = BASIN_BACKEND_DISK ? "" : "pool type 'disk' was left out of this build",
#if BASIN_BACKEND_DISK
     .capabilities = {Capability::build_pool, Capability::overwrite_pool, Capability::start_pool,
                      Capability::delete_pool, Capability::create_volume, Capability::create_from,
                      Capability::delete_volume, Capability::grow_volume, Capability::shrink_volume,
                      Capability::wipe_volume, Capability::upload, Capability::download,
                      Capability::encrypted_volume, Capability::names_only},
#endif
     .volume_type = VolumeType::block,
     .source_required = {SourceField::device},
     .source_accepted = {SourceField::device},
     .names_volumes = true,
     .source_formats = source_formats,
     .volume_formats = volume_formats,
     .creatable_formats = volume_formats,
     .tools = tools,
     .libraries = libraries,
    },
#if BASIN_BACKEND_DISK
    .open = [](const PoolDef& def, const Host& host) -> std::unique_ptr<Backend> {
        return std::make_unique<DiskBackend>(def, host);
    },
#else
    .open = nullptr,
#endif
    .find_sources = nullptr, .source_identities = source_identities, .actions = disk_actions,
};

} // namespace storage::inline v1
