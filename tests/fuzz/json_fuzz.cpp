// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever is read as JSON must print, and read again as the same definition; and either be refused
// as XML or be read from it as something that stays the same.
#include "fuzz.hpp"

#include <basin/definition.hpp>
#include <basin/error.hpp>

namespace {

using namespace storage;

template <typename Read, typename Format, typename Parse>
void round_trip(std::string_view text, Read&& read, Format&& format, Parse&& parse)
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
        def = parse(format(def));
    } catch (const Error&) {
        return; // what XML has no way to write, or may not say
    }
    require(parse(format(def)) == def, "a definition is not the same after XML", format(def));
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = text_of(data, size);
    round_trip(
        text, pool_from_json, [](const PoolDef& def) { return format_pool(def); },
        [](const std::string& xml) { return parse_pool(xml); });
    round_trip(
        text, [](std::string_view json) { return volume_from_json(json); },
        [](const VolumeDef& def) { return format_volume(def, "dir"); },
        [](const std::string& xml) { return parse_volume(xml, "dir", VolumePurpose::describe); });
    return 0;
}
