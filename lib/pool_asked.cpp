// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_asked.hpp"

#include "file_io.hpp"

#include <set>

namespace storage::inline v1 {

namespace {

bool has_files(const PoolDef& def)
{
    return backend_type(def.type).info.volume_type == VolumeType::file;
}

std::vector<std::string> references_of(PoolAccess& access, const std::string& name)
{
    {
        const std::shared_lock reading(access.pool->table_mutex);
        if (const auto& table = access.pool->table) {
            const auto index = table->find_index(name);
            return index && table->has_references(*index) ? table->record(*index).references
                                                          : std::vector<std::string>();
        }
    }
    return access.active_backend().read(name, nullptr).references;
}

constexpr std::size_t most_images = 1000;

/** The first pool that may hang among those of these images and the ones below; or null. */
PoolPointer find_unsteady(Context::Impl& context, std::vector<std::string> images)
{
    // Each once: a guest may write into its image what names many others, or those each other.
    std::set<std::string> seen(images.begin(), images.end());
    for (std::size_t i = 0; i < images.size(); ++i) {
        const auto image = images[i];
        const auto directory = parent_directory(image);
        for (const auto& pool : context.all_where([&](const PoolFiles& files) {
                 return files.started && has_files(files.started->definition) &&
                        files.started->definition.target.path == directory;
             })) {
            if (pool->steadiness != Steadiness::steady)
                return pool;
            PoolAccess access(pool);
            for (const auto& below : references_of(access, image.substr(image.rfind('/') + 1)))
                if (seen.size() < most_images && seen.insert(below).second)
                    images.push_back(below);
        }
    }
    return nullptr;
}

template <typename Images>
PoolPointer asked_for(const PoolPointer& pool, Job* job, Images&& images)
{
    // Found out, unless the call waits for ever anyway.
    if (pool->steadiness == Steadiness::unknown) {
        if (job)
            operate(pool, job, [](Job*) {});
        else
            look(pool, [] {});
    }
    if (pool->steadiness != Steadiness::steady || pool->left_calls->count() != 0)
        return pool;
    try {
        PoolAccess access(pool);
        auto unsteady = find_unsteady(*access.context, images(access));
        return unsteady ? unsteady : pool;
    } catch (const Error&) { // the call itself says what is wrong
        return pool;
    }
}

} // namespace

PoolPointer pool_asked(const Volume& volume, Job* job)
{
    return asked_for(Volume::Access::pool(volume), job, [&](PoolAccess& access) {
        return has_files(access.def()) ? references_of(access, volume.name())
                                       : std::vector<std::string>();
    });
}

PoolPointer pool_asked(const PoolPointer& pool, const VolumeDef& def, Job* job)
{
    if (def.backing.empty())
        return pool;
    return asked_for(
        pool, job, [&](PoolAccess&) { return std::vector<std::string>{def.backing.front().path}; });
}

} // namespace storage::inline v1
