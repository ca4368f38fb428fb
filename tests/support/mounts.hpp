// SPDX-License-Identifier: LGPL-2.1-or-later
// Loop devices and mounts of a test's own. Root only; elsewhere they say that they are not there.
#pragma once

#include <cstdlib>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

/**
 * Gives this process a mount namespace of its own, once, so that nothing that is mounted shows
 * elsewhere or outlives it. @return false where that is not allowed
 */
inline bool private_mounts()
{
    static const bool possible = ::unshare(CLONE_NEWNS) == 0 &&
                                 ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    return possible;
}

class LoopDevice {
public:
    /** @param sector_size  0: 512 bytes */
    explicit LoopDevice(const std::string& file, unsigned flags = 0, unsigned sector_size = 0)
    {
        const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        const int backing = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
        // Another process may take the number that we were told.
        for (int attempt = 0; control >= 0 && backing >= 0 && attempt < 10 && path_.empty();
             ++attempt) {
            const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
            const auto path = "/dev/loop" + std::to_string(number);
            const int device = number < 0 ? -1 : ::open(path.c_str(), O_RDWR | O_CLOEXEC);
            struct ::loop_config config {};
            config.fd = static_cast<unsigned>(backing);
            config.info.lo_flags = flags;
            config.block_size = sector_size;
            if (device >= 0 && ::ioctl(device, LOOP_CONFIGURE, &config) == 0)
                path_ = path;
            if (device >= 0)
                ::close(device);
        }
        ::close(control);
        ::close(backing);
    }
    ~LoopDevice()
    {
        const int device = path_.empty() ? -1 : ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        ::ioctl(device, LOOP_CLR_FD, 0);
        ::close(device);
    }
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;

    /** "" where there is none to be had. */
    const std::string& path() const { return path_; }

private:
    std::string path_{};
};

class Mount {
public:
    Mount(const std::string& source, const std::string& target, const char* type,
          unsigned long flags = 0, const std::string& data = {})
        : target_(target)
    {
        mounted_ = private_mounts() && ::mount(source.c_str(), target.c_str(), type, flags,
                                               data.empty() ? nullptr : data.c_str()) == 0;
        // A bind mount takes other flags only when it is mounted again.
        if (mounted_ && (flags & MS_BIND) && flags != MS_BIND)
            mounted_ = ::mount("none", target.c_str(), nullptr, flags | MS_REMOUNT, nullptr) == 0;
    }
    ~Mount()
    {
        if (mounted_)
            ::umount2(target_.c_str(), MNT_DETACH);
    }
    Mount(const Mount&) = delete;
    Mount& operator=(const Mount&) = delete;

    explicit operator bool() const { return mounted_; }

private:
    std::string target_;
    bool mounted_{};
};

/** Whether a program ran and said 0. */
inline bool succeeds(const std::string& command)
{
    return std::system(
               ("PATH=$PATH:/sbin:/usr/sbin; { " + command + "; } >/dev/null 2>&1").c_str()) == 0;
}
