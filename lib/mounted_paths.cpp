// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mounted_paths.hpp"

#include <algorithm>
#include <array>

namespace storage::inline v1 {

const MountEntry* MountedPaths::mount_of(std::string_view path) const
{
    const MountEntry* found = nullptr;
    for (const auto& mount : mounts_) {
        const std::string_view point = mount.point == "/" ? "" : std::string_view(mount.point);
        const bool is_above =
            path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/');
        if (is_above && (!found || mount.point.size() >= found->point.size()))
            found = &mount;
    }
    return found;
}

bool MountedPaths::may_hang(std::string_view path) const
{
    constexpr std::array<std::string_view, 14> steady{
        "ext2", "ext3",    "ext4",     "xfs",     "btrfs",    "f2fs", "tmpfs",
        "vfat", "overlay", "squashfs", "iso9660", "devtmpfs", "proc", "sysfs"};
    const auto* mount = mount_of(path);
    return mount && std::find(steady.begin(), steady.end(), mount->type) == steady.end();
}

bool MountedPaths::are_together(std::string_view one, std::string_view other) const
{
    return mount_of(one) == mount_of(other);
}

} // namespace storage::inline v1
