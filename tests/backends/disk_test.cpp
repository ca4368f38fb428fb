// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type disk on loop devices, with the real helper.
#include "disk_pool.hpp"
#include "lab.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <numeric>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

using namespace storage;
using namespace disk_pool;

TEST_CASE("disk: a volume is named by its partition, before anything is written", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    const auto empty = on.bytes();
    auto wrong = partition(10 * MiB);
    for (const auto* name : {"vol", "sda1", "loop0p7"}) {
        wrong.name = name;
        const auto message = message_of([&] { pool.create_volume(wrong); });
        CHECK(contains(message, "would be '" + on.volume_name(1) + "', not '" + name + "'"));
        CHECK(error_code([&] { pool.create_volume(wrong); }) == ErrorCode::invalid_argument);
    }
    CHECK(error_code([&] { pool.create_volume(partition(1 << 30)); }) == ErrorCode::no_space);
    CHECK(error_code([&] { pool.create_volume(partition(0)); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { pool.create_volume(partition(MiB, "extended")); }) ==
          ErrorCode::not_supported);
    Job dry;
    dry.set_dry_run(true);
    CHECK(pool.create_volume(partition(MiB), CreateFlags::none, &dry).name() == on.volume_name(1));
    CHECK(on.bytes() == empty);
    CHECK(pool.volume_names().empty());

    // Without a name, also in XML; and with the right one.
    const auto first = pool.create_volume(parse_volume(
        "<volume><capacity unit='MiB'>10</capacity></volume>", "disk", VolumePurpose::create));
    CHECK(first.name() == on.volume_name(1));
    CHECK(first.path() == on.node(1));
    CHECK("partition:" + first.key() == first.identity());
    CHECK(on.context->find_volume_by_key(first.key()).name() == first.name());
    auto right = partition(10 * MiB, "linux-swap");
    right.name = on.volume_name(2);
    const auto second = pool.create_volume(right);
    CHECK(error_code([&] { pool.create_volume(right); }) == ErrorCode::already_exists);
    CHECK(error_code([&] {
              parse_volume("<volume><capacity>1</capacity></volume>", "dir", VolumePurpose::create);
          }) == ErrorCode::invalid_xml);

    const auto described = second.definition();
    CHECK(described.target.format == "linux-swap");
    CHECK(described.capacity == 10 * MiB);
    CHECK(described.allocation == 10 * MiB);
    CHECK(described.type == VolumeType::block);
    CHECK(
        described.extents ==
        std::vector<SourceExtent>{{.device = on.disk->path(), .start = 11 * MiB, .end = 21 * MiB}});
    CHECK(first.identity() != second.identity());
    CHECK(contains(first.identity(), "partition:"));
    pool.refresh();
    auto again = pool.find_volume(on.volume_name(2)).definition();
    again.target.timestamps = described.target.timestamps;
    CHECK(again == described);
    CHECK(pool.volume_names() == std::vector{on.volume_name(1), on.volume_name(2)});
}

TEST_CASE("disk: sizes, free extents and what grows into them", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    for (int i = 0; i < 3; ++i)
        pool.create_volume(partition(10 * MiB));
    pool.find_volume(on.volume_name(2)).delete_storage();
    CHECK(pool.volume_names() == std::vector{on.volume_name(1), on.volume_name(3)});

    const auto free = pool.definition().source.devices.front().free_extents;
    REQUIRE(free.size() == 2);
    CHECK(free[0] == FreeExtent{.start = 11 * MiB, .end = 21 * MiB});
    CHECK(free[1].start == 31 * MiB);
    CHECK(contains(pool.xml(), "<freeExtent start='" + std::to_string(11 * MiB) + "' end='" +
                                   std::to_string(21 * MiB) + "'/>"));
    CHECK_FALSE(contains(pool.xml(Which::next), "freeExtent"));
    const auto info = pool.info();
    CHECK(info.allocation == 20 * MiB);
    CHECK(info.available == free[1].end - free[1].start + 10 * MiB);
    CHECK(info.capacity == free[1].end);

    // The smallest extent that has room, and a number that is free.
    auto filler = pool.create_volume(partition(3 * MiB));
    CHECK(filler.name() == on.volume_name(2));
    CHECK(filler.definition().extents.front().start == 11 * MiB);
    filler.resize(10 * MiB);
    CHECK(filler.info().capacity == 10 * MiB);
    CHECK(error_code([&] { filler.resize(11 * MiB); }) == ErrorCode::no_space);
    CHECK(error_code([&] { filler.resize(5 * MiB); }) == ErrorCode::invalid_argument);
    filler.resize(5 * MiB, ResizeFlags::shrink);
    auto last = pool.find_volume(on.volume_name(3));
    const auto identity = last.identity();
    last.resize(50 * MiB);
    CHECK(last.info().capacity == 50 * MiB);
    CHECK(last.identity() == identity);
    const auto fd = open_file(on.node(3), O_RDONLY);
    CHECK(::lseek(fd.get(), 0, SEEK_END) == 50 * static_cast<off_t>(MiB));
    // Somebody has it open now.
    CHECK(error_code([&] { last.delete_storage(); }) == ErrorCode::busy);
    CHECK(error_code([&] { last.delete_storage(BlockerKind::open); }) == ErrorCode::busy);
    last.resize(60 * MiB, ResizeFlags::none, BlockerKind::open);
    CHECK(::lseek(fd.get(), 0, SEEK_END) == 60 * static_cast<off_t>(MiB));
}

TEST_CASE("disk: what is refused is refused by a plan", "[disk]")
{
    DiskPool on("dos");
    if (!on.disk)
        return;
    auto pool = on.running();
    auto first = pool.create_volume(partition(5 * MiB));
    auto extended = pool.create_volume(partition(20 * MiB, "extended"));
    for (int i = 0; i < 3; ++i)
        pool.create_volume(partition(5 * MiB));
    Job dry;
    dry.set_dry_run(true);
    CHECK(error_code([&] { first.resize(6 * MiB, {}, {}, &dry); }) == ErrorCode::no_space);
    CHECK(error_code([&] { extended.delete_storage({}, &dry); }) == ErrorCode::busy);
    CHECK(dry.plan().empty());
    // Said is what it will have.
    first.resize(2 * MiB + 1, ResizeFlags::shrink, {}, &dry);
    REQUIRE(dry.plan().size() == 1);
    CHECK(contains(dry.plan()[0].summary, "to " + std::to_string(3 * MiB)));
    first.resize(2 * MiB + 1, ResizeFlags::shrink);
    CHECK(first.info().capacity == 3 * MiB);
    if (!private_mounts())
        return;
    pool.stop();
    const auto place = on.scratch.directory / "mnt";
    std::filesystem::create_directory(place);
    REQUIRE(std::system(
                ("mkfs.ext4 -q " + on.node(1) + " && mount " + on.node(1) + ' ' + place).c_str()) ==
            0);
    CHECK(error_code([&] { pool.build(BuildMode::overwrite, &dry); }) == ErrorCode::busy);
    CHECK(error_code([&] { pool.delete_storage(BlockerKind::volume, &dry); }) == ErrorCode::busy);
    CHECK(std::system(("umount " + place).c_str()) == 0);
}

TEST_CASE("disk: a volume that can only be read is not written to", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    auto volume = pool.create_volume(partition(5 * MiB));
    const auto fd = open_file(volume.path(), O_RDONLY);
    const int read_only = 1;
    REQUIRE(::ioctl(fd.get(), BLKROSET, &read_only) == 0);
    const auto allowed = BlockerKind::open; // by this test
    Job dry;
    dry.set_dry_run(true);
    for (auto* job : {&dry, static_cast<Job*>(nullptr)}) {
        CHECK(error_code([&] { volume.wipe(WipeAlgorithm::zero, allowed, job); }) ==
              ErrorCode::permission_denied);
        CHECK(error_code([&] { volume.upload(text_source("new"), {.allowed = allowed}, job); }) ==
              ErrorCode::permission_denied);
    }
    CHECK(contains(message_of([&] { volume.wipe(WipeAlgorithm::zero, allowed); }), "--setrw"));
}

TEST_CASE("disk: partitions that other programs made in their own way", "[disk]")
{
    DiskPool on("dos");
    if (!on.disk)
        return;
    // The first logical one begins where the kernel shows the extended one's second sector.
    const auto table = on.scratch.directory / "table";
    on.scratch.directory.write("table", "label: dos\nstart=2048,size=5001,type=83\n"
                                        "start=20000,size=20000,type=5\nstart=20001,size=99\n");
    REQUIRE(std::system(
                ("sfdisk -q --force --no-reread --no-tell-kernel " + on.disk->path() + " <" + table)
                    .c_str()) == 0);
    auto pool = on.context->define_pool(on.def);
    pool.start();
    CHECK(pool.volume_names() ==
          std::vector{on.volume_name(1), on.volume_name(2), on.volume_name(5)});
    CHECK(::access(on.node(5).c_str(), F_OK) == 0);
    // An end that is not aligned is not rounded up by what makes the partition shorter.
    auto first = pool.find_volume(on.volume_name(1));
    first.resize(std::uint64_t{5000} * 512, ResizeFlags::shrink);
    CHECK(first.info().capacity == 5001 * 512);
    first.resize(2 * MiB, ResizeFlags::shrink);
    CHECK(first.info().capacity == 2 * MiB);
}

TEST_CASE("disk: an extended partition, logical ones and their numbers", "[disk]")
{
    DiskPool on("unknown"); // means dos
    if (!on.disk)
        return;
    auto pool = on.running();
    CHECK(probe_device(on.disk->path()).type == "dos");
    CHECK(pool.create_volume(partition(80 * MiB, "extended")).name() == on.volume_name(1));
    CHECK(error_code([&] { pool.create_volume(partition(MiB, "extended")); }) ==
          ErrorCode::already_exists);
    for (int number : {2, 3, 4, 5, 6, 7})
        CHECK(pool.create_volume(partition(5 * MiB, "linux-lvm")).name() == on.volume_name(number));
    CHECK(pool.find_volume(on.volume_name(6)).key() == on.node(6)); // there is nothing that stays
    auto extended = pool.find_volume(on.volume_name(1));
    CHECK(extended.definition().target.format == "extended");
    CHECK(extended.info().capacity == 80 * MiB);
    CHECK(extended.info().allocation == 15 * MiB);
    CHECK(pool.info().allocation == 30 * MiB);
    CHECK(error_code([&] { extended.wipe(); }) == ErrorCode::not_supported);
    CHECK(error_code([&] { content_of(extended, 1); }) == ErrorCode::not_supported);
    CHECK(error_code([&] { extended.delete_storage(); }) == ErrorCode::busy);
    CHECK(pool.volumes().size() == 7);

    auto fifth = pool.find_volume(on.volume_name(5));
    const auto sixth = pool.find_volume(on.volume_name(6)).identity();
    const auto seventh = pool.find_volume(on.volume_name(7)).identity();
    // What the numbers behind it belong to must not be in use.
    {
        const auto user = open_file(on.node(7), O_RDONLY);
        const auto before = on.bytes();
        CHECK(error_code([&] { fifth.delete_storage(); }) == ErrorCode::busy);
        CHECK(on.bytes() == before);
    }
    on.context->event_fd(); // from here on events are kept
    fifth.delete_storage();
    // The list is right without a refresh, and whoever listens was told.
    CHECK(pool.volumes().size() == 6);
    CHECK(pool.find_volume(on.volume_name(5)).identity() == sixth);
    CHECK(pool.find_volume(on.volume_name(6)).identity() == seventh);
    CHECK(error_code([&] { static_cast<void>(pool.find_volume(on.volume_name(7))); }) ==
          ErrorCode::not_found);
    std::vector<std::pair<EventKind, std::string>> told;
    while (const auto event = on.context->next_event()) {
        told.emplace_back(event->kind, event->volume_name);
        CHECK_FALSE(event->from_other_process); // also what the deletion brought about
    }
    CHECK(std::count(told.begin(), told.end(),
                     std::pair(EventKind::volume_deleted, on.volume_name(7))) == 1);
    REQUIRE(told.size() >= 2);
    CHECK(told[0] == std::pair(EventKind::volume_deleted, on.volume_name(5)));
    CHECK(std::find(told.begin() + 1, told.end(),
                    std::pair(EventKind::volume_created, on.volume_name(5))) != told.end());
    CHECK(pool.create_volume(partition(5 * MiB)).name() == on.volume_name(7));
}

TEST_CASE("disk: content goes in and out, and between pools", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    std::string text(3 * MiB, 'x');
    std::iota(text.begin(), text.end(), '\0');

    auto uploaded = pool.upload_volume(partition(4 * MiB), text_source(text));
    CHECK(uploaded.name() == on.volume_name(1));
    CHECK(content_of(uploaded, text.size()) == text);
    auto copy = pool.create_volume_from(partition(0), uploaded);
    CHECK(copy.name() == on.volume_name(2));
    CHECK(copy.info().capacity == 4 * MiB);
    CHECK(content_of(copy, text.size()) == text);

    auto images = on.scratch.running_pool(*on.context, "images");
    VolumeDef file;
    file.name = "file";
    auto from_disk = images.create_volume_from(file, copy);
    CHECK(from_disk.info().capacity == 4 * MiB);
    CHECK(content_of(from_disk, text.size()) == text);
    file.name = "image";
    file.target.format = "qcow2";
    auto image = images.create_volume_from(file, from_disk);
    auto from_image = pool.create_volume_from(partition(6 * MiB), image);
    CHECK(content_of(from_image, text.size()) == text);

    copy.wipe();
    CHECK(content_of(copy, text.size()) == std::string(text.size(), '\0'));
    copy.upload(text_source("hello"), {.offset = MiB});
    CHECK(content_of(copy, MiB + 5).substr(MiB) == "hello");
    CHECK(error_code([&] { copy.upload(text_source(std::string(5 * MiB, 'x'))); }) != ErrorCode{});

    // What does not fit, or is not what was announced, leaves no partition.
    const auto names = pool.volume_names();
    CHECK(error_code([&] { pool.upload_volume(partition(MiB), text_source(text)); }) !=
          ErrorCode{});
    CHECK(error_code([&] {
              pool.upload_volume(partition(MiB), text_source("short"), {.expected_length = 9});
          }) != ErrorCode{});
    CHECK(error_code([&] {
              pool.upload_volume(partition(MiB), text_source("x"), {.resumable = true});
          }) == ErrorCode::not_supported);
    CHECK(error_code([&] { pool.discard_upload(on.volume_name(9)); }) == ErrorCode::not_found);
    CHECK(pool.volume_names() == names);
    CHECK(::access(on.node(4).c_str(), F_OK) != 0);
}

TEST_CASE("disk: an encrypted volume", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    auto def = partition(8 * MiB);
    def.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "any"}}};
    auto volume = pool.create_volume(def);
    CHECK(probe_device(volume.path()).type == "crypto_LUKS");
    REQUIRE(volume.definition().target.encryption);
    CHECK(volume.definition().target.encryption->format == "luks");
    CHECK(volume.info().capacity >= 8 * MiB + 2 * MiB); // the header is on top
    def.target.encryption->secrets.clear();
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::invalid_argument);
    CHECK(pool.volume_names().size() == 1);
}

