// SPDX-License-Identifier: LGPL-2.1-or-later
// ProcessSupervisor: starts one program so that the process that embeds basin does not notice.
//
// A direct child would: execve(2) resets a child's termination signal to SIGCHLD, so that the
// host's handler runs, its wait(-1) takes the status, and nothing is left to wait for where it
// ignores SIGCHLD. So the program is a grandchild. Its parent, the supervisor, is a clone(2) of
// this process that shares its memory, executes no other program, and ends with no signal: only
// waiting for it by name, with __WALL, sees it. No page table is copied, so the size of the host
// does not matter.
//
// Where this process is killed, the supervisor kills the program, waits for its end and has the
// locks of this process until then: what the program may still change is nobody's to recover.
#pragma once

#include "file_io.hpp"

#include <span>

namespace storage::inline v1 {

/** A descriptor of ours and its number in the program. */
struct DescriptorMove {
    int from{};
    int to{};
};

/** All that the new process needs, made before, since it may allocate nothing. */
struct ProcessPlan {
    const char* path{};
    char* const* arguments{};
    char* const* environment{};
    std::span<DescriptorMove> moves{}; ///< ascending by `to`; `from` is overwritten in the child
    bool dies_with_us{true};           ///< else the locks stay until it ends by itself
};

class ProcessSupervisor {
public:
    /** Begins to start the program. What the plan points to has to stay until started. */
    explicit ProcessSupervisor(const ProcessPlan& plan);
    /** Ends what still runs. */
    ~ProcessSupervisor();
    ProcessSupervisor(const ProcessSupervisor&) = delete;
    ProcessSupervisor& operator=(const ProcessSupervisor&) = delete;

    /** Readable when receive() has something to say. */
    int channel() const noexcept { return channel_.get(); }
    /** Readable when the supervisor has ended, which it does not do by itself. */
    int pidfd() const noexcept { return pidfd_.get(); }

    enum class News : char { none, started, ended, lost };
    /** What happened; never blocks. `lost`: somebody killed the supervisor, the program is gone. */
    News receive();

    /** errno of what kept the program from starting, or 0; valid from `started` on. */
    int start_error() const noexcept { return start_error_; }
    int program_pid() const noexcept { return program_pid_; }
    /** CLD_EXITED, CLD_KILLED or CLD_DUMPED, and the status or signal; valid from `ended` on. */
    int end_code() const noexcept { return end_code_; }
    int end_status() const noexcept { return end_status_; }

    /** Signals all processes of the program's group. From `started` until finish(). */
    void signal_group(int signal) noexcept;

    /** Reaps the program if it has ended, lets go of it if not: then init reaps it. */
    void finish() noexcept;

private:
    struct Shared;
    void stop_launch() noexcept;

    Shared* shared_{};
    void* memory_{};
    UniqueFd channel_{};
    UniqueFd pidfd_{};
    bool started_{};
    bool ended_{};
    bool lost_{};
    int start_error_{};
    int program_pid_{};
    int end_code_{};
    int end_status_{};
    bool running_{};
};

} // namespace storage::inline v1
