// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/volume.hpp>

#include "backing_chain.hpp"
#include "job_impl.hpp"
#include "volume_lookup.hpp"

namespace storage::inline v1 {

Volume::Volume(std::shared_ptr<PoolObject> pool, std::string name)
    : pool_(std::move(pool)), name_(std::move(name))
{
}
Volume::Volume(const Volume&) = default;
Volume::Volume(Volume&&) noexcept = default;
Volume& Volume::operator=(const Volume&) = default;
Volume& Volume::operator=(Volume&&) noexcept = default;
Volume::~Volume() = default;

Pool Volume::pool() const
{
    return Pool::Access::make(pool_);
}

namespace {

/** What the table says of a volume, if it was read and nothing is known to have changed. */
std::optional<VolumeRecord> known_record(const PoolAccess& access, std::string_view name)
{
    const std::shared_lock reading(access.pool->table_mutex);
    if (!access.pool->table)
        return std::nullopt;
    return access.pool->table->find(name);
}

VolumeRecord present_record(PoolAccess& access, std::string_view name)
{
    access.require_started();
    const auto before = known_record(access, name);
    return access.active_backend().read(name, before ? &*before : nullptr);
}

ChainVolume chain_volume(const Volume& volume, const std::string& path)
{
    return {.pool_name = Volume::Access::pool(volume)->name,
            .volume_name = volume.name(),
            .path = normalised_path(path),
            .inspect = [volume] { return volume.inspect(); }};
}

} // namespace

std::string Volume::key() const
{
    PoolAccess access(pool_);
    if (const auto record = known_record(access, name_))
        return record->key;
    const auto record = present_record(access, name_);
    return record.key.empty() ? record.path : record.key;
}

std::string Volume::path() const
{
    PoolAccess access(pool_);
    if (const auto record = known_record(access, name_))
        return record->path;
    return present_record(access, name_).path;
}

VolumeInfo Volume::info() const
{
    PoolAccess access(pool_);
    const auto record = present_record(access, name_);
    return {.type = record.facts.type,
            .capacity = record.facts.capacity,
            .allocation = record.facts.allocation,
            .physical = record.facts.physical};
}

VolumeDef Volume::definition(BackingDepth depth) const
{
    PoolAccess access(pool_);
    auto def = access.active_backend().describe(name_);
    if (depth == BackingDepth::chain && !def.backing.empty())
        def.backing = backing_stores(chain());
    return def;
}

std::string Volume::xml(BackingDepth depth) const
{
    const auto type = PoolAccess(pool_).def().type;
    return format_volume(definition(depth), type);
}

ImageInfo Volume::inspect() const
{
    PoolAccess access(pool_);
    return access.active_backend().inspect(name_);
}

std::string Volume::identity() const
{
    PoolAccess access(pool_);
    return access.active_backend().identity(name_);
}

void Volume::refresh(Job* job)
{
    const CallScope call(job);
    PoolAccess access(pool_);
    access.require_started();
    const auto before = known_record(access, name_);
    const bool exists = access.update_volume(name_);
    const auto after = known_record(access, name_);
    if (!exists) {
        if (before)
            access.context->emit(EventKind::volume_deleted, *pool_, name_);
        throw Error(ErrorCode::not_found, volume_title(name_, *pool_) + " does not exist any more");
    }
    if (before && after && !(before->facts == after->facts))
        access.context->emit(EventKind::volume_changed, *pool_, name_);
}

std::vector<Snapshot> Volume::snapshots() const
{
    PoolAccess access(pool_);
    access.require_started();
    access.require(Capability::snapshots, "list snapshots");
    return access.active_backend().snapshots(name_);
}

std::uint64_t Volume::download(const DownloadTarget& target, const TransferOptions& options,
                               Job* job) const
{
    const CallScope call(job);
    PoolAccess access(pool_);
    access.require_started();
    access.require(Capability::download, "give downloads");
    return access.active_backend().download(name_, target, options, job);
}

std::vector<ChainLink> Volume::chain() const
{
    PoolAccess access(pool_);
    const auto record = present_record(access, name_);
    return follow_chain(chain_volume(*this, record.path), [&](const std::string& path) {
        const auto volume = volume_with_path(*access.context, path);
        return volume ? std::optional(chain_volume(*volume, volume->path())) : std::nullopt;
    });
}

std::vector<Volume> Volume::dependents() const
{
    PoolAccess access(pool_);
    const auto record = present_record(access, name_);
    return dependents_of(*access.context, record.path);
}

} // namespace storage::inline v1
