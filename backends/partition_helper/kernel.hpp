// SPDX-License-Identifier: GPL-3.0-or-later
// What the kernel knows of a disk's partitions, and telling it what changed (BLKPG).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace partition_helper {

class DmPartitions;

/** Bytes. */
struct Extent {
    std::uint64_t start{};
    std::uint64_t length{};
    bool operator==(const Extent&) const = default;
};

/** The kernel's view of one open disk. */
class KernelDisk {
public:
    /** @param fd  the open disk, or an image file, which the kernel knows nothing of */
    KernelDisk(int fd, std::string path, bool part_separator);
    ~KernelDisk();
    KernelDisk(const KernelDisk&) = delete;
    KernelDisk& operator=(const KernelDisk&) = delete;

    bool is_block_device() const { return !directory_.empty(); }
    bool is_partition() const;
    bool is_device_mapper() const { return dm_ != nullptr; }
    /** Whether it takes partitions; a loop device only does when it was attached for that. */
    bool takes_partitions() const;

    /** @throws Refusal busy  it is mounted, or part of something, as a whole */
    void require_unused() const;

    std::map<int, Extent> partitions() const;
    /** @param usual  where it is unless the device mapper has its own way */
    std::string node(int number, const std::string& usual) const;
    /** @throws Refusal busy  the partition is in use */
    void remove(int number) const;
    void add(int number, const Extent& extent) const;
    /** Works while the partition is in use. */
    void resize(int number, const Extent& extent) const;

private:
    void tell(int operation, int number, const Extent& extent) const;

    int fd_;
    std::string path_;
    std::string directory_{}; ///< in sysfs; "" for an image file
    std::unique_ptr<DmPartitions> dm_{};
};

} // namespace partition_helper
