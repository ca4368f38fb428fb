// SPDX-License-Identifier: LGPL-2.1-or-later
// QED, after QEMU's docs/interop/qed_spec.
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

constexpr std::uint64_t has_backing = 1;
constexpr std::uint64_t needs_check = 2;
constexpr std::uint64_t backing_is_raw = 4;

/** The largest guest that one L1 table, all its L2 tables and their clusters make. */
std::uint64_t reach(std::uint64_t cluster_size, std::uint64_t table_clusters)
{
    const auto entries = cluster_size * table_clusters / 8;
    return multiply(multiply(entries, entries), cluster_size);
}

} // namespace

void inspect_qed(Inspection& image)
{
    constexpr std::uint32_t max_backing_length = 1023;
    if (!image.has_header(64))
        return;
    const Bytes head = image.source.head();
    const auto cluster_size = head.le32(4);
    const auto table_size = head.le32(8);
    const auto header_size = head.le32(12);
    const auto features = head.le64(16);
    const auto l1_offset = head.le64(40);
    const auto size = head.le64(48);

    if (features & ~(has_backing | needs_check | backing_is_raw))
        image.find(ImageIssue::unsupported_version,
                   "incompatible features not known: bits " + number(features));
    if (features & needs_check)
        image.find(ImageIssue::marked_dirty, "the image asks for a consistency check");

    if (!is_power_of_two(cluster_size) || cluster_size < 4096 || cluster_size > 64 << 20 ||
        !is_power_of_two(table_size) || table_size > 16) {
        image.find(ImageIssue::malformed,
                   "cluster size " + number(cluster_size) + " or table size " + number(table_size) +
                       " is not a power of two from 4 KiB to 64 MiB, 1 to 16");
    } else {
        image.info.cluster_size = cluster_size;
        image.set_virtual_size(size,
                               std::min(image.max_virtual_size, reach(cluster_size, table_size)));
        if (size % 512 != 0 || l1_offset % cluster_size != 0)
            image.find(ImageIssue::malformed, "virtual size " + number(size) +
                                                  " or L1 table offset " + number(l1_offset) +
                                                  " is not aligned");
        if (header_size == 0 || l1_offset < multiply(header_size, cluster_size))
            image.find(ImageIssue::malformed, "the L1 table at offset " + number(l1_offset) +
                                                  " is not behind the header of " +
                                                  number(header_size) + " clusters");
        image.within_file("the L1 table", l1_offset, multiply(cluster_size, table_size));
    }

    if ((features & has_backing) == 0)
        return;
    const auto offset = head.le32(56);
    const auto length = head.le32(60);
    if (add(offset, length) > multiply(header_size, cluster_size))
        image.find(ImageIssue::malformed, "the backing file name at offset " + number(offset) +
                                              " is not within the header");
    image.info.backing =
        image.reference("the backing file name", offset, length, max_backing_length);
    if (features & backing_is_raw) {
        image.info.backing->format = "raw";
        image.info.backing->format_declared = true;
    }
}

} // namespace storage::inline v1::image
