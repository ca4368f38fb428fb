// SPDX-License-Identifier: LGPL-2.1-or-later
// Whoever uses a file, a directory or a device is found, by other processes' and the kernel's
// hands.
#include "blockers.hpp"
#include "child.hpp"
#include "file_io.hpp"
#include "mounts.hpp"
#include "system_root.hpp"
#include "temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>

using namespace storage;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

namespace {

bool opens(const std::string& path, int flags)
{
    return ::open(path.c_str(), flags) >= 0;
}

/** Maps a file's first page and closes it, all copies of the descriptor included. */
bool maps(const std::string& path, int protection)
{
    const int fd = ::open(path.c_str(), O_RDWR);
    const bool mapped = ::mmap(nullptr, 4096, protection, MAP_SHARED, fd, 0) != MAP_FAILED;
    return ::close(fd) == 0 && mapped;
}

std::vector<Blocker> blockers(const std::string& path)
{
    return file_blockers(path, SystemRoot());
}

std::vector<Blocker> of_kind(BlockerKind kind, const std::vector<Blocker>& all)
{
    std::vector<Blocker> some;
    for (const auto& blocker : all)
        if (blocker.kind == kind)
            some.push_back(blocker);
    return some;
}

/** Messages of one kind, one a line. */
std::string messages(BlockerKind kind, const std::vector<Blocker>& all)
{
    std::string text;
    for (const auto& blocker : of_kind(kind, all))
        text += blocker.message + '\n';
    return text;
}

struct Fixture {
    TemporaryDirectory directory{};
    std::string file = directory / "a.img";

    Fixture()
    {
        ::chmod(directory.path().c_str(), 0755);
        directory.write("a.img", std::string(1 << 20, 'x'));
    }

    /** Expects that the child is found, alone, with these last words. */
    void check_found(const std::string& path, const std::function<bool()>& use,
                     const std::string& words) const
    {
        const Child child(use);
        REQUIRE(child.is_ready());
        CHECK(usage_of(path) != Usage::unused);
        const auto found = blockers(path);
        REQUIRE(found.size() == 1);
        CHECK(found[0].kind == BlockerKind::open);
        CHECK(found[0].pid == child.pid());
        CHECK_THAT(found[0].message, EndsWith(words));
        CHECK_THAT(found[0].message, Contains("process " + std::to_string(child.pid()) + " ("));
    }
};

bool become_nobody()
{
    return ::setgroups(0, nullptr) == 0 && ::setresgid(65534, 65534, 65534) == 0 &&
           ::setresuid(65534, 65534, 65534) == 0;
}

} // namespace

TEST_CASE_METHOD(Fixture, "a file that nobody uses has no blockers", "[blockers]")
{
    CHECK(usage_of(file) != Usage::in_use);
    CHECK(blockers(file).empty());
    CHECK(search_blockers(file, SystemRoot()).empty());
    CHECK(blockers(directory / "none").empty());
    CHECK(usage_of(directory / "none") == Usage::unknown);
    CHECK(usage_of(directory.path()) == Usage::unknown);
    CHECK(usage_of("/dev/null") == Usage::unknown);
}

TEST_CASE_METHOD(Fixture, "a process is found however it uses a file", "[blockers]")
{
    check_found(
        file, [&] { return opens(file, O_RDONLY); }, "has it open for reading");
    check_found(
        file, [&] { return opens(file, O_WRONLY); }, "has it open for writing");
    check_found(
        file, [&] { return opens(file, O_RDWR); }, "has it open for writing");
    check_found(
        file, [&] { return opens(file, O_RDONLY) && opens(file, O_WRONLY | O_APPEND); },
        "has it open for writing");
    check_found(
        file, [&] { return maps(file, PROT_READ); }, "has it mapped into memory for reading");
    check_found(
        file, [&] { return maps(file, PROT_READ | PROT_WRITE); },
        "has it mapped into memory for writing");
    CHECK(blockers(file).empty());
}

TEST_CASE_METHOD(Fixture, "a file is known by its identity, not its name", "[blockers]")
{
    const auto other = directory / "other", link = directory / "link";
    REQUIRE(::link(file.c_str(), other.c_str()) == 0);
    REQUIRE(::symlink("a.img", link.c_str()) == 0);
    check_found(
        file, [&] { return opens(other, O_RDONLY); }, "for reading");
    check_found(
        link, [&] { return opens(other, O_RDONLY); }, "for reading");

    const Child child([&] { return opens(other, O_RDWR); });
    REQUIRE(child.is_ready());
    REQUIRE(::unlink(file.c_str()) == 0);
    directory.write("a.img", "another");
    CHECK(blockers(file).empty());
    CHECK(blockers(other).size() == 1);
}

