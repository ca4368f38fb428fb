// SPDX-License-Identifier: LGPL-2.1-or-later
// A scanner, not a parser: it builds nothing and allocates only the stack of open elements.
#include "xml_scan.hpp"

#include "names.hpp"
#include "numbers.hpp"
#include "utf8.hpp"

#include <basin/error.hpp>

#include <algorithm>
#include <vector>

namespace storage::inline v1 {
namespace {

constexpr bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

constexpr bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           static_cast<unsigned char>(c) >= 0x80;
}

constexpr bool is_name_character(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

std::string hexadecimal(std::uint32_t value)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (int shift = 20; shift >= 0; shift -= 4)
        if (const auto digit = (value >> shift) & 0xF; digit || !result.empty() || shift < 16)
            result += digits[digit];
    return result;
}

class Scanner {
public:
    Scanner(std::string_view text, std::string_view what) : text_(text), what_(what) {}

    void run()
    {
        if (text_.size() > xml_size_limit)
            throw Error(ErrorCode::invalid_xml,
                        std::string(what_) + ": " + std::to_string(text_.size()) +
                            " bytes are more than the limit of 1 MiB",
                        "make it shorter");
        check_characters();
        if (text_.starts_with("\xEF\xBB\xBF"))
            at_ = 3;
        if (text_.substr(at_).starts_with("<?xml") && text_.size() > at_ + 5 &&
            is_blank(text_[at_ + 5]))
            declaration();
        while (at_ < text_.size())
            step();
        if (!open_.empty())
            fail("element " + shown(open_.back()) + " is not closed");
        if (!seen_root_)
            fail("there is no element");
    }

private:
    [[noreturn]] void fail(const std::string& message) const { fail_at(at_, message); }
    [[noreturn]] void fail_at(std::size_t offset, const std::string& message) const
    {
        throw Error(ErrorCode::invalid_xml,
                    std::string(what_) + ", " + xml_position(text_, offset) + ": " + message,
                    "make it well-formed XML in UTF-8 there");
    }

    bool next_is(std::string_view token) const { return text_.substr(at_).starts_with(token); }

    void check_characters()
    {
        for (std::size_t at = 0; at < text_.size();) {
            const auto [value, length] = decode_utf8(text_.substr(at));
            if (length == 0)
                fail_at(at, "the bytes are not UTF-8");
            if (!is_xml_character(value))
                fail_at(at, "character U+" + hexadecimal(value) + " is not allowed in XML");
            at += length;
        }
    }

    void step()
    {
        if (text_[at_] != '<')
            return content();
        if (next_is("<!--"))
            return comment();
        if (next_is("<![CDATA["))
            return character_data();
        if (next_is("<!"))
            fail("a document type declaration is not accepted");
        if (next_is("<?"))
            return instruction();
        if (next_is("</"))
            return end_tag();
        start_tag();
    }

    void content()
    {
        const auto end = std::min(text_.find('<', at_), text_.size());
        const auto content = text_.substr(at_, end - at_);
        if (open_.empty() && !trimmed(content).empty()) {
            at_ += content.find_first_not_of(" \t\r\n");
            fail("text outside of the root element");
        }
        if (const auto close = content.find("]]>"); close != content.npos)
            fail_at(at_ + close, "']]>' must be written as ']]&gt;'");
        references(end);
    }

    void comment()
    {
        const auto end = text_.find("--", at_ + 4);
        if (end == text_.npos)
            fail("the comment is not closed");
        if (!text_.substr(end).starts_with("-->"))
            fail_at(end, "'--' is not allowed in a comment");
        at_ = end + 3;
    }

    void character_data()
    {
        if (open_.empty())
            fail("text outside of the root element");
        const auto end = text_.find("]]>", at_);
        if (end == text_.npos)
            fail("the CDATA section is not closed");
        at_ = end + 3;
    }

    void instruction()
    {
        const auto start = at_;
        at_ += 2;
        if (at_ == text_.size() || !is_name_start(text_[at_]))
            fail("a processing instruction needs a name");
        if (next_is("xml") && (text_.size() == at_ + 3 || !is_name_character(text_[at_ + 3])))
            fail_at(start, "an XML declaration is allowed only at the very start");
        const auto end = text_.find("?>", at_);
        if (end == text_.npos)
            fail_at(start, "the processing instruction is not closed");
        count_node();
        at_ = end + 2;
    }

    /** `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` */
    void declaration()
    {
        const auto start = at_;
        const auto end = text_.find("?>", at_);
        if (end == text_.npos)
            fail("the XML declaration is not closed");
        at_ += 5;
        while (skip_blanks(), !next_is("?>")) {
            const auto key = name("an attribute");
            const auto offset = at_;
            const auto value = attribute_value();
            if (key == "version"    ? !value.starts_with("1.")
                : key == "encoding" ? !is_encoding(value)
                                    : key != "standalone")
                fail_at(offset, "XML declaration: " + shown(key) + ' ' + shown(value) +
                                    " is not supported (allowed: version 1.0, encoding UTF-8)");
            if (at_ > end + 2)
                fail_at(start, "the XML declaration is not closed");
        }
        at_ += 2;
    }

