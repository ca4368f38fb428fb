// SPDX-License-Identifier: LGPL-2.1-or-later
// Who may do what in a dir pool, whose the result is, and how open it is meanwhile.
#include "child.hpp"
#include "file_io.hpp"
#include "fuse_mount.hpp"
#include "host.hpp"
#include "journal.hpp"
#include "process_runner.hpp"
#include "scratch.hpp"
#include "system_root.hpp"
#include "volume_steps.hpp"

#include <basin/access.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr unsigned someone = 1000;
constexpr unsigned some_group = 2000;

bool is_root()
{
    if (::geteuid() == 0)
        return true;
    WARN("skipped: only root may become other users");
    return false;
}

bool has_qemu_img()
{
    return succeeds("command -v qemu-img");
}

/** "0640 1000:1000" */
std::string rights_of(const std::string& path)
{
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0)
        return "missing";
    char text[64];
    std::snprintf(text, sizeof text, "%04o %u:%u", info.st_mode & 07777U, info.st_uid, info.st_gid);
    return text;
}

VolumeDef volume(const std::string& name, const std::string& format = "raw")
{
    auto def = raw_volume(name, mib, 4096);
    def.target.format = format;
    return def;
}

UploadSource some_bytes()
{
    return ReadCallback([left = std::size_t{5000}](std::span<std::byte> buffer,
                                                   std::uint64_t&) mutable -> std::size_t {
        const auto n = std::min(left, buffer.size());
        std::fill_n(buffer.begin(), n, std::byte{7});
        left -= n;
        return n;
    });
}

/** The processes' users, directories and files of one case. */
struct Place {
    Scratch scratch{};
    std::string pool = scratch.target();

    /** @param old  owner of a volume that is there already; its mode is 0644 */
    Place(unsigned owner, unsigned group, mode_t mode, unsigned old = 0)
    {
        REQUIRE(::chmod(scratch.directory.path().c_str(), 0755) == 0);
        REQUIRE(::mkdir(pool.c_str(), 0700) == 0);
        scratch.directory.write("pool/old", std::string(mib, 'x'));
        const auto file = pool + "/old";
        REQUIRE(::chmod(file.c_str(), 0644) == 0);
        if (::geteuid() == 0) {
            REQUIRE(::chown(file.c_str(), old, old) == 0);
            REQUIRE(::chown(pool.c_str(), owner, group) == 0);
        }
        REQUIRE(::chmod(pool.c_str(), mode) == 0);
        REQUIRE(::mkdir((scratch.directory / "root").c_str(), 0777) == 0);
        REQUIRE(::chmod((scratch.directory / "root").c_str(), 0777) == 0);
    }

    ContextOptions options() const
    {
        ContextOptions options;
        options.root = scratch.directory / ("root/" + std::to_string(::getpid()));
        return options;
    }
};

/** What becomes of every kind of change, one line for each: "create: ok", "wipe: busy" … */
std::string outcomes(const Place& place, const std::function<void(VolumeDef&)>& adapt = {})
{
    Context context(place.options());
    auto pool = context.define_pool(place.scratch.dir_pool());
    pool.start();
    std::string lines;
    const auto attempt = [&](const std::string& what, const std::function<void()>& call) {
        std::string outcome = "ok";
        try {
            call();
        } catch (const Error& error) {
            outcome = to_string(error.code());
        }
        lines += what + ": " + outcome + '\n';
    };
    const auto def = [&](const std::string& name, const std::string& format = "raw") {
        auto result = volume(name, format);
        result.target.permissions.mode = 0640;
        if (adapt)
            adapt(result);
        return result;
    };
    attempt("create", [&] { pool.create_volume(def("raw")); });
    attempt("qcow2", [&] { pool.create_volume(def("image", "qcow2")); });
    attempt("dir", [&] { pool.create_volume(def("dir", "dir")); });
    if (has_qemu_img())
        attempt("tool", [&] { pool.create_volume(def("tool", "vdi")); });
    attempt("clone", [&] { pool.create_volume_from(def("clone"), pool.find_volume("old")); });
    attempt("upload", [&] { pool.upload_volume(def("upload"), some_bytes()); });
    attempt("resumable",
            [&] { pool.upload_volume(def("resumable"), some_bytes(), {.resumable = true}); });
    const auto old = [&] { return pool.find_volume("old"); };
    attempt("download", [&] {
        old().download(WriteCallback([](std::span<const std::byte>, std::uint64_t) {}));
    });
    attempt("write", [&] { old().upload(some_bytes()); });
    attempt("resize", [&] { old().resize(2 * mib); });
    attempt("wipe", [&] { old().wipe(); });
    auto name = "old";
    attempt("rename", [&] {
        old().rename("new");
        name = "new";
    });
    attempt("delete", [&] { pool.find_volume(name).delete_storage(); });
    return lines;
}

