// SPDX-License-Identifier: LGPL-2.1-or-later
// Several applications hold one pool: it stays until the last one is gone, a dead one holds
// nothing, and what was active before stays active. Mounts need root and a loop device.
#include "aftermath.hpp"
#include "mounts.hpp"

#include <array>
#include <csignal>
#include <future>
#include <sys/wait.h>
#include <thread>

using namespace storage;

namespace {

/** Another process, which does one thing after the other as it is told. */
class OtherProcess {
public:
    explicit OtherProcess(const ContextOptions& options)
    {
        if (::pipe(orders_) != 0 || ::pipe(answers_) != 0)
            throw std::runtime_error("pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(orders_[1]);
            obey(options);
            ::_exit(0);
        }
        ::close(orders_[0]);
        ::close(answers_[1]);
    }
    ~OtherProcess()
    {
        end(SIGKILL);
        ::close(orders_[1]);
        ::close(answers_[0]);
    }
    OtherProcess(const OtherProcess&) = delete;
    OtherProcess& operator=(const OtherProcess&) = delete;

    /** @param order  'h'old, 'r'elease, 's'top, 'b'egin (start),
     * 'f'ork a child that lives on. @return the code, 1 for "stopped"
     */
    int tell(char order) const
    {
        int answer = 999;
        if (::write(orders_[1], &order, 1) != 1 ||
            ::read(answers_[0], &answer, sizeof answer) != sizeof answer)
            throw std::runtime_error("the other process is gone");
        return answer;
    }
    void end(int signal)
    {
        if (pid_ <= 0)
            return;
        ::kill(pid_, signal);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    pid_t pid() const { return pid_; }

private:
    void obey(const ContextOptions& options) const
    {
        Context context(options);
        for (char order; ::read(orders_[0], &order, 1) == 1;) {
            bool stopped = false;
            auto answer = static_cast<int>(error_code([&] {
                auto pool = context.find_pool("pool");
                switch (order) {
                case 'h': pool.hold(BuildMode::keep); break;
                case 'r': stopped = pool.release(); break;
                case 's': pool.stop(); break;
                case 'f': make_child(); break;
                default: pool.start();
                }
            }));
            if (stopped)
                answer = 1;
            if (::write(answers_[1], &answer, sizeof answer) != sizeof answer)
                return;
        }
    }

    /** It ends with the test, or a minute later. */
    void make_child() const
    {
        int lives[2];
        if (::pipe(lives) != 0)
            throw std::runtime_error("pipe");
        const auto child = ::fork();
        ::close(lives[1]);
        if (char end{}; child != 0) { // the locks are its parent's alone when fork() has returned
            [[maybe_unused]] const auto none = ::read(lives[0], &end, 1);
            ::close(lives[0]);
            return;
        }
        ::alarm(60);
        for (char order; ::read(orders_[0], &order, 1) == 1;) {
        }
        ::_exit(0);
    }

    int orders_[2]{-1, -1}, answers_[2]{-1, -1};
    pid_t pid_{-1};
};

constexpr int done = 0, stopped = 1, busy = static_cast<int>(ErrorCode::busy);

} // namespace

TEST_CASE("a pool that two processes hold stays until the second lets go", "[concurrency]")
{
    Scratch scratch;
    OtherProcess one(scratch.options()), two(scratch.options());
    Context context(scratch.options());
    auto pool = context.define_pool(scratch.dir_pool());
    CHECK(one.tell('r') == static_cast<int>(ErrorCode::invalid_state));
    CHECK(one.tell('h') == done); // starts it
    CHECK(pool.is_active());
    CHECK(two.tell('h') == done);
    CHECK(two.tell('h') == done); // once is enough

    const auto error = error_of([&] { pool.stop(); });
    CHECK(error.code() == ErrorCode::busy);
    CHECK_THAT(error.what(), Catch::Contains("held by process"));
    CHECK(pool.blockers().size() == 1);
    CHECK(one.tell('s') == busy); // its own hold is no right to another's
    CHECK(pool.is_active());

    CHECK(one.tell('r') == done);
    CHECK(pool.is_active());
    CHECK_THAT(error_of([&] { pool.stop(); }).what(),
               Catch::Contains("process " + std::to_string(two.pid())));
    CHECK(two.tell('r') == stopped);
    CHECK_FALSE(pool.is_active());
    CHECK(two.tell('r') == static_cast<int>(ErrorCode::invalid_state));
    pool.start();
    check_usable(pool);
}

TEST_CASE("the hold of a process ends with it, however that ends", "[concurrency]")
{
    Scratch scratch;
    OtherProcess one(scratch.options()), two(scratch.options());
    Context context(scratch.options());
    auto pool = context.define_pool(scratch.dir_pool());
    CHECK(one.tell('h') == done);
    CHECK(two.tell('h') == done);
    one.end(SIGKILL);
    CHECK(pool.is_active());
    CHECK(two.tell('r') == stopped); // is the last one now

    OtherProcess three(scratch.options());
    CHECK(three.tell('h') == done);
    three.end(SIGKILL); // nobody is left to stop it
    CHECK(pool.is_active());
    CHECK(pool.blockers().empty());
    pool.stop();

    OtherProcess four(scratch.options());
    CHECK(four.tell('h') == done);
    CHECK(four.tell('f') == done);
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    four.end(SIGKILL); // and not with a child that it had forked
    pool.stop();

    // A context that is closed, though the handle lives on.
    std::optional<Context> third(scratch.options());
    auto theirs = third->find_pool("pool");
    theirs.hold(BuildMode::keep);
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    third.reset();
    pool.stop();
}

TEST_CASE("what was active before it was held stays active", "[concurrency]")
{
    Scratch scratch;
    OtherProcess one(scratch.options());
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    CHECK(one.tell('h') == done);
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    CHECK(one.tell('r') == done);
    CHECK(pool.is_active());
    pool.hold();
    pool.stop(); // one's own hold is in nobody's way
    CHECK_FALSE(pool.is_active());
    CHECK(one.tell('b') == done);
    CHECK(one.tell('b') == static_cast<int>(ErrorCode::invalid_state)); // as ever
    one.end(SIGKILL);
    CHECK(pool.is_active()); // start() holds nothing
    pool.stop();
    Job dry;
    dry.set_dry_run(true);
    pool.hold(BuildMode::none, &dry);
    CHECK_FALSE(pool.is_active());
    CHECK_FALSE(dry.plan().empty());
}

TEST_CASE("who holds a pool has it active, however others come and go", "[concurrency]")
{
    constexpr int processes = 4, rounds = 1500;
    Scratch scratch;
    {
        Context context(scratch.options());
        context.define_pool(scratch.dir_pool());
    }
    std::array<pid_t, processes> children{};
    for (auto& child : children) {
        child = ::fork();
        if (child != 0)
            continue;
        Context context(scratch.options());
        auto pool = context.find_pool("pool");
        const auto name = std::to_string(::getpid());
        int status = 0;
        for (int round = 0; round < rounds && status == 0; ++round) {
            Job job;
            job.set_wait(std::chrono::seconds(60));
            const auto error = error_of([&] {
                pool.hold(BuildMode::keep, &job);
                if (round % 100 == 0)
                    pool.create_volume(raw_volume(name), CreateFlags::none, &job)
                        .delete_storage(BlockerKind::none, &job);
                else if (!pool.is_active())
                    throw Error(ErrorCode::internal, "a pool that is held is not active");
                pool.release(&job);
            });
            if (error.code() != ErrorCode{})
                std::fprintf(stderr, "round %d: %s\n", round, error.what());
            status = error.code() != ErrorCode{};
        }
        ::_exit(status);
    }
    for (const auto child : children) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    Context context(scratch.options());
    CHECK_FALSE(context.find_pool("pool").is_active());
}

TEST_CASE("the last one to hold a pool lets go although another one comes", "[concurrency]")
{
    Scratch scratch;
    Context one(scratch.options()), two(scratch.options());
    auto pool = one.define_pool(scratch.dir_pool());
    pool.hold(BuildMode::keep);
    auto theirs = two.find_pool("pool");
    std::promise<void> begun, to_end;
    std::thread upload([&] {
        theirs.upload_volume(raw_volume("a", 0),
                             ReadCallback([&](std::span<std::byte>, std::uint64_t&) {
                                 begun.set_value();
                                 to_end.get_future().wait();
                                 return std::size_t{0};
                             }));
    });
    begun.get_future().wait();
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    bool stopped_it = true;
    std::thread release([&] {
        Job job;
        job.set_wait(std::chrono::seconds(60));
        stopped_it = pool.release(&job);
    });
    ::usleep(200000); // it waits for the upload, most likely
    theirs.hold();
    to_end.set_value();
    release.join();
    upload.join();
    CHECK_FALSE(stopped_it);
    CHECK(pool.is_active());
    CHECK(error_code([&] { pool.release(); }) == ErrorCode::invalid_state);
    CHECK(theirs.release());
    CHECK_FALSE(pool.is_active());
}

TEST_CASE("a mount stays as long as somebody holds its pool", "[concurrency]")
{
    Scratch scratch;
    scratch.directory.write("disk", "");
    std::filesystem::resize_file(scratch.directory / "disk", 16 * mib);
    const LoopDevice loop(scratch.directory / "disk");
    if (::geteuid() != 0 || !private_mounts() || loop.path().empty() ||
        !succeeds("mkfs.ext4 -q " + loop.path())) {
        WARN("skipped: needs root, a loop device and mkfs.ext4");
        return;
    }
    OtherProcess one(scratch.options()), two(scratch.options());
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.type = "fs";
    def.source.devices = {{.path = loop.path()}};
    def.source.format = "ext4";
    auto pool = context.define_pool(def);
    const auto mounted = [&] { return succeeds("mountpoint -q " + scratch.target()); };
    CHECK(one.tell('h') == done);
    CHECK(two.tell('h') == done);
    CHECK(mounted());
    check_usable(pool);
    one.end(SIGKILL);
    CHECK(mounted());
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    CHECK(two.tell('r') == stopped);
    CHECK_FALSE(mounted());

    // Somebody else's mount is nobody's to take away.
    REQUIRE(succeeds("mount " + loop.path() + ' ' + scratch.target()));
    CHECK(two.tell('h') == done);
    CHECK(two.tell('r') == stopped);
    CHECK(mounted());
    CHECK(succeeds("umount " + scratch.target()));
}
