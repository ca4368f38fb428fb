// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps on partition tables: what disk pools are changed by. Each runs the helper once.
#pragma once

#include "change.hpp"
#include "partition_table.hpp"

namespace storage::inline v1 {

/** A new, empty table. @param overwrite  else the disk must have nothing on it */
Step label_disk_step(const PartitionProgram::Disk& disk, const std::string& format, bool overwrite);
/** Takes the table away. */
Step clear_disk_step(const PartitionProgram::Disk& disk);
/** Makes the kernel show the partitions of the table. */
Step sync_disk_step(const PartitionProgram::Disk& disk);

/** @param planned  as PartitionProgram::plan() said; anything else that comes out is refused */
Step create_partition_step(const PartitionProgram::Disk& disk, const Partition& planned,
                           std::uint64_t size, const std::string& format);
Step delete_partition_step(const PartitionProgram::Disk& disk, const Partition& partition);
Step resize_partition_step(const PartitionProgram::Disk& disk, const Partition& partition,
                           std::uint64_t size);

extern const Action disk_actions[6];

} // namespace storage::inline v1
