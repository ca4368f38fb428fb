// SPDX-License-Identifier: LGPL-2.1-or-later
// Picks parts out of XML, for --xpath.
#pragma once

#include <string>
#include <vector>

namespace command {

/**
 * What the expression selects, in the order of the document; a text, number or truth value is one
 * part. With wrap all of it is one part, in an element <nodes>.
 * @throws UsageError
 */
std::vector<std::string> select_parts(const std::string& xml, const std::string& expression,
                                      bool wrap);

} // namespace command
