// SPDX-License-Identifier: LGPL-2.1-or-later
// A file system of which one kind of call hangs, fails or is slow, each in turn: a call on its pool
// ends with its deadline or an error, other pools go on, and when it works again so does the pool.
#include "aftermath.hpp"
#include "fault_fs_mount.hpp"

#include <basin/job.hpp>
#include <iostream>

using namespace storage;
using namespace std::chrono_literals;

namespace {

const std::pair<const char*, FsCall> kinds[] = {
    {"statfs", FsCall::statfs}, {"readdir", FsCall::list}, {"stat", FsCall::look},
    {"open", FsCall::open},     {"read", FsCall::read},    {"write", FsCall::write},
    {"resize", FsCall::resize}, {"fsync", FsCall::sync},   {"create, rename, remove", FsCall::name},
};

struct Stage {
    FaultFs disk{};
    Scratch scratch{};
    Context context{scratch.options()};
    const std::string content{noise(100000)};

    Stage() { scratch.directory.write("content", content); }

    Pool pool()
    {
        auto def = scratch.dir_pool("remote");
        def.target.path = disk.path() + "/pool";
        return context.define_pool(def);
    }

    /** With a raw volume and an image. */
    void fill(Pool pool)
    {
        const OpenFile source(scratch.directory / "content");
        pool.upload_volume(raw_volume("volume", 0), source.fd());
        pool.create_volume(volume_def("image", "qcow2", mib));
    }
    Pool filled_pool()
    {
        auto result = pool();
        result.start(BuildMode::keep);
        fill(result);
        return result;
    }

    /** Each leaves the pool as it was, where it works. */
    std::vector<std::pair<const char*, std::function<void(Pool, Job&)>>> calls()
    {
        return {
            {"refresh", [](Pool pool, Job& job) { pool.refresh(&job); }},
            {"create",
             [](Pool pool, Job& job) {
                 pool.create_volume(raw_volume("new", 8192, 8192), CreateFlags::none, &job)
                     .delete_storage(BlockerKind::none, &job);
             }},
            {"create qcow2",
             [](Pool pool, Job& job) {
                 pool.create_volume(volume_def("new", "qcow2", mib), CreateFlags::none, &job)
                     .delete_storage(BlockerKind::none, &job);
             }},
            {"clone",
             [](Pool pool, Job& job) {
                 pool.create_volume_from(raw_volume("new", 0), pool.find_volume("volume"),
                                         CreateFlags::none, &job)
                     .delete_storage(BlockerKind::none, &job);
             }},
            {"upload",
             [this](Pool pool, Job& job) {
                 const OpenFile source(scratch.directory / "content");
                 pool.find_volume("volume").upload(source.fd(), {}, &job);
             }},
            {"download",
             [this](Pool pool, Job& job) {
                 std::string got;
                 WriteCallback take = [&](std::span<const std::byte> data, std::uint64_t hole) {
                     got.append(reinterpret_cast<const char*>(data.data()), data.size())
                         .append(hole, '\0');
                 };
                 pool.find_volume("volume").download(take, {}, &job);
                 CHECK((got == content));
             }},
            {"resize",
             [](Pool pool, Job& job) {
                 auto volume = pool.find_volume("image");
                 volume.resize(2 * mib, ResizeFlags::none, BlockerKind::none, &job);
                 volume.resize(mib, ResizeFlags::shrink, BlockerKind::none, &job);
             }},
            {"rename",
             [](Pool pool, Job& job) {
                 pool.find_volume("volume").rename("other", BlockerKind::none, &job);
                 pool.find_volume("other").rename("volume", BlockerKind::none, &job);
             }},
        };
    }

    /** Takes back what calls() did that failed between two changes, or after the first. */
    void tidy(Pool pool)
    {
        context.recover();
        pool.refresh();
        for (const auto& name : pool.volume_names())
            if (name == "new")
                pool.find_volume(name).delete_storage();
            else if (name == "other")
                pool.find_volume(name).rename("volume");
    }

    /** As after fill(), whatever a call did that failed. */
    void check_whole(Pool pool)
    {
        tidy(pool);
        const auto image = pool.find_volume("image");
        CHECK((image.info().capacity == mib || image.info().capacity == 2 * mib));
        CHECK(image.inspect().findings.empty());
        CHECK(pool.find_volume("volume").info().capacity == content.size());
        CHECK(pool.volume_count() == 2);
        CHECK(leftovers(disk.backing()).empty());
        const OpenFile source(scratch.directory / "content");
        pool.find_volume("volume").upload(source.fd()); // may have been cut short
        Job job;
        for (const auto& [name, call] : calls()) {
            INFO("afterwards " << name);
            CHECK_NOTHROW(call(pool, job));
        }
    }
};

} // namespace

