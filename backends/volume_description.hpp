// SPDX-License-Identifier: LGPL-2.1-or-later
// What a volume's XML says, from what the system and the image header say.
#pragma once

#include <basin/image.hpp>

#include <string>
#include <sys/stat.h>

namespace storage::inline v1 {

struct VolumeFacts;

/** @param prefix  of the pool's paths
 *  @param header  null for raw and directories */
VolumeDef describe_volume(const std::string& prefix, std::string_view name,
                          const struct ::statx& status, const VolumeFacts& facts,
                          const ImageInfo* header);

} // namespace storage::inline v1