std::vector<std::string> made_names()
{
    std::vector<std::string> names{"raw", "image", "dir", "clone", "upload", "resumable"};
    if (has_qemu_img())
        names.emplace_back("tool");
    return names;
}

/** Lines of outcomes() with this answer to all that changes the directory, and to all else. */
std::string expected(const std::string& in_directory, const std::string& in_files,
                     const std::string& tool = {}, const std::string& download = "ok")
{
    std::string lines;
    for (const auto* what : {"create", "qcow2", "dir"})
        lines += std::string(what) + ": " + in_directory + '\n';
    if (has_qemu_img())
        lines += "tool: " + (tool.empty() ? in_directory : tool) + '\n';
    for (const auto* what : {"clone", "upload", "resumable"})
        lines += std::string(what) + ": " + in_directory + '\n';
    lines += "download: " + download + '\n';
    for (const auto* what : {"write", "resize", "wipe"})
        lines += std::string(what) + ": " + in_files + '\n';
    for (const auto* what : {"rename", "delete"})
        lines += std::string(what) + ": " + in_directory + '\n';
    return lines;
}

/** In a child that has become an ordinary user. */
std::string as(unsigned uid, std::vector<gid_t> groups, const std::function<std::string()>& work)
{
    return text_from_child([&]() -> std::string {
        if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(uid) != 0 ||
            ::setuid(uid) != 0)
            return "cannot become user " + std::to_string(uid);
        return work();
    });
}

/** Calls body with the path of each entry of the pool's directory. */
template <typename Body>
void for_each_entry(const Place& place, Body&& body)
{
    for (const auto& entry : std::filesystem::directory_iterator(place.pool))
        body(entry.path().string());
}

constexpr auto denied = "permission_denied";

} // namespace

TEST_CASE("what root makes has the owner, group and mode that were asked for", "[rights]")
{
    if (!is_root())
        return;
    Place place(0, 0, 0755);
    const std::string label = "system_u:object_r:virt_image_t:s0";
    const auto labelled = ::setxattr((place.pool + "/old").c_str(), "security.selinux",
                                     label.c_str(), label.size() + 1, 0) == 0;
    if (!labelled)
        WARN("security labels are not looked at: this file system has none");
    CHECK(outcomes(place, [&](VolumeDef& def) {
              def.target.permissions.owner = someone;
              def.target.permissions.group = some_group;
              if (labelled)
                  def.target.permissions.label = label;
          }) == expected("ok", "ok"));
    for (const auto& name : made_names()) {
        INFO(name);
        const auto path = place.pool + '/' + name;
        CHECK(rights_of(path) == "0640 1000:2000");
        if (labelled) {
            char value[128]{};
            CHECK(::getxattr(path.c_str(), "security.selinux", value, sizeof value - 1) > 0);
            CHECK(std::string(value) == label);
        }
    }
    CHECK(place.scratch.directory.count("pool") == made_names().size());
}

TEST_CASE("without a word a file is its maker's, and nobody else may open it", "[rights]")
{
    const auto owner = ::geteuid();
    Place place(owner, owner, 0755, owner);
    CHECK(outcomes(place, [](VolumeDef& def) { def.target.permissions.mode.reset(); }) ==
          expected("ok", "ok"));
    const auto whose = std::to_string(::geteuid()) + ':' + std::to_string(::getegid());
    for (const auto& name : made_names())
        CHECK(rights_of(place.pool + '/' + name) == (name == "dir" ? "0755 " : "0600 ") + whose);
}

