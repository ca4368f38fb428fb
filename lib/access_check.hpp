// SPDX-License-Identifier: LGPL-2.1-or-later
// explain_access() with the system's tables from elsewhere, and POSIX ACLs.
#pragma once

#include <basin/access.hpp>

#include <chrono>
#include <optional>
#include <vector>

namespace storage::inline v1 {

class SystemRoot;

AccessExplanation explain_access(const std::string& path, std::uint32_t uid, std::uint32_t gid,
                                 std::span<const std::uint32_t> groups, AccessMode mode,
                                 const SystemRoot& system);
/** The public one, which waits for storage that does not answer no longer than that. */
AccessExplanation explain_access(const std::string& path, std::uint32_t uid, std::uint32_t gid,
                                 std::span<const std::uint32_t> groups, AccessMode mode,
                                 std::chrono::milliseconds patience);

/** One entry of a POSIX ACL (acl(5)). */
struct AclEntry {
    enum Tag : std::uint16_t {
        user_obj = 1,
        user = 2,
        group_obj = 4,
        group = 8,
        mask = 16,
        other = 32
    };
    Tag tag{};
    unsigned rights{}; ///< as in a mode: 4 read, 2 write, 1 search
    std::uint32_t id{};
    bool operator==(const AclEntry&) const = default;
};

/** Reads the value of system.posix_acl_access; nothing where it is no ACL of version 2. */
std::optional<std::vector<AclEntry>> parse_acl(std::string_view value);

} // namespace storage::inline v1
