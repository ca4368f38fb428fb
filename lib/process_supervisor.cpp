// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process_supervisor.hpp"

#include "lock_descriptor.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <type_traits>
#include <unistd.h>

// For the functions that run in the new processes. These share our memory and the calling thread's
// thread-local storage. So: bare system calls, because what stands before a function of libc may
// keep books in that memory (sanitizers, a JVM's libjsig, glibc's points of cancellation); no
// allocation; and once the caller runs again no call that fails, since errno is the caller's.
#define BASIN_BARE __attribute__((no_sanitize("address", "undefined", "thread")))

#ifdef __SANITIZE_THREAD__
// Its clone() prepares for a child with memory of its own. This is glibc's, under its other name.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);
#define BASIN_CLONE ::__clone
#else
#define BASIN_CLONE ::clone
#endif

namespace storage::inline v1 {

struct ProcessSupervisor::Shared {
    ProcessPlan plan{};
    DescriptorMove* moves{}; ///< plan.moves, without a function to call
    DescriptorMove* moves_end{};
    char* program_stack{}; ///< its upper end
    int* keep{};           ///< what the supervisor has open: locks, and room for three more
    int keep_count{};
    int supervisor_end{}; ///< of the channel
    int host_pidfd{};
    int supervisor_pid{};
    int start_error{};
    int program_pid{};
    int end_code{};
    int end_status{};

    static int run_program(void* argument);
    static int supervise(void* argument);
};

namespace {

constexpr std::size_t guard_size = 64 << 10; // one page, however large
constexpr std::size_t stack_size = 64 << 10;
constexpr std::size_t shared_size = 64 << 10;
constexpr std::size_t memory_size = 2 * (guard_size + stack_size) + shared_size;

constexpr int kill_patience_ms = 2000;

constexpr char started_byte = 's';
constexpr char ended_byte = 'e';
constexpr char finish_byte = 'f';

/** A system call with each number widened to a register. */
template <typename... Arguments>
BASIN_BARE inline long call(long number, Arguments... arguments)
{
    return ::syscall(
        number, static_cast<std::conditional_t<std::is_integral_v<Arguments>, long, Arguments>>(
                    arguments)...);
}

BASIN_BARE void reset_signals()
{
    const long action[8] = {}; // the kernel's own structure: SIG_DFL, no flags, empty mask
    for (int number = 1; number <= 64; ++number)
        call(SYS_rt_sigaction, number, action, nullptr, sizeof(std::uint64_t));
}

BASIN_BARE int move_descriptors(DescriptorMove* moves, const DescriptorMove* end)
{
    const int spare = end[-1].to + 1;
    for (auto* move = moves; move != end; ++move) // away from where others go
        if ((move->from = static_cast<int>(call(SYS_fcntl, move->from, F_DUPFD_CLOEXEC, spare))) <
            0)
            return errno;
    unsigned next = 0;
    for (const auto* move = moves; move != end; ++move) {
        const auto to = static_cast<unsigned>(move->to);
        if (call(SYS_dup3, move->from, move->to, 0) < 0 ||
            (to != next && call(SYS_close_range, next, to - 1, 0) != 0))
            return errno;
        next = to + 1;
    }
    return call(SYS_close_range, next, ~0U, 0) != 0 ? errno : 0;
}

/** Puts a descriptor into a list in ascending order. */
BASIN_BARE void insert(int* list, int& count, int fd)
{
    int place = count++;
    for (; place > 0 && list[place - 1] > fd; --place)
        list[place] = list[place - 1];
    list[place] = fd;
}

BASIN_BARE void keep_only(const int* list, int count)
{
    unsigned next = 0;
    for (int i = 0; i != count; ++i) {
        if (list[i] < 0)
            continue;
        const auto number = static_cast<unsigned>(list[i]);
        if (number > next)
            call(SYS_close_range, next, number - 1, 0);
        next = number + 1;
    }
    call(SYS_close_range, next, ~0U, 0);
}

/** Kills the program's group and waits until nobody of it is left. */
BASIN_BARE void end_group(int pid)
{
    siginfo_t info{};
    call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); // what the program leaves becomes ours
    call(SYS_kill, -pid, SIGKILL);
    while (call(SYS_waitid, P_PGID, pid, &info, WEXITED | __WALL, nullptr) == 0) {
    }
}

/** Waits for the program or, where that is -1, for word from the caller. Whether the program ended.
 * `gone`: our process is. */
BASIN_BARE bool wait_for_end(int program, int channel, int host, char& word, bool& gone)
{
    for (;;) {
        pollfd polled[] = {{program, POLLIN, 0}, {channel, POLLIN, 0}, {host, POLLIN, 0}};
        if (call(SYS_ppoll, polled, 3, nullptr, nullptr, 8) < 0)
            continue; // stopped and continued: the signals are blocked
        gone = polled[2].revents != 0;
        if (gone)
            return false;
        if (polled[0].revents)
            return true;
        if (polled[1].revents) {
            gone = call(SYS_read, channel, &word, 1) != 1;
            return false;
        }
    }
}

} // namespace

