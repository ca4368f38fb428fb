// SPDX-License-Identifier: LGPL-2.1-or-later
// What the fuzz targets share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/** The input as text. */
inline std::string_view text_of(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

/** Ends the run with the evidence unless the property holds. */
inline void require(bool holds, const char* property, const std::string& evidence)
{
    if (holds)
        return;
    std::fprintf(stderr, "%s\n%s\n", property, evidence.c_str());
    std::abort();
}
