// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type fs on loop devices and image files; each file system of the kernel is tried in
// tests/lab.
#include "device_probe.hpp"
#include "file_io.hpp"
#include "mounts.hpp"
#include "process_runner.hpp"
#include "scratch.hpp"
#include "system_root.hpp"
#include "volume_steps.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <span>
#include <sys/stat.h>

using namespace storage;

namespace {

bool sh(const std::string& command)
{
    return std::system(("(" + command + ") >/dev/null 2>&1").c_str()) == 0;
}

/** A disk of 128 MiB on a loop device, and a pool on it. */
class Fs {
public:
    Fs() : image_(make_image()), loop_(image_) {}

    explicit operator bool() const
    {
        return ::geteuid() == 0 && private_mounts() && !loop_.path().empty();
    }

    PoolDef definition(const std::string& format = "ext4") const
    {
        PoolDef def;
        def.type = "fs";
        def.name = "disk";
        def.source.devices = {{.path = loop_.path()}};
        def.source.format = format;
        def.target.path = target();
        return def;
    }
    std::string target() const { return scratch.target("mnt"); }
    const std::string& device() const { return loop_.path(); }
    const std::string& image() const { return image_; }
    bool is_mounted() const { return sh("mountpoint -q " + target()); }

    Scratch scratch{};
    Context context{scratch.options()};

private:
    std::string make_image() const
    {
        scratch.directory.write("disk.img", "");
        const auto path = scratch.directory / "disk.img";
        std::filesystem::resize_file(path, 128 << 20);
        return path;
    }
    std::string image_;
    LoopDevice loop_;
};

#define NEEDS_ROOT(fs)                                                                             \
    if (!(fs)) {                                                                                   \
        WARN("skipped: needs root and a loop device");                                             \
        return;                                                                                    \
    }

} // namespace

TEST_CASE("an fs pool is formatted, mounted with safe options, used and unmounted", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto def = fs.definition();
    def.mount_options = {"noatime"};
    auto pool = fs.context.define_pool(def);

    CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found); // no directory yet
    pool.build();
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found); // no file system yet
    CHECK_FALSE(pool.is_active());
    pool.build(BuildMode::no_overwrite);
    CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) == ErrorCode::already_exists);
    pool.start();
    CHECK(fs.is_mounted());
    CHECK(sh("findmnt -n -o FSTYPE,OPTIONS " + fs.target() +
             " | grep ext4 | grep nodev | grep nosuid | grep noexec | grep noatime"));
    CHECK(pool.info().state == PoolState::running);
    CHECK(pool.info().capacity > 64 << 20);

    pool.create_volume(raw_volume("a", 4 << 20));
    CHECK(std::filesystem::file_size(fs.target() + "/a") == 4 << 20);
    CHECK(pool.find_volume("a").info().capacity == 4 << 20);
    CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) == ErrorCode::invalid_state);
    pool.stop();
    CHECK_FALSE(fs.is_mounted());
    CHECK(std::filesystem::is_empty(fs.target()));

    pool.start();
    CHECK(pool.find_volume("a").info().capacity == 4 << 20);
    pool.stop();
    pool.delete_storage();
    CHECK_FALSE(std::filesystem::exists(fs.target()));
}

TEST_CASE("a start that builds overwrites only what it may", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    REQUIRE(sh("mkfs.btrfs -q " + fs.device()));
    auto pool = fs.context.define_pool(fs.definition());
    CHECK(error_code([&] { pool.start(BuildMode::no_overwrite); }) == ErrorCode::already_exists);
    CHECK_FALSE(std::filesystem::exists(fs.target()));
    pool.build();
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::invalid_argument); // btrfs
    pool.start(BuildMode::overwrite);
    CHECK(sh("findmnt -n -o FSTYPE " + fs.target() + " | grep ext4"));
    pool.stop();
    // Somebody else's mount keeps a device from being formatted.
    const auto other = fs.scratch.target("other");
    std::filesystem::create_directory(other);
    REQUIRE(sh("mount " + fs.device() + ' ' + other));
    CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) == ErrorCode::busy);
    CHECK(sh("umount " + other));
}