BASIN_BARE int ProcessSupervisor::Shared::run_program(void* argument)
{
    auto& shared = *static_cast<Shared*>(argument);
    const auto& plan = shared.plan;
    shared.program_pid = static_cast<int>(call(SYS_getpid));
    // A session, and with it a group, of its own: no terminal to ask the user on.
    call(SYS_setsid);
    if (plan.dies_with_us) {
        call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (call(SYS_getppid) != shared.supervisor_pid)
            return 127;
    }
    const std::uint64_t no_core[] = {0, 0};
    call(SYS_prlimit64, 0, RLIMIT_CORE, no_core, nullptr);
    call(SYS_umask, 077);
    if (call(SYS_chdir, "/") != 0)
        shared.start_error = errno;
    else if ((shared.start_error = move_descriptors(shared.moves, shared.moves_end)) == 0) {
        const std::uint64_t nothing = 0;
        call(SYS_rt_sigprocmask, SIG_SETMASK, &nothing, nullptr, sizeof nothing);
        call(SYS_execve, plan.path, plan.arguments, plan.environment);
        shared.start_error = errno;
    }
    return 127;
}

BASIN_BARE int ProcessSupervisor::Shared::supervise(void* argument)
{
    auto& shared = *static_cast<Shared*>(argument);
    const int channel = shared.supervisor_end;
    const int host = shared.host_pidfd;
    const bool dies_with_us = shared.plan.dies_with_us;
    call(SYS_prctl, PR_SET_NAME, "basin-wait", 0, 0, 0);
    shared.supervisor_pid = static_cast<int>(call(SYS_getpid));
    reset_signals();

    int program = -1;
    const int pid = BASIN_CLONE(run_program, shared.program_stack,
                                CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &shared, &program);
    siginfo_t info{};
    if (pid < 0)
        shared.start_error = errno;
    else if (shared.start_error != 0)
        call(SYS_waitid, P_PIDFD, program, &info, WEXITED, nullptr);
    const bool runs = shared.start_error == 0;
    insert(shared.keep, shared.keep_count, channel);
    insert(shared.keep, shared.keep_count, host);
    insert(shared.keep, shared.keep_count, program);
    keep_only(shared.keep, shared.keep_count);
    char word = started_byte;
    call(SYS_write, channel, &word, 1);

    bool gone = false;
    if (!runs) {
        wait_for_end(-1, channel, host, word, gone);
    } else if (wait_for_end(program, channel, host, word, gone)) {
        // Not reaped yet: until then the number of its group can be no other's.
        call(SYS_waitid, P_PIDFD, program, &info, WEXITED | WNOWAIT, nullptr);
        shared.end_code = info.si_code;
        shared.end_status = info.si_status;
        word = ended_byte;
        call(SYS_write, channel, &word, 1);
        wait_for_end(-1, channel, host, word, gone);
        if (gone && dies_with_us)
            end_group(pid);
        else
            call(SYS_waitid, P_PIDFD, program, &info, WEXITED, nullptr);
    } else if (gone && dies_with_us) {
        end_group(pid);
    } else if (gone) {
        call(SYS_waitid, P_PIDFD, program, &info, WEXITED, nullptr);
    }
    return 0;
}

