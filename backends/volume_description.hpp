// SPDX-License-Identifier: LGPL-2.1-or-later
// What a volume's XML says, from what the system and the image header say.
#pragma once

#include <basin/image.hpp>

#include <string>
#include <sys/stat.h>
#include <vector>

namespace storage::inline v1 {

struct VolumeFacts;

/**
 * A header's reference as libvirt prints it: relative ones begin at the directory of the volume's
 * own path (not of what a link points to), nothing is simplified; what has a protocol stays as it
 * is, but for json: that names a local file.
 */
std::string resolve_reference(const std::string& prefix, const std::string& reference);

/** All other files that an image needs, resolved: backing image, data file, extents. */
std::vector<std::string> references_of(const std::string& prefix, const ImageInfo& header);

/** @param status  of the volume, or of what it links to; with STATX_BTIME */
Permissions permissions_of(const struct ::statx& status, const std::string& path);
Timestamps timestamps_of(const struct ::statx& status);

/** @param prefix  of the pool's paths
 *  @param header  null for raw and directories */
VolumeDef describe_volume(const std::string& prefix, std::string_view name,
                          const struct ::statx& status, const VolumeFacts& facts,
                          const ImageInfo* header);

} // namespace storage::inline v1
