// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever is read as a volume must print, and read again as the same volume.
#include "fuzz.hpp"

#include <basin/definition.hpp>
#include <basin/error.hpp>

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace storage;
    static constexpr const char* types[] = {"dir", "logical", "disk", "rbd"};
    if (size == 0)
        return 0;
    // The first byte chooses how the rest is read.
    const auto* type = types[data[0] & 3];
    const auto purpose = static_cast<VolumePurpose>(((data[0] >> 2) & 3) % 3);
    VolumeDef def;
    try {
        def = parse_volume(text_of(data + 1, size - 1), type, purpose,
                           {.on_ignored = [](std::string_view) {}});
    } catch (const Error&) {
        return 0;
    }
    const auto xml = format_volume(def, type);
    // A volume that is still to be named is none that can be described.
    auto again = parse_volume(xml, type, def.name.empty() ? purpose : VolumePurpose::describe);
    if (!def.allocation)
        again.allocation.reset(); // printed as the capacity
    require(again == def, "a volume is not the same after printing and reading", xml);
    return 0;
}
