// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "scsi": the LUNs behind a SCSI host adapter.
#include "backend_options.h"
#include "backends.hpp"

#include "scsi_adapter.hpp"

namespace storage::inline v1 {
namespace {

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    return def.source.adapter ? adapter_identities(*def.source.adapter, system)
                              : std::vector<std::string>{};
}

} // namespace

const BackendType scsi_backend{
    .info =
        {
            .type = "scsi",
            .summary = "LUNs behind a SCSI host adapter",
            .unavailable_reason = BASIN_BACKEND_SCSI
                                      ? "pool type 'scsi' is not implemented yet"
                                      : "pool type 'scsi' was left out of this build",
            .volume_type = VolumeType::block,
            .source_required = {SourceField::adapter},
            .source_accepted = {SourceField::adapter},
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
