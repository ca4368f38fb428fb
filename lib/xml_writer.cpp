// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml_writer.hpp"

#include "names.hpp"
#include "utf8.hpp"
#include "xml_scan.hpp"

#include <basin/error.hpp>

namespace storage::inline v1 {

namespace {

/** Most of every text: what is written as it is, without a look at its neighbours. */
constexpr bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '&' && c != '<' && c != '>' && c != '"' && c != '\'';
}

} // namespace

void XmlWriter::end_start_tag()
{
    if (!open_.empty() && !open_.back().has_children) {
        open_.back().has_children = true;
        out_ += ">\n";
    }
}

XmlWriter& XmlWriter::open(std::string_view name)
{
    if (open_.size() >= xml_depth_limit) // each level is indented by all that are above it
        throw Error(ErrorCode::invalid_xml,
                    "elements would be nested deeper than " + std::to_string(xml_depth_limit),
                    "name fewer images below one another");
    end_start_tag();
    out_.append(2 * open_.size(), ' ');
    out_ += '<';
    out_ += name;
    open_.push_back({name});
    return *this;
}

XmlWriter& XmlWriter::attribute(std::string_view name, std::string_view value)
{
    out_ += ' ';
    out_ += name;
    out_ += "='";
    escape(value, true);
    out_ += '\'';
    return *this;
}

XmlWriter& XmlWriter::attribute(std::string_view name, std::uint64_t value)
{
    return attribute(name, std::to_string(value));
}

XmlWriter& XmlWriter::optional(std::string_view name, std::string_view value)
{
    return value.empty() ? *this : attribute(name, value);
}

void XmlWriter::close(bool keep_empty)
{
    if (keep_empty)
        end_start_tag();
    const auto element = open_.back();
    open_.pop_back();
    if (!element.has_children) {
        out_ += "/>\n";
        return;
    }
    out_.append(2 * open_.size(), ' ');
    out_ += "</";
    out_ += element.name;
    out_ += ">\n";
}

void XmlWriter::close_with_text(std::string_view text)
{
    const auto name = open_.back().name;
    out_ += '>';
    escape(text, false);
    open_.pop_back();
    out_ += "</";
    out_ += name;
    out_ += ">\n";
}

void XmlWriter::text(std::string_view name, std::string_view text)
{
    open(name).close_with_text(text);
}

void XmlWriter::optional_text(std::string_view name, std::string_view value)
{
    if (!value.empty())
        text(name, value);
}

void XmlWriter::escape(std::string_view text, bool in_attribute)
{
    const auto whole = text;
    for (;;) {
        std::size_t plain = 0;
        while (plain < text.size() && is_plain(text[plain]))
            ++plain;
        out_ += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty())
            return;
        const char c = text.front();
        std::size_t length = 1;
        switch (c) {
        case '&': out_ += "&amp;"; break;
        case '<': out_ += "&lt;"; break;
        case '>': out_ += "&gt;"; break;
        case '"': out_ += "&quot;"; break;
        case '\'': out_ += "&apos;"; break;
        // A reader turns these into a space or a line feed unless they are written as numbers
        // (XML 1.0, 2.11 and 3.3.3).
        case '\r': out_ += "&#13;"; break;
        case '\t': out_ += in_attribute ? "&#9;" : "\t"; break;
        case '\n': out_ += in_attribute ? "&#10;" : "\n"; break;
        default: {
            const auto character = decode_utf8(text);
            if (character.length == 0 || !is_xml_character(character.value))
                throw Error(ErrorCode::invalid_argument,
                            shown(whole) +
                                (character.length == 0 ? std::string(" is not UTF-8")
                                                       : " has control character " +
                                                             std::to_string(character.value)) +
                                " and cannot be written as XML",
                            "give text in UTF-8 without control characters");
            length = character.length;
            out_ += text.substr(0, length);
        }
        }
        text.remove_prefix(length);
    }
}

} // namespace storage::inline v1
