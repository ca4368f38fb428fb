// SPDX-License-Identifier: LGPL-2.1-or-later
// ISO 9660 (ECMA-119): volume descriptors from byte 32768 on. A guest sees the file as it is.
#include "image/inspection.hpp"

namespace storage::inline v1::image {

void inspect_iso(Inspection& image, std::uint64_t offset)
{
    constexpr std::uint8_t primary = 1;
    image.info.virtual_size = image.source.size();
    const Bytes descriptor = image.source.view(offset, 2048);
    if (descriptor.u8(0) != primary)
        return;
    // Both numbers stand twice, in either byte order (ECMA-119, 8.4.8 and 8.4.12).
    const auto blocks = descriptor.le32(80);
    const auto block_size = descriptor.le16(128);
    if (!descriptor.has(0, 132))
        image.find(ImageIssue::truncated, "the primary volume descriptor is cut off");
    else if (blocks != descriptor.be32(84) || block_size != descriptor.be16(130))
        image.find(ImageIssue::malformed, "the two byte orders of the volume's size disagree");
    else
        image.within_file("the volume", 0, multiply(blocks, block_size));
}

} // namespace storage::inline v1::image
