// SPDX-License-Identifier: LGPL-2.1-or-later
// Volumes of a dir pool through the public API.
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace storage;

TEST_CASE("a volume's name cannot leave its pool", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const auto* name : {"", ".", "..", "../x", "a/b", "/etc/x", "a\nb", ".basin-0000"})
        CHECK(error_code([&] { pool.create_volume(raw_volume(name)); }) ==
              ErrorCode::invalid_argument);
    CHECK(error_code([&] { pool.create_volume(raw_volume(std::string(256, 'a'))); }) ==
          ErrorCode::invalid_argument);
    pool.create_volume(raw_volume(std::string(255, 'a')));
    pool.create_volume(raw_volume("with blank, comma & <angle> 'quote' \xc3\xa4"));
    pool.create_volume(raw_volume("-dash"));
    CHECK(pool.volume_count() == 3);
    CHECK(error_code([&] { pool.find_volume("../pool"); }) == ErrorCode::not_found);
    for (auto& volume : pool.volumes())
        CHECK(parse_volume(volume.xml(), "dir", VolumePurpose::describe).name == volume.name());
}

TEST_CASE("create never replaces what is there", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("pool/taken", "precious");
    CHECK(error_code([&] { pool.create_volume(raw_volume("taken")); }) ==
          ErrorCode::already_exists);
    CHECK(scratch.directory.read("pool/taken") == "precious");
    REQUIRE(::symlink("nowhere", (scratch.target() + "/dangling").c_str()) == 0);
    CHECK(error_code([&] { pool.create_volume(raw_volume("dangling")); }) ==
          ErrorCode::already_exists);
}

TEST_CASE("allocation is what was asked for", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    constexpr std::uint64_t mib = 1 << 20;
    const auto allocation = [&](const std::string& name, std::optional<std::uint64_t> wanted) {
        auto def = raw_volume(name, 4 * mib);
        def.allocation = wanted;
        return pool.create_volume(def).info().allocation;
    };
    CHECK(allocation("sparse", 0) == 0);
    CHECK(allocation("part", mib) >= mib);
    CHECK(allocation("part2", mib) < 2 * mib);
    CHECK(allocation("full", 4 * mib) >= 4 * mib);
    CHECK(allocation("unsaid", std::nullopt) >= 4 * mib); // as libvirt: same as capacity
    CHECK(pool.find_volume("part").info().capacity == 4 * mib);
}

TEST_CASE("what a raw volume cannot have is refused", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto def = raw_volume("x");
    def.target.format = "iso";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def.target.format = "nonsense";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def = raw_volume("x");
    def.backing.push_back({.path = "/b", .format = "raw"});
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def = raw_volume("x");
    def.target.encryption = Encryption{.format = "luks"};
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::invalid_argument); // no secret
    def.target.encryption = Encryption{.format = "qcow", .secrets = {{.usage = "x"}}};
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def = raw_volume("x");
    def.target.compat = "1.1";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    CHECK(error_code([&] {
              pool.create_volume(raw_volume("x"), CreateFlags::prealloc_metadata);
          }) == ErrorCode::not_supported);
    CHECK(error_code([&] { pool.create_volume(raw_volume("x", std::uint64_t{1} << 63)); }) ==
          ErrorCode::invalid_argument);
    CHECK(pool.volume_count() == 0);
    CHECK(scratch.directory.count("pool") == 0);
}

