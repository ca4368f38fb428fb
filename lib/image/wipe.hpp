// SPDX-License-Identifier: LGPL-2.1-or-later
// Wiping: overwriting the content of a file or block device in place.
#pragma once

#include <basin/job.hpp>
#include <basin/volume.hpp>

#include <array>
#include <span>

namespace storage::inline v1 {

/** One pass over the content: a pattern of up to three bytes that repeats, or random bytes. */
struct WipePass {
    std::array<std::uint8_t, 3> pattern{};
    std::uint8_t length{}; ///< 0: random
    bool verify{};         ///< reads what the pass before wrote instead of writing
};

/** The passes of an algorithm in order; none for trim. */
std::span<const WipePass> wipe_passes(WipeAlgorithm algorithm);

std::string_view to_string(WipeAlgorithm algorithm) noexcept;

/**
 * Overwrites what a file or block device holds, each pass flushed to the device before the next;
 * the caller flushes the last. Holes of a file stay. @throws Error io  also where the verification
 * reads something else
 */
void wipe_content(int fd, WipeAlgorithm algorithm, const std::string& path, Job* job);

} // namespace storage::inline v1
