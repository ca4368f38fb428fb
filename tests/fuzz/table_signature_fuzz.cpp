// SPDX-License-Identifier: LGPL-2.1-or-later
// What the first sectors of a disk say of its partition table.
#include "fuzz.hpp"

#include "table_signature.hpp"

#include <algorithm>
#include <memory>

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    // Exactly as long as the input, so that a read behind it is seen.
    const auto start = std::make_unique<char[]>(size);
    std::copy_n(data, size, start.get());
    const auto found = storage::table_signature(std::string_view(start.get(), size));
    require(found.disk_id.find_first_not_of("0123456789abcdef-") == std::string::npos,
            "an identity that is none", found.disk_id);
    require(found.disk_id.empty() || found.format == "gpt" || found.format == "dos",
            "an identity that libblkid does not have", found.format);
    require(!found.is_damaged || found.format == "gpt", "only gpt can be damaged", found.format);
    return 0;
}
