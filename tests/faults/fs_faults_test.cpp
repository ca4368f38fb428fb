// SPDX-License-Identifier: LGPL-2.1-or-later
// What becomes of a pool of type fs when its disk is pulled out, cannot be read in places, is
// write-protected or does not answer. In the virtual machine of tests/lab.
#include "failing_device.hpp"

#include "device_probe.hpp"
#include "file_io.hpp"

#include <basin/job.hpp>
#include <cstring>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <span>
#include <sys/ioctl.h>

using namespace storage;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> formats{"ext4", "xfs", "btrfs", "vfat"};

PoolDef fs_pool(const Scratch& scratch, const std::string& device,
                const std::string& format = "ext4", const std::string& name = "pool")
{
    auto def = scratch.dir_pool(name);
    def.type = "fs";
    def.source.devices = {{.path = device}};
    def.source.format = format;
    return def;
}

bool is_mounted(const Scratch& scratch)
{
    return succeeds("mountpoint -q " + scratch.target());
}

/** Gives a volume that many bytes, and calls when half of them are there. */
ReadCallback noisy_source(std::size_t size, const std::function<void()>& at_half)
{
    return [=, at = std::size_t{0}](std::span<std::byte> buffer, std::uint64_t&) mutable {
        const auto count = std::min(buffer.size(), size - at);
        const auto text = noise(count, at + 1);
        std::memcpy(buffer.data(), text.data(), count);
        if (at < size / 2 && at + count >= size / 2)
            at_half();
        at += count;
        return count;
    };
}

ErrorCode download_code(const Volume& volume, const std::string& path)
{
    const UniqueFd into(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return error_code([&] { volume.download(into.get()); });
}

/** The sector of the disk in which a byte of a file is. */
std::uint64_t sector_of(const std::string& path, std::uint64_t offset)
{
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    alignas(::fiemap) std::array<char, sizeof(::fiemap) + sizeof(::fiemap_extent)> memory{};
    auto* map = reinterpret_cast<::fiemap*>(memory.data());
    map->fm_start = offset;
    map->fm_length = 1;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = 1;
    REQUIRE(::ioctl(fd.get(), FS_IOC_FIEMAP, map) == 0);
    REQUIRE(map->fm_mapped_extents == 1);
    const auto& extent = map->fm_extents[0];
    return (extent.fe_physical + offset - extent.fe_logical) / 512;
}

} // namespace

TEST_CASE("a disk is pulled out under a pool", "[.][lab]")
{
    Scratch scratch;
    scratch.directory.write("content", noise(3 * mib));
    Context context(scratch.options());
    auto other = context.define_pool(fs_pool(scratch, lab_disk('a'), "ext4", "other"));
    other.start(BuildMode::overwrite);

    for (const auto& format : formats) {
        INFO(format);
        const RemovableDisk disk;
        // By a name that goes with the disk, too.
        auto pool = context.define_pool(
            fs_pool(scratch, format == "xfs" ? disk.link() : disk.path(), format));
        pool.start(BuildMode::overwrite);
        const OpenFile file(scratch.directory / "content");
        auto volume = pool.create_volume(raw_volume("volume", 4 * mib, 4 * mib));
        volume.upload(file.fd());

        const auto source = noisy_source(16 * mib, [&] { disk.pull(); });
        const auto error = error_of([&] { pool.upload_volume(raw_volume("new", 0), source); });
        INFO(error.what());
        CHECK(error.code() == ErrorCode::io);
        CHECK(pool.info().state == PoolState::inaccessible);
        CHECK_THAT(pool.info().reason, Catch::Contains("is gone"));
        CHECK(error_code([&] { pool.create_volume(raw_volume("b")); }) == ErrorCode::invalid_state);
        CHECK(download_code(volume, scratch.directory / "down") == ErrorCode::invalid_state);
        check_usable(other);

        pool.stop();
        CHECK_FALSE(is_mounted(scratch));
        CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found);
        CHECK_FALSE(is_mounted(scratch));
        context.recover();
        pool.undefine();
    }
    other.stop();
}

TEST_CASE("a sector that cannot be read is an error of that volume alone", "[.][lab]")
{
    Scratch scratch;
    const auto content = noise(3 * mib);
    scratch.directory.write("content", content);
    FailingDevice device;
    Context context(scratch.options());
    auto pool = context.define_pool(fs_pool(scratch, device.path()));
    pool.start(BuildMode::overwrite);
    const OpenFile first(scratch.directory / "content"), second(scratch.directory / "content");
    auto bad = pool.upload_volume(raw_volume("bad", 0), first.fd());
    auto good = pool.upload_volume(raw_volume("good", 0), second.fd());

    device.fail_sector(sector_of(scratch.target("pool/bad"), mib));
    lab_run("echo 3 > /proc/sys/vm/drop_caches");
    CHECK(download_code(bad, scratch.directory / "down") == ErrorCode::io);
    CHECK(error_code([&] { pool.create_volume_from(raw_volume("copy", 0), bad); }) ==
          ErrorCode::io);
    CHECK_FALSE(scratch.directory.exists("pool/copy"));
    CHECK(download_code(good, scratch.directory / "down") == ErrorCode{});
    CHECK((scratch.directory.read("down") == content));
    CHECK(pool.info().state == PoolState::running);
    check_usable(pool);

    device.work();
    CHECK(download_code(bad, scratch.directory / "down") == ErrorCode{});
    CHECK((scratch.directory.read("down") == content));
    pool.stop();
}

