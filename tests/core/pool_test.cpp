// SPDX-License-Identifier: LGPL-2.1-or-later
// The life cycle of pools through the public API, on a real directory.
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

using namespace storage;

TEST_CASE("a dir pool is defined, built, started, filled, stopped, deleted and undefined", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());

    auto pool = context.define_pool(scratch.dir_pool());
    CHECK_FALSE(pool.is_active());
    CHECK(pool.is_persistent());
    CHECK(pool.uuid().size() == 36);
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found);
    pool.build();
    CHECK(scratch.directory.exists("pool"));
    CHECK_FALSE(pool.is_active());
    pool.start();
    CHECK(pool.is_active());
    CHECK(pool.info().state == PoolState::running);
    CHECK(pool.info().capacity > 0);
    CHECK(pool.volumes().empty());
    const auto shown = pool.definition().target.permissions; // as libvirt: of the directory
    CHECK(shown.mode == 0711U);
    CHECK(shown.owner == ::geteuid());
    CHECK(shown.group == ::getegid());
    CHECK_THAT(pool.xml(), Catch::Contains("<mode>0711</mode>"));
    CHECK_FALSE(pool.definition(Which::next).target.permissions.mode);

    auto volume = pool.create_volume(raw_volume("a.img"));
    CHECK(volume.path() == scratch.target() + "/a.img");
    CHECK(volume.key() == volume.path());
    CHECK(volume.info().capacity == 1 << 20);
    CHECK(pool.volume_count() == 1);
    CHECK(pool.volume_names() == std::vector<std::string>{"a.img"});
    CHECK(context.find_volume_by_path(volume.path()).name() == "a.img");
    CHECK(context.find_volume_by_key(volume.key()).name() == "a.img");
    CHECK(context.find_pool_by_target_path(scratch.target() + "/../pool") == pool);

    CHECK(error_code([&] { pool.undefine(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::invalid_state);
    pool.stop();
    CHECK_FALSE(pool.is_active());
    CHECK(error_code([&] { volume.info(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::busy);
    CHECK(scratch.directory.exists("pool/a.img"));

    pool.start();
    volume.delete_storage();
    CHECK(error_code([&] { volume.info(); }) == ErrorCode::not_found);
    CHECK(pool.volumes().empty());
    pool.stop();
    pool.delete_storage();
    CHECK_FALSE(scratch.directory.exists("pool"));
    pool.undefine();
    CHECK(error_code([&] { pool.info(); }) == ErrorCode::not_found);
    CHECK(context.pools().empty());
    CHECK_FALSE(scratch.directory.exists("root/etc/pool.xml"));
}

TEST_CASE("build makes parents, mode and owner, all at once or not at all", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.target.path = scratch.directory / "x/y/z";
    def.target.permissions.mode = 0750;
    def.target.permissions.owner = ::geteuid();
    auto pool = context.define_pool(def);
    pool.build();
    struct stat info {};
    REQUIRE(::stat(def.target.path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0750);
    pool.build(); // again is fine
    CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) == ErrorCode::not_supported);

    auto other = scratch.dir_pool("other");
    other.target.path = scratch.directory / "file/y";
    scratch.directory.write("file", "");
    auto impossible = context.define_pool(other);
    CHECK(error_code([&] { impossible.build(); }) != ErrorCode{});
    CHECK(scratch.directory.read("file").empty());
}

TEST_CASE("build makes no way back through what is not there", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.target.path = scratch.directory / "new/./sub/.";
    auto dots = context.define_pool(def);
    dots.build();
    CHECK(scratch.directory.exists("new/sub"));
    dots.start();
    CHECK(dots.create_volume(raw_volume("a")).info().capacity == 1 << 20);

    // libvirt keeps such a path as it is, too; an empty neighbour must survive.
    ::mkdir((scratch.directory / "neighbour").c_str(), 0700);
    def = scratch.dir_pool("back");
    def.target.path = scratch.directory / "missing/../neighbour";
    auto back = context.define_pool(def);
    for (const bool dry : {true, false}) {
        Job job;
        job.set_dry_run(dry);
        CHECK(error_code([&] { back.build(BuildMode::keep, &job); }) ==
              ErrorCode::invalid_argument);
    }
    CHECK(scratch.directory.exists("neighbour"));
    CHECK_FALSE(scratch.directory.exists("missing"));
    for (const auto& entry : std::filesystem::directory_iterator(scratch.directory.path()))
        CHECK_FALSE(entry.path().filename().string().starts_with("."));
}

TEST_CASE("another context sees a change at its next call", "[pool]")
{
    Scratch scratch;
    Context first(scratch.options());
    Context second(scratch.options());
    CHECK(second.pools().empty());
    auto pool = scratch.running_pool(first);
    auto same = second.find_pool("pool");
    CHECK(same.is_active());
    CHECK(same.volumes().empty());
    pool.create_volume(raw_volume("a"));
    CHECK(same.volume_count() == 1);
    CHECK(same.find_volume("a").info().capacity == 1 << 20);
    pool.find_volume("a").delete_storage();
    CHECK(same.volume_count() == 0);
    pool.set_autostart(true);
    CHECK(same.autostart());
    pool.stop();
    CHECK_FALSE(same.is_active());
    CHECK(error_code([&] { same.volumes(); }) == ErrorCode::invalid_state);
    pool.undefine();
    CHECK(error_code([&] { same.info(); }) == ErrorCode::not_found);
    CHECK(second.pools().empty());
}

TEST_CASE("a transient pool is gone when it stops", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = context.create_pool(scratch.dir_pool(), BuildMode::keep);
    CHECK(pool.is_active());
    CHECK_FALSE(pool.is_persistent());
    CHECK(error_code([&] { pool.set_autostart(true); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { context.create_pool(scratch.dir_pool()); }) != ErrorCode{});
    CHECK(Context(scratch.options()).find_pool("pool").is_active());
    pool.stop();
    CHECK(error_code([&] { pool.info(); }) == ErrorCode::not_found);
    CHECK(context.pools().empty());
    CHECK(scratch.directory.exists("pool")); // stop undoes what start did, and build was asked for
}

TEST_CASE("a transient pool that does not start leaves nothing", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    scratch.running_pool(context);
    const auto files = scratch.directory.count("root/run/lock");
    for (int i = 0; i < 3; ++i)
        CHECK(error_code([&] { context.create_pool(scratch.dir_pool("nowhere")); }) ==
              ErrorCode::not_found);
    CHECK(error_code([&] { context.create_pool(scratch.dir_pool()); }) != ErrorCode{});
    CHECK(scratch.directory.count("root/run/lock") == files);
    CHECK(context.pools().size() == 1);
}

TEST_CASE("a redefinition waits until the pool stops", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto def = pool.definition();
    def.target.path = scratch.directory / "elsewhere";
    context.define_pool(def);
    CHECK(pool.definition().target.path == scratch.target());
    CHECK(pool.definition(Which::next).target.path == def.target.path);
    CHECK(Context(scratch.options()).find_pool("pool").definition().target.path ==
          scratch.target());
    pool.stop();
    CHECK(pool.definition().target.path == def.target.path);
}

TEST_CASE("a pool cannot be named like a file of basin's own", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    const auto def = scratch.dir_pool(".basin-x");
    for (const auto& given : {def, parse_pool(format_pool(def)), pool_from_json(to_json(def))}) {
        CHECK(error_code([&] { context.define_pool(given); }) == ErrorCode::invalid_argument);
        CHECK(error_code([&] { context.create_pool(given, BuildMode::keep); }) ==
              ErrorCode::invalid_argument);
    }
    CHECK(context.pools().empty());
    context.define_pool(scratch.dir_pool("basin-x"));
}

TEST_CASE("a name, uuid or source that is taken is refused", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    CHECK(error_code([&] { context.define_pool(scratch.dir_pool()); }) ==
          ErrorCode::already_exists);
    auto def = scratch.dir_pool("other");
    def.uuid = pool.uuid();
    CHECK(error_code([&] { context.define_pool(def); }) == ErrorCode::already_exists);
    def.uuid.clear();
    def.target.path = scratch.directory / "x/../pool";
    ::mkdir((scratch.directory / "x").c_str(), 0700);
    CHECK(error_code([&] { context.define_pool(def); }) == ErrorCode::already_exists);
    REQUIRE(::symlink(scratch.target().c_str(), (scratch.directory / "link").c_str()) == 0);
    def.target.path = scratch.directory / "link";
    CHECK(error_code([&] { context.define_pool(def); }) == ErrorCode::already_exists);
    def.target.path = scratch.target("other");
    context.define_pool(def);
}

TEST_CASE("two pools defined before their directory exists conflict all the same", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto first = context.define_pool(scratch.dir_pool());
    auto second = scratch.dir_pool("second");
    second.target.path = scratch.directory / "./pool/";
    CHECK(error_code([&] { context.define_pool(second); }) == ErrorCode::already_exists);
    first.build();
    CHECK(error_code([&] { context.define_pool(second); }) == ErrorCode::already_exists);
}

TEST_CASE("a pool whose directory went away says so and works again when it is back", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    pool.create_volume(raw_volume("a"));
    CHECK(pool.volume_count() == 1);
    REQUIRE(::rename(scratch.target().c_str(), (scratch.directory / "away").c_str()) == 0);
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(pool.info().reason.find(scratch.target()) != std::string::npos);
    CHECK(pool.is_active());
    CHECK(context.pools({.active = true}).size() == 1);
    CHECK(context.pools({.active = false}).empty());
    CHECK(error_code([&] { pool.undefine(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { pool.refresh(); }) == ErrorCode::invalid_state);
    CHECK(pool.volume_count() == 1); // a failed refresh empties nothing
    CHECK(error_code([&] { pool.create_volume(raw_volume("b")); }) == ErrorCode::invalid_state);
    REQUIRE(::rename((scratch.directory / "away").c_str(), scratch.target().c_str()) == 0);
    pool.refresh();
    CHECK(pool.volume_count() == 1);
}

TEST_CASE("a record from before the last boot does not make a pool active", "[pool]")
{
    Scratch scratch;
    {
        Context context(scratch.options());
        scratch.running_pool(context);
    }
    ::mkdir((scratch.directory / "sys").c_str(), 0700);
    std::filesystem::create_directories(scratch.directory / "sys/proc/sys/kernel/random");
    scratch.directory.write("sys/proc/sys/kernel/random/boot_id", "another-boot\n");
    auto options = scratch.options();
    options.system_root = scratch.directory / "sys";
    Context context(options);
    CHECK_FALSE(context.find_pool("pool").is_active());
    context.find_pool("pool").start();
    CHECK(context.find_pool("pool").is_active());
}

TEST_CASE("a directory that exists does not start a pool", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = context.define_pool(scratch.dir_pool());
    pool.build();
    CHECK_FALSE(pool.is_active());
    CHECK_FALSE(Context(scratch.options()).find_pool("pool").is_active());
}

TEST_CASE("autostart starts each pool by itself", "[pool]")
{
    Scratch scratch;
    {
        Context context(scratch.options());
        for (const auto* name : {"a", "b", "c"}) {
            auto pool = context.define_pool(scratch.dir_pool(name));
            pool.set_autostart(true);
            if (std::string(name) != "b")
                pool.build();
        }
        context.define_pool(scratch.dir_pool("manual")).build();
    }
    Context context(scratch.options());
    Job cancelled;
    cancelled.cancel();
    CHECK(error_code([&] { context.autostart(&cancelled); }) == ErrorCode::cancelled);
    CHECK(context.pools({.active = true}).empty());
    Job job;
    const auto results = context.autostart(&job);
    CHECK(job.trace().size() == 2); // of both that start
    CHECK(job.trace() == job.plan());
    REQUIRE(results.size() == 3);
    CHECK(results[0].started);
    CHECK_FALSE(results[1].started);
    REQUIRE(results[1].error);
    CHECK(results[1].error->code() == ErrorCode::not_found);
    CHECK(results[2].started);
    CHECK(context.pools({.active = true}).size() == 2);
    CHECK_FALSE(context.autostart()[0].started); // was active before
    CHECK_FALSE(context.find_pool("manual").is_active());
}

TEST_CASE("autostart tells of marked pools whose definitions are left out", "[pool]")
{
    Scratch scratch;
    Context writer(scratch.options());
    for (const auto* name : {"a", "broken", "twin"}) {
        auto pool = writer.define_pool(scratch.dir_pool(name));
        pool.set_autostart(true);
        pool.build();
    }
    const auto file = [&](const std::string& name) {
        return writer.config_dir() + '/' + name + ".xml";
    };
    auto twin = writer.find_pool("twin").definition();
    twin.uuid = writer.find_pool("a").uuid();
    std::ofstream(file("broken")) << "<pool";
    std::ofstream(file("twin")) << format_pool(twin);
    Context context(scratch.options());
    const auto results = context.autostart();
    REQUIRE(results.size() == 3);
    CHECK(results[0].pool_name == "a");
    CHECK(results[0].started);
    for (const auto& [name, code] :
         {std::pair("broken", ErrorCode::invalid_xml), {"twin", ErrorCode::already_exists}}) {
        const auto found =
            std::find_if(results.begin(), results.end(),
                         [&, name = name](const auto& one) { return one.pool_name == name; });
        REQUIRE(found != results.end());
        CHECK_FALSE(found->started);
        REQUIRE(found->error);
        CHECK(found->error->code() == code);
        CHECK_THAT(found->error->what(), Catch::StartsWith("pool '" + found->pool_name + "': "));
    }
}

TEST_CASE("libvirt's configuration directory is opened as it is", "[pool]")
{
    Scratch scratch;
    ::mkdir((scratch.directory / "libvirt").c_str(), 0700);
    ::mkdir((scratch.directory / "libvirt/autostart").c_str(), 0700);
    scratch.directory.write("libvirt/images.xml", R"(<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh pool-edit images
or other application using the libvirt API.
-->

<pool type='dir'>
  <name>images</name>
  <uuid>3e3fce45-4f53-4fa7-bb32-11f34168b82b</uuid>
  <capacity unit='bytes'>0</capacity>
  <allocation unit='bytes'>0</allocation>
  <available unit='bytes'>0</available>
  <source>
  </source>
  <target>
    <path>/var/lib/libvirt/images</path>
  </target>
</pool>
)");
    scratch.directory.write("libvirt/broken.xml", "<pool");
    scratch.directory.write(
        "libvirt/misnamed.xml",
        "<pool type='dir'><name>x</name><target><path>/x</path></target></pool>");
    REQUIRE(::symlink((scratch.directory / "libvirt/images.xml").c_str(),
                      (scratch.directory / "libvirt/autostart/images.xml").c_str()) == 0);
    auto options = scratch.options();
    options.config_dir = scratch.directory / "libvirt";
    Context context(options);
    const auto pools = context.pools();
    REQUIRE(pools.size() == 1);
    CHECK(pools[0].name() == "images");
    CHECK(pools[0].uuid() == "3e3fce45-4f53-4fa7-bb32-11f34168b82b");
    CHECK(pools[0].autostart());
    CHECK(scratch.log.size() >= 2); // the two others are told of
    // A file that libvirt, or a hand, changes is seen at the next call.
    scratch.directory.write(
        "libvirt/images.xml",
        "<pool type='dir'><name>images</name><uuid>3e3fce45-4f53-4fa7-bb32-11f34168b82b</uuid>"
        "<target><path>/elsewhere</path></target></pool>");
    ::usleep(30000);
    std::filesystem::last_write_time(scratch.directory / "libvirt",
                                     std::filesystem::file_time_type::clock::now());
    CHECK(context.find_pool("images").definition().target.path == "/elsewhere");
    std::filesystem::remove(scratch.directory / "libvirt/images.xml");
    CHECK(context.pools().empty());
}

TEST_CASE("a definition that cannot be read does not hide what is started", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    std::ofstream(context.config_dir() + "/pool.xml") << "<pool";
    Context other(scratch.options());
    CHECK(other.find_pool("pool").is_active());
    REQUIRE_FALSE(scratch.log.empty());
    CHECK_THAT(scratch.log.back(), Catch::StartsWith("pool 'pool': its definition is left out: "));
}

TEST_CASE("a read-only context reads and changes nothing", "[pool]")
{
    Scratch scratch;
    Context writer(scratch.options());
    scratch.running_pool(writer).create_volume(raw_volume("a"));
    auto options = scratch.options();
    options.read_only = true;
    Context context(options);
    auto pool = context.find_pool("pool");
    CHECK(pool.volume_count() == 1);
    writer.define_pool(scratch.dir_pool("off")).build();
    auto off = context.find_pool("off");
    constexpr std::uint64_t mib = 1 << 20;
    const UploadSource no_bytes(
        ReadCallback([](std::span<std::byte>, std::uint64_t&) { return std::size_t{0}; }));
    auto volume = pool.find_volume("a");
    const std::pair<const char*, std::function<void()>> changes[] = {
        {"define", [&] { context.define_pool(scratch.dir_pool("x")); }},
        {"create", [&] { context.create_pool(scratch.dir_pool("x"), BuildMode::keep); }},
        {"build", [&] { off.build(); }},
        {"start", [&] { off.start(); }},
        {"hold", [&] { pool.hold(); }},
        {"stop", [&] { pool.stop(); }},
        {"undefine", [&] { off.undefine(); }},
        {"delete", [&] { off.delete_storage(); }},
        {"autostart", [&] { off.set_autostart(true); }},
        {"vol-create", [&] { pool.create_volume(raw_volume("b")); }},
        {"vol-create-from", [&] { pool.create_volume_from(raw_volume("b"), volume); }},
        {"vol-upload", [&] { pool.upload_volume(raw_volume("b"), no_bytes); }},
        {"discard", [&] { pool.discard_upload("b"); }},
        {"vol-delete", [&] { volume.delete_storage(); }},
        {"vol-resize", [&] { volume.resize(2 * mib); }},
        {"vol-rename", [&] { volume.rename("b"); }},
        {"vol-wipe", [&] { volume.wipe(); }},
        {"upload", [&] { volume.upload(no_bytes); }},
        {"flatten", [&] { volume.flatten(); }},
        {"snapshot", [&] { volume.create_snapshot("s"); }},
    };
    for (const auto& [name, change] : changes) {
        INFO(name);
        CHECK(error_code(change) == ErrorCode::permission_denied);
    }
    CHECK(pool.is_active());
    CHECK(volume.info().capacity == mib);
    CHECK(writer.pools().size() == 2);
    CHECK(writer.find_pool("pool").volume_names() == std::vector<std::string>{"a"});
    CHECK_FALSE(writer.find_pool("off").autostart());
}

TEST_CASE("a dry run of every changing call changes nothing", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    Job job;
    job.set_dry_run(true);
    context.define_pool(scratch.dir_pool("dry"), &job);
    CHECK(job.plan().size() == 1);
    CHECK(context.pools().empty());
    context.create_pool(scratch.dir_pool("dry"), BuildMode::keep, &job);
    CHECK(job.plan().size() == 2);
    CHECK_FALSE(scratch.directory.exists("dry"));

    auto pool = context.define_pool(scratch.dir_pool());
    pool.build(BuildMode::keep, &job);
    CHECK(job.plan().size() == 1);
    CHECK_FALSE(scratch.directory.exists("pool"));
    pool.build();
    pool.set_autostart(true, &job);
    CHECK_FALSE(pool.autostart());
    pool.start(BuildMode::none, &job);
    CHECK_FALSE(pool.is_active());
    pool.start();
    pool.create_volume(raw_volume("a"), CreateFlags::none, &job);
    CHECK(job.plan()[0].kind == "create_file");
    CHECK(pool.volume_count() == 0);
    auto volume = pool.create_volume(raw_volume("a"));
    volume.delete_storage(BlockerKind::none, &job);
    CHECK(job.plan()[0].destructive);
    CHECK(volume.info().capacity == 1 << 20);
    pool.stop(&job);
    CHECK(pool.is_active());
    volume.delete_storage();
    pool.stop();
    pool.delete_storage(BlockerKind::none, &job);
    CHECK(scratch.directory.exists("pool"));
    pool.undefine(&job);
    CHECK(context.pools().size() == 1);
}

TEST_CASE("a directory that took the place of the pool's is not taken for it", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    REQUIRE(::rename(scratch.target().c_str(), (scratch.directory / "away").c_str()) == 0);
    REQUIRE(::mkdir(scratch.target().c_str(), 0700) == 0);
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::invalid_state);
    CHECK(scratch.directory.count("pool") == 0);
    CHECK(pool.is_active());
    pool.start(); // anew, on what is there now
    pool.create_volume(raw_volume("a"));
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::invalid_state);
}

TEST_CASE("a handle can mean one storage and no other that a pool has by then", "[pool]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = context.define_pool(scratch.dir_pool());
    CHECK(error_code([&] { pool.identity(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.expecting(""); }) == ErrorCode::invalid_argument);
    pool.build();
    auto seen = pool.expecting(pool.identity());
    Job dry;
    dry.set_dry_run(true);
    seen.build();
    seen.start(BuildMode::keep);
    CHECK(seen.identity() == pool.identity());
    seen.stop();

    const auto other_is_refused = [&](const std::string& there) {
        const auto refused = [&](const std::function<void()>& call) {
            CHECK(error_code(call) == ErrorCode::not_found);
            CHECK(::access(there.c_str(), F_OK) == 0);
        };
        refused([&] { seen.build(); });
        refused([&] { seen.build(BuildMode::keep, &dry); });
        refused([&] { seen.start(BuildMode::keep); });
        refused([&] { seen.hold(BuildMode::keep); });
        refused([&] { seen.delete_storage(); });
        refused([&] { seen.delete_storage(BlockerKind::none, &dry); });
    };
    SECTION("another directory has its path")
    {
        REQUIRE(::rename(scratch.target().c_str(), (scratch.target() + ".old").c_str()) == 0);
        REQUIRE(::mkdir(scratch.target().c_str(), 0755) == 0);
        other_is_refused(scratch.target());
        pool.delete_storage();
        CHECK(::access(scratch.target().c_str(), F_OK) != 0);
    }
    SECTION("another directory is in its definition")
    {
        auto def = pool.definition();
        def.target.path += ".other";
        REQUIRE(::mkdir(def.target.path.c_str(), 0755) == 0);
        context.define_pool(def);
        other_is_refused(def.target.path);
        pool.delete_storage();
        CHECK(::access(def.target.path.c_str(), F_OK) != 0);
        CHECK(::access(scratch.target().c_str(), F_OK) == 0);
    }
    SECTION("it is the same")
    {
        seen.delete_storage();
        CHECK(::access(scratch.target().c_str(), F_OK) != 0);
    }
}

TEST_CASE("the first look at a pool's volumes is not news", "[events]")
{
    Scratch scratch;
    Context actor(scratch.options());
    auto pool = scratch.running_pool(actor);
    Context watcher(scratch.options());
    watcher.event_fd();
    CHECK(watcher.find_pool("pool").volumes().empty());
    CHECK_FALSE(watcher.next_event());
}