TEST_CASE("a user works in an own directory, by an ACL and by a group", "[rights]")
{
    if (!is_root())
        return;
    SECTION("own")
    {
        Place place(someone, someone, 0700, someone);
        CHECK(as(someone, {}, [&] { return outcomes(place); }) == expected("ok", "ok"));
        for (const auto& name : made_names())
            CHECK(rights_of(place.pool + '/' + name) == "0640 1000:1000");
    }
    SECTION("ACL")
    {
        Place place(0, 0, 0700);
        if (!succeeds("setfacl -m u:1000:rwx " + place.pool)) {
            WARN("skipped: needs setfacl and a file system with ACLs");
            return;
        }
        CHECK(as(someone, {}, [&] { return outcomes(place); }) == expected("ok", denied));
        for (const auto& name : made_names())
            CHECK(rights_of(place.pool + '/' + name) == "0640 1000:1000");
        CHECK(explain_access(place.pool, someone, someone, {}, AccessMode::write).allowed);
    }
    SECTION("group")
    {
        Place place(0, some_group, 0770);
        CHECK(as(someone, {some_group}, [&] { return outcomes(place); }) == expected("ok", denied));
        CHECK(rights_of(place.pool + "/raw") == "0640 1000:1000");
    }
    SECTION("to give away files is root's alone")
    {
        Place place(someone, someone, 0755, someone);
        CHECK(as(someone, {},
                 [&] {
                     return outcomes(
                         place, [](VolumeDef& def) { def.target.permissions.owner = someone + 1; });
                 }) == expected(denied, "ok")
                           .replace(expected(denied, "ok").find("rename: "), std::string::npos,
                                    "rename: ok\ndelete: ok\n"));
        CHECK(place.scratch.directory.count("pool") == 1); // the unfinished upload waits
        CHECK(rights_of(place.pool + "/.basin-upload-resumable") == "0600 1000:1000");
    }
}

TEST_CASE("what a user may not do is refused, and explained", "[rights]")
{
    if (!is_root())
        return;
    SECTION("no write permission")
    {
        Place place(0, 0, 0755);
        CHECK(as(someone, {}, [&] { return outcomes(place); }) == expected(denied, denied));
        const auto why = explain_access(place.pool, someone, someone, {}, AccessMode::write);
        CHECK_FALSE(why.allowed);
        CHECK(why.component == place.pool);
        CHECK(why.rule == "mode 0755 of uid 0, gid 0: others have no write permission");
        const auto message = as(someone, {}, [&]() -> std::string {
            Context context(place.options());
            auto pool = context.define_pool(place.scratch.dir_pool());
            pool.start();
            try {
                pool.create_volume(volume("a"));
            } catch (const Error& error) {
                return error.what();
            }
            return "no error";
        });
        CHECK(message == "cannot create '" + place.pool + "/a': Permission denied");
        CHECK(place.scratch.directory.count("pool") == 1);
    }
    SECTION("not the owner of the pool's directory")
    {
        Place place(0, 0, 0777);
        auto def = place.scratch.dir_pool();
        def.target.permissions.mode = 0711;
        const auto message = as(someone, {}, [&]() -> std::string {
            Context context(place.options());
            auto pool = context.define_pool(def);
            if (error_code([&] { pool.build(); }) != ErrorCode::permission_denied)
                return "built";
            if (!context.recover().empty())
                return "something is left to be done";
            pool.start();
            pool.create_volume(volume("a"));
            pool.stop();
            pool.undefine();
            return "goes on";
        });
        CHECK(message == "goes on");
    }
    SECTION("no permission to look below")
    {
        Place place(someone, someone, 0755, someone);
        REQUIRE(::chmod(place.scratch.directory.path().c_str(), 0750) == 0);
        const auto message = as(someone, {}, [&]() -> std::string {
            ContextOptions options;
            TemporaryDirectory root; // the other one is out of reach
            options.root = root.path();
            Context context(options);
            auto pool = context.define_pool(place.scratch.dir_pool());
            try {
                pool.start();
            } catch (const Error& error) {
                return error.what();
            }
            return "no error";
        });
        CHECK(message.find(place.pool) != std::string::npos);
        CHECK(message.find("Permission denied") != std::string::npos);
        const auto why = explain_access(place.pool, someone, someone, {}, AccessMode::write);
        CHECK_FALSE(why.allowed);
        CHECK(why.component == place.scratch.directory.path());
    }
}

