// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death of calls on pools of type disk: the table is the one before or the one after, and
// the kernel, the table and the pool agree on it. The helper that writes tables goes on to its end.
#include "killing.hpp"
#include "mounts.hpp"

#include "device_probe.hpp"

#include <unistd.h>

using namespace storage;

namespace {

class Disk {
public:
    Disk() : loop_(make_image(), LO_FLAGS_PARTSCAN) {}

    explicit operator bool() const
    {
        return ::geteuid() == 0 && !loop_.path().empty() &&
               ::access(BASIN_TEST_HELPERS "/basin-partition", X_OK) == 0;
    }
    /** No table, and no partition that the kernel remembers. */
    void clear() const
    {
        REQUIRE(
            succeeds("wipefs -aqf " + loop_.path() + " && blockdev --rereadpt " + loop_.path()));
    }
    bool has_table() const { return probe_device(loop_.path()).is_partition_table; }
    bool kernel_has(int number) const
    {
        return std::filesystem::exists(partition(number)) &&
               std::filesystem::exists("/sys/class/block/" + partition(number).substr(5));
    }
    std::string partition(int number) const { return loop_.path() + 'p' + std::to_string(number); }

    PoolDef definition(const std::string& format) const
    {
        PoolDef def{.type = "disk", .name = "pool", .target = {.path = "/dev"}};
        def.source.devices = {{.path = loop_.path()}};
        def.source.format = format;
        return def;
    }

private:
    std::string make_image() const
    {
        directory_.write("disk", "");
        std::filesystem::resize_file(directory_ / "disk", 64 * mib);
        return directory_ / "disk";
    }

    TemporaryDirectory directory_{};
    LoopDevice loop_;
};

Volume make_partition(Pool pool, std::uint64_t size = 4 * mib)
{
    return pool.create_volume({.name = "", .capacity = size});
}

/** A pool that runs, of a new table with so many partitions. */
std::function<void(Scratch&, Context&)> running(const Disk& disk, const std::string& format,
                                                int partitions)
{
    return [&disk, format, partitions](Scratch&, Context& context) {
        disk.clear();
        auto pool = context.define_pool(disk.definition(format));
        pool.start(BuildMode::overwrite);
        for (int i = 0; i != partitions; ++i)
            make_partition(pool);
    };
}

/** The pool with what a killed process left finished or undone, and read. */
Pool settled(Context& context)
{
    await_orphans();
    context.recover();
    auto pool = context.find_pool("pool");
    pool.refresh();
    CHECK(pool.diagnostics().empty());
    return pool;
}

void use(Scratch&, Context& context)
{
    auto pool = context.find_pool("pool");
    if (pool.info().state != PoolState::running)
        pool.start();
    const auto count = pool.volume_count();
    auto volume = make_partition(pool, mib);
    CHECK(pool.volume_count() == count + 1);
    volume.delete_storage();
    CHECK(pool.volume_count() == count);
    pool.stop();
}

constexpr const char* needs = "skipped: needs root, loop devices and basin-partition";

} // namespace

TEST_CASE("killed while making a partition table: it is there, or can be made anew", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    kill_everywhere(
        [&](Scratch&, Context& context) {
            disk.clear();
            context.define_pool(disk.definition("gpt"));
        },
        [](Scratch&, Context& context) { context.find_pool("pool").build(BuildMode::overwrite); },
        [&](Scratch&, Context&) {
            await_orphans();
            return disk.has_table();
        },
        {.most = 12, .opening_too = true, .at_end = use});
}

TEST_CASE("killed while making a partition: it is there for all or for none", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    for (const std::string format : {"gpt", "dos"})
        kill_everywhere(
            running(disk, format, 0),
            [](Scratch&, Context& context) { make_partition(context.find_pool("pool")); },
            [&](Scratch&, Context& context) {
                const auto pool = settled(context);
                const bool exists = pool.volume_count() == 1;
                CHECK(disk.kernel_has(1) == exists);
                if (exists)
                    CHECK(pool.volumes().front().info().capacity == 4 * mib);
                return exists;
            },
            {.most = 12, .opening_too = true, .at_end = use});
}

TEST_CASE("killed while deleting a partition: it is there for all or for none", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    kill_everywhere(
        running(disk, "dos", 2),
        [&](Scratch&, Context& context) {
            context.find_volume_by_path(disk.partition(1)).delete_storage();
        },
        [&](Scratch&, Context& context) {
            const auto pool = settled(context);
            CHECK(disk.kernel_has(2)); // the other one has its number
            const bool exists = pool.volume_count() == 2;
            CHECK(disk.kernel_has(1) == exists);
            return !exists;
        },
        {.most = 12, .opening_too = true, .at_end = use});
}

TEST_CASE("killed while growing a partition: it has its old or its new size", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    kill_everywhere(
        running(disk, "gpt", 1),
        [&](Scratch&, Context& context) {
            context.find_volume_by_path(disk.partition(1)).resize(8 * mib);
        },
        [&](Scratch&, Context& context) {
            const auto size = settled(context).volumes().at(0).info().capacity;
            CHECK((size == 4 * mib || size == 8 * mib));
            return size == 8 * mib;
        },
        {.most = 12, .opening_too = true, .at_end = use});
}
