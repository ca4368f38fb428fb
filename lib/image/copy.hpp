// SPDX-License-Identifier: LGPL-2.1-or-later
// Copies the bytes of one file into another, the cheapest way that the file systems allow.
#pragma once

#include <basin/job.hpp>

#include <cstdint>
#include <string>

namespace storage::inline v1 {

/** How the bytes may get there. */
enum class CopyMethod : bool {
    cheapest,     ///< share the blocks, else copy what is data
    reflink_only, ///< share the blocks or fail
};

/**
 * Copies all of source, which starts at its beginning, into the empty regular file target; holes
 * stay holes. target ends up as long as source. Shows bytes of data in the job.
 * @return the number of bytes that source has
 * @throws Error not_supported (reflink_only), invalid_state  source changed its size, no_space, io,
 * cancelled
 */
std::uint64_t copy_content(int source, int target, CopyMethod method,
                           const std::string& source_name, const std::string& target_name,
                           Job* job);

} // namespace storage::inline v1
