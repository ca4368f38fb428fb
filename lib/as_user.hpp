// SPDX-License-Identifier: LGPL-2.1-or-later
// Single system calls made by a short-lived child as another user, for file systems that let only
// that user in: NFS with root_squash, FUSE without allow_other.
#pragma once

#include "file_io.hpp"

#include <string>
#include <sys/types.h>

namespace storage::inline v1 {

/** Who makes the call. The child has no supplementary groups and, unless uid is 0, no capability.
 */
struct UserId {
    uid_t uid{};
    gid_t gid{};
    bool operator==(const UserId&) const = default;
};

/*
 * Each stands for the system call of that name and fails as it does: -1, or no descriptor, and
 * errno. EPERM also where this process may not become that user; EINTR where the child was killed.
 * Who is that user already makes the call itself. The host's credentials, signal handlers, umask
 * and children stay as they are: no SIGCHLD, nothing for wait(2). Safe with threads. The umask does
 * not apply.
 */

/** openat(2), always with O_CLOEXEC. */
UniqueFd open_as(UserId user, int directory_fd, const std::string& name, int flags,
                 mode_t mode = 0);
/** linkat(2): flags as there, such as AT_SYMLINK_FOLLOW for /proc/self/fd/N. */
int link_as(UserId user, int old_directory_fd, const std::string& old_name, int new_directory_fd,
            const std::string& new_name, int flags = 0);
/** renameat2(2). */
int rename_as(UserId user, int old_directory_fd, const std::string& old_name, int new_directory_fd,
              const std::string& new_name, unsigned flags = 0);
/** unlinkat(2): AT_REMOVEDIR for a directory. */
int unlink_as(UserId user, int directory_fd, const std::string& name, int flags = 0);
/** mkdirat(2). */
int mkdir_as(UserId user, int directory_fd, const std::string& name, mode_t mode);
/** fchmod(2). */
int chmod_as(UserId user, int fd, mode_t mode);

} // namespace storage::inline v1
