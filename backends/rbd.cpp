// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "rbd": a RADOS pool of a Ceph cluster, or a namespace in it; volumes are RBD images.
#include "backend_options.h"
#include "backends.hpp"
#include "image/wipe.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "rbd_content.hpp"
#include "rbd_creation.hpp"
#include "rbd_encryption.hpp"
#include "rbd_images.hpp"
#include "rbd_locks.hpp"
#include "rbd_steps.hpp"
#include "source_identity.hpp"
#include "transfer.hpp"

#include <algorithm>
#include <cerrno>

namespace storage::inline v1 {
namespace {

constexpr std::string_view volume_formats[] = {"raw"};
constexpr std::string_view libraries[] = {"librados.so.2", "librbd.so.1"};

class RbdBackend final : public Backend {
public:
    RbdBackend(const PoolDef& def, const Host& host) : def_(def), host_(host), keeper_(def, host) {}

    Presence presence() override
    {
        if (const auto connection = keeper_.open_connection())
            return {.state = PoolState::running, .identity = connection->identity()};
        return {.state = PoolState::running, .assumed = true};
    }
    Presence health() override;
    std::string path_scope() override
    {
        const RbdUse use(def_, host_);
        return use->identity().substr(0, use->identity().find(' ')); // the cluster's fsid
    }
    PoolSizes sizes() override
    {
        const RbdUse use(def_, host_);
        return rbd_pool_sizes(*use, def_);
    }
    void refresh(const VolumeTable* previous, VolumeTable& table, Job* job) override
    {
        const RbdUse use(def_, host_, job);
        refresh_images(use.shared(), previous, table, job);
    }
    std::vector<std::string> names(Job* job) override;
    VolumeRecord read(std::string_view name, const VolumeRecord*) override;
    VolumeDef describe(std::string_view name) override
    {
        const RbdUse use(def_, host_);
        return describe_image(open(use, name), name, allocation());
    }
    ImageInfo inspect(std::string_view name) override
    {
        // Raw, whatever a guest writes to it.
        const RbdUse use(def_, host_);
        return {.virtual_size = open(use, name).info().size};
    }
    std::string identity(std::string_view name) override
    {
        const RbdUse use(def_, host_);
        return use->identity() + ' ' + open(use, name).id();
    }

    void create_volume(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                       Change& change) override
    {
        plan_image(def_, {.def = def, .source = source, .flags = flags}, host_, change);
    }
    void create_uploaded(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options, Change& change) override;
    void discard_upload(const std::string& name, Change&) override
    {
        throw Error(ErrorCode::not_found, "no unfinished upload of '" + path_of(name) + "'");
    }
    std::optional<std::uint64_t> partial_upload(const std::string&) override
    {
        return std::nullopt;
    }
    void delete_volume(std::string_view name, Change& change) override;
    void rename_volume(std::string_view name, const std::string& new_name, Change& change) override;
    void resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                       Change& change) override;
    void wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change) override;
    void flatten_volume(const VolumeDef& volume, Change& change) override
    {
        change.add(flatten_image_step(def_, volume.name, id_of(volume.name)));
    }
    void upload(const VolumeDef& volume, const UploadSource& source, const TransferOptions& options,
                std::uint64_t& received, Change& change) override;
    std::uint64_t download(std::string_view name, const DownloadTarget& target,
                           const TransferOptions& options, Job* job) override;
    OpenContent content(std::string_view name) override
    {
        return [def = def_, &host = host_, name = std::string(name)] {
            return std::make_unique<RbdContent>(def, host, name, RbdImage::Mode::read);
        };
    }

    std::vector<Snapshot> snapshots(std::string_view name) override
    {
        const RbdUse use(def_, host_);
        return image_snapshots(open(use, name));
    }
    bool snapshots_while_open() override { return true; }
    void create_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        change.add(create_image_snapshot_step(def_, volume.name, id_of(volume.name), name));
    }
    void delete_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        change.add(remove_image_snapshot_step(def_, volume.name, id_of(volume.name), name));
    }
    void protect_snapshot(const VolumeDef& volume, const std::string& name, bool on,
                          Change& change) override
    {
        change.add(protect_image_snapshot_step(def_, volume.name, id_of(volume.name), name, on));
    }
    std::map<std::string, std::string> metadata(std::string_view name) override
    {
        const RbdUse use(def_, host_);
        return image_metadata(open(use, name));
    }
    bool is_own_key(std::string_view key) override { return is_own_image_key(key); }
    void set_metadata(const VolumeDef& volume, const std::string& key,
                      const std::optional<std::string>& value, Change& change) override
    {
        change.add(set_image_metadata_step(def_, volume.name, id_of(volume.name), key, value));
    }
    void revert_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        change.add(roll_back_image_step(def_, volume.name, id_of(volume.name), name));
    }

    std::vector<Blocker> blockers(std::string_view name) override
    {
        const RbdUse use(def_, host_);
        return image_blockers(open(use, name));
    }

