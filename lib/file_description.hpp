// SPDX-License-Identifier: LGPL-2.1-or-later
// Owner, mode, label and times of a file, as the XML shows them.
#pragma once

#include <basin/definition.hpp>

#include <sys/stat.h>

namespace storage::inline v1 {

/** @param status  of the file, or of what it links to */
Permissions permissions_of(const struct ::statx& status, const std::string& path);
/** @param status  with STATX_BTIME */
Timestamps timestamps_of(const struct ::statx& status);

} // namespace storage::inline v1