TEST_CASE("a build that overwrites leaves nothing by which the device was something else", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    struct Case {
        std::string format, before;
        bool at_end;
    };
    for (const auto& [format, before, at_end] :
         {Case{"ext4", "linux_raid_member", true}, Case{"vfat", "linux_raid_member", true},
          Case{"btrfs", "linux_raid_member", true}, Case{"ext4", "gpt", false},
          Case{"btrfs", "gpt", false}, Case{"vfat", "gpt", false}}) {
        INFO(format << " over " << before);
        REQUIRE(sh("wipefs -aq " + fs.device()));
        if (at_end) { // metadata 1.0 of md(4): magic, version, and where it is
            constexpr std::uint64_t sector = ((128 << 20) / 512 - 16) & ~7;
            const auto fd = open_file(fs.device(), O_RDWR);
            std::string block(512, '\1');
            block.replace(0, 8, std::string("\xfc\x4e\x2b\xa9\1\0\0\0", 8));
            block.replace(144, 8, reinterpret_cast<const char*>(&sector), 8);
            REQUIRE(::pwrite(fd.get(), block.data(), 512, sector * 512) == 512);
            REQUIRE(::fsync(fd.get()) == 0);
        } else {
            REQUIRE(sh("echo 'label: gpt' | sfdisk -q " + fs.device()));
        }
        REQUIRE(probe_device(fs.device()).type == before);
        auto pool = fs.context.define_pool(fs.definition(format));
        CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) ==
              ErrorCode::already_exists);
        REQUIRE(probe_device(fs.device()).type == before);
        pool.build(BuildMode::overwrite);
        if (format == "ext4") { // which every kernel has
            pool.start();
            CHECK(fs.is_mounted());
            pool.stop();
        }
        CHECK(probe_device(fs.device()).type == format);
        CHECK(sh("[ $(wipefs --noheadings --output TYPE " + fs.device() +
                 " | sort -u) = " + format + " ]"));
        pool.undefine();
    }
}

TEST_CASE("a partition table that has lost what marks it is not formatted over unasked", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    // Without the dos table before it; and with the copy at the end alone.
    for (const std::string lost : {"1", "34"}) {
        INFO(lost);
        REQUIRE(sh("echo 'label: gpt' | sfdisk -q " + fs.device()));
        REQUIRE(sh("dd if=/dev/zero bs=512 count=" + lost + " of=" + fs.device()));
        CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) ==
              ErrorCode::already_exists);
        CHECK(probe_device(fs.device()).type == "gpt");
    }
    pool.build(BuildMode::overwrite);
    CHECK(probe_device(fs.device()).type == "ext4");
    CHECK(sh("[ $(wipefs --noheadings --output TYPE " + fs.device() + " | sort -u) = ext4 ]"));
}

TEST_CASE("nothing is formatted that a program or a loop device uses", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    REQUIRE(sh("mkfs.btrfs -q " + fs.device()));
    for (const auto& source : {fs.image(), fs.device()}) {
        INFO(source);
        auto def = fs.definition();
        def.source.devices = {{.path = source}};
        auto pool = fs.context.define_pool(def);
        const auto busy = [&](const std::string& words) {
            try {
                pool.build(BuildMode::overwrite);
            } catch (const Error& error) {
                CHECK_THAT(error.what(), Catch::Contains(words));
                return error.code() == ErrorCode::busy;
            }
            return false;
        };
        if (source == fs.image())
            CHECK(busy("'" + fs.device() + "' shows it"));
        const auto open = open_file(source, O_RDWR);
        CHECK(busy("'" + source + "' is in use: "));
        CHECK(probe_device(fs.device()).type == "btrfs");
        pool.undefine();
    }
}

