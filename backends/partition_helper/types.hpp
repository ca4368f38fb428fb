// SPDX-License-Identifier: GPL-3.0-or-later
// basin's volume formats and the types that partition tables know, both ways.
#pragma once

#include <parted/parted.h>

#include <string>
#include <string_view>

namespace partition_helper {

/** libparted's word for one of basin's pool formats, and back; others stay as they are. */
std::string parted_table_name(std::string_view format);
std::string basin_table_name(std::string_view parted_name);

/** Gives a new partition the type that the format stands for. @throws Refusal not_supported */
void set_type(PedPartition& partition, std::string_view table, const std::string& format);

/**
 * The format that a type stands for; "none" for every other one.
 * @param type  "0x83" or a GUID in small letters; "" where the table's types are not known here
 */
std::string format_of(std::string_view table, std::string_view type, const PedPartition& partition);

} // namespace partition_helper
