// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-img(1): makes, copies and changes images. Checked with version 7.2.
//
// Formats are always given and never probed: qcow, qcow2, qed, vmdk, vdi, vpc, vhdx, parallels, raw
// and luks (version 1, raw inside); bochs, cloop and dmg can be read. The names are QEMU's.
//
// qemu-img follows what an image's header refers to, such as a backing file, wherever that leads.
// Look at a source with inspect_image() before, and refuse references that are not those of its
// definition.
//
// New files have mode 0600. A VMDK names itself inside: make it under its final file name, in
// another directory if need be, and not through a descriptor.
#pragma once

#include "command.hpp"
#include "image/preallocation.hpp"

#include <chrono>
#include <cstdint>

namespace storage::inline v1 {

/** A file or block device that qemu-img reads or writes. */
struct QemuImage {
    std::string path{}; ///< absolute
    std::string format{};
    int fd{-1};        ///< not negative: this file, which may have no name; path is not used
    int directory{-1}; ///< not negative: path's last component is one of this directory's
    std::optional<Secret> secret{}; ///< for luks, and for qcow2 that is encrypted
    std::uint64_t virtual_size{};   ///< of a source, for the progress; 0: it is in percent
};

struct QemuImgOptions {
    /** Bytes, rounded up to 512; of a conversion, at least the source's size or 0: the same. */
    std::uint64_t capacity{};
    /**
     * What the image is put on, as it is written into the header: an absolute path, or one relative
     * to the image's directory. It is not opened, so capacity is needed.
     */
    std::string backing_path{};
    std::string backing_format{};
    std::optional<Encryption>
        encryption{};              ///< cipher and ivgen, where they are not QEMU's defaults
    Preallocation preallocation{}; ///< vdi, vpc and vhdx know off, and full for a fixed size
    std::string compat{};          ///< qcow2: "0.10" or "1.1"
    std::uint64_t cluster_size{};  ///< 0: the format's default
    bool lazy_refcounts{};
    bool extended_l2{};
    std::uint32_t refcount_bits{}; ///< 0: QEMU's default
    bool direct{};                 ///< convert past the page cache; not every file system can
};

/**
 * Creates an image, over what is there.
 * @throws Error not_supported     a format or option that it cannot be
 *               invalid_argument  a path, name or number that cannot be passed on
 *               command_failed, unavailable, cancelled, timed_out
 */
void qemu_img_create(CommandRunner& runner, const QemuImage& target, const QemuImgOptions& options,
                     Job* job);

/**
 * Copies what a guest sees in source, with all that is below it, into a new image over what is
 * there. Where one of them is encrypted, the target is created first and then filled. The data has
 * reached the disk at the end.
 *
 * A backing file of the target is one that has what the source's has: what the source shows of its
 * own is not copied. It is opened, so that its path must be absolute.
 */
void qemu_img_convert(CommandRunner& runner, const QemuImage& source, const QemuImage& target,
                      const QemuImgOptions& options, Job* job);

/** How to change a size. */
struct QemuImgResize {
    std::uint64_t capacity{}; ///< bytes, rounded up to 512
    bool shrink{};            ///< allowed to cut off data
    Preallocation preallocation{};
};
void qemu_img_resize(CommandRunner& runner, const QemuImage& image, const QemuImgResize& resize,
                     Job* job);

/** Overwrites what a guest sees in a range with zeros. */
void qemu_img_clear(CommandRunner& runner, const QemuImage& image, std::uint64_t offset,
                    std::uint64_t length, Job* job);

/**
 * Copies into the image what it has of its backing file only, and then forgets that: "rebase -b ''"
 * in qemu-img's safe mode. Until the last write it is still on its backing file, with the same
 * content. What snapshots inside it have of the backing file they lose.
 */
void qemu_img_flatten(CommandRunner& runner, const QemuImage& image, Job* job);

enum class SnapshotAction : std::uint8_t { create, apply, remove };
/**
 * Internal snapshots of qcow2. A name has at most 255 bytes, and a new one is not a number.
 * @param name  of several snapshots the first one's. To apply one, what is a number means an id
 * first, and only then a name.
 */
void qemu_img_snapshot(CommandRunner& runner, const QemuImage& image, SnapshotAction action,
                       const std::string& name, Job* job);

/**
 * What the functions above run, in this order, for a step's record. They refuse what those refuse
 * before they run anything. An image's secret may be empty.
 */
Command qemu_img_create_command(const QemuImage& target, const QemuImgOptions& options);
std::vector<Command> qemu_img_convert_commands(const QemuImage& source, const QemuImage& target,
                                               const QemuImgOptions& options);
Command qemu_img_resize_command(const QemuImage& image, const QemuImgResize& resize);
Command qemu_img_clear_command(const QemuImage& image, std::uint64_t offset, std::uint64_t length);
Command qemu_img_flatten_command(const QemuImage& image);
Command qemu_img_snapshot_command(const QemuImage& image, SnapshotAction action,
                                  const std::string& name);

/** What a check found, and what is left after a repair. */
struct QemuImgCheck {
    std::uint64_t errors{};
    std::uint64_t corruptions{};
    std::uint64_t leaks{};
    std::uint64_t leaks_repaired{};
    bool operator==(const QemuImgCheck&) const = default;
};
/** @throws Error not_supported  the format has no check; parse_failed; command_failed */
QemuImgCheck qemu_img_check(CommandRunner& runner, const QemuImage& image, bool repair_leaks,
                            Job* job);

/** Sets right what a qcow2 image says of its own clusters: how often each is used, and which may be
 * written in place. What it is based on is not opened.
 * @param limit  timed_out after this much time; 0: none
 * @throws Error command_failed  also where somebody has it open */
void qemu_img_repair(CommandRunner& runner, const QemuImage& image,
                     std::chrono::milliseconds limit);

/** Such as "7.2.22". */
std::string qemu_img_version(CommandRunner& runner, Job* job);

} // namespace storage::inline v1
