// SPDX-License-Identifier: GPL-3.0-or-later
#include "types.hpp"
#include "protocol.hpp"

namespace partition_helper {
namespace {

struct Type {
    std::string_view type;
    std::string_view format;
};

// UEFI specification and Discoverable Partitions Specification.
constexpr Type gpt_types[] = {
    {"0fc63daf-8483-4772-8e79-3d69d8477de4", "linux"},
    {"e6d6d379-f507-44c2-a23c-238f2a3df928", "linux-lvm"},
    {"a19d880f-05fc-4d3b-a006-743f0f84911e", "linux-raid"},
    {"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "linux-swap"},
    // Basic data does not tell one FAT from the other.
    {"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "fat32"},
};

constexpr Type dos_types[] = {
    {"0x83", "linux"}, {"0x8e", "linux-lvm"}, {"0xfd", "linux-raid"}, {"0x82", "linux-swap"},
    {"0x4", "fat16"},  {"0x6", "fat16"},      {"0xe", "fat16"},       {"0xb", "fat32"},
    {"0xc", "fat32"},  {"0x5", "extended"},   {"0xf", "extended"},    {"0x85", "extended"},
};

bool has_flag(const PedPartition& partition, PedPartitionFlag flag)
{
    return ped_partition_is_flag_available(&partition, flag) &&
           ped_partition_get_flag(&partition, flag);
}

void set_flag(PedPartition& partition, PedPartitionFlag flag)
{
    if (!ped_partition_set_flag(&partition, flag, 1))
        throw Refusal("not_supported", "libparted refuses the type of the partition");
}

/** pc98 has types for file systems; libparted translates them. */
std::string format_of_file_system(std::string_view name)
{
    if (name == "fat16" || name == "fat32")
        return std::string(name);
    if (name.starts_with("linux-swap"))
        return "linux-swap";
    return name == "ext2" ? "linux" : "none";
}

/** libparted takes these flags for a bsd table and then does not write them. */
bool has_type_for(std::string_view table, const PedPartition& partition, PedPartitionFlag flag)
{
    return table != "bsd" && ped_partition_is_flag_available(&partition, flag);
}

} // namespace

std::string parted_table_name(std::string_view format)
{
    return std::string(format == "dos" ? "msdos" : format);
}

std::string basin_table_name(std::string_view parted_name)
{
    return std::string(parted_name == "msdos" ? "dos" : parted_name);
}

void set_type(PedPartition& partition, std::string_view table, const std::string& format)
{
    const bool lvm = format == "linux-lvm";
    const bool raid = format == "linux-raid";
    if (format != "extended") {
        const auto* file_system = format == "fat16" || format == "fat32" ? format.c_str()
                                  : format == "linux-swap"               ? "linux-swap(v1)"
                                                                         : "ext2";
        const auto* type = ped_file_system_type_get(file_system);
        if (!type || !ped_partition_set_system(&partition, type))
            throw Refusal("not_supported", "libparted does not know '" + format + "'");
    }
    const auto flag = lvm ? PED_PARTITION_LVM : PED_PARTITION_RAID;
    if (lvm || raid) {
        if (!has_type_for(table, partition, flag))
            throw Refusal("not_supported", "a table of type '" + std::string(table) +
                                               "' has no partition type for '" + format + "'");
        set_flag(partition, flag);
    }
    // 0x0c, 0x0e and 0x0f instead of 0x0b, 0x06 and 0x05: addressed by number, not by cylinder.
    const bool has_two_types = format.starts_with("fat") || format == "extended";
    if (has_two_types && ped_partition_is_flag_available(&partition, PED_PARTITION_LBA))
        set_flag(partition, PED_PARTITION_LBA);
}

std::string format_of(std::string_view table, std::string_view type, const PedPartition& partition)
{
    if (table == "gpt") {
        for (const auto& each : gpt_types)
            if (each.type == type)
                return std::string(each.format);
        return "none";
    }
    // sun tables use the same numbers for what Linux added.
    if (table == "dos" || table == "sun")
        for (const auto& each : dos_types)
            if (each.type == type && (table == "dos" || type.starts_with("0x8") || type == "0xfd"))
                return std::string(each.format);
    if (table == "mac" && type == "Apple_UNIX_SVR2" && !has_flag(partition, PED_PARTITION_SWAP))
        return "linux";
    if (table == "bsd" && type == "0x1")
        return "linux-swap";
    if (table == "pc98" && partition.fs_type)
        return format_of_file_system(partition.fs_type->name);
    if (has_flag(partition, PED_PARTITION_LVM))
        return "linux-lvm";
    if (has_flag(partition, PED_PARTITION_RAID))
        return "linux-raid";
    if (has_flag(partition, PED_PARTITION_SWAP))
        return "linux-swap";
    return "none";
}

} // namespace partition_helper
