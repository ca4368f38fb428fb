// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "dir": volumes are files in a directory.
#include "backends.hpp"
#include "directory_backend.hpp"
#include "image_formats.hpp"
#include "source_identity.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view tools[] = {"qemu-img"};

class DirOrigin final : public DirectoryOrigin {
public:
    explicit DirOrigin(PoolDef def) : def_(std::move(def)) {}

    Presence presence() override { return {.state = PoolState::running}; }
    void build(BuildMode, Change& change) override { list_directory(def_, change); }

private:
    PoolDef def_;
};

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot&)
{
    return directory_identities(def.target.path);
}

} // namespace

const BackendType dir_backend{
    .info =
        {
            .type = "dir",
            .summary = "files in a directory",
            .available = true,
            .capabilities = directory_capabilities,
            .copy_on_write_option = true,
            .volume_formats = image_formats,
            .creatable_formats = creatable_image_formats,
            .tools = tools,
            .libraries = image_libraries,
        },
    .open = [](const PoolDef& def, const Host& host) -> std::unique_ptr<Backend> {
        return make_directory_backend(def, host, std::make_unique<DirOrigin>(def));
    },
    .find_sources = nullptr,
    .source_identities = source_identities,
};

} // namespace storage::inline v1
