// SPDX-License-Identifier: LGPL-2.1-or-later
// The table of internal snapshots of a qcow2 image.
#pragma once

#include <basin/volume.hpp>

#include <string>
#include <vector>

namespace storage::inline v1 {

/**
 * Reads the snapshots of a qcow2 image, in the table's order. `size` is the virtual disk's size
 * when the snapshot was taken; where the table does not say (images of compat 0.10), it is the
 * image's now. Bytes of a name that are no text are shown as \xNN.
 *
 * Reads with pread(2) alone and never more than 65536 snapshots in 16 MiB, QEMU's number and a
 * quarter of its size.
 * @throws Error parse_failed  no qcow2 image, or a table that cannot be true: names the field; io
 */
std::vector<Snapshot> read_qcow2_snapshots(int fd, const std::string& path);

} // namespace storage::inline v1