TEST_CASE("a directory of the file system that is mounted in its place is not the pool", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    pool.start(BuildMode::overwrite);
    std::filesystem::create_directory(fs.target() + "/sub");
    REQUIRE(sh("mount --bind " + fs.target() + "/sub " + fs.target()));
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK_THAT(pool.info().reason, Catch::Contains("the directory '/sub' of"));
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::invalid_state);
    REQUIRE(sh("umount " + fs.target()));
    CHECK(pool.info().state == PoolState::running);
    pool.stop();

    const auto other = fs.scratch.target("other");
    std::filesystem::create_directory(other);
    REQUIRE(sh("mount " + fs.device() + ' ' + other));
    REQUIRE(sh("mount --bind " + other + "/sub " + fs.target()));
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::busy);
    CHECK(sh("umount " + fs.target()));
    REQUIRE(sh("mount --bind " + other + ' ' + fs.target())); // all of it
    pool.start();
    CHECK(pool.info().state == PoolState::running);
    pool.stop();
    CHECK(sh("umount " + fs.target() + " && umount " + other));
}

TEST_CASE("a build overwrites the device with the content that was seen, and no other", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    const auto empty = pool.expecting(pool.identity());
    REQUIRE(sh("mkfs.btrfs -q " + fs.device()));
    auto seen = pool.expecting(pool.identity());
    CHECK(error_code([&] { Pool(empty).build(BuildMode::overwrite); }) == ErrorCode::not_found);
    CHECK(error_code([&] { Pool(empty).start(BuildMode::overwrite); }) == ErrorCode::not_found);
    REQUIRE(sh("mkfs.btrfs -q -f " + fs.device())); // another one
    CHECK(error_code([&] { seen.build(BuildMode::overwrite); }) == ErrorCode::not_found);
    CHECK(sh("blkid -o value -s TYPE -p " + fs.device() + " | grep btrfs"));
    pool.expecting(pool.identity()).build(BuildMode::overwrite);
    CHECK(sh("blkid -o value -s TYPE -p " + fs.device() + " | grep ext4"));
}

TEST_CASE("a mount that was there before stays when the pool stops", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    REQUIRE(sh("mkfs.ext4 -q " + fs.device() + " && mkdir " + fs.target() + " && mount " +
               fs.device() + ' ' + fs.target()));
    auto pool = fs.context.define_pool(fs.definition("auto"));
    CHECK_FALSE(pool.is_active()); // a mount alone starts nothing
    pool.start();
    pool.stop();
    CHECK(fs.is_mounted());
    CHECK(sh("umount " + fs.target()));

    // Something else there is not covered.
    REQUIRE(sh("mount -t tmpfs none " + fs.target()));
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::busy);
    CHECK(sh("umount " + fs.target()));
    pool.start();
    CHECK(fs.is_mounted());
    pool.stop();
    CHECK_FALSE(fs.is_mounted());
}

TEST_CASE("a file system that was unmounted behind our back is seen at once", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    pool.start(BuildMode::overwrite);
    pool.create_volume(raw_volume("a"));
    {
        const std::ofstream holder(fs.target() + "/a", std::ios::app);
        REQUIRE(sh("umount --lazy " + fs.target()));
        CHECK(pool.info().state == PoolState::inaccessible);
        CHECK(pool.info().reason.find("nothing is mounted at") != std::string::npos);
        CHECK(pool.is_active());
        CHECK(error_code([&] { pool.create_volume(raw_volume("b")); }) == ErrorCode::invalid_state);
        CHECK(error_code([&] { pool.refresh(); }) == ErrorCode::invalid_state);
        CHECK(std::filesystem::is_empty(fs.target()));
    }
    pool.stop(); // nothing left to unmount
    CHECK_FALSE(pool.is_active());
    pool.start();
    CHECK(pool.find_volume("a").info().capacity == 1 << 20);

    // Another file system in its place is another pool's.
    REQUIRE(sh("mount -t tmpfs none " + fs.target()));
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(pool.info().reason.find("is mounted at") != std::string::npos);
    CHECK(error_code([&] { pool.create_volume(raw_volume("b")); }) == ErrorCode::invalid_state);
    Job dry;
    dry.set_dry_run(true);
    for (auto* job : {&dry, static_cast<Job*>(nullptr)})
        try {
            pool.stop(job);
            FAIL_CHECK("stopped, with its file system below the stranger's");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::busy);
            CHECK_THAT(error.what(), Catch::Contains("'none'") && Catch::Contains(fs.device()));
            CHECK_THAT(error.remedy(), Catch::Contains("umount " + fs.target()));
        }
    CHECK(pool.is_active());
    REQUIRE(sh("umount " + fs.target()));
    pool.stop();
    CHECK_FALSE(fs.is_mounted());

    // The stranger's may be the older one: a mount can be moved.
    const auto elsewhere = fs.scratch.directory / "elsewhere";
    REQUIRE(sh("mkdir " + elsewhere + " && mount -t tmpfs none " + elsewhere));
    pool.start();
    REQUIRE(sh("mount --make-private " + fs.scratch.directory.path() + "; mount --move " +
               elsewhere + ' ' + fs.target()));
    CHECK(pool.info().reason.find("'none' is mounted at") != std::string::npos);
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    REQUIRE(sh("umount " + fs.target() + " && mountpoint -q " + fs.target()));
    pool.stop();
    CHECK_FALSE(fs.is_mounted());
}

