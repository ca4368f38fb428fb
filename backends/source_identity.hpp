// SPDX-License-Identifier: LGPL-2.1-or-later
// Canonical names of what a pool is made of: two spellings of one thing give one text.
#pragma once

#include <basin/definition.hpp>

#include "system_root.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace storage::inline v1 {

/**
 * A directory by its real path, which it has before it exists too, and once it exists by device and
 * inode, which hold whatever mounts lead to it.
 */
std::vector<std::string> directory_identities(const std::string& path);

/** Each source device: by device number, by device and inode for a file, else by its path. */
std::vector<std::string> device_identities(const PoolDef& def, const SystemRoot& system);

/** "name[:port]" in lower case, addresses in their shortest form; without the port where it is one
 * of the defaults. */
std::string canonical_host(const SourceHost& host, std::initializer_list<std::int32_t> defaults);

/** A directory of a server without doubled slashes, "." and a slash at its end. ".." stays: what it
 * means behind a symbolic link is the server's to know. */
std::string canonical_server_directory(std::string_view path);

/** An iSCSI target as one initiator sees it; the portal does not matter (RFC 3720, 3.2.6: names
 * are unique world-wide). */
std::vector<std::string> iscsi_identities(const PoolDef& def);

} // namespace storage::inline v1