TEST_CASE("disk: links of udev as source and as target", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    const auto& scratch = on.scratch.directory;
    std::filesystem::create_directory(scratch / "by-id");
    std::filesystem::create_symlink(on.disk->path(), scratch / "by-id/usb-Disk_1");
    std::filesystem::create_symlink(on.node(2), scratch / "by-id/usb-Disk_1-part2");
    on.def.source.devices.front().path = scratch / "by-id/usb-Disk_1";
    on.def.target.path = scratch / "by-id";
    auto pool = on.running();
    auto first = pool.create_volume(partition(MiB));
    auto second = pool.create_volume(partition(MiB));
    CHECK(first.name() == on.volume_name(1));
    CHECK(first.path() == on.node(1)); // no link leads there
    CHECK(second.name() == on.volume_name(2));
    CHECK(second.path() == scratch / "by-id/usb-Disk_1-part2");
    CHECK("partition:" + second.key() == second.identity()); // whatever links lead there
    CHECK(on.context->find_volume_by_path(second.path()).name() == second.name());
    CHECK(second.definition().capacity == MiB);
    second.delete_storage();
    CHECK(pool.volume_names() == std::vector{first.name()});
    // The same disk under another name is the same disk.
    auto other = on.def;
    other.name = "other";
    other.source.devices.front().path = on.disk->path();
    CHECK(error_code([&] { on.context->define_pool(other); }) == ErrorCode::already_exists);
    // The link leads to another disk now.
    const auto disk = make_disk(scratch / "disk2", 64 * MiB);
    REQUIRE(disk);
    std::filesystem::remove(scratch / "by-id/usb-Disk_1");
    std::filesystem::create_symlink(disk->path(), scratch / "by-id/usb-Disk_1");
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(error_code([&] { pool.create_volume(partition(MiB)); }) != ErrorCode{});
    CHECK(probe_device(disk->path()).empty());
}

