// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type rbd: calls that fail, processes that are killed.
#include "rbd_stage.hpp"

#include <sys/wait.h>
#include <unistd.h>

using namespace storage;

namespace {

/** Another process works with a context of its own, and dies: the work ends it without a word. */
template <typename Work>
void die_in(RbdStage& stage, Work&& work)
{
    const auto child = ::fork();
    if (child == 0) {
        try {
            stage.open();
            work();
        } catch (const Error&) {
        }
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WEXITSTATUS(status) == fake_ceph::killed);
}

void die_deleting(RbdStage& stage, const std::string& pool, const std::string& volume)
{
    die_in(stage, [&] {
        Job job;
        job.set_progress_callback([](const Progress&) { ::_exit(fake_ceph::killed); });
        stage.context->find_pool(pool).find_volume(volume).delete_storage(BlockerKind::none, &job);
    });
}

/** In a simulated cluster, of which nothing changes here. */
void die_creating(RbdStage& stage, const std::string& volume)
{
    die_in(stage, [&] {
        stage.peer.fake->die_at("rbd_create4");
        stage.context->find_pool("ceph").create_volume(raw_volume(volume));
    });
}

RBD_CASE("a creation that was killed leaves nothing")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    die_in(stage, [&] {
        stage.context->find_pool("ceph").upload_volume(
            raw_volume("half", 64 * mib),
            UploadSource([n = 0](std::span<std::byte> buffer, std::uint64_t&) mutable {
                if (++n == 9)
                    ::_exit(fake_ceph::killed);
                return buffer.size();
            }));
    });
    const auto recovered = stage.context->recover();
    REQUIRE(recovered.size() == 1);
    CHECK_FALSE(recovered[0].finished);
    CHECK(recovered[0].message == "undone");
    CHECK(names(pool).empty());
    if (peer.fake)
        CHECK(peer.fake->image_count() == 0);
    else
        CHECK(RbdPeer::control("rbd ls rbd | grep -q . && exit 1 || exit 0"));
    CHECK(pool.create_volume(raw_volume("half", mib)).name() == "half");
}

RBD_CASE("a deletion that was killed is finished")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    die_deleting(stage, "ceph", "a");
    const auto recovered = stage.context->recover();
    REQUIRE(recovered.size() == 1);
    CHECK(recovered[0].finished);
    CHECK(recovered[0].message == "finished");
    CHECK(names(pool).empty());
}

TEST_CASE("rbd, simulated: a deletion that was killed before Ceph did anything", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    die_deleting(stage, "ceph", "a");
    auto& image = *peer.fake->find("rbd", "a");
    const auto recover = [&] {
        peer.fake->forget_calls();
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK(recovered[0].finished);
        CHECK_FALSE(recovered[0].pending);
    };
    SECTION("is finished, with the dead process locked out")
    {
        image.writers = 1;
        image.client = fake_ceph::this_client;
        recover();
        CHECK(peer.fake->calls("rados_mon_command") == 1);
        CHECK(names(pool).empty());
    }
    SECTION("leaves the image to who uses it since, or has made a snapshot")
    {
        SECTION("used")
        {
            image.writers = 1;
        }
        SECTION("with a snapshot")
        {
            image.snapshots.push_back(std::make_shared<fake_ceph::Snapshot>());
        }
        recover();
        CHECK(peer.fake->calls("rados_mon_command") == 0);
        REQUIRE(names(pool) == std::vector<std::string>{"a"});
        image.writers = 0;
        image.snapshots.clear();
        CHECK(stage.context->recover().empty());
        CHECK(peer.fake->image_count() == 1);
    }
}

