// SPDX-License-Identifier: LGPL-2.1-or-later
// VirtualBox disk images, version 1.1; layout after VDICore.h of VirtualBox (facts only).
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

enum Type : std::uint32_t { dynamic = 1, fixed, undo, differencing };

std::string variant(std::uint32_t type)
{
    switch (type) {
    case dynamic: return "dynamic";
    case fixed: return "fixed";
    case undo: return "undo";
    case differencing: return "differencing";
    default: return {};
    }
}

} // namespace

void inspect_vdi(Inspection& image)
{
    constexpr std::uint32_t known_version = 0x00010001;
    if (!image.has_header(72))
        return;
    const Bytes head = image.source.head();
    const auto version = head.le32(68);
    image.info.version = number(version >> 16) + "." + number(version & 0xffff);
    if (version != known_version) {
        image.find(ImageIssue::unsupported_version,
                   "VDI version " + image.info.version + " is not known");
        return;
    }
    if (!image.has_header(456))
        return;
    const auto type = head.le32(76);
    const auto link = uuid_text(head.part(424, 16), true);
    const auto parent = uuid_text(head.part(440, 16), true);
    const auto map_offset = head.le32(340);
    const auto data_offset = head.le32(344);
    const auto size = head.le64(368);
    const auto block_size = head.le32(376);
    const auto blocks = head.le32(384);
    const auto allocated = head.le32(388);

    image.info.variant = variant(type);
    if (image.info.variant.empty())
        image.find(ImageIssue::unsupported_version, "image type " + number(type) + " is not known");
    image.info.uuid = uuid_text(head.part(392, 16), true);
    if (type == undo || type == differencing)
        image.info.backing = ImageReference{.format = "vdi", .format_declared = true, .uuid = link};
    else if (!link.empty() || !parent.empty())
        image.find(ImageIssue::malformed, "an image of type " + number(type) + " has a parent, " +
                                              (link.empty() ? parent : link));

    if (!is_power_of_two(block_size) || block_size < 512) {
        image.find(ImageIssue::malformed,
                   "block size " + number(block_size) + " is not a power of two from 512 on");
        return;
    }
    image.info.cluster_size = block_size;
    image.set_virtual_size(size, std::min(image.max_virtual_size, multiply(blocks, block_size)));
    if (head.le32(360) != 512)
        image.find(ImageIssue::malformed, "sector size " + number(head.le32(360)) + " is not 512");
    for (const auto& [what, offset] :
         {std::pair("the block map", map_offset), std::pair("the data", data_offset)})
        if (offset % 512 != 0)
            image.find(ImageIssue::malformed, std::string(what) + " at offset " + number(offset) +
                                                  " is not aligned to a sector");
    if (allocated > blocks)
        image.find(ImageIssue::malformed,
                   number(allocated) + " blocks are allocated of " + number(blocks));
    if (image.within_file("the block map", map_offset, multiply(blocks, 4)))
        image.within_file("the data", data_offset,
                          multiply(std::min(allocated, blocks), block_size));
}

} // namespace storage::inline v1::image
