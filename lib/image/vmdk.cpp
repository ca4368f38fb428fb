// SPDX-License-Identifier: LGPL-2.1-or-later
// VMDK sparse files, after VMware's "Virtual Disk Format 1.1" technical note.
#include "image/inspection.hpp"
#include "image/vmdk_descriptor.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

constexpr std::uint64_t sector = 512;

/** The fields of a sparse extent's header. All lengths are in sectors. */
struct Header {
    explicit Header(Bytes data)
        : version(data.le32(4)), flags(data.le32(8)), capacity(data.le64(12)), grain(data.le64(20)),
          descriptor_offset(data.le64(28)), descriptor_length(data.le64(36)),
          table_entries(data.le32(44)), directory_offset(data.le64(56)), overhead(data.le64(64)),
          unclean(data.u8(72) != 0), newlines(data.part(73, 4)), compression(data.le16(77))
    {
    }

    bool footer_follows() const { return directory_offset == UINT64_MAX; }

    std::uint32_t version;
    std::uint32_t flags;
    std::uint64_t capacity;
    std::uint64_t grain;
    std::uint64_t descriptor_offset;
    std::uint64_t descriptor_length;
    std::uint32_t table_entries;
    std::uint64_t directory_offset;
    std::uint64_t overhead; ///< all that comes before the first grain
    bool unclean;
    Bytes newlines;
    std::uint16_t compression;
};

void describe_header(Inspection& image, const Header& header)
{
    constexpr std::uint32_t newline_test = 1;
    auto& info = image.info;
    if ((header.flags & newline_test) != 0 && !header.newlines.matches(0, "\n \r\n"))
        image.find(ImageIssue::malformed, "the line end bytes were changed, as by a text transfer");
    if (header.unclean)
        image.find(ImageIssue::marked_dirty, "the image was not closed cleanly");
    if (header.compression == 1)
        info.compression = "zlib";
    else if (header.compression != 0)
        image.find(ImageIssue::unsupported_version,
                   "compression method " + number(header.compression) + " is not known");
    if (!is_power_of_two(header.grain) || header.grain > 1 << 21 || header.table_entries == 0 ||
        header.table_entries > 1 << 16) {
        image.find(ImageIssue::malformed, "grain size " + number(header.grain) + " or " +
                                              number(header.table_entries) +
                                              " entries a table cannot be");
        return;
    }
    info.cluster_size = header.grain * sector;
    // QEMU reads at most 512 Mi directory entries.
    const auto reach = multiply(header.table_entries * info.cluster_size, 512ULL << 20);
    image.set_virtual_size(multiply(header.capacity, sector),
                           std::min(image.max_virtual_size, reach));
    const auto tables = divide_up(info.virtual_size, header.table_entries * info.cluster_size);
    if (!header.footer_follows() &&
        image.within_file("the grain directory", multiply(header.directory_offset, sector),
                          4 * tables))
        image.within_file("the metadata", 0, multiply(header.overhead, sector));
}

/** Stream-optimised files are written in one go: what was not known at the start is in a footer. */
std::optional<Header> read_footer(Inspection& image)
{
    constexpr std::uint64_t from_end = 2 * sector; // before the end-of-stream marker
    const auto size = image.source.size();
    if (size >= 3 * sector) {
        const Bytes footer = image.source.view(size - from_end, sector);
        if (footer.matches(0, "KDMV"))
            return Header(footer);
    }
    image.find(ImageIssue::truncated, "the footer that the header promises is missing");
    return std::nullopt;
}

void describe_descriptor(Inspection& image, const Header& header)
{
    const auto offset = multiply(header.descriptor_offset, sector);
    auto length = multiply(header.descriptor_length, sector);
    // Of an image without a capacity QEMU takes all from the text, however long the header has it:
    // the files with the data, too.
    const bool is_all = header.capacity == 0 && offset != 0;
    if (!is_all && (offset == 0 || length == 0))
        return;
    image.within_file("the descriptor", offset,
                      length); // where it is cut off, its start still tells
    if (is_all)
        length = image.source.size() - std::min(offset, image.source.size());
    auto descriptor = read_vmdk_descriptor(image, offset, length);
    auto& info = image.info;
    info.variant = descriptor.create_type;
    info.uuid = descriptor.uuid;
    info.backing = descriptor.parent;
    if (info.variant.empty() && !descriptor.version.empty()) // one of several extents has no text
        image.find(ImageIssue::malformed, "the descriptor has no createType");
    if (!is_all)
        return;
    image.set_virtual_size(multiply(descriptor.sectors, sector));
    info.extents = std::move(descriptor.extents);
    info.data_file = std::move(descriptor.first_flat);
}

void inspect_esx_sparse(Inspection& image)
{
    const Bytes head = image.source.head();
    image.info.version = number(head.le32(4));
    image.info.variant = "vmfsSparse";
    const auto grain = head.le32(16);
    if (!is_power_of_two(grain) || grain > 1 << 21)
        image.find(ImageIssue::malformed, "grain size " + number(grain) + " cannot be");
    else
        image.info.cluster_size = grain * sector;
    image.set_virtual_size(head.le32(12) * sector);
    image.within_file("the grain directory", head.le32(20) * sector,
                      4 * std::uint64_t{head.le32(24)});
}

} // namespace

void inspect_vmdk(Inspection& image)
{
    const Bytes head = image.source.head();
    if (head.matches(0, "COWD")) {
        if (image.has_header(32)) {
            inspect_esx_sparse(image);
            check_vmdk_parent(image, sector);
        }
        return;
    }
    if (!image.has_header(79))
        return;
    Header header(head);
    image.info.version = number(header.version);
    if (header.version < 1 || header.version > 3) {
        image.find(ImageIssue::unsupported_version,
                   "VMDK version " + number(header.version) + " is not known");
        return;
    }
    const auto at_start = header;
    if (header.footer_follows())
        header = read_footer(image).value_or(at_start);
    describe_header(image, header);
    describe_descriptor(image, at_start);
    check_vmdk_parent(image, sector);
}

} // namespace storage::inline v1::image
