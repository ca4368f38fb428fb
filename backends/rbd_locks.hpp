// SPDX-License-Identifier: LGPL-2.1-or-later
// Locks that other programs keep on images ('rbd lock add'): librbd waits for their end, for good.
#pragma once

#include "rbd_connection.hpp"

#include <string>
#include <vector>

namespace storage::inline v1 {

/** Who holds one, as a message says it. Not those that librbd passes on to who asks for them. */
std::vector<std::string> foreign_locks(const RbdImage& image);

/** Before an image is changed: it is the one that is meant, and nobody's lock would keep this
 * client waiting. @throws Error not_found, busy */
void require_changeable(const RbdImage& image, const std::string& id);

} // namespace storage::inline v1
