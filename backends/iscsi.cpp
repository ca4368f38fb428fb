// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "iscsi": an iSCSI target, logged in by the kernel; volumes are its LUNs.
#include "backend_options.h"
#include "backends.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view tools[] = {"iscsiadm"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    return iscsi_identities(def);
}

} // namespace

const BackendType iscsi_backend{
    .info =
        {
            .type = "iscsi",
            .summary = "LUNs of an iSCSI target",
            .unavailable_reason = BASIN_BACKEND_ISCSI
                                      ? "pool type 'iscsi' is not implemented yet"
                                      : "pool type 'iscsi' was left out of this build",
            .volume_type = VolumeType::block,
            .source_required = {SourceField::host},
            .source_accepted = {SourceField::host, SourceField::device, SourceField::initiator,
                                SourceField::auth},
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