TEST_CASE("a directory can be a volume", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto def = raw_volume("d", 0);
    def.target.format = "dir";
    def.target.permissions.mode = 0750;
    auto volume = pool.create_volume(def);
    CHECK(volume.info().type == VolumeType::dir);
    CHECK(volume.snapshots().empty());
    CHECK(error_code([&] { volume.create_snapshot("s"); }) == ErrorCode::not_supported);
    for (const auto flags : {CreateFlags::none, CreateFlags::linked})
        CHECK(error_code([&] { pool.create_volume_from(raw_volume("copy", 0), volume, flags); }) ==
              ErrorCode::not_supported);
    struct stat info {};
    REQUIRE(::stat(volume.path().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0750);
    scratch.directory.write("pool/d/content", "x");
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    CHECK(scratch.directory.read("pool/d/content") == "x");
    ::unlink((scratch.target() + "/d/content").c_str());
    volume.delete_storage();
    CHECK_FALSE(scratch.directory.exists("pool/d"));
}

TEST_CASE("deleting a symbolic link deletes the link", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("outside", "precious");
    REQUIRE(::symlink((scratch.directory / "outside").c_str(),
                      (scratch.target() + "/link").c_str()) == 0);
    pool.refresh();
    auto volume = pool.find_volume("link");
    CHECK(volume.info().capacity == 8);
    volume.delete_storage();
    CHECK_FALSE(scratch.directory.exists("pool/link"));
    CHECK(scratch.directory.read("outside") == "precious");
}

TEST_CASE("a symbolic link goes although what it leads to is in use", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto base = pool.create_volume(raw_volume("base"));
    const auto link = [&](const std::string& name) {
        REQUIRE(::symlink("base", (scratch.target() + '/' + name).c_str()) == 0);
        pool.refresh();
        return pool.find_volume(name);
    };
    auto first = link("first");
    auto image = raw_volume("image");
    image.target.format = "qcow2";
    image.backing.push_back({.path = first.path(), .format = "raw"});
    auto above = pool.create_volume(image);
    const int fd = ::open(base.path().c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
    CHECK(error_code([&] { first.delete_storage(); }) == ErrorCode::busy); // the image's base
    CHECK(error_code([&] { first.rename("other"); }) == ErrorCode::busy);
    CHECK(error_code([&] { first.wipe(); }) == ErrorCode::busy);
    auto second = link("second");
    second.rename("renamed");
    second.delete_storage();
    above.delete_storage();
    first.delete_storage();
    ::close(fd);
    CHECK(scratch.directory.count("pool") == 1);
}

TEST_CASE("a volume is not carried into itself", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("pool/a", "content");
    scratch.directory.write("other", "other..");
    REQUIRE(::link((scratch.target() + "/a").c_str(), (scratch.directory / "hard").c_str()) == 0);
    pool.refresh();
    auto volume = pool.find_volume("a");
    for (const auto* path : {"pool/a", "hard", "other"}) {
        INFO(path);
        const int fd = ::open((scratch.directory / path).c_str(), O_RDWR | O_CLOEXEC);
        REQUIRE(fd >= 0);
        const bool same = std::string_view(path) != "other";
        const auto expected = same ? ErrorCode::invalid_argument : ErrorCode{};
        Job dry_run;
        dry_run.set_dry_run(true);
        CHECK(error_code([&] { volume.download(fd, {}, &dry_run); }) == expected);
        CHECK(error_code([&] { volume.download(fd); }) == expected);
        ::lseek(fd, 0, SEEK_SET);
        CHECK(error_code([&] { volume.upload(fd, {}); }) ==
              (same ? ErrorCode::invalid_argument : ErrorCode{}));
        CHECK(scratch.directory.read("pool/a") == "content");
        ::close(fd);
    }
}

TEST_CASE("changes from outside are seen by the next look at the volume", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    CHECK(pool.volume_count() == 1);
    REQUIRE(::truncate(volume.path().c_str(), 4 << 20) == 0);
    CHECK(volume.info().capacity == 4 << 20);
    scratch.directory.write("pool/new", "12345");
    CHECK(pool.find_volume("new").info().capacity == 5);
    CHECK(context.find_volume_by_path(scratch.target() + "/new").name() == "new");
    ::unlink(volume.path().c_str());
    CHECK(error_code([&] { volume.info(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { volume.refresh(); }) == ErrorCode::not_found);
    CHECK(pool.volume_count() == 1);
}

TEST_CASE("a handle can mean one volume and no other of its name", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    auto seen = volume.expecting(volume.identity());
    CHECK(error_code([&] { volume.expecting(""); }) == ErrorCode::invalid_argument);
    seen.resize(2 << 20);
    seen.rename("b"); // it stays the same one
    scratch.directory.write("content", "content");
    const auto descriptor = ::open((scratch.directory / "content").c_str(), O_RDONLY | O_CLOEXEC);
    CHECK(seen.upload(descriptor) > 0);
    ::close(descriptor);

    REQUIRE(::rename((scratch.target() + "/b").c_str(), (scratch.target() + "/old").c_str()) == 0);
    scratch.directory.write("pool/b", "somebody else's");
    const auto refused = [&](const std::function<void()>& call) {
        CHECK(error_code(call) == ErrorCode::not_found);
        CHECK(scratch.directory.read("pool/b") == "somebody else's");
    };
    const auto source = ::open((scratch.target() + "/old").c_str(), O_RDONLY | O_CLOEXEC);
    Job dry;
    dry.set_dry_run(true);
    refused([&] { seen.delete_storage(); });
    refused([&] { seen.delete_storage(BlockerKind::open, &dry); });
    refused([&] { seen.resize(4 << 20); });
    refused([&] { seen.wipe(); });
    refused([&] { seen.rename("c"); });
    refused([&] { seen.upload(source); });
    refused([&] { Volume(seen).delete_storage(); });
    ::close(source);
    CHECK(seen.info().capacity == 15); // looking is free
    pool.find_volume("b").delete_storage();
    CHECK_FALSE(scratch.directory.exists("pool/b"));
    CHECK(error_code([&] { seen.delete_storage(); }) == ErrorCode::not_found);
}

TEST_CASE("operations that are not there yet say so through the capabilities", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    const auto& can = find_backend("dir")->capabilities;
    const auto agrees = [&](Capability capability, auto&& call) {
        const auto code = error_code(call);
        INFO(to_string(capability));
        CHECK((code == ErrorCode::not_supported) == !can.has(capability));
    };
    agrees(Capability::grow_volume, [&] { volume.resize(2 << 20); });
    agrees(Capability::shrink_volume, [&] { volume.resize(1 << 20, ResizeFlags::shrink); });
    agrees(Capability::rename_volume, [&] { volume.rename("b"); });
    agrees(Capability::wipe_volume, [&] { volume.wipe(); });
    agrees(Capability::snapshots, [&] { volume.snapshots(); });
    agrees(Capability::create_from, [&] { pool.create_volume_from(raw_volume("c"), volume); });
    agrees(Capability::find_sources, [&] { context.find_pool_sources("dir"); });
}

TEST_CASE("events tell what happened, in order, without gaps, across contexts", "[events]")
{
    Scratch scratch;
    Context watcher(scratch.options());
    const int fd = watcher.event_fd();
    CHECK(fd >= 0);
    CHECK_FALSE(watcher.next_event());
    Context actor(scratch.options());
    auto pool = scratch.running_pool(actor);
    pool.create_volume(raw_volume("a"));
    pool.refresh();
    scratch.directory.write("pool/outside", "x");
    pool.refresh();
    pool.find_volume("a").delete_storage();
    pool.stop();
    CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::busy); // fails: no event
    pool.undefine();

    std::vector<EventKind> kinds;
    std::uint64_t sequence = 0;
    while (const auto event = watcher.next_event()) {
        CHECK(event->sequence == ++sequence);
        CHECK(event->pool_name == "pool");
        CHECK(event->from_other_process);
        kinds.push_back(event->kind);
    }
    CHECK(kinds == std::vector<EventKind>{EventKind::pool_defined, EventKind::pool_built,
                                          EventKind::pool_started, EventKind::volume_created,
                                          EventKind::pool_refreshed, EventKind::volume_created,
                                          EventKind::pool_refreshed, EventKind::volume_deleted,
                                          EventKind::pool_stopped, EventKind::pool_undefined});
}

TEST_CASE("the event descriptor polls readable exactly while there may be events", "[events]")
{
    Scratch scratch;
    Context context(scratch.options());
    pollfd poll_fd{.fd = context.event_fd(), .events = POLLIN, .revents = 0};
    CHECK(::poll(&poll_fd, 1, 0) == 0);
    context.define_pool(scratch.dir_pool());
    CHECK(::poll(&poll_fd, 1, 1000) == 1);
    REQUIRE(context.next_event());
    CHECK_FALSE(context.next_event());
    CHECK(::poll(&poll_fd, 1, 0) == 0);
}

TEST_CASE("a raw volume is copied whole, holes and all, in a pool and across pools", "[volume]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    auto source = pool.create_volume(raw_volume("source", 64 << 20));
    {
        std::fstream file(source.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(10 << 20);
        file << std::string(3 << 20, 'x');
        file.seekp(63 << 20);
        file << "end";
    }
    const auto content = [&](const std::string& name) { return scratch.directory.read(name); };
    Job job;
    auto def = raw_volume("copy", 0);
    auto copy = pool.create_volume_from(def, source, CreateFlags::none, &job);
    CHECK((content("pool/copy") == content("pool/source")));
    CHECK(copy.info().capacity == 64 << 20);
    CHECK(copy.info().allocation < 8 << 20);
    CHECK(job.progress().done == job.progress().total);

    def.name = "larger";
    def.capacity = 65 << 20;
    CHECK(other.create_volume_from(def, source).info().capacity == 65 << 20);
    CHECK((content("other/larger") == content("pool/source") + std::string(1 << 20, '\0')));

    def = raw_volume("full", 0);
    def.allocation = std::nullopt;
    CHECK(pool.create_volume_from(def, source).info().allocation >= 64 << 20);
    CHECK((content("pool/full") == content("pool/source")));

    CHECK(error_code([&] { pool.create_volume_from(raw_volume("copy"), source); }) ==
          ErrorCode::already_exists);
    job.cancel();
    CHECK(error_code([&] {
              pool.create_volume_from(raw_volume("cancelled"), source, CreateFlags::none, &job);
          }) == ErrorCode::cancelled);
    CHECK_FALSE(scratch.directory.exists("pool/cancelled"));
    CHECK(scratch.directory.count("pool") == 3);
}
