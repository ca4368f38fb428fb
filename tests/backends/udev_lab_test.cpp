// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools on block devices where udev, which makes the devices' names, is late or not there at all.
// In the virtual machine of tests/lab.
#include "lab.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <thread>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;

void start_udev()
{
    lab_run("/lib/systemd/systemd-udevd --daemon --resolve-names=never && udevadm settle");
}

/** Whatever happens while it lives, udev does two seconds later. */
class LateUdev {
public:
    LateUdev()
    {
        lab_run("udevadm settle && pkill -STOP -x systemd-udevd");
        waker_ = std::thread([] { lab_run("sleep 2; pkill -CONT -x systemd-udevd"); });
    }
    ~LateUdev() { waker_.join(); }
    LateUdev(const LateUdev&) = delete;
    LateUdev& operator=(const LateUdev&) = delete;

private:
    std::thread waker_{};
};

class NoUdev {
public:
    NoUdev()
    {
        lab_run("udevadm settle && udevadm control --exit && sleep 1; rm -f /run/udev/control");
    }
    ~NoUdev() { start_udev(); }
    NoUdev(const NoUdev&) = delete;
    NoUdev& operator=(const NoUdev&) = delete;
};

struct Stage {
    Scratch scratch{};
    Context context;

    Stage() : context(scratch.options()) { clean(); }
    ~Stage() { clean(); }
    static void clean()
    {
        std::system("{ modprobe -a dm-mod; vgremove --yes --force labvg;"
                    "pvremove --yes --force /dev/vda; wipefs -a /dev/vda /dev/vdb;"
                    "blockdev --rereadpt /dev/vdb; } > /dev/null 2>&1");
    }
    Pool logical()
    {
        PoolDef def{.type = "logical", .name = "lvm", .source = {.name = "labvg"}};
        def.source.devices = {{.path = lab_disk('a')}};
        return context.define_pool(def);
    }
    Pool disk()
    {
        PoolDef def{.type = "disk", .name = "disk", .target = {.path = "/dev"}};
        def.source.devices = {{.path = lab_disk('b')}};
        def.source.format = "gpt";
        return context.define_pool(def);
    }
};

void check_node(const Volume& volume)
{
    CHECK(std::filesystem::is_block_file(volume.path()));
    CHECK(volume.info().capacity == 8 * mib);
}

/** What makes devices and takes them away. */
template <typename Udev>
void check_life(Pool pool, const std::string& name)
{
    {
        const Udev udev;
        pool.start(BuildMode::overwrite);
    }
    {
        const Udev udev;
        check_node(pool.create_volume({.name = name, .capacity = 8 * mib}));
    }
    {
        const Udev udev;
        pool.stop();
    }
    {
        const Udev udev;
        pool.start();
        REQUIRE(pool.volumes().size() == 1);
        check_node(pool.volumes().front());
    }
    const auto path = pool.volumes().front().path();
    {
        const Udev udev;
        pool.volumes().front().delete_storage();
        CHECK_FALSE(std::filesystem::exists(path));
    }
    const Udev udev;
    pool.stop();
    pool.delete_storage();
}

} // namespace

TEST_CASE("udev is two seconds late", "[.][lab]")
{
    Stage stage;
    SECTION("logical")
    {
        check_life<LateUdev>(stage.logical(), "v");
    }
    SECTION("disk")
    {
        check_life<LateUdev>(stage.disk(), "");
    }
}

TEST_CASE("there is no udev", "[.][lab]")
{
    Stage stage;
    SECTION("logical")
    {
        check_life<NoUdev>(stage.logical(), "v");
    }
    SECTION("disk")
    {
        check_life<NoUdev>(stage.disk(), "");
    }
}
