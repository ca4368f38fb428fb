// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "logical": an LVM volume group; volumes are logical volumes.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"lvm2", "unknown"};
constexpr std::string_view tools[] = {"lvm"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    auto result = device_identities(def, system);
    result.push_back("volume-group:" + def.source.name);
    return result;
}

} // namespace

const BackendType logical_backend{
    .info =
        {
            .type = "logical",
            .summary = "logical volumes of an LVM volume group",
            .unavailable_reason = BASIN_BACKEND_LOGICAL
                                      ? "pool type 'logical' is not implemented yet"
                                      : "pool type 'logical' was left out of this build",
            .volume_type = VolumeType::block,
            .source_required = {SourceField::name},
            .source_accepted = {SourceField::name, SourceField::device},
            .source_name_defaults_to_pool_name = true,
            .target_path = TargetPath::fixed,
            .target_prefix = "/dev/",
            .provisioning = true,
            .source_formats = source_formats,
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
