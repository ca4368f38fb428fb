// SPDX-License-Identifier: LGPL-2.1-or-later
// Numbers of the qcow2 format that several parts need, after QEMU's docs/interop/qcow2.
#pragma once

#include "image/bytes.hpp"

#include <string_view>

namespace storage::inline v1::image::qcow2 {

inline constexpr std::string_view magic{"QFI\xfb"};
inline constexpr std::uint64_t sector = 512;   // QEMU's sizes are multiples of it
inline constexpr std::uint64_t entry_size = 8; // of the L1 and the refcount table

inline constexpr std::uint32_t v2_header_length = 72;
inline constexpr std::uint32_t v3_header_length =
    112; // with the compression type, as QEMU since 5.1

// Offsets into the header.
inline constexpr std::uint64_t size_field = 24;
inline constexpr std::uint64_t l1_size_field = 36;

inline constexpr std::uint32_t backing_format_extension = 0xe2792aca;
inline constexpr std::uint32_t bitmaps_extension = 0x23852875;
inline constexpr std::uint32_t data_file_extension = 0x44415441;

inline constexpr std::uint64_t dirty_bit = 1 << 0; // incompatible features
inline constexpr std::uint64_t corrupt_bit = 1 << 1;
inline constexpr std::uint64_t data_file_bit = 1 << 2;
inline constexpr std::uint64_t compression_bit = 1 << 3;
inline constexpr std::uint64_t extended_l2_bit = 1 << 4;
inline constexpr std::uint64_t lazy_refcounts_bit = 1 << 0; // compatible features
inline constexpr std::uint64_t raw_data_bit = 1 << 1;       // auto-clear features

inline constexpr std::uint64_t min_cluster_size = 512;
inline constexpr std::uint64_t max_cluster_size = 2 << 20;
inline constexpr std::uint64_t min_extended_cluster_size = 16 << 10;

// QEMU opens nothing beyond these (block/qcow2.h of 7.2).
inline constexpr std::uint64_t max_l1_entries = (32 << 20) / 8;
inline constexpr std::uint64_t max_refcount_table_entries = (8 << 20) / 8;
inline constexpr std::uint64_t max_host_offset = std::uint64_t{1} << 56;

/** Bytes of the virtual disk that one L1 entry stands for. */
constexpr std::uint64_t l1_reach(std::uint64_t cluster_size, bool extended_l2)
{
    return cluster_size / (extended_l2 ? 16 : 8) * cluster_size;
}

/** The size that an image for `capacity` bytes gets; the largest number where there is none. */
constexpr std::uint64_t rounded_size(std::uint64_t capacity)
{
    return multiply(divide_up(capacity, sector), sector);
}

} // namespace storage::inline v1::image::qcow2