TEST_CASE("each call of a server hangs in turn: deadlines hold, nothing is lost", "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    check_usable(beside);
    auto pool = stage.filled_pool();
    for (const auto& [name, call] : stage.calls()) {
        Job job;
        call(pool, job);
    }
    const auto idle = threads();
    auto latest = 0ms, slowest_beside = 0ms;
    int hung = 0;
    for (const auto& [kind_name, kind] : kinds) {
        int hung_of_kind = 0;
        for (const auto& [name, call] : stage.calls()) {
            INFO(kind_name << " hangs, " << name);
            stage.disk.hangs(kind);
            Job job;
            job.set_timeout(150ms);
            const auto begin = std::chrono::steady_clock::now();
            const auto code = error_code([&, &call = call] { call(pool, job); });
            const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::steady_clock::now() - begin);
            CHECK((code == ErrorCode{} || code == ErrorCode::timed_out));
            if (stage.disk.hanging() > 0) { // else it came to its end, or this machine is slow
                CHECK(code == ErrorCode::timed_out);
                ++hung_of_kind;
                latest = std::max(latest, took - 150ms);
                CHECK(pool.info().state == PoolState::inaccessible);
                CHECK(threads() <= idle + 1);
                const auto start = std::chrono::steady_clock::now();
                check_usable(beside);
                slowest_beside =
                    std::max(slowest_beside, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 std::chrono::steady_clock::now() - start));
            }
            stage.disk.works();
            REQUIRE(comes_true([&] { return threads() == idle; }));
            CHECK(pool.info().state == PoolState::running);
            stage.tidy(pool);
        }
        INFO(kind_name);
        CHECK(hung_of_kind > 0);
        hung += hung_of_kind;
        stage.check_whole(pool);
    }
    std::cout << "# " << hung << " calls hung; the latest came back " << latest.count()
              << " ms after its deadline; a volume made, deleted and a refresh beside them took "
              << slowest_beside.count() << " ms at most\n";
    pool.stop();
}

TEST_CASE("each call of a server fails in turn: the error is told, nothing is lost", "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto pool = stage.filled_pool();
    for (const int error : {EIO, ESTALE, ENOTCONN, ETIMEDOUT, EACCES, ENOSPC})
        for (const auto& [kind_name, kind] : kinds) {
            stage.disk.fails(kind, error);
            int failed = pool.info().state != PoolState::running;
            for (const auto& [name, call] : stage.calls()) {
                INFO(kind_name << " fails with " << error << ", " << name);
                stage.disk.fails(kind, error);
                Job job;
                const auto what = error_of([&, &call = call] { call(pool, job); });
                stage.disk.works();
                stage.tidy(pool);
                failed += what.code() != ErrorCode{};
                if (what.code() != ErrorCode{}) {
                    CHECK(what.code() != ErrorCode::internal);
                    CHECK(std::string(what.what()).find('\'') != std::string::npos);
                }
            }
            INFO(kind_name << " fails with " << error);
            CHECK(failed > 0);
            stage.check_whole(pool);
        }
    pool.stop();
}

TEST_CASE("a copy whose source hangs holds up the pool of the source, not its own", "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    auto pool = stage.filled_pool();
    const auto source = pool.find_volume("volume");
    const auto idle = threads();
    stage.disk.hangs(FsCall::open);
    for (int i = 0; i < 3; ++i) {
        Job job;
        job.set_timeout(150ms);
        CHECK(error_code([&] {
                  beside.create_volume_from(raw_volume("copy", 0), source, CreateFlags::none, &job);
              }) == ErrorCode::timed_out);
        REQUIRE(stage.disk.hanging() > 0);
        CHECK(threads() <= idle + 1);
        CHECK(pool.info().state == PoolState::inaccessible);
        CHECK(beside.info().state == PoolState::running);
        job.set_timeout(20s);
        CHECK(error_code([&] {
                  auto volume = beside.create_volume(raw_volume("new"), CreateFlags::none, &job);
                  volume.resize(2 * mib, ResizeFlags::none, BlockerKind::none, &job);
                  volume.delete_storage(BlockerKind::none, &job);
              }) == ErrorCode{});
    }
    CHECK(stage.disk.hanging() > 0);
    stage.disk.works();
    REQUIRE(comes_true([&] { return threads() == idle; }));
    CHECK(beside.volume_count() == 0);
    stage.check_whole(pool);
    pool.stop();
}

