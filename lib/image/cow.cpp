// SPDX-License-Identifier: LGPL-2.1-or-later
// User Mode Linux copy-on-write files, after arch/um/drivers/cow_user.c of Linux (facts only).
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

/** Where one version keeps its fields. */
struct Layout {
    std::uint32_t path;
    std::uint32_t path_length;
    std::uint32_t size;
    std::uint32_t sector_size;
    std::uint32_t end;
};

// Version 2 of QEMU and libvirt has room for 1024 bytes of path, that of Linux for 4096.
constexpr Layout v2_short{8, 1024, 1036, 1044, 1048};
constexpr Layout v2_long{8, 4096, 4108, 4116, 4120};
constexpr Layout v3{32, 4096, 12, 20, 32 + 1};
// 64-bit programs until December 2005 padded the time to 8 bytes.
constexpr Layout v3_padded{36, 4096, 16, 24, 36 + 1};

bool plausible_sector(std::uint32_t size)
{
    return is_power_of_two(size) && size >= 512 && size <= 65536;
}

const Layout& layout_of(Inspection& image, std::uint32_t version)
{
    const Bytes head = image.source.head();
    if (version == 3) // in the padded layout a zero word stands where the path would begin
        return head.be32(v3.path) == 0 && plausible_sector(head.be32(v3_padded.sector_size))
                   ? v3_padded
                   : v3;
    const bool is_long = !plausible_sector(head.be32(v2_short.sector_size)) &&
                         plausible_sector(image.source.view(v2_long.sector_size, 4).be32(0));
    return is_long ? v2_long : v2_short;
}

} // namespace

void inspect_cow(Inspection& image)
{
    if (!image.has_header(8))
        return;
    const auto version = image.source.head().be32(4);
    image.info.version = number(version);
    if (version != 2 && version != 3) {
        image.find(ImageIssue::unsupported_version,
                   "cow version " + number(version) + " is not known");
        return;
    }
    const auto& layout = layout_of(image, version);
    if (!image.within_file("the header", 0, layout.end))
        return;
    image.set_virtual_size(image.source.view(layout.size, 8).be64(0));
    const Bytes field = image.source.view(
        layout.path, std::min<std::size_t>(layout.path_length, ImageSource::head_length));
    const auto path = field.text(0, layout.path_length);
    if (path.empty())
        return;
    image.info.backing = ImageReference{.path = image.take_text("the backing file name", path)};
}

} // namespace storage::inline v1::image
