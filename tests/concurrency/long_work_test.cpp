// SPDX-License-Identifier: LGPL-2.1-or-later
// Long work on one volume: others of its pool go on, in every process; who wants the same volume is
// told who has it, and can wait.
#include "aftermath.hpp"

#include <atomic>
#include <cstring>
#include <sys/wait.h>

using namespace storage;
using namespace std::chrono_literals;

namespace {

/** An upload into "long" that stands still in its callback until it is let go on. */
class LongUpload {
public:
    explicit LongUpload(const Pool& pool)
        : thread_([this, target = pool]() mutable {
              Job job;
              job.set_timeout(120s);
              target.upload_volume(raw_volume("long", 4096),
                                   ReadCallback([this](std::span<std::byte> buffer,
                                                       std::uint64_t&) { return next(buffer); }),
                                   {}, &job);
          })
    {
        if (!comes_true([this] { return stands_.load(); }))
            throw std::runtime_error("the upload does not begin");
    }
    ~LongUpload() { end(); }
    LongUpload(const LongUpload&) = delete;
    LongUpload& operator=(const LongUpload&) = delete;

    void go_on() { may_end_ = true; }
    void end()
    {
        go_on();
        if (thread_.joinable())
            thread_.join();
    }

private:
    std::size_t next(std::span<std::byte> buffer)
    {
        stands_ = true;
        comes_true([this] { return may_end_.load(); }, 100s);
        if (std::exchange(given_, true))
            return 0;
        std::memset(buffer.data(), 'x', 512);
        return 512;
    }

    std::atomic<bool> stands_{false}, may_end_{false};
    bool given_{};
    std::thread thread_;
};

/** Everything that can be done to other volumes, waiting for no lock. */
void work_beside(Pool pool, const std::string& name)
{
    auto volume = pool.create_volume(raw_volume(name, 8192));
    volume.resize(16384);
    auto clone = pool.create_volume_from(raw_volume(name + "-clone", 0), volume);
    clone.rename(name + "-renamed");
    pool.refresh();
    const auto names = pool.volume_names();
    CHECK(std::count(names.begin(), names.end(), name) == 1);
    CHECK(std::count(names.begin(), names.end(), "long") == 0);
    CHECK(pool.find_volume(name).info().capacity == 16384);
    pool.find_volume(name + "-renamed").delete_storage();
    volume.wipe();
    volume.delete_storage();
}

} // namespace

TEST_CASE("long work on one volume holds up no other one, in any process", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    int go[2];
    REQUIRE(::pipe(go) == 0);
    // Forked before there is a second thread.
    const auto options = scratch.options();
    const auto child = ::fork();
    if (child == 0) {
        char byte = 0;
        const bool told = ::read(go[0], &byte, 1) == 1;
        int status = 1;
        try {
            Context mine(options);
            if (told) {
                work_beside(mine.find_pool("pool"), "theirs");
                status = error_of([&] {
                             mine.find_pool("pool").create_volume(raw_volume("long"));
                         }).code() == ErrorCode::busy
                             ? 0
                             : 2;
            }
        } catch (const std::exception& error) {
            std::fprintf(stderr, "other process: %s\n", error.what());
        }
        ::_exit(status);
    }
    ::close(go[0]);

    LongUpload upload(pool);
    CHECK(::write(go[1], "g", 1) == 1);
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    ::close(go[1]);
    work_beside(pool, "mine");
    Context another(scratch.options());
    work_beside(another.find_pool("pool"), "third");

    // The same volume.
    const auto error = error_of([&] { pool.create_volume(raw_volume("long")); });
    CHECK(error.code() == ErrorCode::busy);
    CHECK(error.retryable());
    CHECK_THAT(error.what(), Catch::Contains("volume 'long' in pool 'pool'") &&
                                 Catch::Contains("process " + std::to_string(::getpid())) &&
                                 Catch::Contains("vol-upload"));
    // Its pool's life cycle.
    const auto stop = error_of([&] { another.find_pool("pool").stop(); });
    CHECK(stop.code() == ErrorCode::busy);
    CHECK_THAT(stop.what(), Catch::Contains("process " + std::to_string(::getpid())));

    // Both can be waited for.
    std::atomic<bool> waits{false};
    ErrorCode created{}, rest{ErrorCode::internal};
    std::thread waiter([&] {
        Job job;
        job.set_wait(60s);
        waits = true;
        created =
            error_code([&] { pool.create_volume(raw_volume("long"), CreateFlags::none, &job); });
        rest = error_code([&] {
            pool.find_volume("long").delete_storage(BlockerKind::none, &job);
            pool.stop(&job);
        });
    });
    comes_true([&] { return waits.load(); });
    std::this_thread::sleep_for(20ms);
    upload.end();
    waiter.join();
    CHECK(created == ErrorCode::already_exists);
    CHECK(rest == ErrorCode{});
    CHECK_FALSE(pool.is_active());
    CHECK(scratch.directory.count("pool") == 0);
}

TEST_CASE("calls that need two volumes do not wait for each other", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    pool.create_volume(raw_volume("a", 4096));
    pool.create_volume(raw_volume("b", 4096));
    const auto work = [&](const std::string& from, const std::string& to) {
        std::string strange;
        const auto attempt = [&](const std::function<void(Job&)>& call) {
            Job job;
            job.set_wait(60s);
            const auto error = error_of([&] { call(job); });
            if (error.code() != ErrorCode::already_exists && error.code() != ErrorCode::not_found &&
                error.code() != ErrorCode{})
                strange = error.what();
        };
        for (int i = 0; i < 100; ++i) {
            attempt([&](Job& job) { pool.find_volume(from).rename(to, BlockerKind::none, &job); });
            attempt([&](Job& job) {
                pool.create_volume_from(raw_volume(to, 0), pool.find_volume(from),
                                        CreateFlags::none, &job);
            });
            attempt(
                [&](Job& job) { pool.find_volume(from).delete_storage(BlockerKind::none, &job); });
        }
        return strange;
    };
    std::string theirs;
    std::thread other([&] { theirs = work("b", "a"); });
    CHECK(work("a", "b") == "");
    other.join();
    CHECK(theirs == "");
    error_code([&] { pool.create_volume(raw_volume("a")); });
    CHECK(error_code([&] { pool.create_volume_from(raw_volume("a"), pool.find_volume("a")); }) ==
          ErrorCode::already_exists);
}
