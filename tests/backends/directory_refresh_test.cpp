// SPDX-License-Identifier: LGPL-2.1-or-later
// What a refresh reads again and what not, beside changes, jobs, threads and lack of descriptors.
#include <catch2/catch.hpp>

#include "pool_directory.hpp"

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>

using namespace storage;

TEST_CASE("damaged images stay volumes and are remarked upon, each time", "[directory_refresh]")
{
    const PoolDirectory pool;
    pool.write("short.qcow2",
               qcow2(1 << 20).substr(0, 60)); // libvirt 9.0 loses the whole pool to this
    pool.write("huge.qcow2", qcow2(UINT64_MAX));
    pool.write("good.qcow2", qcow2(1 << 20));
    auto table = pool.refresh();
    for (int round = 0; round < 2; ++round) {
        CHECK(table->size() == 3);
        CHECK(reasons(*table) == std::map<std::string, DiagnosticReason>{
                                     {"short.qcow2", DiagnosticReason::damaged_image},
                                     {"huge.qcow2", DiagnosticReason::damaged_image}});
        CHECK(facts_of(*table, "short.qcow2").format == ImageFormat::qcow2);
        CHECK(facts_of(*table, "short.qcow2").damaged);
        CHECK(facts_of(*table, "huge.qcow2").capacity == 4 * 65536);
        let_times_settle();
        table = pool.refresh(table.get());
    }
    CHECK_FALSE(pool.volumes.inspect("short.qcow2").findings.empty());
}

TEST_CASE("a second refresh opens nothing that did not change", "[directory_refresh]")
{
    const PoolDirectory pool;
    if (!has_fine_times(pool)) {
        WARN("skipped: the file system of " + pool.path() + " has coarse times");
        return;
    }
    pool.sparse("hole", 1 << 20);
    pool.write("data", std::string(100, 'x'));
    pool.write("base.qcow2", qcow2(1 << 20));
    pool.write("top.qcow2", qcow2(1 << 20, "base.qcow2", "qcow2"));
    std::filesystem::create_directory(pool / "sub");
    let_times_settle();
    const auto first = pool.refresh();
    auto before = pool.volumes.counts();
    CHECK(before.opened == 3);
    CHECK(before.holes == 1);

    const auto second = pool.refresh(first.get());
    auto after = pool.volumes.counts();
    CHECK(after.opened == before.opened);
    CHECK(after.reused == before.reused + 5);
    CHECK(second->entries() == first->entries());
    for (const auto index : first->sorted())
        CHECK(second->find(first->name(index)) == first->record(index));
    CHECK(second->find("top.qcow2")->references == std::vector<std::string>{pool / "base.qcow2"});

    // One byte of the size field, in place: same length, same inode.
    const auto fd = open_file(pool / "base.qcow2", O_WRONLY);
    const auto size = be(3 << 20, 8);
    REQUIRE(::pwrite(fd.get(), size.data(), size.size(), 24) == 8);
    before = pool.volumes.counts();
    const auto third = pool.refresh(second.get());
    CHECK(pool.volumes.counts().opened == before.opened + 1);
    CHECK(facts_of(*third, "base.qcow2").capacity == 3 << 20);
}

TEST_CASE("a file that another takes the place of is read again", "[directory_refresh]")
{
    const PoolDirectory pool;
    pool.write("a", qcow2(1 << 20));
    pool.write("b", qcow2(2 << 20));
    let_times_settle();
    const auto first = pool.refresh();
    std::filesystem::rename(pool / "b", pool / "a");
    const auto second = pool.refresh(first.get());
    CHECK(second->size() == 1);
    CHECK(facts_of(*second, "a").capacity == 2 << 20);
}

TEST_CASE("a file that changed just now is read again although its times are equal",
          "[directory_refresh]")
{
    const PoolDirectory pool;
    // Whatever the clock's tick: each change within one is seen.
    for (std::uint64_t megabytes = 1; megabytes < 200; ++megabytes) {
        pool.write("disk", qcow2(1 << 20));
        const auto first = pool.refresh();
        const auto fd = open_file(pool / "disk", O_WRONLY);
        const auto size = be(megabytes << 20, 8);
        REQUIRE(::pwrite(fd.get(), size.data(), size.size(), 24) == 8);
        const auto second = pool.refresh(first.get());
        REQUIRE(facts_of(*second, "disk").capacity == megabytes << 20);
    }
}

TEST_CASE("a file whose times lie ahead is never taken for unchanged", "[directory_refresh]")
{
    const PoolDirectory pool;
    pool.write("disk", qcow2(1 << 20));
    const timespec tomorrow{.tv_sec = ::time(nullptr) + 86400, .tv_nsec = 1};
    const timespec times[]{tomorrow, tomorrow};
    REQUIRE(::utimensat(AT_FDCWD, (pool / "disk").c_str(), times, 0) == 0);
    const auto first = pool.refresh();
    CHECK(facts_of(*first, "disk").fresh);
    const auto before = pool.volumes.counts();
    pool.refresh(first.get());
    CHECK(pool.volumes.counts().opened == before.opened + 1);
}

TEST_CASE("allocation is never taken from the last time", "[directory_refresh]")
{
    const PoolDirectory pool;
    pool.sparse("disk", 1 << 20);
    let_times_settle();
    const auto first = pool.refresh();
    auto stale = *first->find("disk");
    stale.facts.allocation = 12345;
    stale.facts.fresh = false;
    CHECK(pool.volumes.read("disk", &stale).facts.allocation == 0);
}

