// SPDX-License-Identifier: LGPL-2.1-or-later
// How a Context deals with what killed processes left half-done: when it opens, when it is asked
// to, and before it changes what they were changing.
#include "job_impl.hpp"
#include "pool_call.hpp"
#include "recorded_change.hpp"

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

namespace {

/** What an entry speaks of; nothing where it makes no sense. */
RecordedChange subject_of(const JournalEntry& entry)
{
    try {
        return parse_recorded_change(entry.read(), false);
    } catch (const std::exception&) {
        return {};
    }
}

/** Without a job, only storage that may hang is given up after a while. */
Deadline limit_of(const PoolPointer& pool)
{
    if (!pool || !pool->files()->started)
        return std::nullopt;
    try {
        ask_neighbour(pool, [pool] { learn_steadiness(*pool); });
    } catch (const Error&) { // it hangs already
    }
    if (pool->steadiness == Steadiness::steady)
        return std::nullopt;
    return look_limit(*pool);
}

} // namespace

std::optional<RecoveryResult> Context::Impl::recover_patiently(std::shared_ptr<JournalEntry> entry,
                                                               Eagerness eagerness, Job* job)
{
    const auto subject = subject_of(*entry);
    synchronise(Look::full);
    const auto pool = find_uuid(subject.place.pool_uuid);
    const auto recover_it = [self = shared_from_this(), entry, eagerness](Job* own) {
        auto what = self->recovery_host();
        what.eagerness = eagerness;
        return recover_change(*entry, what, own);
    };
    const auto limit = job ? job->deadline() : limit_of(pool);
    if (!job && !limit)
        return recover_it(nullptr);
    try {
        return result_with_patience(pool ? pool->left_calls : recovery_calls_, job, limit,
                                    "recovery of '" + subject.operation + "'", recover_it);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::timed_out)
            throw;
        log(LogLevel::warning, error.what());
        put_off(*entry, error.what());
        return RecoveryResult{
            .operation = subject.operation, .message = error.what(), .pending = true};
    }
}

std::vector<RecoveryResult> Context::Impl::recover(Thoroughness thoroughness, Job* job)
{
    if (options.read_only)
        return {};
    // Opening must not wait for a server longer than people do.
    constexpr std::chrono::seconds opening_limit{5};
    const bool is_opening = thoroughness == Thoroughness::changes;
    Job limited;
    limited.set_timeout(opening_limit);
    if (is_opening)
        job = &limited;
    const auto eagerness = is_opening ? Eagerness::when_due : Eagerness::now;
    const CallScope call(job);
    std::vector<RecoveryResult> results;
    std::vector<StepRecord> plan, trace;
    for (auto& entry : journal.abandoned()) {
        auto result =
            recover_patiently(std::make_shared<JournalEntry>(std::move(entry)), eagerness, job);
        if (result)
            results.push_back(std::move(*result));
        if (job) { // each is a call of its own: what the job shows is all of them
            const auto steps = job->plan(), done = job->trace();
            plan.insert(plan.end(), steps.begin(), steps.end());
            trace.insert(trace.end(), done.begin(), done.end());
        }
    }
    if (job) {
        auto& impl = job->impl();
        const std::lock_guard lock(impl.mutex);
        impl.plan = std::move(plan);
        impl.trace = std::move(trace);
    }
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
