// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type rbd through the whole library: the same on a simulated and on a real cluster.
#include "file_io.hpp"
#include "rbd_stage.hpp"

#include <fcntl.h>

using namespace storage;

namespace {

RBD_CASE("the life of a volume")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    CHECK(pool.is_active());
    auto volume = pool.create_volume(raw_volume("a", 64 * mib));
    CHECK(volume.key() == "rbd/a");
    CHECK(volume.path() == "rbd/a");
    CHECK(names(pool) == std::vector<std::string>{"a"});
    CHECK(pool.volume_count() == 1);
    const auto def = volume.definition();
    CHECK(def.type == VolumeType::network);
    CHECK(def.capacity == 64 * mib);
    CHECK(def.allocation == 0);
    CHECK(def.target.format == "raw");
    CHECK(volume.info().capacity == 64 * mib);
    CHECK(stage.context->find_volume_by_path("rbd/a").name() == "a");
    CHECK(stage.context->find_volume_by_path("rbd:rbd/a").name() == "a");
    CHECK(stage.context->find_volume_by_key("rbd/a").name() == "a");
    CHECK(error_code([&] { stage.context->find_volume_by_path("/rbd/a"); }) ==
          ErrorCode::not_found);
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { pool.create_volume(raw_volume("b@c")); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { pool.create_volume(raw_volume("c"), CreateFlags::prealloc_full); }) ==
          ErrorCode::not_supported);

    volume.resize(128 * mib);
    CHECK(volume.info().capacity == 128 * mib);
    CHECK(error_code([&] { volume.resize(mib); }) == ErrorCode::invalid_argument);
    volume.resize(32 * mib, ResizeFlags::shrink);
    CHECK(volume.info().capacity == 32 * mib);

    const auto identity = volume.identity();
    auto other = pool.create_volume(raw_volume("other"));
    CHECK(error_code([&] { volume.rename("other"); }) == ErrorCode::already_exists);
    volume.rename("b");
    CHECK(volume.identity() == identity);
    CHECK(names(pool) == std::vector<std::string>{"b", "other"});
    volume.delete_storage();
    CHECK(error_code([&] { volume.info(); }) == ErrorCode::not_found);
    CHECK(names(pool) == std::vector<std::string>{"other"});
    pool.stop();
    CHECK_FALSE(pool.is_active());
}

RBD_CASE("content")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto data = pattern(9 * mib + 12345);
    auto volume = pool.create_volume(raw_volume("a", 32 * mib));
    CHECK(volume.upload(source_of(data)) == data.size());
    CHECK((content(volume) == data + std::string(32 * mib - data.size(), '\0')));
    CHECK((content(volume, {.sparse = true}) == content(volume)));
    CHECK((content(volume, {.offset = 5 * mib, .length = 100}) == data.substr(5 * mib, 100)));
    CHECK(volume.info().allocation == 12 * mib); // three objects

    volume.upload(source_of(std::string(3 * mib, '\0')), {.offset = mib, .sparse = true});
    auto expected = data;
    std::fill_n(expected.begin() + mib, 3 * mib, '\0');
    CHECK((content(volume, {.length = data.size()}) == expected));

    CHECK(error_code([&] { volume.upload(source_of(data), {.offset = 30 * mib}); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { content(volume, {.offset = 33 * mib}); }) ==
          ErrorCode::invalid_argument);
    Job job;
    volume.download(DownloadTarget([](auto, auto) {}), {.sparse = true, .digest = true}, &job);
    Job again;
    volume.download(DownloadTarget([](auto, auto) {}), {.digest = true}, &again);
    CHECK(job.facts() == again.facts());
    CHECK(job.facts().at("sha256").size() == 64);

    volume.wipe(WipeAlgorithm::dod);
    CHECK((content(volume, {.length = 100}) == std::string(100, '\xff')));
    volume.wipe(WipeAlgorithm::zero);
    CHECK((content(volume) == std::string(32 * mib, '\0')));
    volume.upload(source_of(data));
    volume.wipe(WipeAlgorithm::trim);
    CHECK((content(volume) == std::string(32 * mib, '\0')));
    CHECK(volume.info().allocation == 0);
}

RBD_CASE("an upload as a new volume, and files on both sides")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto data = pattern(5 * mib + 3);
    stage.scratch.directory.write("data", data);
    const auto in = open_file(stage.scratch.directory / "data", O_RDONLY);
    auto volume = pool.upload_volume(raw_volume("up", 0), UploadSource(in.get()), {.sparse = true});
    CHECK(volume.info().capacity == data.size());
    const auto out = open_file(stage.scratch.directory / "out", O_RDWR | O_CREAT, 0600);
    volume.download(DownloadTarget(out.get()), {.sparse = true});
    CHECK(*read_small_file(stage.scratch.directory / "out", 10 * mib) == data);
    // Nothing of one that is wrong stays.
    CHECK(error_code([&] { pool.upload_volume(raw_volume("bad", mib), source_of(data)); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] {
              pool.upload_volume(raw_volume("bad", 8 * mib), source_of(data),
                                 {.expected_sha256 = std::string(64, '0')});
          }) == ErrorCode::io);
    CHECK(names(pool) == std::vector<std::string>{"up"});
}