TEST_CASE("in a user namespace root works where its user may", "[rights]")
{
    const unsigned outside = ::geteuid() == 0 ? someone : ::geteuid();
    const auto inside = [&](const std::function<std::string()>& work) {
        return text_from_child([&]() -> std::string {
            if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(outside) != 0 ||
                                     ::setuid(outside) != 0 || ::prctl(PR_SET_DUMPABLE, 1) != 0))
                return "cannot become another user";
            if (::unshare(CLONE_NEWUSER) != 0)
                return "skipped";
            const auto write_map = [&](const char* file, const std::string& text) {
                std::ofstream stream(file);
                return static_cast<bool>(stream << text << std::flush);
            };
            const auto map = "0 " + std::to_string(outside) + " 1";
            if (!write_map("/proc/self/setgroups", "deny") ||
                !write_map("/proc/self/uid_map", map) || !write_map("/proc/self/gid_map", map) ||
                ::geteuid() != 0)
                return "skipped";
            return work();
        });
    };
    Place own(outside, outside, 0700, outside);
    const auto result = inside([&] { return outcomes(own); });
    if (result == "skipped") {
        WARN("skipped: this kernel gives ordinary users no user namespaces");
        return;
    }
    CHECK(result == expected("ok", "ok"));
    for (const auto& name : made_names())
        CHECK(rights_of(own.pool + '/' + name).find(' ' + std::to_string(outside) + ':') !=
              std::string::npos);
    if (::geteuid() != 0)
        return;
    // The owner of this one is nobody whom the namespace knows.
    Place foreign(0, 0, 0755);
    CHECK(inside([&] { return outcomes(foreign); }) == expected(denied, denied));
    CHECK(foreign.scratch.directory.count("pool") == 1);
}

TEST_CASE("the host's umask neither counts nor changes", "[rights]")
{
    const auto owner = ::geteuid();
    for (const mode_t mask : {0, 077, 0277, 0777}) {
        INFO(mask);
        Place place(owner, owner, 0755, owner);
        const auto before = ::umask(mask);
        const auto lines = outcomes(place);
        const auto after = ::umask(before);
        CHECK(after == mask);
        CHECK(lines == expected("ok", "ok"));
        for (const auto& name : made_names())
            CHECK(rights_of(place.pool + '/' + name).starts_with("0640 "));
    }
}

TEST_CASE("what basin makes for itself is its owner's also where a umask takes that", "[rights]")
{
    Scratch scratch;
    const auto before = ::umask(0777);
    const auto outcome = error_code([&] {
        Context context(scratch.options());
        auto def = scratch.dir_pool();
        def.target.path = scratch.target("above/pool");
        auto pool = context.define_pool(def);
        context.event_fd();
        pool.build();
        pool.start();
        pool.set_autostart(true);
        pool.create_volume(volume("raw"));
    });
    ::umask(before);
    CHECK(outcome == ErrorCode{});
    for (const auto* top : {"root", "above"})
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(scratch.directory / top)) {
            INFO(entry.path());
            if (!entry.is_symlink())
                CHECK(rights_of(entry.path()).starts_with(entry.is_directory() ? "07" : "0600 "));
        }
    CHECK(rights_of(scratch.directory / "above").starts_with("0700 "));
}

TEST_CASE("a new file gets the group of a set-group-ID directory", "[rights]")
{
    if (!is_root())
        return;
    Place place(0, some_group, 02770);
    CHECK(outcomes(place) == expected("ok", "ok"));
    for (const auto& name : made_names())
        CHECK(rights_of(place.pool + '/' + name) == "0640 0:2000");
}

