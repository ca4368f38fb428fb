// SPDX-License-Identifier: LGPL-2.1-or-later
// Every verdict is compared with what a process of that user really may do.
#include "access_check.hpp"
#include "child.hpp"
#include "fuse_mount.hpp"
#include "system_root.hpp"

#include <basin/error.hpp>
#include <catch2/catch.hpp>

#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

using namespace storage;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

struct Actor {
    const char* name;
    unsigned uid;
    unsigned gid;
    std::vector<std::uint32_t> groups{};
};

const Actor owner{"owner", 1001, 5000}, primary{"group", 1002, 2001},
    supplementary{"other group", 1003, 5000, {7, 2001}}, stranger{"stranger", 1004, 5000},
    named{"named user", 1005, 5000}, member{"named group", 1006, 2002},
    both{"both groups", 1007, 2001, {2002}}, root{"root", 0, 0};

/** Whether the actor really may, as an errno. */
int reality(const std::string& path, const Actor& actor, unsigned wanted)
{
    const auto text = text_from_child([&] {
        std::vector<gid_t> groups(actor.groups.begin(), actor.groups.end());
        if (::setgroups(groups.size(), groups.data()) != 0 ||
            ::setresgid(actor.gid, actor.gid, actor.gid) != 0 ||
            ::setresuid(actor.uid, actor.uid, actor.uid) != 0)
            return std::string("cannot become the actor");
        int error = ::faccessat(AT_FDCWD, path.c_str(), static_cast<int>(wanted), AT_EACCESS) == 0
                        ? 0
                        : errno;
        struct stat status {};
        if (error == 0 && (wanted & 2) && ::stat(path.c_str(), &status) == 0 &&
            S_ISREG(status.st_mode)) { // access(2) overlooks append-only files
            const int fd = ::open(path.c_str(), wanted & 4 ? O_RDWR : O_WRONLY);
            error = fd >= 0 ? 0 : errno;
        }
        return std::to_string(error);
    });
    INFO(text);
    return std::stoi(text);
}

AccessExplanation explain(const std::string& path, const Actor& actor, unsigned wanted)
{
    return explain_access(path, actor.uid, actor.gid, actor.groups,
                          static_cast<AccessMode>(wanted));
}

/** Compares, and gives the explanation. */
AccessExplanation compare(const std::string& path, const Actor& actor, unsigned wanted)
{
    const auto explanation = explain(path, actor, wanted);
    const int error = reality(path, actor, wanted);
    CAPTURE(path, actor.name, wanted, error, to_json(explanation));
    CHECK(explanation.allowed == (error == 0));
    CHECK(explanation.component.empty() == explanation.allowed);
    CHECK(explanation.rule.empty() == explanation.allowed);
    CHECK(explanation.remedy.empty() == explanation.allowed);
    return explanation;
}

struct Tree {
    TemporaryDirectory directory{};

    Tree() { ::chmod(directory.path().c_str(), 0755); }

    std::string path(const std::string& name) const { return directory / name; }

    std::string file(const std::string& name, unsigned mode) const
    {
        directory.write(name, "x");
        return owned(name, mode);
    }
    std::string subdirectory(const std::string& name, unsigned mode) const
    {
        REQUIRE(::mkdir(path(name).c_str(), 0700) == 0);
        return owned(name, mode);
    }
    std::string owned(const std::string& name, unsigned mode) const
    {
        REQUIRE(::chown(path(name).c_str(), owner.uid, 2001) == 0);
        REQUIRE(::chmod(path(name).c_str(), mode) == 0);
        return path(name);
    }
};

bool is_root()
{
    if (::geteuid() == 0)
        return true;
    WARN("skipped: only root can be several users");
    return false;
}

/** The ACL as the kernel takes it; false where the file system has none. */
bool set_acl(const std::string& path, const std::vector<AclEntry>& entries)
{
    std::string value("\2\0\0\0", 4);
    const auto add = [&](std::uint32_t number, unsigned bytes) {
        for (unsigned i = 0; i < bytes; ++i)
            value += static_cast<char>(number >> (8 * i) & 0xff);
    };
    for (const auto& entry : entries) {
        add(entry.tag, 2);
        add(entry.rights, 2);
        add(entry.id, 4);
    }
    return ::setxattr(path.c_str(), "system.posix_acl_access", value.data(), value.size(), 0) == 0;
}