ProcessSupervisor::ProcessSupervisor(const ProcessPlan& plan)
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw system_error(errno, "cannot make a socket pair");
    channel_.reset(ends[0]);
    const UniqueFd supervisor_end(ends[1]);
    const UniqueFd host(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    if (!host)
        throw system_error(errno, "cannot open a pidfd");

    memory_ =
        ::mmap(nullptr, memory_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory_ == MAP_FAILED)
        throw system_error(errno, "cannot map memory for a process");
    auto* const bottom = static_cast<char*>(memory_);
    char* const program_stack = bottom + guard_size;
    char* const supervisor_stack = program_stack + stack_size + guard_size;
    if (::mprotect(program_stack, stack_size, PROT_READ | PROT_WRITE) != 0 ||
        ::mprotect(supervisor_stack, stack_size + shared_size, PROT_READ | PROT_WRITE) != 0) {
        const int error = errno;
        ::munmap(memory_, memory_size);
        throw system_error(error, "cannot map memory for a process");
    }
    shared_ = new (supervisor_stack + stack_size) Shared{};
    shared_->plan = plan;
    shared_->moves = plan.moves.data();
    shared_->moves_end = plan.moves.data() + plan.moves.size();
    shared_->program_stack = program_stack + stack_size;
    shared_->supervisor_end = supervisor_end.get();
    shared_->host_pidfd = host.get();
    shared_->keep = reinterpret_cast<int*>(supervisor_stack + stack_size + sizeof(Shared));
    constexpr std::size_t most_locks = (shared_size - sizeof(Shared)) / sizeof(int) - 3;

    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    int pid = -1;
    int error = 0;
    {
        const LockDescriptors locks; // none is closed, and its number given to another, meanwhile
        for (std::size_t i = 0; i != std::min(locks.list().size(), most_locks); ++i)
            insert(shared_->keep, shared_->keep_count, locks.list()[i]);
        pid = BASIN_CLONE(Shared::supervise, supervisor_stack + stack_size, CLONE_VM | CLONE_PIDFD,
                          shared_, &pidfd);
        error = errno;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) {
        ::munmap(memory_, memory_size);
        throw system_error(error, std::string("cannot start '") + plan.path + "'");
    }
    pidfd_.reset(pidfd);
    running_ = true;
}

ProcessSupervisor::~ProcessSupervisor()
{
    if (started_ && running_ && start_error_ == 0) {
        signal_group(SIGKILL);
        pollfd polled[] = {{channel_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
        if (!ended_)
            ::poll(polled, 2, kill_patience_ms);
    }
    finish();
}

ProcessSupervisor::News ProcessSupervisor::receive()
{
    char word{};
    if (::recv(channel_.get(), &word, 1, MSG_DONTWAIT) == 1) {
        started_ = true;
        ended_ = word == ended_byte;
        start_error_ = shared_->start_error;
        program_pid_ = shared_->program_pid;
        end_code_ = shared_->end_code;
        end_status_ = shared_->end_status;
        return ended_ ? News::ended : News::started;
    }
    pollfd polled{pidfd_.get(), POLLIN, 0};
    lost_ = ::poll(&polled, 1, 0) == 1;
    return lost_ ? News::lost : News::none;
}

void ProcessSupervisor::signal_group(int signal) noexcept
{
    if (running_ && started_ && start_error_ == 0)
        ::kill(-program_pid_, signal);
}

/** Ends both processes while the program has not started: its file may be on a server that hangs.
 */
void ProcessSupervisor::stop_launch() noexcept
{
    // The program first: its parent waits in vfork(2) and cannot reap it, so the number is its own.
    const int pid = __atomic_load_n(&shared_->program_pid, __ATOMIC_ACQUIRE);
    if (pid > 0)
        ::kill(pid, SIGKILL);
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

void ProcessSupervisor::finish() noexcept
{
    if (!running_)
        return;
    running_ = false;
    if (started_)
        ::send(channel_.get(), &finish_byte, 1, MSG_NOSIGNAL);
    else if (!lost_)
        stop_launch();
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | __WALL) != 0 &&
           errno == EINTR) {
    }
    // A program that hangs in execve(2) still has its stack there. It will not come back to it: a
    // signal that kills is pending. Its memory is left to it.
    if (started_)
        ::munmap(memory_, memory_size);
}

} // namespace storage::inline v1
