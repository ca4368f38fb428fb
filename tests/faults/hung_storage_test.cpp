// SPDX-License-Identifier: LGPL-2.1-or-later
// A file server that stops answering: each call on its pool ends with its deadline, other pools go
// on, and when it answers again everything is as before. Needs root, and a kernel with FUSE.
#include "access_check.hpp"
#include "aftermath.hpp"
#include "image/probe.hpp"
#include "stopped_server.hpp"

#include <atomic>
#include <basin/job.hpp>
#include <cstring>
#include <fstream>
#include <future>

using namespace storage;
using namespace std::chrono_literals;

namespace {

struct Stage {
    StoppableServer server{};
    Scratch scratch{};
    Context context{scratch.options()};

    Pool remote_pool()
    {
        auto def = scratch.dir_pool("remote");
        def.target.path = server.path() + "/pool";
        auto pool = context.define_pool(def);
        pool.start(BuildMode::keep);
        return pool;
    }
};

/** Works like the call itself, with a deadline. */
ErrorCode code_within(std::chrono::milliseconds timeout, const std::function<void(Job&)>& call)
{
    Job job;
    job.set_timeout(timeout);
    return error_code([&] { call(job); });
}

#define NEEDS_A_SERVER(stage)                                                                      \
    if (!(stage).server.mounted()) {                                                               \
        WARN("skipped: needs root, fuse2fs, mkfs.ext4 and FUSE");                                  \
        return;                                                                                    \
    }

} // namespace

TEST_CASE("a server that hangs costs each call its deadline, and other pools nothing")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    auto pool = stage.remote_pool();
    auto volume = pool.create_volume(raw_volume("volume", 64 * 1024, 64 * 1024));
    stage.scratch.directory.write("content", noise(64 * 1024));
    const auto content = stage.scratch.directory / "content";
    const OpenFile source(content);
    volume.upload(source.fd());
    check_usable(beside);
    const auto info = pool.info();
    REQUIRE(info.state == PoolState::running);
    const auto before = threads();

    stage.server.stop();
    const std::pair<const char*, std::function<void(Job&)>> calls[] = {
        {"refresh", [&](Job& job) { pool.refresh(&job); }},
        {"create",
         [&](Job& job) { pool.create_volume(raw_volume("new"), CreateFlags::none, &job); }},
        {"clone",
         [&](Job& job) {
             pool.create_volume_from(raw_volume("new", 0), volume, CreateFlags::none, &job);
         }},
        {"upload to a new one",
         [&](Job& job) { pool.upload_volume(raw_volume("new", 0), source.fd(), {}, &job); }},
        {"upload", [&](Job& job) { volume.upload(source.fd(), {}, &job); }},
        {"download",
         [&](Job& job) {
             const OpenFile into(stage.scratch.directory / "down", O_WRONLY | O_CREAT);
             volume.download(into.fd(), {}, &job);
         }},
        {"resize",
         [&](Job& job) { volume.resize(mib, ResizeFlags::none, BlockerKind::none, &job); }},
        {"wipe", [&](Job& job) { volume.wipe(WipeAlgorithm::zero, BlockerKind::none, &job); }},
        {"rename", [&](Job& job) { volume.rename("other", BlockerKind::none, &job); }},
        {"delete", [&](Job& job) { volume.delete_storage(BlockerKind::none, &job); }},
        {"stop", [&](Job& job) { pool.stop(&job); }},
    };
    for (const auto& [name, call] : calls) {
        INFO(name);
        CHECK(code_within(200ms, call) == ErrorCode::timed_out);
        CHECK(pool.info().state == PoolState::inaccessible);
        CHECK_THAT(pool.info().reason, Catch::Contains("has not answered"));
        CHECK(stage.context.pools({.active = true}).size() == 2);
        check_usable(beside);
        CHECK(stage.context.find_volume_by_path(beside.create_volume(raw_volume("b")).path())
                  .name() == "b");
        beside.find_volume("b").delete_storage();
    }
    CHECK(threads() <= before + 1); // one is risked, not one for each call

    stage.server.go_on();
    CHECK(comes_true([&] { return threads() == before; }));
    CHECK(pool.info().state == PoolState::running);
    CHECK(pool.info().capacity == info.capacity);
    CHECK(pool.volume_names() == std::vector<std::string>{"volume"});
    CHECK(leftovers(stage.server.path()).empty());
    CHECK((stage.scratch.directory.read("content") == noise(64 * 1024)));
    check_usable(pool);
    pool.stop();
}

