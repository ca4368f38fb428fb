// SPDX-License-Identifier: LGPL-2.1-or-later
// Volume: the calls that change what exists.
#include "volume_change.hpp"

#include "file_io.hpp"
#include "names.hpp"
#include "pool_asked.hpp"
#include "transfer.hpp"

#include "volume_lookup.hpp"

#include <algorithm>
#include <fcntl.h>
#include <shared_mutex>
#include <sys/stat.h>
#include <thread>

namespace storage::inline v1 {

namespace {

constexpr auto seen_by_the_system =
    BlockerKind::open | BlockerKind::loop_device | BlockerKind::mounted | BlockerKind::holder;

bool all_allowed(BlockerKind allowed, BlockerKind kinds)
{
    const auto bits = [](BlockerKind kind) { return static_cast<std::uint32_t>(kind); };
    return (bits(allowed) & bits(kinds)) == bits(kinds);
}

/** What the pool's list has of it: an unchanged volume need not be opened to be read again. */
std::optional<VolumeRecord> known_volume(const PoolAccess& access, const std::string& name)
{
    const std::shared_lock reading(access.pool->table_mutex);
    return access.pool->table ? access.pool->table->find(name) : std::nullopt;
}

/** Where snapshots are the storage's own work, neither users nor clones are in their way. */
BlockerKind allowed_for_snapshots(PoolAccess& access)
{
    return access.backend().snapshots_while_open()
               ? seen_by_the_system | BlockerKind::snapshot | BlockerKind::backing_image
               : BlockerKind::snapshot;
}

/** None of an image so damaged that nobody can go back to one. */
std::vector<Snapshot> readable_snapshots(Backend& backend, const std::string& name)
{
    try {
        return backend.snapshots(name);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::parse_failed)
            throw;
        return {};
    }
}

/** Whether the volume is a symbolic link in the pool's directory; that of a device is udev's. */
bool is_own_link(const PoolAccess& access, const std::string& path)
{
    struct stat status {};
    return access.info().volume_type == VolumeType::file && ::lstat(path.c_str(), &status) == 0 &&
           S_ISLNK(status.st_mode);
}

} // namespace

std::vector<Blocker> blockers_of(PoolAccess& access, const std::string& name, BlockerKind allowed,
                                 Links links)
{
    std::vector<Blocker> found;
    auto& backend = access.active_backend();
    const auto known = known_volume(access, name);
    const auto record = backend.read(name, known ? &*known : nullptr);
    const auto& path = record.path;
    const bool is_link = links == Links::themselves && is_own_link(access, path);
    if (is_link) // what it leads to stays as it is
        allowed = allowed | seen_by_the_system | BlockerKind::snapshot | BlockerKind::volume;
    if (!all_allowed(allowed, seen_by_the_system | BlockerKind::snapshot |
                                  BlockerKind::backing_image | BlockerKind::volume))
        found = backend.blockers(name);
    // Of the image formats qcow2 alone keeps snapshots; other pool types tell of theirs themselves.
    if (!has(allowed, BlockerKind::snapshot) && record.facts.format == ImageFormat::qcow2)
        for (const auto& snapshot : readable_snapshots(backend, name))
            found.push_back({.kind = BlockerKind::snapshot,
                             .message = "snapshot '" + snapshot.name + "' would be lost"});
    if (!has(allowed, BlockerKind::backing_image))
        for (const auto& volume : dependents_of(access, path, is_link ? links : Links::followed))
            found.push_back(
                {.kind = BlockerKind::backing_image,
                 .message = "backing image or data file of " +
                            volume_title(volume.name(), *Volume::Access::pool(volume))});
    std::erase_if(found, [&](const Blocker& blocker) { return has(allowed, blocker.kind); });
    return found;
}

