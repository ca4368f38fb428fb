// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "mpath": the multipath devices of this host.
#include "backend_options.h"
#include "backends.hpp"

namespace storage::inline v1 {
namespace {

std::vector<std::string> source_identities(const PoolDef&, const SystemRoot&)
{
    // All of the host's maps: a second pool would be the same pool.
    return {"mpath:"};
}

} // namespace

const BackendType mpath_backend{
    .info =
        {
            .type = "mpath",
            .summary = "multipath devices of this host",
            .unavailable_reason = BASIN_BACKEND_MPATH
                                      ? "pool type 'mpath' is not implemented yet"
                                      : "pool type 'mpath' was left out of this build",
            .volume_type = VolumeType::block,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
