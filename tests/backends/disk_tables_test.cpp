// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type disk and the tables that they find: none, another one, a damaged one, one they do
// not know.
#include "disk_pool.hpp"

using namespace storage;
using namespace disk_pool;

TEST_CASE("disk: what a build may write over", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.context->define_pool(on.def);
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found);
    Job dry;
    dry.set_dry_run(true);
    CHECK(error_code([&] { pool.start(BuildMode::none, &dry); }) == ErrorCode::not_found);
    CHECK(dry.plan().empty());
    CHECK_FALSE(pool.is_active());
    CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::not_found);

    pool.build(BuildMode::no_overwrite);
    const auto first = probe_device(on.disk->path());
    CHECK(first.type == "gpt");
    const auto message = message_of([&] { pool.build(BuildMode::no_overwrite); });
    CHECK(contains(message, "has a partition table of type 'gpt' on it"));
    CHECK(contains(message, "overwrite"));
    CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) == ErrorCode::already_exists);
    pool.build(BuildMode::keep); // it is as it should be
    CHECK(probe_device(on.disk->path()).uuid == first.uuid);
    {
        // As a guest has it whose disk it is.
        const auto open = open_file(on.disk->path(), O_RDWR);
        CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) == ErrorCode::busy);
        CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::busy);
    }
    CHECK(probe_device(on.disk->path()).uuid == first.uuid);
    auto seen = pool.expecting(pool.identity());
    seen.build(BuildMode::overwrite);
    CHECK(probe_device(on.disk->path()).uuid != first.uuid);
    CHECK(error_code([&] { seen.build(BuildMode::overwrite); }) == ErrorCode::not_found);
    CHECK(error_code([&] { seen.delete_storage(); }) == ErrorCode::not_found);
    CHECK(probe_device(on.disk->path()).type == "gpt");

    // Another type of table, and a file system without any.
    on.def.source.format = "dos";
    on.def.uuid = pool.uuid();
    pool = on.context->define_pool(on.def);
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { pool.start(BuildMode::none, &dry); }) == ErrorCode::invalid_state);
    for (const auto mode : {BuildMode::keep, BuildMode::no_overwrite})
        CHECK(error_code([&] { pool.build(mode); }) == ErrorCode::already_exists);
    pool.build(BuildMode::overwrite);
    CHECK(probe_device(on.disk->path()).type == "dos");
    pool.delete_storage();
    CHECK(probe_device(on.disk->path()).empty());
    REQUIRE(std::system(("mkfs.ext4 -q " + on.disk->path()).c_str()) == 0);
    for (const auto mode : {BuildMode::keep, BuildMode::no_overwrite})
        CHECK(contains(message_of([&] { pool.build(mode); }), "ext4"));
    CHECK(probe_device(on.disk->path()).type == "ext4");
    pool.build(BuildMode::overwrite);
    const auto last = probe_device(on.disk->path());
    CHECK(last.type == "dos"); // and nothing else: the file system's own mark is gone
    CHECK_FALSE(last.is_ambiguous);
}

TEST_CASE("disk: a table that libblkid does not know is not written over", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    REQUIRE(std::system(("parted -s " + on.disk->path() + " mklabel amiga").c_str()) == 0);
    const auto before = on.bytes();
    auto pool = on.context->define_pool(on.def);
    for (const auto mode : {BuildMode::keep, BuildMode::no_overwrite}) {
        CHECK(error_code([&] { pool.build(mode); }) == ErrorCode::already_exists);
        CHECK(contains(message_of([&] { pool.build(mode); }), "table of type 'amiga'"));
    }
    CHECK((on.bytes() == before));
    pool.build(BuildMode::overwrite);
    CHECK(probe_device(on.disk->path()).type == "gpt");
}

TEST_CASE("disk: a gpt whose first header is damaged is neither empty nor a dos table", "[disk]")
{
    for (const std::string format : {"gpt", "dos"}) {
        DiskPool on("gpt");
        if (!on.disk)
            return;
        auto pool = on.running();
        const auto volume = pool.create_volume(partition(10 * MiB)).name();
        std::string header(512, '\0');
        const auto fd = open_file(on.disk->path(), O_RDWR);
        REQUIRE(::pread(fd.get(), header.data(), 512, 512) == 512);
        REQUIRE(::pwrite(fd.get(), std::string(512, 'x').data(), 512, 512) == 512);
        REQUIRE(::fsync(fd.get()) == 0);
        CHECK(contains(pool.info().reason,
                       "first header of the gpt of '" + on.disk->path() + "' is damaged"));
        CHECK(error_code([&] { pool.create_volume(partition(MiB)); }) == ErrorCode::invalid_state);
        pool.stop();
        const auto before = on.bytes();
        on.def.source.format = format;
        on.def.uuid = pool.uuid();
        pool = on.context->define_pool(on.def);
        for (const auto mode : {BuildMode::keep, BuildMode::no_overwrite})
            CHECK(error_code([&] { pool.build(mode); }) == ErrorCode::already_exists);
        const auto message = message_of([&] { pool.start(); });
        CHECK(contains(message, "is damaged"));
        CHECK(contains(message, "copy at the disk's end"));
        CHECK_FALSE(contains(message, "build"));
        CHECK((on.bytes() == before));
        // Once it is mended all is there.
        REQUIRE(::pwrite(fd.get(), header.data(), 512, 512) == 512);
        if (format != "gpt")
            continue;
        pool.start();
        CHECK(pool.volume_names() == std::vector{volume});
    }
}

