// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_watch.hpp"

#include "pool_call.hpp"
#include "volume_change.hpp"

#include <cerrno>

namespace storage::inline v1 {

namespace {

// Not IN_MODIFY: a guest that writes is no news, and whoever changes a file's size closes it.
constexpr std::uint32_t happenings = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                     IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
                                     IN_ONLYDIR;
constexpr std::size_t most_names = 1000; // beyond, reading all again is cheaper

bool can_be_watched(const PoolFiles& files)
{
    if (!files.started)
        return false;
    const auto* info = find_backend(files.started->definition.type);
    return info && info->capabilities.has(Capability::watch);
}

} // namespace

bool PoolWatches::is_followed(const PoolPointer& pool) const
{
    return std::any_of(watched_.begin(), watched_.end(), [&](const auto& entry) {
        return entry.second.pool == pool && entry.second.start == pool->files()->started &&
               !entry.second.gone;
    });
}

void PoolWatches::begin(const PoolPointer& pool)
{
    const auto start = pool->files()->started;
    ask_neighbour(pool, [pool] { learn_steadiness(*pool); });
    if (!start || pool->steadiness != Steadiness::steady)
        return; // a server does not tell what others do, and may not answer
    const auto& path = start->definition.target.path;
    const int descriptor = ::inotify_add_watch(inotify_, path.c_str(), happenings);
    if (descriptor < 0)
        throw system_error(errno, "cannot watch '" + path + "'",
                           "raise fs.inotify.max_user_watches");
    watched_.insert_or_assign(descriptor, Watched{.pool = pool, .start = start});
    PoolAccess access(pool);
    access.require_started();
    access.volumes();
}

void PoolWatches::follow(Context::Impl& context)
{
    context.synchronise(Context::Impl::Look::full);
    const auto pools = context.all_where(can_be_watched);
    for (auto entry = watched_.begin(); entry != watched_.end();) {
        const auto& watched = entry->second;
        const bool stays = !watched.gone && watched.start == watched.pool->files()->started;
        if (!stays)
            end(*entry);
        entry = stays ? std::next(entry) : watched_.erase(entry);
    }
    for (const auto& pool : pools)
        try {
            if (!is_followed(pool))
                begin(pool);
        } catch (const Error& error) {
            context.log(LogLevel::warning, "pool '" + pool->name + "': changes by others are not " +
                                               "told: " + error.what());
        }
}

void PoolWatches::end(std::pair<const int, Watched>& entry)
{
    ::inotify_rm_watch(inotify_, entry.first);
    if (entry.second.lock_file >= 0)
        ::inotify_rm_watch(inotify_, entry.second.lock_file);
}

/** Who reads it changes nothing, and who changes it tells so before it is unlocked; unless that
 * fails. */
bool PoolWatches::is_changing(const LockDirectory& locks, Watched& watched, const std::string& name)
{
    const auto is_locked = [&] {
        return !locks.volume_holder({watched.pool->uuid, watched.pool->name, name, VolumeUse::read})
                    .empty();
    };
    if (!is_locked())
        return false;
    if (watched.lock_file < 0)
        watched.lock_file = ::inotify_add_watch(
            inotify_, locks.lock_file(watched.pool->uuid).c_str(), IN_ATTRIB | IN_CLOSE_WRITE);
    return is_locked(); // which may have ended before it was watched
}

void PoolWatches::look_at(Context::Impl& context, Watched& watched, const std::string& name)
{
    if (is_changing(context.locks, watched, name)) {
        watched.locked.insert(name);
        return;
    }
    context.synchronise(Context::Impl::Look::quick);
    PoolAccess access(watched.pool);
    access.require_started();
    tell_changes(access, name, Doer::another);
}

void PoolWatches::take(const ::inotify_event& event)
{
    if (event.mask & IN_Q_OVERFLOW) {
        for (auto& [descriptor, watched] : watched_)
            watched.all = watched.unsure = true;
        return;
    }
    const auto found = watched_.find(event.wd);
    if (found == watched_.end())
        return;
    auto& watched = found->second;
    if (event.mask & (IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED))
        watched.gone = true;
    else if (event.mask & IN_MOVE_SELF) // and may come back; inotify stays with it
        watched.moved = watched.all = true;
    else if (event.len > 0 && watched.names.size() < most_names)
        watched.names.emplace(event.name); // padded with NUL
    else if (event.len > 0)
        watched.all = true;
}

/** No event says that a directory is mounted or made again. */
void PoolWatches::look_for_lost(Context::Impl& context)
{
    std::erase_if(lost_, [&](const Watched& lost) {
        const auto& pool = lost.pool;
        if (lost.start != pool->files()->started || is_followed(pool))
            return true;
        try {
            PoolAccess access(pool);
            access.active_backend();
            begin(pool);
            context.emit(EventKind::pool_changed, *pool, {}, Doer::another);
            access.refresh(nullptr, PoolAccess::Announce::found);
            return true;
        } catch (const Error&) { // not yet
            return false;
        }
    });
}

void PoolWatches::tell(Context::Impl& context)
{
    look_for_lost(context);
    for (auto entry = watched_.begin(); entry != watched_.end();) {
        auto& watched = entry->second;
        const auto pool = watched.pool;
        auto names = std::exchange(watched.names, {});
        names.merge(std::exchange(watched.locked, {}));
        bool all = std::exchange(watched.all, false);
        if (std::exchange(watched.unsure, false)) {
            const auto& path = watched.start->definition.target.path;
            const int same = ::inotify_add_watch(inotify_, path.c_str(), happenings);
            watched.gone = watched.gone || same != entry->first;
            if (same >= 0 && same != entry->first)
                ::inotify_rm_watch(inotify_, same);
        }
        const bool gone = watched.gone;
        if (std::exchange(watched.moved, false) || gone)
            context.emit(EventKind::pool_changed, *pool, {}, Doer::another);
        if (gone) {
            end(*entry);
            lost_.push_back({.pool = pool, .start = watched.start});
        }
        entry = gone ? watched_.erase(entry) : std::next(entry);
        if (gone || pool->files()->started == nullptr)
            continue;
        if (!all)
            for (const auto& name : names)
                try {
                    look_at(context, watched, name);
                } catch (const Error&) { // no volume, but something that a diagnostic tells of
                    all = true;
                }
        if (all)
            try {
                PoolAccess access(pool);
                access.require_started();
                access.refresh(nullptr, PoolAccess::Announce::found);
            } catch (const Error& error) {
                context.log(LogLevel::warning, error.what());
            }
        if (watched.locked.empty() && watched.lock_file >= 0)
            ::inotify_rm_watch(inotify_, std::exchange(watched.lock_file, -1));
    }
}

} // namespace storage::inline v1
