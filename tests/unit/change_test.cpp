// SPDX-License-Identifier: LGPL-2.1-or-later
#include "change.hpp"
#include "file_attributes.hpp"
#include "file_steps.hpp"
#include "process_runner.hpp"
#include "system_root.hpp"
#include "temporary_directory.hpp"
#include "volume_steps.hpp"

#include <basin/error.hpp>
#include <catch2/catch.hpp>
#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace storage;

namespace {

struct Bench {
    TemporaryDirectory directory{};
    Journal journal{directory / "journal"};
    Log log{};
    SystemRoot system{};
    ProcessRunner runner{};
    Host services{.system = system, .log = log, .runner = runner};
    Job job{};

    LockDirectory locks{directory / "lock"};

    std::vector<RecoveryResult> recover()
    {
        return recover_changes({.journal = journal, .host = services, .locks = locks});
    }
    ChangeHost host() { return {.journal = journal, .host = services, .job = &job}; }
    std::size_t journal_files()
    {
        return directory.exists("journal") ? directory.count("journal") : 0;
    }
};

Step failing_step()
{
    auto step = write_file_step("/nonexistent/x", "", false, "cannot work");
    step.prepare = [](Arguments&) { throw Error(ErrorCode::io, "no luck"); };
    return step;
}

Step killing_step()
{
    auto step = write_file_step("/nonexistent/x", "", false, "dies");
    step.prepare = [](Arguments&) { ::raise(SIGKILL); };
    return step;
}

/** Runs the change in a child that kills itself where the change says so. */
void run_until_killed(Change& change, Bench& bench)
{
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        change.execute(bench.host());
        ::_exit(0); // not killed: the parent fails
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
}

} // namespace

TEST_CASE("as long as can be said is never over", "[job]")
{
    using std::chrono::steady_clock;
    Job job;
    job.set_timeout(std::chrono::milliseconds::max());
    CHECK(*job.deadline() > steady_clock::now() + std::chrono::hours(24 * 365));
    job.set_wait(std::chrono::milliseconds::max());
    CHECK(steady_clock::now() + job.wait() > steady_clock::now() + std::chrono::hours(24 * 365));
    job.set_timeout(std::chrono::milliseconds::min());
    CHECK(*job.deadline() < steady_clock::now());
}

TEST_CASE("a change does its steps in order and leaves no journal", "[change]")
{
    Bench bench;
    Change change("test");
    change.add(make_tree_step(bench.directory / "a/b/c", {}));
    change.add(write_file_step(bench.directory / "a/b/c/file", "content", true, "write"));

    CHECK(change.execute(bench.host()));

    CHECK(bench.directory.read("a/b/c/file") == "content");
    CHECK(bench.journal_files() == 0);
    CHECK(bench.job.trace() == bench.job.plan());
    CHECK(bench.job.trace().size() == 2);
}

TEST_CASE("a dry run lists the steps and does none", "[change]")
{
    Bench bench;
    bench.job.set_dry_run(true);
    Change change("test");
    change.add(make_tree_step(bench.directory / "a/b", {.permissions = {.mode = 0750}}));

    CHECK_FALSE(change.execute(bench.host()));

    CHECK_FALSE(bench.directory.exists("a"));
    REQUIRE(bench.job.plan().size() == 1);
    CHECK(bench.job.plan()[0].kind == "make_tree");
    CHECK(bench.job.plan()[0].summary.find("0750") != std::string::npos);
    CHECK(bench.job.trace().empty());
}

TEST_CASE("when a step fails those before it are undone in reverse", "[change]")
{
    Bench bench;
    bench.directory.write("kept", "old");
    Change change("test");
    change.add(make_tree_step(bench.directory / "a/b", {}));
    change.add(write_file_step(bench.directory / "a/b/file", "x", false, "write"));
    change.add(write_file_step(bench.directory / "kept", "new", false, "replace"));
    change.add(failing_step());

    CHECK_THROWS_WITH(change.execute(bench.host()), "no luck");

    CHECK_FALSE(bench.directory.exists("a"));
    CHECK(bench.directory.read("kept") == "old");
    CHECK(bench.journal_files() == 0);
}

TEST_CASE("a change killed between steps is undone by the next recovery", "[change]")
{
    Bench bench;
    bench.directory.write("kept", "old");
    Change change("test-op");
    change.add(make_tree_step(bench.directory / "a/b", {}));
    change.add(write_file_step(bench.directory / "kept", "new", false, "replace"));
    change.add(killing_step());
    run_until_killed(change, bench);
    REQUIRE(bench.directory.read("kept") == "new");
    REQUIRE(bench.journal_files() == 1);

    const auto results = bench.recover();

    REQUIRE(results.size() == 1);
    CHECK(results[0].operation == "test-op");
    CHECK_FALSE(results[0].finished);
    CHECK(bench.directory.read("kept") == "old");
    CHECK_FALSE(bench.directory.exists("a"));
    CHECK(bench.journal_files() == 0);
    CHECK(bench.recover().empty());
}

