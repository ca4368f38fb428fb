// SPDX-License-Identifier: LGPL-2.1-or-later
// LUKS2: a binary header of 4096 bytes, then JSON text that says where the data is.
#include "image/luks2.hpp"
#include "image/json_scan.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

constexpr std::uint64_t binary_length = 4096;
constexpr std::uint64_t max_header_length = 4 << 20; // LUKS2 specification, 2.2
constexpr std::size_t max_json_length = 128
                                        << 10; // what a header with 32 key slots needs, and more

/** A run of encrypted data. No length: up to the end of the device. */
struct Segment {
    std::optional<std::uint64_t> offset{};
    std::optional<std::uint64_t> length{};
    bool dynamic{};
    bool backup{}; ///< what a reencryption in progress returns to
    std::string_view encryption{};
};

/** What the JSON area says, as far as it is wanted. Views into the JSON text. */
struct Metadata {
    std::optional<Segment> first{}; ///< the data segment with the lowest offset
    std::uint64_t total{};          ///< of all data segments
    bool dynamic{};                 ///< one of them reaches to the end
    std::uint64_t key_bytes{};
    std::string_view hash{};
    std::vector<std::string_view> requirements{};
};

Segment scan_segment(JsonScan& json)
{
    Segment segment;
    json.object([&](std::string_view key) {
        if (key == "offset") {
            segment.offset = json.integer();
        } else if (key == "size") {
            const auto size = json.string();
            segment.dynamic = size == "dynamic";
            if (size && !segment.dynamic)
                segment.length = to_integer(*size);
        } else if (key == "encryption") {
            segment.encryption = json.string().value_or(std::string_view{});
        } else if (key == "flags") {
            json.array([&] {
                if (json.string().value_or(std::string_view{}).starts_with("backup"))
                    segment.backup = true;
            });
        }
    });
    return segment;
}

void take_segment(Metadata& metadata, const Segment& segment)
{
    if (segment.backup || !segment.offset || (!segment.dynamic && !segment.length))
        return;
    metadata.dynamic |= segment.dynamic;
    metadata.total = add(metadata.total, segment.length.value_or(0));
    if (!metadata.first || *segment.offset < *metadata.first->offset)
        metadata.first = segment;
}

void scan_config(JsonScan& json, Metadata& metadata)
{
    constexpr std::size_t max_requirements = 16;
    json.object([&](std::string_view key) {
        if (key != "requirements")
            return;
        json.object([&](std::string_view kind) {
            if (kind != "mandatory")
                return;
            json.array([&] {
                const auto name = json.string();
                if (name && metadata.requirements.size() < max_requirements)
                    metadata.requirements.push_back(*name);
            });
        });
    });
}

bool scan_metadata(std::string_view text, Metadata& metadata)
{
    JsonScan json(text);
    const auto each_object = [&](auto&& member) {
        json.object([&](std::string_view) { json.object(member); });
    };
    json.object([&](std::string_view key) {
        if (key == "segments")
            json.object([&](std::string_view) { take_segment(metadata, scan_segment(json)); });
        else if (key == "keyslots")
            each_object([&](std::string_view name) {
                if (name == "key_size")
                    metadata.key_bytes = std::max(metadata.key_bytes, json.integer().value_or(0));
            });
        else if (key == "digests")
            each_object([&](std::string_view name) {
                if (name == "hash" && metadata.hash.empty())
                    metadata.hash = json.string().value_or(std::string_view{});
            });
        else if (key == "config")
            scan_config(json, metadata);
    });
    return json.ok();
}

void describe(Inspection& image, const Metadata& metadata)
{
    for (const auto requirement : metadata.requirements)
        image.find(ImageIssue::unsupported_version,
                   "the header requires '" + image.take_text("a requirement", requirement) +
                       "', which is not known");
    if (!metadata.first) {
        image.find(ImageIssue::malformed, "the header describes no data segment");
        return;
    }
    const auto cipher = image.take_text("the cipher", metadata.first->encryption);
    const auto dash = std::min(cipher.find('-'), cipher.size());
    auto encryption = cipher_of(std::string_view(cipher).substr(0, dash),
                                std::string_view(cipher).substr(std::min(dash + 1, cipher.size())),
                                metadata.key_bytes);
    encryption.format = "luks2";
    encryption.cipher->hash = image.take_text("the digest's hash", metadata.hash);
    image.info.encryption = std::move(encryption);

    const auto offset = *metadata.first->offset;
    set_payload(image, offset);
    if (offset != 0 && !metadata.dynamic &&
        image.within_file("the encrypted data", offset, metadata.total))
        image.info.virtual_size = metadata.total;
}

} // namespace

void inspect_luks2(Inspection& image)
{
    if (!image.has_header(binary_length))
        return;
    const Bytes head = image.source.head();
    image.info.uuid = image.take_text("the UUID", head.text(168, 40));
    const auto length = head.be64(8);
    // Sizes are powers of two from 16 KiB on; the specification lists them up to 4 MiB.
    if (!is_power_of_two(length) || length < 4 * binary_length || length > max_header_length) {
        image.find(ImageIssue::malformed,
                   "header size " + number(length) + " is not a power of two from 16 KiB to 4 MiB");
        return;
    }
    image.within_file("the JSON area", binary_length, length - binary_length);

    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(length - binary_length, max_json_length));
    std::vector<std::byte> buffer(
        std::min<std::uint64_t>(wanted, image.source.size() - binary_length));
    const auto text = image.source.read(binary_length, buffer).text();
    const auto end = text.find('\0');
    if (end == text.npos && length - binary_length > max_json_length)
        image.find(ImageIssue::limit_exceeded,
                   "the JSON text is longer than " + number(max_json_length) + " bytes");
    Metadata metadata;
    if (!scan_metadata(text.substr(0, end), metadata))
        image.find(ImageIssue::malformed, "the JSON area is not valid JSON");
    describe(image, metadata);
}

} // namespace storage::inline v1::image
