// SPDX-License-Identifier: LGPL-2.1-or-later
// What a clone needs before it loses its parent.
#pragma once

#include "rbd_connection.hpp"

namespace storage::inline v1 {

/**
 * Copies from the parent what flattening would leave out. Ceph (seen with 16.2) skips objects that
 * the object map has, and the map has them before they are written: where a client died in between,
 * for one while it flattened, the object is not there, and the parent's data is lost with the
 * parent.
 */
void copy_up_unwritten(const RbdImage& image, Job* job);

} // namespace storage::inline v1
