// SPDX-License-Identifier: LGPL-2.1-or-later
// Calls that a child makes as another user, and that the host notices nothing of it.
#include "as_user.hpp"
#include "child.hpp"
#include "fuse_mount.hpp"
#include "processes.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <vector>

using namespace storage;

namespace {

constexpr UserId nobody{.uid = 65534, .gid = 65534};

struct Shared {
    TemporaryDirectory directory{};
    UniqueFd fd{};

    Shared()
    {
        ::chmod(directory.path().c_str(), 0777);
        fd = open_file(directory.path(), O_RDONLY | O_DIRECTORY);
    }
    struct stat status(const std::string& name) const
    {
        struct stat result {};
        CHECK(::lstat((directory / name).c_str(), &result) == 0);
        return result;
    }
};

bool is_root()
{
    if (::geteuid() == 0)
        return true;
    WARN("skipped: only root may act as another user");
    return false;
}

volatile std::sig_atomic_t children_ended;

/** A process of that user whose parent is this one; 0 where there is none. */
pid_t child_of_user(uid_t user)
{
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto pid = std::atoi(entry.path().filename().c_str());
        std::ifstream file(entry.path() / "status");
        unsigned parent = 0, uid = 0;
        for (std::string line; std::getline(file, line);) {
            std::sscanf(line.c_str(), "PPid: %u", &parent);
            std::sscanf(line.c_str(), "Uid: %u", &uid);
        }
        if (pid > 0 && static_cast<pid_t>(parent) == ::getpid() && uid == user)
            return pid;
    }
    return 0;
}

} // namespace

TEST_CASE_METHOD(Shared, "a file is made, linked, renamed and removed as another user", "[as_user]")
{
    if (!is_root())
        return;
    const auto mask = ::umask(077);
    const auto before = open_descriptors().size();
    {
        const auto file = open_as(nobody, fd.get(), "a", O_RDWR | O_CREAT | O_EXCL, 0664);
        ::umask(mask);
        REQUIRE(file);
        CHECK(::fcntl(file.get(), F_GETFD) == FD_CLOEXEC);
        CHECK(::write(file.get(), "text", 4) == 4);
        CHECK(open_descriptors().size() == before + 1);
    }
    CHECK(open_descriptors().size() == before);
    CHECK(directory.read("a") == "text");
    CHECK(status("a").st_uid == nobody.uid);
    CHECK(status("a").st_gid == nobody.gid);
    CHECK((status("a").st_mode & 07777) == 0664);

    CHECK(link_as(nobody, fd.get(), "a", fd.get(), "b") == 0);
    CHECK(status("b").st_ino == status("a").st_ino);
    CHECK(rename_as(nobody, fd.get(), "a", fd.get(), "c") == 0);
    CHECK_FALSE(directory.exists("a"));
    CHECK(rename_as(nobody, fd.get(), "b", fd.get(), "new", RENAME_NOREPLACE) == 0);
    CHECK(unlink_as(nobody, fd.get(), "c") == 0);
    CHECK(mkdir_as(nobody, fd.get(), "d", 0750) == 0);
    CHECK(status("d").st_uid == nobody.uid);
    CHECK((status("d").st_mode & 07777) == 0750);
    CHECK(unlink_as(nobody, fd.get(), "d", AT_REMOVEDIR) == 0);
    CHECK(directory.count() == 1);
}

TEST_CASE_METHOD(Shared, "a file without a name gets one as another user", "[as_user]")
{
    if (!is_root())
        return;
    const auto file = open_as(nobody, fd.get(), ".", O_RDWR | O_TMPFILE, 0600);
    if (!file && errno == EOPNOTSUPP) {
        WARN("skipped: this file system has no unnamed files");
        return;
    }
    REQUIRE(file);
    CHECK(link_as(nobody, AT_FDCWD, "/proc/self/fd/" + std::to_string(file.get()), fd.get(), "a",
                  AT_SYMLINK_FOLLOW) == 0);
    CHECK(status("a").st_uid == nobody.uid);
}

