// SPDX-License-Identifier: LGPL-2.1-or-later
#include "patience.hpp"

#include "calling_thread.hpp"
#include "dynamic_library.hpp"
#include "file_io.hpp"
#include "signal_guard.hpp"

#include <exception>
#include <thread>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto look_interval = 50ms;  ///< how soon a cancel is noticed
constexpr auto short_interval = 10ms; ///< where the call only looks at something
constexpr auto grace = 300ms;         ///< to end cleanly, for work that does not move
constexpr auto long_grace = 10s;      ///< the same, for work that does: it undoes something
constexpr auto still_after = 30ms;    ///< then it does not move
constexpr auto stuck_after = 1s;      ///< then storage is not about to answer

/** One call between the thread that does it and the one that waits for it. */
struct Call {
    std::mutex mutex{};
    std::condition_variable changed{};
    std::function<void(Job*)> work{};
    const LeftCalls* storage{}; ///< whose storage it asks
    Job job{};
    pid_t thread{};
    bool done{};
    bool left{}; ///< nobody waits any more
    std::exception_ptr error{};
    std::atomic<bool> waits{}; ///< for another call

    const std::function<void()>* request{}; ///< to be called by the thread that waits
    bool answered{};
    std::exception_ptr request_error{};
};

thread_local Call* current = nullptr;

/** This thread waits for another one's call: that it wakes up meanwhile is no movement. */
class WaitingForAnother {
public:
    WaitingForAnother()
    {
        if (current)
            current->waits = true;
    }
    ~WaitingForAnother()
    {
        if (current)
            current->waits = false;
    }
    WaitingForAnother(const WaitingForAnother&) = delete;
    WaitingForAnother& operator=(const WaitingForAnother&) = delete;
};

/** Takes a job's state over into the one that the program looks at. */
void show(Job& own, Job& callers)
{
    auto& from = own.impl();
    auto& to = callers.impl();
    const std::scoped_lock lock(from.mutex, to.mutex);
    to.phase = from.phase;
    to.phase_start = from.phase_start;
    to.done = from.done.load();
    to.total = from.total.load();
    to.plan = from.plan;
    to.trace = from.trace;
    to.facts = from.facts;
}

void prepare(Job& own, Job* callers, Deadline limit)
{
    using std::chrono::nanoseconds;
    auto& impl = own.impl();
    if (limit)
        impl.deadline_ns =
            std::chrono::duration_cast<nanoseconds>(limit->time_since_epoch()).count();
    if (!callers)
        return;
    impl.wait_ms = callers->impl().wait_ms.load();
    impl.dry_run = callers->is_dry_run();
    own.set_progress_callback([&own, callers](const Progress&) {
        try {
            on_calling_thread([&] {
                show(own, *callers);
                if (const auto& callback = callers->impl().callback)
                    callback(callers->progress());
            });
        } catch (const Error&) { // nobody waits any more
        }
    });
}

void perform(const std::shared_ptr<Call>& call, const std::shared_ptr<LeftCalls>& left)
{
    {
        const std::lock_guard lock(call->mutex);
        call->thread = ::gettid();
    }
    current = call.get();
    std::exception_ptr error;
    try {
        const CallScope scope(&call->job);
        call->work(&call->job);
    } catch (...) {
        error = std::current_exception();
    }
    call->work = nullptr; // and with it what it holds, while the caller still waits
    current = nullptr;
    const std::lock_guard lock(call->mutex);
    call->error = std::move(error);
    call->done = true;
    if (call->left)
        left->remove();
    call->changed.notify_all();
}

std::thread start(const std::shared_ptr<Call>& call, const std::shared_ptr<LeftCalls>& left)
{
    const SignalsBlocked blocked;
    try {
        return std::thread([call, left] { perform(call, left); });
    } catch (const std::system_error& error) {
        throw system_error(error.code().value(), "cannot start a thread");
    }
}

/** Whether a thread has run since it was last asked. */
class Movement {
public:
    /** @param count_ready  also whether it is about to */
    bool seen(pid_t thread, bool count_ready) noexcept
    {
        if (thread == 0) // has not begun
            return count_ready;
        try {
            const auto directory = "/proc/self/task/" + std::to_string(thread);
            auto now = read_small_file(directory + "/schedstat", 128);
            const bool moved = now && (now != before_ || (count_ready && is_ready(directory)));
            before_ = std::move(now);
            return moved;
        } catch (const std::exception&) { // no descriptor or no memory is left
            return false;
        }
    }

private:
    static bool is_ready(const std::string& directory)
    {
        const auto status = read_small_file(directory + "/stat", 1024); // "1 (a name) R ...
        const auto name_end = status ? status->rfind(')') : std::string::npos;
        return name_end != std::string::npos && status->compare(name_end, 3, ") R") == 0;
    }
    std::optional<std::string> before_{};
};

