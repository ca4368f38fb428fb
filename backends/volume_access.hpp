// SPDX-License-Identifier: LGPL-2.1-or-later
// What is done with the content of a volume that has a path on this host, file or block device.
#pragma once

#include "backend.hpp"

namespace storage::inline v1 {

/** @throws Error not_supported  a directory */
void require_content(const VolumeDef& volume, std::string_view what);
/** Whether a guest sees the bytes as they are. */
bool is_plain(const VolumeDef& volume);

Step wipe_step(const VolumeDef& volume, WipeAlgorithm algorithm);
/** @param received  is told how many bytes came */
Step upload_step(const VolumeDef& volume, const UploadSource& source,
                 const TransferOptions& options, std::uint64_t& received);

/** Gives a caller what is at the path. @param place  PoolDirectory::place */
std::uint64_t download_content(const std::string& path, const DownloadTarget& target,
                               const TransferOptions& options, Job* job,
                               const std::string& place = {});

} // namespace storage::inline v1