void require_unblocked(PoolAccess& access, const std::string& name, BlockerKind allowed,
                       const VolumeOperation& operation, Job* job, Links links)
{
    auto found = blockers_of(access, name, allowed, links);
    // Who has it open may only be looking at it for an instant, as a refresh does, and on a busy
    // machine the next one comes before the first has gone.
    const auto only_open = [&] {
        return !found.empty() && std::all_of(found.begin(), found.end(), [](const Blocker& b) {
            return b.kind == BlockerKind::open;
        });
    };
    constexpr std::chrono::milliseconds most{128}; // a quarter of a second in all
    for (std::chrono::milliseconds pause{1}; only_open() && pause <= most; pause *= 2) {
        check(job, operation.verb);
        std::this_thread::sleep_for(pause);
        found = blockers_of(access, name, allowed, links);
    }
    if (found.empty())
        return;
    std::string lines;
    std::string kinds;
    for (const auto& blocker : found) {
        const std::string kind(to_string(blocker.kind));
        lines += kind + ": " + blocker.message + '\n';
        if (kinds.find(kind) == std::string::npos)
            kinds += (kinds.empty() ? "" : ", ") + kind;
    }
    throw Error(ErrorCode::busy,
                volume_title(name, *access.pool) + ": " + std::string(operation.verb) +
                    " it is stopped by what uses it: " + found.front().message +
                    (found.size() > 1 ? " and " + std::to_string(found.size() - 1) + " more" : ""),
                operation.may_be_allowed ? "end its use, or allow it explicitly (" + kinds + ")"
                                         : "end its use first",
                lines);
}

void require_expected(PoolAccess& access, const Volume& volume)
{
    const auto& expected = Volume::Access::expected(volume);
    if (!expected.empty() && access.active_backend().identity(volume.name()) != expected)
        throw Error(ErrorCode::not_found,
                    volume_title(volume.name(), *access.pool) +
                        " is not the one that was meant: another one has its name",
                    "look again, and decide anew");
}

namespace {

/** What the table has of it. @param told  whether somebody has told that it changed */
std::optional<VolumeRecord> known_now(PoolObject& pool, const std::string& name, bool& told)
{
    const std::unique_lock writing(pool.table_mutex);
    const auto news = pool.news.names().find(name);
    told = news != pool.news.names().end();
    if (told)
        pool.news.settle(name, news->second); // it is looked at right now
    return pool.table ? pool.table->find(name) : std::nullopt;
}

} // namespace

void tell_changes(PoolAccess& access, const std::string& name, Doer doer)
{
    auto& pool = *access.pool;
    bool told = false, ignored = false;
    auto before = known_now(pool, name, told);
    access.update_volume(name);
    const auto after = known_now(pool, name, ignored);
    if (told || (!before && !after))
        return;
    if (before && after)
        before->facts.fresh = after->facts.fresh; // that time has passed is no news
    if (!before || !after)
        access.context->emit(before ? EventKind::volume_deleted : EventKind::volume_created, pool,
                             name, doer);
    else if (before->facts != after->facts)
        access.context->emit(EventKind::volume_changed, pool, name, doer);
}

std::vector<Blocker> Volume::blockers() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        access.require_started();
        auto found = blockers_of(access, name, BlockerKind::none);
        if (const auto holder = access.context->locks.volume_holder({pool->uuid, pool->name, name});
            !holder.empty())
            found.push_back({.kind = BlockerKind::job, .message = "in use by " + holder});
        return found;
    });
}

void Volume::delete_storage(BlockerKind allowed, Job* job)
{
    operate(pool_, job, [self = *this, pool = pool_, name = name_, allowed](Job* own) {
        PoolAccess access(pool);
        if (change_volume(access, self,
                          {"vol-delete", "deleting", Capability::delete_volume, "delete volumes",
                           EventKind::volume_deleted},
                          allowed, own,
                          [&](PoolAccess& now, Change& change) {
                              now.active_backend().delete_volume(name, change);
                          }) &&
            (access.info().names_volumes ||
             (access.has_snapshots_as_volumes() && allowed != BlockerKind::none)))
            access.update_others(name); // also what went with it
    });
}

