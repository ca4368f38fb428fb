// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "disk": a disk with a partition table; volumes are partitions.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"unknown", "dos",  "dvh", "gpt", "mac",
                                               "bsd",     "pc98", "sun", "lvm2"};
constexpr std::string_view volume_formats[] = {"none",       "linux",     "fat16",      "fat32",
                                               "linux-swap", "linux-lvm", "linux-raid", "extended"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    return device_identities(def, system);
}

} // namespace

const BackendType disk_backend{
    .info =
        {
            .type = "disk",
            .summary = "partitions of a disk",
            .unavailable_reason = BASIN_BACKEND_DISK
                                      ? "pool type 'disk' is not implemented yet"
                                      : "pool type 'disk' was left out of this build",
            .volume_type = VolumeType::block,
            .source_required = {SourceField::device},
            .source_accepted = {SourceField::device},
            .source_formats = source_formats,
            .volume_formats = volume_formats,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
