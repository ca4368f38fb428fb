// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps on files and directories: what dir pools and the state store are changed by.
#pragma once

#include "change.hpp"

#include <basin/definition.hpp>

namespace storage::inline v1 {

/** What a new file or directory shall be. */
struct Attributes {
    Permissions permissions{};
    std::optional<bool> copy_on_write{}; ///< btrfs; absent: as the file system has it
    bool nocow_if_possible{}; ///< with copy_on_write absent: switch it off where that works
};

/** Writes a file by replacing it as a whole. */
Step write_file_step(const std::string& path, std::string content, bool durable,
                     std::string summary);
Step remove_file_step(const std::string& path, bool durable, std::string summary);
Step make_link_step(const std::string& path, const std::string& target, std::string summary);

/** Makes a directory and its missing parents, all at once; the path must not exist. */
Step make_tree_step(const std::string& path, const Attributes& attributes);
/** Sets what is asked for on an existing directory. */
Step set_attributes_step(const std::string& path, const Attributes& attributes);
/** @throws Error busy  it is not empty */
Step remove_directory_step(const std::string& path);
/** @throws Error busy  it is not empty, as far as it can be read */
void require_empty_directory(const std::string& path, const std::string& remedy);

/** identity_text() of what is there now, not following links; "" when there is nothing, or
 * nothing that this process may see. @throws Error  the system failed to look */
std::string file_identity(const std::string& path);

} // namespace storage::inline v1