RBD_CASE("snapshots")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    const auto before = pattern(mib, 1);
    const auto after = pattern(mib, 2);
    volume.upload(source_of(before));
    CHECK(volume.create_snapshot("one").name == "one");
    CHECK(error_code([&] { volume.create_snapshot("one"); }) == ErrorCode::already_exists);
    volume.upload(source_of(after));
    volume.create_snapshot("two");
    const auto listed = volume.snapshots();
    REQUIRE(listed.size() == 2);
    CHECK(listed[0].name == "one");
    CHECK(listed[1].name == "two");
    CHECK(listed[0].size == 8 * mib);
    CHECK(listed[0].created.seconds > 1'500'000'000);
    volume.revert_snapshot("one");
    CHECK((content(volume, {.length = mib}) == before));
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    volume.delete_snapshot("two");
    CHECK(error_code([&] { volume.delete_snapshot("two"); }) == ErrorCode::not_found);
    volume.delete_storage(BlockerKind::snapshot);
    CHECK(names(pool).empty());
}

RBD_CASE("a protected snapshot stays")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    volume.create_snapshot("s");
    CHECK_FALSE(volume.snapshots().at(0).is_protected);
    CHECK(error_code([&] { volume.protect_snapshot("none"); }) == ErrorCode::not_found);
    Job dry;
    dry.set_dry_run(true);
    volume.protect_snapshot("s", true, &dry);
    REQUIRE(dry.plan().size() == 1);
    CHECK(dry.plan()[0].call == std::vector<std::string>{"rbd_snap_protect", "rbd/a@s"});
    volume.protect_snapshot("s");
    volume.protect_snapshot("s"); // is so already
    CHECK(volume.snapshots().at(0).is_protected);
    for (const auto& refused :
         {std::function<void()>([&] { volume.delete_snapshot("s"); }),
          std::function<void()>([&] { volume.delete_storage(BlockerKind::snapshot); })}) {
        try {
            refused();
            FAIL("it is gone");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::busy);
            CHECK(std::string(error.what()).find("'s' is protected") != std::string::npos);
            CHECK(error.remedy() == "take its protection away first");
        }
    }
    volume.revert_snapshot("s");
    volume.protect_snapshot("s", false);
    volume.protect_snapshot("s", false);
    CHECK_FALSE(volume.snapshots().at(0).is_protected);
    volume.delete_snapshot("s");
}

RBD_CASE("keys and values")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    CHECK(volume.metadata().empty());
    volume.set_metadata("owner", "alice");
    volume.set_metadata("owner", "bob & c\u00f6\n");
    volume.set_metadata("empty", "");
    CHECK(volume.metadata() ==
          std::map<std::string, std::string>{{"empty", ""}, {"owner", "bob & c\u00f6\n"}});
    Job dry;
    dry.set_dry_run(true);
    volume.remove_metadata("owner", &dry);
    REQUIRE(dry.plan().size() == 1);
    CHECK(dry.plan()[0].call == std::vector<std::string>{"rbd_metadata_remove", "rbd/a", "owner"});
    CHECK(volume.metadata().size() == 2);
    volume.remove_metadata("owner");
    CHECK(error_code([&] { volume.remove_metadata("owner"); }) == ErrorCode::not_found);

    // Of Ceph itself, and what cannot be a key or value.
    if (peer.fake)
        peer.fake->find("rbd", "a")->metadata["conf_rbd_cache"] = "false";
    else
        CHECK(RbdPeer::control("rbd config image set rbd/a rbd_cache false"));
    CHECK(volume.metadata().size() == 1);
    const std::string long_key(256, 'k');
    for (const std::string key :
         {"conf_rbd_cache", "libvirt-x", ".x", "", "a\nb", "\xff", long_key.c_str()}) {
        CAPTURE(key);
        CHECK(error_code([&] { volume.set_metadata(key, "v"); }) == ErrorCode::invalid_argument);
        CHECK(error_code([&] { volume.remove_metadata(key); }) == ErrorCode::invalid_argument);
    }
    CHECK(error_code([&] { volume.set_metadata("k", std::string((64 << 10) + 1, 'v')); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { volume.set_metadata("k", std::string("a\0b", 3)); }) ==
          ErrorCode::invalid_argument);

    // More than one answer holds, and larger ones than the buffers.
    std::map<std::string, std::string> expected{{"empty", ""}};
    for (int i = 0; i != 300; ++i)
        expected["key" + std::to_string(i)] = std::string(static_cast<std::size_t>(i), 'v');
    expected["large"] = std::string(64 << 10, 'v');
    for (const auto& [key, value] : expected)
        volume.set_metadata(key, value);
    CHECK((volume.metadata() == expected));
    volume.rename("b");
    CHECK((volume.metadata() == expected));
}

