// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-micro: the short calls under Google Benchmark, basin and the bare work side by side.
// Usage: bench-micro root=DIR dir=DIR [--benchmark_…]
#include "limits.hpp"
#include "measure.hpp"

#include <algorithm>
#include <basin/context.hpp>
#include <random>

#include <benchmark/benchmark.h>

namespace {

using namespace bench;

/** What the benchmarks read: a started pool, and the same volumes as bare data. */
struct Fixture {
    storage::Context context;
    storage::Pool pool;
    std::vector<ListedVolume> volumes; ///< in random order
    Index index{};

    explicit Fixture(const Arguments& arguments)
        : context({.root = arguments.text("root")}),
          pool(context.define_pool(
              {.type = "dir", .name = "bench", .target = {.path = arguments.text("dir")}})),
          volumes(list_directory(arguments.text("dir")))
    {
        pool.start();
        pool.volume_count(); // reads the volumes, if the start did not
        std::shuffle(volumes.begin(), volumes.end(), std::minstd_rand(1));
        for (std::size_t i = 0; i < volumes.size(); ++i)
            index.emplace(volumes[i].path, i);
    }
    ~Fixture()
    {
        pool.stop();
        pool.undefine();
    }
    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;
};

/** Registers a benchmark that calls `body(i)` for one random volume after the other. */
template <typename Body>
void each_volume(const std::string& name, std::size_t count, Body body)
{
    benchmark::RegisterBenchmark(name.c_str(), [count, body](benchmark::State& state) {
        std::size_t i = 0;
        for (auto unused : state) {
            static_cast<void>(unused);
            benchmark::DoNotOptimize(body(i));
            i = i + 1 == count ? 0 : i + 1;
        }
    });
}

void register_all(Fixture& it)
{
    const auto& volumes = it.volumes;
    const auto once = [](const std::string& name, auto body) { each_volume(name, 1, body); };
    once("basin/list", [&](std::size_t) { return it.pool.volume_entries().size(); });
    once("basin/list_handles", [&](std::size_t) { return it.pool.volumes().size(); });
    once("limit/list", [&](std::size_t) { return std::vector<ListedVolume>(volumes).size(); });

    const auto each = [&](const std::string& name, auto body) {
        each_volume(name, volumes.size(), body);
    };
    each("basin/lookup_name", [&](std::size_t i) { return it.pool.find_volume(volumes[i].name); });
    each("basin/lookup_key",
         [&](std::size_t i) { return it.context.find_volume_by_key(volumes[i].key); });
    each("basin/lookup_path",
         [&](std::size_t i) { return it.context.find_volume_by_path(volumes[i].path); });
    each("limit/lookup", [&](std::size_t i) { return it.index.find(volumes[i].path)->second; });

    auto handles = std::make_shared<std::vector<storage::Volume>>();
    for (const auto& volume : volumes)
        handles->push_back(it.pool.find_volume(volume.name));
    each("basin/info", [handles](std::size_t i) { return (*handles)[i].info().allocation; });
    each("limit/info", [&](std::size_t i) { return volume_info(volumes[i].path); });
    each("basin/xml", [handles](std::size_t i) { return (*handles)[i].xml().size(); });
    each("limit/xml", [&](std::size_t i) { return volume_xml(volumes[i]).size(); });
}

} // namespace

int main(int argc, char** argv)
{
    benchmark::Initialize(&argc, argv);
    return guarded_main(argc, argv, [](const Arguments& arguments) {
        Fixture fixture(arguments);
        register_all(fixture);
        benchmark::RunSpecifiedBenchmarks();
        benchmark::ClearRegisteredBenchmarks();
        return 0;
    });
}
