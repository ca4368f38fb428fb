// SPDX-License-Identifier: LGPL-2.1-or-later
// The same by basin, and transfers. Prints "figure seconds" lines.
// Arguments: HOST PORT KEY COUNT ROOT FILE_TO_UPLOAD FILE_FOR_DOWNLOAD
#include "figure.hpp"

#include <basin/context.hpp>

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char** argv)
try {
    if (argc != 8)
        return 2;
    using namespace storage;
    ContextOptions options;
    options.root = argv[5];
    options.secrets = [&](const SecretRequest&) { return std::optional(Secret(argv[3])); };
    Context context(options);
    PoolDef def;
    def.type = "rbd";
    def.name = "bench";
    def.source.name = "rbd";
    def.source.hosts = {{.name = argv[1], .port = std::atoi(argv[2])}};
    def.source.auth = {
        .type = SourceAuth::Type::ceph, .username = "virt", .secret = {.usage = "bench"}};
    auto pool = context.create_pool(def);
    const auto volume = [](const std::string& name, std::uint64_t capacity) {
        VolumeDef result;
        result.name = name;
        result.capacity = capacity;
        return result;
    };
    const auto count = std::atol(argv[4]);
    pool.volume_names(); // as the bare client, connected before
    measure("create", [&] {
        for (long i = 0; i != count; ++i)
            pool.create_volume(volume("v" + std::to_string(i), 1 << 30));
    });
    measure(
        "names", [&] { pool.volume_names(); }, 9);
    measure("list", [&] {
        pool.refresh();
        pool.volume_entries();
    });
    measure("again", [&] { pool.refresh(); });
    const int in = ::open(argv[6], O_RDONLY | O_CLOEXEC);
    measure("upload",
            [&] { pool.upload_volume(volume("content", 0), UploadSource(in), {.sparse = true}); });
    const int out = ::open(argv[7], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    measure("download",
            [&] { pool.find_volume("content").download(DownloadTarget(out), {.sparse = true}); });
    for (auto& made : pool.volumes())
        made.delete_storage();
    pool.stop();
} catch (const storage::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
