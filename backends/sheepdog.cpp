// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "sheepdog": a Sheepdog cluster; volumes are its VDIs.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view tools[] = {"dog"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    // A cluster has one name space, so that source/name does not tell pools apart.
    std::vector<std::string> result;
    for (const auto& host : def.source.hosts)
        result.push_back("sheepdog:" + canonical_host(host, {7000}));
    return result;
}

} // namespace

const BackendType sheepdog_backend{
    .info =
        {
            .type = "sheepdog",
            .summary = "virtual disks of a Sheepdog cluster",
            .unavailable_reason = BASIN_BACKEND_SHEEPDOG
                                      ? "pool type 'sheepdog' is not implemented yet"
                                      : "pool type 'sheepdog' was left out of this build",
            .volume_type = VolumeType::network,
            .source_required = {SourceField::host},
            .source_accepted = {SourceField::host, SourceField::name},
            .source_name_defaults_to_pool_name = true,
            .target_path = TargetPath::none,
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
