// SPDX-License-Identifier: LGPL-2.1-or-later
// File systems that a pool mounts, by mount(8) and umount(8) of util-linux.
#pragma once

#include "backend.hpp"
#include "proc_tables.hpp"

namespace storage::inline v1 {

/** What a pool mounts, and where. */
struct PoolMount {
    std::string source{}; ///< a device, an image file, or what the file system calls a server
    std::string target{};
    std::string type{};    ///< the kernel's name; may be filled in when the step runs
    std::string options{}; ///< separated by commas
};

/** Whether it is the mount's source: the same device by whatever name, the file behind a loop
 * device, or the same text. */
bool is_source_of(const MountEntry& mount, const std::string& source, const SystemRoot& system);

/**
 * running where the source is mounted at the target, degraded where only reading is left that was
 * not asked for.
 * @param read_only  whether that is as it should be
 */
Presence mount_presence(const PoolMount& mount, bool read_only, const SystemRoot& system);

/** The options in libvirt's order: safe defaults, the type's own, those of the definition. */
std::string mount_options(std::string_view of_type, const std::vector<std::string>& defined);

/**
 * Mounts, unless that is the case already.
 * @param prepare  may fill in the step's "type" and "options" when it runs; null: nothing to add
 * @return the note for list_unmount(): what was mounted, or "" where it is not ours to undo
 * @throws Error busy  something else is mounted there
 */
std::string list_mount(const PoolMount& mount, std::function<void(Arguments&)> prepare,
                       const SystemRoot& system, Change& change);
/** Unmounts what list_mount() mounted, if it is still there; its source may be gone. */
void list_unmount(const std::string& target, const std::string& note, const SystemRoot& system,
                  Change& change);

void apply_mount(StepRun& run);
void undo_mount(StepRun& run);
void apply_unmount(StepRun& run);

/** For BackendType::actions of each type that mounts. */
inline constexpr Action mount_action{"mount", apply_mount, undo_mount, false};
inline constexpr Action unmount_action{.name = "unmount", .apply = apply_unmount, .forward = true};

} // namespace storage::inline v1