    static bool is_encoding(std::string_view value)
    {
        const auto equals = [&](std::string_view wanted) {
            return std::equal(value.begin(), value.end(), wanted.begin(), wanted.end(),
                              [](char a, char b) { return (a | 0x20) == (b | 0x20); });
        };
        return equals("utf-8") || equals("utf8") || equals("us-ascii") || equals("ascii");
    }

    void start_tag()
    {
        const auto start = at_;
        if (open_.empty() && seen_root_)
            fail("there is a second root element");
        seen_root_ = true;
        ++at_;
        count_node();
        const auto tag = name("an element");
        if (open_.size() == xml_depth_limit)
            fail_at(start, "elements are nested deeper than " + std::to_string(xml_depth_limit));
        attributes_.clear();
        while (true) {
            const bool blank = skip_blanks();
            if (next_is("/>")) {
                at_ += 2;
                break;
            }
            if (next_is(">")) {
                at_ += 1;
                open_.push_back(tag);
                break;
            }
            if (at_ == text_.size())
                fail_at(start, "element " + shown(tag) + " is not closed");
            if (!blank)
                fail("white space, '>' or '/>' expected");
            count_node();
            if (attributes_.size() == xml_attribute_limit)
                fail("more than " + std::to_string(xml_attribute_limit) +
                     " attributes in one element");
            attributes_.push_back(name("an attribute"));
            attribute_value();
        }
        std::sort(attributes_.begin(), attributes_.end());
        const auto twice = std::adjacent_find(attributes_.begin(), attributes_.end());
        if (twice != attributes_.end())
            fail_at(start, "attribute " + shown(*twice) + " is given twice");
    }

    void end_tag()
    {
        const auto start = at_;
        at_ += 2;
        const auto tag = name("an element");
        skip_blanks();
        if (!next_is(">"))
            fail("'>' expected");
        ++at_;
        if (open_.empty() || open_.back() != tag)
            fail_at(start, shown("</" + std::string(tag) + '>') + " closes " +
                               (open_.empty() ? "nothing" : "element " + shown(open_.back())));
        open_.pop_back();
    }

    std::string_view name(const char* what)
    {
        const auto start = at_;
        if (at_ == text_.size() || !is_name_start(text_[at_]))
            fail(std::string("the name of ") + what + " expected");
        while (at_ < text_.size() && is_name_character(text_[at_]))
            ++at_;
        return text_.substr(start, at_ - start);
    }

    std::string_view attribute_value()
    {
        skip_blanks();
        if (!next_is("="))
            fail("'=' expected");
        ++at_;
        skip_blanks();
        if (!next_is("'") && !next_is("\""))
            fail("a quoted value expected");
        const auto start = at_ + 1;
        const auto end = text_.find(text_[at_], start);
        if (end == text_.npos)
            fail("the value is not closed");
        if (const auto angle = text_.substr(start, end - start).find('<'); angle != text_.npos)
            fail_at(start + angle, "'<' must be written as '&lt;' in a value");
        at_ = start;
        references(end);
        at_ = end + 1;
        return text_.substr(start, end - start);
    }

    /** Checks each & between here and end, and moves there. */
    void references(std::size_t end)
    {
        for (; at_ < end; ++at_) {
            if (text_[at_] != '&')
                continue;
            const auto close = text_.find(';', at_);
            if (close >= end)
                fail("'&' must be written as '&amp;'");
            const auto reference = text_.substr(at_ + 1, close - at_ - 1);
            if (!is_reference(reference))
                fail("'&" + std::string(reference.substr(0, 32)) +
                     ";' is not supported (allowed: &amp; &lt; &gt; &quot; &apos; and character "
                     "numbers)");
            at_ = close;
        }
        at_ = end;
    }

    static bool is_reference(std::string_view reference)
    {
        constexpr std::string_view names[] = {"amp", "lt", "gt", "quot", "apos"};
        if (!reference.starts_with('#'))
            return std::find(std::begin(names), std::end(names), reference) != std::end(names);
        reference.remove_prefix(1);
        const bool hex = reference.starts_with('x');
        reference.remove_prefix(hex);
        if (reference.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789") !=
            reference.npos)
            return false;
        const auto value = to_integer<std::uint32_t>(reference, hex ? 16 : 10);
        return value && is_xml_character(*value);
    }

    bool skip_blanks()
    {
        const auto start = at_;
        while (at_ < text_.size() && is_blank(text_[at_]))
            ++at_;
        return at_ != start;
    }

    void count_node()
    {
        if (++nodes_ > xml_node_limit)
            fail("more than " + std::to_string(xml_node_limit) + " elements and attributes");
    }

    std::string_view text_;
    std::string_view what_;
    std::size_t at_{};
    std::size_t nodes_{};
    bool seen_root_{};
    std::vector<std::string_view> open_{};
    std::vector<std::string_view> attributes_{};
};

} // namespace

std::string xml_position(std::string_view text, std::size_t offset)
{
    const auto before = text.substr(0, offset);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const auto line_start = before.rfind('\n');
    const auto line = line_start == before.npos ? before : before.substr(line_start + 1);
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    });
    return "line " + std::to_string(lines + 1) + ", column " + std::to_string(columns + 1);
}

void check_xml(std::string_view text, std::string_view what)
{
    Scanner(text, what).run();
}

} // namespace storage::inline v1
