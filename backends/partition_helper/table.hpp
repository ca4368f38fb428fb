// SPDX-License-Identifier: GPL-3.0-or-later
// An open disk and its partition table through libparted.
#pragma once

#include "kernel.hpp"
#include "placement.hpp"
#include "protocol.hpp"

#include <parted/parted.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace partition_helper {

/** What libparted said since the last call, oldest first. */
std::vector<std::string> take_messages();

/** Everything that libparted said, for an error. */
std::string said();

enum class Handling {
    read,
    plan, ///< as if it were written: mends in memory
    write ///< mends what it reads
};

/** Sets libparted's handler: it never asks, and keeps what is said. */
void install_handler(Handling how);

struct PartitionInfo {
    int number{};
    std::string path{}; ///< of its device node, by the rules of its disk
    std::string kind{}; ///< primary, logical, extended; metadata: the table's own space
    std::uint64_t start{};
    std::uint64_t length{};
    std::string format{}; ///< basin's volume format
    std::string type{};   ///< "0x83" or a GUID; "" where it is not known
    std::string guid{};   ///< of the partition, where it has a real one
    std::string name{};
    std::vector<std::string> flags{};
};

struct DiskDeleter {
    void operator()(PedDisk* disk) const { ped_disk_destroy(disk); }
};
struct ConstraintDeleter {
    void operator()(PedConstraint* constraint) const { ped_constraint_destroy(constraint); }
};
using Constraint = std::unique_ptr<PedConstraint, ConstraintDeleter>;

/** A disk, locked against other tools (flock, as systemd-udevd and sfdisk do) while it is written.
 */
class OpenDisk {
public:
    /** @throws Refusal  not there, not the device that is asked for, locked too long */
    OpenDisk(const Request& request, bool write);
    ~OpenDisk();
    OpenDisk(const OpenDisk&) = delete;
    OpenDisk& operator=(const OpenDisk&) = delete;

    const std::string& path() const { return path_; }
    const KernelDisk& kernel() const { return *kernel_; }
    PedDevice& device() const { return *device_; }
    std::uint64_t sector_size() const;
    std::uint64_t size() const;

    /** libparted's name of the table's type; "" when there is none. */
    std::string probe() const;
    /** Reads the table that is there. @throws Refusal invalid_state, parse_failed */
    void read(const Request& request);
    /** A new one, in memory. @throws Refusal not_supported */
    void make(const std::string& table);
    /** Writes the table; the kernel's view is the caller's. */
    void write();
    /** Writes zeros over both ends, where tables, their copies and most signatures are. */
    void clear_ends();
    /** What clear_ends() takes away, and back again. */
    std::pair<std::string, std::string> read_ends() const;
    void write_ends(const std::pair<std::string, std::string>& ends);
    /** The same of these sectors. */
    void clear_ends(std::int64_t first, std::int64_t length);
    /** @throws Refusal permission_denied  the device takes no writes, whoever asks */
    void require_writable() const;
    /** Whether it is a gpt whose dos table has partitions besides the one that protects it. */
    bool is_hybrid() const;

    PedDisk& table() const { return *table_; }
    std::string table_name() const;
    std::string disk_id() const { return disk_id_; }
    std::vector<PedPartition*> partitions() const;
    /** Without sector 0, which holds the table or a boot loader, and what the table cannot address.
     */
    std::vector<Region> free() const;
    /** Whether it has logical partitions inside an extended one. */
    bool has_extended() const { return table_name() == "dos"; }
    /** Whether it is a file in the volume header of a dvh table, which libparted takes for a
     * logical partition, and the kernel for nothing. */
    bool is_boot_file(const PedPartition& partition) const
    {
        return (partition.type & PED_PARTITION_LOGICAL) && !has_extended();
    }
    std::vector<PartitionInfo> describe() const;
    /** One of describe(). */
    PartitionInfo describe(int number) const;

    Alignment alignment(const Request& request) const;
    std::uint64_t bytes(std::int64_t sectors) const;

private:
    struct Entry {
        std::uint64_t start{};
        std::string type{};
        std::string guid{};
        std::string name{};
    };
    void lock(std::chrono::milliseconds patience);
    void begin_writing() const;
    std::string first_sector() const;
    std::int64_t end_length(std::int64_t length) const; ///< of what clear_ends() clears, in sectors
    void write_first_sector(const std::string& sector);
    void commit();
    void read_entries();
    const Entry* entry(const PedPartition& partition) const;

    std::string path_;
    std::string mark_;
    int fd_{-1};
    std::unique_ptr<KernelDisk> kernel_{};
    PedDevice* device_{};
    bool opened_{};
    std::unique_ptr<PedDisk, DiskDeleter> table_{};
    std::string disk_id_{};
    std::vector<Entry> entries_{};
};

} // namespace partition_helper
