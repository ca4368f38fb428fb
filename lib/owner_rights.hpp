// SPDX-License-Identifier: LGPL-2.1-or-later
// What basin makes can be used by its owner, whatever the host's umask, which it does not change.
#pragma once

#include <string>

namespace storage::inline v1 {

/** Gives the owner of a file that was made with this mode the rights that a umask took. */
void restore_owner_rights(int fd, unsigned mode) noexcept;

/** mkdirat(2), but that the owner has the mode's rights whatever the umask. */
int make_directory_at(int parent, const std::string& name, unsigned mode);

} // namespace storage::inline v1
