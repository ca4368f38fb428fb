// SPDX-License-Identifier: LGPL-2.1-or-later
// JSON text: quoting, and objects from parts.
#include "json.hpp"

#include <array>
#include <cstdio>

namespace command {

namespace {

/** The length of the UTF-8 sequence at the front (RFC 3629), 0 if there is none. */
std::size_t sequence_length(std::string_view text)
{
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const auto first = byte(0);
    if (first < 0x80)
        return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length)
        return 0;
    for (std::size_t index = 1; index < length; ++index)
        if ((byte(index) & 0xc0) != 0x80)
            return 0;
    const auto second = byte(1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : length;
}

} // namespace

std::string json_string(std::string_view text)
{
    std::string json = "\"";
    while (!text.empty()) {
        const auto length = sequence_length(text);
        const char c = text.front();
        if (length == 0) {
            json += "\xef\xbf\xbd";
        } else if (c == '"' || c == '\\') {
            json += '\\';
            json += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
            json += escape.data();
        } else {
            json += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return json + '"';
}

std::string json_array(const std::vector<std::string>& values)
{
    std::string json = "[";
    for (const auto& value : values)
        json += (json.size() > 1 ? ",\n " : "") + value;
    return json + ']';
}

std::string json_strings(const std::vector<std::string>& texts)
{
    std::vector<std::string> values;
    values.reserve(texts.size());
    for (const auto& text : texts)
        values.push_back(json_string(text));
    return json_array(values);
}

JsonObject& JsonObject::raw(std::string_view key, std::string_view json)
{
    if (!members_.empty())
        members_ += ", ";
    members_ += json_string(key) + ": ";
    members_ += json;
    return *this;
}

JsonObject& JsonObject::merge(std::string_view object)
{
    const auto first = object.find_first_not_of(" \n", object.find('{') + 1);
    const auto members = object.substr(first, object.rfind('}') - first);
    if (!members_.empty() && !members.empty())
        members_ += ", ";
    members_ += members;
    return *this;
}

} // namespace command