TEST_CASE_METHOD(Fixture, "who only names a file does not block it", "[blockers]")
{
    const Child child([&] { return opens(file, O_PATH); });
    REQUIRE(child.is_ready());
    CHECK(usage_of(file) != Usage::in_use);
    CHECK(blockers(file).empty());
    CHECK(search_blockers(file, SystemRoot()).empty());
}

TEST_CASE_METHOD(Fixture, "every process is listed once, this one too", "[blockers]")
{
    const Child first([&] { return opens(file, O_RDONLY) && opens(file, O_RDONLY); });
    const Child second([&] { return opens(file, O_RDONLY) && maps(file, PROT_READ); });
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    const auto found = blockers(file);
    ::close(fd);
    REQUIRE(found.size() == 3);
    for (const auto& blocker : found) {
        const bool is_own = blocker.pid == ::getpid();
        CHECK((is_own || blocker.pid == first.pid() || blocker.pid == second.pid()));
        CHECK((blocker.message.find("this process itself") != std::string::npos) == is_own);
    }
}

TEST_CASE_METHOD(Fixture, "who uses a directory or something in it is found", "[blockers]")
{
    const auto volume = directory / "dir";
    REQUIRE(::mkdir(volume.c_str(), 0755) == 0);
    REQUIRE(::mkdir((directory / "dir2").c_str(), 0755) == 0);
    directory.write("dir/root.hds", std::string(4096, 'x'));
    directory.write("dir2/x", "x");
    const auto inside = volume + "/root.hds";
    CHECK(blockers(volume).empty());
    check_found(
        volume, [&] { return ::chdir(volume.c_str()) == 0; },
        "has its working or root directory in it");
    check_found(
        volume, [&] { return opens(inside, O_WRONLY); }, "has '" + inside + "' open for writing");
    check_found(
        volume, [&] { return maps(inside, PROT_READ); },
        "has '" + inside + "' mapped into memory for reading");
    check_found(
        volume, [&] { return opens(volume, O_RDONLY); }, "has it open for reading");
    const Child neighbour([&] { return opens(directory / "dir2/x", O_RDONLY); });
    REQUIRE(neighbour.is_ready());
    CHECK(blockers(volume).empty());
}

TEST_CASE_METHOD(Fixture, "what may not be seen is still told", "[blockers]")
{
    if (::geteuid() != 0) {
        WARN("skipped: only root can be two users");
        return;
    }
    REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
    const auto as_nobody = [&] {
        return text_from_child([&] {
            std::string text = become_nobody() ? "" : "not nobody";
            for (const auto& blocker : blockers(file))
                text += std::to_string(blocker.pid) + ' ' + blocker.message + '\n';
            return text;
        });
    };
    CHECK(as_nobody() == "");
    const Child child([&] { return opens(file, O_RDONLY); });
    REQUIRE(child.is_ready());
    if (usage_of(file) == Usage::unknown) {
        WARN("skipped: this file system gives no leases");
        return;
    }
    CHECK_THAT(as_nobody(), Catch::Matchers::StartsWith("0 something has it open that cannot be"));
    CHECK(blockers(file).at(0).pid == child.pid());
}

