// SPDX-License-Identifier: LGPL-2.1-or-later
// What the calls that change a volume have in common: checks, locks, blockers, the change, news.
#pragma once

#include "change.hpp"
#include "job_impl.hpp"
#include "volume_lookup.hpp"

namespace storage::inline v1 {

/** What stands in the way of changing a volume; kinds that are allowed are not looked for. Of a
 * symbolic link itself, only what refers to the volume by this name. */
std::vector<Blocker> blockers_of(PoolAccess& access, const std::string& name, BlockerKind allowed,
                                 Links links = Links::followed);

/** @throws Error not_found  the handle means another object than the one that has the name now */
void require_expected(PoolAccess& access, const Volume& volume);

/** Looks at one volume, and tells how it differs from what the pool's list has; but not what
 * somebody has told already. @param doer  who changed it */
void tell_changes(PoolAccess& access, const std::string& name, Doer doer);

/** The call that changes one volume which exists. */
struct VolumeOperation {
    std::string_view name{}; ///< "vol-wipe"
    std::string_view verb{}; ///< "wiping"
    Capability capability{};
    std::string_view ability{}; ///< "wipe volumes"
    EventKind news{EventKind::volume_changed};
    std::string_view new_name{}; ///< of a renaming
    bool may_be_allowed{true};   ///< the caller can say which uses do not matter
};

/** @throws Error busy  what is in the way and not allowed, for more than a moment */
void require_unblocked(PoolAccess& access, const std::string& name, BlockerKind allowed,
                       const VolumeOperation& operation, Job* job, Links links = Links::followed);

/**
 * Locks the volume, looks for blockers, has the steps listed, carries them out, and tells before it
 * unlocks: who replays the events finds what is there.
 * @param list  list(access, change) adds the steps
 * @return whether it was done: false in a dry run
 */
template <typename List>
bool change_volume(PoolAccess& access, const Volume& target, const VolumeOperation& operation,
                   BlockerKind allowed, Job* job, List&& list)
{
    const auto pool = access.pool;
    const auto& volume = target.name();
    auto& context = *access.context;
    context.require_writable(std::string(operation.verb) + ' ' + volume_title(volume, *pool));
    access.require_started();
    access.require(operation.capability, operation.ability);
    std::optional<HeldLock> lock, new_lock;
    if (!is_dry_run(job)) {
        const VolumeLock wanted{pool->uuid, pool->name, volume};
        if (operation.new_name.empty()) {
            lock.emplace(context.lock_volume(wanted, operation.name, job));
        } else {
            auto both = context.lock_volumes(wanted, {pool->uuid, pool->name, operation.new_name},
                                             operation.name, job);
            lock.emplace(std::move(both.first));
            new_lock.emplace(std::move(both.second));
        }
        access = PoolAccess(pool);
    }
    std::string meant;
    if (access.info().names_volumes) // and may give the name to another one, also from here on
        meant = access.active_backend().identity(volume);
    require_expected(access, target);
    const bool is_removed = operation.news == EventKind::volume_deleted; // or has a new name
    require_unblocked(access, volume, allowed, operation, job,
                      is_removed ? Links::themselves : Links::followed);
    ChangePlace place{.pool_uuid = pool->uuid, .pool_name = pool->name, .volumes = {volume}};
    if (!operation.new_name.empty())
        place.volumes.emplace_back(operation.new_name);
    Change change(std::string(operation.name) + ' ' + pool->name + ' ' + volume, std::move(place));
    list(access, change);
    if (!meant.empty() && access.active_backend().identity(volume) != meant)
        throw Error(ErrorCode::busy,
                    volume_title(volume, *pool) + " was given to another volume meanwhile",
                    "look which name it has now, then try again");
    change.expect(Volume::Access::expected(target)); // also of what is there when a step opens it
    const auto update = [&](const std::string& name) {
        try {
            access.update_volume(name);
        } catch (const Error& error) {
            context.log(LogLevel::warning, error.what());
        }
    };
    try {
        if (!change.execute(context.change_host(job)))
            return false;
    } catch (...) {
        try {
            tell_changes(access, volume, Doer::this_context); // half a wipe changes a volume, too
        } catch (const Error& error) {
            context.log(LogLevel::warning, error.what());
        }
        throw;
    }
    update(volume);
    context.emit(operation.news, *pool, volume);
    if (!operation.new_name.empty()) {
        const std::string new_name(operation.new_name);
        update(new_name);
        context.emit(EventKind::volume_created, *pool, new_name);
    }
    return true;
}

} // namespace storage::inline v1
