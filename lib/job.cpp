// SPDX-License-Identifier: LGPL-2.1-or-later
#include "job_impl.hpp"

namespace storage::inline v1 {

namespace {

using std::chrono::steady_clock;
constexpr auto report_interval = std::chrono::milliseconds(100);

void report(Job& job)
{
    auto& impl = job.impl();
    impl.last_report = steady_clock::now();
    if (impl.callback)
        impl.callback(job.progress());
}

} // namespace

Job::Job() : impl_(std::make_unique<Impl>()) {}
Job::~Job() = default;

void Job::cancel() noexcept
{
    impl_->cancelled.store(true, std::memory_order_relaxed);
}
bool Job::is_cancelled() const noexcept
{
    return impl_->cancelled.load(std::memory_order_relaxed);
}

void Job::set_timeout(std::chrono::milliseconds timeout)
{
    const auto at = steady_clock::now() + within_clock(timeout);
    impl_->deadline_ns =
        timeout.count() == 0
            ? 0
            : std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

std::optional<steady_clock::time_point> Job::deadline() const
{
    const auto ns = impl_->deadline_ns.load();
    if (ns == 0)
        return std::nullopt;
    return steady_clock::time_point(std::chrono::nanoseconds(ns));
}

void Job::set_wait(std::chrono::milliseconds wait)
{
    impl_->wait_ms = within_clock(wait).count();
}
std::chrono::milliseconds Job::wait() const
{
    return std::chrono::milliseconds(impl_->wait_ms.load());
}

void Job::set_dry_run(bool dry_run)
{
    impl_->dry_run = dry_run;
}
bool Job::is_dry_run() const
{
    return impl_->dry_run;
}

void Job::set_progress_callback(std::function<void(const Progress&)> callback)
{
    impl_->callback = std::move(callback);
}

Progress Job::progress() const
{
    const std::lock_guard lock(impl_->mutex);
    Progress progress{.phase = impl_->phase, .done = impl_->done, .total = impl_->total};
    const std::chrono::duration<double> elapsed = steady_clock::now() - impl_->phase_start;
    if (!progress.phase.empty() && elapsed.count() > 0)
        progress.rate =
            static_cast<std::uint64_t>(static_cast<double>(progress.done) / elapsed.count());
    return progress;
}

std::vector<StepRecord> Job::plan() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->plan;
}

std::vector<StepRecord> Job::trace() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->trace;
}

std::map<std::string, std::string> Job::facts() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->facts;
}

void begin(Job* job)
{
    if (!job)
        return;
    auto& impl = job->impl();
    const std::lock_guard lock(impl.mutex);
    impl.done = 0;
    impl.total = 0;
    impl.phase.clear();
    impl.plan.clear();
    impl.trace.clear();
    impl.facts.clear();
}

namespace {
thread_local Job* job_of_thread = nullptr;
}

CallScope::CallScope(Job* job) : outer_(job_of_thread)
{
    begin(job);
    job_of_thread = job;
}
CallScope::~CallScope()
{
    job_of_thread = outer_;
}

Job* current_job() noexcept
{
    return job_of_thread;
}

void check(Job* job, std::string_view what)
{
    if (!job)
        return;
    if (job->is_cancelled())
        throw Error(ErrorCode::cancelled, std::string(what) + ": cancelled");
    const auto deadline = job->deadline();
    if (deadline && steady_clock::now() >= *deadline)
        throw Error(ErrorCode::timed_out, std::string(what) + ": deadline passed",
                    "allow more time, or look at why the storage is slow");
}

void enter_phase(Job* job, std::string_view phase, std::uint64_t total)
{
    if (!job)
        return;
    auto& impl = job->impl();
    {
        const std::lock_guard lock(impl.mutex);
        impl.phase = phase;
        impl.done = 0;
        impl.total = total;
        impl.phase_start = steady_clock::now();
    }
    report(*job);
}

void advance(Job* job, std::uint64_t by)
{
    if (!job)
        return;
    auto& impl = job->impl();
    const auto done = impl.done.fetch_add(by) + by;
    if (done >= impl.total || steady_clock::now() - impl.last_report >= report_interval)
        report(*job);
}

void state_fact(Job* job, std::string_view name, std::string value)
{
    if (!job)
        return;
    auto& impl = job->impl();
    const std::lock_guard lock(impl.mutex);
    impl.facts.insert_or_assign(std::string(name), std::move(value));
}

bool is_dry_run(const Job* job) noexcept
{
    return job && job->is_dry_run();
}

} // namespace storage::inline v1
