// SPDX-License-Identifier: LGPL-2.1-or-later
// Reading a definition: elements with a position for messages, and the memory of what was read, so
// that the rest can be reported as ignored.
#pragma once

#include <basin/definition.hpp>
#include <basin/error.hpp>

#include <pugixml.hpp>

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace storage::inline v1 {

class XmlDocument;

/** A child element or attribute as a reader asks for it. Without a namespace, as libvirt's XPath
 * means it, unless one is given. */
struct XmlName {
    XmlName(const char* local_name) : local(local_name) {}
    XmlName(std::string_view local_name, std::string_view name_space)
        : local(local_name), uri(name_space)
    {
    }
    std::string_view local;
    std::string_view uri{};
};

/** A handle to one element, or to nothing. Whatever is asked for counts as read. */
class XmlElement {
public:
    XmlElement() = default;

    explicit operator bool() const { return !node_.empty(); }
    std::string_view name() const { return node_.name(); }

    /** The first child of that name; further ones count as ignored. */
    XmlElement child(const XmlName& name) const;
    std::vector<XmlElement> children(const XmlName& name) const;
    /** Every child element that has no namespace. */
    std::vector<XmlElement> children() const;
    /** The child, which must be there. */
    XmlElement required_child(const char* name) const;

    std::string text() const;
    /** The child's text; "" when there is none. */
    std::string child_text(const char* name) const { return child(name).text(); }

    /** The value; "" when it is absent. */
    std::string attribute(const char* name) const;
    bool has_attribute(const char* name) const;
    /** The value, which must be there and not be empty. */
    std::string required_attribute(const char* name) const;
    /** The value, one of those allowed; "" when absent. */
    std::string choice(const char* name, std::span<const std::string_view> allowed) const;
    /** The same where libvirt takes an empty word for none; strict reading does not. */
    std::string choice_or_empty(const char* name, std::span<const std::string_view> allowed) const;
    std::optional<bool> yes_no(const char* name) const;

    /** Accepts a child, with all in it, that means nothing on input. */
    void accept(const char* name) const;

    /** "'VALUE' MESSAGE", at this element. */
    [[noreturn]] void fail_value(std::string_view value, const std::string& message) const;
    [[noreturn]] void fail_attribute(const char* name, const std::string& message) const;
    [[noreturn]] void fail(const std::string& message) const;
    /** What libvirt's schema refuses and its parser does not: an error only in strict reading. */
    void check_strictly(const char* name, bool condition, const std::string& message) const;
    /** The same of the element's text. */
    void check_text_strictly(bool condition, const std::string& message) const;
    /** Strict reading: an error. Lenient: reported, and reading goes on. */
    void ignore(const std::string& message) const;

private:
    friend class XmlDocument;
    XmlElement(XmlDocument* document, pugi::xml_node node) : document_(document), node_(node) {}
    bool matches(const XmlName& name) const;
    std::string_view name_space() const;

    XmlDocument* document_{};
    pugi::xml_node node_{};
};

/** A checked and parsed text. */
class XmlDocument {
public:
    /**
     * @param what  names the text in messages: "pool definition"
     * @param root  the root element's name
     * @throws Error invalid_xml
     */
    XmlDocument(std::string_view text, std::string_view what, const char* root,
                const ParseOptions& options);
    XmlDocument(const XmlDocument&) = delete;
    XmlDocument& operator=(const XmlDocument&) = delete;

    XmlElement root() { return {this, root_}; }
    /** Reports, or refuses, everything that nobody asked for. */
    void finish();

private:
    friend class XmlElement;
    [[noreturn]] void fail(const char* position, const std::string& path,
                           const std::string& message) const;
    void ignore(const char* position, const std::string& path, const std::string& message);
    std::string describe(const char* position, const std::string& path,
                         const std::string& message) const;
    void finish(pugi::xml_node node);
    void finish_attributes(pugi::xml_node node);
    static std::string path_of(pugi::xml_node node);
    static const char* position_of(pugi::xml_node node) { return node.name() - 1; }

    std::string_view original_;
    std::string_view what_;
    const ParseOptions& options_;
    std::string buffer_; ///< parsed in place, so that names lie where the original has them
    pugi::xml_document document_{};
    pugi::xml_node root_{};
    bool has_default_name_space_{};
    static constexpr unsigned report_limit = 100;
    unsigned reported_{};

    struct Asked {
        std::vector<std::string_view> children{};
        std::vector<std::string_view> attributes{};
    };
    void ask(std::vector<std::string_view>& list, std::string_view name) const;
    std::unordered_map<pugi::xml_node_struct*, Asked> asked_{};
    std::unordered_set<const void*> read_{};      ///< elements and attributes
    std::unordered_set<const void*> read_text_{}; ///< elements whose text was read
    std::unordered_set<const void*> accepted_{};  ///< elements accepted with all in them
};

/** "a, b, c". */
std::string joined(std::span<const std::string_view> words);

} // namespace storage::inline v1