TEST_CASE("a file is never more open than asked for", "[rights]")
{
    const auto owner = ::geteuid();
    Place place(owner, owner, 0755, owner);
    Context context(place.options());
    auto pool = context.define_pool(place.scratch.dir_pool());
    pool.start();

    const auto opened_in_pool = [&] {
        std::string modes;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            std::error_code ignored;
            const auto target = std::filesystem::read_symlink(entry.path(), ignored).string();
            struct stat info {};
            if (target.starts_with(place.pool + '/') && ::stat(entry.path().c_str(), &info) == 0) {
                char text[64];
                std::snprintf(text, sizeof text, "%04o links %lu\n", info.st_mode & 07777U,
                              static_cast<unsigned long>(info.st_nlink));
                modes += text;
            }
        }
        return modes;
    };
    std::string modes;
    std::string names;
    bool given = false;
    const auto look = ReadCallback([&](std::span<std::byte> buffer, std::uint64_t&) {
        modes = opened_in_pool();
        names.clear();
        for_each_entry(place, [&](const std::string& path) {
            if (!path.ends_with("/old"))
                names += rights_of(path).substr(0, 4) + '\n';
        });
        return std::exchange(given, true) ? std::size_t{0} : buffer.size();
    });
    auto def = volume("up");
    def.capacity = 0;
    def.target.permissions.mode = 0666;
    pool.upload_volume(def, look);
    CHECK(modes == "0600 links 0\n"); // no name, and its maker's alone
    CHECK(names.empty());
    CHECK(rights_of(place.pool + "/up").starts_with("0666 "));
    def.name = "resumable";
    given = false;
    pool.upload_volume(def, look, {.resumable = true});
    CHECK(modes == "0600 links 1\n");
    CHECK(names.find("0600\n") != std::string::npos);
    CHECK(rights_of(place.pool + "/resumable").starts_with("0666 "));

    if (!has_qemu_img()) {
        WARN("programs' files are not looked at: no qemu-img");
        return;
    }
    // A program that tells how open the directory is in which it works.
    const auto& directory = place.scratch.directory;
    std::filesystem::create_directory(directory / "bin");
    directory.write("bin/qemu-img",
                    "#!/bin/sh\nfor last; do case $last in /*) file=$last;; esac; done\n"
                    "stat -L -c %a \"$(dirname \"$file\")\" >" +
                        directory / "seen" +
                        "\n"
                        "umask >>" +
                        directory / "seen" +
                        "\n"
                        "PATH=${PATH#*:}\nexec qemu-img \"$@\"\n");
    REQUIRE(::chmod((directory / "bin/qemu-img").c_str(), 0755) == 0);
    const std::string path = std::getenv("PATH");
    REQUIRE(::setenv("PATH", (directory / "bin:" + path).c_str(), 1) == 0);
    Context another(place.options());
    REQUIRE(::setenv("PATH", path.c_str(), 1) == 0);
    def = volume("tool", "vdi");
    def.target.permissions.mode = 0666;
    another.find_pool("pool").create_volume(def);
    CHECK(directory.read("seen") == "700\n0077\n");
    CHECK(rights_of(place.pool + "/tool").starts_with("0666 "));
}

namespace {

/**
 * In a child that is root and may become other users, but has no right to another user's files:
 * what the server of an NFS export with root_squash makes of root.
 */
std::string as_squashed_root(const std::function<std::string()>& work)
{
    return text_from_child([&]() -> std::string {
        // Nor do the programs that it runs.
        if (::prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED) != 0)
            return "cannot give up root's capabilities";
        ::__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        ::__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
        data[0].effective = data[0].permitted = 1U << CAP_SETUID | 1U << CAP_SETGID;
        if (::syscall(SYS_capset, &header, data) != 0)
            return "cannot drop capabilities";
        return work();
    });
}

} // namespace

TEST_CASE("a link is followed where it can be trusted", "[rights]")
{
    if (!is_root())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    REQUIRE(::chmod(scratch.target().c_str(), 0777) == 0);
    scratch.directory.write("victim", "precious");
    const auto link = [&](const char* name, const std::string& to, unsigned owner) {
        const auto path = scratch.target() + '/' + name;
        REQUIRE(::symlink(to.c_str(), path.c_str()) == 0);
        REQUIRE(::lchown(path.c_str(), owner, owner) == 0);
    };
    link("own", "../victim", 0);
    link("strange", "../victim", someone);
    link("indirect", "strange", 0);
    auto image = volume("image", "qcow2");
    image.backing.push_back({.path = scratch.target() + "/strange", .format = "raw"});
    auto above = pool.create_volume(image);
    pool.refresh();
    CHECK(pool.find_volume("strange").info().capacity == 8);
    CHECK(pool.find_volume("own").upload(
              some_bytes(), {.length = 8, .allowed = BlockerKind::backing_image}) == 8);
    scratch.directory.write("victim", "precious");
    for (const auto* name : {"strange", "indirect"}) {
        auto linked = pool.find_volume(name);
        const auto refused = [&](auto&& call) {
            try {
                call();
            } catch (const Error& error) {
                INFO(error.what());
                return error.code() == ErrorCode::permission_denied &&
                       std::string(error.what()).find("strange' is a symbolic link of user 1000") !=
                           std::string::npos;
            }
            return false;
        };
        INFO(name);
        CHECK(refused([&] { linked.wipe(WipeAlgorithm::zero, BlockerKind::backing_image); }));
        CHECK(refused([&] { linked.resize(4096, ResizeFlags::none, BlockerKind::backing_image); }));
        CHECK(refused([&] {
            linked.upload(some_bytes(), {.length = 8, .allowed = BlockerKind::backing_image});
        }));
        CHECK(refused([&] { linked.download(WriteCallback([](auto, auto) {})); }));
        for (const auto* format : {"raw", "qcow2"})
            CHECK(refused([&] { pool.create_volume_from(volume("copy", format), linked); }));
        CHECK(refused([&] {
            pool.create_volume_from(volume("copy", "qcow2"), linked, CreateFlags::linked);
        }));
    }
    CHECK(error_code([&] { pool.create_volume_from(volume("copy"), above); }) ==
          ErrorCode::permission_denied);
    CHECK(scratch.directory.read("victim") == "precious");
    above.delete_storage();
    pool.find_volume("strange").delete_storage();
    CHECK(scratch.directory.read("victim") == "precious");
}

