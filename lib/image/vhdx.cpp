// SPDX-License-Identifier: LGPL-2.1-or-later
// VHDX, after Microsoft's [MS-VHDX].
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t max_size = 64 * kib * kib * kib * kib;

/** GUIDs as they stand in the file: the first three groups are little-endian. */
using Guid = std::string_view;
using namespace std::string_view_literals;
constexpr Guid metadata_region =
    "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"sv;
constexpr Guid bat_region = "\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08"sv;
constexpr Guid file_parameters =
    "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"sv;
constexpr Guid disk_size = "\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8"sv;
constexpr Guid disk_id = "\xab\x12\xca\xbe\xe6\xb2\x23\x45\x93\xef\xc3\x09\xe0\x00\xc7\x46"sv;
constexpr Guid logical_sector =
    "\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f"sv;
constexpr Guid physical_sector =
    "\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56"sv;
constexpr Guid parent_locator =
    "\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c"sv;
constexpr Guid vhdx_parent = "\xb7\xef\x4a\xb0\x9e\xd1\x81\x4a\xb7\x89\x25\xb8\xe9\x44\x59\x13"sv;

constexpr auto crc_of_byte = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        auto crc = byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        table[byte] = crc;
    }
    return table;
}();

/** CRC-32C (Castagnoli), the checksum field itself counted as zero. */
std::uint32_t crc32c(Bytes data, std::uint64_t checksum_offset)
{
    std::uint32_t crc = 0xffffffff;
    for (std::uint64_t i = 0; i < data.size(); ++i) {
        const bool own = i >= checksum_offset && i < checksum_offset + 4;
        crc = crc >> 8 ^ crc_of_byte[(crc ^ (own ? 0U : data.u8(i))) & 0xff];
    }
    return ~crc;
}

/** A run of bytes of the file. */
struct Range {
    std::uint64_t offset{};
    std::uint32_t length{};
};

class Inspector {
public:
    explicit Inspector(Inspection& image) : image_(image) {}

    void run()
    {
        read_headers();
        read_regions();
        if (!metadata_)
            return image_.find(ImageIssue::malformed, "the file has no metadata region");
        read_metadata();
    }

private:
    void read_headers();
    void read_regions();
    bool read_region_table(std::uint64_t offset);
    void read_metadata();
    bool read_item(Bytes entry);
    void read_parent(Range item);

    void malformed(std::string message) { image_.find(ImageIssue::malformed, std::move(message)); }

    Inspection& image_;
    std::optional<Range> metadata_{};
    bool has_parent_ = false;
    bool has_size_ = false;
};

void Inspector::read_headers()
{
    std::optional<std::uint64_t> newest;
    bool dirty = false;
    for (const auto offset : {64 * kib, 128 * kib}) {
        const Bytes header = image_.source.view(offset, 4096);
        if (header.size() < 4096 || !header.matches(0, "head") ||
            crc32c(header, 4) != header.le32(4))
            continue;
        const auto sequence = header.le64(8);
        if (newest && sequence < *newest)
            continue;
        newest = sequence;
        dirty = !uuid_text(header.part(48, 16), true).empty();
        image_.info.version = number(header.le16(66));
    }
    if (!newest)
        malformed("neither of the two headers is valid");
    else if (image_.info.version != "1")
        image_.find(ImageIssue::unsupported_version,
                    "VHDX version " + image_.info.version + " is not known");
    if (dirty)
        image_.find(ImageIssue::marked_dirty, "the log has changes that were not replayed");
}

void Inspector::read_regions()
{
    // The second copy serves where the first is damaged.
    if (!read_region_table(192 * kib) && !read_region_table(256 * kib))
        malformed("neither of the two region tables is valid");
}

bool Inspector::read_region_table(std::uint64_t offset)
{
    constexpr std::uint32_t max_entries = 2047;
    constexpr std::size_t length = 64 * kib;
    std::vector<std::byte> buffer(length);
    const Bytes table = image_.source.read(offset, buffer);
    const auto count = table.le32(8);
    if (table.size() < length || !table.matches(0, "regi") || count > max_entries ||
        crc32c(table, 4) != table.le32(4))
        return false;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Bytes entry = table.part(16 + 32 * std::uint64_t{i}, 32);
        const Range range{entry.le64(16), entry.le32(24)};
        const bool is_metadata = entry.matches(0, metadata_region);
        if (is_metadata)
            metadata_ = range;
        else if (!entry.matches(0, bat_region) && (entry.le32(28) & 1) != 0)
            image_.find(ImageIssue::unsupported_version,
                        "required region " + uuid_text(entry.part(0, 16), true) + " is not known");
        image_.within_file(is_metadata ? "the metadata region" : "a region", range.offset,
                           range.length);
    }
    return true;
}