bool set_flags(const std::string& path, int flags)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool set = ::ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
    ::close(fd);
    return set;
}

void drop(unsigned capability)
{
    ::__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    ::__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    ::syscall(SYS_capget, &header, data);
    data[capability / 32].effective &= ~(1u << (capability % 32));
    ::syscall(SYS_capset, &header, data);
}

} // namespace

TEST_CASE_METHOD(Tree, "access by mode is explained as it is", "[access]")
{
    if (!is_root())
        return;
    const auto a = file("file", 0600), b = subdirectory("dir", 0700);
    for (const unsigned mode :
         {0u, 0700u, 0070u, 0007u, 0750u, 0644u, 0620u, 0666u, 0777u, 0711u, 01777u})
        for (const auto& path : {a, b}) {
            REQUIRE(::chmod(path.c_str(), mode) == 0);
            for (const auto& actor : {owner, primary, supplementary, stranger, root})
                for (const unsigned wanted : {0u, 1u, 2u, 4u, 6u, 7u})
                    compare(path, actor, wanted);
        }
}

TEST_CASE_METHOD(Tree, "the words say which mode, which part of it, and what would help",
                 "[access]")
{
    if (!is_root())
        return;
    const auto name = subdirectory("d", 0700);
    auto answer = explain(name, stranger, 1);
    CHECK(answer.component == name);
    CHECK(answer.rule == "mode 0700 of uid 1001, gid 2001: others have no search permission");
    CHECK(answer.remedy == "setfacl -m u:1004:x '" + name + "', or chmod o+x '" + name + "'");
    answer = explain(file("f", 0040), owner, 6);
    CHECK(answer.rule ==
          "mode 0040 of uid 1001, gid 2001: the owner has no read and write permission");
    CHECK(answer.remedy == "chmod u+rw '" + path("f") + "'");
    CHECK(explain(path("f"), primary, 2).remedy == "chmod g+w '" + path("f") + "'");
}

TEST_CASE_METHOD(Tree, "the first component that denies is named, at every depth", "[access]")
{
    if (!is_root())
        return;
    std::string deep = "d0";
    std::vector<std::string> directories{subdirectory("d0", 0755)};
    for (const auto* name : {"/d1", "/d2", "/d3"})
        directories.push_back(subdirectory(deep += name, 0755));
    const auto target = file(deep + "/file", 0644);
    CHECK(compare(target, stranger, 4).allowed);
    for (const auto& closed : directories) {
        REQUIRE(::chmod(closed.c_str(), 0750) == 0);
        CHECK(compare(target, stranger, 4).component == closed);
        CHECK(compare(closed, stranger, 1).component == closed);
        CHECK(compare(target, supplementary, 4).allowed);
        CHECK(compare(target, owner, 6).allowed);
        CHECK(compare(target, root, 6).allowed);
        REQUIRE(::chmod(closed.c_str(), 0755) == 0);
    }
    CHECK(compare(target, stranger, 2).component == target);
    compare(path("d0/d1/../d1/./d2"), stranger, 4);
    REQUIRE(::chmod(path("d0/d1").c_str(), 0644) == 0);
    CHECK(compare(path("d0/d1/.."), stranger, 4).component == path("d0/d1"));
    CHECK(compare(path("d0/d1/."), stranger, 4).component == path("d0/d1"));
    CHECK(compare(path("d0/d1/"), stranger, 4).allowed);
    CHECK(compare("/", stranger, 5).allowed);
    CHECK(compare("/", stranger, 2).component == "/");
}

