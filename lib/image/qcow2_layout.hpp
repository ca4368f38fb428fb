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
inline constexpr std::uint32_t v3_least_header_length = 104;
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
inline constexpr std::uint64_t known_incompatible_bits = (1 << 5) - 1;
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

/** The fixed part of the header. */
struct Header {
    explicit Header(Bytes head)
        : version(head.be32(4)), backing_offset(head.be64(8)), backing_length(head.be32(16)),
          cluster_bits(head.be32(20)), size(head.be64(size_field)), crypt_method(head.be32(32)),
          l1_size(head.be32(l1_size_field)), l1_offset(head.be64(40)),
          refcount_offset(head.be64(48)), refcount_clusters(head.be32(56)),
          snapshots(head.be32(60)), snapshots_offset(head.be64(64))
    {
        if (version < 3)
            return;
        incompatible = head.be64(72);
        compatible = head.be64(80);
        autoclear = head.be64(88);
        refcount_order = head.be32(96);
        length = head.be32(100);
        if (length > v3_least_header_length)
            compression = head.u8(104);
    }

    bool has(std::uint64_t incompatible_bit) const
    {
        return (incompatible & incompatible_bit) != 0;
    }
    std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }

    std::uint32_t version;
    std::uint64_t backing_offset;
    std::uint32_t backing_length;
    std::uint32_t cluster_bits;
    std::uint64_t size;
    std::uint32_t crypt_method;
    std::uint32_t l1_size;
    std::uint64_t l1_offset;
    std::uint64_t refcount_offset;
    std::uint32_t refcount_clusters;
    std::uint32_t snapshots;
    std::uint64_t snapshots_offset;
    std::uint64_t incompatible = 0;
    std::uint64_t compatible = 0;
    std::uint64_t autoclear = 0;
    std::uint32_t refcount_order = 4;
    std::uint32_t length = v2_header_length;
    std::uint8_t compression = 0;
};

} // namespace storage::inline v1::image::qcow2
