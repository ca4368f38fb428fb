// SPDX-License-Identifier: LGPL-2.1-or-later
// Partition tables through basin-partition, the helper program that links libparted.
#pragma once

#include "command.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace storage::inline v1 {

/** Where a partition is and what it is; bytes. */
struct Partition {
    int number{};
    std::string path{};   ///< its device node, by the kernel's or the device mapper's rules
    std::string kind{};   ///< primary, logical, extended; metadata: the table's own space
    std::string format{}; ///< one of the pool type's volume formats
    std::string type{};   ///< "0x83" or a GUID; "" where it is not known
    std::string guid{};   ///< "" where the table has none
    std::string label{};  ///< its name in the table; "" where it has none
    std::uint64_t start{};
    std::uint64_t length{};

    /** The node's name without the directory, which is the volume's name. */
    std::string name() const;
    /** Tells it from every other one, for as long as it exists. */
    std::string identity(const std::string& disk_id) const;
    bool operator==(const Partition&) const = default;
};

/** Room for a new partition, aligned; bytes. */
struct FreeRegion {
    std::uint64_t start{};
    std::uint64_t length{};
    bool logical{}; ///< inside the extended partition
    bool operator==(const FreeRegion&) const = default;
};

struct PartitionTable {
    std::string format{};  ///< one of the pool type's source formats; "": there is no table
    std::string disk_id{}; ///< of the table; "" where its type has none
    std::uint64_t size{};  ///< of the disk
    std::vector<Partition> partitions{};
    std::vector<FreeRegion> free{};
    std::vector<std::string> warnings{}; ///< what libparted said of it

    const Partition* find(std::string_view name) const;
};

/** A partition that shall be made. */
struct NewPartition {
    std::uint64_t size{};
    std::string format{};
    std::string label{}; ///< where the table has names
    // What a plan said; 0 and nothing for a plan.
    int number{};
    std::optional<std::uint64_t> start{};
};

/**
 * The helper for one disk. Each call runs it once; nothing is kept.
 * @throws Error  what the helper refuses, with its code; unavailable, timed_out, cancelled;
 *                command_failed  it crashed; parse_failed  its answer makes no sense
 */
class PartitionProgram {
public:
    /** @param directory  where basin's helper programs are */
    PartitionProgram(CommandRunner& runner, const std::string& directory)
        : runner_(runner), program_(directory + "/basin-partition")
    {
    }

    /** Names the disk in each request; the helper refuses any other one that took its place. */
    struct Disk {
        std::string path{};
        std::string device_number{}; ///< "8:0"
        std::string format{};        ///< the table's; "": any
        std::string disk_id{};       ///< the table's; "": any
        bool part_separator{};       ///< device mapper: "p" before each number
    };

    /** Writes nothing, not even by opening the disk for writing. */
    PartitionTable read(const Disk& disk, Job* job) const;
    /** Which partition create() would make. Writes nothing. */
    Partition plan(const Disk& disk, const NewPartition& wanted, Job* job) const;
    /** Refuses what remove() would refuse of what the table says. Writes nothing. */
    void plan_remove(const Disk& disk, const Partition& partition, Job* job) const;
    /** What resize() would make of it. Writes nothing. */
    Partition plan_resize(const Disk& disk, const Partition& partition, std::uint64_t size,
                          Job* job) const;
    /** @param mark  a file that the helper appends to before it writes anything; while it is empty
     * after an error, nothing was written, nor will be */
    Partition create(const Disk& disk, const NewPartition& wanted, int mark, Job* job) const;
    /** @param partition  number, start, length and GUID must all be as they are now */
    void remove(const Disk& disk, const Partition& partition, Job* job) const;
    void rename(const Disk& disk, const Partition& partition, const std::string& label,
                Job* job) const;
    Partition resize(const Disk& disk, const Partition& partition, std::uint64_t size,
                     Job* job) const;
    /** A new table of the format. */
    void label(const Disk& disk, const std::string& format, bool overwrite, Job* job) const;
    /** No table. */
    void clear(const Disk& disk, Job* job) const;
    /** Tells the kernel what the table says. */
    void sync(const Disk& disk, Job* job) const;

    /** The command for a request, for the record of a step. */
    std::vector<std::string> call(const std::string& operation, const std::string& device) const;

private:
    CommandRunner& runner_;
    std::string program_;
};

} // namespace storage::inline v1