void Inspector::read_metadata()
{
    constexpr std::uint32_t max_entries = 2047;
    const Bytes start = image_.source.view(metadata_->offset, 32);
    if (!start.matches(0, "metadata"))
        return malformed("no metadata table at offset " + number(metadata_->offset));
    const auto count = start.le16(10);
    if (count > max_entries)
        return malformed("the metadata table claims " + number(count) + " entries of at most 2047");
    for (std::uint32_t i = 0; i < count; ++i) {
        std::array<std::byte, 32> copy; // items are read through the same window
        const auto offset = add(metadata_->offset, 32 + 32 * std::uint64_t{i});
        const Bytes entry = image_.source.view(offset, copy.size());
        if (entry.size() < copy.size())
            break;
        std::copy(entry.span().begin(), entry.span().end(), copy.begin());
        if (!read_item(Bytes(copy)))
            image_.find(ImageIssue::unsupported_version,
                        "required metadata item " + uuid_text(Bytes(copy).part(0, 16), true) +
                            " is not known");
    }
    if (!has_size_)
        malformed("the metadata has no virtual disk size");
    if (has_parent_ && !image_.info.backing)
        malformed("the image has a parent, but no parent locator");
}

bool Inspector::read_item(Bytes entry)
{
    const auto relative = entry.le32(16);
    const auto length = entry.le32(20);
    const bool required = (entry.le32(24) & 4) != 0;
    if (add(relative, length) > metadata_->length) {
        malformed("metadata item " + uuid_text(entry.part(0, 16), true) +
                  " lies beyond its region");
        return true;
    }
    const auto offset = add(metadata_->offset, relative);
    auto& info = image_.info;
    if (entry.matches(0, file_parameters)) {
        const Bytes item = image_.source.view(offset, 8);
        const auto block_size = item.le32(0);
        if (!is_power_of_two(block_size) || block_size < kib * kib || block_size > 256 * kib * kib)
            malformed("block size " + number(block_size) +
                      " is not a power of two from 1 to 256 MiB");
        else
            info.cluster_size = block_size;
        has_parent_ = (item.le32(4) & 2) != 0;
        info.variant = has_parent_ ? "differencing" : (item.le32(4) & 1) != 0 ? "fixed" : "dynamic";
    } else if (entry.matches(0, disk_size)) {
        has_size_ = true;
        image_.set_virtual_size(image_.source.view(offset, 8).le64(0), max_size);
    } else if (entry.matches(0, disk_id)) {
        info.uuid = uuid_text(image_.source.view(offset, 16), true);
    } else if (entry.matches(0, parent_locator)) {
        read_parent({offset, length});
    } else if (entry.matches(0, logical_sector) || entry.matches(0, physical_sector)) {
        const auto size = image_.source.view(offset, 4).le32(0);
        if (size != 512 && size != 4096)
            malformed("sector size " + number(size) + " is neither 512 nor 4096");
    } else {
        return !required;
    }
    return true;
}

void Inspector::read_parent(Range item)
{
    constexpr std::uint32_t max_pairs = 16;       // five keys are defined
    constexpr std::uint32_t max_length = 2 * kib; // of a key or value, in bytes
    const Bytes start = image_.source.view(item.offset, 20);
    ImageReference parent;
    if (start.matches(0, vhdx_parent)) {
        parent.format = "vhdx";
        parent.format_declared = true;
    }
    const std::uint32_t count = std::min<std::uint32_t>(start.le16(18), max_pairs);
    int best = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Bytes pair = image_.source.view(add(item.offset, 20 + 12 * std::uint64_t{i}), 12);
        const Range key{pair.le32(0), pair.le16(8)};
        const Range value{pair.le32(4), pair.le16(10)};
        if (add(key.offset, key.length) > item.length ||
            add(value.offset, value.length) > item.length || key.length > max_length ||
            value.length > max_length) {
            malformed("an entry of the parent locator lies beyond it or is too long");
            continue;
        }
        const auto text = [&](Range range) {
            return utf16_text(image_.source.view(add(item.offset, range.offset), range.length),
                              false);
        };
        const auto name = text(key);
        // The order in which a program has to try them.
        const int worth = name == "relative_path" ? 3
                          : name == "volume_path" ? 2
                                                  : name == "absolute_win32_path";
        if (worth > best) {
            best = worth;
            parent.path = image_.take_text("the parent's path", text(value));
        } else if (name == "parent_linkage") {
            parent.uuid = image_.take_text("the parent's identity", text(value));
        }
    }
    image_.info.backing = std::move(parent);
}

} // namespace

void inspect_vhdx(Inspection& image)
{
    Inspector(image).run();
}

} // namespace storage::inline v1::image