TEST_CASE("disk: the helper is told of the separator before partition numbers", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    // Only the device mapper's names have one, so what tells is what the helper is asked.
    const auto& scratch = on.scratch.directory;
    std::filesystem::create_directory(scratch / "helpers");
    const auto helper = scratch / "helpers/basin-partition";
    scratch.write("helpers/basin-partition", "#!/bin/sh\n(cat; echo) | tee -a " +
                                                 scratch / "asked" +
                                                 " | " BASIN_TEST_HELPERS "/basin-partition\n");
    REQUIRE(::chmod(helper.c_str(), 0700) == 0);
    auto options = on.options();
    options.helper_directory = scratch / "helpers";
    for (const std::optional<bool> separator : {std::optional(true), {}}) {
        INFO(separator.has_value());
        scratch.write("asked", "");
        on.def.source.devices.front().part_separator = separator;
        Context context(options);
        auto pool = context.define_pool(on.def);
        pool.build(BuildMode::overwrite);
        pool.start();
        pool.create_volume(partition(MiB)).delete_storage();
        pool.stop();
        pool.undefine();
        std::istringstream asked(scratch.read("asked"));
        std::set<std::string> operations;
        for (std::string line; std::getline(asked, line);) {
            if (line.empty())
                continue;
            INFO(line);
            CHECK(contains(line, "\"part_separator\":true") == separator.has_value());
            operations.insert(line.substr(0, line.find(',')));
        }
        CHECK(operations.size() == 6); // label, sync, read, create, rename, delete
    }
}