TEST_CASE_METHOD(Shared, "the other user's rights count, not ours", "[as_user]")
{
    if (!is_root())
        return;
    directory.write("secret", "x");
    REQUIRE(::chmod((directory / "secret").c_str(), 0600) == 0);
    const auto refused = [](auto&& result, int error) { return (result == -1) && errno == error; };
    CHECK(refused(open_as(nobody, fd.get(), "secret", O_RDONLY).get(), EACCES));
    CHECK(refused(open_as(nobody, fd.get(), "none", O_RDONLY).get(), ENOENT));
    // No group is left to it, nor the right to enter everywhere.
    REQUIRE(::chmod((directory / "secret").c_str(), 0060) == 0);
    CHECK(refused(open_as(nobody, fd.get(), "secret", O_RDONLY).get(), EACCES));
    CHECK(open_as({.uid = nobody.uid, .gid = 0}, fd.get(), "secret", O_RDONLY));
    REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
    CHECK(refused(unlink_as(nobody, fd.get(), "secret"), EACCES));
    CHECK(refused(mkdir_as(nobody, fd.get(), "d", 0700), EACCES));
    CHECK(refused(rename_as(nobody, fd.get(), "secret", fd.get(), "x"), EACCES));
    CHECK(directory.exists("secret"));
    CHECK(::geteuid() == 0);
    CHECK(open_file(directory / "secret", O_RDONLY));
}

TEST_CASE_METHOD(Shared, "a host that has capabilities without being root does not lend them",
                 "[as_user]")
{
    if (!is_root())
        return;
    directory.write("secret", "x");
    REQUIRE(::chmod((directory / "secret").c_str(), 0600) == 0);
    const auto answer = text_from_child([&]() -> std::string {
        ::__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        ::__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
        if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || ::setresuid(1, 1, 1) != 0 ||
            ::syscall(SYS_capget, &header, data) != 0)
            return "cannot keep capabilities";
        for (auto& part : data)
            part.effective = part.permitted;
        if (::syscall(SYS_capset, &header, data) != 0 ||
            ::faccessat(fd.get(), "secret", R_OK, AT_EACCESS) != 0)
            return "has no capabilities";
        const auto file = open_as(nobody, fd.get(), "secret", O_RDONLY);
        return file ? "lent" : std::to_string(errno);
    });
    CHECK(answer == std::to_string(EACCES));
}

TEST_CASE_METHOD(Shared, "who may not become another user is told so, and is himself", "[as_user]")
{
    const auto answer = text_from_child([&]() -> std::string {
        if (::geteuid() == 0 &&
            (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 ||
             ::setresuid(65534, 65534, 65534) != 0))
            return "cannot become nobody";
        const UserId self{.uid = ::geteuid(), .gid = ::getegid()};
        if (open_as({.uid = 1, .gid = 1}, fd.get(), ".", O_RDONLY) || errno != EPERM)
            return "became another";
        return open_as(self, fd.get(), "own", O_RDWR | O_CREAT, 0600) ? "fine" : "not himself";
    });
    CHECK(answer == "fine");
}

TEST_CASE_METHOD(Shared, "the host sees no child and no signal", "[as_user]")
{
    if (!is_root())
        return;
    struct sigaction counting {
    }, before{};
    counting.sa_handler = [](int) { children_ended = children_ended + 1; };
    for (const auto handler : {counting.sa_handler, SIG_DFL, SIG_IGN}) {
        children_ended = 0;
        counting.sa_handler = handler;
        REQUIRE(::sigaction(SIGCHLD, &counting, &before) == 0);
        ::sigset_t mask_before, mask_after;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
        CHECK(open_as(nobody, fd.get(), ".", O_RDONLY | O_DIRECTORY));
        CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
        CHECK(errno == ECHILD);
        CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
        for (int number = 1; number < SIGRTMAX; ++number)
            CHECK(::sigismember(&mask_before, number) == ::sigismember(&mask_after, number));
        CHECK(children_ended == 0);
        REQUIRE(::sigaction(SIGCHLD, &before, nullptr) == 0);
    }
}

