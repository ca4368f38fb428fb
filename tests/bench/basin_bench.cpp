// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-basin: times the work that is too long for Google Benchmark, through the C++ API.
#include "measure.hpp"

#include <basin/context.hpp>

#include <cstdio>
#include <filesystem>
#include <malloc.h>
#include <stdexcept>

namespace {

using namespace bench;

storage::Context open_root(const Arguments& arguments)
{
    return storage::Context({.root = arguments.text("root")});
}

storage::PoolDef dir_pool(const std::string& name, const std::string& dir)
{
    return {.type = "dir", .name = name, .target = {.path = dir}};
}

/** Starts a pool and reads its volumes, which a start may leave to the first question. */
void start(storage::Pool& pool)
{
    pool.start();
    pool.volume_count();
}

void remove(storage::Pool& pool)
{
    pool.stop();
    pool.undefine();
}

/** The first and the second reading of a directory, and a listing. */
int refresh(const Arguments& arguments)
{
    limit_processors(static_cast<unsigned>(arguments.number("processors", 0)));
    auto context = open_root(arguments);
    auto pool = context.define_pool(dir_pool("bench", arguments.text("dir")));
    report("first", seconds([&] { start(pool); }));
    if (pool.volume_count() != arguments.number("count", 0))
        throw std::runtime_error("the pool has " + std::to_string(pool.volume_count()) +
                                 " volumes instead of count=" + arguments.text("count", "0"));
    // A file that was made just before it was read is read twice; the second refresh settles that.
    pool.refresh();
    report("again", seconds([&] { pool.refresh(); }));
    report("list", seconds([&] {
               if (pool.volume_entries().size() != pool.volume_count())
                   throw std::runtime_error("the listing is not complete");
           }));
    report("names", seconds([&] { pool.volume_names(); }));
    remove(pool);
    return 0;
}

int cold(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    auto context = open_root(arguments);
    auto pool = context.define_pool(dir_pool("bench", dir));
    start(pool); // so that the program itself is warm
    pool.stop();
    drop_caches();
    report("cold", seconds([&] { start(pool); }));
    report("cold_cache", static_cast<double>(cached_bytes(dir)));
    remove(pool);
    return 0;
}

int pools(const Arguments& arguments)
{
    const auto dir = arguments.text("dir"); // empty; the other pools' directories need not exist
    auto context = open_root(arguments);
    for (std::uint64_t i = 0; i < arguments.number("others", 10); ++i) {
        const auto name = "other-" + std::to_string(i);
        context.define_pool(dir_pool(name, dir + '/' + name));
    }
    std::vector<double> times[4];
    for (std::uint64_t i = 0; i < arguments.number("samples", 50); ++i) {
        std::optional<storage::Pool> pool;
        times[0].push_back(seconds([&] { pool = context.define_pool(dir_pool("bench", dir)); }));
        times[1].push_back(seconds([&] { pool->start(); }));
        times[2].push_back(seconds([&] { pool->stop(); }));
        times[3].push_back(seconds([&] { pool->undefine(); }));
    }
    report("define", median(times[0]));
    report("start", median(times[1]));
    report("stop", median(times[2]));
    report("undefine", median(times[3]));
    return 0;
}

double heap_bytes()
{
    const auto info = mallinfo2();
    return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

/** Bytes per volume on the heap and resident, and what is kept of them after the pool stopped. */
int memory(const Arguments& arguments)
{
    auto context = open_root(arguments);
    auto pool = context.define_pool(dir_pool("bench", arguments.text("dir")));
    const double heap = heap_bytes();
    const double resident = static_cast<double>(resident_bytes());
    start(pool);
    const auto count = static_cast<double>(pool.volume_count());
    report("heap_per_volume", (heap_bytes() - heap) / count);
    report("per_volume", (static_cast<double>(resident_bytes()) - resident) / count);
    pool.stop();
    report("heap_kept_per_volume", (heap_bytes() - heap) / count);
    report("kept_per_volume", (static_cast<double>(resident_bytes()) - resident) / count);
    pool.undefine();
    return 0;
}

int set_up(const Arguments& arguments)
{
    auto context = open_root(arguments);
    context.define_pool(dir_pool("bench", arguments.text("dir"))).start();
    return 0;
}

int tear_down(const Arguments& arguments)
{
    auto context = open_root(arguments);
    auto pool = context.find_pool("bench");
    remove(pool);
    return 0;
}

/** What a program does that opens a started pool and lists it. */
int print_volumes(const Arguments& arguments)
{
    const auto context = open_root(arguments);
    for (const auto& volume : context.find_pool("bench").volume_entries())
        std::printf(" %s   %s\n", volume.name.c_str(), volume.path.c_str());
    return 0;
}

int run(const Arguments& arguments)
{
    const std::string work = arguments.words().empty() ? "" : arguments.words()[0];
    if (work == "refresh")
        return refresh(arguments);
    if (work == "cold")
        return cold(arguments);
    if (work == "pools")
        return pools(arguments);
    if (work == "memory")
        return memory(arguments);
    if (work == "set-up")
        return set_up(arguments);
    if (work == "tear-down")
        return tear_down(arguments);
    if (work == "print-volumes")
        return print_volumes(arguments);
    throw std::runtime_error("usage: bench-basin refresh|cold|pools|memory|set-up|tear-down|"
                             "print-volumes root=DIR dir=DIR");
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
