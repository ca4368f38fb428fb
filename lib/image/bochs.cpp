// SPDX-License-Identifier: LGPL-2.1-or-later
// Bochs redolog images (growing, undoable, volatile); layout after iodev/hdimage/hdimage.h of
// Bochs.
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

void inspect_bochs(Inspection& image)
{
    constexpr std::uint32_t version1 = 0x00010000;
    constexpr std::uint32_t version2 = 0x00020000;
    if (!image.has_header(512))
        return;
    const Bytes head = image.source.head();
    const auto version = head.le32(64);
    image.info.version = number(version >> 16);
    if (version != version1 && version != version2) {
        image.find(ImageIssue::unsupported_version,
                   "Bochs version " + number(version) + " is not known");
        return;
    }
    if (head.text(32, 16) != "Redolog") {
        image.find(ImageIssue::unsupported_version, "the image type is not 'Redolog'");
        return;
    }
    const auto subtype = head.text(48, 16);
    for (const std::string_view known : {"Growing", "Undoable", "Volatile"})
        if (subtype == known)
            image.info.variant = static_cast<char>(known[0] | 0x20) + std::string(known.substr(1));
    if (image.info.variant.empty())
        image.find(ImageIssue::unsupported_version, "the subtype is not known");

    const auto header_length = head.le32(68);
    const auto extents = head.le32(72);
    const auto extent_size = head.le32(80);
    // Version 2 put a time stamp before the size.
    const auto size = head.le64(version == version1 ? 84 : 88);
    if (extent_size == 0 || extent_size % 512 != 0) {
        image.find(ImageIssue::malformed,
                   "extent size " + number(extent_size) + " is not a multiple of 512");
        return;
    }
    image.info.cluster_size = extent_size;
    image.set_virtual_size(size, std::min(image.max_virtual_size, multiply(extents, extent_size)));
    image.within_file("the catalog", header_length, multiply(extents, 4));
}

} // namespace storage::inline v1::image
