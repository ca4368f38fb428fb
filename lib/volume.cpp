// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/volume.hpp>

#include "backing_chain.hpp"
#include "job_impl.hpp"
#include "pool_asked.hpp"
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

} // namespace

std::string Volume::key() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        if (const auto record = known_record(access, name))
            return record->key;
        const auto record = present_record(access, name);
        return record.key.empty() ? record.path : record.key;
    });
}

std::string Volume::path() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        if (const auto record = known_record(access, name))
            return record->path;
        return present_record(access, name).path;
    });
}

VolumeInfo Volume::info() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        const auto record = present_record(access, name);
        return VolumeInfo{.type = record.facts.type,
                          .capacity = record.facts.capacity,
                          .allocation = record.facts.allocation,
                          .physical = record.facts.physical};
    });
}

VolumeDef Volume::definition(BackingDepth depth) const
{
    return look(pool_asked(*this), [self = *this, depth] {
        PoolAccess access(self.pool_);
        auto def = access.active_backend().describe(self.name_);
        if (depth == BackingDepth::chain && !def.backing.empty())
            def.backing = backing_stores(self.chain());
        return def;
    });
}

std::string Volume::xml(BackingDepth depth) const
{
    const auto type = PoolAccess(pool_).def().type;
    return format_volume(definition(depth), type);
}

ImageInfo Volume::inspect() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        return access.active_backend().inspect(name);
    });
}

std::string Volume::identity() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        return access.active_backend().identity(name);
    });
}

Volume Volume::expecting(const std::string& identity) const
{
    if (identity.empty())
        throw Error(ErrorCode::invalid_argument,
                    volume_title(name_, *pool_) + ": an empty identity",
                    "give what identity() said");
    auto result = *this;
    result.expected_ = identity;
    return result;
}

void Volume::refresh(Job* job)
{
    operate(pool_, job, [pool = pool_, name = name_](Job*) {
        PoolAccess access(pool);
        access.require_started();
        const auto before = known_record(access, name);
        const bool exists = access.update_volume(name);
        const auto after = known_record(access, name);
        if (!exists) {
            if (before)
                access.context->emit(EventKind::volume_deleted, *pool, name);
            throw Error(ErrorCode::not_found,
                        volume_title(name, *pool) + " does not exist any more");
        }
        if (before && after && !(before->facts == after->facts))
            access.context->emit(EventKind::volume_changed, *pool, name);
    });
}

std::vector<Snapshot> Volume::snapshots() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        access.require_started();
        access.require(Capability::snapshots, "list snapshots");
        return access.active_backend().snapshots(name);
    });
}

std::uint64_t Volume::download(const DownloadTarget& target, const TransferOptions& options,
                               Job* job) const
{
    return operate(pool_, job,
                   [pool = pool_, name = name_, target = kept(target), options](Job* own) {
                       PoolAccess access(pool);
                       access.require_started();
                       access.require(Capability::download, "give downloads");
                       return access.active_backend().download(name, *target, options, own);
                   });
}

std::vector<ChainLink> Volume::chain() const
{
    return look(pool_asked(*this), [self = *this] {
        PoolAccess access(self.pool_);
        const auto record = present_record(access, self.name_);
        auto chain = image_chain(*access.context, self, record.path);
        const auto origins = origins_of(self);
        chain.insert(chain.begin() + 1, origins.begin(), origins.end());
        return chain;
    });
}

std::vector<Volume> Volume::dependents() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        const auto record = present_record(access, name);
        return dependents_of(access, record.path);
    });
}

} // namespace storage::inline v1