TEST_CASE_METHOD(Fixture, "asking harms nobody who opens the file meanwhile", "[blockers]")
{
    if (usage_of(file) != Usage::unused) {
        WARN("skipped: this file system gives no leases");
        return;
    }
    // SIGIO, which a lease sends by default, would end the process.
    const auto asker = ::fork();
    if (asker == 0) {
        std::signal(SIGIO, SIG_DFL);
        for (;;)
            usage_of(file);
    }
    unsigned failures = 0;
    for (int i = 0; i < 50'000; ++i) {
        const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        failures += fd < 0;
        ::close(fd);
    }
    CHECK(failures == 0);
    // The way in which volumes are opened: the kernel would not let it wait.
    const auto open_many = [&] {
        for (int i = 0; i < 100'000; ++i)
            open_file(file, O_RDONLY | O_NONBLOCK);
    };
    CHECK_NOTHROW(open_many());
    CHECK(::waitpid(asker, nullptr, WNOHANG) == 0);
    ::kill(asker, SIGKILL);
    ::waitpid(asker, nullptr, 0);
    CHECK(blockers(file).empty());
}

TEST_CASE_METHOD(Fixture, "processes may come and go while they are looked at", "[blockers]")
{
    const Child stays([&] { return opens(file, O_RDONLY); });
    const auto churn = ::fork();
    if (churn == 0)
        for (;;) {
            const auto pid = ::fork();
            if (pid == 0)
                ::_exit(opens(file, O_RDONLY) ? 0 : 1);
            ::waitpid(pid, nullptr, 0);
        }
    std::size_t found = 0;
    for (int i = 0; i < 30; ++i)
        for (const auto& blocker : blockers(file))
            found += blocker.pid == stays.pid();
    ::kill(churn, SIGKILL);
    ::waitpid(churn, nullptr, 0);
    CHECK(found == 30);
}

TEST_CASE_METHOD(Fixture, "a loop device blocks its file, and so do its mounts", "[blockers]")
{
    REQUIRE(::truncate(file.c_str(), 0) == 0);
    REQUIRE(::truncate(file.c_str(), 24 << 20) == 0);
    if (!private_mounts() || !succeeds("mkfs.ext4 -q " + file)) {
        WARN("skipped: mounting needs root and mkfs.ext4");
        return;
    }
    const LoopDevice loop(file);
    if (loop.path().empty()) {
        WARN("skipped: no loop device to be had");
        return;
    }
    CHECK(usage_of(file) != Usage::unused);
    auto found = blockers(file);
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == BlockerKind::loop_device);
    CHECK(found[0].message == "loop device '" + loop.path() + "' shows it");
    CHECK(blockers(loop.path()).empty());

    const auto point = directory / "mount point\\n";
    REQUIRE(::mkdir(point.c_str(), 0755) == 0);
    const Mount mount(loop.path(), point, "ext4");
    REQUIRE(mount);
    found = blockers(file);
    CHECK(of_kind(BlockerKind::loop_device, found).size() == 1);
    CHECK(messages(BlockerKind::mounted, found) ==
          "'" + loop.path() + "' is mounted at '" + point + "'\n");
    CHECK(messages(BlockerKind::mounted, blockers(loop.path())) ==
          "it is mounted at '" + point + "'\n");
    CHECK(messages(BlockerKind::mounted, blockers(directory.path())) ==
          "something is mounted at '" + point + "'\n");
    CHECK(messages(BlockerKind::mounted, blockers(point)) ==
          "something is mounted at '" + point + "'\n");
}

TEST_CASE_METHOD(Fixture, "a mounted partition blocks the device and its file", "[blockers]")
{
    REQUIRE(::truncate(file.c_str(), 0) == 0);
    REQUIRE(::truncate(file.c_str(), 24 << 20) == 0);
    if (!private_mounts() || !succeeds("mkfs.ext4 -q -E offset=1048576 " + file + " 20m")) {
        WARN("skipped: mounting needs root and mkfs.ext4");
        return;
    }
    const LoopDevice loop(file, LO_FLAGS_PARTSCAN);
    const auto partition = loop.path() + "p1";
    // addpart(8): this kernel may know no partition tables.
    if (loop.path().empty() || !succeeds("addpart " + loop.path() + " 1 2048 40960")) {
        WARN("skipped: no loop device with partitions to be had");
        return;
    }
    const auto point = directory / "mnt";
    REQUIRE(::mkdir(point.c_str(), 0755) == 0);
    const Mount mount(partition, point, "ext4");
    REQUIRE(mount);
    for (const auto& path : {file, loop.path(), partition}) {
        CAPTURE(path);
        CHECK_THAT(messages(BlockerKind::mounted, blockers(path)),
                   EndsWith(" is mounted at '" + point + "'\n"));
    }
}

