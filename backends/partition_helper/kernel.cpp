// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel.hpp"
#include "dm_partitions.hpp"
#include "protocol.hpp"

#include <fcntl.h>
#include <linux/blkpg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace partition_helper {
namespace {

namespace fs = std::filesystem;

/** A number in a file of sysfs; -1 when there is none. */
std::int64_t number_in(const fs::path& path)
{
    std::ifstream file(path);
    std::int64_t value = -1;
    file >> value;
    return file ? value : -1;
}

} // namespace

KernelDisk::KernelDisk(int fd, std::string path, bool part_separator)
    : fd_(fd), path_(std::move(path))
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        throw system_refusal(errno, "cannot read '" + path_ + "'");
    if (!S_ISBLK(status.st_mode))
        return;
    const auto number =
        std::to_string(major(status.st_rdev)) + ':' + std::to_string(minor(status.st_rdev));
    directory_ = "/sys/dev/block/" + number;
    if (::access((directory_ + "/dm").c_str(), F_OK) == 0)
        dm_ = std::make_unique<DmPartitions>(directory_, number, part_separator);
}

KernelDisk::~KernelDisk() = default;

bool KernelDisk::is_partition() const
{
    return is_block_device() && ::access((directory_ + "/partition").c_str(), F_OK) == 0;
}

bool KernelDisk::takes_partitions() const
{
    // ext_range is 1 where GENHD_FL_NO_PART is set (disk_ext_range_show in block/genhd.c).
    return is_device_mapper() || number_in(directory_ + "/ext_range") != 1;
}

void KernelDisk::require_unused() const
{
    if (!is_block_device())
        return;
    // open(2): without O_CREAT, O_EXCL fails where the system uses the device.
    const auto self = "/proc/self/fd/" + std::to_string(fd_);
    const int fd = ::open(self.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        ::close(fd);
    else if (errno == EBUSY)
        throw Refusal("busy", "'" + path_ + "' is in use", "unmount it or stop what uses it");
}

std::map<int, Extent> KernelDisk::partitions() const
{
    if (dm_)
        return dm_->partitions();
    std::map<int, Extent> result;
    if (!is_block_device())
        return result;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory_, error)) {
        const auto number = number_in(entry.path() / "partition");
        const auto start = number_in(entry.path() / "start");
        const auto size = number_in(entry.path() / "size");
        if (number <= 0 || start < 0 || size < 0 || result.size() >= partition_limit)
            continue;
        // sysfs counts in 512 bytes whatever the sector size is.
        result[static_cast<int>(number)] = {.start = static_cast<std::uint64_t>(start) * 512,
                                            .length = static_cast<std::uint64_t>(size) * 512};
    }
    if (error)
        throw system_refusal(error.value(), "cannot read '" + directory_ + "'");
    return result;
}

void KernelDisk::tell(int operation, int number, const Extent& extent) const
{
    blkpg_partition partition{};
    partition.pno = number;
    partition.start = static_cast<long long>(extent.start);
    partition.length = static_cast<long long>(extent.length);
    blkpg_ioctl_arg argument{};
    argument.op = operation;
    argument.datalen = sizeof partition;
    argument.data = &partition;
    if (::ioctl(fd_, BLKPG, &argument) != 0)
        throw system_refusal(errno, "partition " + std::to_string(number) + " of '" + path_ + "'");
}

std::string KernelDisk::node(int number, const std::string& usual) const
{
    return dm_ ? dm_->node(number) : usual;
}
void KernelDisk::remove(int number) const
{
    dm_ ? dm_->remove(number) : tell(BLKPG_DEL_PARTITION, number, {});
}
void KernelDisk::add(int number, const Extent& extent) const
{
    dm_ ? dm_->add(number, extent) : tell(BLKPG_ADD_PARTITION, number, extent);
}
void KernelDisk::resize(int number, const Extent& extent) const
{
    dm_ ? dm_->resize(number, extent) : tell(BLKPG_RESIZE_PARTITION, number, extent);
}

} // namespace partition_helper
