// SPDX-License-Identifier: LGPL-2.1-or-later
// What other programs do to the files of a pool is told as events, where that is asked for.
#include "scratch.hpp"

#include "mounts.hpp"
#include "pool_lock.hpp"
#include "state_store.hpp"

#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace storage;
using namespace std::chrono_literals;

namespace {

/** A Context that watches, beside the one that starts pools. */
class Watcher {
public:
    explicit Watcher(Scratch& scratch) : context_(options(scratch)) { context_.event_fd(); }

    /** The events that come, until one is like this; "" when it does not come in half a minute. */
    std::string until(const std::string& last)
    {
        std::string all;
        const auto limit = std::chrono::steady_clock::now() + 30s;
        while (std::chrono::steady_clock::now() < limit) {
            while (const auto event = context_.next_event()) {
                const auto text =
                    std::string(to_string(event->kind)) + ' ' +
                    (event->volume_name.empty() ? event->pool_name : event->volume_name) +
                    (event->from_other_process ? "" : " by itself");
                all += (all.empty() ? "" : ", ") + text;
                if (text == last)
                    return all;
            }
            pollfd polled{context_.event_fd(), POLLIN, 0};
            ::poll(&polled, 1, 100);
        }
        return "never came: " + last + " after " + all;
    }
    Context& context() { return context_; }

private:
    static ContextOptions options(Scratch& scratch)
    {
        auto result = scratch.options();
        result.watch = true;
        return result;
    }
    Context context_;
};

} // namespace

TEST_CASE("more changes than are told one by one are seen all the same", "[watch]")
{
    Scratch scratch;
    Context context(scratch.options()), other(scratch.options());
    auto pool = scratch.running_pool(context);
    auto same = other.find_pool("pool");
    CHECK(pool.volume_count() == 0);
    CHECK(same.volume_count() == 0);
    constexpr unsigned count = 2500;
    for (unsigned i = 0; i < count; ++i)
        scratch.directory.write("pool/" + std::to_string(i), "x");
    same.refresh();
    CHECK(pool.volume_count() == count);
    for (unsigned i = 0; i < count; ++i)
        REQUIRE(::unlink((scratch.target() + '/' + std::to_string(i)).c_str()) == 0);
    same.refresh();
    CHECK(pool.volume_count() == 0);
}

TEST_CASE("with the watch on, what others do to files is told", "[watch]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    pool.create_volume(raw_volume("there"));
    Watcher watcher(scratch);
    const auto path = [&](const std::string& name) { return scratch.target() + '/' + name; };

    scratch.directory.write("pool/new", "x");
    CHECK(watcher.until("volume_created new") == "volume_created new");
    REQUIRE(::truncate(path("there").c_str(), 5000) == 0);
    CHECK(::close(::open(path("there").c_str(), O_WRONLY | O_CLOEXEC)) == 0);
    CHECK(watcher.until("volume_changed there") == "volume_changed there");
    REQUIRE(::rename(path("new").c_str(), path("moved").c_str()) == 0);
    const auto moved = watcher.until("volume_deleted new");
    CHECK(moved == "volume_created moved, volume_deleted new"); // in the order of their names
    REQUIRE(::unlink(path("moved").c_str()) == 0);
    CHECK(watcher.until("volume_deleted moved") == "volume_deleted moved");
    REQUIRE(::mkfifo(path("pipe").c_str(), 0600) == 0);
    scratch.directory.write("pool/after", "x");
    CHECK(watcher.until("volume_created after") == "volume_created after");
    CHECK(pool.find_volume("there").info().capacity == 5000);
    CHECK(pool.volume_names() == std::vector<std::string>{"after", "there"});
}

TEST_CASE("with the watch on, what basin does is told once", "[watch]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    Watcher watcher(scratch), second(scratch);
    auto volume = pool.create_volume(raw_volume("a"));
    volume.resize(2 << 20);
    volume.rename("b");
    volume.delete_storage();
    watcher.context().find_pool("pool").create_volume(raw_volume("c"));
    scratch.directory.write("pool/foreign", "x");
    const std::string all = "volume_created a, volume_changed a, volume_deleted a, volume_created "
                            "b, volume_deleted b, volume_created c";
    CHECK(watcher.until("volume_created foreign") == all + " by itself, volume_created foreign");
    CHECK(second.until("volume_created foreign") == all + ", volume_created foreign");
    scratch.directory.write("pool/last", "x");
    CHECK(second.until("volume_created last") == "volume_created last");
    CHECK(watcher.until("volume_created last") == "volume_created last");
}