TEST_CASE_METHOD(Tree, "access by ACL is explained as it is", "[access]")
{
    if (!is_root())
        return;
    using enum AclEntry::Tag;
    const auto none = ~std::uint32_t{0};
    const std::vector<std::vector<AclEntry>> acls{
        {{user_obj, 6, none},
         {user, 6, 1005},
         {group_obj, 0, none},
         {mask, 6, none},
         {other, 0, none}},
        {{user_obj, 6, none},
         {user, 7, 1005},
         {group_obj, 4, none},
         {mask, 4, none},
         {other, 7, none}},
        {{user_obj, 0, none},
         {user, 7, 1001},
         {group_obj, 7, none},
         {mask, 7, none},
         {other, 7, none}},
        {{user_obj, 7, none},
         {user, 0, 1005},
         {group_obj, 7, none},
         {mask, 7, none},
         {other, 7, none}},
        {{user_obj, 7, none},
         {group_obj, 0, none},
         {group, 5, 2002},
         {mask, 7, none},
         {other, 2, none}},
        {{user_obj, 7, none},
         {group_obj, 4, none},
         {group, 3, 2002},
         {mask, 7, none},
         {other, 0, none}},
        {{user_obj, 7, none},
         {group_obj, 2, none},
         {group, 7, 2002},
         {mask, 5, none},
         {other, 7, none}},
        // A mask of nothing: then the kernel looks at no entry at all.
        {{user_obj, 7, none},
         {user, 7, 1005},
         {group_obj, 7, none},
         {mask, 0, none},
         {other, 5, none}},
        {{user_obj, 6, none}, {group_obj, 4, none}, {other, 4, none}},
    };
    const auto a = file("file", 0600), b = subdirectory("dir", 0700);
    if (!set_acl(a, acls[0])) {
        WARN("skipped: this file system has no ACLs");
        return;
    }
    for (const auto& acl : acls)
        for (const auto& path : {a, b}) {
            REQUIRE(set_acl(path, acl));
            for (const auto& actor :
                 {owner, primary, supplementary, stranger, named, member, both, root})
                for (const unsigned wanted : {1u, 2u, 4u, 6u, 7u})
                    compare(path, actor, wanted);
        }

    REQUIRE(set_acl(a, acls[1]));
    CHECK(explain(a, named, 2).rule ==
          "ACL: user 1005 has 'rwx' (of which the mask leaves 'r'), so no write permission");
    CHECK(explain(a, named, 2).remedy == "setfacl -m u:1005:w '" + a + "'");
    REQUIRE(set_acl(a, acls[5]));
    CHECK(explain(a, both, 6).rule ==
          "ACL: group 2001 has 'r', group 2002 has 'wx', so no read and "
          "write permission");
    CHECK(explain(a, stranger, 4).rule ==
          "ACL: no entry is for this user, and others have '', so no "
          "read permission");
    REQUIRE(set_acl(b, acls[0])); // a directory on the way
    file("dir/in", 0644);
    CHECK(compare(path("dir/in"), named, 4).component == b);
    REQUIRE(set_acl(b, acls[1]));
    REQUIRE(set_acl(b, {{user_obj, 7, none},
                        {user, 1, 1005},
                        {group_obj, 0, none},
                        {mask, 1, none},
                        {other, 0, none}}));
    CHECK(compare(path("dir/in"), named, 4).allowed);
    CHECK(compare(path("dir/in"), stranger, 4).component == b);
}

TEST_CASE("the bytes of an ACL are taken for what they are", "[access]")
{
    using namespace std::string_literals;
    const auto entry = "\x02\0\x06\0\xed\x03\0\0"s;
    const auto acl = parse_acl("\2\0\0\0"s + entry);
    REQUIRE(acl);
    CHECK(*acl == std::vector<AclEntry>{{AclEntry::user, 6, 1005}});
    CHECK(parse_acl("\2\0\0\0"s)->empty());
    for (const auto& damaged : {""s, "\2\0\0"s, "\1\0\0\0"s + entry, "\3\0\0\0"s + entry,
                                "\2\0\0\0"s + entry + "x", "\2\0\0\0"s + entry.substr(1)})
        CHECK_FALSE(parse_acl(damaged));
    CHECK(parse_acl("\2\0\0\0"s + std::string(8, '\xff'))->at(0).rights == 7);
}

