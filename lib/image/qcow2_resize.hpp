// SPDX-License-Identifier: LGPL-2.1-or-later
// Grows qcow2 images where that is a matter of the header alone, and prepares others for it.
#pragma once

#include <cstdint>
#include <string>

namespace storage::inline v1 {

/**
 * Grows an image, open for reading and writing, to new_capacity rounded up to 512 bytes. What comes
 * into use is flushed before the header names it, in one write of one sector, which is flushed
 * before this returns: killed at any instant, the image is whole and has its old or its new size.
 *
 * Holds the locks by which QEMU keeps others away meanwhile.
 * @return false  nothing was done, qemu-img has to: encryption, a backing file (the new part must
 * hide what it may have there), snapshots with compat 0.10 or before the L1 table, bitmaps, an
 * external data file, marks (dirty, corrupt) or features not known here, no room in the L1 table's
 * clusters, damage
 * @throws Error invalid_argument  smaller than now, or too large; busy  open in another program;
 * parse_failed  no qcow2 image; no_space, io
 */
bool grow_qcow2(int fd, std::uint64_t new_capacity, const std::string& path);

/** Whether grow_qcow2() would do it, going by what the file has now. It is only read. */
bool can_grow_qcow2(int fd, std::uint64_t new_capacity, const std::string& path);

/**
 * Makes an image file, open for reading and writing, end with its last cluster in use, as QEMU does
 * when an image shrinks: where it grows and allocates, it takes for zeros what lies behind that.
 * @throws Error invalid_state  not closed cleanly, or damaged; busy  open in another program
 */
void cut_unused_end(int fd, const std::string& path);

} // namespace storage::inline v1
