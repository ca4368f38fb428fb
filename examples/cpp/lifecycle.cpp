// SPDX-License-Identifier: LGPL-2.1-or-later
// A pool of images, from definition to removal. Usage: lifecycle DIRECTORY
#include <basin/context.hpp>

#include <iostream>

int main(int argc, char** argv)
try {
    const std::string root = argc > 1 ? argv[1] : "/tmp/basin-example";
    storage::Context context({.root = root}); // {} for the system's own directories

    storage::PoolDef def{.type = "dir", .name = "vms"};
    def.target.path = root + "/images";
    auto pool = context.define_pool(def);
    pool.start(storage::BuildMode::keep);

    auto disk = pool.create_volume({.name = "disk.img", .capacity = 10ull << 30, .allocation = 0});
    std::cout << pool.name() << ": made " << disk.name() << '\n';

    disk.delete_storage();
    pool.stop();
    pool.delete_storage();
    pool.undefine();
} catch (const storage::Error& error) {
    std::cerr << error.what() << '\n' << error.remedy() << '\n';
    return 1;
}