TEST_CASE_METHOD(Shared, "the other user cannot keep the host waiting", "[as_user]")
{
    if (!is_root())
        return;
    const auto fifo = directory / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    REQUIRE(::chown(fifo.c_str(), nobody.uid, nobody.gid) == 0);
    std::atomic<bool> is_done{};
    UniqueFd opened;
    std::thread caller([&] { // waits for a reader
        opened = open_as(nobody, fd.get(), "fifo", O_WRONLY);
        is_done = true;
    });
    pid_t child = 0;
    CHECK(comes_true([&] {
        child = child_of_user(nobody.uid);
        return child != 0;
    }));
    CHECK((child != 0 && text_from_child([&]() -> std::string {
                             return ::setuid(nobody.uid) == 0 && ::kill(child, SIGSTOP) == 0
                                        ? "stopped"
                                        : "";
                         }) == "stopped"));
    const UniqueFd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
    CHECK(comes_true([&] { return is_done.load(); }));
    if (child != 0)
        ::kill(child, SIGCONT);
    caller.join();
    CHECK(opened);
}

TEST_CASE_METHOD(Shared, "threads that allocate and call at once neither hang nor mix answers",
                 "[as_user]")
{
    if (!is_root())
        return;
    std::atomic<bool> stop{};
    std::atomic<unsigned> wrong{};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            while (!stop)
                std::vector<std::string>(100, std::string(1000, 'x')).resize(1);
        });
    for (unsigned id = 1001; id < 1003; ++id)
        threads.emplace_back([&, id] {
            for (int i = 0; i < 100; ++i) {
                const auto name = std::to_string(id) + '-' + std::to_string(i);
                const auto file =
                    open_as({.uid = id, .gid = id}, fd.get(), name, O_WRONLY | O_CREAT, 0600);
                struct stat info {};
                if (!file || ::fstat(file.get(), &info) != 0 || info.st_uid != id)
                    ++wrong;
            }
        });
    for (std::size_t i = 2; i < threads.size(); ++i)
        threads[i].join();
    stop = true;
    threads[0].join();
    threads[1].join();
    CHECK(wrong == 0);
    CHECK(directory.count() == 200);
}

TEST_CASE_METHOD(Shared, "where only the owner may go, root goes as the owner", "[as_user]")
{
    const FuseMount fuse(directory);
    if (!fuse) {
        WARN("skipped: needs root, fuse2fs, setpriv and FUSE");
        return;
    }
    // The one that we have is of the name space without the mount.
    fd = open_file(directory.path(), O_RDONLY | O_DIRECTORY);
    const UserId owner{.uid = FuseMount::user, .gid = FuseMount::user};
    const auto refused = [](int result) { return result == -1 && errno == EACCES; };
    CHECK(refused(::openat(fd.get(), "mnt", O_RDONLY | O_DIRECTORY)));
    CHECK(refused(::openat(fd.get(), "mnt/a", O_RDWR | O_CREAT, 0600)));
    CHECK(refused(open_as({.uid = 1001, .gid = 1001}, fd.get(), "mnt", O_RDONLY).get()));

    auto file = open_as(owner, fd.get(), "mnt/a", O_RDWR | O_CREAT | O_EXCL, 0640);
    REQUIRE(file);
    CHECK(::pwrite(file.get(), "text", 4, 0) == 4); // an open file is used by whoever has it
    char text[4]{};
    CHECK(::pread(file.get(), text, 4, 0) == 4);
    CHECK(std::string(text, 4) == "text");
    file.reset(); // else removing it would leave a .fuse_hidden file
    CHECK(mkdir_as(owner, fd.get(), "mnt/d", 0750) == 0);
    CHECK(rename_as(owner, fd.get(), "mnt/a", fd.get(), "mnt/d/b") == 0);
    CHECK(link_as(owner, fd.get(), "mnt/d/b", fd.get(), "mnt/c") == 0);
    CHECK(open_as(owner, fd.get(), "mnt/c", O_RDONLY));
    CHECK(unlink_as(owner, fd.get(), "mnt/d/b") == 0);
    CHECK(unlink_as(owner, fd.get(), "mnt/d", AT_REMOVEDIR) == 0);
    CHECK_FALSE(open_as(owner, fd.get(), "mnt/d", O_RDONLY));
}
