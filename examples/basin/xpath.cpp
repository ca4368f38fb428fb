// SPDX-License-Identifier: LGPL-2.1-or-later
// Picks parts out of XML, and prints them as virsh does.
#include "xpath.hpp"

#include "options.hpp"

#include <pugixml.hpp>
#include <sstream>

namespace command {

namespace {

std::string text_of(const pugi::xml_node& node)
{
    std::ostringstream stream;
    node.print(stream, "  ", pugi::format_indent | pugi::format_no_declaration);
    auto text = stream.str();
    while (text.ends_with('\n'))
        text.pop_back();
    // pugixml prints <a /> and leaves '>' in values as it is, where libxml2, and so virsh, do not.
    bool in_tag = false;
    bool in_value = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '"')
            in_value = in_tag && !in_value;
        else if (in_value && text[at] == '>')
            text.replace(at, 1, "&gt;");
        else if (!in_value && (text[at] == '<' || text[at] == '>'))
            in_tag = text[at] == '<';
        else if (in_tag && !in_value && text.compare(at, 3, " />") == 0)
            text.erase(at, 1);
    }
    return text;
}

void copy_into(pugi::xml_node parent, const pugi::xpath_node& part)
{
    if (const auto attribute = part.attribute())
        parent.append_copy(attribute);
    else
        parent.append_copy(part.node());
}

std::string text_of(const pugi::xpath_node& part)
{
    if (!part.attribute())
        return text_of(part.node());
    pugi::xml_document scratch;
    constexpr std::string_view name = "a";
    const auto element = scratch.append_child(name.data());
    copy_into(element, part);
    const auto text = text_of(element); // <a name="value"/>
    return text.substr(1 + name.size(), text.size() - std::string_view("<a/>").size());
}

pugi::xpath_query compile(const std::string& expression)
{
    try {
        return pugi::xpath_query(expression.c_str());
    } catch (const pugi::xpath_exception& error) {
        throw UsageError("--xpath '" + expression + "': " + error.what(),
                         "give an XPath 1.0 expression, such as /pool/target/path/text()");
    }
}

} // namespace

std::vector<std::string> select_parts(const std::string& xml, const std::string& expression,
                                      bool wrap)
{
    const auto query = compile(expression);
    pugi::xml_document document;
    document.load_buffer(xml.data(), xml.size(),
                         pugi::parse_default | pugi::parse_ws_pcdata_single);
    const auto start = document.document_element();
    pugi::xml_document wrapped;
    auto nodes = wrapped.append_child("nodes");
    if (query.return_type() != pugi::xpath_type_node_set) {
        const auto value = query.evaluate_string(start);
        if (!wrap)
            return {value};
        nodes.text().set(value.c_str());
        return {text_of(nodes)};
    }
    auto found = query.evaluate_node_set(start);
    found.sort();
    std::vector<std::string> parts;
    for (const auto& part : found) {
        if (wrap)
            copy_into(nodes, part);
        else
            parts.push_back(text_of(part));
    }
    if (wrap)
        parts.push_back(text_of(nodes));
    return parts;
}

} // namespace command
