// SPDX-License-Identifier: LGPL-2.1-or-later
// qcow, version 1. Layout after QEMU's block driver: no specification was ever written.
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

void inspect_qcow(Inspection& image)
{
    constexpr std::uint64_t header_length = 48;
    constexpr std::uint32_t max_backing_length = 1023;
    const Bytes head = image.source.head();
    image.info.format = ImageFormat::qcow;
    image.info.version = "1";
    if (!image.has_header(header_length))
        return;

    const auto backing_offset = head.be64(8);
    const auto backing_length = head.be32(16);
    const auto size = head.be64(24) / 512 * 512; // QEMU counts whole sectors
    const unsigned cluster_bits = head.u8(32);
    const unsigned l2_bits = head.u8(33);
    const auto l1_offset = head.be64(40);

    // QEMU's limits: clusters of 512 bytes to 64 KiB, second level tables of 512 bytes to 64 KiB.
    if (cluster_bits < 9 || cluster_bits > 16 || l2_bits < 6 || l2_bits > 13) {
        image.find(ImageIssue::malformed, "cluster_bits " + number(cluster_bits) + " and l2_bits " +
                                              number(l2_bits) +
                                              " are not within 9 to 16 and 6 to 13");
    } else {
        image.info.cluster_size = std::uint64_t{1} << cluster_bits;
        const auto table_reach = std::uint64_t{1} << (cluster_bits + l2_bits);
        image.set_virtual_size(
            size, std::min(image.max_virtual_size, multiply(table_reach, INT32_MAX / 8)));
        image.within_file("the L1 table", l1_offset, multiply(divide_up(size, table_reach), 8));
    }
    image.info.compression = "zlib";

    const auto crypt = head.be32(36);
    if (crypt == 1)
        image.info.encryption = Encryption{.format = "qcow"};
    else if (crypt != 0)
        image.find(ImageIssue::unsupported_version,
                   "encryption method " + number(crypt) + " is not known");
    if (backing_offset != 0 && backing_length != 0)
        image.info.backing = image.reference("the backing file name", backing_offset,
                                             backing_length, max_backing_length);
}

} // namespace storage::inline v1::image