TEST_CASE("a volume that is based on one of a server that hangs holds up no other one")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    auto pool = stage.remote_pool();
    auto base = pool.create_volume(raw_volume("base", mib));
    beside.create_volume_from(volume_def("overlay", "qcow2", 0), base, CreateFlags::linked);
    auto indirect = volume_def("indirect", "qcow2", mib); // the same, spelt in another way
    indirect.backing = {{.path = stage.server.path() + "/pool/../pool/base", .format = "raw"}};
    beside.create_volume(indirect);
    check_usable(beside);
    REQUIRE(base.dependents().size() == 2);
    const auto before = threads();
    std::promise<void> told;
    std::thread healer([&, done = told.get_future()] {
        if (done.wait_for(60s) != std::future_status::ready)
            stage.server.go_on(); // so that the case comes to its end
    });

    stage.server.stop();
    for (int i = 0; i < 3; ++i) {
        check_usable(beside);
        CHECK(code_within(2s, [&](Job& job) {
                  auto volume = beside.create_volume(raw_volume("new"), CreateFlags::none, &job);
                  volume.resize(2 * mib, ResizeFlags::none, BlockerKind::none, &job);
                  volume.delete_storage(BlockerKind::none, &job);
              }) == ErrorCode{});
        CHECK(beside.info().state == PoolState::running);
    }
    for (const auto* path : {"/./pool", "/pool/.."})
        CHECK(error_code([&] {
                  stage.context.find_pool_by_target_path(stage.server.path() + path);
              }) == ErrorCode::not_found);
    CHECK(error_code([&] {
              stage.context.find_volume_by_path(stage.server.path() + "/./pool/base");
          }) == ErrorCode::not_found);
    CHECK(threads() <= before + 5); // one for each directory
    const bool in_time = threads() > before;
    told.set_value();
    healer.join();
    CHECK(in_time);

    stage.server.go_on();
    CHECK(comes_true([&] { return threads() == before; }));
    CHECK(base.dependents().size() == 2);
    CHECK(stage.context.find_volume_by_path(stage.server.path() + "/./pool/base").name() == "base");
    CHECK(stage.context.find_pool_by_target_path(stage.server.path() + "/./pool").name() ==
          "remote");
    pool.stop();
}

TEST_CASE("who comes while a server hangs works with the other pools all the same")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto remote = stage.remote_pool();
    remote.set_autostart(true);
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    stage.context.define_pool(stage.scratch.dir_pool("start")).set_autostart(true);
    stage.context.find_pool("start").build();
    const auto before = threads();

    stage.server.stop();
    {
        const Context first(stage.scratch.options()); // knows nothing of a call that hangs
        // The server answers again before a look without a limit of its own (30 s) gives up.
        std::promise<void> told;
        const auto healer = std::async(std::launch::async, [&stage, done = told.get_future()] {
            if (done.wait_for(15s) == std::future_status::timeout)
                stage.server.go_on();
        });
        const auto info = first.find_pool("remote").info();
        told.set_value();
        healer.wait();
        CHECK(info.state == PoolState::inaccessible);
        CHECK_THAT(info.reason, Catch::Contains("does not answer"));
        CHECK(first.find_pool("beside").info().state == PoolState::running);
    }
    {
        Context newcomer(stage.scratch.options());
        Job job;
        job.set_timeout(20s);
        newcomer.define_pool(stage.scratch.dir_pool("new"), &job).undefine();
        auto same = stage.scratch.dir_pool("new");
        same.target.path = beside.definition().target.path + "/../beside";
        CHECK(error_code([&] { newcomer.define_pool(same, &job); }) == ErrorCode::already_exists);
        CHECK(newcomer.find_pool_by_target_path(stage.scratch.target("beside")).name() == "beside");
        CHECK(newcomer.find_pool_by_target_path(stage.scratch.target("./beside")).name() ==
              "beside");
        for (const auto& result : newcomer.autostart()) {
            INFO(result.pool_name);
            CHECK(result.started == (result.pool_name == "start"));
            CHECK(result.error.has_value() == (result.pool_name == "remote"));
        }
        check_usable(newcomer.find_pool("start"));
        auto there = stage.scratch.dir_pool("there");
        there.target.path = stage.server.path() + "/pool/below";
        for (int i = 0; i < 10; ++i) // one thread is risked for it, not one each time
            CHECK(code_within(200ms, [&](Job& limited) {
                      newcomer.define_pool(there, &limited);
                  }) == ErrorCode::timed_out);
        // That one has nothing locked.
        newcomer.define_pool(stage.scratch.dir_pool("new"), &job).undefine();
        CHECK(threads() <= before + 4);
    }
    stage.server.go_on();
    CHECK(comes_true([&] { return threads() == before; }));
    CHECK(remote.info().state == PoolState::running);
    remote.stop();
}

