// SPDX-License-Identifier: LGPL-2.1-or-later
// qcow2, versions 2 and 3, after QEMU's docs/interop/qcow2.
#include "image/inspection.hpp"
#include "image/qcow2_layout.hpp"
#include "utf8.hpp"

#include <algorithm>

namespace storage::inline v1::image {

using namespace qcow2;

namespace {

constexpr std::uint32_t feature_names_extension = 0x6803f857;
constexpr std::uint32_t encryption_extension = 0x0537be77;

constexpr std::uint64_t least_snapshot_length = 40; // fixed part of a snapshot table entry

/** What the header extensions say. */
struct Extensions {
    std::optional<std::string> backing_format{};
    std::optional<std::string> data_file{};
    std::string unknown_feature{}; ///< the name table's word for an incompatible bit not known here
    bool bitmaps{};
    std::uint64_t encryption_offset{};
    std::uint64_t encryption_length{};
};

class Inspector {
public:
    explicit Inspector(Inspection& image) : image_(image), header_(image.source.head()) {}

    void run()
    {
        if (!check_fixed_part())
            return;
        read_extensions();
        describe_features();
        describe_size();
        describe_references();
        describe_encryption();
        check_tables();
    }

private:
    bool check_fixed_part();
    void read_extensions();
    void read_extension(std::uint32_t type, std::uint64_t offset, std::uint32_t length);
    void read_feature_names(std::uint64_t offset, std::uint32_t length);
    void describe_features();
    void describe_compression();
    void describe_size();
    void describe_references();
    void describe_encryption();
    void check_tables();
    void check_snapshots();
    void check_table(std::string_view what, std::uint64_t offset, std::uint64_t length);

    void malformed(std::string message) { image_.find(ImageIssue::malformed, std::move(message)); }

