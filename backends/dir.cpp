// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "dir": volumes are files in a directory.
#include "backends.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view creatable_formats[] = {"raw"};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    return {directory_identity(def.target.path)};
}

} // namespace

const BackendType dir_backend{
    .info =
        {
            .type = "dir",
            .summary = "files in a directory",
            .available = true,
            .copy_on_write_option = true,
            .volume_formats = image_formats,
            .creatable_formats = creatable_formats,
        },
    .open = nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
