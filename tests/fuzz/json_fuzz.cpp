// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever is read as JSON must print, and read again as the same definition; and either print as
// XML or be refused.
#include "fuzz.hpp"

#include <basin/definition.hpp>
#include <basin/error.hpp>

namespace {

using namespace storage;

template <typename Read, typename Format>
void round_trip(std::string_view text, Read&& read, Format&& format)
{
    decltype(read(text)) def;
    try {
        def = read(text);
    } catch (const Error&) {
        return;
    }
    const auto json = to_json(def);
    require(read(json) == def, "a definition is not the same after printing and reading", json);
    try {
        format(def);
    } catch (const Error&) {
        return; // an unknown type, or a character that XML has no way to write
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = text_of(data, size);
    round_trip(text, pool_from_json, [](const PoolDef& def) { return format_pool(def); });
    round_trip(text, volume_from_json,
               [](const VolumeDef& def) { return format_volume(def, "dir"); });
    return 0;
}
