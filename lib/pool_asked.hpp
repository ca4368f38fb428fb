// SPDX-License-Identifier: LGPL-2.1-or-later
// Whose storage keeps a call waiting that looks at what a volume is based on.
#pragma once

#include "pool_call.hpp"

namespace storage::inline v1 {

/**
 * The pool whose storage may keep a call on this volume and the images below it waiting: its own;
 * or where that is steady, the one of such an image. A server that hangs holds up nobody else.
 * @param job  of the call; or null
 */
PoolPointer pool_asked(const Volume& volume, Job* job = nullptr);
/** The same for a volume that is to be made. */
PoolPointer pool_asked(const PoolPointer& pool, const VolumeDef& def, Job* job);

} // namespace storage::inline v1
