// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "iscsi-direct": an iSCSI target, spoken to without the kernel; volumes are its LUNs.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view libraries[] = {"libiscsi.so.7"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    return iscsi_identities(def);
}

} // namespace

const BackendType iscsi_direct_backend{
    .info =
        {
            .type = "iscsi-direct",
            .summary = "LUNs of an iSCSI target, without block devices on this host",
            .unavailable_reason = BASIN_BACKEND_ISCSI_DIRECT
                                      ? "pool type 'iscsi-direct' is not implemented yet"
                                      : "pool type 'iscsi-direct' was left out of this build",
            .volume_type = VolumeType::network,
            .source_required = {SourceField::host, SourceField::initiator},
            .source_accepted = {SourceField::host, SourceField::device, SourceField::initiator,
                                SourceField::auth},
            .target_path = TargetPath::none,
            .libraries = libraries,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