TEST_CASE("calls on a volume whose backing image hangs hold up the pool of the image", "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto options = stage.scratch.options();
    options.look_timeout = 150ms;
    Context context(options);
    auto pool = stage.filled_pool();
    auto beside = stage.scratch.running_pool(context, "beside");
    auto overlay = beside.create_volume_from(volume_def("overlay", "qcow2", 0),
                                             context.find_pool("remote").find_volume("volume"),
                                             CreateFlags::linked);
    auto above = volume_def("above", "qcow2", mib);
    above.backing = {{.path = overlay.path(), .format = "qcow2"}};
    auto top = beside.create_volume(above);
    const auto idle = threads();
    const std::pair<const char*, std::function<void(Job&)>> calls[] = {
        {"definition", [&](Job&) { overlay.definition(); }},
        {"chain", [&](Job&) { top.chain(); }},
        {"resize",
         [&](Job& job) { overlay.resize(2 * mib, ResizeFlags::none, BlockerKind::none, &job); }},
        {"snapshot", [&](Job& job) { overlay.create_snapshot("s", &job); }},
        {"flatten", [&](Job& job) { overlay.flatten(&job); }},
        {"wipe", [&](Job& job) { overlay.wipe(WipeAlgorithm::zero, BlockerKind::none, &job); }},
        {"clone",
         [&](Job& job) {
             beside.create_volume_from(raw_volume("copy", 0), overlay, CreateFlags::none, &job);
         }},
        {"create",
         [&](Job& job) {
             auto def = above;
             def.name = "another";
             def.backing = {{.path = stage.disk.path() + "/pool/volume", .format = "raw"}};
             beside.create_volume(def, CreateFlags::none, &job);
         }},
    };
    stage.disk.hangs(FsCall::look);
    for (const auto& [name, call] : calls) {
        INFO(name);
        Job job;
        job.set_timeout(150ms);
        CHECK(error_code([&, &call = call] { call(job); }) == ErrorCode::timed_out);
        CHECK(threads() <= idle + 1);
        CHECK(beside.info().state == PoolState::running);
        CHECK(beside.volume_count() == 2);
    }
    CHECK(stage.disk.hanging() > 0);
    stage.disk.works();
    REQUIRE(comes_true([&] { return threads() == idle; }));
    CHECK(overlay.definition().backing.size() == 1);
    for (auto volume : {top, overlay})
        volume.delete_storage();
    stage.check_whole(pool);
    pool.stop();
}

