// SPDX-License-Identifier: LGPL-2.1-or-later
// Puts JSON documents together from values and from what the library's to_json() gives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace command {

/** The text as a JSON string; bytes that are not UTF-8 become U+FFFD. */
std::string json_string(std::string_view text);

/** An array of values that are JSON already. */
std::string json_array(const std::vector<std::string>& values);
std::string json_strings(const std::vector<std::string>& texts);

/** An object, member by member. */
class JsonObject {
public:
    JsonObject& text(std::string_view key, std::string_view value)
    {
        return raw(key, json_string(value));
    }
    JsonObject& number(std::string_view key, std::uint64_t value)
    {
        return raw(key, std::to_string(value));
    }
    JsonObject& integer(std::string_view key, std::int64_t value)
    {
        return raw(key, std::to_string(value));
    }
    JsonObject& boolean(std::string_view key, bool value)
    {
        return raw(key, value ? "true" : "false");
    }
    /** A value that is JSON already. */
    JsonObject& raw(std::string_view key, std::string_view json);
    /** The members of another object. */
    JsonObject& merge(std::string_view object);

    std::string str() const { return '{' + members_ + '}'; }

private:
    std::string members_;
};

} // namespace command