TEST_CASE("rbd, simulated: a name that another image gets while a recovery removes", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    auto& image = *peer.fake->find("rbd", "a");
    SECTION("what had begun to go")
    {
        peer.fake->fail("trash_remove", -ETIMEDOUT);
        CHECK(error_code([&] { pool.find_volume("a").delete_storage(); }) == ErrorCode::timed_out);
    }
    SECTION("what was whole")
    {
        die_deleting(stage, "ceph", "a");
    }
    peer.fake->forget_calls();
    peer.fake->fail("rbd_remove_with_progress", -EBUSY);
    peer.fake->at_next("rbd_remove_with_progress", [&] {
        image.id = "another";
        image.has_header = true;
        image.writers = 1;
        image.client = fake_ceph::this_client;
    });
    const auto recovered = stage.context->recover();
    REQUIRE(recovered.size() == 1);
    CHECK(recovered[0].message == "finished");
    CHECK(peer.fake->image_count() == 1);
    CHECK(peer.fake->calls("rados_mon_command") == 0);
    CHECK(peer.fake->calls("rbd_remove_with_progress") == 1);
}

TEST_CASE("rbd, simulated: a shrink or a roll back that was killed", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    const bool shrinks = GENERATE(true, false);
    CAPTURE(shrinks);
    auto volume = pool.create_volume(raw_volume("a", 16 * mib));
    volume.create_snapshot("before");
    volume.upload(source_of(pattern(12 * mib)));
    const auto written = content(volume);
    die_in(stage, [&] {
        auto same = stage.context->find_pool("ceph").find_volume("a");
        peer.fake->die_at(shrinks ? "rbd_resize2" : "rbd_snap_rollback_with_progress");
        if (shrinks)
            same.resize(8 * mib, ResizeFlags::shrink);
        else
            same.revert_snapshot("before");
    });
    auto& image = *peer.fake->find("rbd", "a");
    peer.fake->forget_calls();
    const auto evicted = [&] { return peer.fake->calls("rados_mon_command"); };
    SECTION("is finished, with the dead process locked out")
    {
        image.writers = 1;
        image.client = fake_ceph::this_client;
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK(recovered[0].message == "finished");
        CHECK(evicted() == 1);
        CHECK(image.size == (shrinks ? 8 : 16) * mib);
        CHECK(image.objects.empty() != shrinks);
    }
    SECTION("leaves the image to who uses it since, and for good")
    {
        std::string user;
        SECTION("open")
        {
            image.writers = 1;
            user = "open by client 4100 at 192.0.2.1";
        }
        SECTION("locked")
        {
            image.locker = user = "client.4200";
        }
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK_FALSE(recovered[0].finished);
        CHECK_FALSE(recovered[0].pending);
        const auto& message = recovered[0].message;
        CAPTURE(message);
        CHECK(message.find("'rbd/a' is in use by now (" + user) != message.npos);
        CHECK(message.find(shrinks ? "resize it again" : "revert it again") != message.npos);
        CHECK((message.find("may be gone already") != message.npos) == shrinks);
        CHECK(evicted() == 0);
        image.writers = 0;
        image.locker.clear();
        CHECK(stage.context->recover().empty());
        pool.refresh();
        CHECK((content(pool.find_volume("a")) == written));
    }
    SECTION("is over where nothing is left to do")
    {
        if (!shrinks)
            return;
        image.size = 8 * mib;
        image.writers = 1;
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK(recovered[0].message == "finished");
        CHECK(peer.fake->calls("rbd_resize2") == 0);
    }
}

TEST_CASE("rbd, simulated: a renaming that was killed keeps nobody from the name", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    const auto id = peer.fake->find("rbd", "a")->id;
    die_in(stage, [&] {
        peer.fake->die_at("rbd_rename");
        stage.context->find_pool("ceph").find_volume("a").rename("b");
    });
    const auto object_of = [](const std::string& text) {
        return std::string{static_cast<char>(text.size()), 0, 0, 0} + text;
    };
    auto& remains = peer.fake->remains_;
    remains["rbd_id.b"] = object_of(id);
    bool stays = false;
    SECTION("that nothing has") {}
    SECTION("that is listed for an image whose deletion was cut short")
    {
        peer.fake->add_half_made("rbd", "b");
    }
    SECTION("that another image has")
    {
        peer.fake->add_half_made("rbd", "b");
        remains["rbd_id.b"] = object_of(peer.fake->find("rbd", "b")->id);
        stays = true;
    }
    const auto recovered = stage.context->recover();
    REQUIRE(recovered.size() == 1);
    CHECK(recovered[0].message == "undone");
    CHECK(remains.contains("rbd_id.b") == stays);
    CHECK(peer.fake->find("rbd", "a")->id == id);
}

