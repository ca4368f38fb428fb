// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_attributes.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace storage::inline v1 {

void set_mode(int fd, std::uint32_t mode, const std::string& path)
{
    if (::fchmod(fd, mode) != 0)
        throw system_error(errno, "cannot set the mode of '" + path + "'");
}

void set_owner(int fd, std::optional<std::uint32_t> owner, std::optional<std::uint32_t> group,
               const std::string& path)
{
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    const auto unchanged = static_cast<std::uint32_t>(-1);
    const auto uid = owner && *owner != info.st_uid ? *owner : unchanged;
    const auto gid = group && *group != info.st_gid ? *group : unchanged;
    if (uid == unchanged && gid == unchanged)
        return;
    if (::fchown(fd, uid, gid) != 0)
        throw system_error(errno,
                           "cannot give '" + path + "' to user " +
                               (owner ? std::to_string(*owner) : "(unchanged)") + ", group " +
                               (group ? std::to_string(*group) : "(unchanged)"),
                           "leave <owner> and <group> out, or run as a user who may change them");
}

void set_label(int fd, const std::string& label, const std::string& path)
{
    // The kernel keeps the NUL that SELinux tools store with the label (fsetfilecon(3)).
    if (::fsetxattr(fd, "security.selinux", label.c_str(), label.size() + 1, 0) != 0)
        throw system_error(errno,
                           "cannot set the security label of '" + path + "' to '" + label + "'",
                           "leave <label> out where SELinux is not in use");
}

namespace {

Error no_copy_on_write_switch(const std::string& path)
{
    return Error(ErrorCode::not_supported,
                 "'" + path + "': copy-on-write can be switched on btrfs only",
                 "leave <cow> or <nocow> out");
}

} // namespace

void require_copy_on_write_switch(const std::string& directory, const std::string& path)
{
    struct statfs info {};
    if (::statfs(directory.c_str(), &info) == 0 && info.f_type != BTRFS_SUPER_MAGIC)
        throw no_copy_on_write_switch(path);
}

void set_copy_on_write(int fd, bool on, bool required, const std::string& path)
{
    struct statfs info {};
    if (::fstatfs(fd, &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    if (info.f_type != BTRFS_SUPER_MAGIC) {
        if (required)
            throw no_copy_on_write_switch(path);
        return;
    }
    int flags = 0;
    const bool known = ::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    const int wanted = on ? flags & ~FS_NOCOW_FL : flags | FS_NOCOW_FL;
    if (known && wanted == flags)
        return;
    if ((!known || ::ioctl(fd, FS_IOC_SETFLAGS, &wanted) != 0) && required)
        throw system_error(errno, "cannot switch copy-on-write of '" + path + "'");
}

namespace {

void require_free(const struct ::statvfs& system, std::uint64_t bytes, const std::string& path)
{
    // Some file systems of FUSE do not say how large they are; of one that may only be read more
    // than its size is to be said.
    const auto block = std::uint64_t{system.f_frsize ? system.f_frsize : system.f_bsize};
    std::uint64_t free = 0;
    if (system.f_blocks == 0 || (system.f_flag & ST_RDONLY) != 0 ||
        __builtin_mul_overflow(block, system.f_bfree, &free) || bytes <= free)
        return;
    throw Error(ErrorCode::no_space,
                "'" + path + "' needs " + std::to_string(bytes) + " bytes more, and its file " +
                    "system has " + std::to_string(free) + " free",
                "free some space, or ask for a smaller allocation", {}, ENOSPC);
}

/** @param start  where what is to be added begins, which may be there in part already */
void require_free(int fd, std::uint64_t start, std::uint64_t end, const std::string& path)
{
    struct ::statvfs system {};
    struct stat info {};
    if (::fstatvfs(fd, &system) != 0 || ::fstat(fd, &info) != 0)
        return;
    constexpr std::uint64_t unit = 512; // stat(2)
    const auto present = start == 0 ? static_cast<std::uint64_t>(info.st_blocks) * unit : 0;
    require_free(system, end - start - std::min(present, end - start), path);
}

void write_zeros(int fd, std::uint64_t start, std::uint64_t end, const std::string& path, Job* job)
{
    const std::vector<char> zeros(std::size_t{1} << 20);
    while (start < end) {
        check(job, "allocating '" + path + "'");
        const auto want =
            static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), end - start));
        const auto n = ::pwrite(fd, zeros.data(), want, static_cast<off_t>(start));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "cannot allocate " + std::to_string(end) + " bytes for '" +
                                          path + "'");
        start += static_cast<std::uint64_t>(n);
        advance(job, static_cast<std::uint64_t>(n));
    }
}

/** Writes what is there already, so that it gets blocks; behind the end of the file zeros. */
void write_again(int fd, std::uint64_t start, std::uint64_t end, const std::string& path, Job* job)
{
    std::vector<char> buffer(std::size_t{1} << 20);
    while (start < end) {
        check(job, "allocating '" + path + "'");
        const auto want =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - start));
        const auto n = ::pread(fd, buffer.data(), want, static_cast<off_t>(start));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "cannot read '" + path + "'");
        if (n == 0)
            return write_zeros(fd, start, end, path, job);
        const auto size = static_cast<std::size_t>(n);
        write_at(fd, start, std::string_view(buffer.data(), size), path);
        start += size;
        advance(job, size);
    }
}

void allocate(int fd, int mode, std::uint64_t start, std::uint64_t end, const std::string& path,
              Job* job)
{
    require_free(fd, start, end, path);
    enter_phase(job, "allocating", end - start);
    // In pieces, so that a slow file system can be cancelled.
    constexpr std::uint64_t piece = std::uint64_t{1} << 30;
    while (start < end) {
        check(job, "allocating '" + path + "'");
        const auto size = std::min(piece, end - start);
        if (::fallocate(fd, mode, static_cast<off_t>(start), static_cast<off_t>(size)) != 0) {
            if (errno == EINTR)
                continue;
            if (errno == EOPNOTSUPP || errno == ENOSYS)
                return write_again(fd, start, end, path, job);
            throw system_error(
                errno, "cannot allocate " + std::to_string(end) + " bytes for '" + path + "'",
                "free some space, or ask for a smaller allocation");
        }
        start += size;
        advance(job, size);
    }
}

} // namespace

void require_free_space(const std::string& at, std::uint64_t bytes, const std::string& path)
{
    struct ::statvfs system {};
    if (::statvfs(at.c_str(), &system) == 0)
        require_free(system, bytes, path);
}

void fill_with_zeros(int fd, std::uint64_t start, std::uint64_t end, const std::string& path,
                     Job* job)
{
    require_free(fd, start, end, path);
    enter_phase(job, "allocating", end - start);
    write_zeros(fd, start, end, path, job);
}

void allocate_range(int fd, std::uint64_t length, const std::string& path, Job* job)
{
    allocate(fd, 0, 0, length, path, job);
}

void allocate_behind(int fd, std::uint64_t start, std::uint64_t end, const std::string& path,
                     Job* job)
{
    allocate(fd, FALLOC_FL_KEEP_SIZE, start, end, path, job);
}

} // namespace storage::inline v1
