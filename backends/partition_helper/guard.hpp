// SPDX-License-Identifier: GPL-3.0-or-later
// What keeps a request that only reads from writing.
#pragma once

namespace partition_helper {

/**
 * Lets the kernel refuse every open for writing from now on. libparted opens for writing even to
 * read; udev takes the close of that for a change, reads the disk again and tells everybody. It
 * goes on with a descriptor for reading when it is refused.
 */
void refuse_writing();

} // namespace partition_helper
