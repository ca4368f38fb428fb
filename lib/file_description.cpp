// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_description.hpp"

#include <cstring>
#include <sys/xattr.h>

namespace storage::inline v1 {
namespace {

Timestamp timestamp_of(const ::statx_timestamp& time)
{
    return {.seconds = time.tv_sec, .nanoseconds = time.tv_nsec};
}

std::optional<std::string> label_of(const std::string& path)
{
    char label[256];
    const auto length = ::getxattr(path.c_str(), "security.selinux", label, sizeof label);
    if (length <= 0)
        return std::nullopt;
    // The kernel's text may count its NUL.
    return std::string(label, ::strnlen(label, static_cast<std::size_t>(length)));
}

} // namespace

// libvirt's mode ends at 0777: set-user-id and the sticky bit mean nothing for an image.
Permissions permissions_of(const struct ::statx& status, const std::string& path)
{
    return {.mode = status.stx_mode & 0777U,
            .owner = status.stx_uid,
            .group = status.stx_gid,
            .label = label_of(path)};
}

Timestamps timestamps_of(const struct ::statx& status)
{
    Timestamps times{.access = timestamp_of(status.stx_atime),
                     .modification = timestamp_of(status.stx_mtime),
                     .change = timestamp_of(status.stx_ctime)};
    if (status.stx_mask & STATX_BTIME)
        times.birth = timestamp_of(status.stx_btime);
    return times;
}

} // namespace storage::inline v1
