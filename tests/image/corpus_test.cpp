// SPDX-License-Identifier: LGPL-2.1-or-later
// Writes the seeds of the fuzz targets: image-tests '[.corpus]' with
// BASIN_CORPUS=tests/fuzz/corpus/image
#include "../fuzz/image/layout.hpp"
#include "samples.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace image_test;

namespace {

/** A seed is at most this long: what lies behind the header says nothing to an inspector. */
constexpr std::size_t max_seed = 12 << 10;

void write_seed(const std::string& directory, std::string_view target, const std::string& name,
                const std::string& image)
{
    for (const auto& layout : image_fuzz::layouts()) {
        if (layout.format != target)
            continue;
        auto seed = image_fuzz::gather(layout, image);
        if (seed.size() > max_seed)
            seed =
                layout.trailer ? seed.substr(seed.size() - max_seed) : seed.substr(0, max_seed - 1);
        const auto folder = directory + "/" + std::string(target);
        std::filesystem::create_directories(folder);
        write_file(folder + "/" + name, seed);
        return;
    }
    FAIL("no fuzz target " << target);
}

std::string target_of(const std::string& sample)
{
    const auto known = {std::pair{"qcow2-v2", "qcow2"},
                        {"cow-v3", "cow"},
                        {"vmdk-stream", "vmdk"},
                        {"vpc-fixed", "vpc-footer"},
                        {"vpc-differencing", "vpc"}};
    for (const auto& [name, target] : known)
        if (sample == name)
            return target;
    return sample;
}

} // namespace

TEST_CASE("the seeds of the fuzz targets", "[.corpus]")
{
    const auto* directory = std::getenv("BASIN_CORPUS");
    REQUIRE(directory != nullptr);
    for (auto sample : all_samples()) {
        if (sample.size < 2 << 20)
            sample.image.resize(sample.size);
        write_seed(directory, target_of(sample.name), std::string(sample.name) + "-hand",
                   sample.image.data);
    }

    TempDir dir;
    run("cd " + dir.path("") +
        " && q='qemu-img create -q -u' && $q -f qcow qcow 1G && $q -f qcow2 qcow2-plain 1G"
        " && $q -f qcow2 -b base -F raw -o extended_l2=on,lazy_refcounts=on qcow2-backing 1G"
        " && $q -f qcow2 -o data_file=d qcow2-data 1G && qemu-img snapshot -c s qcow2-plain"
        " && $q -f qed -b base -F raw qed 1G && $q -f vmdk vmdk-sparse 1G"
        " && $q -f vmdk -o subformat=streamOptimized vmdk-stream 1G"
        " && $q -f vmdk -o subformat=twoGbMaxExtentSparse vmdk-text 3G && $q -f vdi vdi 1G"
        " && $q -f vpc vpc-dynamic 1G && $q -f vpc -o subformat=fixed vpc-footer 34816"
        " && $q -f vhdx -o log_size=1M vhdx 1G && $q -f parallels ploop 1G");
    for (const std::string name :
         {"qcow", "qcow2-plain", "qcow2-backing", "qcow2-data", "qed", "vmdk-sparse", "vmdk-stream",
          "vmdk-text", "vdi", "vpc-dynamic", "vpc-footer", "vhdx", "ploop"}) {
        const auto target =
            name == "vmdk-text" || name == "vpc-footer" ? name : name.substr(0, name.find('-'));
        write_seed(directory, target, name + "-qemu", read_file(dir.path(name), 4 << 20));
    }

    run("cd " + dir.path("") +
        " && q='qemu-img create -q -f qcow2' && for compat in 0.10 1.1; do"
        " $q -o cluster_size=512,compat=$compat snapshots-$compat 1M;"
        " qemu-img snapshot -c one snapshots-$compat; qemu-img snapshot -c two snapshots-$compat;"
        " done && $q -o cluster_size=512 plain 1M");
    const auto folder = std::string(directory) + "/qcow2-change";
    std::filesystem::create_directories(folder);
    for (const std::string name : {"snapshots-0.10", "snapshots-1.1", "plain"})
        write_file(folder + "/" + name + "-qemu", read_file(dir.path(name), max_seed));
}