TEST_CASE("nothing is written below the target when it is unmounted during a call", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    pool.build(BuildMode::overwrite);
    for (const bool resumable : {false, true}) {
        INFO(resumable);
        pool.start();
        bool unmounted = false;
        const ReadCallback read = [&](std::span<std::byte> buffer, std::uint64_t&) -> std::size_t {
            if (unmounted)
                return 0;
            unmounted = sh("umount --lazy " + fs.target());
            buffer[0] = std::byte{'x'};
            return 1;
        };
        auto def = raw_volume(resumable ? "b" : "a", 0);
        def.allocation = {};
        const auto code =
            error_code([&] { pool.upload_volume(def, read, {.resumable = resumable}); });
        CHECK(unmounted);
        // What was opened before is whole, on the file system that nobody sees now.
        CHECK(code == (resumable ? ErrorCode::invalid_state : ErrorCode{}));
        CHECK(std::filesystem::is_empty(fs.target()));
        pool.stop();
    }
}

TEST_CASE("a step makes nothing on another mount than the pool's", "[fs]")
{
    const TemporaryDirectory directory;
    const Journal journal(directory / "journal");
    const Log log{};
    const SystemRoot system;
    ProcessRunner runner;
    const Host host{.system = system, .log = log, .runner = runner};
    const PoolDirectory elsewhere(directory / "pool", "0:0:1");
    std::filesystem::create_directory(elsewhere.path);
    const auto execute = [&](Change& change) {
        return error_code([&] { change.execute({.journal = journal, .host = host}); });
    };
    const auto run = [&](Step step) {
        Change change("test");
        change.add(std::move(step));
        return execute(change);
    };
    const auto write = [](const FileWork& work) {
        write_all(work.fd, "text", work.path);
        return true;
    };
    CHECK(run(create_file_step(elsewhere, "a", {"text", write}, {})) == ErrorCode::invalid_state);
    CHECK(run(create_by_tool_step(elsewhere, "a", {}, {})) == ErrorCode::invalid_state);
    CHECK(run(create_directory_step(elsewhere, "a", {})) == ErrorCode::invalid_state);
    Change upload("test");
    list_resumable_upload(elsewhere, "a", {"text", write}, {}, upload);
    CHECK(execute(upload) == ErrorCode::invalid_state);
    CHECK(std::filesystem::is_empty(elsewhere.path));

    // Nor does it change what is there.
    const auto file = elsewhere.path + "/a", partial = partial_path(elsewhere.path, "b");
    for (const auto& path : {file, partial})
        std::ofstream(path) << "content";
    const auto change_it = [&](Step step) { return run(within(std::move(step), elsewhere.place)); };
    CHECK(change_it(resize_file_step(file, 3, false)) == ErrorCode::invalid_state);
    CHECK(change_it(change_file_step(file, {}, "", write)) == ErrorCode::invalid_state);
    CHECK(change_it(run_tool_step(file, {}, "", write)) == ErrorCode::invalid_state);
    CHECK(change_it(remove_volume_step(elsewhere.path, "a", file_identity(file), false)) ==
          ErrorCode::invalid_state);
    CHECK(change_it(rename_volume_step(elsewhere.path, "a", "c", file_identity(file))) ==
          ErrorCode::invalid_state);
    CHECK(change_it(discard_step(elsewhere.path, "b", file_identity(partial))) ==
          ErrorCode::invalid_state);
    for (const auto& path : {file, partial})
        CHECK(read_small_file(path, 100) == "content");
    CHECK(run(resize_file_step(file, 3, false)) == ErrorCode{});
}