namespace {

/** A program that changes an image in place would change these files, too, and opens all that the
 * image is based on. */
void refuse_strangers(PoolAccess& access, const VolumeDef& volume)
{
    if (volume.target.format == "raw" || (volume.type && *volume.type == VolumeType::dir) ||
        access.info().volume_formats.empty()) // all of them are raw
        return;
    auto& context = *access.context;
    const auto header = access.active_backend().inspect(volume.name);
    const auto stranger =
        header.backing
            ? untrusted_reference(context, Volume::Access::make(access.pool, volume.name))
            : foreign_data(context, volume.target.path, header);
    if (stranger)
        throw Error(ErrorCode::not_supported,
                    volume_title(volume.name, *access.pool) + ' ' + stranger->problem,
                    stranger->remedy);
}

std::uint64_t new_capacity(std::uint64_t before, std::uint64_t number, ResizeFlags flags,
                           const std::string& title)
{
    std::uint64_t capacity = number;
    if (has(flags, ResizeFlags::delta)) {
        if (has(flags, ResizeFlags::shrink))
            capacity = before - std::min(before, number);
        else if (__builtin_add_overflow(before, number, &capacity))
            capacity = UINT64_MAX;
    }
    if (capacity > INT64_MAX)
        throw Error(ErrorCode::invalid_argument,
                    title + ": the capacity would be more than 2^63 - 1 bytes",
                    "give a smaller one");
    if (capacity < before && !has(flags, ResizeFlags::shrink))
        throw Error(ErrorCode::invalid_argument,
                    title + ": new capacity " + std::to_string(capacity) +
                        " is below the present one of " + std::to_string(before) + " bytes",
                    "say that it shall shrink, if what lies behind may be lost");
    return capacity;
}

} // namespace

void Volume::resize(std::uint64_t number, ResizeFlags flags, BlockerKind allowed, Job* job)
{
    const auto asked = pool_asked(*this, job);
    operate(
        asked, job, [self = *this, pool = pool_, name = name_, number, flags, allowed](Job* own) {
            PoolAccess access(pool);
            const auto capability = has(flags, ResizeFlags::shrink) ? Capability::shrink_volume
                                                                    : Capability::grow_volume;
            // Snapshots keep their own size, and what is in a thin pool too.
            const auto ignored = allowed | BlockerKind::snapshot | BlockerKind::volume;
            if (change_volume(access, self,
                              {"vol-resize", "resizing", capability, "resize volumes"}, ignored,
                              own,
                              [&](PoolAccess& now, Change& change) {
                                  auto& backend = now.active_backend();
                                  const auto volume = backend.describe(name);
                                  const auto capacity = new_capacity(volume.capacity, number, flags,
                                                                     volume_title(name, *pool));
                                  refuse_strangers(now, volume);
                                  backend.resize_volume(volume, capacity, flags, change);
                              }) &&
                access.info().names_volumes)
                access.update_others();
        });
}

namespace {

/** @return false in a dry run */
bool rename_in(const Volume& volume, const std::string& new_name, BlockerKind allowed, Job* job)
{
    const auto& pool = Volume::Access::pool(volume);
    const auto& name = volume.name();
    check_volume_name(new_name);
    PoolAccess access(pool);
    access.require_started();
    access.require(Capability::rename_volume, "rename volumes");
    if (new_name == name)
        throw Error(ErrorCode::already_exists, volume_title(name, *pool) + " already has this name",
                    "choose another name");
    allowed = allowed | BlockerKind::snapshot | BlockerKind::volume; // they go with it
    return change_volume(access, volume,
                         {"vol-rename", "renaming", Capability::rename_volume, "rename volumes",
                          EventKind::volume_deleted, new_name},
                         allowed, job, [&](PoolAccess& now, Change& change) {
                             now.active_backend().rename_volume(name, new_name, change);
                         });
}

} // namespace

void Volume::rename(const std::string& new_name, BlockerKind allowed, Job* job)
{
    const bool renamed = operate(pool_, job, [self = *this, new_name, allowed](Job* own) {
        return rename_in(self, new_name, allowed, own);
    });
    if (renamed)
        name_ = new_name;
}

void Volume::wipe(WipeAlgorithm algorithm, BlockerKind allowed, Job* job)
{
    const auto asked = pool_asked(*this, job);
    operate(asked, job, [self = *this, pool = pool_, name = name_, algorithm, allowed](Job* own) {
        PoolAccess access(pool);
        change_volume(access, self, {"vol-wipe", "wiping", Capability::wipe_volume, "wipe volumes"},
                      allowed, own, [&](PoolAccess& now, Change& change) {
                          auto& backend = now.active_backend();
                          backend.wipe_volume(backend.describe(name), algorithm, change);
                      });
    });
}

