// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "dir": volumes are files in a directory.
#include "backends.hpp"
#include "directory_volume_steps.hpp"
#include "directory_volumes.hpp"
#include "file_steps.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"

#include <cerrno>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr std::string_view creatable_formats[] = {"raw", "dir"};

class DirBackend final : public Backend {
public:
    explicit DirBackend(const PoolDef& def) : def_(def), volumes_(def.target.path) {}

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

    void create_volume(const VolumeDef& def, const VolumeRecord* source, CreateFlags flags,
                       Change& change) override
    {
        list_create_steps(def_.target.path, def, source ? source->path : std::string(),
                          has(flags, CreateFlags::reflink), change);
    }

    void delete_volume(std::string_view name, Change& change) override
    {
        list_delete_steps(def_.target.path, name, change);
    }

private:
    PoolDef def_;
    DirectoryVolumes volumes_;
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
                             Capability::reflink, Capability::delete_volume,
                             Capability::thin_volume, Capability::names_only},
            .copy_on_write_option = true,
            .volume_formats = image_formats,
            .creatable_formats = creatable_formats,
        },
    .open = [](const PoolDef& def, const Host&) -> std::unique_ptr<Backend> {
        return std::make_unique<DirBackend>(def);
    },
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
