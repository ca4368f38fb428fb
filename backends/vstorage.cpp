// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "vstorage": a Virtuozzo Storage cluster, mounted; volumes are its files.
#include "backend_options.h"
#include "backends.hpp"
#include "image_formats.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view tools[] = {"vstorage-mount", "umount"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    return {"vstorage:" + def.source.name};
}

} // namespace

const BackendType vstorage_backend{
    .info =
        {
            .type = "vstorage",
            .summary = "files on Virtuozzo Storage",
            .unavailable_reason = BASIN_BACKEND_VSTORAGE
                                      ? "pool type 'vstorage' is not implemented yet"
                                      : "pool type 'vstorage' was left out of this build",
            .source_required = {SourceField::name},
            .source_accepted = {SourceField::name},
            .source_name_defaults_to_pool_name = true,
            .volume_formats = image_formats,
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
