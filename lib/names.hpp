// SPDX-License-Identifier: LGPL-2.1-or-later
// Rules for the names, uuids and paths of definitions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace storage::inline v1 {

/** A file name's length in bytes on every Linux file system (NAME_MAX). */
inline constexpr std::size_t file_name_limit = 255;

/** Why this cannot name a pool, as "contains '/'"; "" when it can. NAME.xml must be a file name. */
std::string pool_name_problem(std::string_view name);

/** The same for a volume. */
std::string volume_name_problem(std::string_view name);

/** The same for a snapshot, which may have '/' in its name. */
std::string snapshot_name_problem(std::string_view name);

/** A value for a message: in quotes, on one line, in UTF-8, and cut where it is long. */
std::string shown(std::string_view value);

/** A control character, as "U+000A"; nothing when there is none. */
std::optional<std::string> control_character(std::string_view text);

/** 36 lower-case characters; nothing for what is not a uuid. Hyphens may be missing. */
std::optional<std::string> canonical_uuid(std::string_view text);

/**
 * Collapses runs of '/', keeps exactly two leading ones, and drops a trailing one; leaves
 * "scheme://…" alone, and "." and "..", and looks at no file: as libvirt does.
 */
std::string sanitized_path(std::string_view path);

/** Whether it has the form `iqn.YYYY-MM.reverse.domain[:anything]` (RFC 3720, 3.2.6.3.1). */
bool is_iqn(std::string_view text);

/** Whether it consists of letters, digits, '_', '+' and '-'. */
bool is_generic_name(std::string_view text);

/** Whether it has the form of a DNS name, or is an IP address. */
bool is_host_name(std::string_view text);

/** Whether it is sixteen hexadecimal digits, also behind "0x". */
bool is_wwn(std::string_view text);

} // namespace storage::inline v1
