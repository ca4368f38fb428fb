// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps on RBD images. What is filled before it may be seen is made under a random name that the
// journal knows; what exists is meant by its id, never by its name alone.
#pragma once

#include "change.hpp"
#include "rbd_connection.hpp"

#include <array>

namespace storage::inline v1 {

/** Makes an empty image; one call of Ceph. */
Step create_image_step(const PoolDef& def, const std::string& name, std::uint64_t size,
                       const Host& host);
/** The same under a name for what is not finished; publish_image_step() makes it stay. */
Step begin_image_step(const PoolDef& def, const std::string& temporary, const std::string& name,
                      std::uint64_t size);
/** What a clone is made of; in the same cluster. */
struct RbdCloneSource {
    std::string pool{};
    std::string name_space{};
    std::string image{};
    std::string id{};
    std::string snapshot{}; ///< "": the present state, of which no snapshot stays to be seen
};
/** The same, made as a clone. */
Step clone_image_step(const PoolDef& def, const std::string& temporary, const std::string& name,
                      const RbdCloneSource& source);
/** @param call  the function of librbd that does it  @param fill  opens the image itself */
Step fill_image_step(const PoolDef& def, const std::string& temporary, const std::string& name,
                     std::string call, std::string summary, FileFunction fill);
/** Makes an unfinished image larger. */
Step extend_image_step(const PoolDef& def, const std::string& temporary, std::uint64_t size);
Step publish_image_step(const PoolDef& def, const std::string& temporary, const std::string& name);

Step remove_image_step(const PoolDef& def, const std::string& name, const std::string& id);
Step rename_image_step(const PoolDef& def, const std::string& name, const std::string& id,
                       const std::string& new_name);
Step resize_image_step(const PoolDef& def, const std::string& name, const std::string& id,
                       std::uint64_t before, std::uint64_t size);
/** Makes a clone independent of its parent. */
Step flatten_image_step(const PoolDef& def, const std::string& name, const std::string& id);
/** Changes the content in place. */
Step change_image_step(const PoolDef& def, const std::string& name, std::vector<std::string> call,
                       std::string summary, FileFunction change);

Step create_image_snapshot_step(const PoolDef& def, const std::string& name, const std::string& id,
                                const std::string& snapshot);
Step remove_image_snapshot_step(const PoolDef& def, const std::string& name, const std::string& id,
                                const std::string& snapshot);
Step protect_image_snapshot_step(const PoolDef& def, const std::string& name, const std::string& id,
                                 const std::string& snapshot, bool on);
Step roll_back_image_step(const PoolDef& def, const std::string& name, const std::string& id,
                          const std::string& snapshot);

/** @param value  nothing: removes the key */
Step set_image_metadata_step(const PoolDef& def, const std::string& name, const std::string& id,
                             const std::string& key, const std::optional<std::string>& value);

inline constexpr std::size_t rbd_action_count = 16;
extern const std::array<Action, rbd_action_count> rbd_actions;

} // namespace storage::inline v1