TEST_CASE_METHOD(Tree, "symbolic links are followed as the kernel does", "[access]")
{
    if (!is_root())
        return;
    const auto link = [&](const std::string& name, const std::string& target, unsigned uid = 0) {
        REQUIRE(::symlink(target.c_str(), path(name).c_str()) == 0);
        REQUIRE(::lchown(path(name).c_str(), uid, uid) == 0);
    };
    subdirectory("closed", 0700);
    subdirectory("open", 0755);
    file("closed/file", 0644);
    file("open/file", 0644);
    link("relative", "open/file");
    link("absolute", path("open/file"));
    link("open/back", "../closed/file");
    link("to-dir", "open");
    link("chain", "to-dir/back");
    for (const auto* name : {"relative", "absolute", "to-dir", "to-dir/", "to-dir/file"})
        CHECK(compare(path(name), stranger, 4).allowed);
    for (const auto* name : {"open/back", "chain", "to-dir/back", "to-dir/../closed/file"})
        CHECK(compare(path(name), stranger, 4).component == path("closed"));
    CHECK(compare(path("relative"), stranger, 2).component == path("open/file"));

    subdirectory("sticky", 01777);
    link("sticky/own", path("open/file"), stranger.uid);
    link("sticky/of-directory-owner", path("open/file"), owner.uid);
    link("sticky/foreign", path("open/file"), named.uid);
    link("sticky/foreign-dir", path("open"), named.uid);
    for (const auto* name : {"own", "of-directory-owner", "foreign", "foreign-dir", "foreign-dir/",
                             "foreign-dir/file"})
        for (const auto& actor : {stranger, root})
            compare(path("sticky/") + name, actor, 4);

    const auto code = [&](const std::string& name) {
        try {
            explain(path(name), root, 4);
        } catch (const Error& error) {
            return std::pair(error.code(), error.os_error());
        }
        return std::pair(ErrorCode{}, 0);
    };
    link("loop", "loop");
    link("dangling", "nowhere");
    CHECK(code("loop").second == ELOOP);
    CHECK(code("dangling").first == ErrorCode::not_found);
    CHECK(code("none/x").first == ErrorCode::not_found);
    CHECK(code("open/file/x") == std::pair(ErrorCode::not_found, ENOTDIR));
    CHECK(code("open/file/") == std::pair(ErrorCode::not_found, ENOTDIR));
    file("s40", 0644);
    for (int i = 39; i >= -1; --i)
        link("s" + std::to_string(i), "s" + std::to_string(i + 1));
    CHECK(compare(path("s0"), root, 4).allowed); // 40 links
    CHECK(code("s-1").second == ELOOP);
}

