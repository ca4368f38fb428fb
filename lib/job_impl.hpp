// SPDX-License-Identifier: LGPL-2.1-or-later
// The inside of Job, and what long code calls on the Job that it may or may not have been given.
#pragma once

#include <basin/error.hpp>
#include <basin/job.hpp>

#include <atomic>
#include <mutex>

namespace storage::inline v1 {

/** A time that no arithmetic with clocks overflows by: as good as never is a hundred years. */
inline std::chrono::milliseconds within_clock(std::chrono::milliseconds time)
{
    constexpr std::chrono::milliseconds century = std::chrono::hours(24) * 36525;
    return std::clamp(time, -century, century);
}

struct Job::Impl {
    std::atomic<bool> cancelled{false};
    std::atomic<std::int64_t> deadline_ns{0}; ///< steady clock; 0: none
    std::atomic<std::int64_t> wait_ms{0};
    std::atomic<bool> dry_run{false};
    std::atomic<std::uint64_t> done{0};
    std::atomic<std::uint64_t> total{0};
    std::function<void(const Progress&)> callback{};
    std::chrono::steady_clock::time_point last_report{};

    mutable std::mutex mutex{}; ///< guards what follows
    std::string phase{};
    std::vector<StepRecord> plan{};
    std::vector<StepRecord> trace{};
    std::map<std::string, std::string> facts{};
    std::chrono::steady_clock::time_point phase_start{};
};

/** Starts a call: clears progress, plan and trace of the last one. A null job is allowed everywhere
 * below. */
void begin(Job* job);

/** A public call as long as it runs on this thread, so that what has no Job to look at still knows
 * its deadline. Begins the job. */
class CallScope {
public:
    explicit CallScope(Job* job);
    ~CallScope();
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

private:
    Job* outer_;
};

/** The job of the call that runs on this thread, or null. */
Job* current_job() noexcept;

/** Throws cancelled or timed_out if it is time to end. `what` names the operation and object. */
void check(Job* job, std::string_view what);

void enter_phase(Job* job, std::string_view phase, std::uint64_t total);
void advance(Job* job, std::uint64_t by);
/** Keeps what the call tells besides its result. */
void state_fact(Job* job, std::string_view name, std::string value);

bool is_dry_run(const Job* job) noexcept;

} // namespace storage::inline v1
