// SPDX-License-Identifier: LGPL-2.1-or-later
// Copies the bytes of one file into another, the cheapest way that the file systems allow.
#pragma once

#include <basin/job.hpp>

#include <cstdint>
#include <string>

namespace storage::inline v1 {

struct CopyOptions {
    bool reflink_only{}; ///< share the blocks or fail
    bool digest{};       ///< state the SHA-256 of the content
};

/**
 * Copies all of source, which starts at its beginning, into the empty regular file target; holes
 * stay holes. target ends up as long as source. Shows bytes in the job, and states as facts the
 * method (reflink, copy_file_range, sparse_copy) and why it was no cheaper one.
 * @return whether bytes were written, which are not on the device before they are flushed. Shared
 * blocks are on it: FICLONE first writes out what the source has in memory
 * @throws Error not_supported (reflink_only), invalid_state  source changed its size, no_space, io,
 * cancelled
 */
bool copy_content(int source, int target, const CopyOptions& options,
                  const std::string& source_name, const std::string& target_name, Job* job);

} // namespace storage::inline v1
