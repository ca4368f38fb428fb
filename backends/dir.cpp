// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "dir": volumes are files in a directory.
#include "backends.hpp"
#include "blockers.hpp"
#include "directory_changes.hpp"
#include "directory_volumes.hpp"
#include "file_steps.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"
#include "volume_access.hpp"

#include <cerrno>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr std::string_view creatable_formats[] = {
    "raw", "dir", "vpc", "vdi", "vhd", "qcow", "qcow2", "qed", "vmdk", "vhdx", "parallels"};
constexpr std::string_view tools[] = {"qemu-img"};
constexpr std::string_view libraries[] = {"libcryptsetup.so.12", "libcrypto.so.3"};

class DirBackend final : public Backend {
public:
    DirBackend(const PoolDef& def, const Host& host)
        : def_(def), host_(host), volumes_(def.target.path),
          changes_(def.target.path, def.name, host)
    {
    }

    Presence presence() override { return volumes_.presence(); }
    PoolSizes sizes() override { return volumes_.sizes(); }
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

    void build(BuildMode, Change& change) override
    {
        const auto& path = def_.target.path;
        Attributes attributes{.permissions = def_.target.permissions,
                              .copy_on_write = def_.copy_on_write,
                              .nocow_if_possible = !def_.copy_on_write};
        if (::access(path.c_str(), F_OK) == 0) {
            change.add(set_attributes_step(path, attributes));
            return;
        }
        // As libvirt: others may pass through, not look.
        constexpr std::uint32_t default_mode = 0711;
        if (!attributes.permissions.mode)
            attributes.permissions.mode = default_mode;
        change.add(make_tree_step(path, attributes));
    }

    void remove(Change& change) override { change.add(remove_directory_step(def_.target.path)); }

    void create_volume(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                       Change& change) override
    {
        changes_.create(def, source, flags, change);
    }
    void create_uploaded(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options, Change& change) override
    {
        changes_.create_uploaded(def, source, options, change);
    }
    void discard_upload(const std::string& name, Change& change) override
    {
        changes_.discard_upload(name, change);
    }
    void delete_volume(std::string_view name, Change& change) override
    {
        changes_.remove(name, change);
    }
    void rename_volume(std::string_view name, const std::string& new_name, Change& change) override
    {
        changes_.rename(name, new_name, change);
    }
    void resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                       Change& change) override
    {
        changes_.resize(volume, capacity, flags, change);
    }
    void wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change) override
    {
        list_wipe(volume, algorithm, change);
    }
    void upload(const VolumeDef& volume, const UploadSource& source, const TransferOptions& options,
                std::uint64_t& received, Change& change) override
    {
        list_upload(volume, source, options, received, change);
    }
    void create_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        changes_.create_snapshot(volume, name, change);
    }
    void delete_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        changes_.delete_snapshot(volume, name, change);
    }
    void revert_snapshot(const VolumeDef& volume, const std::string& name, Change& change) override
    {
        changes_.revert_snapshot(volume, name, change);
    }

    std::uint64_t download(std::string_view name, const DownloadTarget& target,
                           const TransferOptions& options, Job* job) override
    {
        return download_content(volumes_.path_of(name), target, options, job);
    }
    std::vector<Snapshot> snapshots(std::string_view name) override
    {
        return changes_.snapshots(volumes_.path_of(name));
    }
    std::optional<std::uint64_t> partial_upload(const std::string& name) override
    {
        return changes_.partial_upload(name);
    }
    std::vector<Blocker> blockers(std::string_view name) override
    {
        return file_blockers(volumes_.path_of(name), host_.system);
    }

private:
    PoolDef def_;
    const Host& host_;
    DirectoryVolumes volumes_;
    DirectoryChanges changes_;
};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    return directory_identities(def.target.path);
}

} // namespace

const BackendType dir_backend{
    .info =
        {
            .type = "dir",
            .summary = "files in a directory",
            .available = true,
            .capabilities = {Capability::build_pool, Capability::delete_pool,
                             Capability::create_volume, Capability::create_from,
                             Capability::delete_volume, Capability::grow_volume,
                             Capability::shrink_volume, Capability::rename_volume,
                             Capability::wipe_volume, Capability::upload, Capability::download,
                             Capability::snapshots, Capability::thin_volume,
                             Capability::backing_images, Capability::encrypted_volume,
                             Capability::reflink, Capability::names_only},
            .copy_on_write_option = true,
            .volume_formats = image_formats,
            .creatable_formats = creatable_formats,
            .tools = tools,
            .libraries = libraries,
        },
    .open = [](const PoolDef& def, const Host& host) -> std::unique_ptr<Backend> {
        return std::make_unique<DirBackend>(def, host);
    },
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