TEST_CASE("a pool that is in use is not stopped, and says by whom", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    pool.start(BuildMode::overwrite);
    {
        const std::ofstream holder(fs.target() + "/held");
        try {
            pool.stop();
            FAIL_CHECK("stopped");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::busy);
            CHECK_THAT(error.what(),
                       Catch::Contains(std::to_string(::getpid())) && Catch::Contains("/held"));
        }
        CHECK(pool.is_active());
    }
    pool.stop();
}

TEST_CASE("a device is found by UUID and LABEL, and an image file by its path", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    REQUIRE(
        sh("mkfs.ext4 -q -L 'pool disk' -U 0d0c0b0a-0908-4706-8504-0302010000f5 " + fs.device()));
    for (const auto* source : {"UUID=0d0c0b0a-0908-4706-8504-0302010000f5", "LABEL=pool disk"}) {
        INFO(source);
        auto def = fs.definition("auto");
        def.source.devices = {{.path = source}};
        auto pool = fs.context.define_pool(def);
        pool.build();
        pool.start();
        CHECK(pool.is_active());
        CHECK(fs.is_mounted());
        pool.stop();
        CHECK_FALSE(fs.is_mounted());
        pool.undefine();
    }
    auto def = fs.definition("auto");
    def.source.devices = {{.path = "UUID=00000000-0000-4000-8000-000000000000"}};
    auto pool = fs.context.define_pool(def);
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found);
    pool.undefine();

    // mount(8) makes a loop device for a file, and the kernel ends it.
    const auto image = fs.scratch.directory / "other.img";
    REQUIRE(sh("truncate -s 64M " + image + " && mkfs.ext4 -q -F " + image));
    def.source.devices = {{.path = image}};
    pool = fs.context.define_pool(def);
    pool.start();
    CHECK(pool.info().state == PoolState::running);
    pool.create_volume(raw_volume("a"));
    pool.stop();
    CHECK_FALSE(fs.is_mounted());
    CHECK_FALSE(sh("losetup -j " + image + " | grep ."));
}

TEST_CASE("an fs pool stops although its source cannot be found any more", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    REQUIRE(sh("mkfs.ext4 -q -L 'basin test 1' " + fs.device()));
    auto def = fs.definition();
    def.source.devices = {{.path = "LABEL=basin test 1"}};
    auto pool = fs.context.define_pool(def);
    pool.build();
    pool.start();
    REQUIRE(sh("e2label " + fs.device() + " 'basin test 2'"));
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK_THAT(pool.info().reason, Catch::Contains("no device has LABEL="));
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::invalid_state);
    pool.stop();
    CHECK_FALSE(fs.is_mounted());
    pool.undefine();

    const auto image = fs.scratch.directory / "other.img";
    REQUIRE(sh("truncate -s 64M " + image + " && mkfs.ext4 -q -F " + image));
    def.source.devices = {{.path = image}};
    pool = fs.context.define_pool(def);
    pool.start();
    std::filesystem::remove(image);
    CHECK(pool.info().state == PoolState::inaccessible);
    pool.stop();
    CHECK_FALSE(fs.is_mounted());
}

