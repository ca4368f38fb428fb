// SPDX-License-Identifier: LGPL-2.1-or-later
#include "json_io.hpp"

namespace storage::inline v1 {

Json parse_json(std::string_view text)
{
    constexpr std::size_t size_limit = 1024 * 1024;
    constexpr int depth_limit = 64;
    constexpr std::size_t key_limit = 1024; // each is compared with those before it
    if (text.size() > size_limit)
        throw Error(ErrorCode::invalid_argument,
                    "JSON: " + std::to_string(text.size()) +
                        " bytes are more than the limit of 1 MiB",
                    "make it shorter");

    std::vector<std::set<std::string>> keys;
    const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::object_start ||
            event == Json::parse_event_t::array_start) {
            if (depth >= depth_limit)
                throw Error(ErrorCode::invalid_argument,
                            "JSON: nested deeper than " + std::to_string(depth_limit),
                            "nest it less");
            keys.emplace_back();
        } else if (event == Json::parse_event_t::object_end ||
                   event == Json::parse_event_t::array_end) {
            keys.pop_back();
        } else if (event == Json::parse_event_t::key) {
            const auto key = parsed.get<std::string>();
            if (!keys.back().insert(key).second)
                throw Error(ErrorCode::invalid_argument,
                            "JSON: key '" + key.substr(0, 64) + "' is given twice in one object",
                            "give it once");
            if (keys.back().size() > key_limit)
                throw Error(ErrorCode::invalid_argument,
                            "JSON: more than " + std::to_string(key_limit) + " keys in one object",
                            "make it shorter");
        }
        return true;
    };
    try {
        return Json::parse(text, check);
    } catch (const Json::exception& error) {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
        const std::string what = error.what();
        const auto id = what.find("] ");
        throw Error(ErrorCode::invalid_argument,
                    "JSON: " + what.substr(id == what.npos ? 0 : id + 2), "make it JSON there");
    }
}

std::string print_json(const Json& json)
{
    try {
        return json.dump();
    } catch (const Json::exception&) {
        throw Error(ErrorCode::invalid_argument,
                    "a text that is not UTF-8 cannot be written as JSON", "correct that text");
    }
}

} // namespace storage::inline v1
