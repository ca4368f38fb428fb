// SPDX-License-Identifier: LGPL-2.1-or-later
// A loop device with partitions on a sparse file; gone when nobody has it open any more.
#pragma once

#include "file_io.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/loop.h>
#include <optional>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

class LoopDevice {
public:
    /** Nothing where this user or machine has no loop devices; `why` then says so. */
    static std::optional<LoopDevice> make(const std::string& file, std::uint64_t size,
                                          std::string& why, unsigned sector_size = 512)
    {
        if (::geteuid() != 0) {
            why = "not root: no loop devices";
            return std::nullopt;
        }
        const auto backing = storage::open_file(file, O_RDWR | O_CREAT, 0600);
        const storage::UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
        if (!control || ::ftruncate(backing.get(), static_cast<off_t>(size)) != 0) {
            why = "no /dev/loop-control";
            return std::nullopt;
        }
        for (int attempt = 0; attempt < 16; ++attempt) {
            const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
            const auto path = "/dev/loop" + std::to_string(number);
            storage::UniqueFd device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
            if (number < 0 || !device)
                break;
            loop_config config{};
            config.fd = static_cast<__u32>(backing.get());
            config.block_size = sector_size;
            config.info.lo_flags = LO_FLAGS_PARTSCAN | LO_FLAGS_AUTOCLEAR;
            if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0)
                return LoopDevice(std::move(device), path);
            if (errno != EBUSY) // else another one was faster
                break;
        }
        why = "no loop device can be had";
        return std::nullopt;
    }

    const std::string& path() const { return path_; }
    /** "loop0" */
    std::string name() const { return path_.substr(path_.rfind('/') + 1); }

private:
    LoopDevice(storage::UniqueFd device, std::string path)
        : device_(std::move(device)), path_(std::move(path))
    {
    }
    storage::UniqueFd device_;
    std::string path_;
};
