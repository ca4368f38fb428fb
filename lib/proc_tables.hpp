// SPDX-License-Identifier: LGPL-2.1-or-later
// The tables of /proc and /sys as text: lines, words, escapes; and the table of mounts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace storage::inline v1 {

class SystemRoot;

/** The lines of a table; none where it cannot be had. @throws Error io */
std::vector<std::string> lines_of(const std::string& path);

/** The text up to the next blank; the line goes on with what comes after the blanks. */
std::string_view take_word(std::string_view& line);

/** A path as /proc writes it: blank, tab, newline and backslash are three octal digits. */
std::string unescaped(std::string_view text);

struct MountEntry {
    std::uint64_t id{};
    std::uint64_t parent{}; ///< the mount that it lies on
    std::string device{};   ///< 98:0
    std::string root{};     ///< the directory of the file system that is mounted; "/": all of it
    std::string point{};
    std::string type{};
    std::string source{};
    std::string options{}; ///< of the file system: rw,user_id=1000
    bool is_read_only{};   ///< this mount of it is, whatever others are

    bool has_option(std::string_view name) const;
    /** The option's value, or "". */
    std::string option(std::string_view name) const;
};

/** The mounts that this process sees. */
std::vector<MountEntry> mount_table(const SystemRoot& system);

/** What a table has at exactly this place, on top of all else there; nullptr where nothing is. Not
 * simply the last one: a mount that was moved there lies over younger ones. */
const MountEntry* top_mount(const std::vector<MountEntry>& table, std::string_view point);

/** What is mounted at a path, links followed, on top of all else there. */
std::optional<MountEntry> mount_at(const std::string& path, const SystemRoot& system);

} // namespace storage::inline v1
