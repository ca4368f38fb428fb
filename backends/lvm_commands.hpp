// SPDX-License-Identifier: LGPL-2.1-or-later
// The programs of LVM that change something, as commands. Names are checked, sizes are extents.
#pragma once

#include "command.hpp"

#include <cstdint>
#include <initializer_list>
#include <span>

namespace storage::inline v1 {

/** What every program of LVM returns when it could not do what it was told (ECMD_FAILED). */
inline constexpr int lvm_failed = 5;
/** … when it did not understand its arguments (EINVALID_CMD_LINE). */
inline constexpr int lvm_misunderstood = 3;

/** Why this cannot name a volume group, as "contains '/'"; "" when it can. See lvm(8), VALID NAMES.
 */
std::string group_name_problem(std::string_view name);
/** The same for a logical volume of that group. */
std::string lv_name_problem(std::string_view name, std::string_view group);
/** @throws Error invalid_argument */
const std::string& checked_group_name(const std::string& name);

/** `lvm VERB`, all programs of LVM in one. */
Command lvm_command(std::string_view verb);
/** Ends the options and adds what they are about. */
void add_operands(Command& command, std::initializer_list<std::string> operands);

/** The number of extents that hold so many bytes. @throws Error invalid_argument  too many */
std::uint64_t extents_for(std::uint64_t bytes, std::uint64_t extent_size);

/** A logical volume to be made. */
struct NewLv {
    std::string group{};
    std::string name{};
    std::string tag{};        ///< put on it at once, so that it can be found by that
    std::uint64_t extents{};  ///< of its own; of a classic snapshot for differences
    std::uint32_t stripes{1}; ///< linear and thin pools
    std::uint64_t extent_size{};
};

Command create_thick(const NewLv& lv);
/** @param metadata_extents  once for the pool and once for the group's spare */
Command create_thin_pool(const NewLv& lv, std::uint64_t metadata_extents);
/** Takes no space but in the thin pool. */
Command create_thin(const NewLv& lv, const std::string& pool);
/** A thin volume with the present content of another one. */
Command create_thin_snapshot(const NewLv& lv, const std::string& origin);
Command create_classic_snapshot(const NewLv& lv, const std::string& origin);

/** Which logical volume is meant: the one of that uuid, in that group. */
struct LvIdentity {
    std::string group{};
    std::string uuid{};
};

/** Does nothing where there is no such volume. Classic snapshots of it would go with it; it is left
 * alone where there are some. */
Command remove_lv(const LvIdentity& lv);
Command rename_lv(const std::string& group, const std::string& name, const std::string& new_name);
Command extend_lv(const std::string& group, const std::string& name, std::uint64_t extents);
/** Cuts off the end whatever it holds. @param knows_file_systems  LVM 2.03.17 and later has to be
 * told that it is to look at none; earlier ones do not know the option */
Command reduce_lv(const std::string& group, const std::string& name, std::uint64_t extents,
                  bool knows_file_systems);
/** A thin pool; thin volumes in it make it fail, and an active one does. */
Command remove_thin_pool(const LvIdentity& pool);
/** Takes the tag from the logical volume that has it. */
Command untag_lv(const std::string& group, const std::string& tag);
/** Puts a tag on every thin snapshot of a volume. */
Command tag_snapshots(const std::string& group, const std::string& origin, const std::string& tag);
/** Brings the state of a snapshot back to its origin; the snapshot is gone then. */
Command merge_lv(const std::string& group, const std::string& snapshot);

/** Activates, on this host, all that is not to be left out. */
Command activate_group(const std::string& group);
Command deactivate_group(const std::string& group);
/** Some hundreds of uuids at a time, so that the argument is not too long for execve(2). */
Command activate_lvs(const std::string& group, std::span<const std::string> uuids);
Command deactivate_lvs(const std::string& group, std::span<const std::string> uuids);
inline constexpr std::size_t uuids_at_a_time = 500;
/** @param overwrite  whatever is on the device, also if it belongs to another group; else a
 * signature makes it fail */
Command create_pv(const std::string& device, const std::string& uuid, bool overwrite);
Command remove_pv(const std::string& device);
Command create_group(const std::string& group, const std::string& tag,
                     const std::vector<std::string>& devices);
/** @param with_volumes  also if it has logical volumes; else they make it fail */
Command remove_group(const std::string& uuid, bool with_volumes);
Command remove_tagged_group(const std::string& tag);
Command untag_group(const std::string& group, const std::string& tag);

} // namespace storage::inline v1