TEST_CASE("rbd, simulated: a deletion that Ceph does not answer", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    SECTION("is finished later where it had begun")
    {
        peer.fake->fail("trash_remove", -ETIMEDOUT);
        CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::timed_out);
        CHECK(peer.fake->image_count() == 1);
        // Nobody could open it any more, and so delete it.
        SECTION("by a recovery") {}
        SECTION("by who wants the name")
        {
            pool.create_volume(raw_volume("a", 4 * mib));
        }
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK(recovered[0].finished);
        CHECK(peer.fake->image_count() == names(pool).size());
        CHECK(stage.context->recover().empty());
    }
    SECTION("is not done behind the back of who was told that it failed")
    {
        peer.fake->fail("rbd_remove_with_progress", -ETIMEDOUT);
        CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::timed_out);
        stage.context->recover();
        volume.resize(16 * mib);
        CHECK(names(pool) == std::vector<std::string>{"a"});
        volume.delete_storage();
        CHECK(names(pool).empty());
    }
}

TEST_CASE("rbd, simulated: a clone that Ceph flattened but for the last message", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 12 * mib));
    golden.upload(source_of(pattern(9 * mib)));
    const auto whole = content(golden);
    auto linked = pool.create_volume_from(raw_volume("a", 0), golden, CreateFlags::linked);
    // Its parent is gone already.
    peer.fake->fail("parent_detach", -EIO);
    SECTION("is mended at once")
    {
        CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::io);
        CHECK(stage.context->recover().empty());
    }
    SECTION("is mended when Ceph answers again")
    {
        peer.fake->fail("rados_exec", -ETIMEDOUT);
        CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::io);
        CHECK(error_code([&] { content(linked); }) == ErrorCode::not_found);
        stage.open();
        pool = stage.context->find_pool("ceph");
    }
    pool.refresh();
    CHECK(pool.diagnostics().empty());
    linked = pool.find_volume("a");
    CHECK(linked.definition().backing.empty());
    CHECK((content(linked) == whole));
}

RBD_CASE("a pool without space says so at once, and what is deleted makes room")
{
    RbdStage stage(peer);
    auto pool = stage.pool("other", "other");
    auto volume = pool.create_volume(raw_volume("a", 64 * mib));
    volume.upload(source_of(pattern(9 * mib)));
    const auto set_quota = [&](const std::string& bytes, const std::string& until) {
        if (peer.fake)
            peer.fake->full = bytes != "0";
        else
            REQUIRE(
                RbdPeer::control("ceph osd pool set-quota other max_bytes " + bytes +
                                 " && for i in "
                                 "$(seq 100); do $BASIN_CEPH_SCRIPT ceph osd pool ls detail | " +
                                 until + " && break; sleep 0.2; done"));
    };
    set_quota("1048576", "grep -q full_quota");
    const auto refused = [&](const std::function<void()>& call) {
        try {
            call();
            FAIL("there was space");
        } catch (const Error& error) {
            CAPTURE(error.what());
            CHECK(error.code() == ErrorCode::no_space);
        }
    };
    refused([&] { pool.create_volume(raw_volume("b")); });
    refused([&] { pool.create_volume_from(raw_volume("b", 0), volume, CreateFlags::linked); });
    refused([&] { pool.upload_volume(raw_volume("b", mib), source_of("x")); });
    if (!peer.fake)
        refused([&] { volume.upload(source_of(pattern(mib)), {.offset = 20 * mib}); });
    CHECK(volume.snapshots().empty());
    CHECK(names(pool) == std::vector<std::string>{"a"});
    volume.delete_storage();
    CHECK(names(pool).empty());
    set_quota("0",
              "grep -v full_quota >/dev/null && ! $BASIN_CEPH_SCRIPT ceph osd pool ls detail | "
              "grep -q full_quota");
    pool.create_volume(raw_volume("c"));
}