TEST_CASE("a pool's directory that is there gets its attributes, not where somebody's link leads",
          "[rights]")
{
    if (!is_root())
        return;
    for (const auto owner : {0U, someone}) {
        INFO(owner);
        Scratch scratch;
        const auto there = scratch.directory / "there";
        std::filesystem::create_directory(there);
        REQUIRE(::chmod(there.c_str(), 0700) == 0);
        REQUIRE(::symlink("there", scratch.target().c_str()) == 0);
        REQUIRE(::lchown(scratch.target().c_str(), owner, owner) == 0);
        Context context(scratch.options());
        auto def = scratch.dir_pool();
        def.target.permissions = {.mode = 0750, .owner = someone};
        auto pool = context.define_pool(def);
        const auto code = error_code([&] { pool.build(); });
        CHECK(code == (owner == 0 ? ErrorCode{} : ErrorCode::permission_denied));
        CHECK(rights_of(there) == (owner == 0 ? "0750 1000:0" : "0700 0:0"));
    }
}

TEST_CASE("where root has no rights, calls are made as the owner", "[rights]")
{
    if (!is_root())
        return;
    SECTION("whom the directory names")
    {
        for (const mode_t mode : {0755, 0711}) {
            INFO(mode);
            Place place(someone, someone, mode, someone);
            REQUIRE(::chmod((place.pool + "/old").c_str(), 0600) == 0);
            // A program is root's and stays so: it cannot work there.
            CHECK(as_squashed_root([&] { return outcomes(place); }) ==
                  expected("ok", "ok", denied));
            for (const auto& name : made_names())
                CHECK(rights_of(place.pool + '/' + name) ==
                      (name == "tool" ? "missing" : "0640 1000:1000"));
            CHECK(place.scratch.directory.count("pool") == 6);
        }
    }
    SECTION("who lets nobody look")
    {
        Place place(someone, someone, 0700, someone);
        const auto lines = as_squashed_root([&] { return outcomes(place); });
        CHECK(lines.find("create: ok") != std::string::npos);
        CHECK(rights_of(place.pool + "/raw") == "0640 1000:1000");
        // What is there cannot be asked for its identity, without which nothing is changed.
        for (const auto* what : {"download", "write", "resize", "wipe", "rename", "delete"})
            CHECK(lines.find(std::string(what) + ": permission_denied") != std::string::npos);
        CHECK(rights_of(place.pool + "/old") == "0644 1000:1000");
    }
    SECTION("whom the definition names")
    {
        Place place(0, some_group, 0770, someone);
        REQUIRE(::chown(place.pool.c_str(), someone + 1, some_group) == 0);
        const auto named = [](VolumeDef& def) {
            def.target.permissions.owner = someone;
            def.target.permissions.group = some_group;
        };
        CHECK(as_squashed_root([&]() -> std::string {
                  Context context(place.options());
                  auto pool = context.define_pool(place.scratch.dir_pool());
                  pool.start();
                  auto def = volume("raw");
                  named(def);
                  pool.create_volume(def);
                  return "made";
              }) == "made");
        CHECK(rights_of(place.pool + "/raw") == "0600 1000:2000");
    }
    SECTION("a link of the directory's owner leads where that user may go")
    {
        Place place(someone, someone, 0755, someone);
        place.scratch.directory.write("theirs", "theirs");
        place.scratch.directory.write("roots", "roots.");
        REQUIRE(::chown((place.scratch.directory / "theirs").c_str(), someone, someone) == 0);
        REQUIRE(::chmod((place.scratch.directory / "roots").c_str(), 0600) == 0);
        for (const std::string name : {"theirs", "roots"}) {
            const auto path = place.pool + "/to-" + name;
            REQUIRE(::symlink(("../" + name).c_str(), path.c_str()) == 0);
            REQUIRE(::lchown(path.c_str(), someone, someone) == 0);
        }
        CHECK(as_squashed_root([&]() -> std::string {
                  Context context(place.options());
                  auto pool = context.define_pool(place.scratch.dir_pool());
                  pool.start();
                  std::string text;
                  const WriteCallback take([&](std::span<const std::byte> data, std::uint64_t) {
                      text.append(reinterpret_cast<const char*>(data.data()), data.size());
                  });
                  pool.find_volume("to-theirs").download(take);
                  const auto code =
                      error_code([&] { pool.find_volume("to-roots").download(take); });
                  return text + ' ' + std::string(to_string(code));
              }) == "theirs permission_denied");
    }
    SECTION("an upload that is gone on with")
    {
        Place place(someone, someone, 0755, someone);
        const auto partial = place.pool + "/.basin-upload-a";
        const auto in_pool = [&](const std::function<std::string(Pool&)>& work) {
            return as_squashed_root([&] {
                Context context(place.options());
                auto pool = context.define_pool(place.scratch.dir_pool());
                pool.start();
                return work(pool);
            });
        };
        const auto upload = [](Pool& pool, const std::string& text, std::uint64_t offset) {
            auto def = raw_volume("a", 0);
            def.target.permissions.mode = 0640;
            const auto code = error_code([&] {
                pool.upload_volume(def,
                                   ReadCallback([left = text](std::span<std::byte> buffer,
                                                              std::uint64_t&) mutable {
                                       const auto n = left.copy(
                                           reinterpret_cast<char*>(buffer.data()), buffer.size());
                                       left.erase(0, n);
                                       return n;
                                   }),
                                   {.offset = offset, .expected_length = 9, .resumable = true});
            });
            return std::string(to_string(code)) + ' ' +
                   std::to_string(pool.partial_upload("a").value_or(0));
        };
        // Of an upload of which nothing came nothing is left.
        CHECK(in_pool([&](Pool& pool) { return upload(pool, "", 0); }) == "io 0");
        CHECK(rights_of(partial) == "missing");

        CHECK(in_pool([&](Pool& pool) { return upload(pool, "begun ", 0); }) == "io 6");
        CHECK(rights_of(partial) == "0600 1000:1000");
        CHECK(in_pool([&](Pool& pool) { return upload(pool, "and", 6); }).ends_with(" 0"));
        CHECK(place.scratch.directory.read("pool/a") == "begun and");
        CHECK(rights_of(place.pool + "/a") == "0640 1000:1000");

        std::filesystem::remove(place.pool + "/a");
        CHECK(in_pool([&](Pool& pool) {
                  const auto kept = upload(pool, "begun ", 0);
                  pool.discard_upload("a");
                  return kept;
              }) == "io 6");
        CHECK(rights_of(partial) == "missing");

        // Neither root's nor the directory's owner's: somebody else wants to have it filled.
        place.scratch.directory.write("pool/.basin-upload-a", "theirs");
        REQUIRE(::chown(partial.c_str(), someone + 1, someone + 1) == 0);
        REQUIRE(::chmod(partial.c_str(), 0666) == 0);
        CHECK(in_pool([&](Pool& pool) { return upload(pool, "and", 6); }) == "permission_denied 6");
        CHECK(place.scratch.directory.read("pool/.basin-upload-a") == "theirs");
    }
    SECTION("volumes are read as their owner")
    {
        Place place(someone, someone, 0755, someone);
        CHECK(as_squashed_root([&]() -> std::string {
                  Context context(place.options());
                  auto pool = context.define_pool(place.scratch.dir_pool());
                  pool.start();
                  pool.create_volume(volume("image", "qcow2"));
                  pool.refresh();
                  if (!pool.diagnostics().empty())
                      return pool.diagnostics().front().message;
                  const auto info = pool.find_volume("image").inspect();
                  return std::string(to_string(info.format)) + ' ' +
                         std::to_string(info.virtual_size) + ' ' + std::to_string(::geteuid());
              }) == "qcow2 1048576 0");
        CHECK(rights_of(place.pool + "/image") == "0600 1000:1000");
    }
}