TEST_CASE("with the watch on, what others do to a volume that is locked is told as well", "[watch]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto there = pool.create_volume(raw_volume("there", 4096));
    Watcher watcher(scratch);
    const auto drain = [&] {
        std::string all;
        while (const auto event = watcher.context().next_event())
            all += std::string(to_string(event->kind)) + ' ' + event->volume_name + ' ';
        return all;
    };
    SECTION("one that is only read, at once")
    {
        std::string told;
        Job job;
        job.set_progress_callback([&](const Progress&) {
            if (!told.empty())
                return;
            told = "once";
            REQUIRE(::chmod((scratch.target() + "/there").c_str(), 0640) == 0);
            told = watcher.until("volume_changed there");
        });
        pool.create_volume_from(raw_volume("copy", 0), there, CreateFlags::none, &job);
        CHECK(told == "volume_changed there");
        pool.find_volume("copy").delete_storage();
        CHECK(watcher.until("volume_deleted copy") == "volume_created copy, volume_deleted copy");
    }
    SECTION("one that a call changes which fails, when it has")
    {
        const ReadCallback give = [&](std::span<std::byte>, std::uint64_t&) -> std::size_t {
            scratch.directory.write("pool/new", "x");
            CHECK(drain().empty());
            throw Error(ErrorCode::io, "the source fails");
        };
        CHECK(error_code([&] { pool.upload_volume(raw_volume("new", 0), give); }) == ErrorCode::io);
        CHECK(watcher.until("volume_created new") == "volume_created new");
        const ReadCallback fail = [&](std::span<std::byte> buffer, std::uint64_t&) -> std::size_t {
            REQUIRE(::truncate((scratch.target() + "/there").c_str(), 8192) == 0);
            REQUIRE(::chmod((scratch.target() + "/there").c_str(), 0640) == 0);
            CHECK(drain().empty());
            buffer[0] = std::byte{1};
            throw Error(ErrorCode::io, "the source fails");
        };
        CHECK(error_code([&] { there.upload(fail); }) == ErrorCode::io);
        CHECK(watcher.until("volume_changed there") == "volume_changed there");
        // In the context that watches itself, where the call takes in what it leaves.
        auto same = watcher.context().find_pool("pool").find_volume("there");
        const ReadCallback shrink = [&](std::span<std::byte>, std::uint64_t&) -> std::size_t {
            REQUIRE(::truncate((scratch.target() + "/there").c_str(), 512) == 0);
            throw Error(ErrorCode::io, "the source fails");
        };
        CHECK(error_code([&] { same.upload(shrink); }) == ErrorCode::io);
        CHECK(watcher.until("volume_changed there by itself") == "volume_changed there by itself");
    }
    SECTION("when it is unlocked, though others have the lock's descriptor for longer")
    {
        UniqueFd copy; // as a program's supervisor has it
        {
            const LockDirectory locks(StateStore(scratch.options()).lock_dir());
            const auto uuid = pool.uuid();
            const auto lock = locks.lock_volume({uuid, "pool", "there"}, "vol-resize", nullptr);
            copy.reset(::fcntl(lock.fd(), F_DUPFD_CLOEXEC, 0));
            REQUIRE(::chmod((scratch.target() + "/there").c_str(), 0640) == 0);
            CHECK(drain().empty());
        }
        pollfd polled{watcher.context().event_fd(), POLLIN, 0};
        CHECK(::poll(&polled, 1, 30000) == 1);
        CHECK(watcher.until("volume_changed there") == "volume_changed there");
    }
    SECTION("once, when the call succeeds")
    {
        bool given = false;
        const ReadCallback give = [&](std::span<std::byte> buffer, std::uint64_t&) -> std::size_t {
            if (std::exchange(given, true))
                return 0;
            REQUIRE(::chmod((scratch.target() + "/there").c_str(), 0640) == 0);
            CHECK(drain().empty());
            buffer[0] = std::byte{1};
            return 1;
        };
        there.upload(give);
    }
    scratch.directory.write("pool/last", "x");
    const auto rest = watcher.until("volume_created last");
    CHECK((rest == "volume_created last" ||
           rest == "volume_changed there, volume_created last")); // the second: of the upload
    CHECK(drain().empty());
}