TEST_CASE("a write-protected disk is a degraded pool", "[.][lab]")
{
    Scratch scratch;
    scratch.directory.write("content", noise(3 * mib));
    const auto disk = lab_disk('a');
    Context context(scratch.options());
    for (const auto& format : formats) {
        INFO(format);
        auto pool = context.define_pool(fs_pool(scratch, disk, format));
        pool.start(BuildMode::overwrite);
        const OpenFile file(scratch.directory / "content");
        auto volume = pool.create_volume(raw_volume("volume", 4 * mib, 4 * mib));
        volume.upload(file.fd());
        pool.stop();

        lab_run("blockdev --setro " + disk);
        CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) ==
              ErrorCode::permission_denied);
        pool.start();
        CHECK(pool.info().state == PoolState::degraded);
        CHECK_THAT(pool.info().reason, Catch::Contains("read-only"));
        CHECK(pool.is_active());
        const std::function<void()> changes[] = {
            [&] { pool.create_volume(raw_volume("new")); },
            [&] { pool.create_volume(volume_def("new", "qcow2", mib)); },
            [&] { pool.create_volume_from(raw_volume("new", 0), volume); },
            [&] { pool.upload_volume(raw_volume("new", 0), file.fd()); },
            [&] { volume.upload(file.fd()); },
            [&] { volume.resize(8 * mib); },
            [&] { volume.wipe(); },
            [&] { volume.rename("new"); },
            [&] { volume.delete_storage(); },
        };
        for (const auto& change : changes) {
            INFO("change " << &change - changes);
            CHECK(error_code(change) == ErrorCode::permission_denied);
        }
        CHECK(download_code(volume, scratch.directory / "down") == ErrorCode{});
        pool.refresh();
        pool.stop();

        lab_run("blockdev --setrw " + disk);
        pool.start();
        CHECK(pool.info().state == PoolState::running);
        check_usable(pool);
        pool.stop();
        pool.undefine();
    }
}

TEST_CASE("a disk that does not answer costs a call with a deadline no more than that", "[.][lab]")
{
    Scratch scratch;
    FailingDevice device;
    Context context(scratch.options());
    auto pool = context.define_pool(fs_pool(scratch, device.path()));
    auto beside = scratch.running_pool(context, "beside");
    const auto await = [&](const std::function<void(Job&)>& call) {
        Error error(ErrorCode{}, "no error");
        std::thread thread([&] {
            Job job;
            job.set_timeout(2s);
            error = error_of([&] { call(job); });
        });
        check_usable(beside);
        thread.join();
        UNSCOPED_INFO(error.what());
        return error.code();
    };
    const auto await_program = [](const std::string& name) {
        CHECK(comes_true([] { return threads() == 1; }));
        lab_run("while pidof " + name + " >/dev/null; do sleep 0.1; done");
    };

    SECTION("while it is formatted")
    {
        pool.build();
        Suspension suspension(device);
        CHECK(await([&](Job& job) { pool.build(BuildMode::overwrite, &job); }) ==
              ErrorCode::timed_out);
        CHECK(suspension.end());
        await_program("mkfs.ext4");
    }
    SECTION("while what is on it is looked at")
    {
        pool.build(BuildMode::overwrite);
        lab_run("echo 3 > /proc/sys/vm/drop_caches");
        Suspension suspension(device);
        CHECK(await([&](Job& job) { pool.start(BuildMode::none, &job); }) == ErrorCode::timed_out);
        CHECK(suspension.end());
        CHECK(comes_true([] { return threads() == 1; }));
        context.recover();
        CHECK_FALSE(is_mounted(scratch));
    }
    SECTION("while it is mounted")
    {
        pool.build(BuildMode::overwrite);
        // What is looked at before is in memory as long as the device is open.
        const auto fd = open_file(device.path(), O_RDONLY);
        probe_device(fd.get(), device.path());
        Suspension suspension(device);
        CHECK(await([&](Job& job) { pool.start(BuildMode::none, &job); }) == ErrorCode::timed_out);
        CHECK(suspension.end());
        await_program("mount");
        context.recover();
        CHECK(is_mounted(scratch) == (pool.info().state == PoolState::running));
    }
    SECTION("while it is unmounted")
    {
        pool.start(BuildMode::overwrite);
        pool.create_volume(raw_volume("volume", mib, mib));
        std::ofstream(scratch.target("pool/dirty")) << "not on the disk yet";
        pool.refresh(); // or the pool beside wants to know its volumes, and waits with it
        Suspension suspension(device);
        CHECK(await([&](Job& job) { pool.stop(&job); }) == ErrorCode::timed_out);
        CHECK(suspension.end());
        await_program("umount");
        context.recover();
        CHECK(is_mounted(scratch) == (pool.info().state == PoolState::running));
        pool.stop();
        CHECK_FALSE(is_mounted(scratch));
    }
    if (pool.info().state != PoolState::running)
        pool.start(BuildMode::overwrite);
    CHECK(pool.info().state == PoolState::running);
    check_usable(pool);
    pool.stop();
    CHECK_FALSE(is_mounted(scratch));
}
