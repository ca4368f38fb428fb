// SPDX-License-Identifier: LGPL-2.1-or-later
#include "names.hpp"

#include "numbers.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <arpa/inet.h>

namespace storage::inline v1 {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

std::string text_problem(std::string_view name, std::size_t limit)
{
    if (name.empty())
        return "is empty";
    if (const auto found = control_character(name))
        return "contains the control character " + *found;
    if (!is_plain_text(name))
        return "is not text in UTF-8";
    if (name.size() > limit)
        return "is " + std::to_string(name.size()) + " bytes long (at most " +
               std::to_string(limit) + ")";
    return {};
}

std::string file_name_problem(std::string_view name, std::size_t limit)
{
    if (name == "." || name == "..")
        return "is a directory's own name";
    if (name.find('/') != name.npos)
        return "contains '/'";
    return text_problem(name, limit);
}

} // namespace

std::string shown(std::string_view value)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    constexpr std::size_t limit = 100;
    std::string result = "'";
    std::size_t at = 0;
    while (at < value.size() && at < limit) {
        const auto length = decode_utf8(value.substr(at)).length;
        const auto character = value.substr(at, std::max<std::size_t>(length, 1));
        const auto byte = static_cast<unsigned char>(character.front());
        if (is_plain_text(character))
            result += character;
        else if (length <= 1)
            result += std::string("\\x") + digits[byte >> 4] + digits[byte & 0xF];
        else
            result += "\xEF\xBF\xBD"; // U+FFFD
        at += character.size();
    }
    return result + (at < value.size() ? "...'" : "'");
}

std::string pool_name_problem(std::string_view name)
{
    return file_name_problem(name, file_name_limit - std::string_view(".xml").size());
}

std::string volume_name_problem(std::string_view name)
{
    return file_name_problem(name, file_name_limit);
}

std::string snapshot_name_problem(std::string_view name)
{
    constexpr std::size_t limit = 255; // of qcow2, as qemu-img has it
    return text_problem(name, limit);
}

std::optional<std::string> control_character(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
        const auto value = static_cast<unsigned char>(c);
        if (value < 0x20 || value == 0x7F)
            return std::string("U+00") + digits[value >> 4] + digits[value & 0xF];
    }
    return std::nullopt;
}

std::optional<std::string> canonical_uuid(std::string_view text)
{
    text = trimmed(text);
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '-' && at > 0) {
            ++at;
            continue;
        }
        const auto byte = text.substr(at, 2);
        if (byte.size() != 2 || byte.find_first_not_of(hex_digits) != byte.npos)
            return std::nullopt;
        if (result.size() == 8 || result.size() == 13 || result.size() == 18 || result.size() == 23)
            result += '-';
        for (const char c : byte)
            result += c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        at += 2;
        if (result.size() > 36)
            return std::nullopt;
    }
    return result.size() == 36 && !text.ends_with('-') ? std::optional(result) : std::nullopt;
}

std::string sanitized_path(std::string_view path)
{
    const auto scheme = path.find("://");
    if (scheme != path.npos && scheme > 0 && path.find('/') > scheme)
        return std::string(path);

    std::string result;
    if (path.starts_with("//") && !path.starts_with("///"))
        result = "/";
    bool after_slash = false;
    for (const char c : path) {
        if (c != '/' || !after_slash)
            result += c;
        after_slash = c == '/';
    }
    if (after_slash && result.size() > 1 && result != "//")
        result.pop_back();
    return result;
}

bool is_iqn(std::string_view text)
{
    if (!text.starts_with("iqn.") || text.size() < 13)
        return false;
    const auto year = text.substr(4, 4);
    const auto month = to_integer<unsigned>(text.substr(9, 2));
    auto domain = text.substr(12);
    domain = domain.substr(0, domain.find(':'));
    return year.find_first_not_of("0123456789") == year.npos && text[8] == '-' && month &&
           *month >= 1 && *month <= 12 && text[11] == '.' && !domain.empty() &&
           domain.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789.-") == domain.npos;
}

bool is_generic_name(std::string_view text)
{
    return !text.empty() &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_+-") == text.npos;
}

bool is_host_name(std::string_view text)
{
    constexpr std::string_view dns = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789.-";
    if (text.empty() || text.find_first_not_of(dns) == text.npos)
        return !text.empty();
    in6_addr address{};
    const std::string name(text.substr(0, text.find('%'))); // fe80::1%eth0
    return inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

bool is_wwn(std::string_view text)
{
    if (text.starts_with("0x"))
        text.remove_prefix(2);
    return text.size() == 16 && text.find_first_not_of(hex_digits) == text.npos;
}

} // namespace storage::inline v1
