// SPDX-License-Identifier: LGPL-2.1-or-later
// Compressed loop images, version 2: a shell script of 128 bytes, then blocks packed with zlib.
#include "image/inspection.hpp"

namespace storage::inline v1::image {

void inspect_cloop(Inspection& image)
{
    constexpr std::uint64_t table_offset = 136;
    constexpr std::uint32_t max_block_size = 64 << 20; // QEMU's limit; the tools warn above 256 KiB
    if (!image.has_header(table_offset))
        return;
    const Bytes head = image.source.head();
    const auto block_size = head.be32(128);
    const auto blocks = head.be32(132);
    image.info.version = "2";
    image.info.compression = "zlib";
    if (block_size == 0 || block_size % 512 != 0 || block_size > max_block_size) {
        image.find(ImageIssue::malformed,
                   "block size " + number(block_size) + " is not a multiple of 512 up to 64 MiB");
        return;
    }
    image.info.cluster_size = block_size;
    image.set_virtual_size(multiply(blocks, block_size));
    // One offset for each block and one for the end of the last.
    const auto last = table_offset + 8 * std::uint64_t{blocks};
    if (image.within_file("the block table", table_offset, 8 * (std::uint64_t{blocks} + 1)))
        image.within_file("the data", 0, image.source.view(last, 8).be64(0));
}

} // namespace storage::inline v1::image
