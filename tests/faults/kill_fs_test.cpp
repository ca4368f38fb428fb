// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death of calls that run mkfs(8), mount(8) and umount(8): the file system is mounted and
// the pool started, or neither.
#include "killing.hpp"
#include "mounts.hpp"

#include "device_probe.hpp"

using namespace storage;

namespace {

/** A loop device, which outlives the scratch directories of the single runs. */
class Disk {
public:
    Disk() : loop_(make_image()) {}

    explicit operator bool() const
    {
        return ::geteuid() == 0 && private_mounts() && !loop_.path().empty() && have("mkfs.ext4");
    }
    void clear() const { REQUIRE(succeeds("wipefs -aqf " + loop_.path())); }
    bool is_formatted() const { return probe_device(loop_.path()).type == "ext4"; }

    PoolDef definition(const Scratch& scratch) const
    {
        auto def = scratch.dir_pool();
        def.type = "fs";
        def.source.devices = {{.path = loop_.path()}};
        def.source.format = "ext4";
        return def;
    }

private:
    std::string make_image() const
    {
        directory_.write("disk", "");
        std::filesystem::resize_file(directory_ / "disk", 16 * mib);
        return directory_ / "disk";
    }

    TemporaryDirectory directory_{};
    LoopDevice loop_;
};

bool is_mounted(const Scratch& scratch)
{
    return succeeds("mountpoint -q " + scratch.target());
}

bool is_running(const Scratch& scratch, Context& context)
{
    await_orphans();
    context.recover();
    const bool running = context.find_pool("pool").info().state == PoolState::running;
    CHECK(is_mounted(scratch) == running);
    return running;
}

void use_and_stop(Scratch& scratch, Context& context)
{
    auto pool = context.find_pool("pool");
    if (pool.info().state != PoolState::running)
        pool.start();
    check_usable(pool);
    pool.stop();
    CHECK_FALSE(is_mounted(scratch));
}

constexpr const char* needs = "skipped: needs root, a loop device and mkfs.ext4";

} // namespace

TEST_CASE("killed while making a file system: it is there, or can be made anew", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    kill_everywhere(
        [&](Scratch& scratch, Context& context) {
            disk.clear();
            context.define_pool(disk.definition(scratch));
        },
        [](Scratch&, Context& context) { context.find_pool("pool").build(BuildMode::overwrite); },
        [&](Scratch& scratch, Context&) {
            await_orphans();
            return disk.is_formatted() && scratch.directory.exists("pool");
        },
        {.opening_too = true, .at_end = use_and_stop});
}

TEST_CASE("killed while starting a pool that mounts: both are done or neither", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    for (const bool builds : {false, true}) {
        INFO("builds: " << builds);
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                disk.clear();
                auto pool = context.define_pool(disk.definition(scratch));
                if (!builds)
                    pool.build(BuildMode::overwrite);
            },
            [&](Scratch&, Context& context) {
                context.find_pool("pool").start(builds ? BuildMode::overwrite : BuildMode::none);
            },
            is_running, {.opening_too = true, .at_end = use_and_stop});
    }
}

TEST_CASE("killed while stopping a pool that mounts: both are done or neither", "[faults]")
{
    const Disk disk;
    if (!disk) {
        WARN(needs);
        return;
    }
    kill_everywhere(
        [&](Scratch& scratch, Context& context) {
            disk.clear();
            context.define_pool(disk.definition(scratch)).start(BuildMode::overwrite);
        },
        [](Scratch&, Context& context) { context.find_pool("pool").stop(); },
        [](Scratch& scratch, Context& context) {
            const bool running = is_running(scratch, context);
            CHECK(context.find_pool("pool").is_active() == running);
            return !running;
        },
        {.opening_too = true, .at_end = use_and_stop});
}
