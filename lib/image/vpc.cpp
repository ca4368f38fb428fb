// SPDX-License-Identifier: LGPL-2.1-or-later
// VHD, after Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 (2006).
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t max_size = 0xff000000 * sector; // 2040 GiB
enum Type : std::uint32_t { fixed = 2, dynamic = 3, differencing = 4 };

/** One's complement of the sum of all bytes but those of the checksum itself. */
bool checksum_fits(Bytes data, std::uint64_t checksum_offset)
{
    std::uint32_t sum = 0;
    for (std::uint64_t i = 0; i < data.size(); ++i)
        if (i < checksum_offset || i >= checksum_offset + 4)
            sum += data.u8(i);
    return ~sum == data.be32(checksum_offset);
}

/**
 * Virtual PC showed guests the size of the geometry, everybody else the current size; the program
 * that made the image tells which, unless the geometry is at its maximum. QEMU 7.2 goes the same
 * way for the programs that it knows, and for others by the geometry; here the specification's
 * current size counts for them.
 */
std::uint64_t guest_size(Bytes footer)
{
    constexpr std::uint64_t max_geometry = 65535ULL * 16 * 255;
    const std::uint64_t geometry = std::uint64_t{footer.be16(56)} * footer.u8(58) * footer.u8(59);
    const bool by_geometry = footer.matches(28, "vpc ") || footer.matches(28, "qemu");
    return by_geometry && geometry != max_geometry ? geometry * sector
                                                   : footer.be64(48) / sector * sector;
}

/** The parent's path in one of the eight locator entries, in the order of their worth. */
std::string parent_path(Inspection& image, Bytes header)
{
    constexpr std::uint32_t max_length = 1024;
    for (const std::string_view wanted : {"W2ru", "W2ku", "MacX"}) {
        for (std::uint64_t entry = 576; entry < 576 + 8 * 24; entry += 24) {
            if (!header.matches(entry, wanted))
                continue;
            const auto length = header.be32(entry + 8);
            const auto offset = header.be64(entry + 16);
            if (length > max_length) {
                image.find(ImageIssue::malformed,
                           "a parent locator is " + number(length) + " bytes long");
                continue;
            }
            if (!image.within_file("a parent locator", offset, length))
                continue;
            const Bytes text = image.source.view(offset, length);
            return image.take_text("a parent locator", wanted == "MacX"
                                                           ? std::string(text.text(0, length))
                                                           : utf16_text(text, false));
        }
    }
    return image.take_text("the parent's name", utf16_text(header.part(64, 512), true));
}

void inspect_sparse(Inspection& image, std::uint64_t offset, std::uint32_t type)
{
    constexpr std::size_t header_length = 1024;
    if (!image.within_file("the dynamic disk header", offset, header_length))
        return;
    std::array<std::byte, header_length> copy;
    const Bytes header = image.source.read(offset, copy);
    if (!header.matches(0, "cxsparse")) {
        image.find(ImageIssue::malformed, "no dynamic disk header at offset " + number(offset));
        return;
    }
    if (!checksum_fits(header, 36))
        image.find(ImageIssue::malformed, "the checksum of the dynamic disk header is wrong");

    const auto table_offset = header.be64(16);
    const auto entries = header.be32(28);
    const auto block_size = header.be32(32);
    if (!is_power_of_two(block_size) || block_size < sector) {
        image.find(ImageIssue::malformed,
                   "block size " + number(block_size) + " is not a power of two from 512 on");
    } else {
        image.info.cluster_size = block_size;
        if (multiply(entries, block_size) < image.info.virtual_size)
            image.find(ImageIssue::malformed,
                       "the block table has " + number(entries) + " entries, too few for the size");
    }
    image.within_file("the block table", table_offset, multiply(entries, 4));
    if (type == differencing)
        image.info.backing = ImageReference{.path = parent_path(image, header),
                                            .format = "vpc",
                                            .format_declared = true,
                                            .uuid = uuid_text(header.part(40, 16), false)};
}

void inspect_footer(Inspection& image, Bytes footer, bool at_start)
{
    auto& info = image.info;
    info.version = number(footer.be16(12)) + "." + number(footer.be16(14));
    if (footer.be16(12) != 1) {
        image.find(ImageIssue::unsupported_version,
                   "VHD version " + info.version + " is not known");
        return;
    }
    if (footer.size() == sector && !checksum_fits(footer, 64))
        image.find(ImageIssue::malformed, "the checksum of the footer is wrong");
    info.uuid = uuid_text(footer.part(68, 16), false);
    image.set_virtual_size(guest_size(footer), max_size);

    const auto type = footer.be32(60);
    const auto header_offset = footer.be64(16);
    if (type == dynamic || type == differencing) {
        info.variant = type == dynamic ? "dynamic" : "differencing";
        if (!at_start)
            image.find(ImageIssue::malformed,
                       "the copy of the footer at the start of the file is missing");
        inspect_sparse(image, header_offset, type);
    } else if (type == fixed) {
        info.variant = "fixed";
        image.within_file("the data", 0, add(info.virtual_size, footer.size()));
    } else {
        image.find(ImageIssue::unsupported_version, "disk type " + number(type) + " is not known");
    }
}

} // namespace

void inspect_vpc(Inspection& image)
{
    if (image.has_header(sector))
        inspect_footer(image, image.source.head().part(0, sector), true);
}

void inspect_vpc_footer(Inspection& image, std::uint64_t offset)
{
    // Copied: the dynamic header is read through the same window.
    std::array<std::byte, sector> copy;
    inspect_footer(image, image.source.read(offset, copy), false);
}

} // namespace storage::inline v1::image
