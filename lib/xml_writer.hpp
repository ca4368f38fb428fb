// SPDX-License-Identifier: LGPL-2.1-or-later
// Writes XML as libvirt lays it out: single quotes, two-space indent, one element a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace storage::inline v1 {

class XmlWriter {
public:
    /** Starts an element; its attributes follow. */
    XmlWriter& open(std::string_view name);
    XmlWriter& attribute(std::string_view name, std::string_view value);
    XmlWriter& attribute(std::string_view name, std::uint64_t value);
    /** The same, unless the value is empty. */
    XmlWriter& optional(std::string_view name, std::string_view value);
    /** Ends the innermost element: `<a/>` unless it has children, or keep_empty asks for `<a>` and
     * `</a>` on two lines. */
    void close(bool keep_empty = false);

    /** `<name>text</name>` */
    void text(std::string_view name, std::string_view text);
    /** The same, unless the text is empty. */
    void optional_text(std::string_view name, std::string_view text);
    /** Ends the innermost element, which has no children, with text: `…>text</name>`. */
    void close_with_text(std::string_view text);

    std::string take() { return std::move(out_); }

private:
    void end_start_tag();
    void escape(std::string_view text, bool in_attribute);

    struct Open {
        std::string_view name;
        bool has_children{};
    };
    std::string out_{};
    std::vector<Open> open_{};
};

} // namespace storage::inline v1