RBD_CASE("what other clients do is seen")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    for (const auto* name : {"a", "b", "c"})
        pool.create_volume(raw_volume(name, 8 * mib));
    pool.refresh();
    auto a = pool.find_volume("a"), b = pool.find_volume("b"), c = pool.find_volume("c");
    const auto first_b = b.expecting(b.identity());
    RbdStage elsewhere(peer);
    auto same = elsewhere.pool();
    same.find_volume("a").resize(16 * mib);
    same.find_volume("b").delete_storage();
    same.create_volume(raw_volume("b", 24 * mib)); // another one of that name
    same.find_volume("c").rename("d");
    // The next call on each tells the truth, without a refresh.
    CHECK(a.info().capacity == 16 * mib);
    CHECK(b.info().capacity == 24 * mib);
    CHECK(error_code([&] { Volume(first_b).delete_storage(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { c.info(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { c.resize(16 * mib); }) == ErrorCode::not_found);
    CHECK(error_code([&] { c.delete_storage(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.create_volume(raw_volume("d", mib)); }) ==
          ErrorCode::already_exists);
    pool.refresh();
    CHECK(names(pool) == std::vector<std::string>{"a", "b", "d"});
    CHECK(pool.find_volume("a").info().capacity == 16 * mib);
    CHECK(pool.find_volume("b").info().capacity == 24 * mib);
    CHECK(pool.volume_count() == 3);
    CHECK(pool.diagnostics().empty());
}

TEST_CASE("rbd, simulated: what did not change is not opened", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    for (int i = 0; i != 50; ++i)
        pool.create_volume(raw_volume("v" + std::to_string(i), 8 * mib));
    pool.refresh();
    peer.fake->forget_calls();
    pool.refresh();
    CHECK(peer.fake->calls("rbd_open_read_only") == 0);
    CHECK(peer.fake->calls("rbd_list2") == 1);
    CHECK(names(pool).size() == 50);
    CHECK(peer.fake->calls("rbd_open_read_only") == 0);
    peer.fake->find("rbd", "v7")->size = 16 * mib;
    ++peer.fake->find("rbd", "v7")->version;
    pool.refresh();
    CHECK(peer.fake->calls("rbd_open_read_only") == 1);
    // One that cannot be read does not keep the others from being listed.
    ++peer.fake->find("rbd", "v8")->version;
    peer.fake->fail("rbd_stat", -EIO);
    pool.refresh();
    CHECK(pool.volume_count() == 49);
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(pool.diagnostics()[0].name == "v8");
    CHECK(pool.diagnostics()[0].reason == DiagnosticReason::read_error);
}

TEST_CASE("rbd, simulated: names that no volume may have are not listed", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    for (const std::string name : {"good", "..", "two\nlines", "latin\xff", "a/b"}) {
        pool.create_volume(raw_volume("new", mib));
        peer.fake->find("rbd", "new")->name = name;
    }
    CHECK(names(pool) == std::vector<std::string>{"good"});
    pool.refresh();
    CHECK(pool.volume_count() == 1);
    CHECK(pool.diagnostics().size() == 4);
}

// ---- images of format 1 --------------------------------------------------------------------

RBD_CASE("an image of format 1 is a volume as any other")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    if (peer.fake) {
        pool.create_volume(raw_volume("old", 12 * mib));
        peer.fake->find("rbd", "old")->is_old = true;
    } else {
        ::setenv("RBD_FORCE_ALLOW_V1", "1", 1);
        REQUIRE(RbdPeer::control("rbd create rbd/old --size 12M --image-format 1"));
        ::unsetenv("RBD_FORCE_ALLOW_V1");
    }
    pool.refresh();
    REQUIRE(pool.volume_count() == 1);
    CHECK(pool.diagnostics().empty());
    auto volume = pool.find_volume("old");
    const auto data = pattern(mib);
    volume.upload(source_of(data), {.offset = 5 * mib});
    volume.create_snapshot("s");
    volume.wipe(WipeAlgorithm::trim, BlockerKind::snapshot);
    volume.revert_snapshot("s");
    CHECK((content(volume, {.offset = 5 * mib, .length = mib}) == data));
    volume.delete_snapshot("s");
    const auto refused = error_of(
        [&] { pool.create_volume_from(raw_volume("kid", 0), volume, CreateFlags::linked); });
    CHECK(refused.code() == ErrorCode::not_supported);
    CHECK(says(refused, "'layering'"));
    volume.resize(16 * mib);
    CHECK(volume.info().capacity == 16 * mib);
    const auto identity = volume.identity();
    volume.rename("older");
    CHECK(volume.identity() == identity);
    volume.expecting(identity).delete_storage();
    CHECK(names(pool).empty());
}

TEST_CASE("rbd, simulated: numbers of the pool, and that there are none", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto info = pool.info();
    CHECK(info.allocation == 1000);
    CHECK(info.available == 3000);
    CHECK(info.capacity == 4000);
    peer.fake->quota = 1500;
    info = pool.info();
    CHECK(info.available == 500);
    CHECK(info.capacity == 1500);
    peer.fake->has_manager = false;
    info = pool.info();
    CHECK(info.capacity == 0);
    CHECK(info.details.at("sizes").starts_with("unknown"));
}

} // namespace
