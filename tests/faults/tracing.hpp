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

/** The child says so itself: calls before are not counted. */
inline void count_from_here()
{
    ::syscall(SYS_getppid);
}

namespace tracing {

inline void replace_number(pid_t child, [[maybe_unused]] long number)
{
#ifdef __x86_64__
    user_regs_struct registers{};
    REQUIRE(::ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0);
    registers.orig_rax = static_cast<unsigned long long>(number);
    REQUIRE(::ptrace(PTRACE_SETREGS, child, nullptr, &registers) == 0);
#else
    FAIL("not for this machine: " << child);
#endif
}

inline void replace_result(pid_t child, [[maybe_unused]] long result)
{
#ifdef __x86_64__
    user_regs_struct registers{};
    REQUIRE(::ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0);
    registers.rax = static_cast<unsigned long long>(result);
    REQUIRE(::ptrace(PTRACE_SETREGS, child, nullptr, &registers) == 0);
#else
    FAIL("not for this machine: " << child);
#endif
}

} // namespace tracing

/**
 * Runs work in a child; its value is the exit status. Programs that the child starts and its other
 * threads run freely.
 * @param counted_from_mark  count_from_here() is where counting begins; else the child's first call
 */
inline TraceResult trace(const std::function<int()>& work, bool counted_from_mark,
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
    bool counting = !counted_from_mark;
    Fate fate;
    for (long signal = 0;;) {
        REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, signal) == 0);
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status))
            break;
        signal = WSTOPSIG(status);
        if (signal != (SIGTRAP | 0x80))
            continue; // a signal of its own, which it gets
        signal = 0;
        __ptrace_syscall_info info{};
        REQUIRE(::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            fate = {};
            const auto number = static_cast<long>(info.entry.nr);
            if (!counting) {
                counting = number == SYS_getppid;
                continue;
            }
            TracedCall call{.index = ++result.calls, .number = number};
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
            fate = {};
        }
    }
    INFO("signal " << (WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    REQUIRE(WIFEXITED(status));
    result.status = WEXITSTATUS(status);
    return result;
}

/** Whether a file may be made without a name: what the traced child can be told not to be so. */
inline bool opens_unnamed(const TracedCall& call)
{
    constexpr int tmpfile_bit = 020000000; // O_TMPFILE is this and O_DIRECTORY
    return call.number == SYS_openat && (call.arguments[2] & tmpfile_bit) != 0;
}