    Inspection& image_;
    Header header_;
    Extensions extensions_{};
};

bool Inspector::check_fixed_part()
{
    if (!image_.has_header(header_.version == 3 ? v3_least_header_length : v2_header_length))
        return false;
    if (header_.version == 3 &&
        (header_.length < v3_least_header_length || header_.length % 8 != 0 ||
         header_.length > ImageSource::head_length)) {
        malformed("header length " + number(header_.length) +
                  " is not a multiple of 8 from 104 to 4096");
        header_.length = v3_least_header_length;
        header_.compression = 0;
    }
    // The format allows more than 2 MiB, but no program opens it, and 1 << 63 must not happen.
    if (header_.cluster_bits < 9 || header_.cluster_bits > 21) {
        malformed("cluster_bits " + number(header_.cluster_bits) + " is not within 9 to 21");
        return false;
    }
    return true;
}

void Inspector::read_extensions()
{
    auto end = header_.cluster_size();
    if (header_.backing_offset != 0) // as QEMU has it, also where the name has no bytes
        end = std::min(end, header_.backing_offset);
    end = std::min(end, image_.source.size());
    for (std::uint64_t offset = header_.length; add(offset, 8) <= end;) {
        const Bytes start = image_.source.view(offset, 8);
        const auto type = start.be32(0);
        const auto length = start.be32(4);
        if (type == 0 || start.size() < 8)
            return;
        offset += 8;
        if (length > end - offset) {
            malformed("header extension at offset " + number(offset - 8) + " claims " +
                      number(length) + " bytes, more than the header's cluster has");
            return;
        }
        read_extension(type, offset, length);
        offset += (std::uint64_t{length} + 7) & ~std::uint64_t{7};
    }
}

void Inspector::read_extension(std::uint32_t type, std::uint64_t offset, std::uint32_t length)
{
    constexpr std::uint32_t max_path = 1023;
    if (type == backing_format_extension) {
        extensions_.backing_format =
            image_.text_at("the backing format name", offset, length, max_path);
    } else if (type == data_file_extension) {
        if (extensions_.data_file)
            malformed("there are several data file names");
        extensions_.data_file = image_.text_at("the data file name", offset, length, max_path);
        if (length == 0)
            malformed("the data file name is empty");
    } else if (type == feature_names_extension) {
        read_feature_names(offset, length);
    } else if (type == bitmaps_extension) {
        extensions_.bitmaps = true;
        const Bytes data = image_.source.view(offset, std::min(length, 24U));
        check_table("the bitmap directory", data.be64(16), data.be64(8));
    } else if (type == encryption_extension && length >= 16) {
        const Bytes data = image_.source.view(offset, 16);
        extensions_.encryption_offset = data.be64(0);
        extensions_.encryption_length = data.be64(8);
    }
}

void Inspector::read_feature_names(std::uint64_t offset, std::uint32_t length)
{
    constexpr std::uint32_t entry_length = 48;
    constexpr std::uint32_t max_entries = 3 * 64;
    const auto unknown = header_.incompatible & ~known_incompatible_bits;
    if (unknown == 0)
        return;
    for (std::uint32_t i = 0; i < std::min(length / entry_length, max_entries); ++i) {
        const Bytes entry = image_.source.view(offset + i * entry_length, entry_length);
        const unsigned bit = entry.u8(1);
        const auto name = entry.text(2, entry_length - 2);
        if (entry.u8(0) == 0 && bit < 64 && (unknown >> bit & 1) != 0 && is_plain_text(name))
            extensions_.unknown_feature += " '" + std::string(name) + "'";
    }
}

void Inspector::describe_features()
{
    auto& info = image_.info;
    info.compat = header_.version == 2 ? "0.10" : "1.1";
    if (header_.compatible & 1)
        info.features.emplace_back("lazy_refcounts");
    if (header_.has(extended_l2_bit)) {
        info.features.emplace_back("extended_l2");
        if (header_.cluster_bits < 14)
            malformed("extended L2 entries need clusters of 16 KiB, cluster_bits is " +
                      number(header_.cluster_bits));
    }
    if (header_.has(data_file_bit))
        info.features.emplace_back("data_file");
    if (header_.has(dirty_bit))
        image_.find(ImageIssue::marked_dirty,
                    "the dirty bit is set: reference counts may be wrong");
    if (header_.has(corrupt_bit))
        image_.find(ImageIssue::marked_corrupt, "the corrupt bit is set: must not be written to");
    if (const auto unknown = header_.incompatible & ~known_incompatible_bits; unknown != 0)
        image_.find(ImageIssue::unsupported_version, "incompatible features not known: bits " +
                                                         number(unknown) +
                                                         extensions_.unknown_feature);
    if ((header_.autoclear & 1) != 0 && !extensions_.bitmaps)
        malformed("the bitmaps bit is set without a bitmaps extension");
    if ((header_.autoclear & raw_data_bit) != 0 && !header_.has(data_file_bit))
        malformed("the raw external data bit is set without an external data file");
    if (header_.refcount_order > 6)
        malformed("refcount_order " + number(header_.refcount_order) + " is more than 6");
    else
        info.refcount_bits = 1U << header_.refcount_order;
    describe_compression();
}

void Inspector::describe_compression()
{
    if (header_.has(compression_bit) != (header_.compression != 0))
        malformed("compression type " + number(header_.compression) +
                  " disagrees with the compression type bit");
    if (header_.compression > 1)
        image_.find(ImageIssue::unsupported_version,
                    "compression type " + number(header_.compression) + " is not known");
    else
        image_.info.compression = header_.compression == 0 ? "zlib" : "zstd";
}

void Inspector::describe_size()
{
    auto& info = image_.info;
    info.cluster_size = header_.cluster_size();
    const std::uint64_t entry_length = header_.has(extended_l2_bit) ? 16 : 8;
    const auto table_reach = header_.cluster_size() / entry_length * header_.cluster_size();
    // QEMU reads L1 tables of at most 32 MiB; beyond their reach no guest data can be.
    constexpr std::uint64_t max_l1_entries = (32U << 20) / 8;
    image_.set_virtual_size(
        header_.size, std::min(image_.max_virtual_size, multiply(table_reach, max_l1_entries)));
    if (info.virtual_size != 0 && header_.l1_size < divide_up(header_.size, table_reach))
        malformed("the L1 table has " + number(header_.l1_size) +
                  " entries, the virtual size needs " +
                  number(divide_up(header_.size, table_reach)));
}

void Inspector::describe_references()
{
    constexpr std::uint32_t max_backing_length = 1023;
    auto& info = image_.info;
    if (add(header_.backing_offset, header_.backing_length) > header_.cluster_size())
        malformed("the backing file name at offset " + number(header_.backing_offset) +
                  " is not within the first cluster");
    if (header_.backing_offset != 0 && header_.backing_length != 0) {
        info.backing = image_.reference("the backing file name", header_.backing_offset,
                                        header_.backing_length, max_backing_length);
        if (extensions_.backing_format && !extensions_.backing_format->empty()) {
            info.backing->format = *extensions_.backing_format;
            info.backing->format_declared = true;
        }
        if (header_.autoclear & 2)
            malformed("a raw external data file and a backing file exclude each other");
    }
    // The name is optional; without the bit it means nothing. The content is raw by definition.
    if (header_.has(data_file_bit) && extensions_.data_file)
        info.data_file = ImageReference{
            .path = *extensions_.data_file, .format = "raw", .format_declared = true};
    info.data_file_raw = info.data_file && (header_.autoclear & raw_data_bit) != 0;
}

void Inspector::describe_encryption()
{
    auto& info = image_.info;
    if (header_.crypt_method == 1) {
        info.encryption = Encryption{.format = "qcow"};
    } else if (header_.crypt_method == 2) {
        info.encryption = Encryption{.format = "luks"};
        const auto offset = extensions_.encryption_offset;
        const auto length = extensions_.encryption_length;
        if (offset == 0)
            malformed("LUKS encryption without the encryption header extension");
        else if (image_.within_file("the encryption header", offset, length))
            if (auto found = luks1_encryption(image_, image_.source.view(offset, luks1_length)))
                info.encryption = std::move(found);
    } else if (header_.crypt_method != 0) {
        image_.find(ImageIssue::unsupported_version,
                    "encryption method " + number(header_.crypt_method) + " is not known");
    }
}

void Inspector::check_table(std::string_view what, std::uint64_t offset, std::uint64_t length)
{
    if (offset % header_.cluster_size() != 0)
        malformed(std::string(what) + " at offset " + number(offset) +
                  " is not aligned to a cluster");
    if (length != 0)
        image_.within_file(what, offset, length);
}

void Inspector::check_tables()
{
    constexpr std::uint32_t max_snapshots = 65536; // QEMU's limit
    check_table("the L1 table", header_.l1_offset, multiply(header_.l1_size, 8));
    if (header_.refcount_clusters == 0)
        malformed("the image has no refcount table");
    check_table("the refcount table", header_.refcount_offset,
                multiply(header_.refcount_clusters, header_.cluster_size()));
    if (header_.snapshots > max_snapshots)
        malformed("snapshot count " + number(header_.snapshots) + " is more than 65536");
    else
        image_.info.snapshot_count = header_.snapshots;
    check_table("the snapshot table", header_.snapshots_offset,
                multiply(image_.info.snapshot_count, least_snapshot_length));
    check_snapshots();
}

/** What is needed to go back to one. More than a few are not looked at: each may cost a read. */
void Inspector::check_snapshots()
{
    constexpr std::uint32_t max_checked = 100;
    constexpr std::uint32_t max_extra_length = 1024; // QEMU's limit
    auto offset = header_.snapshots_offset;
    for (std::uint32_t i = 0; i < std::min(image_.info.snapshot_count, max_checked); ++i) {
        const auto title = "snapshot " + number(i);
        if (!image_.within_file(title, offset, least_snapshot_length))
            return;
        const Bytes entry = image_.source.view(offset, least_snapshot_length);
        const auto entries = entry.be32(8);
        const auto extra_length = entry.be32(36);
        if (extra_length > max_extra_length) {
            malformed(title + " has " + number(extra_length) + " bytes of extra data, more than " +
                      number(max_extra_length));
            return;
        }
        if (entries > max_l1_entries)
            malformed("the L1 table of " + title + " has " + number(entries) +
                      " entries, more than " + number(max_l1_entries));
        else
            check_table("the L1 table of " + title, entry.be64(0), multiply(entries, entry_size));
        const std::uint64_t length =
            least_snapshot_length + extra_length + entry.be16(12) + entry.be16(14);
        offset = add(offset, divide_up(length, 8) * 8);
    }
}

} // namespace

void inspect_qcow2(Inspection& image)
{
    const Bytes head = image.source.head();
    if (!image.has_header(8))
        return;
    const auto version = head.be32(4);
    if (version == 1) {
        inspect_qcow(image);
        return;
    }
    image.info.version = number(version);
    if (version == 2 || version == 3)
        Inspector(image).run();
    else
        image.find(ImageIssue::unsupported_version,
                   "qcow version " + number(version) + " is not known");
}

} // namespace storage::inline v1::image