TEST_CASE("disk: a dos table that was written over a gpt", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    pool.stop();
    // As by a program that writes the first sector alone.
    std::string header(512, '\0');
    {
        const auto fd = open_file(on.disk->path(), O_RDWR);
        REQUIRE(::pread(fd.get(), header.data(), 512, 512) == 512);
    }
    REQUIRE(std::system(("echo size=10MiB | sfdisk -q -X dos " + on.disk->path()).c_str()) == 0);
    {
        const auto fd = open_file(on.disk->path(), O_RDWR);
        REQUIRE(::pwrite(fd.get(), header.data(), 512, 512) == 512);
        REQUIRE(::fsync(fd.get()) == 0);
    }
    REQUIRE(header.substr(0, 8) == "EFI PART");
    const auto before = on.bytes();
    CHECK(contains(message_of([&] { pool.start(); }), "of type 'dos', not 'gpt'"));
    CHECK((on.bytes() == before));
    on.def.source.format = "dos";
    on.def.uuid = pool.uuid();
    pool = on.context->define_pool(on.def);
    pool.build(BuildMode::keep);
    CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) == ErrorCode::already_exists);
    pool.start();
    CHECK(pool.volume_names() == std::vector{on.volume_name(1)});
    CHECK(pool.create_volume(partition(MiB)).name() == on.volume_name(2));
}

TEST_CASE("disk: a gpt that nothing protects is none that can be changed, and not empty", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    pool.stop();
    const auto fd = open_file(on.disk->path(), O_RDWR);
    REQUIRE(::pwrite(fd.get(), std::string(512, '\0').data(), 512, 0) == 512);
    REQUIRE(::fsync(fd.get()) == 0);
    const auto before = on.bytes();
    for (const auto mode : {BuildMode::keep, BuildMode::no_overwrite})
        CHECK(error_code([&] { pool.build(mode); }) == ErrorCode::already_exists);
    const auto message = message_of([&] { pool.start(); });
    CHECK(contains(message, "the dos table that protects it"));
    CHECK_FALSE(contains(message, "build"));
    CHECK((on.bytes() == before));
}

TEST_CASE("disk: a gpt that was made with sectors of another size", "[disk]")
{
    DiskPool on("gpt", 128 * MiB, 4096);
    if (!on.disk)
        return;
    auto pool = on.running();
    pool.create_volume(partition(10 * MiB));
    pool.stop();
    on.disk.reset();
    on.disk = make_disk(on.scratch.directory / "disk", 128 * MiB);
    REQUIRE(on.disk);
    on.def.source.devices = {{.path = on.disk->path()}};
    on.def.uuid = pool.uuid();
    pool = on.context->define_pool(on.def);
    const auto before = on.bytes();
    for (const auto mode : {BuildMode::keep, BuildMode::no_overwrite})
        CHECK(error_code([&] { pool.build(mode); }) == ErrorCode::already_exists);
    const auto message = message_of([&] { pool.start(); });
    CHECK(contains(message, "made for a disk with sectors of 4096 bytes"));
    CHECK(contains(message, "--sector-size"));
    CHECK((on.bytes() == before));
}

TEST_CASE("disk: a gpt that was copied to a larger disk", "[disk]")
{
    DiskPool on("gpt", 64 * MiB);
    if (!on.disk)
        return;
    auto pool = on.running();
    auto last = pool.create_volume(partition(20 * MiB));
    std::filesystem::resize_file(on.scratch.directory / "disk", 128 * MiB);
    const auto fd = open_file(on.disk->path(), O_RDONLY);
    REQUIRE(::ioctl(fd.get(), LOOP_SET_CAPACITY, 0) == 0);
    // Its copy lies in the middle, where the last partition grows over it.
    pool.refresh();
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(pool.diagnostics()[0].name == on.disk->path());
    last.resize(100 * MiB);
    CHECK(last.info().capacity == 100 * MiB);
    pool.refresh();
    CHECK(pool.diagnostics().empty());
    char copy[8] = {};
    REQUIRE(::pread(fd.get(), copy, sizeof copy, static_cast<off_t>(128 * MiB - 512)) ==
            sizeof copy);
    CHECK(std::string(copy, sizeof copy) == "EFI PART");
}

TEST_CASE("disk: another table in the place of the pool's is not its own", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    auto volume = pool.create_volume(partition(MiB));
    REQUIRE(std::system(
                ("parted -s " + on.disk->path() + " mklabel gpt mkpart x 1MiB 2MiB").c_str()) == 0);
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(error_code([&] { volume.delete_storage(); }) != ErrorCode{});
    CHECK(error_code([&] { pool.create_volume(partition(MiB)); }) != ErrorCode{});
    CHECK(::access(on.node(1).c_str(), F_OK) == 0);
}

