// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "fs": a file system on a block device, mounted; volumes are its files.
#include "backend_options.h"
#include "backends.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"auto",    "ext2", "ext3",  "ext4", "ufs",
                                               "iso9660", "udf",  "gfs",   "gfs2", "vfat",
                                               "hfs+",    "xfs",  "ocfs2", "vmfs"};
constexpr std::string_view tools[] = {"mount", "umount", "mkfs"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    return device_identities(def, system);
}

} // namespace

const BackendType fs_backend{
    .info =
        {
            .type = "fs",
            .summary = "files on a block device with a file system",
            .unavailable_reason = BASIN_BACKEND_FS ? "pool type 'fs' is not implemented yet"
                                                   : "pool type 'fs' was left out of this build",
            .source_required = {SourceField::device},
            .source_accepted = {SourceField::device},
            .copy_on_write_option = true,
            .mount_options = true,
            .source_formats = source_formats,
            .volume_formats = image_formats,
            .tools = tools,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
