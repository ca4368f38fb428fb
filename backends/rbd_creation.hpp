// SPDX-License-Identifier: LGPL-2.1-or-later
// What a new volume of an rbd pool becomes: an empty image, a clone, a copy, an upload.
#pragma once

#include "backend.hpp"

namespace storage::inline v1 {

/** A volume to be made, as far as the core has checked it. */
struct RbdRequest {
    const VolumeDef& def;
    const CopySource* source{};
    const UploadSource* upload{};
    const TransferOptions* transfer{};
    CreateFlags flags{};
};

void plan_image(const PoolDef& pool, const RbdRequest& request, const Host& host, Change& change);

} // namespace storage::inline v1
