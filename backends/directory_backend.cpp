// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_backend.hpp"

#include "blockers.hpp"
#include "directory_changes.hpp"
#include "directory_volumes.hpp"
#include "file_attributes.hpp"
#include "file_steps.hpp"
#include "step_parts.hpp"
#include "volume_access.hpp"

#include <mutex>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

class DirectoryBackend final : public Backend {
public:
    DirectoryBackend(const PoolDef& def, const Host& host, std::unique_ptr<DirectoryOrigin> origin)
        : def_(def), host_(host), origin_(std::move(origin)), volumes_(def.target.path)
    {
    }

    Presence presence() override
    {
        auto found = origin_->presence();
        if (found.state == PoolState::inactive)
            return found;
        auto directory = volumes_.presence();
        if (directory.state == PoolState::inactive)
            return directory;
        if (found.mount_id != 0 && directory.mount_id != 0 && directory.mount_id != found.mount_id)
            return {.reason = "what is mounted at '" + def_.target.path + "' has just changed"};
        if (!found.identity.empty())
            directory.identity = found.identity;
        directory.state = found.state;
        directory.reason = found.reason;
        return directory;
    }
    void accept(const Presence& presence) override
    {
        const std::lock_guard lock(place_mutex_);
        place_ = presence.place;
    }
    std::string place() const override
    {
        const std::lock_guard lock(place_mutex_);
        return place_;
    }
    bool may_hang() override { return volumes_.may_hang(); }
    PoolSizes sizes() override { return volumes_.sizes(); }
    void show(PoolDef& def) override { def.target.permissions = volumes_.permissions(); }
    void refresh(const VolumeTable* previous, VolumeTable& table, Job* job) override
    {
        volumes_.refresh(previous, table, job);
    }
    std::vector<std::string> names(Job* job) override { return volumes_.names(job); }
    VolumeRecord read(std::string_view name, const VolumeRecord* previous) override
    {
        return volumes_.read(name, previous);
    }
    VolumeDef describe(std::string_view name) override { return volumes_.describe(name); }
    ImageInfo inspect(std::string_view name) override { return volumes_.inspect(name); }
    std::string identity(std::string_view name) override { return volumes_.identity(name); }

    void build(BuildMode mode, Change& change) override { origin_->build(mode, change); }
    std::string start(Change& change) override { return origin_->start(change); }
    void stop(const std::string& started, Change& change) override
    {
        origin_->stop(started, change);
    }
    void remove(Change& change) override { change.add(remove_directory_step(def_.target.path)); }
    std::string storage_identity() override
    {
        if (auto below = origin_->storage_identity(); !below.empty())
            return below;
        return std::string(file_identity_prefix) + target_identity(def_.target.path);
    }

    void create_volume(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                       Change& change) override
    {
        changes().create(def, source, flags, change);
    }
    void create_uploaded(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options, Change& change) override
    {
        changes().create_uploaded(def, source, options, change);
    }
    void discard_upload(const std::string& name, Change& change) override
    {
        changes().discard_upload(name, change);
    }
    void delete_volume(std::string_view name, Change& change) override
    {
        changes().remove(name, change);
    }
    void rename_volume(std::string_view name, const std::string& new_name, Change& change) override
    {
        changes().rename(name, new_name, change);
    }
    void resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                       Change& change) override
    {
        changes().resize(volume, capacity, flags, change);
    }
    void wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change) override
    {
        change.add(within(wipe_step(volume, algorithm), place()));
    }
    void upload(const VolumeDef& volume, const UploadSource& source, const TransferOptions& options,
                std::uint64_t& received, Change& change) override
    {
        change.add(within(upload_step(volume, source, options, received), place()));
    }
    void flatten_volume(const VolumeDef& volume, Change& change) override
    {
        changes().flatten(volume, change);
    }
    void create_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        changes().create_snapshot(volume, name, change);
    }
    void delete_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        changes().delete_snapshot(volume, name, change);
    }
    void revert_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        changes().revert_snapshot(volume, name, change);
    }

    std::uint64_t download(std::string_view name, const DownloadTarget& target,
                           const TransferOptions& options, Job* job) override
    {
        return download_content(volumes_.path_of(name), target, options, job, place());
    }
    std::vector<Snapshot> snapshots(std::string_view name) override
    {
        return changes().snapshots(volumes_.path_of(name));
    }
    std::optional<std::uint64_t> partial_upload(const std::string& name) override
    {
        return changes().partial_upload(name);
    }
    std::string upload_identity(const std::string& name) override
    {
        return changes().upload_identity(name);
    }
    std::vector<Blocker> blockers(std::string_view name) override
    {
        return file_blockers(volumes_.path_of(name), host_.system);
    }

private:
    DirectoryChanges changes() const { return {{def_.target.path, place()}, def_.name, host_}; }

    PoolDef def_;
    const Host& host_;
    std::unique_ptr<DirectoryOrigin> origin_;
    DirectoryVolumes volumes_;
    mutable std::mutex place_mutex_{};
    std::string place_{};
};

} // namespace

std::unique_ptr<Backend> make_directory_backend(const PoolDef& def, const Host& host,
                                                std::unique_ptr<DirectoryOrigin> origin)
{
    return std::make_unique<DirectoryBackend>(def, host, std::move(origin));
}

void list_directory(const PoolDef& def, Change& change)
{
    const auto& path = def.target.path;
    Attributes attributes{.permissions = def.target.permissions,
                          .copy_on_write = def.copy_on_write,
                          .nocow_if_possible = !def.copy_on_write};
    if (::access(path.c_str(), F_OK) == 0) {
        if (def.copy_on_write)
            require_copy_on_write_switch(path, path);
        change.add(set_attributes_step(path, attributes));
        return;
    }
    // As libvirt: others may pass through, not look.
    constexpr std::uint32_t default_mode = 0711;
    if (!attributes.permissions.mode)
        attributes.permissions.mode = default_mode;
    change.add(make_tree_step(path, attributes));
}

} // namespace storage::inline v1
