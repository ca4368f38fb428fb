// SPDX-License-Identifier: LGPL-2.1-or-later
// Work in a child that is stopped at each of its system calls: to be killed there, or to be told
// that the call failed.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct TracedCall {
    int index{}; ///< from 1
    long number{};
    std::array<std::uint64_t, 6> arguments{};
};

/** What happens to a call: it goes on; the child is killed behind it; or it is not made and fails
 * with that errno (x86_64 only). */
struct Fate {
    bool killed{};
    int error{};
    bool last{}; ///< the calls behind it are not looked at
};

struct TraceResult {
    bool killed{};
    int calls{};
    int status{}; ///< the child's exit status where it was not killed
};

inline constexpr bool calls_can_fail =
#ifdef __x86_64__
    true;
#else
    false;
#endif

/** The child says so itself: calls before are not looked at, nor those behind a second mark. */
inline void mark()
{
    ::raise(SIGSTOP);
}

namespace tracing {

/** As REQUIRE(), which costs too much where it stands for each call. */
inline void must(bool condition)
{
    if (!condition)
        FAIL("ptrace: " << std::strerror(errno));
}

inline void replace_number(pid_t child, [[maybe_unused]] long number)
{
#ifdef __x86_64__
    user_regs_struct registers{};
    must(::ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0);
    registers.orig_rax = static_cast<unsigned long long>(number);
    must(::ptrace(PTRACE_SETREGS, child, nullptr, &registers) == 0);
#else
    FAIL("not for this machine: " << child);
#endif
}

inline void replace_result(pid_t child, [[maybe_unused]] long result)
{
#ifdef __x86_64__
    user_regs_struct registers{};
    must(::ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0);
    registers.rax = static_cast<unsigned long long>(result);
    must(::ptrace(PTRACE_SETREGS, child, nullptr, &registers) == 0);
#else
    FAIL("not for this machine: " << child);
#endif
}

} // namespace tracing

/**
 * Runs work in a child; its value is the exit status. Programs that the child starts and its other
 * threads run freely.
 * @param from_mark  mark() is where looking begins; else the child's first call
 */
inline TraceResult trace(const std::function<int()>& work, bool from_mark,
                         const std::function<Fate(const TracedCall&)>& decide)
{
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        ::_exit(work());
    }
    TraceResult result;
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSTOPPED(status));
    REQUIRE(::ptrace(PTRACE_SETOPTIONS, child, nullptr,
                     PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    bool looking = !from_mark;
    Fate fate;
    for (long signal = 0;;) {
        // Each stop waits for a processor: none where there is nothing to decide.
        if (looking)
            tracing::must(::ptrace(PTRACE_SYSCALL, child, nullptr, signal) == 0);
        else
            tracing::must(::ptrace(PTRACE_CONT, child, nullptr, signal) == 0);
        tracing::must(::waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status))
            break;
        signal = WSTOPSIG(status);
        if (signal == SIGSTOP) {
            looking = !looking && result.calls == 0;
            signal = 0;
            continue;
        }
        if (signal != (SIGTRAP | 0x80))
            continue; // a signal of its own, which it gets
        signal = 0;
        __ptrace_syscall_info info{};
        tracing::must(::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            TracedCall call{.index = ++result.calls, .number = static_cast<long>(info.entry.nr)};
            for (std::size_t i = 0; i < call.arguments.size(); ++i)
                call.arguments[i] = info.entry.args[i];
            fate = decide(call);
            if (fate.error != 0)
                tracing::replace_number(child, -1);
        } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
            if (fate.error != 0)
                tracing::replace_result(child, -fate.error);
            if (fate.killed) {
                ::kill(child, SIGKILL);
                ::waitpid(child, &status, 0);
                result.killed = true;
                return result;
            }
            looking = !fate.last;
            fate = {};
        }
    }
    INFO("signal " << (WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    REQUIRE(WIFEXITED(status));
    result.status = WEXITSTATUS(status);
    return result;
}

/** Whether a call can alter what other processes see, or starts one: behind all others a kill finds
 * what it found behind the call before. */
inline bool changes_something(const TracedCall& call)
{
    switch (call.number) {
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_statfs:
    case SYS_getdents64:
    case SYS_read:
    case SYS_pread64:
    case SYS_readlinkat:
    case SYS_lseek:
    case SYS_close:
    case SYS_fcntl:
    // Of this process alone.
    case SYS_mmap:
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_brk:
    case SYS_futex:
    case SYS_clone3: // a thread; programs are started by clone(2)
    case SYS_set_robust_list:
    case SYS_rseq:
    case SYS_exit:
    case SYS_exit_group:
    case SYS_sched_yield:
    case SYS_getrusage:
    case SYS_clock_nanosleep:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigaction:
    case SYS_utimensat: // of a lock's file, or a journal that is put off
    case SYS_getrandom: return false;
#ifdef SYS_readlink
    case SYS_readlink: return false;
#endif
    case SYS_openat: {
        constexpr std::uint64_t makes_files = 0100 | 01000 | 020000000; // CREAT, TRUNC, TMPFILE
        return (call.arguments[2] & makes_files) != 0;
    }
    default: return true;
    }
}

/** Whether a file may be made without a name: what the traced child can be told not to be so. */
inline bool opens_unnamed(const TracedCall& call)
{
    constexpr int tmpfile_bit = 020000000; // O_TMPFILE is this and O_DIRECTORY
    return call.number == SYS_openat && (call.arguments[2] & tmpfile_bit) != 0;
}
