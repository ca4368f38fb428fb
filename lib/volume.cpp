// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/volume.hpp>

#include "job_impl.hpp"
#include "lifecycle.hpp"

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

[[noreturn]] void not_yet(const PoolPointer& pool, Capability capability, std::string_view what)
{
    const PoolAccess access(pool);
    access.require_started();
    access.require(capability, what);
    throw Error(ErrorCode::internal, access.title() + ": " + std::string(to_string(capability)) +
                                         " is announced, but not implemented");
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

VolumeDef Volume::definition(BackingDepth) const
{
    PoolAccess access(pool_);
    return access.active_backend().describe(name_);
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
    begin(job);
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

void Volume::delete_storage(BlockerKind, Job* job)
{
    begin(job);
    PoolAccess access(pool_);
    auto& context = *access.context;
    context.require_writable("deleting " + volume_title(name_, *pool_));
    access.require_started();
    access.require(Capability::delete_volume, "delete volumes");
    std::optional<HeldLock> lock;
    if (!is_dry_run(job)) {
        lock.emplace(context.locks.lock_volume(pool_->uuid, pool_->name, name_, "vol-delete", job));
        access = PoolAccess(pool_);
    }
    Change change("vol-delete " + pool_->name + ' ' + name_);
    access.active_backend().delete_volume(name_, change);
    if (!change.execute(context.change_host(job)))
        return;
    access.update_volume(name_);
    context.emit(EventKind::volume_deleted, *pool_, name_);
}

void Volume::resize(std::uint64_t, ResizeFlags flags, BlockerKind, Job*)
{
    not_yet(pool_,
            has(flags, ResizeFlags::shrink) ? Capability::shrink_volume : Capability::grow_volume,
            "resize volumes yet");
}

void Volume::rename(const std::string&, BlockerKind, Job*)
{
    not_yet(pool_, Capability::rename_volume, "rename volumes yet");
}
void Volume::wipe(WipeAlgorithm, BlockerKind, Job*)
{
    not_yet(pool_, Capability::wipe_volume, "wipe volumes yet");
}

std::uint64_t Volume::upload(const UploadSource&, const TransferOptions&, Job*)
{
    not_yet(pool_, Capability::upload, "take uploads yet");
}

std::uint64_t Volume::download(const DownloadTarget&, const TransferOptions&, Job*) const
{
    not_yet(pool_, Capability::download, "give downloads yet");
}

std::vector<Snapshot> Volume::snapshots() const
{
    not_yet(pool_, Capability::snapshots, "list snapshots yet");
}

Snapshot Volume::create_snapshot(const std::string&, Job*)
{
    not_yet(pool_, Capability::snapshots, "make snapshots yet");
}

void Volume::delete_snapshot(const std::string&, Job*)
{
    not_yet(pool_, Capability::snapshots, "delete snapshots yet");
}
void Volume::revert_snapshot(const std::string&, Job*)
{
    not_yet(pool_, Capability::snapshots, "revert snapshots yet");
}

std::vector<ChainLink> Volume::chain() const
{
    not_yet(pool_, Capability::backing_images, "have backing images yet");
}

std::vector<Volume> Volume::dependents() const
{
    not_yet(pool_, Capability::backing_images, "have backing images yet");
}

std::vector<Blocker> Volume::blockers() const
{
    throw Error(ErrorCode::not_supported,
                volume_title(name_, *pool_) + ": blockers are not looked for yet");
}

} // namespace storage::inline v1
