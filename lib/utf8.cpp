// SPDX-License-Identifier: LGPL-2.1-or-later
#include "utf8.hpp"

namespace storage::inline v1 {

Utf8Character decode_utf8(std::string_view text)
{
    const auto byte = [&](std::size_t index) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[index]));
    };
    const auto first = byte(0);
    if (first < 0x80)
        return {first, 1};

    // C0 and C1 would be overlong, F5 and above out of range.
    std::size_t length{};
    std::uint32_t value{};
    std::uint32_t least{};
    if (first >= 0xC2 && first <= 0xDF) {
        length = 2, value = first & 0x1F, least = 0x80;
    } else if (first >= 0xE0 && first <= 0xEF) {
        length = 3, value = first & 0x0F, least = 0x800;
    } else if (first >= 0xF0 && first <= 0xF4) {
        length = 4, value = first & 0x07, least = 0x10000;
    }
    if (length == 0 || text.size() < length)
        return {};
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80)
            return {};
        value = (value << 6) | (byte(i) & 0x3F);
    }
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (value < least || value > 0x10FFFF || surrogate)
        return {};
    return {value, length};
}

bool is_utf8_string(std::string_view bytes) noexcept
{
    while (!bytes.empty()) {
        const auto [value, length] = decode_utf8(bytes);
        if (length == 0 || value == 0)
            return false;
        bytes.remove_prefix(length);
    }
    return true;
}

bool is_plain_text(std::string_view text) noexcept
{
    while (!text.empty()) {
        const auto [value, length] = decode_utf8(text);
        if (length == 0 || !is_xml_character(value) || value < 0x20 ||
            (value >= 0x7F && value < 0xA0))
            return false;
        text.remove_prefix(length);
    }
    return true;
}

} // namespace storage::inline v1
