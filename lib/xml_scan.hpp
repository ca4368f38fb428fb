// SPDX-License-Identifier: LGPL-2.1-or-later
// What a definition's text must satisfy before an XML parser sees it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace storage::inline v1 {

inline constexpr std::size_t xml_size_limit = 1024 * 1024;
inline constexpr std::size_t xml_depth_limit = 64;
inline constexpr std::size_t xml_node_limit = 65'536;
inline constexpr std::size_t xml_attribute_limit = 256; ///< of one element

/** "line 3, column 12" of a byte offset; columns count characters, both from 1. */
std::string xml_position(std::string_view text, std::size_t offset);

/**
 * Checks that the text is well-formed XML within the limits: UTF-8, no forbidden character, no
 * document type declaration, no entity but the five of XML. pugixml forgives most of these.
 * @param what  names the text in error messages: "pool definition"
 * @throws Error invalid_xml
 */
void check_xml(std::string_view text, std::string_view what);

} // namespace storage::inline v1
