// SPDX-License-Identifier: GPL-3.0-or-later
// What basin-partition is asked: it refuses, or takes an absolute path and sizes that add up.
#include "fuzz.hpp"

#include "../../backends/partition_helper/protocol.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace partition_helper;
    try {
        const auto request = parse_request(text_of(data, size));
        require(request.device.starts_with('/') && request.device.find('\0') == std::string::npos,
                "a device that is no path", request.device);
        require(request.number >= 0 && request.number <= static_cast<int>(partition_limit),
                "a partition's number", std::to_string(request.number));
        require(request.size <= INT64_MAX && request.start.value_or(0) <= INT64_MAX &&
                    request.length.value_or(0) <= INT64_MAX,
                "a size beyond all disks", request.device);
    } catch (const Refusal& refusal) {
        require(*refusal.code() != '\0' && *refusal.what() != '\0', "a refusal without a reason",
                "");
    }
    return 0;
}
