// SPDX-License-Identifier: LGPL-2.1-or-later
#include "utf8.hpp"

#include <basin/error.hpp>

#include <algorithm>

namespace storage::inline v1 {
namespace {

/** One line of text, whatever the names in it are: what is none is shown by its bytes. */
std::string one_line(const std::string& message)
{
    constexpr std::string_view digits = "0123456789abcdef";
    if (is_plain_text(message))
        return message;
    std::string result;
    for (std::string_view rest = message; !rest.empty();) {
        const auto character = rest.substr(0, std::max<std::size_t>(decode_utf8(rest).length, 1));
        if (is_plain_text(character))
            result += character;
        else
            for (const unsigned char byte : character)
                result += {'\\', 'x', digits[byte >> 4], digits[byte & 0xF]};
        rest.remove_prefix(character.size());
    }
    return result;
}

} // namespace

Error::Error(ErrorCode code, const std::string& message, std::string remedy, std::string detail,
             int os_error)
    : std::runtime_error(one_line(message)), code_(code), os_error_(os_error),
      remedy_(std::move(remedy)), detail_(std::move(detail))
{
}

Error::Error(const Error&) = default;
Error& Error::operator=(const Error&) = default;
Error::~Error() = default;

bool Error::retryable() const noexcept
{
    return code_ == ErrorCode::busy || code_ == ErrorCode::timed_out ||
           code_ == ErrorCode::connection;
}

std::string_view to_string(ErrorCode code) noexcept
{
    switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::invalid_xml: return "invalid_xml";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::already_exists: return "already_exists";
    case ErrorCode::invalid_state: return "invalid_state";
    case ErrorCode::not_supported: return "not_supported";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::busy: return "busy";
    case ErrorCode::no_space: return "no_space";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::io: return "io";
    case ErrorCode::connection: return "connection";
    case ErrorCode::command_failed: return "command_failed";
    case ErrorCode::parse_failed: return "parse_failed";
    case ErrorCode::timed_out: return "timed_out";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::no_memory: return "no_memory";
    case ErrorCode::internal: return "internal";
    }
    return "unknown";
}

} // namespace storage::inline v1
