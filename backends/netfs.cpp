// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "netfs": a network file system, mounted; volumes are its files.
#include "backend_options.h"
#include "backends.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"auto", "nfs", "glusterfs", "cifs"};
constexpr std::string_view protocol_formats[] = {"auto", "nfs"};
constexpr std::string_view tools[] = {"mount", "umount", "showmount", "gluster"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    // NFS, SMB and GlusterFS in turn: one server offers one directory under one of them at a time.
    std::vector<std::string> result;
    for (const auto& host : def.source.hosts)
        result.push_back("netfs:" + canonical_host(host, {2049, 445, 24007}) + ' ' +
                         canonical_server_directory(def.source.dir));
    return result;
}

} // namespace

const BackendType netfs_backend{
    .info =
        {
            .type = "netfs",
            .summary = "files on an NFS, GlusterFS or SMB share",
            .unavailable_reason = BASIN_BACKEND_NETFS
                                      ? "pool type 'netfs' is not implemented yet"
                                      : "pool type 'netfs' was left out of this build",
            .source_required = {SourceField::host, SourceField::dir},
            .source_accepted = {SourceField::host, SourceField::dir, SourceField::protocol},
            .mount_options = true,
            .protocol_formats = protocol_formats,
            .source_formats = source_formats,
            .volume_formats = image_formats,
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