TEST_CASE("disk: disks that are none, and what only LVM can make", "[disk]")
{
    DiskPool on("lvm2");
    if (!on.disk)
        return;
    auto pool = on.context->define_pool(on.def);
    CHECK(error_code([&] { pool.build(); }) == ErrorCode::not_supported);
    {
        const auto fd = open_file(on.disk->path(), O_RDWR);
        REQUIRE(::pwrite(fd.get(), "LABELONE", 8, 512) == 8);
        REQUIRE(::pwrite(fd.get(), "LVM2 001", 8, 512 + 24) == 8);
    }
    pool.start();
    CHECK(pool.volumes().empty());
    CHECK(pool.info().capacity == 0);
    CHECK(error_code([&] { pool.create_volume(partition(MiB)); }) == ErrorCode::not_supported);
    pool.stop();
    pool.undefine();

    for (const auto& path : {on.scratch.directory / "nothing", on.scratch.directory / "disk"}) {
        on.def.source.devices.front().path = path;
        on.def.source.format = "gpt";
        auto other = on.context->define_pool(on.def);
        CHECK(error_code([&] { other.build(); }) != ErrorCode{});
        CHECK(error_code([&] { other.start(); }) != ErrorCode{});
        CHECK_FALSE(other.is_active());
        other.undefine();
    }
}

TEST_CASE(
    "disk: a copy or deletion is of the volume that was meant, whatever number it gets meanwhile",
    "[disk]")
{
    DiskPool on("dos");
    if (!on.disk)
        return;
    const auto& scratch = on.scratch.directory;
    const auto other = make_disk(scratch / "other", 64 * MiB);
    REQUIRE(other);
    // Deletes a partition for another program, once, before the request that holds the words.
    std::filesystem::create_directory(scratch / "helpers");
    scratch.write("helpers/basin-partition",
                  "#!/bin/sh\nrequest=$(cat)\ncd " + scratch.path() +
                      "\nwhen=$(cat when)\ncase $request in *$when*) echo >>seen\n"
                      "[ $(wc -l <seen) = $(cat nth) ] && parted -s " +
                      on.disk->path() +
                      " rm 5 2>/dev/null;; esac\n"
                      "echo \"$request\" | " BASIN_TEST_HELPERS "/basin-partition\n");
    REQUIRE(::chmod((scratch / "helpers/basin-partition").c_str(), 0700) == 0);
    scratch.write("when", "never");
    auto options = on.options();
    options.helper_directory = scratch / "helpers";
    on.context.emplace(options);
    auto pool = on.running();
    auto def = on.def;
    def.name = "copies";
    def.source.devices = {{.path = other->path()}};
    auto copies = on.context->define_pool(def);
    copies.build(BuildMode::no_overwrite);
    copies.start();
    pool.create_volume(partition(126 * MiB, "extended"));

    // Three logical partitions, and what happens at the nth of these requests.
    const auto prepare = [&](const std::string& when, int nth) {
        for (const auto* text : {"first ", "second", "third "})
            pool.upload_volume(partition(5 * MiB), text_source(text));
        auto second = pool.find_volume(on.volume_name(6));
        second = second.expecting(second.identity());
        scratch.write("seen", "");
        scratch.write("nth", std::to_string(nth));
        scratch.write("when", when);
        return second;
    };
    const auto clear = [&] {
        scratch.write("when", "never");
        for (auto names = pool.volume_names(); names.size() > 1; names = pool.volume_names())
            pool.find_volume(on.volume_name(5)).delete_storage();
    };
    // What the copy has, or why there is none.
    const auto copied = [&](const std::string& when, int nth) {
        const auto source = prepare(when, nth);
        std::string content;
        const auto message = message_of([&] {
            auto copy = copies.create_volume_from(partition(0), source);
            scratch.write("when", "never");
            content = content_of(copy, 6);
            copy.delete_storage();
        });
        clear();
        return content.empty() ? message : content;
    };
    // Once the copy is planned nobody can.
    CHECK(copied("\"create\"*" + other->path() + "\"*\"start\"", 1) == "second");
    // Before that it is seen.
    bool seen = false;
    for (int nth = 1; nth <= 8; ++nth) {
        const auto result = copied("\"read\"*" + on.disk->path() + "\"", nth);
        INFO(result);
        seen |= contains(result, "is another one by now");
        CHECK((result == "second" || result == "third " || contains(result, "by now")));
    }
    CHECK(seen);
    // A deletion meets it, or nothing.
    bool refused = false;
    for (int nth = 1; nth <= 8; ++nth) {
        INFO("at read " << nth);
        auto second = prepare("\"read\"*" + on.disk->path() + "\"", nth);
        const auto code = error_code([&] { second.delete_storage(); });
        scratch.write("when", "never");
        refused |= code == ErrorCode::busy;
        pool.refresh();
        std::string left;
        for (const auto& name : pool.volume_names())
            if (name != on.volume_name(1))
                left += content_of(pool.find_volume(name), 6);
        CHECK_THAT(left, Catch::Contains("third "));
        clear();
    }
    CHECK(refused);
}