namespace {

/** All that is below the volume is read as its header says, so pools must have it. */
void require_clone(PoolAccess& access, const Volume& volume, const VolumeDef& def)
{
    const auto title = volume_title(volume.name(), *access.pool);
    if (def.backing.empty())
        throw Error(ErrorCode::invalid_state, title + " is based on nothing already",
                    "nothing needs to be done");
    if (const auto stranger = untrusted_reference(*access.context, volume))
        throw Error(ErrorCode::not_supported, title + ' ' + stranger->problem, stranger->remedy);
}

} // namespace

void Volume::flatten(Job* job)
{
    const auto asked = pool_asked(*this, job);
    operate(asked, job, [self = *this](Job* own) {
        PoolAccess access(self.pool_);
        // Its content stays the same, so neither snapshots nor clones of it lose anything.
        const auto allowed =
            allowed_for_snapshots(access) | BlockerKind::snapshot | BlockerKind::backing_image;
        change_volume(access, self,
                      {.name = "vol-flatten",
                       .verb = "flattening",
                       .capability = Capability::flatten_volume,
                       .ability = "flatten volumes",
                       .may_be_allowed = false},
                      allowed, own, [&](PoolAccess& now, Change& change) {
                          auto& backend = now.active_backend();
                          const auto volume = backend.describe(self.name_);
                          require_clone(now, self, volume);
                          backend.flatten_volume(volume, change);
                      });
    });
}

std::uint64_t Volume::upload(const UploadSource& source, const TransferOptions& options, Job* job)
{
    const SourceGuard guard(source);
    const auto asked = pool_asked(*this, job);
    return operate(
        asked, job,
        [self = *this, pool = pool_, name = name_, source = kept(source), options](Job* own) {
            PoolAccess access(pool);
            std::uint64_t received = 0;
            // Snapshots that are the storage's own work keep what they have, and so do clones.
            const auto allowed =
                options.allowed | (access.backend().snapshots_while_open()
                                       ? BlockerKind::snapshot | BlockerKind::backing_image
                                       : BlockerKind::none);
            if (options.resumable)
                throw Error(ErrorCode::invalid_argument,
                            volume_title(name, *pool) +
                                ": an upload into a volume cannot be resumed",
                            "upload into a new volume, or give the offset");
            // Else it is this process that has the volume open, or its path is none of this host.
            if (source->fd >= 0 && access.info().volume_type != VolumeType::network) {
                access.require_started();
                const auto path = access.active_backend().read(name, nullptr).path;
                const UniqueFd file(::open(path.c_str(), O_PATH | O_CLOEXEC));
                require_other_file(file.get(), source->fd, "uploading to '" + path + "'");
            }
            change_volume(
                access, self, {"vol-upload", "uploading to", Capability::upload, "take uploads"},
                allowed, own, [&](PoolAccess& now, Change& change) {
                    auto& backend = now.active_backend();
                    backend.upload(backend.describe(name), *source, options, received, change);
                });
            return received;
        });
}

namespace {

void check_snapshot_name(const std::string& name, const std::string& title)
{
    if (const auto problem = snapshot_name_problem(name); !problem.empty())
        throw Error(ErrorCode::invalid_argument,
                    title + ": snapshot name " + shown(name) + ' ' + problem,
                    "use 1 to 255 bytes in UTF-8 without control characters");
}

/** The snapshot that is meant. @throws Error not_found */
const Snapshot* find_snapshot(const std::vector<Snapshot>& snapshots, const std::string& name)
{
    const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                    [&](const Snapshot& s) { return s.name == name; });
    return found == snapshots.end() ? nullptr : &*found;
}

Snapshot require_snapshot(Backend& backend, const std::string& volume, const std::string& name,
                          const std::string& title)
{
    const auto snapshots = backend.snapshots(volume);
    if (const auto* snapshot = find_snapshot(snapshots, name))
        return *snapshot;
    throw Error(ErrorCode::not_found, title + " has no snapshot '" + name + "'",
                "list its snapshots");
}

constexpr VolumeOperation snapshot_operation{.name = "vol-snapshot",
                                             .verb = "changing the snapshots of",
                                             .capability = Capability::snapshots,
                                             .ability = "make snapshots",
                                             .may_be_allowed = false};

} // namespace

