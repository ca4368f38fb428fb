// SPDX-License-Identifier: LGPL-2.1-or-later
// A FUSE file system that an ordinary user mounted and that lets nobody else in, not even root:
// what an NFS export with root_squash is, without a server. Root only.
#pragma once

#include "mounts.hpp"
#include "temporary_directory.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

class FuseMount {
public:
    static constexpr unsigned user = 65534;

    /** Mounts at "mnt" in the directory. */
    explicit FuseMount(const TemporaryDirectory& directory) : point_(directory / "mnt")
    {
        const auto image = directory / "fuse.img", node = directory / "fuse";
        directory.write("fuse.img", "");
        if (!private_mounts() || ::chmod(directory.path().c_str(), 0755) != 0 ||
            ::truncate(image.c_str(), 16 << 20) != 0 || ::mkdir(point_.c_str(), 0755) != 0 ||
            !succeeds("mkfs.ext4 -q -E root_owner=65534:65534 " + image) ||
            ::chown(image.c_str(), user, user) != 0 || ::chown(point_.c_str(), user, user) != 0)
            return;
        // Some systems keep the device from users; in our own namespace it may be theirs.
        if (::mknod(node.c_str(), S_IFCHR | 0666, makedev(10, 229)) != 0 ||
            ::chmod(node.c_str(), 0666) != 0 ||
            ::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr) != 0)
            return;
        // fuse2fs(1) of e2fsprogs 1.47 reports success also where it could not mount.
        mounted_ = succeeds("cd / && setpriv --reuid=65534 --regid=65534 --clear-groups fuse2fs "
                            "-o fakeroot " +
                            image + ' ' + point_) &&
                   succeeds("grep -q ' " + point_ + " .* - fuse' /proc/self/mountinfo");
        ::umount2("/dev/fuse", MNT_DETACH);
    }
    ~FuseMount()
    {
        if (mounted_)
            ::umount2(point_.c_str(), MNT_DETACH); // its program ends then
    }
    FuseMount(const FuseMount&) = delete;
    FuseMount& operator=(const FuseMount&) = delete;

    explicit operator bool() const { return mounted_; }
    const std::string& path() const { return point_; }

private:
    std::string point_;
    bool mounted_{};
};