TEST_CASE_METHOD(Fixture, "a device that somebody uses or keeps to himself is blocked",
                 "[blockers]")
{
    const LoopDevice loop(file);
    if (loop.path().empty()) {
        WARN("skipped: no loop device to be had");
        return;
    }
    check_found(
        loop.path(), [&] { return opens(loop.path(), O_RDWR); }, "has it open for writing");
    struct stat status {};
    REQUIRE(::stat(loop.path().c_str(), &status) == 0);
    const auto node = directory / "node";
    REQUIRE(::mknod(node.c_str(), S_IFBLK | 0600, status.st_rdev) == 0);
    check_found(
        node, [&] { return opens(loop.path(), O_RDONLY); }, "has it open for reading");
    // Closed and mapped: in no table of descriptors.
    check_found(
        loop.path(), [&] { return maps(loop.path(), PROT_READ); }, "for reading");

    // A process whose table of files is not to be seen: that of a system with an empty /proc.
    const Child exclusive([&] { return opens(loop.path(), O_RDWR | O_EXCL); });
    REQUIRE(exclusive.is_ready());
    const auto found = file_blockers(loop.path(), SystemRoot(directory / "empty"));
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == BlockerKind::holder);
}

TEST_CASE_METHOD(Fixture, "a swap file is blocked", "[blockers]")
{
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
    if (!succeeds("mkswap " + file) || ::swapon(file.c_str(), 0) != 0) {
        WARN("skipped: swapping to a file needs root and a file system that allows it");
        return;
    }
    const auto found = blockers(file);
    CHECK(::swapoff(file.c_str()) == 0);
    CHECK(messages(BlockerKind::holder, found) == "it is a swap area in use\n");
}

TEST_CASE("each file system's answer is the truth or unknown", "[blockers]")
{
    if (!private_mounts()) {
        WARN("skipped: mounting needs root");
        return;
    }
    const std::string type = GENERATE("ext4", "xfs", "btrfs", "tmpfs", "overlay");
    CAPTURE(type);
    const TemporaryDirectory directory;
    const auto image = directory / "image", point = directory / "mnt";
    REQUIRE(::mkdir(point.c_str(), 0755) == 0);
    std::optional<LoopDevice> loop;
    std::string source = "none", data;
    if (type == "overlay") {
        for (const auto* name : {"lower", "upper", "work"})
            REQUIRE(::mkdir((directory / name).c_str(), 0755) == 0);
        directory.write("lower/a", std::string(65536, 'x'));
        data = "lowerdir=" + directory / "lower" + ",upperdir=" + directory / "upper" +
               ",workdir=" + directory / "work";
    } else if (type != "tmpfs") {
        directory.write("image", "");
        REQUIRE(::truncate(image.c_str(), 400 << 20) == 0);
        if (!succeeds("mkfs." + type + " -q " + image)) {
            WARN("skipped: no mkfs." + type);
            return;
        }
        loop.emplace(image);
        source = loop->path();
    }
    const Mount mount(source, point, type.c_str(), 0, data);
    if (!mount) {
        WARN("skipped: cannot mount " + type);
        return;
    }
    const auto file = point + "/a";
    if (type == "btrfs") { // files of subvolumes have device numbers that no mount shows
        REQUIRE(succeeds("btrfs subvolume create " + point + "/s"));
        REQUIRE(::symlink("s/a", file.c_str()) == 0);
    }
    directory.write("mnt/a", std::string(65536, 'x'));

    CHECK(usage_of(file) == (type == "overlay" ? Usage::unknown : Usage::unused));
    CHECK(blockers(file).empty());
    CHECK(search_blockers(file, SystemRoot()).empty());
    const std::pair<const char*, std::function<bool()>> uses[] = {
        {"open for reading", [&] { return opens(file, O_RDONLY); }},
        {"open for writing", [&] { return opens(file, O_WRONLY); }},
        {"mapped into memory for reading", [&] { return maps(file, PROT_READ); }},
        {"mapped into memory for writing", [&] { return maps(file, PROT_READ | PROT_WRITE); }},
    };
    for (const auto& [words, use] : uses) {
        CAPTURE(words);
        const Child child(use);
        REQUIRE(child.is_ready());
        CHECK(usage_of(file) != Usage::unused);
        const auto found = blockers(file);
        REQUIRE(found.size() == 1);
        CHECK(found[0].pid == child.pid());
        CHECK_THAT(found[0].message, EndsWith(words));
    }
    const LoopDevice above(file);
    REQUIRE(!above.path().empty());
    CHECK(usage_of(file) != Usage::unused);
    CHECK(messages(BlockerKind::loop_device, blockers(file)) ==
          "loop device '" + above.path() + "' shows it\n");
    if (loop) {
        CHECK(messages(BlockerKind::mounted, blockers(image)) ==
              "'" + loop->path() + "' is mounted at '" + point + "'\n");
    }
}