TEST_CASE("a change killed after its commit is finished by the next recovery", "[change]")
{
    Bench bench;
    bench.directory.write("first", "1");
    bench.directory.write("second", "2");
    Change change("test-op");
    change.add(remove_file_step(bench.directory / "first", false, "remove"));
    change.commit_here();
    auto last = remove_file_step(bench.directory / "second", false, "remove");
    last.prepare = [](Arguments&) { ::raise(SIGKILL); };
    change.add(std::move(last));
    run_until_killed(change, bench);
    REQUIRE(bench.directory.exists("second"));

    const auto results = bench.recover();

    REQUIRE(results.size() == 1);
    CHECK(results[0].finished);
    CHECK_FALSE(bench.directory.exists("first"));
    CHECK_FALSE(bench.directory.exists("second"));
}

TEST_CASE("recovery leaves alone what is not what the journal recorded", "[change]")
{
    Bench bench;
    Change change("test-op");
    change.add(make_tree_step(bench.directory / "a", {}));
    change.add(killing_step());
    run_until_killed(change, bench);
    // Somebody replaces the directory before the recovery runs.
    REQUIRE(::rename((bench.directory / "a").c_str(), (bench.directory / "old").c_str()) == 0);
    REQUIRE(::mkdir((bench.directory / "a").c_str(), 0700) == 0);

    bench.recover();

    CHECK(bench.directory.exists("a"));
    CHECK(bench.directory.exists("old"));
}

TEST_CASE("recovery does not touch the change of a living process", "[change]")
{
    Bench bench;
    const auto entry = bench.journal.open_entry("{}");
    CHECK(bench.recover().empty());
    CHECK(bench.journal_files() == 1);
}

