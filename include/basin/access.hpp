// SPDX-License-Identifier: LGPL-2.1-or-later
// explain_access(): which part of a path, and which rule, keeps a user from a file.
#pragma once

#include <basin/version.h>

#include <cstdint>
#include <span>
#include <string>

namespace storage::inline v1 {

/** What somebody wants to do with a file or directory; combined with |. Values are access(2)'s. */
enum class AccessMode : std::uint8_t { search = 1, write = 2, read = 4 };
constexpr AccessMode operator|(AccessMode a, AccessMode b)
{
    return static_cast<AccessMode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

/** Whether a user may, and if not, what stands in the way. */
struct AccessExplanation {
    bool allowed{};
    std::string component{}; ///< the path of the first component that denies; "" when allowed
    /** The rule in words: "mode 0700 of uid 0, gid 0: others have no search permission", "ACL: …",
     * "read-only file system", "immutable". When allowed: "", or what may still refuse and cannot
     * be known from here. */
    std::string rule{};
    std::string remedy{}; ///< what would allow it, in words; "" when allowed
    bool operator==(const AccessExplanation&) const = default;
};

/**
 * Finds out, without becoming that user, whether it may use a path: search permission of each
 * component, symbolic links followed, then what is asked for at the end; by mode, POSIX ACL,
 * capabilities of uid 0, read-only mounts, the immutable and append-only flags. Where the path's
 * owner is not mapped into this user namespace, or the file system asks a server (NFS with
 * root_squash, FUSE without allow_other), the rule says what cannot be known from here.
 * @param groups  supplementary groups
 * @throws Error not_found  a component does not exist, or is a file with more of the path behind it
 * ("FILE/"); invalid_argument  the path is not absolute; io; permission_denied  this process itself
 * may not look; timed_out  a server or device on the way has not answered for 30 seconds;
 * a thread goes on waiting for it
 * @note Thread-safe. Blocks on the storage.
 * @since 0.1
 */
BASIN_API AccessExplanation explain_access(const std::string& path, std::uint32_t uid,
                                           std::uint32_t gid, std::span<const std::uint32_t> groups,
                                           AccessMode mode);

BASIN_API std::string to_json(const AccessExplanation& explanation);

} // namespace storage::inline v1