TEST_CASE("a btrfs on several devices is mounted by any of them", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    fs.scratch.directory.write("second.img", "");
    const auto image = fs.scratch.directory / "second.img";
    std::filesystem::resize_file(image, 128 << 20);
    const LoopDevice second(image);
    if (!sh("modprobe -q btrfs; grep -w btrfs /proc/filesystems && type mkfs.btrfs")) {
        WARN("skipped: no btrfs");
        return;
    }
    REQUIRE(sh("mkfs.btrfs -q -f -m raid1 -d single " + fs.device() + ' ' + second.path()));
    for (const auto& path : {fs.device(), second.path()}) {
        INFO(path);
        auto def = fs.definition("btrfs");
        def.source.devices = {{.path = path}};
        auto pool = fs.context.define_pool(def);
        pool.start(BuildMode::keep);
        CHECK(pool.info().state == PoolState::running);
        pool.create_volume(raw_volume("a")).delete_storage();
        pool.stop();
        CHECK_FALSE(fs.is_mounted());
        pool.undefine();
    }
}

TEST_CASE("a file system that became read-only is a degraded pool", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    auto pool = fs.context.define_pool(fs.definition());
    pool.start(BuildMode::overwrite);
    pool.create_volume(raw_volume("a"));
    REQUIRE(sh("mount -o remount,ro,bind " + fs.target())); // this mount alone
    CHECK(pool.info().state == PoolState::degraded);
    REQUIRE(sh("mount -o remount,rw,bind " + fs.target()));
    CHECK(pool.info().state == PoolState::running);
    REQUIRE(sh("mount -o remount,ro " + fs.target()));
    CHECK(pool.info().state == PoolState::degraded);
    CHECK_THAT(pool.info().reason, Catch::Contains("read-only"));
    CHECK(pool.is_active());
    CHECK(error_code([&] { pool.create_volume(raw_volume("b")); }) == ErrorCode::permission_denied);
    CHECK(error_code([&] { pool.find_volume("a").delete_storage(); }) ==
          ErrorCode::permission_denied);
    pool.refresh();
    CHECK(pool.volumes().size() == 2); // and lost+found
    pool.stop();
    CHECK_FALSE(fs.is_mounted());

    pool.undefine();
    auto def = fs.definition();
    def.mount_options = {"ro"};
    pool = fs.context.define_pool(def);
    pool.start();
    CHECK(pool.info().state == PoolState::running); // as it was asked for
    pool.stop();
}

TEST_CASE("what cannot be mounted or made is refused in words", "[fs]")
{
    Fs fs;
    NEEDS_ROOT(fs);
    const auto attempt = [&](PoolDef def, auto&& call) {
        auto pool = fs.context.define_pool(def);
        std::string message;
        try {
            call(pool);
        } catch (const Error& error) {
            message = std::string(to_string(error.code())) + ": " + error.what() + " [" +
                      error.remedy() + "]";
        }
        pool.undefine();
        return message;
    };
    const auto build = [](Pool& pool) { pool.build(BuildMode::overwrite); };
    const auto start = [](Pool& pool) {
        pool.build();
        pool.start();
    };
    CHECK_THAT(attempt(fs.definition("auto"), build),
               Catch::Contains("not_supported") && Catch::Contains("name the format"));
    CHECK_THAT(attempt(fs.definition("iso9660"), build), Catch::Contains("not_supported"));
    auto gone = fs.definition();
    gone.source.devices = {{.path = "/dev/none"}};
    CHECK_THAT(attempt(gone, build), Catch::Contains("not_found: device '/dev/none'"));
    CHECK_THAT(attempt(gone, start), Catch::Contains("not_found: device '/dev/none'"));
    for (const auto* none : {"/dev/null", "/tmp"}) {
        gone.source.devices = {{.path = none}};
        for (const auto& call : {std::function<void(Pool&)>(build), std::function(start)})
            CHECK_THAT(attempt(gone, call),
                       Catch::Contains("' is no block device and no image file [correct"));
    }
    // What it was found by it has no longer when it is formatted.
    REQUIRE(sh("mkfs.ext4 -q -F -L basin-tag " + fs.device()));
    for (const auto* tag : {"LABEL=basin-tag", "UUID=0d0c0b0a-0908-4706-8504-0302010000f5"}) {
        gone.source.devices = {{.path = tag}};
        CHECK_THAT(attempt(gone, build), Catch::Contains("not_supported: ") &&
                                             Catch::Contains(std::string("not have ") + tag));
    }
    CHECK(probe_device(fs.device()).label == "basin-tag");
    REQUIRE(sh("wipefs -aq " + fs.device()));
    REQUIRE(sh("echo label: gpt | sfdisk -q " + fs.device()));
    CHECK_THAT(attempt(fs.definition("auto"), start),
               Catch::Contains("a partition table of type 'gpt'"));
    REQUIRE(sh("wipefs -aq " + fs.device() + " && mkswap " + fs.device()));
    CHECK_THAT(attempt(fs.definition("auto"), start),
               Catch::Contains("type 'swap' on it, which cannot be mounted"));
    auto wrong = fs.definition();
    wrong.mount_options = {"no-such-option"};
    auto pool = fs.context.define_pool(wrong);
    pool.build(BuildMode::overwrite);
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::command_failed);
    CHECK_FALSE(pool.is_active());
    CHECK_FALSE(fs.is_mounted());
}

