// SPDX-License-Identifier: GPL-3.0-or-later
// basin-partition: reads and changes one partition table, for pools of type "disk".
//
// A program of its own because it links libparted: libparted is GPL-3.0-or-later, so this program
// is too, while the library that runs it stays LGPL; and libparted may abort on what it finds on a
// disk, which then ends this program alone.
//
// One request as a JSON object on standard input, one answer as a JSON object on standard output:
//   {"operation": "read", "device": "/dev/sda"}
//   {"table": "gpt", "partitions": [...], "free": [...], ...}
//   {"error": {"code": "no_space", "message": "...", "remedy": "..."}}
// What is refused is an answer, with status 0; any other status is a malfunction.
#include "operations.hpp"
#include "table.hpp"

#include <exception>
#include <iostream>

namespace partition_helper {
namespace {

struct Operation {
    std::string_view name;
    Json (*run)(const Request&);
    bool write;
};

constexpr Operation operations[] = {
    {"read", read, false},    {"label", label, true},   {"clear", clear, true},
    {"create", create, true}, {"delete", remove, true}, {"resize", resize, true},
    {"rename", rename, true}, {"sync", sync, true},
};

std::string read_input()
{
    std::string text(request_limit + 1, '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > request_limit)
        throw Refusal("invalid_argument", "request: longer than 64 KiB");
    return text;
}

Json answer()
{
    const auto request = parse_request(read_input());
    for (const auto& each : operations) {
        if (each.name != request.operation)
            continue;
        install_handler(!each.write    ? Handling::read
                        : request.plan ? Handling::plan
                                       : Handling::write);
        return each.run(request);
    }
    throw Refusal("invalid_argument", "request: unknown operation '" + request.operation + "'");
}

Json error(const char* code, const std::string& message, const std::string& remedy = {})
{
    Json error = {{"code", code}, {"message", message}};
    if (!remedy.empty())
        error["remedy"] = remedy;
    return {{"error", error}};
}

} // namespace
} // namespace partition_helper

int main()
{
    using namespace partition_helper;
    Json result;
    try {
        result = answer();
        if (auto warnings = take_messages(); !warnings.empty())
            result["warnings"] = warnings;
    } catch (const Refusal& refusal) {
        result = error(refusal.code(), refusal.what(), refusal.remedy());
    } catch (const std::bad_alloc&) {
        result = error("no_memory", "out of memory");
    } catch (const std::exception& exception) {
        result = error("internal", exception.what());
    }
    // What a disk has for a name need not be UTF-8.
    std::cout << result.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
    return std::cout ? 0 : 1;
}
