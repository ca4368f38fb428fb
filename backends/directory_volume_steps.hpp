// SPDX-License-Identifier: LGPL-2.1-or-later
// The steps that make and delete volumes that are files in a directory.
#pragma once

#include <basin/definition.hpp>

#include <string>
#include <string_view>

namespace storage::inline v1 {

class Change;

/**
 * @param def  format raw or dir, name checked
 * @param source  path of what to copy, raw as well; "" for an empty volume
 * @throws Error
 */
void list_create_steps(const std::string& directory, const VolumeDef& def,
                       const std::string& source, bool reflink_only, Change& change);

/** A link goes as a link, a directory only when empty. @throws Error not_found, not_supported */
void list_delete_steps(const std::string& directory, std::string_view name, Change& change);

} // namespace storage::inline v1