TEST_CASE("disk: what others do to the table is seen by the next call", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    auto first = pool.create_volume(partition(4 * MiB));
    auto second = pool.create_volume(partition(4 * MiB));
    auto third = pool.create_volume(partition(4 * MiB));
    const auto meant = second.expecting(second.identity());
    const auto parted = [&](const std::string& what) {
        REQUIRE(std::system(("parted -s " + on.disk->path() + ' ' + what).c_str()) == 0);
    };
    parted("rm 1");
    CHECK(error_code([&] { first.info(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { first.delete_storage(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { first.wipe(); }) == ErrorCode::not_found);
    parted("rm 2 mkpart other 5MiB 8MiB"); // the first free number: 1
    parted("mkpart another 8MiB 9MiB");    // 2: one that was not meant
    CHECK(first.info().capacity == 3 * MiB);
    const auto before = on.bytes();
    CHECK(error_code([&] { Volume(meant).delete_storage(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { Volume(meant).wipe(); }) == ErrorCode::not_found);
    CHECK((on.bytes() == before));
    CHECK(second.info().capacity == MiB);
    parted("resizepart 3 20MiB");
    CHECK(third.info().capacity > 4 * MiB);
    CHECK(pool.create_volume(partition(MiB)).name() == on.volume_name(4));
    CHECK(pool.volumes().size() == 4);
}

TEST_CASE("disk: a start shows the partitions to the kernel", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    pool.create_volume(partition(MiB));
    pool.create_volume(partition(MiB));
    pool.stop();
    CHECK(::access(on.node(1).c_str(), F_OK) == 0); // a stop takes nothing away
    take_from_kernel(on.disk->path(), 1);
    REQUIRE(::access(on.node(1).c_str(), F_OK) != 0);
    pool.start();
    CHECK(::access(on.node(1).c_str(), F_OK) == 0);
    CHECK(pool.diagnostics().empty());
    take_from_kernel(on.disk->path(), 1);
    pool.refresh();
    CHECK(pool.volumes().size() == 2);
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(pool.diagnostics()[0].name == on.volume_name(1));
    CHECK(contains(pool.diagnostics()[0].message, on.node(1)));
}

TEST_CASE("disk: sectors of 4096 bytes", "[disk]")
{
    for (const std::string format : {"gpt", "dos"}) {
        DiskPool on(format, 128 * MiB, 4096);
        if (!on.disk)
            return;
        auto pool = on.running();
        auto volume = pool.create_volume(partition(10 * MiB + 1));
        CHECK(volume.info().capacity == 11 * MiB);
        const auto fd = open_file(volume.path(), O_RDONLY);
        CHECK(::lseek(fd.get(), 0, SEEK_END) == 11 * static_cast<off_t>(MiB));
    }
}

TEST_CASE("disk: a killed creation leaves no partition", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    const auto kept = pool.create_volume(partition(5 * MiB)).identity();
    int channel[2];
    REQUIRE(::pipe(channel) == 0);
    on.context.reset();
    const auto child = ::fork();
    if (child == 0) {
        // Waits for the end of a source that never comes.
        Context context(on.options());
        context.find_pool("pool").upload_volume(partition(5 * MiB), UploadSource(channel[0]));
        ::_exit(0);
    }
    // Its partition is there as soon as it reads.
    const std::string piece(MiB, 'x');
    REQUIRE(::write(channel[1], piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()));
    CHECK(::access(on.node(2).c_str(), F_OK) == 0);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(channel[0]);
    ::close(channel[1]);
    on.open();
    auto again = on.context->find_pool("pool");
    CHECK(again.volume_names() == std::vector{on.volume_name(1)});
    CHECK(again.find_volume(on.volume_name(1)).identity() == kept);
    CHECK(::access(on.node(2).c_str(), F_OK) != 0);
}

TEST_CASE("disk: a creation that did not begin takes nothing back", "[disk]")
{
    DiskPool on("dos");
    if (!on.disk)
        return;
    auto pool = on.running();
    // While the helper waits for the disk another program makes the same partition; then it dies.
    const auto& scratch = on.scratch.directory;
    std::filesystem::create_directory(scratch / "helpers");
    scratch.write(
        "helpers/basin-partition",
        "#!/bin/sh\nrequest=$(cat)\ncase $request in *'\"create\"'*'\"start\"'*)\nparted -s " +
            on.disk->path() +
            " mkpart primary 1MiB 2MiB && kill -KILL $$;; esac\n"
            "echo \"$request\" | " BASIN_TEST_HELPERS "/basin-partition\n");
    REQUIRE(::chmod((scratch / "helpers/basin-partition").c_str(), 0700) == 0);
    auto options = on.options();
    options.helper_directory = scratch / "helpers";
    Context context(options);
    CHECK(error_code([&] { context.find_pool("pool").create_volume(partition(MiB)); }) ==
          ErrorCode::command_failed);
    CHECK(pool.volume_names() == std::vector{on.volume_name(1)});
}

TEST_CASE("disk: what lies on a device-mapper disk is not always a partition", "[.][lab]")
{
    if (!in_lab()) {
        WARN("skipped: not in the lab's machine");
        return;
    }
    const auto table = [](const std::string& below) {
        return " --table \"0 $(blockdev --getsz " + below + ") linear " + below + " 0\"";
    };
    lab_run("wipefs -aqf " + lab_disk('a') + " && dmsetup create disk" + table(lab_disk('a')));
    // As LVM names a volume "data" of a group "disk1", and a volume "part1" of a group "disk".
    for (const auto* name : {"disk1-data", "disk-part1"}) {
        INFO(name);
        lab_run(std::string("dmsetup create ") + name + " --uuid LVM-x" + name +
                table("/dev/mapper/disk"));
        Scratch scratch;
        Context context(scratch.options());
        PoolDef def{.type = "disk", .name = "pool"};
        def.source = {.devices = {{.path = "/dev/mapper/disk"}}, .format = "gpt"};
        def.target.path = "/dev";
        auto pool = context.define_pool(def);
        CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) == ErrorCode::busy);
        CHECK(std::filesystem::exists(std::string("/dev/mapper/") + name));
        CHECK(probe_device(lab_disk('a')).empty());
        lab_run(std::string("dmsetup remove --retry ") + name);
    }
    Scratch scratch;
    Context context(scratch.options());
    PoolDef def{.type = "disk", .name = "pool"};
    def.source = {.devices = {{.path = "/dev/mapper/disk"}}, .format = "gpt"};
    def.target.path = "/dev";
    auto pool = context.define_pool(def);
    for (int i = 0; i != 2; ++i) { // also over its own partitions
        pool.build(BuildMode::overwrite);
        pool.start();
        pool.create_volume(partition(MiB));
        pool.stop();
    }
    pool.delete_storage(BlockerKind::volume);
    CHECK(probe_device(lab_disk('a')).empty());
    lab_run("dmsetup remove --retry disk");
}

TEST_CASE("disk: partitions that are devices themselves keep no plan from being made", "[disk]")
{
    DiskPool on("gpt");
    if (!on.disk)
        return;
    auto pool = on.running();
    pool.create_volume(partition(MiB));
    pool.stop();
    // As of device mapper, says the system: then the helper takes them away before it asks.
    const auto& scratch = on.scratch.directory;
    struct stat disk {};
    REQUIRE(::stat(on.disk->path().c_str(), &disk) == 0);
    std::filesystem::create_directories(scratch / "system/sys/dev/block/" +
                                        std::to_string(major(disk.st_rdev)) + ':' +
                                        std::to_string(minor(disk.st_rdev)) + "/dm");
    std::filesystem::create_directory_symlink("/dev", scratch / "system/dev");
    std::filesystem::create_directory_symlink("/proc", scratch / "system/proc");
    auto options = on.options();
    options.system_root = scratch / "system";
    Context context(options);
    const UniqueFd held(::open(on.node(1).c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    REQUIRE(held);
    Job dry;
    dry.set_dry_run(true);
    CHECK(error_code([&] { pool.build(BuildMode::overwrite, &dry); }) == ErrorCode::busy);
    context.find_pool("pool").build(BuildMode::overwrite, &dry);
    CHECK(dry.plan().size() == 1);
}
