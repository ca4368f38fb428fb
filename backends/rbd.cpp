// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "rbd": a RADOS pool of a Ceph cluster; volumes are RBD images.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view volume_formats[] = {"raw"};
constexpr std::string_view libraries[] = {"librados.so.2", "librbd.so.1"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    // Monitors of one cluster: a shared one is enough to tell that it is the same cluster.
    std::vector<std::string> result;
    for (const auto& host : def.source.hosts)
        result.push_back("rbd:" + canonical_host(host, {6789, 3300}) + ' ' + def.source.name);
    return result;
}

} // namespace

const BackendType rbd_backend{
    .info =
        {
            .type = "rbd",
            .summary = "RBD images of a Ceph pool",
            .unavailable_reason = BASIN_BACKEND_RBD ? "pool type 'rbd' is not implemented yet"
                                                    : "pool type 'rbd' was left out of this build",
            .volume_type = VolumeType::network,
            .source_required = {SourceField::host, SourceField::name},
            .source_accepted = {SourceField::host, SourceField::name, SourceField::auth},
            .target_path = TargetPath::none,
            .config_options = true,
            .refresh_option = true,
            .volume_formats = volume_formats,
            .libraries = libraries,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
