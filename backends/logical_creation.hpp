// SPDX-License-Identifier: LGPL-2.1-or-later
// New volumes of a volume group: which kind, how large, whether there is room, and the steps.
#pragma once

#include "logical_volumes.hpp"

namespace storage::inline v1 {

/** What is to be made, as far as the core has checked it. */
struct LogicalRequest {
    const VolumeDef& def;
    const CopySource* source{};
    CreateFlags flags{};
    const UploadSource* upload{};
    const TransferOptions* transfer{};
};

/**
 * Lists the steps.
 * @throws Error no_space, not_supported, invalid_argument, already_exists
 */
void plan_logical_volume(const LogicalVolumes& volumes, const LogicalRequest& request,
                         const std::string& pool_name, const Host& host, Change& change);

/** A snapshot of a volume: of a thin one thin, of another one with room for every change. */
void plan_logical_snapshot(const LvmGroup& group, const LvmLv& volume, const std::string& name,
                           Change& change);

/** @throws Error invalid_state  a device is missing, so that LVM would refuse */
void require_whole_group(const LvmGroup& group);
/** @throws Error not_supported  a pool that has no device */
void refuse_other_pool(const LvmLv& lv, const LvmGroup& group);

/**
 * In a thin pool that is full a write to a volume fails as one on a broken disk does (EIO).
 * @return what does the same as `fill` and flushes; it throws no_space where that was the reason
 */
FileFunction telling_full_pool(FileFunction fill, const LogicalVolumes& volumes,
                               const std::string& pool);

/** @throws Error no_space  the group's devices have not so many extents left */
void require_extents(const LvmGroup& group, std::uint64_t extents, std::uint32_t stripes,
                     const std::string& what);

/** @throws Error invalid_argument, already_exists */
void require_new_lv(const LvmGroup& group, const std::string& name);

} // namespace storage::inline v1
