// SPDX-License-Identifier: LGPL-2.1-or-later
// Whole numbers out of text: all of the text or nothing, with overflow checks.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace storage::inline v1 {

/** The text without the white space of XML at both ends. */
constexpr std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = text.find_first_not_of(blanks);
    if (first == text.npos)
        return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/** Reads a whole number; nothing when the text is anything else or the number does not fit. */
template <typename Integer>
std::optional<Integer> to_integer(std::string_view text, int base = 10)
{
    text = trimmed(text);
    if (text.starts_with('+') && text.size() > 1 && text[1] != '-')
        text.remove_prefix(1);
    Integer value{};
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc{} || rest != end || text.empty())
        return std::nullopt;
    return value;
}

} // namespace storage::inline v1