RBD_CASE("a RADOS pool that somebody deletes is no empty pool")
{
    // For this case alone the tests' user has rights beyond those that the cluster's script gave.
    const auto allow = [](const std::string& more) {
        return RbdPeer::control(
            "ceph auth caps client.virt mon 'profile rbd' mgr 'profile rbd' osd "
            "'profile rbd pool=rbd, profile rbd pool=other" +
            more + '\'');
    };
    if (peer.fake)
        peer.fake->pools_["gone"] = 3;
    else
        REQUIRE((RbdPeer::control("ceph osd pool create gone 8 8") &&
                 RbdPeer::control("ceph osd pool application enable gone rbd") &&
                 allow(", profile rbd pool=gone")));
    RbdStage stage(peer);
    auto pool = stage.pool("gone", "gone");
    pool.create_volume(raw_volume("a"));
    pool.refresh();
    if (peer.fake)
        peer.fake->pools_.erase("gone");
    else
        REQUIRE(RbdPeer::control("ceph osd pool rm gone gone --yes-i-really-really-mean-it"));
    try {
        names(pool);
        FAIL("it is empty");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_found);
        CHECK(std::string(error.what()).find("RADOS pool 'gone' was deleted") != std::string::npos);
    }
    CHECK(error_code([&] { pool.refresh(); }) == ErrorCode::invalid_state);
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(pool.info().reason.find("no RADOS pool 'gone'") != std::string::npos);
    CHECK(pool.volume_count() == 1); // of the last look
    pool.stop();
    pool.undefine();
    if (!peer.fake)
        CHECK(allow(""));
}

TEST_CASE("rbd, simulated: what cannot be recovered while the cluster is down is tried again",
          "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    peer.fake->fail("rbd_aio_write", -EIO);
    peer.fake->fail("rbd_remove_with_progress", -ETIMEDOUT); // what is begun cannot be taken back
    CHECK(error_code([&] {
              pool.upload_volume(raw_volume("half", 8 * mib), source_of(pattern(8 * mib)));
          }) == ErrorCode::io);
    REQUIRE(peer.fake->image_count() == 1);
    const auto down = [&] { peer.fake->fail("rados_connect", -ETIMEDOUT, 1, 1000); };
    const auto connects = [&] { return peer.fake->calls("rados_connect"); };
    stage.context.reset();

    down();
    stage.open();
    const auto tried = connects();
    for (int i = 0; i != 2; ++i) { // by each call; each tells of it
        const auto told = stage.context->recover();
        REQUIRE(told.size() == 1);
        CHECK(told[0].operation == "vol-upload ceph half");
        CHECK(told[0].pending);
        CHECK_FALSE(told[0].finished);
        CHECK(told[0].message.find(peer.fake->monitor + " did not answer") != std::string::npos);
    }
    CHECK(connects() == tried + 2);
    stage.open(); // and not by each that opens
    CHECK(connects() == tried + 2);
    CHECK(std::find_if(stage.scratch.log.begin(), stage.scratch.log.end(), [](const auto& line) {
              return line.find("cannot recover 'vol-upload ceph half' yet") != line.npos;
          }) != stage.scratch.log.end());
    peer.fake->heal();
    // Nor does somebody who lacks the secret spoil it.
    stage.given_key.clear();
    auto told = stage.context->recover();
    REQUIRE(told.size() == 1);
    CHECK(told[0].pending);
    CHECK(peer.fake->image_count() == 1);
    stage.given_key = peer.key;
    told = stage.context->recover();
    REQUIRE(told.size() == 1);
    CHECK_FALSE(told[0].pending);
    CHECK(told[0].message == "undone");
    CHECK(peer.fake->image_count() == 0);
    CHECK(stage.context->recover().empty());
}

TEST_CASE("rbd, simulated: what a deleted RADOS pool took with it is neither undone nor finished",
          "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    peer.fake->pools_["gone"] = 3;
    RbdStage stage(peer);
    auto pool = stage.pool("gone", "gone");
    pool.create_volume(raw_volume("a", 8 * mib));
    die_deleting(stage, "gone", "a");
    peer.fake->fail("rbd_aio_write", -EIO);
    peer.fake->fail("rbd_remove_with_progress", -ETIMEDOUT);
    CHECK(error_code([&] {
              pool.upload_volume(raw_volume("half", 8 * mib), source_of(pattern(8 * mib)));
          }) == ErrorCode::io);
    peer.fake->pools_.erase("gone");
    peer.fake->images_.clear();
    std::set<std::string> told;
    for (const auto& result : stage.context->recover()) {
        CHECK_FALSE(result.pending);
        told.insert(result.operation + ": " + result.message);
    }
    CHECK(told ==
          std::set<std::string>{"vol-upload gone half: undone", "vol-delete gone a: finished"});
    CHECK(stage.context->recover().empty());
    CHECK(pool.info().state == PoolState::inaccessible);
}

