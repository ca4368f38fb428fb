// SPDX-License-Identifier: LGPL-2.1-or-later
// Error: the one exception type of basin, with codes that C and C++ share.
#pragma once

#include <basin/version.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace storage::inline v1 {

/**
 * What went wrong, in the words that a caller can act on. The values are frozen, negative, and the
 * same as the BASIN_E_ constants in <basin/basin.h>; new codes are only appended.
 */
enum class ErrorCode : int {
    invalid_argument = -1,   ///< null, unknown flag, bad value: fix the call
    invalid_xml = -2,        ///< definition not accepted (line, element named): fix the definition
    not_found = -3,          ///< no such pool, volume, source or path: look it up again
    already_exists = -4,     ///< name, uuid, source or path is taken: choose another
    invalid_state = -5,      ///< e.g. a volume call on an inactive pool: start or stop it first
    not_supported = -6,      ///< the backend lacks the capability: do not retry, see BackendInfo
    unavailable = -7,        ///< a tool, kernel feature or library is missing (named): install it
    busy = -8,               ///< another process, job or user holds it (named): retry later
    no_space = -9,           ///< no room, or over quota: free or add space
    permission_denied = -10, ///< the system refuses: change rights or user
    io = -11,                ///< any other system error, errno in os_error()
    connection = -12,        ///< server not reachable: retry, or mend the network
    command_failed = -13,    ///< a tool ended with an error; detail() has argv and stderr
    parse_failed = -14,      ///< a tool or file answered something that basin does not understand
    timed_out = -15,         ///< the deadline passed: retry
    cancelled = -16,         ///< Job::cancel() was called: nothing to do
    no_memory = -17,         ///< out of memory
    internal = -18,          ///< a bug in basin: report it
};

/** Returns the code's name as written above ("invalid_argument"); "unknown" for a stranger. */
BASIN_API std::string_view to_string(ErrorCode code) noexcept;

/**
 * The exception that every basin call throws; nothing else leaves the library but std::bad_alloc.
 *
 * what() is one line without a full stop that names the object and the value, such as
 * `pool 'vms': target path '/srv/vms' does not exist`. It never holds a secret.
 */
class BASIN_API Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message, std::string remedy = {},
          std::string detail = {}, int os_error = 0);
    Error(const Error&);
    Error& operator=(const Error&);
    ~Error() override;

    ErrorCode code() const noexcept { return code_; }

    /** What the caller can do about it, in one line; may be empty. */
    const std::string& remedy() const noexcept { return remedy_; }

    /** Evidence over several lines (argv with secrets redacted, exit status, stderr); may be empty.
     */
    const std::string& detail() const noexcept { return detail_; }

    /** The errno value behind the error, or 0. */
    int os_error() const noexcept { return os_error_; }

    /** Whether the same call can succeed later without a change by the caller: busy, timed_out,
     * connection. */
    bool retryable() const noexcept;

private:
    ErrorCode code_;
    int os_error_;
    std::string remedy_;
    std::string detail_;
};

/** One JSON object; schema: basin.schema.json. */
BASIN_API std::string to_json(const Error& error);

} // namespace storage::inline v1
