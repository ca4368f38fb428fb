// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of secret_directory(), which <basin/secret.hpp> declares, that can be looked at alone.
#pragma once

#include <basin/secret.hpp>

#include <string>
#include <string_view>

namespace storage::inline v1 {

inline constexpr std::size_t secret_size_limit = 64 << 10;

/** A usage as a file name; "" for one that makes none: empty, or too long. */
std::string secret_file_name(std::string_view usage);

} // namespace storage::inline v1
