// SPDX-License-Identifier: LGPL-2.1-or-later
// Walks a path as the kernel would for another user; see path_resolution(7), acl(5),
// capabilities(7).
#include "access_check.hpp"

#include "file_io.hpp"
#include "numbers.hpp"
#include "patience.hpp"
#include "proc_tables.hpp"
#include "system_root.hpp"

#include <basin/context.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr unsigned search = 1, write = 2, read = 4;

/** The ids that a user namespace knows, from uid_map or gid_map: "inside outside count" lines. */
class IdMap {
public:
    IdMap(const SystemRoot& system, const std::string& kind)
    {
        for (const auto& line : lines_of(system.path("/proc/self/" + kind + "_map"))) {
            std::string_view rest = line;
            while (rest.starts_with(' '))
                rest.remove_prefix(1);
            const auto first = to_integer<std::uint64_t>(take_word(rest));
            take_word(rest);
            const auto count = to_integer<std::uint64_t>(take_word(rest));
            if (first && count)
                ranges_.emplace_back(*first, *count);
        }
        const auto lines = lines_of(system.path("/proc/sys/kernel/overflow" + kind));
        if (!lines.empty())
            overflow_ = to_integer<std::uint32_t>(lines[0]).value_or(overflow_);
    }

    /** Whether stat(2) shows this id for owners that are not mapped, and for them alone. */
    bool is_stranger(std::uint32_t id) const
    {
        return !ranges_.empty() && id == overflow_ &&
               std::none_of(ranges_.begin(), ranges_.end(), [&](const auto& range) {
                   return id >= range.first && id - range.first < range.second;
               });
    }

private:
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_{};
    std::uint32_t overflow_{65534};
};

/** Whether somebody of that uid has the capability: this process's own, or what root can have here.
 */
