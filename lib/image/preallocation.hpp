// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

namespace storage::inline v1 {

/** What a new image has before a guest writes: nothing, its tables, the space, zeros written. */
enum class Preallocation : std::uint8_t { off, metadata, falloc, full };

} // namespace storage::inline v1