TEST_CASE("rbd, simulated: what each answer of Ceph becomes", "[rbd]")
{
    auto peer = RbdPeer::simulated();
    peer.fake->monitor = "192.0.2.1"; // no name that would be looked up
    peer.monitors = {{.name = peer.fake->monitor}};
    RbdStage stage(peer);
    struct Answer {
        int code;
        ErrorCode expected;
    };
    for (const auto& [code, expected] : {Answer{-ENOENT, ErrorCode::not_found},
                                         {-EEXIST, ErrorCode::already_exists},
                                         {-EBUSY, ErrorCode::busy},
                                         {-EROFS, ErrorCode::busy},
                                         {-EMLINK, ErrorCode::busy},
                                         {-ENOTEMPTY, ErrorCode::busy},
                                         {-EPERM, ErrorCode::permission_denied},
                                         {-EACCES, ErrorCode::permission_denied},
                                         {-ENOSPC, ErrorCode::no_space},
                                         {-EDQUOT, ErrorCode::no_space},
                                         {-ETIMEDOUT, ErrorCode::timed_out},
                                         {-ENOTCONN, ErrorCode::connection},
                                         {-ESHUTDOWN, ErrorCode::connection},
                                         {-EOPNOTSUPP, ErrorCode::not_supported},
                                         {-ENOSYS, ErrorCode::not_supported},
                                         {-EINVAL, ErrorCode::invalid_argument},
                                         {-EDOM, ErrorCode::invalid_argument},
                                         {-EIO, ErrorCode::io}}) {
        CAPTURE(code);
        static int number = 0;
        auto pool = stage.pool("p" + std::to_string(++number));
        peer.fake->fail("rbd_remove_with_progress", code);
        auto volume = pool.create_volume(raw_volume("a"));
        try {
            volume.delete_storage();
            FAIL("it was deleted");
        } catch (const Error& error) {
            CHECK(error.code() == expected);
            CHECK(error.os_error() == -code);
        }
        volume.delete_storage();
        pool.stop();
        pool.undefine();
    }
    for (const auto& [code, expected] : {Answer{-EACCES, ErrorCode::permission_denied},
                                         {-EOPNOTSUPP, ErrorCode::permission_denied},
                                         {-ETIMEDOUT, ErrorCode::timed_out},
                                         {-EINVAL, ErrorCode::invalid_argument},
                                         {-ECONNREFUSED, ErrorCode::connection}}) {
        CAPTURE(code);
        peer.fake->fail("rados_connect", code);
        CHECK(error_code([&] { stage.pool("q"); }) == expected);
        stage.context->find_pool("q").undefine();
    }
}

TEST_CASE("rbd, simulated: what Ceph says in few words", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    SECTION("too many objects")
    {
        peer.fake->fail("rbd_create4", -EINVAL);
        peer.fake->fail("rbd_resize2", -EINVAL);
        for (const auto& error : {error_of([&] { pool.create_volume(raw_volume("b")); }),
                                  error_of([&] { volume.resize(std::uint64_t{1} << 60); })}) {
            CHECK(error.code() == ErrorCode::invalid_argument);
            CHECK(says(error, "Ceph does not accept the size"));
            CHECK(error.remedy().find("256,000,000 objects") != std::string::npos);
        }
    }
    SECTION("an image that is there is not, where a full pool has no room for a trash")
    {
        peer.fake->full = true;
        peer.fake->fail("rbd_remove_with_progress", -ENOENT);
        CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::no_space);
        CHECK(names(pool) == std::vector<std::string>{"a"});
        peer.fake->full = false;
    }
    SECTION("a dead client's lock that the user cannot take")
    {
        peer.fake->fail("rbd_resize2", -EROFS);
        const auto error = error_of([&] { volume.resize(16 * mib); });
        CHECK(error.code() == ErrorCode::busy);
        CHECK(says(error, "died with it and user 'virt' may not lock that one out"));
    }
}

