// SPDX-License-Identifier: LGPL-2.1-or-later
// What the system itself shows to stand in the way of changing one file, directory or device.
#pragma once

#include <basin/volume.hpp>

#include <functional>
#include <set>
#include <sys/types.h>

namespace storage::inline v1 {

class SystemRoot;

/** Whether anything on this host, process or kernel, has a file open. */
enum class Usage : std::uint8_t {
    unused,
    in_use,
    unknown, ///< no regular file, not ours, or a file system whose answer is not to be trusted
};

/**
 * Asks the kernel for a lease, which it grants only while nobody else has the file open or mapped,
 * for reading or writing, this process included; loop devices and swap areas count, O_PATH does
 * not. Seven system calls, nothing is searched. Symbolic links are followed.
 *
 * For an instant others who open the file wait for us, or with O_NONBLOCK get EWOULDBLOCK.
 */
Usage usage_of(const std::string& path);

/**
 * What stands in the way of changing what is at the path; symbolic links are followed, so that who
 * removes or renames a link itself need not ask. Of nothing, nothing. Kinds: open, loop_device,
 * mounted, holder. An unused file costs no more than usage_of().
 * @throws Error permission_denied, io  the path cannot be looked at
 */
std::vector<Blocker> file_blockers(const std::string& path, const SystemRoot& system);

/** The same without asking the kernel for a lease first. Reads all that /proc and /sys show. */
std::vector<Blocker> search_blockers(const std::string& path, const SystemRoot& system);

/**
 * Refuses what is in use, and not for a moment only, as by who was told of a change and looks.
 * @param allowed  kinds that stand in no way
 * @throws Error busy
 */
void require_unused(const std::string& path, const SystemRoot& system,
                    BlockerKind allowed = BlockerKind::none);

/** What is looked for in the tables of processes and of the kernel. */
struct BlockedObject {
    std::string path{}; ///< without symbolic links
    dev_t device{};
    ino_t inode{};
    mode_t mode{};
    std::set<dev_t> block_devices{}; ///< a device and its partitions

    bool is(dev_t its_device, ino_t its_inode) const
    {
        return its_device == device && its_inode == inode;
    }
    /** Whether an absolute path is this one or below it. */
    bool contains(std::string_view other) const;
};

/** One Blocker for each process that uses the object, in the order of their numbers. */
std::vector<Blocker> using_processes(const BlockedObject& object, const SystemRoot& system);

/** Calls visit with each entry's name but those that begin with a dot. @return false where the
 * directory cannot be read */
bool for_each_name(const std::string& directory, const std::function<void(const char*)>& visit);

} // namespace storage::inline v1
