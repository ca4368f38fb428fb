// SPDX-License-Identifier: LGPL-2.1-or-later
// UTF-8 decoding, one character at a time, strict as RFC 3629.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace storage::inline v1 {

/** One decoded character; length 0 means that the bytes are not UTF-8. */
struct Utf8Character {
    std::uint32_t value{};
    std::size_t length{};
};

/** Decodes the character at the start of a text that is not empty. */
Utf8Character decode_utf8(std::string_view text);

/** Whether it is UTF-8 that a C string can hold: without zero bytes. */
bool is_utf8_string(std::string_view bytes) noexcept;

/** Whether it is UTF-8 that XML can hold, without control characters. */
bool is_plain_text(std::string_view text) noexcept;

/** Whether XML 1.0 can hold the character, as itself or by number (section 2.2, Char). */
constexpr bool is_xml_character(std::uint32_t value)
{
    if (value < 0x20)
        return value == '\t' || value == '\n' || value == '\r';
    return value < 0xD800 || (value > 0xDFFF && value < 0xFFFE) ||
           (value > 0xFFFF && value <= 0x10FFFF);
}

} // namespace storage::inline v1
