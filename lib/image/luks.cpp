// SPDX-License-Identifier: LGPL-2.1-or-later
// LUKS: version 1 after the "LUKS On-Disk Format Specification" 1.2.3, version 2 after "LUKS2
// On-Disk Format Specification" 1.1.1 (both by the cryptsetup project).
#include "image/inspection.hpp"
#include "image/luks2.hpp"

namespace storage::inline v1::image {

Encryption cipher_of(std::string_view name, std::string_view mode, std::uint64_t key_bytes)
{
    Encryption::Cipher cipher{.name = std::string(name)};
    const auto dash = mode.find('-');
    cipher.mode = mode.substr(0, dash);
    // XTS uses two keys. libvirt and QEMU name the cipher by the length of one: aes-256.
    const auto bits = multiply(key_bytes, cipher.mode == "xts" ? 4 : 8);
    cipher.size = bits <= 4096 ? static_cast<std::uint32_t>(bits) : 0;
    Encryption encryption{};
    if (dash != mode.npos) {
        const auto iv = mode.substr(dash + 1);
        const auto colon = iv.find(':');
        Encryption::IvGen ivgen{.name = std::string(iv.substr(0, colon))};
        if (colon != iv.npos)
            ivgen.hash = iv.substr(colon + 1);
        encryption.ivgen = std::move(ivgen);
    }
    encryption.cipher = std::move(cipher);
    return encryption;
}

std::optional<Encryption> luks1_encryption(Inspection& image, Bytes header)
{
    if (header.size() < luks1_length || !header.matches(0, luks_magic) || header.be16(6) != 1) {
        image.find(ImageIssue::malformed, "no LUKS1 header where the image says that one is");
        return std::nullopt;
    }
    const auto name = image.take_text("the cipher name", header.text(8, 32));
    const auto mode = image.take_text("the cipher mode", header.text(40, 32));
    auto encryption = cipher_of(name, mode, header.be32(108));
    encryption.format = "luks";
    encryption.cipher->hash = image.take_text("the hash name", header.text(72, 32));
    if (name.empty() || mode.empty() || encryption.cipher->hash.empty())
        image.find(ImageIssue::malformed, "the LUKS1 header lacks a cipher, its mode or a hash");
    return encryption;
}

void set_payload(Inspection& image, std::uint64_t offset)
{
    image.info.payload_offset = offset;
    // Offset 0 is a detached header: the data is on another device, its size is not known here.
    if (offset != 0 && image.within_file("the encrypted data", offset, 0))
        image.set_virtual_size(image.source.size() - offset);
}

namespace {

constexpr std::uint64_t sector = 512;

/** A damaged slot may be the only one that somebody has the key to. */
void check_key_slots(Inspection& image, Bytes head, std::uint32_t key_bytes)
{
    constexpr std::uint32_t enabled = 0x00ac71f3;
    constexpr std::uint32_t disabled = 0x0000dead;
    constexpr std::uint32_t stripes = 4000;
    const auto payload = std::uint64_t{head.be32(104)} * sector; // 0: the header is detached
    for (std::uint64_t slot = 0; slot < 8; ++slot) {
        const auto at = 208 + 48 * slot;
        const auto title = "key slot " + number(slot);
        const auto state = head.be32(at);
        const auto material = std::uint64_t{head.be32(at + 40)} * sector;
        if (state != enabled && state != disabled)
            image.find(ImageIssue::malformed, title + " is neither enabled nor disabled");
        if (head.be32(at + 44) != stripes)
            image.find(ImageIssue::malformed,
                       title + " has " + number(head.be32(at + 44)) + " stripes instead of 4000");
        else if (payload != 0 && add(material, multiply(key_bytes, stripes)) > payload)
            image.find(ImageIssue::malformed,
                       title + " at offset " + number(material) + " reaches into the data");
    }
}

void inspect_luks1(Inspection& image)
{
    if (!image.has_header(luks1_length))
        return;
    const Bytes head = image.source.head();
    image.info.encryption = luks1_encryption(image, head.part(0, luks1_length));
    image.info.uuid = image.take_text("the UUID", head.text(168, 40));
    const auto key_bytes = head.be32(108);
    if (key_bytes == 0 || key_bytes > 512)
        image.find(ImageIssue::malformed,
                   "key length " + number(key_bytes) + " is not within 1 to 512");
    if (head.be32(164) == 0)
        image.find(ImageIssue::malformed, "the master key's digest has no iterations");
    check_key_slots(image, head, key_bytes);
    set_payload(image, std::uint64_t{head.be32(104)} * sector);
}

} // namespace

void inspect_luks(Inspection& image)
{
    image.info.encryption = Encryption{.format = "luks"};
    if (!image.has_header(8))
        return;
    const auto version = image.source.head().be16(6);
    image.info.version = number(version);
    if (version == 1) {
        inspect_luks1(image);
    } else if (version == 2) {
        image.info.encryption->format = "luks2";
        inspect_luks2(image);
    } else {
        image.find(ImageIssue::unsupported_version,
                   "LUKS version " + number(version) + " is not known");
    }
}

} // namespace storage::inline v1::image