TEST_CASE("rbd, simulated: a creation that fails anywhere leaves nothing", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 16 * mib));
    const auto data = pattern(6 * mib);
    golden.upload(source_of(data));
    int failed = 0;
    for (const auto* function :
         {"rbd_create4", "rbd_open", "rbd_open_read_only", "rbd_stat", "rbd_aio_write", "rbd_flush",
          "rbd_rename", "rbd_snap_create", "rbd_clone3", "rbd_snap_remove2", "rbd_resize2",
          "rbd_get_id", "rbd_diff_iterate2", "rados_ioctx_create"})
        for (int nth = 1; nth != 4; ++nth)
            for (const int kind : {0, 1, 2}) {
                CAPTURE(function, nth, kind);
                peer.fake->fail(function, -EIO, nth);
                const auto code = error_code([&] {
                    if (kind == 0)
                        pool.create_volume(raw_volume("new", mib));
                    else if (kind == 1)
                        pool.create_volume_from(raw_volume("new", 0), golden);
                    else
                        pool.create_volume_from(raw_volume("new", 20 * mib), golden,
                                                CreateFlags::linked);
                });
                peer.fake->heal();
                CHECK((code == ErrorCode{} || code == ErrorCode::io));
                failed += code == ErrorCode::io;
                CHECK(peer.fake->image_count() == (code == ErrorCode{} ? 2 : 1));
                if (code == ErrorCode{})
                    pool.find_volume("new").delete_storage();
                stage.context->recover();
                CHECK(golden.snapshots().empty());
                CHECK(peer.fake->find("rbd", "golden")->snapshots.empty());
            }
    CHECK(failed > 15);
}

TEST_CASE("rbd, simulated: half-made images go, whole ones of the name stay", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    peer.fake->add_half_made("rbd", "a");
    pool.refresh();
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(pool.diagnostics()[0].reason == DiagnosticReason::vanished);
    CHECK(pool.volume_count() == 0);
    die_creating(stage, "a");
    SECTION("by a recovery")
    {
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK(recovered[0].message == "undone");
        CHECK(peer.fake->image_count() == 0);
    }
    SECTION("but for one that another host is making")
    {
        auto& image = *peer.fake->find("rbd", "a");
        peer.fake->at_next("rados_read", [&] { // there is no header yet; there is when it is listed
            peer.fake->at_next("rbd_list2", [&] { image.has_header = true; });
        });
        CHECK(stage.context->recover().size() == 1);
        REQUIRE(peer.fake->image_count() == 1);
        pool.refresh();
        pool.find_volume("a").delete_storage();
    }
    SECTION("by who wants the name") {}
    pool.create_volume(raw_volume("a", 2 * mib));
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::already_exists);
    CHECK(pool.find_volume("a").info().capacity == 2 * mib);
    CHECK(peer.fake->image_count() == 1);
}

TEST_CASE("rbd, simulated: a creation whose name is taken leaves alone what has it", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto refused = [&] {
        const auto error = error_of([&] { pool.create_volume(raw_volume("a")); });
        CHECK(error.code() == ErrorCode::already_exists);
        CHECK(says(error, "cannot be opened"));
        CHECK(peer.fake->image_count() == 1);
        CHECK(stage.context->recover().empty());
    };
    SECTION("an image that another host is making")
    {
        peer.fake->add_half_made("rbd", "a");
        refused();
    }
    SECTION("an image that has lost its parent, and has all its data")
    {
        pool.create_volume(raw_volume("a", 8 * mib));
        peer.fake->find("rbd", "a")->lost_parent = true;
        refused();
        die_creating(stage, "a");
        const auto recovered = stage.context->recover();
        REQUIRE(recovered.size() == 1);
        CHECK(recovered[0].message == "undone");
        CHECK(peer.fake->image_count() == 1);
    }
    peer.fake->images_.clear();
}

} // namespace
