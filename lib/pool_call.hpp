// SPDX-License-Identifier: LGPL-2.1-or-later
// How a call on a pool is made so that storage which does not answer costs no more than its
// deadline, and a pool that works no more than a memory read.
#pragma once

#include "patience.hpp"
#include "pool_object.hpp"

namespace storage::inline v1 {

/** How long a look at a pool's state waits at most: it has an answer all the same. */
constexpr std::chrono::seconds state_limit{5};
/** How long a call on one pool waits for another one, which it wants to know something of. */
constexpr std::chrono::milliseconds neighbour_limit{1000};

/** When a look that begins now has waited for the pool's storage as long as the context allows. */
Deadline look_limit(const PoolObject& pool,
                    std::chrono::milliseconds most = std::chrono::milliseconds::max());

/** Finds out whether the pool's storage is of a kind that can stop answering. Asks the storage. */
void learn_steadiness(PoolObject& pool) noexcept;

template <typename Work>
auto limited_call(const PoolPointer& pool, Job* job, Deadline limit, Work work)
{
    return result_with_patience(pool->left_calls, job, limit, "pool '" + pool->name + "'",
                                [pool, work = std::move(work)](Job* own) mutable {
                                    learn_steadiness(*pool);
                                    return work(own);
                                });
}

/** A look at an object that takes a moment: where the storage is not known to be steady it is given
 * up after a while. @param work  owns what it uses */
template <typename Work>
auto look(const PoolPointer& pool, Work work,
          std::chrono::milliseconds patience = std::chrono::milliseconds::max())
{
    const bool is_safe = !pool->files()->started ||
                         (pool->steadiness == Steadiness::steady && pool->left_calls->count() == 0);
    if (is_safe)
        return work();
    return limited_call(pool, nullptr, look_limit(*pool, patience),
                        [work = std::move(work)](Job*) mutable { return work(); });
}

/** A call that may take long: it ends with its job's deadline, and where the storage can hang also
 * when it is cancelled. @param work  work(job); owns what it uses */
template <typename Work>
auto operate(const PoolPointer& pool, Job* job, Work work)
{
    const auto limit = job ? job->deadline() : std::nullopt;
    if (limit || (job && pool->steadiness == Steadiness::may_hang))
        return limited_call(pool, job, limit, std::move(work));
    const CallScope call(job);
    return work(job);
}

/**
 * What a caller gave for a transfer, so that it can be used by a thread that may outlive the call:
 * a descriptor of its own, and callbacks that the caller's thread makes.
 */
std::shared_ptr<const UploadSource> kept(const UploadSource& source);
std::shared_ptr<const DownloadTarget> kept(const DownloadTarget& target);

/** For what one pool wants to know of another. @throws Error timed_out  also at once, where it has
 * kept others waiting already */
template <typename Work>
auto ask_neighbour(const PoolPointer& pool, Work work,
                   std::chrono::milliseconds patience = neighbour_limit)
{
    if (pool->left_calls->are_stuck() && !works_for(*pool->left_calls))
        throw Error(ErrorCode::timed_out,
                    "pool '" + pool->name + "': " + pool->left_calls->reason(),
                    "see to its server or device");
    auto limit = std::chrono::steady_clock::now() + within_clock(patience);
    const auto* job = current_job();
    if (const auto deadline = job ? job->deadline() : std::nullopt)
        limit = std::min(limit, *deadline);
    return limited_call(pool, nullptr, limit,
                        [work = std::move(work)](Job*) mutable { return work(); });
}

} // namespace storage::inline v1
