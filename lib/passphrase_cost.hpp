// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <cstdint>

namespace storage::inline v1 {

/** What cryptsetup and QEMU take by default. */
inline constexpr std::uint32_t default_passphrase_cost_ms = 2000;

/** How long one guess at the passphrase of a new encrypted volume is to take on this machine.
 * Tests, which make many, make it short. */
inline std::atomic<std::uint32_t> passphrase_cost_ms{default_passphrase_cost_ms};

} // namespace storage::inline v1