private:
    static RbdImage open(const RbdUse& use, std::string_view name)
    {
        return RbdImage(use.shared(), name, RbdImage::Mode::read);
    }
    std::string id_of(std::string_view name) const
    {
        const RbdUse use(def_, host_);
        return open(use, name).id();
    }
    std::string path_of(std::string_view name) const
    {
        return def_.source.name + '/' + std::string(name);
    }
    RbdAllocation allocation() const
    {
        if (!def_.refresh_allocation)
            return RbdAllocation::cheap;
        return *def_.refresh_allocation == RefreshAllocation::exact ? RbdAllocation::exact
                                                                    : RbdAllocation::upper_bound;
    }

    PoolDef def_;
    const Host& host_;
    RbdKeeper keeper_;
};

Presence RbdBackend::health()
{
    try {
        const RbdUse use(def_, host_);
        return {.state = PoolState::running, .identity = use->identity()};
    } catch (const Error& error) {
        // Of the cluster's answers; a secret that is missing is said as it is.
        if (error.code() != ErrorCode::not_found || error.os_error() != ENOENT)
            throw;
        return {.reason = error.what()};
    }
}

std::vector<std::string> RbdBackend::names(Job* job)
{
    const RbdUse use(def_, host_, job);
    std::vector<std::string> result;
    for (auto& entry : list_images(*use))
        if (volume_name_problem(entry.name).empty()) // the others are diagnostics of a refresh
            result.push_back(std::move(entry.name));
    std::sort(result.begin(), result.end());
    return result;
}

VolumeRecord RbdBackend::read(std::string_view name, const VolumeRecord*)
{
    const RbdUse use(def_, host_);
    if (is_unfinished_image(name))
        throw Error(ErrorCode::not_found, "'" + path_of(name) + "': there is no such image");
    if (const auto size = use->take_new(name))
        return {.name = std::string(name),
                .key = path_of(name),
                .path = path_of(name),
                .facts = {.capacity = *size,
                          .physical = *size,
                          .format = ImageFormat::raw,
                          .type = VolumeType::network}};
    return image_record(open(use, name), name, allocation());
}

void RbdBackend::create_uploaded(const VolumeDef& def, const UploadSource& source,
                                 const TransferOptions& options, Change& change)
{
    const auto path = path_of(def.name);
    if (options.resumable)
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an upload to an image cannot be resumed",
                    "make the volume, then upload into it from an offset on");
    if (options.offset != 0)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': the upload of a new volume begins at offset 0");
    plan_image(def_, {.def = def, .upload = &source, .transfer = &options}, host_, change);
}

void RbdBackend::delete_volume(std::string_view name, Change& change)
{
    const RbdUse use(def_, host_);
    const auto image = open(use, name);
    // The core has made sure that snapshots may go. Clones need what they are based on.
    if (const auto children = image_children(image); !children.empty())
        throw Error(ErrorCode::busy,
                    "'" + image.path() + "': clone '" + children.front() + "'" +
                        (children.size() > 1
                             ? " and " + std::to_string(children.size() - 1) + " more"
                             : "") +
                        " would lose what it is based on",
                    "delete or flatten the clones first");
    const auto id = image.id();
    const auto snapshots = image_snapshots(image);
    for (const auto& snapshot : snapshots)
        if (snapshot.is_protected)
            throw Error(ErrorCode::busy,
                        "'" + image.path() + "': snapshot '" + snapshot.name + "' is protected",
                        "take its protection away first");
    for (const auto& snapshot : snapshots)
        change.add(remove_image_snapshot_step(def_, std::string(name), id, snapshot.name));
    change.add(remove_image_step(def_, std::string(name), id));
}

void RbdBackend::rename_volume(std::string_view name, const std::string& new_name, Change& change)
{
    if (new_name.find('@') != std::string::npos)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path_of(new_name) + "': a name with '@' would mean a snapshot",
                    "choose another name");
    change.add(rename_image_step(def_, std::string(name), id_of(name), new_name));
}

