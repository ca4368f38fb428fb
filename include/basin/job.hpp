// SPDX-License-Identifier: LGPL-2.1-or-later
// Job: progress, cancellation, deadline, dry run and trace of one long call.
#pragma once

#include <basin/definition.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>

namespace storage::inline v1 {

/** How far a call has come. */
struct Progress {
    std::string phase{};   ///< what it does now, such as "copying"
    std::uint64_t done{};  ///< in bytes, or in items where the phase has no bytes
    std::uint64_t total{}; ///< 0: not known
    std::uint64_t rate{};  ///< of the phase so far, per second
    bool operator==(const Progress&) const = default;
};

/** One step of a change, as planned or as done. The two have the same form. */
struct StepRecord {
    std::string kind{}; ///< "mkdir", "write_file", "remove_file", "command" …
    /**
     * The program with the arguments that it is given, or the library's or system's call that has
     * the effect with the paths and numbers that it is about. Of calls that one step makes one
     * after the other the words are parted by "&&". A file that is made under a temporary name has
     * its final path here, and "***" stands for secrets and the descriptors that they come through.
     * What is drawn or found out only when the step runs is a word: "UUID" of a new physical
     * volume, "auto" for a file system's type; how a copy came by its bytes is in Job::facts().
     * "basin-partition" gets its words as a request on standard input.
     */
    std::vector<std::string> call{};
    std::string summary{}; ///< in words
    bool destructive{};    ///< loses data that cannot be brought back
    std::string undo{};    ///< how it is undone, in words; "" where it cannot be
    bool operator==(const StepRecord&) const = default;
};

BASIN_API std::string to_json(const StepRecord& step);

/**
 * Accompanies one call at a time and may be read, and cancelled, from any other thread meanwhile.
 *
 * Reusing a Job for the next call resets its progress, plan and trace; deadline, dry run and
 * callback stay.
 * @note Thread-safe, but the setters must not race with the call that uses the job.
 */
class BASIN_API Job {
public:
    Job();
    ~Job();
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    /** Ends the call with ErrorCode::cancelled as soon as it can stop cleanly. Async-signal-safe.
     */
    void cancel() noexcept;
    bool is_cancelled() const noexcept;

    /**
     * Ends the call with ErrorCode::timed_out once this much time has passed from now. Zero: no
     * deadline. Where the storage does not answer at all, the call ends within half a second after
     * the deadline and leaves a thread behind, which keeps the volume locked, undoes what it began
     * and ends when the storage answers; what was done but for a last look at it stays done. Such a
     * pool is PoolState::inaccessible meanwhile.
     */
    void set_timeout(std::chrono::milliseconds timeout);
    std::optional<std::chrono::steady_clock::time_point> deadline() const;

    /** Time that the call waits for a lock held by another; default 0: ErrorCode::busy at once.
     * More than a hundred years, as with milliseconds::max(), are a hundred, here and above. */
    void set_wait(std::chrono::milliseconds wait);
    std::chrono::milliseconds wait() const;

    /** With true, a changing call only lists its steps in plan() and changes nothing. */
    void set_dry_run(bool dry_run);
    bool is_dry_run() const;

    /** Called on the calling thread at most every 100 ms, and at each change of phase. Must not
     * throw. */
    void set_progress_callback(std::function<void(const Progress&)> callback);
    Progress progress() const;

    /** The steps that the call set out to do, in order. */
    std::vector<StepRecord> plan() const;
    /** The steps that the call did, in order. */
    std::vector<StepRecord> trace() const;
    /**
     * What the call tells besides its result. "method": how it copied (reflink, copy_file_range,
     * sparse_copy, qemu-img, linked); "reason": why not a cheaper way; "sha256": of the content,
     * where that was asked for.
     */
    std::map<std::string, std::string> facts() const;

    struct BASIN_LOCAL Impl;
    Impl& impl() noexcept { return *impl_; } ///< for the library itself

private:
    std::unique_ptr<Impl> impl_;
};

/** Facts or details as a JSON object. */
BASIN_API std::string to_json(const std::map<std::string, std::string>& facts);

} // namespace storage::inline v1