TEST_CASE("one volume is read without a look at the others", "[directory_refresh]")
{
    const PoolDirectory pool;
    pool.write("a.qcow2", qcow2(1 << 20, "/base", "raw"));
    pool.write("b.qcow2", qcow2(1 << 20));
    let_times_settle();
    const auto record = pool.volumes.read("a.qcow2", nullptr);
    CHECK(record == *pool.refresh()->find("a.qcow2"));
    CHECK(record.references == std::vector<std::string>{"/base"});
    if (has_fine_times(pool)) {
        const auto before = pool.volumes.counts();
        CHECK(pool.volumes.read("a.qcow2", &record) == record);
        CHECK(pool.volumes.counts().opened == before.opened);
    }
    std::filesystem::remove(pool / "a.qcow2");
    CHECK(error_code([&] { pool.volumes.read("a.qcow2", &record); }) == ErrorCode::not_found);
}

TEST_CASE("a directory that changes while it is read gives a sane table", "[directory_refresh]")
{
    const PoolDirectory pool;
    constexpr int count = 1500;
    const auto name = [](int i) { return "v" + std::to_string(i); };
    for (int i = 0; i < count; ++i)
        pool.write(name(i), qcow2(1 << 20).substr(0, 1 << 10));
    for (int i = 0; i < 20; ++i)
        pool.write("stays" + std::to_string(i), "x");
    std::atomic<bool> stop{};
    std::jthread disturber([&] {
        for (int i = 0; !stop; i = (i + 7) % count) {
            const auto path = pool / name(i);
            ::unlink(path.c_str());
            switch (i % 4) {
            case 0: pool.write(name(i), "x"); break;
            case 1: ::mkfifo(path.c_str(), 0600); break;
            case 2: (void)!::symlink("stays0", path.c_str()); break;
            default: break;
            }
        }
    });
    std::shared_ptr<VolumeTable> table;
    for (int round = 0; round < 30; ++round) {
        table = pool.refresh(table.get());
        for (int i = 0; i < 20; ++i)
            REQUIRE(table->find_index("stays" + std::to_string(i)));
        REQUIRE(table->size() <= count + 20);
    }
    stop = true;
}

TEST_CASE("many files are read alike with and without a second thread", "[directory_refresh]")
{
    const PoolDirectory pool;
    for (int i = 0; i < 3000; ++i) {
        const auto name = "v" + std::to_string(i);
        if (i % 3 == 0)
            pool.sparse(name, 4096 * (i + 1));
        else
            pool.write(name, i % 3 == 1
                                 ? qcow2(4096ULL * (static_cast<unsigned>(i) + 1)).substr(0, 300)
                                 : "raw");
    }
    for (int i = 0; i < 100; ++i)
        pool.link("missing", "dangling" + std::to_string(i));
    const auto table = pool.refresh();
    CHECK(table->size() == 3000);
    for (int i = 0; i < 3000; i += 37) {
        const auto name = "v" + std::to_string(i);
        CHECK(pool.volumes.read(name, nullptr).facts.format == facts_of(*table, name).format);
    }
    CHECK(std::is_sorted(table->diagnostics().begin(), table->diagnostics().end(),
                         [](const auto& a, const auto& b) { return a.name < b.name; }));
    const auto again = pool.refresh(table.get());
    CHECK(again->entries() == table->entries());
    CHECK(again->diagnostics() == table->diagnostics());
}

TEST_CASE("no thread outlives a refresh and the caller's signal mask is as it was",
          "[directory_refresh]")
{
    const PoolDirectory pool;
    for (int i = 0; i < 1200; ++i)
        pool.write("v" + std::to_string(i), "x");
    sigset_t before, after;
    ::sigemptyset(&before);
    ::sigaddset(&before, SIGUSR1);
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
    const auto threads = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
    };
    const auto had = threads();
    pool.refresh();
    CHECK(threads() <= had);
    REQUIRE(::pthread_sigmask(SIG_SETMASK, nullptr, &after) == 0);
    CHECK(::sigismember(&after, SIGUSR1) == 1);
    CHECK(::sigismember(&after, SIGUSR2) == 0);
    ::sigemptyset(&before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a cancelled or late job ends a refresh", "[directory_refresh]")
{
    const PoolDirectory pool;
    for (int i = 0; i < 600; ++i)
        pool.write("v" + std::to_string(i), "x");
    Job job;
    job.cancel();
    CHECK(error_code([&] { pool.refresh(nullptr, &job); }) == ErrorCode::cancelled);
    Job late;
    late.set_timeout(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    CHECK(error_code([&] { pool.refresh(nullptr, &late); }) == ErrorCode::timed_out);
    Job calm;
    CHECK(pool.refresh(nullptr, &calm)->size() == 600);
    CHECK(calm.progress().done >= 600);
}

TEST_CASE("running out of descriptors fails the refresh instead of emptying the list",
          "[directory_refresh]")
{
    const PoolDirectory pool;
    pool.write("v", "x");
    const auto result = in_child([&] {
        const int next = ::dup(0);
        ::close(next);
        const auto only_one_more = static_cast<rlim_t>(next) + 1;
        const rlimit limit{.rlim_cur = only_one_more, .rlim_max = only_one_more};
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || pool.volumes.names(nullptr).size() != 1)
            return 2;
        return error_code([&] { pool.refresh(); }) == ErrorCode::io ? 0 : 1;
    });
    CHECK(result == 0);
}
