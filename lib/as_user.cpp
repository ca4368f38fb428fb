// SPDX-License-Identifier: LGPL-2.1-or-later
#include "as_user.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The C library's setuid() and its kin change all threads, in the child through signals that never
// come: only the kernel's own calls will do (nptl(7)).
#ifdef SYS_setresuid32 // 32-bit systems: the plain ones take 16 bits
#define BASIN_SETGROUPS SYS_setgroups32
#define BASIN_SETRESGID SYS_setresgid32
#define BASIN_SETRESUID SYS_setresuid32
#else
#define BASIN_SETGROUPS SYS_setgroups
#define BASIN_SETRESGID SYS_setresgid
#define BASIN_SETRESUID SYS_setresuid
#endif

namespace storage::inline v1 {
namespace {

/** One system call. Arguments that it does not have are 0. */
struct Call {
    long number;
    long arguments[5];
};

template <typename... Arguments>
Call make_call(long number, Arguments... arguments)
{
    return {number, {static_cast<long>(arguments)...}};
}

long pointer(const std::string& text)
{
    return reinterpret_cast<long>(text.c_str());
}

long make(const Call& call)
{
    const auto* a = call.arguments;
    return ::syscall(call.number, a[0], a[1], a[2], a[3], a[4]);
}

/** What the child reports, in memory that both see. */
struct Report {
    long result;
    int error;
};

bool become(UserId user)
{
    const auto uid = static_cast<long>(user.uid), gid = static_cast<long>(user.gid);
    if (::syscall(BASIN_SETGROUPS, 0, nullptr) != 0 ||
        ::syscall(BASIN_SETRESGID, gid, gid, gid) != 0 ||
        ::syscall(BASIN_SETRESUID, uid, uid, uid) != 0)
        return false;
    if (user.uid == 0)
        return true;
    // A host that is not root but may change its uid would keep its capabilities.
    ::__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const ::__user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
    return ::syscall(SYS_capset, &header, none) == 0;
}

/** What the child does. Another thread may have held any lock when it was made: no allocation, no
 * destructor, nothing but system calls. */
[[noreturn]] void run_child(UserId user, const Call& call, Report& report)
{
    ::syscall(SYS_umask, 0);
    if (become(user)) {
        const long result = make(call);
        report = {.result = result, .error = errno};
    } else {
        report.error = EPERM; // EINVAL where the user namespace does not have that user
    }
    for (;;)
        ::syscall(SYS_exit_group, 0);
}

/**
 * Makes a child with a copy of the memory, but with our own table of descriptors: a descriptor that
 * it opens is ours at once, and its end closes, and so flushes, none of the host's files. It has no
 * signal at its end, hence is no child for the host's wait(2) (clone(2): exit signal, __WCLONE).
 */
pid_t make_child(int& pidfd)
{
    constexpr unsigned long flags = CLONE_FILES | CLONE_PIDFD;
#if defined(__s390x__) || defined(__s390__)
    return static_cast<pid_t>(::syscall(SYS_clone, nullptr, flags, &pidfd, nullptr, 0));
#else
    return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, &pidfd, nullptr, 0));
#endif
}

/** Blocks every signal, also those of the C library, so that none of the host's handlers runs in
 * the child. */
class NoSignals {
public:
    NoSignals() { ::syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all_, &before_, sizeof all_); }
    ~NoSignals() { ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof all_); }
    NoSignals(const NoSignals&) = delete;
    NoSignals& operator=(const NoSignals&) = delete;

private:
    std::uint64_t all_{~std::uint64_t{0}}; // the kernel's sigset_t
    std::uint64_t before_{};
};

/** Also where the user whom the child became stops it, as often as that is: it is that user's. */
void wait_for(int pidfd)
{
    constexpr int most_stopped_ms = 100;
    ::pollfd end{.fd = pidfd, .events = POLLIN, .revents = 0};
    for (int found; (found = ::poll(&end, 1, most_stopped_ms)) <= 0;)
        if (found == 0)
            ::syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, nullptr, 0);
    ::siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | __WALL) != 0 &&
           errno == EINTR) {
    }
}

/** Makes the call in a child and returns its result, or -1 and errno. */
long call_as(UserId user, const Call& call)
{
    if (user == UserId{.uid = ::geteuid(), .gid = ::getegid()})
        return make(call);
    void* shared =
        ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -1;
    auto& report = *static_cast<Report*>(shared);
    report = {.result = -1, .error = EINTR}; // what remains when the child is killed
    int pidfd = -1;
    pid_t child;
    int error = 0;
    {
        const NoSignals guard;
        child = make_child(pidfd);
        if (child == 0)
            run_child(user, call, report);
        error = errno;
    }
    if (child > 0) {
        wait_for(UniqueFd(pidfd).get());
    } else {
        report = {.result = -1, .error = error};
    }
    const Report answer = report;
    ::munmap(shared, sizeof(Report));
    errno = answer.error;
    return answer.result;
}

} // namespace

UniqueFd open_as(UserId user, int directory_fd, const std::string& name, int flags, mode_t mode)
{
    return UniqueFd(
        static_cast<int>(call_as(user, make_call(SYS_openat, directory_fd, pointer(name),
                                                 flags | O_CLOEXEC | O_LARGEFILE, mode))));
}

int link_as(UserId user, int old_directory_fd, const std::string& old_name, int new_directory_fd,
            const std::string& new_name, int flags)
{
    return static_cast<int>(call_as(user, make_call(SYS_linkat, old_directory_fd, pointer(old_name),
                                                    new_directory_fd, pointer(new_name), flags)));
}

int rename_as(UserId user, int old_directory_fd, const std::string& old_name, int new_directory_fd,
              const std::string& new_name, unsigned flags)
{
    return static_cast<int>(
        call_as(user, make_call(SYS_renameat2, old_directory_fd, pointer(old_name),
                                new_directory_fd, pointer(new_name), flags)));
}

int unlink_as(UserId user, int directory_fd, const std::string& name, int flags)
{
    return static_cast<int>(
        call_as(user, make_call(SYS_unlinkat, directory_fd, pointer(name), flags)));
}

int mkdir_as(UserId user, int directory_fd, const std::string& name, mode_t mode)
{
    return static_cast<int>(
        call_as(user, make_call(SYS_mkdirat, directory_fd, pointer(name), mode)));
}

int chmod_as(UserId user, int fd, mode_t mode)
{
    return static_cast<int>(call_as(user, make_call(SYS_fchmod, fd, mode)));
}

} // namespace storage::inline v1