TEST_CASE("what would be run is told beforehand, for every format, without rights", "[fs]")
{
    Scratch scratch;
    Context context(scratch.options());
    const auto image = scratch.directory / "disk.img";
    scratch.directory.write("disk.img", std::string(1 << 20, '\0'));
    const auto target = scratch.target("mnt");
    const std::string options = "nodev,nosuid,noexec";
    const auto calls = [](const Job& job) {
        std::vector<std::string> lines;
        for (const auto& step : job.plan()) {
            std::string line;
            for (const auto& word : step.call)
                line += (line.empty() ? "" : " ") + word;
            lines.push_back(line);
        }
        return lines;
    };
    struct Case {
        std::string format, make, mount;
    };
    for (const auto& [format, make, mount] : {
             Case{"ext2", "mkfs.ext2 -q -F", "-t ext2"},
             Case{"ext3", "mkfs.ext3 -q -F", "-t ext3"},
             Case{"ext4", "mkfs.ext4 -q -F", "-t ext4"},
             Case{"xfs", "mkfs.xfs -q -f", "-t xfs"},
             Case{"btrfs", "mkfs.btrfs -q -f", "-t btrfs"},
             Case{"f2fs", "mkfs.f2fs -q -f", "-t f2fs"},
             Case{"vfat", "mkfs.vfat -I", "-t vfat"},
             Case{"udf", "", "-t udf"},
             Case{"gfs2", "", "-t gfs2"},
             Case{"ocfs2", "", "-t ocfs2"},
             Case{"hfs+", "mkfs.hfsplus", "-t hfsplus"},
             Case{"auto", "-", "-t auto"},
             Case{"iso9660", "-", "-t iso9660"},
             Case{"ufs", "-", "-o nodev,nosuid,noexec,ro,ufstype=44bsd -t ufs"},
             Case{"vmfs", "-", "-t vmfs"},
             Case{"gfs", "-", "-t gfs"},
         }) {
        INFO(format);
        PoolDef def;
        def.type = "fs";
        def.name = "disk";
        def.source.devices = {{.path = image}};
        def.source.format = format;
        def.target.path = target;
        auto pool = context.define_pool(def);
        Job build;
        build.set_dry_run(true);
        const auto code = error_code([&] { pool.build(BuildMode::no_overwrite, &build); });
        CHECK(code == (make == "-" ? ErrorCode::not_supported : ErrorCode{}));
        if (make != "-") {
            REQUIRE(calls(build).size() == 2);
            CHECK_THAT(calls(build)[1], Catch::StartsWith(make) && Catch::EndsWith(' ' + image));
            CHECK(build.plan()[1].destructive);
        }
        Job start;
        start.set_dry_run(true);
        pool.start(BuildMode::none, &start);
        const auto with_options = mount.starts_with("-o") ? mount : "-o " + options + ' ' + mount;
        CHECK(calls(start).at(0) == "mount " + with_options + " -- " + image + ' ' + target);
        CHECK_FALSE(std::filesystem::exists(target));
        pool.undefine();
    }
}