TEST_CASE("a FUSE file system of another user's is refused to root, with the reason", "[rights]")
{
    Scratch scratch;
    const FuseMount fuse(scratch.directory);
    if (!fuse) {
        WARN("skipped: needs root, fuse2fs, setpriv and FUSE");
        return;
    }
    constexpr auto user = FuseMount::user;
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.target.path = fuse.path();
    def.target.permissions.owner = user;
    auto pool = context.define_pool(def);
    try {
        pool.start();
        FAIL("root sees a file system that it is kept out of");
    } catch (const Error& error) { // root cannot even ask whether the directory is there
        INFO(error.what());
        CHECK(std::string(error.what()).find("Permission denied") != std::string::npos);
    }
    const auto why = explain_access(fuse.path(), 0, 0, {}, AccessMode::write);
    CHECK_FALSE(why.allowed);
    CHECK(why.rule.starts_with("FUSE without allow_other: only uid 65534"));

    // The step that makes a file gets further: name, mode and data are made as the user.
    const auto state = scratch.directory / "state";
    make_directories(state, 0700);
    const Journal journal(state);
    const Log log{};
    const SystemRoot system;
    ProcessRunner runner;
    const Host host{.system = system, .log = log, .runner = runner};
    const auto run = [&](Step step) {
        Change change("test");
        change.add(std::move(step));
        change.execute({.journal = journal, .host = host});
    };
    Attributes attributes{.permissions = {.mode = 0640, .owner = user, .group = user}};
    const NewContent content{"text", [](const FileWork& work) {
                                 write_all(work.fd, "text", work.path);
                                 return true;
                             }};
    run(create_file_step(fuse.path(), "a", content, attributes));
    const auto seen = [&] {
        return as(user, {}, [&] {
            std::string text;
            for (const auto& entry : std::filesystem::directory_iterator(fuse.path()))
                if (const auto name = entry.path().filename().string(); name != "lost+found")
                    text += name + ' ' + rights_of(entry.path().string()) + ' ' +
                            read_small_file(entry.path().string(), 100).value_or("") + '\n';
            return text;
        });
    };
    CHECK(seen() == "a 0640 65534:65534 text\n");
    // A size cannot be set by root, through whichever descriptor.
    const NewContent sized{"4096 bytes", [](const FileWork& work) {
                               if (::ftruncate(work.fd, 4096) != 0)
                                   throw system_error(errno, "cannot set the size");
                               return true;
                           }};
    CHECK(error_code([&] { run(create_file_step(fuse.path(), "c", sized, attributes)); }) ==
          ErrorCode::permission_denied);
    CHECK(seen() == "a 0640 65534:65534 text\n"); // nor is a temporary name left
    attributes.permissions.owner.reset();
    CHECK(error_code([&] { run(create_file_step(fuse.path(), "d", content, attributes)); }) ==
          ErrorCode::permission_denied);
    // A step knows no user for what it did not make: the directory cannot be asked whose it is.
    CHECK(error_code([&] { run(rename_volume_step(fuse.path(), "a", "b", "")); }) ==
          ErrorCode::permission_denied);
    CHECK(error_code([&] { run(remove_volume_step(fuse.path(), "a", "", false)); }) ==
          ErrorCode::permission_denied);

    // Its user has all of it, though there are no unnamed files.
    std::filesystem::create_directory(scratch.directory / "root");
    REQUIRE(::chmod((scratch.directory / "root").c_str(), 0777) == 0);
    CHECK(as(user, {}, [&]() -> std::string {
              ContextOptions options;
              options.root = scratch.directory / "root/user";
              Context users(options);
              auto users_def = scratch.dir_pool("mnt");
              auto users_pool = users.define_pool(users_def);
              users_pool.start();
              auto made = volume("made");
              made.target.permissions.mode = 0640;
              std::string modes;
              made.capacity = 0;
              bool given = false;
              users_pool.upload_volume(
                  made, ReadCallback([&](std::span<std::byte> buffer, std::uint64_t&) {
                      for (const auto& entry : std::filesystem::directory_iterator(fuse.path()))
                          if (entry.path().filename().string().starts_with(".basin-"))
                              modes = rights_of(entry.path().string());
                      return std::exchange(given, true) ? std::size_t{0} : buffer.size();
                  }));
              auto volume_made = users_pool.find_volume("made");
              volume_made.resize(2 * mib);
              volume_made.rename("renamed");
              const auto rights = rights_of(volume_made.path());
              volume_made.delete_storage();
              return modes + ", " + rights;
          }) == "0600 65534:65534, 0640 65534:65534");
}