TEST_CASE("a server that has hung for a while costs calls on other pools nothing")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto remote = stage.remote_pool();
    remote.create_volume(raw_volume("volume"));
    auto beside = stage.scratch.running_pool(stage.context, "beside");
    for (const auto* name : {"a", "b", "c"})
        beside.create_volume(raw_volume(name));
    const auto before = threads();
    {
        const Context newcomer(stage.scratch.options()); // who has never seen what is in it
        const auto pool = newcomer.find_pool("beside");
        stage.server.stop();
        pool.find_volume("a").delete_storage();
        std::this_thread::sleep_for(1200ms);
        for (const auto* name : {"b", "c"})
            CHECK(code_within(800ms, [&](Job& job) {
                      pool.find_volume(name).delete_storage(BlockerKind::none, &job);
                  }) == ErrorCode{});
        stage.server.go_on();
        CHECK(comes_true([&] { return threads() == before; }));
        CHECK(newcomer.find_pool("remote").volume_names() == std::vector<std::string>{"volume"});
    }
    remote.stop();
}

TEST_CASE("a look ends when the context's patience does")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto remote = stage.remote_pool();
    remote.create_volume(raw_volume("volume"));
    const auto before = threads();
    {
        auto options = stage.scratch.options();
        options.look_timeout = 300ms;
        const Context impatient(options);
        const auto pool = impatient.find_pool("remote");
        const auto volume = pool.find_volume("volume");
        const std::pair<const char*, std::function<void()>> looks[] = {
            {"find_volume", [&] { pool.find_volume("other"); }},
            {"blockers", [&] { pool.blockers(); }},
            {"info", [&] { volume.info(); }},
            {"definition", [&] { volume.definition(); }},
            {"chain", [&] { volume.chain(); }},
        };
        for (const auto& [name, look] : looks) {
            INFO(name);
            stage.server.stop();
            // One that waits as long as without the option is ended by the server.
            std::promise<void> told;
            const auto healer = std::async(std::launch::async, [&] {
                if (told.get_future().wait_for(15s) == std::future_status::timeout)
                    stage.server.go_on();
            });
            CHECK(error_code(look) == ErrorCode::timed_out);
            told.set_value();
            healer.wait();
            stage.server.go_on();
            REQUIRE(comes_true([&] { return threads() == before; }));
        }
        CHECK(volume.info().capacity == mib);
    }
    auto options = stage.scratch.options();
    options.look_timeout = 0ms;
    CHECK(error_code([&] { const Context none(options); }) == ErrorCode::invalid_argument);
    options.look_timeout = std::chrono::milliseconds::max();
    CHECK(Context(options).find_pool("remote").find_volume("volume").info().capacity == mib);
    remote.stop();
}

TEST_CASE("a call that hangs can be cancelled, and leaves what it holds until it ends")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto pool = stage.remote_pool();
    auto volume = pool.create_volume(raw_volume("volume", 4096));
    pool.info();
    const auto before = threads();

    stage.server.stop();
    Job job;
    std::thread canceller([&] {
        std::this_thread::sleep_for(100ms);
        job.cancel();
    });
    CHECK(error_code([&] { volume.resize(mib, ResizeFlags::none, BlockerKind::none, &job); }) ==
          ErrorCode::cancelled);
    canceller.join();

    // The volume is locked as long as nobody knows what became of it.
    Context other(stage.scratch.options());
    stage.server.go_on();
    CHECK(comes_true([&] { return threads() == before; }));
    const auto capacity = volume.info().capacity;
    CHECK((capacity == 4096 || capacity == mib));
    volume.resize(2 * mib);
    CHECK(volume.info().capacity == 2 * mib);
    pool.stop();
}

