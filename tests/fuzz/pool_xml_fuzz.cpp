// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever is read as a pool must print, and read again as the same pool.
#include "fuzz.hpp"

#include <basin/definition.hpp>
#include <basin/error.hpp>

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace storage;
    PoolDef def;
    try {
        ParseOptions options;
        options.on_ignored = [](std::string_view) {};
        def = parse_pool(text_of(data, size), options);
    } catch (const Error&) {
        return 0;
    }
    const auto xml = format_pool(def);
    const auto complain = [&](std::string_view line) {
        require(false, "what is printed is ignored when read", std::string(line) + '\n' + xml);
    };
    require(parse_pool(xml, {.on_ignored = complain}) == def,
            "a pool is not the same after printing and reading", xml);
    return 0;
}
