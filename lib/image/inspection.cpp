// SPDX-License-Identifier: LGPL-2.1-or-later
#include "image/inspection.hpp"
#include "utf8.hpp"

namespace storage::inline v1::image {

namespace {

// One hostile image must not fill memory with what is wrong with it.
constexpr std::size_t max_findings = 64;

} // namespace

void Inspection::find(ImageIssue issue, std::string message)
{
    if (info.findings.size() < max_findings)
        info.findings.push_back({issue, std::move(message)});
}

bool Inspection::within_file(std::string_view what, std::uint64_t offset, std::uint64_t length)
{
    if (add(offset, length) <= source.size())
        return true;
    find(ImageIssue::truncated, std::string(what) + " at offset " + number(offset) + ", " +
                                    number(length) + " bytes, lies beyond the end of the file at " +
                                    number(source.size()));
    return false;
}

bool Inspection::has_header(std::uint64_t length)
{
    if (source.head().has(0, length))
        return true;
    find(ImageIssue::truncated, "the header needs " + number(length) + " bytes, the file has " +
                                    number(source.head().size()));
    return false;
}

void Inspection::set_virtual_size(std::uint64_t bytes, std::uint64_t limit)
{
    if (bytes <= limit)
        info.virtual_size = bytes;
    else
        find(ImageIssue::malformed,
             "virtual size " + (bytes == UINT64_MAX ? "of 2^64 - 1 or more" : number(bytes)) +
                 " is more than this image can hold (" + number(limit) + ")");
}

std::string Inspection::take_text(std::string_view what, std::string_view text)
{
    constexpr std::size_t max_length = 4095; // PATH_MAX; nothing else comes near it
    if (text.size() > max_length)
        find(ImageIssue::malformed,
             std::string(what) + " is " + number(text.size()) + " bytes long");
    else if (!is_plain_text(text))
        find(ImageIssue::malformed,
             std::string(what) + " is not valid UTF-8 or has control characters");
    else
        return std::string(text);
    return {};
}

std::string Inspection::text_at(std::string_view what, std::uint64_t offset, std::uint64_t length,
                                std::uint64_t max_length)
{
    if (length > max_length) {
        find(ImageIssue::malformed, std::string(what) + " is " + number(length) +
                                        " bytes long, at most " + number(max_length) +
                                        " are allowed");
        return {};
    }
    if (!within_file(what, offset, length))
        return {};
    return take_text(what, source.view(offset, static_cast<std::size_t>(length)).text());
}

ImageReference Inspection::reference(std::string_view what, std::uint64_t offset,
                                     std::uint64_t length, std::uint64_t max_length)
{
    return {.path = text_at(what, offset, length, max_length)};
}

namespace {

void append_utf8(std::string& out, char32_t code)
{
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0 | code >> 6);
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xe0 | code >> 12);
        out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | code >> 18);
        out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
        out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    }
}

} // namespace

std::string utf16_text(Bytes bytes, bool big_endian)
{
    std::string out;
    const auto unit = [&](std::size_t at) -> char32_t {
        return big_endian ? bytes.be16(at) : bytes.le16(at);
    };
    for (std::size_t at = 0; bytes.has(at, 2); at += 2) {
        char32_t code = unit(at);
        if (code == 0)
            break;
        if (code >= 0xd800 && code <= 0xdfff) {
            const char32_t low = unit(at + 2);
            if (code < 0xdc00 && low >= 0xdc00 && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 2;
            } else {
                code = 0xfffd;
            }
        }
        append_utf8(out, code);
    }
    return out;
}

std::string uuid_text(Bytes bytes, bool microsoft)
{
    static constexpr char digits[] = "0123456789abcdef";
    static constexpr std::uint8_t swapped[16] = {3, 2, 1,  0,  5,  4,  7,  6,
                                                 8, 9, 10, 11, 12, 13, 14, 15};
    std::string out;
    bool any = false;
    for (std::size_t i = 0; i < 16; ++i) {
        const auto value = bytes.u8(microsoft ? swapped[i] : i);
        any |= value != 0;
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out += '-';
        out += digits[value >> 4];
        out += digits[value & 15];
    }
    return any ? out : std::string();
}

} // namespace storage::inline v1::image