void answer(Call& call, std::unique_lock<std::mutex>& lock)
{
    const auto* request = call.request;
    lock.unlock();
    std::exception_ptr error;
    try {
        on_calling_thread(*request); // which may itself be waited for
    } catch (...) {
        error = std::current_exception();
    }
    lock.lock();
    call.request = nullptr;
    call.request_error = std::move(error);
    call.answered = true;
    call.changed.notify_all();
}

/** Nobody waits for the call any more, whose mutex is held. */
void leave(Call& call, LeftCalls& left)
{
    call.left = true;
    left.add();
    call.job.cancel();
    call.changed.notify_all();
}

/** @return whether the work was done; false: its time is over, and it does not move */
bool await(Call& call, LeftCalls& left, Job* job, Deadline limit)
{
    // Who only looks has nothing to end cleanly: no other pool's call is to wait longer for it.
    const bool is_look = !job;
    const auto to_end = is_look ? steady_clock::duration(0) : steady_clock::duration(grace);
    const auto interval = is_look ? short_interval : look_interval;
    Deadline over;
    Movement movement;
    steady_clock::time_point moved;
    std::unique_lock lock(call.mutex);
    for (;;) {
        call.changed.wait_for(lock, interval, [&] { return call.done || call.request; });
        if (call.request)
            answer(call, lock);
        if (call.done)
            return true;
        const auto now = steady_clock::now();
        if (job && job->is_cancelled())
            call.job.cancel();
        if (!over && (call.job.is_cancelled() || (limit && now >= *limit)))
            over = now;
        if ((over || is_look) && !call.waits && movement.seen(call.thread, is_look))
            moved = now;
        const bool moves = now - moved < still_after;
        if (over && now >= *over + (moves ? steady_clock::duration(long_grace) : to_end)) {
            leave(call, left);
            return false;
        }
    }
}

} // namespace

std::size_t LeftCalls::count() const
{
    const std::lock_guard lock(mutex_);
    return count_;
}

bool LeftCalls::are_stuck() const
{
    const std::lock_guard lock(mutex_);
    return count_ != 0 && steady_clock::now() - since_ > stuck_after;
}

std::string LeftCalls::reason() const
{
    const std::lock_guard lock(mutex_);
    if (count_ == 0)
        return {};
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - since_).count();
    return "its storage has not answered for " + std::to_string(std::max<long long>(seconds, 1)) +
           " s";
}

void LeftCalls::await(Job* job, Deadline limit, const std::string& title)
{
    std::unique_lock lock(mutex_);
    while (count_ != 0) {
        const bool cancelled = job && job->is_cancelled();
        if (cancelled || (limit && steady_clock::now() >= *limit)) {
            lock.unlock();
            throw Error(cancelled ? ErrorCode::cancelled : ErrorCode::timed_out,
                        title + ": " + reason(), "see to its server or device");
        }
        returned_.wait_for(lock, look_interval);
    }
}

void LeftCalls::add()
{
    const std::lock_guard lock(mutex_);
    if (count_++ == 0)
        since_ = steady_clock::now();
}

void LeftCalls::remove()
{
    const std::lock_guard lock(mutex_);
    --count_;
    returned_.notify_all();
}

bool works_for(const LeftCalls& left) noexcept
{
    return current && current->storage == &left;
}

void call_with_patience(const std::shared_ptr<LeftCalls>& left, Job* job, Deadline limit,
                        const std::string& title, std::function<void(Job*)> work)
{
    if (works_for(*left)) { // somebody waits for this thread already
        work(job);
        return;
    }
    begin(job);
    const WaitingForAnother waiting;
    left->await(job, limit, title);
    const auto call = std::make_shared<Call>();
    call->work = std::move(work);
    call->storage = left.get();
    prepare(call->job, job, limit);
    auto thread = start(call, left);
    bool is_done = false;
    try {
        is_done = await(*call, *left, job, limit);
    } catch (...) { // such as the end of the calling thread
        {
            const std::lock_guard lock(call->mutex);
            if (!call->done)
                leave(*call, *left);
        }
        thread.detach();
        keep_this_library();
        throw;
    }
    if (!is_done) {
        thread.detach();
        keep_this_library();
        const bool cancelled = job && job->is_cancelled();
        throw Error(cancelled ? ErrorCode::cancelled : ErrorCode::timed_out,
                    title + ": its storage does not answer; the call ends when it does",
                    "see to its server or device");
    }
    thread.join();
    if (job)
        show(call->job, *job);
    if (call->error)
        std::rethrow_exception(call->error);
}

void on_calling_thread(const std::function<void()>& callback)
{
    auto* call = current;
    if (!call) {
        callback();
        return;
    }
    std::unique_lock lock(call->mutex);
    if (!call->left) {
        call->request = &callback;
        call->answered = false;
        call->changed.notify_all();
        call->changed.wait(lock, [&] { return call->answered || call->left; });
    }
    if (call->left)
        throw Error(ErrorCode::cancelled, "nobody waits for this call any more");
    if (call->request_error)
        std::rethrow_exception(std::exchange(call->request_error, nullptr));
}

} // namespace storage::inline v1