TEST_CASE("pools that start later are watched, and those that stop are not", "[watch]")
{
    Scratch scratch;
    Context context(scratch.options());
    Watcher watcher(scratch);
    auto pool = scratch.running_pool(context);
    CHECK(watcher.until("pool_started pool") ==
          "pool_defined pool, pool_built pool, pool_started pool");
    scratch.directory.write("pool/new", "x");
    CHECK(watcher.until("volume_created new") == "volume_created new");
    pool.stop();
    CHECK(watcher.until("pool_stopped pool") == "pool_stopped pool");
    scratch.directory.write("pool/unseen", "x");
    auto other = scratch.running_pool(context, "other");
    scratch.directory.write("other/seen", "x");
    CHECK(watcher.until("pool_started other") ==
          "pool_defined other, pool_built other, pool_started other");
    pool.start();
    CHECK(watcher.until("pool_started pool") == "pool_started pool");
    REQUIRE(::unlink((scratch.target() + "/unseen").c_str()) == 0);
    CHECK(watcher.until("volume_deleted unseen") == "volume_deleted unseen");
}

TEST_CASE("a watched file system that is unmounted is followed again when it is back", "[watch]")
{
    Scratch scratch;
    scratch.directory.write("disk", "");
    std::filesystem::resize_file(scratch.directory / "disk", 16 << 20);
    std::filesystem::create_directory(scratch.target());
    const LoopDevice loop(scratch.directory / "disk");
    if (!private_mounts() || loop.path().empty() || !succeeds("mkfs.ext4 -q " + loop.path())) {
        WARN("skipped: needs root, a loop device and mkfs.ext4");
        return;
    }
    std::optional<Mount> file_system(std::in_place, loop.path(), scratch.target(), "ext4");
    REQUIRE(*file_system);
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    Watcher watcher(scratch);
    scratch.directory.write("pool/before", "x");
    CHECK(watcher.until("volume_created before") == "volume_created before");
    file_system.reset();
    CHECK(watcher.until("pool_changed pool") == "pool_changed pool");
    file_system.emplace(loop.path(), scratch.target(), "ext4");
    CHECK(watcher.until("pool_changed pool") == "pool_changed pool");
    scratch.directory.write("pool/after", "x");
    CHECK(watcher.until("volume_created after") == "volume_created after");
}

TEST_CASE("a watched directory that goes is told, and a flood loses nothing", "[watch]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    Watcher watcher(scratch);
    SECTION("the directory goes")
    {
        REQUIRE(std::filesystem::remove_all(scratch.target()) > 0);
        CHECK(watcher.until("pool_changed pool") == "pool_changed pool");
        CHECK(pool.info().state == PoolState::inaccessible);
    }
    SECTION("the directory is elsewhere for a while")
    {
        const auto away = scratch.target() + ".away";
        for (int i = 0; i < 2; ++i) {
            REQUIRE(::rename(scratch.target().c_str(), away.c_str()) == 0);
            CHECK(watcher.until("pool_changed pool") == "pool_changed pool");
            scratch.directory.write("pool.away/meanwhile" + std::to_string(i), "x");
            REQUIRE(::rename(away.c_str(), scratch.target().c_str()) == 0);
            CHECK_THAT(watcher.until("volume_created meanwhile" + std::to_string(i)),
                       Catch::Contains("pool_changed pool"));
            const auto name = "after" + std::to_string(i);
            scratch.directory.write("pool/" + name, "x");
            CHECK(watcher.until("volume_created " + name) == "volume_created " + name);
        }
    }
    SECTION("the directory goes while more happens than the kernel keeps")
    {
        std::ifstream limit_file("/proc/sys/fs/inotify/max_queued_events");
        unsigned limit = 0;
        limit_file >> limit;
        const auto path = scratch.target() + "/again";
        for (unsigned i = 0; i < limit; ++i) {
            REQUIRE(::close(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
            REQUIRE(::unlink(path.c_str()) == 0);
        }
        REQUIRE(std::filesystem::remove_all(scratch.target()) > 0);
        CHECK(watcher.until("pool_changed pool") == "pool_changed pool");
    }
    SECTION("more happens than the kernel keeps")
    {
        std::ifstream limit_file("/proc/sys/fs/inotify/max_queued_events");
        unsigned limit = 0;
        limit_file >> limit;
        REQUIRE(limit > 0);
        const auto path = scratch.target() + "/again";
        for (unsigned i = 0; i < limit; ++i) { // two happenings each
            REQUIRE(::close(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
            REQUIRE(::unlink(path.c_str()) == 0);
        }
        scratch.directory.write("pool/last", "x");
        CHECK(watcher.until("volume_created last") == "volume_created last");
    }
}
