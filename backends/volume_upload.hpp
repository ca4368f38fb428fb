// SPDX-License-Identifier: LGPL-2.1-or-later
// The file of a new volume whose content comes from the caller.
#pragma once

#include "change.hpp"

#include <basin/volume.hpp>

namespace storage::inline v1 {

/** Refuses what take_upload() refuses before it has read anything. @param present  bytes that are
 * here already */
void check_new_upload(const std::string& path, const VolumeDef& def, const UploadSource& source,
                      const TransferOptions& options, std::uint64_t present);

/** Fills the file with an upload and checks that it is what the definition says. */
bool take_upload(const FileWork& work, const VolumeDef& def, const UploadSource& source,
                 const TransferOptions& options);

} // namespace storage::inline v1
