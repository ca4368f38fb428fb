// SPDX-License-Identifier: LGPL-2.1-or-later
// What is asked of storage that may never answer is done by a thread that the caller can leave:
// whoever waits for a dead server or device in the kernel cannot be woken.
#pragma once

#include "job_impl.hpp"

#include <condition_variable>
#include <memory>
#include <type_traits>

namespace storage::inline v1 {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/** The calls on one pool's storage that their callers have left. While there are any, no other
 * thread is risked. */
class LeftCalls {
public:
    std::size_t count() const;
    /** "has not answered for 12 s"; "" while it answers. */
    std::string reason() const;
    /** Whether there are some for so long that it is of no use to wait a moment more. */
    bool are_stuck() const;
    /** Until all have returned. @throws Error timed_out, cancelled */
    void await(Job* job, Deadline limit, const std::string& title);

    void add();
    void remove();

private:
    mutable std::mutex mutex_{};
    std::condition_variable returned_{};
    std::size_t count_{};
    std::chrono::steady_clock::time_point since_{};
};

/** Whether this thread does a call on that storage, for which somebody waits. */
bool works_for(const LeftCalls& left) noexcept;

/**
 * Does work on another thread and waits for it, but not much longer than allowed: when the limit
 * has passed, or the job was cancelled, and the thread does not come to an end, it is left behind
 * with all that it holds, and ends when the storage answers.
 * @param work  is given a job of its own; must own what it uses
 * @throws Error timed_out, cancelled; and whatever work throws
 */
void call_with_patience(const std::shared_ptr<LeftCalls>& left, Job* job, Deadline limit,
                        const std::string& title, std::function<void(Job*)> work);

/** The same for work that returns something. */
template <typename Work>
auto result_with_patience(const std::shared_ptr<LeftCalls>& left, Job* job, Deadline limit,
                          const std::string& title, Work work)
{
    using Result = std::invoke_result_t<Work&, Job*>;
    if constexpr (std::is_void_v<Result>) {
        call_with_patience(left, job, limit, title, std::move(work));
    } else {
        const auto result = std::make_shared<std::optional<Result>>();
        call_with_patience(
            left, job, limit, title,
            [result, work = std::move(work)](Job* own) mutable { result->emplace(work(own)); });
        return std::move(**result);
    }
}

} // namespace storage::inline v1
