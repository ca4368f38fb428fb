// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml_reader.hpp"

#include "names.hpp"
#include "xml_scan.hpp"

#include <algorithm>

namespace storage::inline v1 {
namespace {

std::string_view prefix_of(std::string_view name)
{
    const auto colon = name.find(':');
    return colon == name.npos ? std::string_view{} : name.substr(0, colon);
}

std::string_view local_of(std::string_view name)
{
    const auto colon = name.find(':');
    return colon == name.npos ? name : name.substr(colon + 1);
}

bool is_name_space_declaration(std::string_view name)
{
    return name == "xmlns" || name.starts_with("xmlns:");
}

} // namespace

std::string joined(std::span<const std::string_view> words)
{
    std::string result;
    for (const auto word : words) {
        if (!result.empty())
            result += ", ";
        result += word;
    }
    return result;
}

// ---- XmlElement ---------------------------------------------------------------------------------

std::string_view XmlElement::name_space() const
{
    const auto prefix = prefix_of(node_.name());
    if (prefix.empty() && !document_->has_default_name_space_)
        return {};
    const auto declaration = prefix.empty() ? "xmlns" : "xmlns:" + std::string(prefix);
    for (auto node = node_; node; node = node.parent())
        if (const auto found = node.attribute(declaration.c_str()))
            return found.value();
    return {};
}

bool XmlElement::matches(const XmlName& name) const
{
    if (node_.type() != pugi::node_element || local_of(node_.name()) != name.local)
        return false;
    // An undeclared prefix is a namespace of its own.
    if (name.uri.empty() && !prefix_of(node_.name()).empty())
        return false;
    return name_space() == name.uri;
}

XmlElement XmlElement::child(const XmlName& name) const
{
    if (!*this)
        return {};
    document_->ask(document_->asked_[node_.internal_object()].children, name.local);
    for (const auto node : node_.children())
        if (const XmlElement element{document_, node}; element.matches(name)) {
            document_->read_.insert(node.internal_object());
            return element;
        }
    return {};
}

std::vector<XmlElement> XmlElement::children(const XmlName& name) const
{
    std::vector<XmlElement> result;
    if (!*this)
        return result;
    document_->ask(document_->asked_[node_.internal_object()].children, name.local);
    for (const auto node : node_.children())
        if (const XmlElement element{document_, node}; element.matches(name)) {
            document_->read_.insert(node.internal_object());
            result.push_back(element);
        }
    return result;
}

std::vector<XmlElement> XmlElement::children() const
{
    std::vector<XmlElement> result;
    for (const auto node : node_.children()) {
        const XmlElement element{document_, node};
        if (node.type() != pugi::node_element || !prefix_of(node.name()).empty() ||
            !element.name_space().empty())
            continue;
        document_->read_.insert(node.internal_object());
        result.push_back(element);
    }
    return result;
}

XmlElement XmlElement::required_child(const char* name) const
{
    const auto found = child(name);
    if (!found)
        fail("element '" + std::string(name) + "' is missing");
    return found;
}

std::string XmlElement::text() const
{
    std::string result;
    if (!*this)
        return result;
    document_->read_text_.insert(node_.internal_object());
    for (const auto node : node_.children())
        if (node.type() == pugi::node_pcdata || node.type() == pugi::node_cdata)
            result += node.value();
    return result;
}

bool XmlElement::has_attribute(const char* name) const
{
    if (!*this)
        return false;
    document_->ask(document_->asked_[node_.internal_object()].attributes, name);
    const auto found = node_.attribute(name);
    if (found)
        document_->read_.insert(found.internal_object());
    return !found.empty();
}

std::string XmlElement::attribute(const char* name) const
{
    return has_attribute(name) ? node_.attribute(name).value() : std::string{};
}

std::string XmlElement::required_attribute(const char* name) const
{
    if (!has_attribute(name))
        fail("attribute '" + std::string(name) + "' is missing");
    auto value = attribute(name);
    if (value.empty())
        fail_attribute(name, "a value is required");
    return value;
}

std::string XmlElement::choice(const char* name, std::span<const std::string_view> allowed) const
{
    if (!has_attribute(name))
        return {};
    auto value = attribute(name);
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
        fail_attribute(name, shown(value) + " is not allowed (allowed: " + joined(allowed) + ")");
    return value;
}

std::string XmlElement::choice_or_empty(const char* name,
                                        std::span<const std::string_view> allowed) const
{
    const bool is_none = attribute(name).empty() && !(*this && document_->options_.strict);
    return is_none ? std::string{} : choice(name, allowed);
}

std::optional<bool> XmlElement::yes_no(const char* name) const
{
    constexpr std::string_view words[] = {"yes", "no"};
    const auto word = choice(name, words);
    return word.empty() ? std::nullopt : std::optional(word == "yes");
}

void XmlElement::accept(const char* name) const
{
    for (const auto& element : children(name))
        document_->accepted_.insert(element.node_.internal_object());
}

void XmlElement::fail_value(std::string_view value, const std::string& message) const
{
    fail(shown(value) + ' ' + message);
}

void XmlElement::fail_attribute(const char* name, const std::string& message) const
{
    const auto found = node_.attribute(name);
    document_->fail(found ? found.name() : XmlDocument::position_of(node_),
                    XmlDocument::path_of(node_) + "/@" + name, message);
}

void XmlElement::fail(const std::string& message) const
{
    document_->fail(XmlDocument::position_of(node_), XmlDocument::path_of(node_), message);
}

void XmlElement::check_strictly(const char* name, bool condition, const std::string& message) const
{
    if (document_->options_.strict && !condition)
        fail_attribute(name, shown(attribute(name)) + ' ' + message);
}

void XmlElement::check_text_strictly(bool condition, const std::string& message) const
{
    if (document_->options_.strict && !condition)
        fail_value(text(), message);
}

void XmlElement::ignore(const std::string& message) const
{
    document_->ignore(XmlDocument::position_of(node_), XmlDocument::path_of(node_), message);
}

// ---- XmlDocument --------------------------------------------------------------------------------

XmlDocument::XmlDocument(std::string_view text, std::string_view what, const char* root,
                         const ParseOptions& options)
    : original_(text), what_(what), options_(options)
{
    check_xml(text, what);
    buffer_ = text;
    const auto result = document_.load_buffer_inplace(
        buffer_.data(), buffer_.size(), pugi::parse_default | pugi::parse_ws_pcdata_single,
        pugi::encoding_utf8);
    if (result.status == pugi::status_out_of_memory)
        throw std::bad_alloc();
    if (!result)
        throw Error(ErrorCode::invalid_xml,
                    std::string(what_) + ", " +
                        xml_position(original_, static_cast<std::size_t>(result.offset)) + ": " +
                        result.description(),
                    "make it well-formed XML there");
    root_ = document_.document_element();
    has_default_name_space_ = text.find("xmlns") != text.npos;
    if (std::string_view(root_.name()) != root)
        fail(position_of(root_), path_of(root_),
             shown(root_.name()) + " is not the root element expected (allowed: " + root + ")");
}

void XmlDocument::ask(std::vector<std::string_view>& list, std::string_view name) const
{
    if (std::find(list.begin(), list.end(), name) == list.end())
        list.push_back(name);
}

void XmlDocument::finish()
{
    if (options_.strict || options_.on_ignored)
        finish(root_);
}

void XmlDocument::finish_attributes(pugi::xml_node node)
{
    const auto& asked = asked_[node.internal_object()];
    for (const auto attribute : node.attributes()) {
        if (is_name_space_declaration(attribute.name()) ||
            read_.contains(attribute.internal_object()))
            continue;
        ignore(attribute.name(), path_of(node) + "/@" + attribute.name(),
               shown(attribute.value()) + " is ignored (attributes known here: " +
                   (asked.attributes.empty() ? "none" : joined(asked.attributes)) + ")");
    }
}

void XmlDocument::finish(pugi::xml_node node)
{
    if (accepted_.contains(node.internal_object()))
        return;
    finish_attributes(node);
    const auto& asked = asked_[node.internal_object()];
    for (const auto child : node.children()) {
        // Each report costs walks over text and siblings: a hostile text must not ask for many.
        if (reported_ >= report_limit)
            return;
        if (child.type() == pugi::node_element) {
            if (read_.contains(child.internal_object()))
                finish(child);
            else if (std::find(asked.children.begin(), asked.children.end(), child.name()) !=
                     asked.children.end())
                ignore(position_of(child), path_of(child),
                       "only the first element " + shown(child.name()) + " is read");
            else
                ignore(position_of(child), path_of(child),
                       "element " + shown(child.name()) + " is ignored (elements known here: " +
                           (asked.children.empty() ? "none" : joined(asked.children)) + ")");
        } else if (!read_text_.contains(node.internal_object()) &&
                   std::string_view(child.value()).find_first_not_of(" \t\r\n") !=
                       std::string_view::npos) {
            ignore(position_of(node), path_of(node),
                   "text " + shown(child.value()) + " is ignored");
        }
    }
}

std::string XmlDocument::describe(const char* position, const std::string& path,
                                  const std::string& message) const
{
    const auto offset = static_cast<std::size_t>(position - buffer_.data());
    return std::string(what_) + ", " + xml_position(original_, offset) + ", " + path + ": " +
           message;
}

void XmlDocument::fail(const char* position, const std::string& path,
                       const std::string& message) const
{
    throw Error(ErrorCode::invalid_xml, describe(position, path, message),
                "correct the definition there");
}

void XmlDocument::ignore(const char* position, const std::string& path, const std::string& message)
{
    if (options_.strict)
        fail(position, path, message);
    if (!options_.on_ignored || ++reported_ > report_limit)
        return;
    options_.on_ignored(reported_ == report_limit ? std::string(what_) + ": more is ignored"
                                                  : describe(position, path, message));
}

std::string XmlDocument::path_of(pugi::xml_node node)
{
    std::string path;
    for (; node && node.type() == pugi::node_element; node = node.parent()) {
        std::size_t before = 0;
        for (auto other = node.previous_sibling(node.name()); other;
             other = other.previous_sibling(node.name()))
            ++before;
        constexpr std::size_t name_limit = 64;
        std::string step = "/" + std::string(node.name()).substr(0, name_limit);
        if (before > 0 || node.next_sibling(node.name()))
            step += "[" + std::to_string(before + 1) + "]";
        path.insert(0, step);
    }
    return path;
}

} // namespace storage::inline v1
