// SPDX-License-Identifier: LGPL-2.1-or-later
// The bare calls of librbd that the work of an rbd pool needs. Prints "figure seconds" lines.
// Arguments: MONITOR KEY COUNT
#include "figure.hpp"

#include <cstdio>
#include <cstdlib>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <string>
#include <vector>

namespace {

void must(int code, const char* what)
{
    if (code < 0) {
        std::fprintf(stderr, "%s: %d\n", what, code);
        std::exit(1);
    }
}

std::vector<std::string> list(rados_ioctx_t pool, std::size_t count)
{
    std::vector<rbd_image_spec_t> images(count + 64);
    auto size = images.size();
    must(rbd_list2(pool, images.data(), &size), "rbd_list2");
    std::vector<std::string> names;
    for (std::size_t i = 0; i != size; ++i)
        names.emplace_back(images[i].name);
    rbd_image_spec_list_cleanup(images.data(), size);
    return names;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 4)
        return 2;
    const auto count = static_cast<std::size_t>(std::atol(argv[3]));
    rados_t cluster = nullptr;
    must(rados_create2(&cluster, "ceph", "client.virt", 0), "rados_create2");
    must(rados_conf_set(cluster, "mon_host", argv[1]), "mon_host");
    must(rados_conf_set(cluster, "key", argv[2]), "key");
    must(rados_connect(cluster), "rados_connect");
    rados_ioctx_t pool = nullptr;
    must(rados_ioctx_create(cluster, "rbd", &pool), "rados_ioctx_create");
    rbd_image_options_t options = nullptr;
    rbd_image_options_create(&options);
    measure("create", [&] {
        for (std::size_t i = 0; i != count; ++i)
            must(rbd_create4(pool, ("bare" + std::to_string(i)).c_str(), 1 << 30, options),
                 "rbd_create4");
    });
    measure(
        "names", [&] { list(pool, count); }, 9);
    measure("list", [&] {
        for (const auto& name : list(pool, count)) {
            rbd_image_t image = nullptr;
            rbd_image_info_t info;
            must(rbd_open_read_only(pool, name.c_str(), &image, nullptr), "rbd_open_read_only");
            must(rbd_stat(image, &info, sizeof info), "rbd_stat");
            rbd_close(image);
        }
    });
    for (const auto& name : list(pool, count))
        must(rbd_remove(pool, name.c_str()), "rbd_remove");
    rbd_image_options_destroy(options);
    rados_ioctx_destroy(pool);
    rados_shutdown(cluster);
}
