// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps on volume groups and logical volumes. What is made is found again by a tag, what exists by
// its uuid, never by its name alone.
#pragma once

#include "change.hpp"
#include "lvm_commands.hpp"
#include "lvm_report.hpp"

#include <array>
#include <span>

namespace storage::inline v1 {

/** A new tag that nothing else has. A logical volume that has one is not finished. */
std::string make_lvm_tag();
bool is_unfinished(const LvmLv& lv);
/** Whether one is a snapshot of the other: by its origin; or by a tag, because LVM forgets the
 * origin of a thin snapshot when its origin goes back to another one. */
bool is_snapshot_of(const LvmLv& lv, const LvmLv& origin);

/** Makes a physical volume. @param overwrite  whatever is on the device */
Step create_pv_step(const std::string& device, bool overwrite);
/** Makes a group; finish_group_step() makes it stay. */
Step create_group_step(const std::string& group, const std::string& tag,
                       const std::vector<std::string>& devices);
Step finish_group_step(const std::string& group, const std::string& tag);
/** With the volumes that it has now; one that is made until the step runs makes it fail. */
Step remove_group_step(const LvmGroup& group);
/** Takes the label away that LVM knows a device by, if it is still the one of that uuid. */
Step remove_pv_step(const std::string& device, const std::string& uuid);

/** @param inactive  uuids of what is not active now, for going back */
Step activate_group_step(const std::string& group, std::span<const std::string> inactive);
/** @param uuids  in the order in which they can be deactivated; empty: nothing to do */
Step deactivate_lvs_step(const std::string& group, std::span<const std::string> uuids);

/** Runs a command that makes the logical volume of that tag; finish_lv_step() makes it stay. */
Step create_lv_step(const Command& command, const std::string& group, const std::string& tag,
                    std::string summary);
Step finish_lv_step(const std::string& group, const std::string& tag);
/** Runs a command on what an earlier step made, and takes away when it is undone. */
Step run_lvm_step(const Command& command, std::string summary);
/** @param begins  others are removed after it, which a recovery goes on with */
Step remove_lv_step(const std::string& group, const LvmLv& lv, bool begins = false);
Step rename_lv_step(const std::string& group, const LvmLv& lv, const std::string& new_name);
/** Extents of its own. */
Step resize_lv_step(const std::string& group, const LvmLv& lv, std::uint64_t extents,
                    std::uint64_t extent_size);

/** Adds the steps that bring a thin snapshot's state back and keep the snapshot. */
void revert_thin_snapshot(const std::string& group, const LvmLv& volume, const LvmLv& snapshot,
                          Change& change);
/** The same for a classic snapshot, which LVM takes away: it is made again, of the volume as it is
 * then. */
void revert_classic_snapshot(const std::string& group, const LvmLv& volume, const LvmLv& snapshot,
                             std::uint64_t extent_size, Change& change);

inline constexpr std::size_t lvm_action_count = 17;
extern const std::array<Action, lvm_action_count> lvm_actions;

} // namespace storage::inline v1
