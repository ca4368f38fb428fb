// SPDX-License-Identifier: LGPL-2.1-or-later
// Which kind of partition table a disk begins with, and its identity: a few reads, no helper.
#pragma once

#include <string>
#include <string_view>

namespace storage::inline v1 {

struct TableSignature {
    std::string format{};  ///< a source format of disk pools; "": none of them
    bool is_damaged{};     ///< gpt: of the dos table that marks it and its first header one lacks
    std::string disk_id{}; ///< as libblkid writes it: gpt, dos; "" for the others
    /** gpt: of the disk that it was made for, where that is not this one's; it is damaged then. */
    std::size_t other_sector_size{};
    bool operator==(const TableSignature&) const = default;
};

/** How much of the disk's beginning is looked at. */
inline constexpr std::size_t signature_size = 8192;

/** @param start  the first bytes of the disk; shorter ones have less */
TableSignature table_signature(std::string_view start);
/** @throws Error io */
TableSignature table_signature(int fd, const std::string& path);

} // namespace storage::inline v1
