// SPDX-License-Identifier: LGPL-2.1-or-later
// What is on a device: file system, volume manager, partition table; by libblkid.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace storage::inline v1 {

class SystemRoot;

/** What libblkid recognises; its names (blkid(8)): "ext4", "LVM2_member", "gpt" … */
struct DeviceContent {
    std::string type{}; ///< "": nothing
    std::string label{};
    std::string uuid{};
    bool is_partition_table{};
    bool is_file_system{}; ///< not swap space, a part of a RAID, an encrypted volume …
    bool is_ambiguous{};   ///< more than one thing claims the device; type is one of them, or ""

    bool empty() const { return type.empty() && !is_ambiguous; }
    /** For messages: "a file system or volume of type 'ext4'". */
    std::string text() const;
};

/** Looks at a device, or a file that is an image of one. Reads only. @throws Error */
DeviceContent probe_device(const std::string& path);
DeviceContent probe_device(int fd, const std::string& path);

/**
 * A text that tells a device, and what is on it, from another device that has its path by then, or
 * from other content: number, disk sequence number, type and UUID of what libblkid recognises.
 * @throws Error not_found
 */
std::string device_content_identity(const std::string& path);

/** @throws Error permission_denied  the kernel lets nobody write to it, not even root */
void require_writable_device(int fd, const std::string& path);
/**
 * What must hold before something new is written over a device that may not be overwritten.
 * @throws Error already_exists  it has content, which is named
 */
void require_empty_device(const std::string& path);

/**
 * Takes away all by which libblkid recognises something on the device, as wipefs(8) does, but for
 * the types that are to be kept; the rest of the content stays.
 * @param is_kept  asked with libblkid's names, of partition tables too; null: none is kept
 * @throws Error busy  it is mounted, or part of something
 */
void clear_signatures(const std::string& path,
                      const std::function<bool(std::string_view)>& is_kept);

/**
 * The device that a definition means: an absolute path, or as mount(8) has it UUID=, LABEL=,
 * PARTUUID= or PARTLABEL=. Tags are looked for in /dev/disk, and where udev does not keep that on
 * the devices themselves.
 * @throws Error not_found; invalid_argument
 */
std::string find_device(const std::string& source, const SystemRoot& system);
/** The device that a tag means by udev's links, or "": nothing is searched, nothing is an error. */
std::string linked_device(const std::string& source, const SystemRoot& system);

} // namespace storage::inline v1
