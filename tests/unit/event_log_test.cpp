// SPDX-License-Identifier: LGPL-2.1-or-later
#include "child.hpp"
#include "event_log.hpp"
#include "temporary_directory.hpp"

#include <basin/error.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;

namespace {

LoggedEvent volume_event(const std::string& name)
{
    return {.kind = EventKind::volume_created,
            .pool_name = "vms",
            .pool_uuid = "u",
            .volume_name = name};
}

} // namespace

TEST_CASE("events of one log are read by another, in order", "[events]")
{
    TemporaryDirectory directory;
    EventLog writer(directory / "run/events", 2);
    EventLog reader(directory / "run/events", 4);
    reader.attach();
    CHECK(reader.newest() == 0);

    writer.append(volume_event("a"));
    writer.append(volume_event("b"));

    reader.attach();
    CHECK(reader.newest() == 2);
    std::uint64_t cursor = 0;
    std::vector<LoggedEvent> events;
    CHECK(reader.read_after(cursor, events));
    REQUIRE(events.size() == 2);
    CHECK(events[0].volume_name == "a");
    CHECK(events[1].sequence == 2);
    CHECK(events[1].writer == 2);
    CHECK(cursor == 2);
    writer.append(volume_event("c"));
    CHECK(reader.newest() == 3); // without another look at the file
}

TEST_CASE("a reader that the ring overtakes is told so", "[events]")
{
    TemporaryDirectory directory;
    EventLog log(directory / "events", 1);
    std::vector<LoggedEvent> many(5000, volume_event("v"));
    log.append(many);
    std::uint64_t cursor = 0;
    std::vector<LoggedEvent> events;
    CHECK_FALSE(log.read_after(cursor, events));
    CHECK(events.empty());
    CHECK(cursor == 5000);
}

TEST_CASE("writers in several threads and processes lose nothing", "[events]")
{
    TemporaryDirectory directory;
    constexpr int each = 200;
    const auto write = [&](std::uint64_t id) {
        EventLog log(directory / "events", id);
        for (int i = 0; i < each; ++i)
            log.append(volume_event(std::to_string(i)));
    };
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        write(3);
        ::_exit(0);
    }
    std::thread other([&] { write(1); });
    write(2);
    other.join();
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);

    EventLog log(directory / "events", 9);
    log.attach();
    CHECK(log.newest() == 3 * each);
    std::uint64_t cursor = 0;
    std::vector<LoggedEvent> events;
    while (cursor < log.newest())
        REQUIRE(log.read_after(cursor, events));
    CHECK(events.size() == 3 * each);
    for (std::size_t i = 0; i < events.size(); ++i)
        CHECK(events[i].sequence == i + 1);
}

TEST_CASE("a writer that was stopped in the middle holds others up for a second, not for ever",
          "[events]")
{
    TemporaryDirectory directory;
    EventLog log(directory / "events", 1);
    log.append(volume_event("a"));
    {
        const UniqueFd stopped(::open((directory / "events").c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::flock(stopped.get(), LOCK_EX) == 0);
        CHECK_THROWS_WITH(log.append(volume_event("b")), Catch::Contains("stands still"));
        std::uint64_t cursor = 0;
        std::vector<LoggedEvent> events;
        CHECK(log.read_after(cursor, events));
        CHECK(events.size() == 1);
    }
    log.append(volume_event("c"));
    CHECK(log.newest() == 2);
}

TEST_CASE("a writer that holds others up for a moment is waited for", "[events]")
{
    TemporaryDirectory directory;
    EventLog log(directory / "events", 1);
    log.append(volume_event("a"));
    bool kept = false;
    // A busy machine may make more than a second of one moment, but not of each.
    for (int attempt = 0; attempt < 10 && !kept; ++attempt) {
        UniqueFd holder(::open((directory / "events").c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::flock(holder.get(), LOCK_EX) == 0);
        std::atomic<bool> begun{false};
        std::thread other([&] {
            begun = true;
            try {
                log.append(volume_event("b"));
                kept = true;
            } catch (const Error&) { // waited long enough
            }
        });
        while (!begun)
            std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        holder.reset();
        other.join();
    }
    CHECK(kept);
}

TEST_CASE("where files may not become so large, an event is an error and no signal", "[events]")
{
    TemporaryDirectory directory;
    CHECK(text_from_child([&]() -> std::string {
              const rlimit limit{4096, 4096};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              EventLog log(directory / "run/events", 1);
              try {
                  log.append(volume_event("a"));
              } catch (const Error& error) {
                  return std::string(to_string(error.code()));
              }
              return "kept";
          }) == "no_space");
    CHECK(directory.count("run") == 0);
}

TEST_CASE("a name that does not fit is marked as cut", "[events]")
{
    TemporaryDirectory directory;
    EventLog log(directory / "events", 1);
    log.append(volume_event(std::string(300, 'x')));
    std::uint64_t cursor = 0;
    std::vector<LoggedEvent> events;
    log.read_after(cursor, events);
    REQUIRE(events.size() == 1);
    CHECK(events[0].name_was_cut);
}

TEST_CASE("a log that may only be read is read, and says why nothing is added", "[events]")
{
    if (::geteuid() == 0) {
        WARN("skipped: root may write everything");
        return;
    }
    TemporaryDirectory directory;
    EventLog(directory / "events", 1).append(volume_event("a"));
    REQUIRE(::chmod((directory / "events").c_str(), 0400) == 0);
    EventLog log(directory / "events", 1);
    CHECK_THROWS_WITH(log.append(volume_event("b")), Catch::Contains("Permission denied"));
    std::uint64_t cursor = 0;
    std::vector<LoggedEvent> events;
    log.read_after(cursor, events);
    CHECK(events.size() == 1);
}

TEST_CASE("a file that is no log is refused, not overwritten", "[events]")
{
    TemporaryDirectory directory;
    directory.write("events", "something else");
    EventLog log(directory / "events", 1);
    CHECK_THROWS_AS(log.append(volume_event("a")), Error);
    CHECK(directory.read("events") == "something else");
}