TEST_CASE("what a callback holds is let go of when its call ends, also by its deadline")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto pool = stage.remote_pool();
    auto volume = pool.create_volume(raw_volume("volume", 64 * 1024));
    pool.info();
    const auto before = threads();
    const auto token = std::make_shared<int>();
    stage.server.stop();
    CHECK(code_within(200ms, [&](Job& job) {
              volume.upload(UploadSource([token](std::span<std::byte>, std::uint64_t&) {
                                return std::size_t{0};
                            }),
                            {}, &job);
          }) == ErrorCode::timed_out);
    CHECK(token.use_count() == 1);
    CHECK(code_within(200ms, [&](Job& job) {
              volume.download(DownloadTarget([token](std::span<const std::byte>, std::uint64_t) {}),
                              {}, &job);
          }) == ErrorCode::timed_out);
    CHECK(token.use_count() == 1);
    stage.server.go_on();
    CHECK(comes_true([&] { return threads() == before; }));
    pool.stop();
}

TEST_CASE("callbacks run on the thread of the call, whoever does the work")
{
    Stage stage;
    NEEDS_A_SERVER(stage)
    auto pool = stage.remote_pool();
    const auto self = std::this_thread::get_id();
    std::atomic<int> calls{0}, strange{0};
    const auto note = [&] {
        ++calls;
        if (std::this_thread::get_id() != self)
            ++strange;
    };
    Job job;
    job.set_timeout(60s);
    job.set_progress_callback([&](const Progress&) { note(); });
    std::string content = noise(300000);
    std::size_t at = 0;
    ReadCallback give = [&](std::span<std::byte> buffer, std::uint64_t&) {
        note();
        const auto count = std::min(buffer.size(), content.size() - at);
        std::memcpy(buffer.data(), content.data() + at, count);
        at += count;
        return count;
    };
    auto volume = pool.upload_volume(raw_volume("volume", 0), give, {}, &job);
    const auto progress = job.progress();
    CHECK(progress.done == content.size());
    CHECK_FALSE(job.trace().empty());
    std::string got;
    WriteCallback take = [&](std::span<const std::byte> data, std::uint64_t hole) {
        note();
        got.append(reinterpret_cast<const char*>(data.data()), data.size()).append(hole, '\0');
    };
    volume.download(take, {}, &job);
    CHECK((got == content));
    CHECK(calls >= 4);
    CHECK(strange == 0);
    ReadCallback fail = [](std::span<std::byte>, std::uint64_t&) -> std::size_t {
        throw Error(ErrorCode::io, "the source is broken");
    };
    const auto error = error_of([&] { pool.upload_volume(raw_volume("new", 0), fail, {}, &job); });
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.what(), Catch::Contains("the source is broken"));
    pool.stop();
}

TEST_CASE("who asks for a path or an image on a server that hangs is told so")
{
    const StoppableServer server;
    if (!server.mounted()) {
        WARN("skipped: needs root, fuse2fs, mkfs.ext4 and FUSE");
        return;
    }
    const auto path = server.path() + "/image";
    std::ofstream(path) << noise(64 * 1024);
    const OpenFile image(path);
    REQUIRE(::posix_fadvise(image.fd(), 0, 0, POSIX_FADV_DONTNEED) == 0);
    const auto before = threads();
    const auto explain = [&](const std::string& name, std::chrono::milliseconds patience) {
        return explain_access(name, 0, 0, {}, AccessMode::read, patience);
    };
    server.stop();
    const auto code = error_code([&] { explain(server.path() + "/not-asked-for-yet", 100ms); });
    CHECK(code == ErrorCode::timed_out);
    CHECK(error_code([&] { inspect_image(image.fd(), 100ms); }) == ErrorCode::timed_out);
    CHECK(threads() == before + 2);
    server.go_on();
    CHECK(comes_true([&] { return threads() == before; }));
    CHECK(explain(path, test_patience).allowed);
    CHECK(inspect_image(image.fd()).virtual_size == 64 * 1024);
}