Snapshot Volume::create_snapshot(const std::string& name, Job* job)
{
    const auto asked = pool_asked(*this, job);
    return operate(asked, job, [self = *this, pool = pool_, volume = name_, name](Job* own) {
        const auto title = volume_title(volume, *pool);
        check_snapshot_name(name, title);
        PoolAccess access(pool);
        const auto allowed = allowed_for_snapshots(access);
        const bool made = change_volume(
            access, self, snapshot_operation, allowed, own, [&](PoolAccess& now, Change& change) {
                auto& backend = now.active_backend();
                if (find_snapshot(backend.snapshots(volume), name))
                    throw Error(ErrorCode::already_exists,
                                title + " already has a snapshot '" + name + "'",
                                "choose another name");
                const auto def = backend.describe(volume);
                refuse_strangers(now, def);
                backend.create_snapshot(def, name, change);
            });
        if (!made)
            return Snapshot{.name = name};
        if (access.has_snapshots_as_volumes())
            access.update_others();
        const auto snapshots = access.active_backend().snapshots(volume);
        if (const auto* snapshot = find_snapshot(snapshots, name))
            return *snapshot;
        throw Error(ErrorCode::not_found,
                    title + ": the new snapshot '" + name + "' is gone already");
    });
}

namespace {

using SnapshotChange = void (Backend::*)(const VolumeDef&, const std::string&, Change&);

void change_snapshot(const Volume& target, const std::string& snapshot, SnapshotChange list,
                     Job* job)
{
    const auto& pool = Volume::Access::pool(target);
    const auto& name = target.name();
    PoolAccess access(pool);
    // A guest that writes does not see that its disk went back. Clones would, where they are based
    // on the volume itself; where snapshots are a server's own work, it is one of those.
    const bool clones_stay =
        access.backend().snapshots_while_open() && access.info().volume_type == VolumeType::network;
    const auto allowed = list != &Backend::revert_snapshot ? allowed_for_snapshots(access)
                         : clones_stay ? BlockerKind::snapshot | BlockerKind::backing_image
                                       : BlockerKind::snapshot;
    const bool changed = change_volume(
        access, target, snapshot_operation, allowed, job, [&](PoolAccess& now, Change& change) {
            auto& backend = now.active_backend();
            const auto title = volume_title(name, *pool);
            const auto found = require_snapshot(backend, name, snapshot, title);
            if (found.is_protected && list == &Backend::delete_snapshot)
                throw Error(ErrorCode::busy, title + ": snapshot '" + snapshot + "' is protected",
                            "take its protection away first");
            const auto volume = backend.describe(name);
            refuse_strangers(now, volume);
            (backend.*list)(volume, snapshot, change);
        });
    if (changed && access.has_snapshots_as_volumes())
        access.update_others();
}

} // namespace

void Volume::delete_snapshot(const std::string& name, Job* job)
{
    const auto asked = pool_asked(*this, job);
    operate(asked, job, [self = *this, name](Job* own) {
        change_snapshot(self, name, &Backend::delete_snapshot, own);
    });
}

void Volume::revert_snapshot(const std::string& name, Job* job)
{
    const auto asked = pool_asked(*this, job);
    operate(asked, job, [self = *this, name](Job* own) {
        change_snapshot(self, name, &Backend::revert_snapshot, own);
    });
}

void Volume::protect_snapshot(const std::string& name, bool on, Job* job)
{
    operate(pool_, job, [self = *this, name, on](Job* own) {
        PoolAccess access(self.pool_);
        const auto title = volume_title(self.name_, *self.pool_);
        change_volume(access, self,
                      {.name = "vol-snapshot",
                       .verb = "changing the snapshots of",
                       .capability = Capability::protect_snapshots,
                       .ability = "protect snapshots",
                       .may_be_allowed = false},
                      allowed_for_snapshots(access), own, [&](PoolAccess& now, Change& change) {
                          auto& backend = now.active_backend();
                          if (require_snapshot(backend, self.name_, name, title).is_protected != on)
                              backend.protect_snapshot(backend.describe(self.name_), name, on,
                                                       change);
                      });
    });
}

} // namespace storage::inline v1
