// SPDX-License-Identifier: LGPL-2.1-or-later
// LUKS: version 1 after the "LUKS On-Disk Format Specification" 1.2.3, version 2 after "LUKS2
// On-Disk Format Specification" 1.1.1 (both by the cryptsetup project).
#include "image/inspection.hpp"
#include "image/luks2.hpp"

#include <algorithm>
#include <array>

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

namespace {

constexpr std::size_t word_length = 32;

/** Those of QEMU and those of cryptsetup's libraries, which have more. */
bool is_known_hash(std::string_view name)
{
    constexpr std::string_view names[] = {
        "md5",         "sha1",        "sha224",      "sha256",      "sha384",      "sha512",
        "ripemd160",   "rmd160",      "whirlpool",   "tiger",       "sm3",         "sha512-224",
        "sha512-256",  "sha3-224",    "sha3-256",    "sha3-384",    "sha3-512",    "shake128",
        "shake256",    "blake2b-160", "blake2b-256", "blake2b-384", "blake2b-512", "blake2s-128",
        "blake2s-160", "blake2s-224", "blake2s-256", "stribog256",  "stribog512",  "gostr3411"};
    const auto same = [name](std::string_view known) {
        return std::equal(name.begin(), name.end(), known.begin(), known.end(), [](char a, char b) {
            return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
        });
    };
    return std::any_of(std::begin(names), std::end(names), same);
}

} // namespace

std::optional<Encryption> luks1_encryption(Inspection& image, Bytes header)
{
    if (header.size() < luks1_length || !header.matches(0, luks_magic) || header.be16(6) != 1) {
        image.find(ImageIssue::malformed, "no LUKS1 header where the image says that one is");
        return std::nullopt;
    }
    const auto word = [&](const std::string& what, std::uint64_t offset) {
        const auto text = header.text(offset, word_length);
        if (text.size() == word_length)
            image.find(ImageIssue::malformed, what + " does not end");
        return image.take_text(what, text);
    };
    const auto name = word("the cipher name", 8);
    const auto mode = word("the cipher mode", 40);
    auto encryption = cipher_of(name, mode, header.be32(108));
    encryption.format = "luks";
    encryption.cipher->hash = word("the hash name", 72);
    if (name.empty() || mode.empty() || encryption.cipher->hash.empty())
        image.find(ImageIssue::malformed, "the LUKS1 header lacks a cipher, its mode or a hash");
    else if (!is_known_hash(encryption.cipher->hash))
        image.find(ImageIssue::unsupported_version,
                   "hash '" + encryption.cipher->hash + "' is not known");
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
    constexpr std::uint64_t first_slot = 4096;
    const auto payload = std::uint64_t{head.be32(104)} * sector; // 0: the header is detached
    const auto length = multiply(key_bytes, stripes);
    std::array<std::uint64_t, 8> begins{};
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
        else if (payload != 0 && add(material, length) > payload)
            image.find(ImageIssue::malformed,
                       title + " at offset " + number(material) + " reaches into the data");
        else if (material < first_slot)
            image.find(ImageIssue::malformed,
                       title + " at offset " + number(material) + " lies in the header");
        begins[slot] = material;
    }
    std::sort(begins.begin(), begins.end());
    for (std::size_t i = 1; i < begins.size(); ++i)
        if (begins[i] - begins[i - 1] < length)
            image.find(ImageIssue::malformed, "the key slots at offsets " + number(begins[i - 1]) +
                                                  " and " + number(begins[i]) + " overlap");
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
