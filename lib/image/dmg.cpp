// SPDX-License-Identifier: LGPL-2.1-or-later
// Apple disk images (UDIF): all that is wanted is in the "koly" trailer, the last 512 bytes.
#include "image/inspection.hpp"

namespace storage::inline v1::image {

void inspect_dmg(Inspection& image, std::uint64_t offset)
{
    constexpr std::size_t trailer_length = 512;
    std::array<std::byte, trailer_length> copy;
    const Bytes trailer = image.source.read(offset, copy);
    const auto version = trailer.be32(4);
    image.info.version = number(version);
    if (version != 4)
        image.find(ImageIssue::unsupported_version,
                   "UDIF version " + number(version) + " is not known");
    if (trailer.be32(8) != trailer_length)
        image.find(ImageIssue::malformed,
                   "trailer length " + number(trailer.be32(8)) + " is not 512");
    image.info.uuid = uuid_text(trailer.part(64, 16), false);
    image.set_virtual_size(multiply(trailer.be64(492), 512));
    image.within_file("the data fork", trailer.be64(24), trailer.be64(32));
    image.within_file("the resource fork", trailer.be64(40), trailer.be64(48));
    image.within_file("the property list", trailer.be64(216), trailer.be64(224));
}

} // namespace storage::inline v1::image