void RbdBackend::resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                               Change& change)
{
    if (has(flags, ResizeFlags::allocate))
        throw Error(ErrorCode::not_supported,
                    "'" + volume.target.path + "': an image gets its space when it is written to",
                    "leave the flag out");
    if (capacity == 0)
        throw Error(ErrorCode::invalid_argument, "'" + volume.target.path + "': a capacity of 0",
                    "delete it, if that is meant");
    if (capacity == volume.capacity)
        return;
    const RbdUse use(def_, host_);
    const auto image = open(use, volume.name);
    const auto header = image_encryption(image).header;
    if (capacity > INT64_MAX - header)
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.target.path + "': no image has so much room behind its header");
    change.add(resize_image_step(def_, volume.name, image.id(), header + volume.capacity,
                                 header + capacity));
}

void RbdBackend::wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change)
{
    const std::string method(to_string(algorithm));
    change.add(
        change_image_step(def_, volume.name, {"wipe", method, volume.target.path},
                          "overwrite the content of '" + volume.target.path + "' (" + method + ")",
                          [pool = def_, &host = host_, name = volume.name, id = id_of(volume.name),
                           algorithm](const FileWork& work) {
                              RbdContent content(pool, host, name, RbdImage::Mode::write,
                                                 RbdContent::State::used, work.job);
                              require_changeable(content.image(), id);
                              forget_encryption(content.image()); // its header goes first
                              wipe_image(content, algorithm, work.job);
                              return true;
                          }));
}

void RbdBackend::upload(const VolumeDef& volume, const UploadSource& source,
                        const TransferOptions& options, std::uint64_t& received, Change& change)
{
    const auto& path = volume.target.path;
    const RbdUse use(def_, host_);
    const auto size = open(use, volume.name).info().size;
    check_range(path, options.offset, options.length, size, "make the volume larger first");
    check_upload(path, source, options, size - options.offset);
    change.add(change_image_step(
        def_, volume.name, {"rbd_aio_write", path},
        "write an upload into '" + path + "' at offset " + std::to_string(options.offset),
        [pool = def_, &host = host_, name = volume.name, id = id_of(volume.name), source, options,
         &received](const FileWork& work) {
            RbdContent content(pool, host, name, RbdImage::Mode::write, RbdContent::State::used,
                               work.job);
            require_changeable(content.image(), id);
            received = receive_content(source, options, content, work.path, work.job);
            return true;
        }));
}

std::uint64_t RbdBackend::download(std::string_view name, const DownloadTarget& target,
                                   const TransferOptions& options, Job* job)
{
    RbdContent content(def_, host_, name, RbdImage::Mode::read, RbdContent::State::used, job);
    const auto path = path_of(name);
    const auto length = content.length();
    check_range(path, options.offset, options.length, length,
                "use a length of 0 for all up to the end");
    const auto wanted = options.length ? options.length : length - options.offset;
    if (is_dry_run(job))
        return wanted;
    return send_content(content, path, wanted, target, options, job);
}

// ---- the type ----------------------------------------------------------------------------------

std::unique_ptr<Backend> open_rbd(const PoolDef& def, const Host& host)
{
    return std::make_unique<RbdBackend>(def, host);
}

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    // Monitors of one cluster: a shared one is enough to tell that it is the same cluster.
    std::vector<std::string> result;
    for (const auto& host : def.source.hosts)
        result.push_back("rbd:" + canonical_host(host, {6789, 3300}) + ' ' + def.source.name);
    return result;
}

} // namespace

const BackendType rbd_backend{
    .info =
        {
            .type = "rbd",
            .summary = "RBD images of a Ceph pool",
            .available = BASIN_BACKEND_RBD,
            .unavailable_reason =
                BASIN_BACKEND_RBD ? "" : "pool type 'rbd' was left out of this build",
            .capabilities = BASIN_BACKEND_RBD
                                ? Capabilities{Capability::create_volume, Capability::create_from,
                                               Capability::delete_volume, Capability::grow_volume,
                                               Capability::shrink_volume, Capability::rename_volume,
                                               Capability::wipe_volume, Capability::upload,
                                               Capability::download, Capability::snapshots,
                                               Capability::thin_volume, Capability::backing_images,
                                               Capability::names_only, Capability::encrypted_volume,
                                               Capability::flatten_volume, Capability::metadata,
                                               Capability::protect_snapshots}
                                : Capabilities{},
            .volume_type = VolumeType::network,
            .source_required = {SourceField::host, SourceField::name},
            .source_accepted = {SourceField::host, SourceField::name, SourceField::auth},
            .target_path = TargetPath::none,
            .config_options = true,
            .refresh_option = true,
            .volume_formats = volume_formats,
            .creatable_formats = volume_formats,
            .libraries = libraries,
        },
    .open = BASIN_BACKEND_RBD ? open_rbd : nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
    .actions = rbd_actions,
    .path_scheme = "rbd:",
};

} // namespace storage::inline v1