bool has_capability(std::uint32_t uid, unsigned capability)
{
    if (uid != ::geteuid())
        return uid == 0 && ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1;
    ::__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    ::__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    return ::syscall(SYS_capget, &header, data) == 0 &&
           (data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

bool is_network(std::string_view type)
{
    constexpr std::string_view types[] = {"nfs",  "nfs4", "cifs", "smb3",
                                          "ceph", "9p",   "afs",  "lustre"};
    return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

std::string in_quotes(const std::string& path)
{
    return "'" + path + "'";
}

/** "read and write permission"; a regular file is not searched but executed. */
std::string permission_words(unsigned rights, mode_t mode)
{
    std::string words;
    const auto add = [&](unsigned right, const char* word) {
        if (rights & right)
            words += (words.empty() ? "" : " and ") + std::string(word);
    };
    add(read, "read");
    add(write, "write");
    add(search, S_ISDIR(mode) ? "search" : "execute");
    return words + " permission";
}

std::string letters(unsigned rights)
{
    return std::string(rights & read ? "r" : "") + (rights & write ? "w" : "") +
           (rights & search ? "x" : "");
}

struct Denial {
    std::string component;
    std::string rule;
    std::string remedy;
};

class AccessWalk {
public:
    AccessWalk(std::uint32_t uid, std::uint32_t gid, std::span<const std::uint32_t> groups,
               const SystemRoot& system)
        : uid_(uid), gid_(gid), groups_(groups), system_(system), users_(system, "uid"),
          group_ids_(system, "gid"), mounts_(mount_table(system)),
          overrides_(has_capability(uid, CAP_DAC_OVERRIDE)),
          reads_all_(overrides_ || has_capability(uid, CAP_DAC_READ_SEARCH))
    {
    }

    AccessExplanation run(const std::string& path, unsigned wanted)
    {
        try {
            walk(path);
            check_final(wanted);
        } catch (Denial& denial) {
            return {.allowed = false,
                    .component = std::move(denial.component),
                    .rule = std::move(denial.rule),
                    .remedy = std::move(denial.remedy)};
        }
        return {.allowed = true, .component = {}, .rule = doubts(), .remedy = {}};
    }

private:
    [[noreturn]] void deny(std::string rule, std::string remedy) const
    {
        throw Denial{shown(), std::move(rule), std::move(remedy)};
    }

    std::string shown() const { return place_.empty() ? "/" : place_; }

    // ---- the way ----------------------------------------------------------------------------

    void walk(const std::string& path)
    {
        push(path);
        look();
        while (!rest_.empty()) {
            if (!S_ISDIR(status_.st_mode))
                throw Error(ErrorCode::not_found,
                            in_quotes(shown()) + " is no directory: there is nothing in it", {}, {},
                            ENOTDIR);
            auto name = std::move(rest_.back());
            rest_.pop_back();
            if (name.empty())
                continue;
            check_rights(search);
            if (name == ".")
                continue;
            if (name == "..")
                place_.resize(place_.empty() ? 0 : place_.rfind('/'));
            else
                step(name);
            look();
        }
    }

    /** Puts a path's components in front of what remains. An empty last one asks for a directory.
     */
    void push(std::string_view path)
    {
        std::vector<std::string> parts;
        while (true) {
            const auto slash = path.find('/');
            if (slash != 0 && !path.empty())
                parts.emplace_back(path.substr(0, slash));
            if (slash == path.npos)
                break;
            path.remove_prefix(slash + 1);
            if (path.empty())
                parts.emplace_back();
        }
        std::move(parts.rbegin(), parts.rend(), std::back_inserter(rest_));
    }

    void step(const std::string& name)
    {
        const auto directory = status_;
        const auto above = place_;
        place_ += '/' + name;
        look();
        if (!S_ISLNK(status_.st_mode))
            return;
        if (++links_ > 40)
            throw system_error(ELOOP, "cannot look at " + in_quotes(place_));
        if (std::all_of(rest_.begin(), rest_.end(), [](const auto& part) { return part.empty(); }))
            check_followed(directory);
        std::string target(PATH_MAX, '\0');
        const auto length = ::readlink(place_.c_str(), target.data(), target.size());
        if (length < 0)
            throw system_error(errno, "cannot read the link " + in_quotes(place_));
        target.resize(static_cast<std::size_t>(length));
        place_ = target.starts_with('/') ? "" : above;
        push(target);
    }

    // proc(5): /proc/sys/fs/protected_symlinks
    void check_followed(const struct stat& directory) const
    {
        constexpr mode_t shared = S_ISVTX | S_IWOTH;
        if ((directory.st_mode & shared) != shared || status_.st_uid == uid_ ||
            status_.st_uid == directory.st_uid)
            return;
        const auto setting = lines_of(system_.path("/proc/sys/fs/protected_symlinks"));
        if (!setting.empty() && setting[0] != "0")
            deny("a link of uid " + std::to_string(status_.st_uid) +
                     " in a directory where everybody may write is followed by its owner alone "
                     "(fs.protected_symlinks)",
                 "name the link's target instead");
    }

    void look()
    {
        if (const auto* mount = top_mount(mounts_, shown()))
            check_fuse(*mount);
        if (::lstat(shown().c_str(), &status_) == 0)
            return;
        const int error = errno;
        throw system_error(error, "cannot look at " + in_quotes(shown()),
                           error == EACCES ? "ask as a user who may look there" : "");
    }

    // ---- file systems -----------------------------------------------------------------------

    /** The mount that the present place is in. */
    const MountEntry* mount_above() const
    {
        for (auto point = place_; !point.empty(); point.resize(point.rfind('/')))
            if (const auto* mount = top_mount(mounts_, point))
                return mount;
        return top_mount(mounts_, "/");
    }

    // fuse(4), mount.fuse3(8): only the user who mounted it, not even root.
    void check_fuse(const MountEntry& mount) const
    {
        if (!mount.type.starts_with("fuse") || mount.has_option("allow_other"))
            return;
        const auto user = to_integer<std::uint32_t>(mount.option("user_id"));
        const auto group = to_integer<std::uint32_t>(mount.option("group_id"));
        if (user && group && (*user != uid_ || *group != gid_))
            deny("FUSE without allow_other: only uid " + std::to_string(*user) + " with gid " +
                     std::to_string(*group) + " may use it",
                 "mount it with the option allow_other, or act as that user");
    }

    /** Whether the kernel leaves all but check_fuse() to the program that serves the files. */
    static bool decides_alone(const MountEntry* mount)
    {
        return mount && mount->type.starts_with("fuse") &&
               !mount->has_option("default_permissions");
    }

    std::string doubts() const
    {
        const auto* mount = mount_above();
        if (decides_alone(mount))
            return "the FUSE program that serves " + in_quotes(mount->point) +
                   " may still refuse, which cannot be known from here";
        if (mount && is_network(mount->type))
            return "the server of " + in_quotes(mount->point) +
                   " may still refuse, which cannot be known from here" +
                   (uid_ == 0 ? " (root_squash makes uid 0 nobody)" : "");
        const auto enforcing = lines_or_text(system_.path("/sys/fs/selinux/enforce"));
        if (enforcing.starts_with('1'))
            return "SELinux is enforcing and may still refuse, which cannot be known from here";
        return {};
    }

    static std::string lines_or_text(const std::string& path)
    {
        const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return fd ? read_fd(fd.get(), 64, path) : std::string();
    }

    // ---- one component ----------------------------------------------------------------------

    void check_final(unsigned wanted) const
    {
        check_rights(wanted);
        const bool is_file = S_ISREG(status_.st_mode);
        struct ::statvfs fs {};
        if (::statvfs(shown().c_str(), &fs) != 0)
            throw system_error(errno, "cannot look at " + in_quotes(shown()));
        if ((wanted & search) && is_file && (fs.f_flag & ST_NOEXEC))
            deny("the file system is mounted noexec", "mount it without noexec");
        if (!(wanted & write))
            return;
        if ((fs.f_flag & ST_RDONLY) && (is_file || S_ISDIR(status_.st_mode)))
            deny("read-only file system", "mount it writable: mount -o remount,rw");
        struct ::statx flags;
        if (::statx(AT_FDCWD, shown().c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &flags) != 0)
            throw system_error(errno, "cannot look at " + in_quotes(shown()));
        if (flags.stx_attributes & STATX_ATTR_IMMUTABLE)
            deny("immutable", "chattr -i " + in_quotes(shown()));
        if ((flags.stx_attributes & STATX_ATTR_APPEND) && is_file)
            deny("append-only: nothing in it can be overwritten",
                 "chattr -a " + in_quotes(shown()));
    }

    bool in_group(std::uint32_t group) const
    {
        return group == gid_ || std::find(groups_.begin(), groups_.end(), group) != groups_.end();
    }

    /** A user namespace's root has no power over files of those whom it does not know. */
    bool is_strange() const
    {
        return users_.is_stranger(status_.st_uid) || group_ids_.is_stranger(status_.st_gid);
    }

    bool is_privileged(unsigned wanted) const
    {
        if (is_strange())
            return false;
        const bool only_looks = S_ISDIR(status_.st_mode) ? !(wanted & write) : wanted == read;
        if (only_looks && reads_all_)
            return true;
        const bool executes = (wanted & search) && !S_ISDIR(status_.st_mode);
        return overrides_ && (!executes || (status_.st_mode & 0111));
    }

    void check_rights(unsigned wanted) const
    {
        if (wanted == 0 || is_privileged(wanted) || decides_alone(mount_above()))
            return;
        const auto mode = status_.st_mode;
        if (status_.st_uid == uid_ && !users_.is_stranger(uid_))
            return check_mode(wanted, mode >> 6 & 7, "the owner", "u");
        // The kernel looks at an ACL only where its mask, shown as the group's mode, grants
        // anything.
        if (mode & 070)
            if (const auto acl = acl_of(shown()))
                return check_acl(wanted, *acl);
        if (in_group(status_.st_gid) && !group_ids_.is_stranger(status_.st_gid))
            return check_mode(wanted, mode >> 3 & 7, "the group", "g");
        check_mode(wanted, mode & 7, "others", "o");
    }

    void check_mode(unsigned wanted, unsigned granted, const std::string& who,
                    const char* letter) const
    {
        const auto missing = wanted & ~granted;
        if (missing == 0)
            return;
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", status_.st_mode & 07777U);
        auto rule = std::string("mode ") + mode + " of uid " + std::to_string(status_.st_uid) +
                    ", gid " + std::to_string(status_.st_gid) + ": " + who +
                    (who == "others" ? " have no " : " has no ") +
                    permission_words(missing, status_.st_mode);
        if (is_strange() && overrides_)
            rule += "; the owner or group is not mapped into this user namespace, so that root of "
                    "the namespace counts as anybody";
        else if (uid_ == 0 && !overrides_)
            rule += "; uid 0 has no CAP_DAC_OVERRIDE here";
        auto remedy =
            std::string("chmod ") + letter + '+' + letters(missing) + ' ' + in_quotes(shown());
        if (*letter == 'o')
            remedy = acl_remedy(wanted) + ", or " + remedy;
        deny(std::move(rule), std::move(remedy));
    }

    std::string acl_remedy(unsigned wanted) const
    {
        return "setfacl -m u:" + std::to_string(uid_) + ':' + letters(wanted) + ' ' +
               in_quotes(shown());
    }

    static std::optional<std::vector<AclEntry>> acl_of(const std::string& path)
    {
        std::string value(65536, '\0'); // XATTR_SIZE_MAX
        const auto length =
            ::lgetxattr(path.c_str(), "system.posix_acl_access", value.data(), value.size());
        if (length < 0)
            return std::nullopt;
        return parse_acl(std::string_view(value).substr(0, static_cast<std::size_t>(length)));
    }

    void check_acl(unsigned wanted, const std::vector<AclEntry>& acl) const
    {
        unsigned mask = 7, other = 0;
        for (const auto& entry : acl) {
            mask = entry.tag == AclEntry::mask ? entry.rights : mask;
            other = entry.tag == AclEntry::other ? entry.rights : other;
        }
        const auto deny_by = [&](const std::string& entry) {
            deny("ACL: " + entry + " no " + permission_words(wanted, status_.st_mode),
                 acl_remedy(wanted));
        };
        const auto masked = [&](unsigned rights) {
            return (rights & mask) != rights
                       ? " (of which the mask leaves '" + letters(rights & mask) + "')"
                       : std::string();
        };
        bool in_any = false;
        std::string seen;
        for (const auto& entry : acl) {
            const bool is_user = entry.tag == AclEntry::user && entry.id == uid_;
            const bool is_group = (entry.tag == AclEntry::group_obj && in_group(status_.st_gid)) ||
                                  (entry.tag == AclEntry::group && in_group(entry.id));
            if (!is_user && !is_group)
                continue;
            if ((entry.rights & mask & wanted) == wanted)
                return;
            if (is_user)
                deny_by("user " + std::to_string(uid_) + " has '" + letters(entry.rights) + "'" +
                        masked(entry.rights) + ", so");
            in_any = true;
            const auto group = entry.tag == AclEntry::group ? entry.id : status_.st_gid;
            seen += "group " + std::to_string(group) + " has '" + letters(entry.rights) + "'" +
                    masked(entry.rights) + ", ";
        }
        if (in_any)
            deny_by(seen + "so");
        if ((other & wanted) != wanted)
            deny_by("no entry is for this user, and others have '" + letters(other) + "', so");
    }

    const std::uint32_t uid_, gid_;
    const std::span<const std::uint32_t> groups_;
    const SystemRoot& system_;
    const IdMap users_, group_ids_;
    const std::vector<MountEntry> mounts_;
    const bool overrides_, reads_all_;

    std::string place_{}; // canonical; "" is the root
    struct stat status_ {};
    std::vector<std::string> rest_{}; // reversed
    unsigned links_{};
};

} // namespace

// linux/posix_acl_xattr.h: a version, then entries of tag, rights and id, all little-endian.
std::optional<std::vector<AclEntry>> parse_acl(std::string_view value)
{
    const auto number = [&](std::size_t at, std::size_t length) {
        std::uint32_t result = 0;
        for (std::size_t i = 0; i < length; ++i)
            result |= std::uint32_t{static_cast<unsigned char>(value[at + i])} << (8 * i);
        return result;
    };
    constexpr std::size_t header = 4, length = 8;
    if (value.size() < header || (value.size() - header) % length != 0 || number(0, header) != 2)
        return std::nullopt;
    std::vector<AclEntry> entries;
    for (std::size_t at = header; at < value.size(); at += length)
        entries.push_back({.tag = static_cast<AclEntry::Tag>(number(at, 2)),
                           .rights = number(at + 2, 2) & 7,
                           .id = number(at + 4, 4)});
    return entries;
}

AccessExplanation explain_access(const std::string& path, std::uint32_t uid, std::uint32_t gid,
                                 std::span<const std::uint32_t> groups, AccessMode mode,
                                 const SystemRoot& system)
{
    if (!path.starts_with('/') || path.size() >= PATH_MAX || path.find('\0') != path.npos)
        throw Error(ErrorCode::invalid_argument, in_quotes(path) + " is not an absolute path",
                    "give a path that begins with '/'");
    return AccessWalk(uid, gid, groups, system).run(path, static_cast<unsigned>(mode) & 7);
}

AccessExplanation explain_access(const std::string& path, std::uint32_t uid, std::uint32_t gid,
                                 std::span<const std::uint32_t> groups, AccessMode mode,
                                 std::chrono::milliseconds patience)
{
    const std::vector<std::uint32_t> own_groups(groups.begin(), groups.end());
    return result_with_patience(
        std::make_shared<LeftCalls>(), nullptr, std::chrono::steady_clock::now() + patience,
        in_quotes(path),
        [=](Job*) { return explain_access(path, uid, gid, own_groups, mode, SystemRoot()); });
}

AccessExplanation explain_access(const std::string& path, std::uint32_t uid, std::uint32_t gid,
                                 std::span<const std::uint32_t> groups, AccessMode mode)
{
    return explain_access(path, uid, gid, groups, mode, ContextOptions{}.look_timeout);
}

} // namespace storage::inline v1