TEST_CASE_METHOD(Tree, "mounts and flags that forbid writing are named", "[access]")
{
    if (!is_root())
        return;
    subdirectory("plain", 0777);
    subdirectory("ro", 0777);
    subdirectory("loop", 0777);
    file("plain/file", 0777);
    REQUIRE(::mknod(path("plain/fifo").c_str(), S_IFIFO | 0666, 0) == 0);
    REQUIRE(::chmod(path("plain/fifo").c_str(), 0666) == 0);
    const Mount bind(path("plain"), path("ro"), nullptr, MS_BIND | MS_RDONLY | MS_NOEXEC);
    if (bind) {
        for (const auto& actor : {stranger, owner, root})
            for (const auto* name : {"", "/file", "/fifo"}) {
                compare(path("ro") + name, actor, 4);
                compare(path("ro") + name, actor, 2);
                compare(path("ro") + name, actor, 1);
            }
        CHECK(explain(path("ro/file"), stranger, 2).rule == "read-only file system");
        CHECK(explain(path("ro/file"), stranger, 1).rule == "the file system is mounted noexec");
        CHECK(compare(path("plain/file"), stranger, 3).allowed);
    }
    file("image", 0600);
    REQUIRE(::truncate(path("image").c_str(), 16 << 20) == 0);
    std::optional<LoopDevice> device;
    if (succeeds("mkfs.ext4 -q " + path("image")))
        device.emplace(path("image"));
    const Mount loop(device ? device->path() : "", path("loop"), "ext4");
    if (!bind || !loop) {
        WARN("skipped: cannot mount here");
        return;
    }
    file("loop/file", 0666);
    subdirectory("loop/dir", 0777);
    const struct {
        int flags;
        const char* rule;
    } kinds[] = {{FS_IMMUTABLE_FL, "immutable"},
                 {FS_APPEND_FL, "append-only: nothing in it can be overwritten"}};
    for (const auto& kind : kinds) {
        REQUIRE(set_flags(path("loop/file"), kind.flags));
        REQUIRE(set_flags(path("loop/dir"), kind.flags));
        for (const auto& actor : {stranger, owner, root})
            for (const auto* name : {"loop/file", "loop/dir"})
                for (const unsigned wanted : {4u, 2u, 6u})
                    compare(path(name), actor, wanted);
        CHECK(explain(path("loop/file"), root, 2).rule == kind.rule);
        REQUIRE(set_flags(path("loop/file"), 0));
        REQUIRE(set_flags(path("loop/dir"), 0));
    }
    REQUIRE(::mount("none", path("loop").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    CHECK(compare(path("loop/file"), root, 2).rule == "read-only file system");
    CHECK(compare(path("loop/file"), stranger, 4).allowed);
}

TEST_CASE_METHOD(Tree, "uid 0 can what its capabilities let it do", "[access]")
{
    if (!is_root())
        return;
    const auto name = file("file", 0600);
    const auto without = [&](std::vector<unsigned> capabilities) {
        return text_from_child([&] {
            for (const auto capability : capabilities)
                drop(capability);
            std::string text;
            for (const unsigned wanted : {4u, 2u}) {
                const auto answer = explain(name, root, wanted);
                const bool really =
                    ::faccessat(AT_FDCWD, name.c_str(), static_cast<int>(wanted), AT_EACCESS) == 0;
                text += answer.allowed != really ? "wrong " : really ? "yes " : "no ";
                text +=
                    answer.rule.ends_with("; uid 0 has no CAP_DAC_OVERRIDE here") ? "because " : "";
            }
            return text;
        });
    };
    CHECK(without({}) == "yes yes ");
    CHECK(without({CAP_DAC_OVERRIDE}) == "yes no because ");
    CHECK(without({CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH}) == "no because no because ");
}

TEST_CASE_METHOD(Tree, "root of a user namespace is nobody to strangers' files", "[access]")
{
    if (!is_root())
        return;
    file("strange", 0600);
    file("known", 0600);
    REQUIRE(::chown(path("known").c_str(), 0, 0) == 0);
    REQUIRE(::chmod(path("known").c_str(), 0) == 0);
    const auto answer = text_from_child([&]() -> std::string {
        if (::unshare(CLONE_NEWUSER) != 0)
            return "none";
        const auto put = [](const char* file, const char* text) {
            const int fd = ::open(file, O_WRONLY);
            return ::write(fd, text, std::strlen(text)) > 0;
        };
        if (!put("/proc/self/uid_map", "0 0 1") || !put("/proc/self/setgroups", "deny") ||
            !put("/proc/self/gid_map", "0 0 1"))
            return "none";
        std::string text;
        for (const auto* name : {"strange", "known"}) {
            const auto explanation = explain(path(name), root, 6);
            const bool really =
                ::faccessat(AT_FDCWD, path(name).c_str(), R_OK | W_OK, AT_EACCESS) == 0;
            text += explanation.allowed != really ? "wrong: " : "";
            text += explanation.allowed ? "yes" : explanation.rule;
            text += '\n';
        }
        return text;
    });
    if (answer == "none") {
        WARN("skipped: no user namespaces");
        return;
    }
    CHECK(answer ==
          "mode 0600 of uid 65534, gid 65534: others have no read and write permission; the "
          "owner or group is not mapped into this user namespace, so that root of the "
          "namespace counts as anybody\nyes\n");
}

TEST_CASE_METHOD(Tree, "a FUSE file system lets in the user who mounted it", "[access]")
{
    const FuseMount fuse(directory);
    if (!fuse) {
        WARN("skipped: needs root, fuse2fs, setpriv and FUSE");
        return;
    }
    const Actor user{"user", FuseMount::user, FuseMount::user};
    for (const auto& actor : {root, stranger, Actor{"other gid", FuseMount::user, 5000}}) {
        const auto answer = compare(fuse.path(), actor, 4);
        CHECK(answer.component == fuse.path());
        CHECK(answer.rule == "FUSE without allow_other: only uid 65534 with gid 65534 may use it");
        CHECK_FALSE(explain(fuse.path() + "/lost+found", actor, 4).allowed);
    }
    // We are not that user, and cannot look further; who is can.
    CHECK_THROWS_AS(explain(fuse.path(), user, 4), Error);
    const auto answer = text_from_child([&]() -> std::string {
        if (::setgroups(0, nullptr) != 0 || ::setresgid(user.gid, user.gid, user.gid) != 0 ||
            ::setresuid(user.uid, user.uid, user.uid) != 0)
            return "cannot become the user";
        const auto explanation = explain(fuse.path(), user, 6);
        return (explanation.allowed ? "yes: " : "no: ") + explanation.rule;
    });
    CHECK_THAT(answer, StartsWith("yes: "));
    CHECK(reality(fuse.path(), user, 6) == 0);
}

TEST_CASE_METHOD(Tree, "what cannot be known from here is said", "[access]")
{
    directory.write("file", "x");
    const auto name = path("file");
    const SystemRoot system(path("system"));
    const auto write = [&](const std::string& file, const std::string& text) {
        const auto full = std::filesystem::path(path("system") + file);
        std::filesystem::create_directories(full.parent_path());
        directory.write("system" + file, text);
    };
    const auto ask = [&](std::uint32_t uid) {
        return explain_access(name, uid, ::getegid(), {}, AccessMode::read, system);
    };
    const auto self = ::geteuid();
    CHECK(ask(self) ==
          AccessExplanation{.allowed = true, .component = {}, .rule = {}, .remedy = {}});

    write("/sys/fs/selinux/enforce", "0");
    CHECK(ask(self).rule.empty());
    write("/sys/fs/selinux/enforce", "1");
    CHECK_THAT(ask(self).rule, StartsWith("SELinux is enforcing and may still refuse"));
    CHECK(ask(self).allowed);

    const auto mounted = [&](const std::string& type, const std::string& options) {
        write("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 22 0:9 / " +
                                          directory.path() + " rw,noatime shared:9 - " + type +
                                          " server:/x " + options + "\n");
    };
    mounted("nfs4", "rw,vers=4.2");
    CHECK_THAT(ask(self).rule, StartsWith("the server of '" + directory.path() + "' may still"));
    CHECK(ask(self).allowed);
    if (self == 0)
        CHECK_THAT(ask(0).rule, EndsWith("(root_squash makes uid 0 nobody)"));
    mounted("fuse.sshfs", "rw,user_id=4242,group_id=4242");
    CHECK_FALSE(ask(self).allowed);
    CHECK(ask(self).component == directory.path());
    mounted("fuse.sshfs", "rw,user_id=4242,group_id=4242,allow_other");
    CHECK_THAT(ask(self).rule, StartsWith("the FUSE program that serves '"));
    CHECK(ask(self).allowed);
    CHECK(ask(4242).allowed); // whatever the mode says, the program decides
    mounted("fuse.sshfs", "rw,user_id=4242,group_id=4242,allow_other,default_permissions");
    REQUIRE(::chmod(name.c_str(), 0600) == 0);
    CHECK_FALSE(ask(4242).allowed);
}

TEST_CASE_METHOD(Tree, "what this process may not look at is an error", "[access]")
{
    const auto code = [&](const std::string& name) {
        try {
            explain(name, stranger, 4);
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode{};
    };
    CHECK(code("relative") == ErrorCode::invalid_argument);
    CHECK(code("") == ErrorCode::invalid_argument);
    CHECK(code("/" + std::string(5000, 'x')) == ErrorCode::invalid_argument);
    CHECK(code(path("none")) == ErrorCode::not_found);
    CHECK(code("/" + std::string(300, 'x')) == ErrorCode::io);
    if (!is_root())
        return;
    subdirectory("closed", 0700);
    file("closed/file", 0644);
    const auto answer = text_from_child([&]() -> std::string {
        if (::setresuid(1002, 1002, 1002) != 0)
            return "cannot become another user";
        try {
            return explain(path("closed/file"), owner, 4).allowed ? "yes" : "no";
        } catch (const Error& error) {
            return std::string(to_string(error.code()));
        }
    });
    CHECK(answer == "permission_denied");
    const auto denied = text_from_child([&]() -> std::string {
        if (::setresuid(1002, 1002, 1002) != 0)
            return "cannot become another user";
        return explain(path("closed/file"), stranger, 4).component;
    });
    CHECK(denied == path("closed")); // for this verdict nothing behind it is needed
}

TEST_CASE_METHOD(Tree, "a user's own files are explained without privileges", "[access]")
{
    const Actor self{"self", ::geteuid(), ::getegid()};
    directory.write("file", "x");
    for (const unsigned mode : {0700u, 0400u, 0u, 0644u}) {
        REQUIRE(::chmod(path("file").c_str(), mode) == 0);
        for (const unsigned wanted : {1u, 2u, 4u}) {
            const bool really = ::faccessat(AT_FDCWD, path("file").c_str(),
                                            static_cast<int>(wanted), AT_EACCESS) == 0;
            CHECK(explain(path("file"), self, wanted).allowed == really);
        }
    }
}