TEST_CASE("what was cut short on a server that hangs holds up nobody who opens or recovers",
          "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    auto pool = stage.filled_pool();
    const auto idle = threads();
    const auto die = [&] {
        const auto child = ::fork();
        if (child == 0) {
            ReadCallback last = [](std::span<std::byte>, std::uint64_t&) -> std::size_t {
                ::raise(SIGKILL);
                return 0;
            };
            Context(stage.scratch.options())
                .find_pool("remote")
                .upload_volume(raw_volume("new", 0), last);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        REQUIRE(leftovers(stage.disk.backing()).size() == 1);
    };
    const auto check_and_heal = [&](Context& context) {
        CHECK(stage.disk.hanging() > 0);
        CHECK(context.find_pool("remote").info().state == PoolState::inaccessible);
        check_usable(context.find_pool("beside"));
        stage.disk.works();
        REQUIRE(comes_true([&] { return threads() == idle; }));
        CHECK(context.find_pool("remote").info().state == PoolState::running);
        CHECK(leftovers(stage.disk.backing()).empty());
    };
    {
        die();
        stage.disk.hangs(FsCall::name);
        auto options = stage.scratch.options();
        options.recover = false;
        Context context(options);
        Job job;
        job.set_timeout(150ms);
        const auto results = context.recover(&job);
        REQUIRE(results.size() == 1);
        CHECK(results[0].operation == "vol-upload remote new");
        CHECK(results[0].pending);
        check_and_heal(context);
        CHECK(context.recover().empty());
    }
    {
        die();
        stage.disk.hangs(FsCall::name);
        Context context(stage.scratch.options());
        check_and_heal(context);
        CHECK(context.recover().empty());
    }
    stage.check_whole(pool);
    pool.stop();
}

TEST_CASE("a pool that is made on a server that hangs holds up no other pool", "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    auto def = stage.scratch.dir_pool("remote"), namesake = def, twin = def;
    def.uuid = twin.uuid = "3e3fce45-4f53-4fa7-bb32-11f34168b82b";
    def.target.path = stage.disk.path() + "/made/anew";
    twin.name = "twin";
    const auto code = [](std::chrono::milliseconds timeout, auto&& call) {
        Job job;
        job.set_timeout(timeout);
        return error_code([&] { call(&job); });
    };
    const auto idle = threads();
    stage.disk.hangs(FsCall::name);
    CHECK(code(150ms, [&](Job* job) { stage.context.create_pool(def, BuildMode::keep, job); }) ==
          ErrorCode::timed_out);
    REQUIRE(stage.disk.hanging() > 0);
    Context other(stage.scratch.options());
    for (auto* context : {&stage.context, &other}) {
        CHECK(code(10s, [&](Job* job) {
                  auto pool = context->define_pool(stage.scratch.dir_pool("new"), job);
                  pool.set_autostart(true, job);
                  pool.undefine(job);
                  auto held = context->find_pool("beside");
                  held.hold(BuildMode::none, job);
                  held.release(job);
              }) == ErrorCode{});
        for (const auto& same : {namesake, twin})
            CHECK(code(150ms, [&](Job* job) { context->define_pool(same, job); }) ==
                  ErrorCode::timed_out);
    }
    CHECK(stage.disk.hanging() > 0);
    stage.disk.works();
    REQUIRE(comes_true([&] { return threads() == idle; }));
    CHECK(stage.context.pools().size() == 1); // its deadline had passed
    CHECK(leftovers(stage.disk.backing()).empty());
    other.define_pool(namesake).undefine();
}

TEST_CASE("a volume's own pool is read however slow it is before what it is for others is changed",
          "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto pool = stage.filled_pool();
    auto overlay = volume_def("overlay", "qcow2", mib);
    overlay.backing = {{.path = pool.find_volume("image").path(), .format = "qcow2"}};
    pool.create_volume(overlay);
    for (int i = 0; i < 30; ++i)
        pool.create_volume(raw_volume("volume " + std::to_string(i), 0));
    // Another process, which has read nothing yet.
    Context other(stage.scratch.options());
    stage.disk.takes(FsCall::look, 60ms);
    stage.disk.takes(FsCall::open, 60ms);
    CHECK(error_code([&] { other.find_pool("remote").find_volume("image").delete_storage(); }) ==
          ErrorCode::busy);
    stage.disk.works();
    CHECK(pool.find_volume("overlay").dependents().empty());
    CHECK(pool.find_volume("image").dependents().size() == 1);
}

TEST_CASE("what others made in a volume's own pool counts, however slow it is, or cannot be read",
          "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto pool = stage.filled_pool();
    auto image = pool.find_volume("image");
    REQUIRE(image.dependents().empty());
    stage.disk.fails(FsCall::list, EIO);
    CHECK(error_code([&] { image.delete_storage(); }) == ErrorCode::io);
    CHECK(error_code([&] { image.dependents(); }) == ErrorCode::io);
    stage.disk.works();
    // What is no image keeps nothing from being seen.
    std::filesystem::create_symlink("nowhere", stage.disk.backing() + "/pool/a");
    REQUIRE(succeeds("qemu-img create -q -u -f qcow2 -b image -F qcow2 " + stage.disk.backing() +
                     "/pool/overlay 1M"));
    stage.disk.takes(FsCall::list, 200ms);
    CHECK(error_code([&] { image.delete_storage(); }) == ErrorCode::busy);
    stage.disk.works();
    CHECK(image.dependents().size() == 1);
    CHECK_NOTHROW(image.delete_storage(BlockerKind::backing_image));
}

TEST_CASE("a slow server is waited for; what others define meanwhile is seen", "[faults]")
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    auto pool = stage.pool();
    pool.build();
    ::usleep(30000); // the directories of definitions are quiet
    REQUIRE(stage.context.pools().size() == 1);
    for (const auto& [name, kind] : kinds)
        stage.disk.takes(kind, 3ms);
    std::thread other([&] {
        ::usleep(20000);
        stage.scratch.directory.write(
            "root/etc/late.xml",
            "<pool type='dir'><name>late</name><uuid>3e3fce45-4f53-4fa7-bb32-11f34168b82b</uuid>"
            "<target><path>/late</path></target></pool>");
    });
    stage.disk.takes(FsCall::look, 50ms);
    pool.start();
    other.join();
    stage.disk.takes(FsCall::look, 3ms);
    ::usleep(30000);
    CHECK(stage.context.find_pool("late").name() == "late");
    stage.fill(pool);
    for (const auto& [name, call] : stage.calls()) {
        Job job;
        job.set_timeout(60s);
        INFO(name);
        CHECK_NOTHROW(call(pool, job));
    }
    stage.disk.works();
    stage.check_whole(pool);
    pool.stop();
}
