// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-libvirt: times the same work through libvirt's API, against the daemon that uri= names.
#include "corpus.hpp"
#include "libvirt_api.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <stdexcept>

namespace {

using namespace bench;

int time_refresh(const Arguments& arguments)
{
    const auto connection = connect(arguments);
    const auto pool = define(connection, "bench", arguments.text("dir"));
    report("first", seconds([&] { start(pool); }));
    report("again", seconds([&] { refresh(pool); }));
    if (virStoragePoolNumOfVolumes(pool.get()) != static_cast<int>(arguments.number("count", 0)))
        throw std::runtime_error("the pool does not have count=" + arguments.text("count", "0") +
                                 " volumes");
    remove(pool);
    return 0;
}

int cold(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    const auto connection = connect(arguments);
    const auto pool = define(connection, "bench", dir);
    start(pool); // so that the daemon itself is warm
    drop_caches();
    report("cold", seconds([&] { refresh(pool); }));
    report("cold_cache", static_cast<double>(cached_bytes(dir)));
    remove(pool);
    return 0;
}

double time_list(const Pool& pool)
{
    return seconds([&] {
        virStorageVolPtr* volumes = nullptr;
        const int count = virStoragePoolListAllVolumes(pool.get(), &volumes, 0);
        check(count, "list");
        for (int i = 0; i < count; ++i) {
            virStorageVolGetName(volumes[i]);
            virStorageVolGetKey(volumes[i]);
            const Text path(required(virStorageVolGetPath(volumes[i]), "path"));
            virStorageVolFree(volumes[i]);
        }
        std::free(volumes);
    });
}

/** libvirt fetches the paths one by one; this leaves them out, which is the least it can do. */
double time_list_without_paths(const Pool& pool)
{
    return seconds([&] {
        virStorageVolPtr* volumes = nullptr;
        const int count = virStoragePoolListAllVolumes(pool.get(), &volumes, 0);
        check(count, "list");
        for (int i = 0; i < count; ++i)
            virStorageVolFree(volumes[i]);
        std::free(volumes);
    });
}

int micro(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    const auto count = arguments.number("count", 10'000);
    const auto connection = connect(arguments);
    const auto pool = define(connection, "bench", dir);
    start(pool);
    constexpr std::uint64_t longest_list = 16'384; // REMOTE_STORAGE_VOL_LIST_MAX
    if (count <= longest_list) {
        report("list", time_list(pool));
        report("list_without_paths", time_list_without_paths(pool));
    }
    std::minstd_rand random(1);
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < arguments.number("samples", 1000); ++i)
        names.push_back(image_name(random() % count));
    const auto per_call = [&](const std::string& name, auto&& body) {
        const double total = seconds([&] { std::for_each(names.begin(), names.end(), body); });
        report(name, total / static_cast<double>(names.size()));
    };
    const auto find = [&](const std::string& name) {
        return Volume(required(virStorageVolLookupByName(pool.get(), name.c_str()), name));
    };
    per_call("lookup_name", [&](const std::string& name) { find(name); });
    per_call("lookup_key", [&](const std::string& name) {
        Volume(
            required(virStorageVolLookupByKey(connection.get(), (dir + '/' + name).c_str()), name));
    });
    per_call("lookup_path", [&](const std::string& name) {
        Volume(required(virStorageVolLookupByPath(connection.get(), (dir + '/' + name).c_str()),
                        name));
    });
    std::vector<Volume> volumes;
    std::transform(names.begin(), names.end(), std::back_inserter(volumes), find);
    std::size_t next = 0;
    per_call("info", [&](const std::string& name) {
        virStorageVolInfo info;
        check(virStorageVolGetInfo(volumes[next++].get(), &info), name);
    });
    next = 0;
    per_call("xml", [&](const std::string& name) {
        Text(required(virStorageVolGetXMLDesc(volumes[next++].get(), 0), name));
    });
    remove(pool);
    return 0;
}

/** Leaves the other pools to the next round. */
int pools(const Arguments& arguments)
{
    const auto dir = arguments.text("dir"); // empty; the other pools' directories need not exist
    const auto others = arguments.number("others", 10);
    const auto connection = connect(arguments);
    for (std::uint64_t i = 0; i < others; ++i) {
        const auto name = "other-" + std::to_string(i);
        if (!Pool(virStoragePoolLookupByName(connection.get(), name.c_str())))
            define(connection, name, dir + '/' + name);
    }
    std::vector<double> times[4];
    for (std::uint64_t i = 0; i < arguments.number("samples", 50); ++i) {
        Pool pool;
        times[0].push_back(seconds([&] { pool = define(connection, "bench", dir); }));
        times[1].push_back(seconds([&] { start(pool); }));
        times[2].push_back(seconds([&] { check(virStoragePoolDestroy(pool.get()), "stop"); }));
        times[3].push_back(seconds([&] { check(virStoragePoolUndefine(pool.get()), "undefine"); }));
    }
    report("define", median(times[0]));
    report("start", median(times[1]));
    report("stop", median(times[2]));
    report("undefine", median(times[3]));
    return 0;
}

/** Bytes of the daemon per volume, and what it keeps of them after the pool has stopped. */
int memory(const Arguments& arguments)
{
    const auto pid = static_cast<long>(arguments.number("pid", 0));
    const auto count = static_cast<double>(arguments.number("count", 10'000));
    const auto connection = connect(arguments);
    const auto pool = define(connection, "bench", arguments.text("dir"));
    const auto before = static_cast<double>(resident_bytes(pid));
    start(pool);
    const auto running = static_cast<double>(resident_bytes(pid));
    check(virStoragePoolDestroy(pool.get()), "stop");
    const auto stopped = static_cast<double>(resident_bytes(pid));
    check(virStoragePoolUndefine(pool.get()), "undefine");
    report("per_volume", (running - before) / count);
    report("kept_per_volume", (stopped - before) / count);
    return 0;
}

/** Defines and starts a pool, or ends it, for programs that list it. */
int set_up(const Arguments& arguments)
{
    const auto connection = connect(arguments);
    start(define(connection, "bench", arguments.text("dir")));
    return 0;
}

int tear_down(const Arguments& arguments)
{
    const auto connection = connect(arguments);
    remove(Pool(required(virStoragePoolLookupByName(connection.get(), "bench"), "look up")));
    return 0;
}

int run(const Arguments& arguments)
{
    const std::string work = arguments.words().empty() ? "" : arguments.words()[0];
    if (work == "refresh")
        return time_refresh(arguments);
    if (work == "cold")
        return cold(arguments);
    if (work == "micro")
        return micro(arguments);
    if (work == "pools")
        return pools(arguments);
    if (work == "memory")
        return memory(arguments);
    if (work == "set-up")
        return set_up(arguments);
    if (work == "tear-down")
        return tear_down(arguments);
    throw std::runtime_error(
        "usage: bench-libvirt refresh|cold|micro|pools|memory|set-up|tear-down "
        "uri=URI dir=DIR");
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
