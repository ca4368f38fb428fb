// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "gluster": a GlusterFS volume, spoken to without a mount; volumes are its files.
#include "backend_options.h"
#include "backends.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view tools[] = {"gluster"};
constexpr std::string_view libraries[] = {"libgfapi.so.0"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    std::vector<std::string> result;
    for (const auto& host : def.source.hosts)
        result.push_back("gluster:" + canonical_host(host, {24007}) + ' ' + def.source.name + ' ' +
                         canonical_server_directory(def.source.dir));
    return result;
}

} // namespace

const BackendType gluster_backend{
    .info =
        {
            .type = "gluster",
            .summary = "files of a GlusterFS volume, without a mount",
            .unavailable_reason = BASIN_BACKEND_GLUSTER
                                      ? "pool type 'gluster' is not implemented yet"
                                      : "pool type 'gluster' was left out of this build",
            .volume_type = VolumeType::network,
            .source_required = {SourceField::host, SourceField::name},
            .source_accepted = {SourceField::host, SourceField::name, SourceField::dir},
            .source_name_defaults_to_pool_name = true,
            .source_dir_default = "/",
            .target_path = TargetPath::none,
            .volume_formats = image_formats,
            .tools = tools,
            .libraries = libraries,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
