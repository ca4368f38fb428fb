// SPDX-License-Identifier: LGPL-2.1-or-later
// The images of a RADOS pool: what Ceph says of them as names, records, descriptions and blockers.
#pragma once

#include "backend.hpp"
#include "rbd_connection.hpp"

namespace storage::inline v1 {

/** One line of the pool's directory of images. */
struct RbdEntry {
    std::string name{};
    std::string id{};
};

/** One call. */
std::vector<RbdEntry> list_directory(RbdConnection& connection);
/** All images but those that are not finished. */
std::vector<RbdEntry> list_images(RbdConnection& connection);
/** Whether the name is that of one which is being made. */
bool is_unfinished_image(std::string_view name);

/** How allocation is found. */
enum class RbdAllocation {
    upper_bound, ///< all objects, as if each were there: asks nobody
    cheap,       ///< by the object map where that is valid, else the upper bound
    exact,       ///< looks at every object where there is no valid map
};

VolumeRecord image_record(const RbdImage& image, std::string_view name, RbdAllocation allocation);
VolumeDef describe_image(const RbdImage& image, std::string_view name, RbdAllocation allocation);

/** Fills an empty table; images that did not change are taken over from the last one. Asks for no
 * allocation, which writes to an image change: who asks for that reads the image anew. */
void refresh_images(const std::shared_ptr<RbdConnection>& connection, const VolumeTable* previous,
                    VolumeTable& table, Job* job);

/** The user's snapshots, oldest first. */
std::vector<Snapshot> image_snapshots(const RbdImage& image);
/** Keys and values but for those that are Ceph's own. @throws Error not_supported  too much */
std::map<std::string, std::string> image_metadata(const RbdImage& image);
/** Options of librbd for this image, and what other programs of Ceph and libvirt keep there. */
bool is_own_image_key(std::string_view key);
/** Clones that are based on a snapshot, as "pool/image". */
std::vector<std::string> image_children(const RbdImage& image);
/** Who has it open for writing, or has locked it, as a message says it.
 * @param but  not this client, of rados_get_instance_id() */
std::vector<std::string> image_users(const RbdImage& image, const std::string& but = {});
std::vector<Blocker> image_blockers(const RbdImage& image);

/** Locks out who has it open, for good: a dead process, which Ceph would else wait half a minute
 * for.
 * @param client  this one alone, of rados_get_instance_id(); "": everyone */
void evict_watchers(const RbdImage& image, const std::string& client);

/** The pool's own numbers: what is stored, and what quota and cluster still leave. Those of the
 * pool that the data of new images goes to, where the definition names one. */
PoolSizes rbd_pool_sizes(RbdConnection& connection, const PoolDef& def);

} // namespace storage::inline v1
