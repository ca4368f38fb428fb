// SPDX-License-Identifier: LGPL-2.1-or-later
#include "boundary.hpp"

#include <array>
#include <cstdio>

namespace storage::capi {

void reject_unknown_flags(std::uint32_t flags, std::uint32_t known)
{
    const std::uint32_t unknown = flags & ~known;
    if (unknown == 0)
        return;
    std::string bits;
    for (unsigned bit = 0; bit < 32; ++bit)
        if ((unknown >> bit & 1) != 0)
            bits += (bits.empty() ? "" : ", ") + std::string("1 << ") + std::to_string(bit);
    throw Error(ErrorCode::invalid_argument, "flags: this function does not know " + bits,
                "leave the bit out; basin.h lists the flags of each function");
}

Error callback_error(std::int64_t code, const std::string& what)
{
    const bool known = code >= BASIN_E_INTERNAL && code < BASIN_OK;
    return Error(known ? static_cast<ErrorCode>(code) : ErrorCode::internal,
                 what + ": the application's callback answered with code " + std::to_string(code));
}

namespace {

/** The length of the well-formed UTF-8 sequence at the front of a text, or 0 (RFC 3629, 4). */
std::size_t sequence_length(std::string_view text)
{
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const auto first = byte(0);
    const std::size_t length = first < 0x80                    ? 1
                               : first >= 0xc2 && first < 0xe0 ? 2
                               : first >= 0xe0 && first < 0xf0 ? 3
                               : first >= 0xf0 && first < 0xf5 ? 4
                                                               : 0;
    if (length == 0 || length > text.size())
        return 0;
    for (std::size_t index = 1; index < length; ++index)
        if ((byte(index) & 0xc0) != 0x80)
            return 0;
    const auto second = length > 1 ? byte(1) : 0;
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : length;
}

} // namespace

std::string json_text(std::string_view text)
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
        } else if (static_cast<unsigned char>(c) < 0x20) {
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

void* allocate(std::size_t size)
{
    void* const memory = std::malloc(size);
    if (!memory)
        throw std::bad_alloc();
    return memory;
}

char* copy_text(std::string_view text)
{
    char* const copy = static_cast<char*>(allocate(text.size() + 1));
    text.copy(copy, text.size());
    copy[text.size()] = '\0';
    return copy;
}

char** copy_texts(const std::vector<std::string>& texts)
{
    std::size_t size = (texts.size() + 1) * sizeof(char*);
    for (const auto& text : texts)
        size += text.size() + 1;
    char** const list = static_cast<char**>(allocate(size));
    char* next = reinterpret_cast<char*>(list + texts.size() + 1);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        list[i] = next;
        std::memcpy(next, texts[i].c_str(), texts[i].size() + 1);
        next += texts[i].size() + 1;
    }
    list[texts.size()] = nullptr;
    return list;
}

} // namespace storage::capi
