// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "zfs": a ZFS pool or dataset; volumes are its zvols.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view tools[] = {"zfs", "zpool"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    auto result = device_identities(def, system);
    result.push_back("zfs:" + def.source.name);
    return result;
}

} // namespace

const BackendType zfs_backend{
    .info =
        {
            .type = "zfs",
            .summary = "zvols of a ZFS dataset",
            .unavailable_reason = BASIN_BACKEND_ZFS ? "pool type 'zfs' is not implemented yet"
                                                    : "pool type 'zfs' was left out of this build",
            .volume_type = VolumeType::block,
            .source_required = {SourceField::name},
            .source_accepted = {SourceField::name, SourceField::device},
            .source_name_defaults_to_pool_name = true,
            .target_path = TargetPath::fixed,
            .target_prefix = "/dev/zvol/",
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
