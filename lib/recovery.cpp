// SPDX-License-Identifier: LGPL-2.1-or-later
// How a Context deals with what killed processes left half-done: when it opens, when it is asked
// to, and before it changes what they were changing.
#include "job_impl.hpp"
#include "pool_object.hpp"

#include <array>

namespace storage::inline v1 {

RecoveryHost Context::Impl::recovery_host()
{
    return {
        .journal = journal,
        .host = host,
        .locks = locks,
        .hindrance = [this](const ChangePlace& place) -> std::string {
            if (place.volumes.empty())
                return {}; // the pool's life cycle itself
            synchronise(Look::full);
            const auto pool = find_uuid(place.pool_uuid);
            const auto files = pool ? pool->files() : nullptr;
            // A file system that is not mounted hides what was begun on it.
            if (files && files->exists() && !files->started &&
                backend_type(files->current().type).info.capabilities.has(Capability::start_pool))
                return "pool '" + place.pool_name + "' is not active";
            return {};
        }};
}

std::vector<RecoveryResult> Context::Impl::recover(Thoroughness thoroughness)
{
    if (options.read_only)
        return {};
    // Opening must not wait for a server longer than people do.
    constexpr std::chrono::seconds opening_limit{5};
    const bool is_opening = thoroughness == Thoroughness::changes;
    Job limited;
    limited.set_timeout(opening_limit);
    const CallScope call(is_opening ? &limited : nullptr);
    auto what = recovery_host();
    what.eagerness = is_opening ? Eagerness::when_due : Eagerness::now;
    auto results = recover_changes(what);
    if (results.empty() && is_opening)
        return results;
    try {
        const auto lock = locks.lock_registry(is_opening ? &limited : nullptr);
        store.remove_leftovers();
    } catch (const Error& error) { // they wait for the next recovery
        log(LogLevel::warning, error.what());
    }
    return results;
}

std::string Context::Impl::settle(const ChangePlace& place)
{
    auto what = recovery_host();
    what.place = &place;
    auto results = recover_changes(what);
    std::string stuck;
    {
        const std::lock_guard lock(recovered_mutex);
        for (auto& result : results)
            if (result.pending)
                stuck = "'" + result.operation + "' was cut short and cannot be brought to its " +
                        "end yet: " + result.message;
            else
                recovered_at_opening.push_back(std::move(result));
    }
    synchronise(Look::full);
    return stuck;
}

template <typename Lock>
auto Context::Impl::lock_settled(std::span<const ChangePlace> places, Lock&& lock)
{
    for (std::string stuck;;) {
        const ChangePlace* unsettled = nullptr;
        {
            auto held = lock();
            const auto which = stuck.empty() ? Unsettled::all : Unsettled::in_the_way;
            for (const auto& place : places)
                if (is_unsettled(journal, place, which))
                    unsettled = &place;
            if (!unsettled)
                return held;
            if (!stuck.empty())
                throw Error(ErrorCode::busy, "pool '" + unsettled->pool_name + "': " + stuck,
                            "see to what it needs, then repeat the call");
        }
        stuck = settle(*unsettled); // which takes the lock
    }
}

HeldLock Context::Impl::lock_pool(const std::string& uuid, const std::string& name,
                                  std::string_view operation, Job* job, VolumeUse use)
{
    const std::array places{ChangePlace{.pool_uuid = uuid, .pool_name = name}};
    return lock_settled(places, [&] { return locks.lock_pool(uuid, name, operation, job, use); });
}

namespace {

ChangePlace place_of(const VolumeLock& lock)
{
    return {.pool_uuid = lock.pool_uuid,
            .pool_name = lock.pool_name,
            .volumes = {std::string(lock.volume)}};
}

} // namespace

HeldLock Context::Impl::lock_volume(const VolumeLock& wanted, std::string_view operation, Job* job)
{
    const std::array places{place_of(wanted)};
    return lock_settled(places, [&] { return locks.lock_volume(wanted, operation, job); });
}

std::pair<HeldLock, HeldLock> Context::Impl::lock_volumes(const VolumeLock& first,
                                                          const VolumeLock& second,
                                                          std::string_view operation, Job* job)
{
    const std::array places{place_of(first), place_of(second)};
    return lock_settled(places, [&] { return locks.lock_volumes(first, second, operation, job); });
}

} // namespace storage::inline v1
