// SPDX-License-Identifier: LGPL-2.1-or-later
// What is asked of an image before it is copied.
#pragma once

#include <basin/definition.hpp>

#include <string>
#include <string_view>

namespace storage::inline v1 {

/** Whether what a definition puts a copy on is what the source is on. */
bool is_same_backing(const BackingStore& wanted, const std::string& directory,
                     const BackingStore& present);

/** Whether an image's reference to the one below means the same file from another directory. */
bool means_the_same(const std::string& reference, const std::string& from, const std::string& to);

} // namespace storage::inline v1
