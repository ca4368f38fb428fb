// SPDX-License-Identifier: LGPL-2.1-or-later
// Look-ups in the table of pool types.
#pragma once

#include "backend.hpp"

namespace storage::inline v1 {

/** "dir, fs, netfs, …": what to allow in a message. */
std::string pool_type_names();

/** Whether the list holds the word. */
bool contains(std::span<const std::string_view> list, std::string_view word);

} // namespace storage::inline v1
