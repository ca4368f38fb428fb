// SPDX-License-Identifier: LGPL-2.1-or-later
// Some file systems let only an owner in: NFS with root_squash, FUSE without allow_other. There
// root's calls are refused, and made again as that owner (as_user.hpp).
#pragma once

#include "as_user.hpp"

#include <optional>
#include <unistd.h>

namespace storage::inline v1 {

/**
 * Makes system calls: as this process, and where that is root and is refused (EACCES, EPERM), as
 * another user. Each stands for the call of that name and fails as it does.
 */
class Actor {
public:
    Actor() = default; ///< this process alone
    /** For work in a directory. @param owner, group  of what is made there; where they are not
     * given, the directory's. Without any group: the number of the owner */
    Actor(std::string directory, std::optional<std::uint32_t> owner,
          std::optional<std::uint32_t> group)
        : directory_(std::move(directory)), owner_(owner), group_(group)
    {
    }

    UniqueFd open(int directory, const std::string& name, int flags, mode_t mode = 0) const;
    int mkdir(int directory, const std::string& name, mode_t mode) const;
    int link(int from_directory, const std::string& from, int directory, const std::string& name,
             int flags = 0) const;
    /** renameat2(2). */
    int rename(int from_directory, const std::string& from, int directory, const std::string& name,
               unsigned flags) const;
    int unlink(int directory, const std::string& name, int flags = 0) const;
    int fchmod(int fd, mode_t mode) const;

    /** Whether the other user made one of the calls: a new file is that user's, then. */
    bool has_changed() const { return changed_as_.has_value(); }
    /** Whether a file of this user's may be one that these calls made. */
    bool is_own(uid_t user) const { return user == ::geteuid() || user == changed_as_; }

private:
    template <typename Plain, typename Other>
    auto attempt(Plain&& plain, Other&& other) const;
    std::optional<UserId> other_user() const;

    std::string directory_{};
    std::optional<std::uint32_t> owner_{};
    std::optional<std::uint32_t> group_{};
    mutable std::optional<uid_t> changed_as_{};
};

/** openat(2) as the owner of the file, after it failed with os_error; no descriptor where this
 * process is not root or was not refused. */
UniqueFd open_as_owner(int os_error, int directory, const std::string& name, int flags);

/** open_file() of what exists; where root is refused, as the owner of the file. */
UniqueFd open_existing(const std::string& path, int flags);

/**
 * The same for the content of a volume, by a path that may end in a symbolic link. Who may write a
 * directory could lead this process to any file, so a link is followed only where root or the user
 * of this process made it; another user's, in that user's own directory on a file system that
 * refuses root, is followed with that user's rights. The link that is looked at is the one that is
 * read.
 * @throws Error permission_denied  the link is somebody else's
 */
UniqueFd open_content(const std::string& path, int flags);

/** The same in one directory, and in no other one that has its path by now: who may write above it
 * can exchange it. @param place  of place_text(); "": any @throws Error invalid_state */
UniqueFd open_content_in(const std::string& place, const std::string& path, int flags);

} // namespace storage::inline v1