TEST_CASE("the tables of a made-up system are read as proc(5) and sysfs write them", "[blockers]")
{
    const TemporaryDirectory root;
    namespace fs = std::filesystem;
    root.write("a.img", "x");
    const auto file = root / "a.img";
    const SystemRoot system(root / "system");
    const auto add = [&](const std::string& path, const std::string& text) {
        fs::create_directories(fs::path(root / "system" + path).parent_path());
        root.write("system" + path, text);
    };
    const auto add_link = [&](const std::string& path, const std::string& target) {
        fs::create_directories(fs::path(root / "system" + path).parent_path());
        fs::create_symlink(target, root / "system" + path);
    };
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK(search_blockers(file, system).empty());

    char number[32];
    std::snprintf(number, sizeof number, "%02x:%02x %llu", major(status.st_dev),
                  minor(status.st_dev), static_cast<unsigned long long>(status.st_ino));
    add_link("/proc/self", "9");
    add("/proc/9/comm", "basin\n");
    add_link("/proc/9/fd/3", file);
    add("/proc/9/fdinfo/3", "pos:\t0\nflags:\t0100000\nmnt_id:\t23\n");
    add("/proc/70/comm", "qemu-system-x86\n");
    add_link("/proc/70/fd/3", "/dev/null");
    add_link("/proc/70/fd/12", file);
    add("/proc/70/fdinfo/12", "pos:\t0\nflags:\t0100002\nmnt_id:\t23\n");
    add_link("/proc/71/fd/4", file);
    add("/proc/71/fdinfo/4", "pos:\t0\nflags:\t012000000\n"); // O_PATH
    add("/proc/72/comm", "odd) name\n");
    add("/proc/72/maps",
        "5563d4000000-5563d4001000 r--p 00000000 fd:01 1                          /bin/x\n"
        "7ffd1c5d1000-7ffd1c5f2000 rw-p 00000000 00:00 0                          [stack]\n"
        "7f8c865bc000-7f8c865bd000 rw-s 00000000 " +
            std::string(number) + "      /elsewhere\n");
    add_link("/proc/73/fd/1", "pipe:[200577]");
    add("/proc/sys/kernel/x", "");
    add("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" + file +
                           "   file\t\t1020\t\t0\t\t-2\n/gone\\040file  file\t1\t0\t-3\n");
    add("/proc/self/mountinfo", "");
    add("/sys/block/loop0/size", "0\n");
    add("/sys/block/loop6/loop/backing_file", "/somewhere/else\n");
    add("/sys/block/loop7/loop/backing_file", file + "\n");
    add("/sys/block/loop7/dev", "7:77\n");
    add("/sys/dev/block/7:77/loop7p1/partition", "1\n");
    add("/sys/dev/block/7:77/loop7p1/dev", "259:5\n");
    add("/sys/dev/block/7:77/queue/x", "");
    add("/sys/dev/block/259:5/holders/dm-3", "");
    add("/sys/block/dm-3/dm/name", "vg-root\n");
    add("/proc/9/mountinfo",
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "36 22 7:77 / /mnt/a\\040b rw,noatime shared:9 master:1 - ext3 /dev/loop7 rw\n"
        "37 22 259:5 /sub /mnt/p rw - xfs /dev/loop7p1 rw\n"
        "38 22 0:40 / /mnt/c rw - btrfs /dev/other rw\n"
        "39 22\n");

    const auto found = search_blockers(file, system);
    CHECK(messages(BlockerKind::open, found) ==
          "this process itself, 9, has it open for reading\n"
          "process 70 (qemu-system-x86) has it open for writing\n"
          "process 72 (odd) name) has it mapped into memory for writing\n");
    CHECK(messages(BlockerKind::loop_device, found) == "loop device '/dev/loop7' shows it\n");
    CHECK(messages(BlockerKind::mounted, found) == "'/dev/loop7' is mounted at '/mnt/a b'\n"
                                                   "'/dev/loop7' is mounted at '/mnt/p'\n");
    CHECK(messages(BlockerKind::holder, found) ==
          "device 'dm-3' (vg-root) is built on '/dev/loop7'\nit is a swap area in use\n");
}