TEST_CASE("a recovery that runs out of descriptors says so, and overlooks nothing", "[change]")
{
    Bench bench;
    bench.directory.write("kept", "old");
    Change change("test-op");
    change.add(write_file_step(bench.directory / "kept", "new", false, "replace"));
    change.add(killing_step());
    run_until_killed(change, bench);
    struct rlimit before {};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    ::close(next);
    auto few = before;
    few.rlim_cur = static_cast<rlim_t>(next) + 1; // for the listing of the journals
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    int problem = 0;
    try {
        bench.recover();
    } catch (const Error& error) {
        problem = error.os_error();
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(problem == EMFILE);
    CHECK(bench.directory.read("kept") == "new");
    CHECK(bench.recover().size() == 1);
    CHECK(bench.directory.read("kept") == "old");
}

TEST_CASE("a journal that makes no sense is set aside, not obeyed", "[change]")
{
    Bench bench;
    ::mkdir((bench.directory / "journal").c_str(), 0700);
    bench.directory.write(
        "journal/.basin-1.journal",
        "{\"operation\":\"x\",\"commit\":0,\"steps\":[{\"action\":\"rm_rf\"}]}\n");
    std::string logged;
    bench.log.callback = [&](LogLevel, std::string_view line) { logged += line; };
    const auto results = bench.recover();
    REQUIRE(results.size() == 1);
    CHECK(bench.directory.exists("journal/.basin-1.journal.unreadable"));
    CHECK_THAT(logged, Catch::StartsWith("cannot recover a change, its journal is set aside: "));
    CHECK(bench.recover().empty());
}

TEST_CASE("of a journal that ends anywhere, no more is undone than it tells", "[change]")
{
    const auto run = [](std::size_t length) {
        Bench bench;
        bench.directory.write("kept", "old");
        Change change("test-op", {.pool_uuid = "11111111-1111-4111-8111-111111111111",
                                  .pool_name = "vms",
                                  .volumes = {"v"}});
        change.add(make_tree_step(bench.directory / "a", {}));
        change.add(write_file_step(bench.directory / "kept", "new", false, "replace"));
        change.add(killing_step());
        run_until_killed(change, bench);
        std::string name;
        for (const auto& entry : std::filesystem::directory_iterator(bench.directory / "journal"))
            name = "journal/" + entry.path().filename().string();
        const auto whole = bench.directory.read(name);
        bench.directory.write(name, whole.substr(0, length));
        bench.recover();
        CHECK(bench.journal_files() == 0); // its lines are whole, or were not written
        const auto kept = bench.directory.read("kept");
        CHECK((kept == "old" || (kept == "new" && length < whole.size())));
        return whole.size();
    };
    const auto size = run(SIZE_MAX);
    for (std::size_t length = 0; length < size; length += 7)
        run(length);
}

TEST_CASE("a journal whose name a power cut brings back undoes nothing twice", "[change]")
{
    Bench bench;
    bench.directory.write("kept", "old");
    const auto journal = [&] {
        std::string path;
        for (const auto& entry : std::filesystem::directory_iterator(bench.directory / "journal"))
            path = entry.path();
        return path;
    };
    const auto saved = bench.directory / "saved";
    Change change("test-op");
    change.add(make_tree_step(bench.directory / "a", {}));
    SECTION("of a change that a kill cut short")
    {
        change.add(killing_step());
        run_until_killed(change, bench);
        REQUIRE(::link(journal().c_str(), saved.c_str()) == 0);
        CHECK(bench.recover().size() == 1);
    }
    SECTION("of a change that failed")
    {
        auto last = failing_step();
        last.prepare = [&](Arguments&) {
            CHECK(::link(journal().c_str(), saved.c_str()) == 0);
            throw Error(ErrorCode::io, "no luck");
        };
        change.add(std::move(last));
        CHECK_THROWS_WITH(change.execute(bench.host()), "no luck");
    }
    REQUIRE(bench.journal_files() == 0);
    const auto text = bench.directory.read("saved");
    const auto line = text.find("\"identity\"");
    REQUIRE(line != text.npos);
    // An inode's number and birth can be another's on a file system that has no births.
    REQUIRE(::mkdir((bench.directory / "a").c_str(), 0700) == 0);
    const auto start = text.find("\"value\":\"", line) + 9;
    auto forged = text;
    forged.replace(start, text.find('"', start) - start, file_identity(bench.directory / "a"));
    bench.directory.write("journal/.basin-1.journal", forged);

    CHECK(bench.recover().empty());
    CHECK(bench.directory.exists("a"));
    CHECK(bench.journal_files() == 0);
}

TEST_CASE("a recovery has what the change had locked", "[change]")
{
    Bench bench;
    const std::string uuid = "11111111-1111-4111-8111-111111111111", pool = "vms";
    Change change("test-op", {.pool_uuid = uuid, .pool_name = pool, .volumes = {"v", "w"}});
    change.add(make_tree_step(bench.directory / "a", {}));
    change.add(killing_step());
    run_until_killed(change, bench);
    const auto in = [&](std::vector<std::string> volumes) {
        return ChangePlace{.pool_uuid = uuid, .pool_name = pool, .volumes = std::move(volumes)};
    };
    CHECK(is_unsettled(bench.journal, in({"w"}), Unsettled::in_the_way));
    CHECK_FALSE(is_unsettled(bench.journal, in({"x"}), Unsettled::all));
    CHECK(is_unsettled(bench.journal, in({}), Unsettled::all));
    CHECK_FALSE(is_unsettled(bench.journal, in({}), Unsettled::in_the_way));
    {
        const auto lock = bench.locks.lock_volume({uuid, pool, "w"}, "test", nullptr);
        const auto results = bench.recover();
        REQUIRE(results.size() == 1);
        CHECK(results[0].pending);
        CHECK_THAT(results[0].message, Catch::Contains("in use by process"));
        CHECK(bench.directory.exists("a"));
    }
    CHECK(bench.recover().size() == 1);
    CHECK_FALSE(bench.directory.exists("a"));
    CHECK_FALSE(is_unsettled(bench.journal, in({"w"}), Unsettled::all));
}

TEST_CASE("cancel and deadline end a change before its next step and undo it", "[change]")
{
    Bench bench;
    Change change("test");
    change.add(make_tree_step(bench.directory / "a", {}));
    auto second = write_file_step(bench.directory / "f", "x", false, "write");
    change.add(write_file_step(bench.directory / "e", "x", false, "write"));
    change.add(std::move(second));
    SECTION("cancel")
    {
        bench.job.cancel();
        CHECK_THROWS_AS(change.execute(bench.host()), Error);
    }
    SECTION("deadline")
    {
        bench.job.set_timeout(std::chrono::milliseconds(1));
        ::usleep(5000);
        CHECK_THROWS_AS(change.execute(bench.host()), Error);
    }
    CHECK_FALSE(bench.directory.exists("a"));
    CHECK_FALSE(bench.directory.exists("e"));
}

TEST_CASE("a file is created whole, with its attributes, and never over another", "[change]")
{
    Bench bench;
    const auto create = [&](const std::string& name, std::uint64_t allocation) {
        Change change("vol-create");
        change.add(create_file_step(bench.directory.path(), name,
                                    {.summary = "a file",
                                     .fill =
                                         [&](const FileWork& work) {
                                             REQUIRE(::ftruncate(work.fd, 1 << 20) == 0);
                                             if (allocation > 0)
                                                 allocate_range(work.fd, allocation, work.path,
                                                                work.job);
                                             return false;
                                         }},
                                    {.permissions = {.mode = 0640}}));
        change.execute(bench.host());
    };
    create("sparse", 0);
    create("full", 1 << 20);
    struct stat info {};
    REQUIRE(::stat((bench.directory / "sparse").c_str(), &info) == 0);
    CHECK(info.st_size == 1 << 20);
    CHECK(info.st_blocks == 0);
    CHECK((info.st_mode & 07777) == 0640);
    REQUIRE(::stat((bench.directory / "full").c_str(), &info) == 0);
    CHECK(info.st_blocks * 512 >= 1 << 20);

    bench.directory.write("taken", "precious");
    CHECK_THROWS_AS(create("taken", 0), Error);
    CHECK(bench.directory.read("taken") == "precious");
    CHECK(bench.directory.count() == 3);
}
