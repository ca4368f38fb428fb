// SPDX-License-Identifier: LGPL-2.1-or-later
// Many threads and processes on the same pools. Also run under ThreadSanitizer.
#include "scratch.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;

namespace {

/** What may go wrong when several do the same thing at once; anything else is a failure. */
bool is_expected(const Error& error)
{
    return error.code() == ErrorCode::busy || error.code() == ErrorCode::already_exists ||
           error.code() == ErrorCode::not_found || error.code() == ErrorCode::invalid_state;
}

struct Outcome {
    std::atomic<int> unexpected{0};
    std::string first{};
    std::mutex mutex{};

    template <typename Call>
    void attempt(Call&& call)
    {
        try {
            call();
        } catch (const Error& error) {
            if (is_expected(error))
                return;
            ++unexpected;
            const std::lock_guard lock(mutex);
            if (first.empty())
                first = std::string(to_string(error.code())) + ": " + error.what();
        }
    }
};

void work_on_volumes(Context& context, unsigned seed, int rounds, Outcome& outcome)
{
    std::mt19937 random(seed);
    auto pool = context.find_pool("pool");
    for (int i = 0; i < rounds; ++i) {
        const auto name = "v" + std::to_string(random() % 12);
        switch (random() % 6) {
        case 0:
        case 1: outcome.attempt([&] { pool.create_volume(raw_volume(name, 4096)); }); break;
        case 2: outcome.attempt([&] { pool.find_volume(name).delete_storage(); }); break;
        case 3: outcome.attempt([&] { pool.refresh(); }); break;
        case 4:
            outcome.attempt([&] {
                std::set<std::string> names;
                for (const auto& entry : pool.volume_entries())
                    if (!names.insert(entry.name).second)
                        throw Error(ErrorCode::internal, "listed twice: " + entry.name);
            });
            break;
        default: outcome.attempt([&] { static_cast<void>(pool.find_volume(name).info()); }); break;
        }
    }
}

/** Every context lists exactly what is in the directory. */
void check_agreement(Scratch& scratch, Context& context)
{
    std::set<std::string> on_disk;
    for (const auto& entry : std::filesystem::directory_iterator(scratch.target()))
        on_disk.insert(entry.path().filename());
    std::set<std::string> listed;
    for (const auto& name : context.find_pool("pool").volume_entries())
        listed.insert(name.name);
    CHECK(listed == on_disk);
}

} // namespace

TEST_CASE("threads of one context share a pool", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    scratch.running_pool(context);
    Outcome outcome;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([&, i] { work_on_volumes(context, i, 60, outcome); });
    for (auto& thread : threads)
        thread.join();
    INFO(outcome.first);
    CHECK(outcome.unexpected == 0);
    check_agreement(scratch, context);
}

TEST_CASE("threads with a context each share a pool", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    scratch.running_pool(context);
    Outcome outcome;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            ContextOptions options;
            options.root = scratch.directory / "root";
            Context mine(options);
            work_on_volumes(mine, 100 + i, 60, outcome);
        });
    for (auto& thread : threads)
        thread.join();
    INFO(outcome.first);
    CHECK(outcome.unexpected == 0);
    check_agreement(scratch, context);
}

TEST_CASE("processes with threads share a pool", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    scratch.running_pool(context);
    CHECK(context.find_pool("pool").volume_count() == 0);
    std::vector<pid_t> children;
    for (unsigned p = 0; p < 3; ++p) {
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            Outcome outcome;
            {
                ContextOptions options;
                options.root = scratch.directory / "root";
                Context mine(options);
                std::thread other([&] { work_on_volumes(mine, 1000 + p, 40, outcome); });
                work_on_volumes(mine, 2000 + p, 40, outcome);
                other.join();
            }
            if (outcome.unexpected != 0)
                std::fprintf(stderr, "child: %s\n", outcome.first.c_str());
            ::_exit(outcome.unexpected == 0 ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const auto child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(status == 0);
    }
    check_agreement(scratch, context); // by the others' events alone
    context.find_pool("pool").refresh();
    check_agreement(scratch, context);
}

TEST_CASE("pools are defined, started, stopped and undefined by many at once", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    Outcome outcome;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            ContextOptions options;
            options.root = scratch.directory / "root";
            Context mine(options);
            std::mt19937 random(i);
            for (int round = 0; round < 25; ++round) {
                const auto name = "p" + std::to_string(random() % 3);
                outcome.attempt([&] {
                    auto def = scratch.dir_pool(name);
                    auto pool = mine.define_pool(def);
                    pool.build();
                    pool.start();
                });
                outcome.attempt([&] {
                    for (auto& pool : mine.pools())
                        outcome.attempt([&] { static_cast<void>(pool.info()); });
                });
                outcome.attempt([&] { mine.find_pool(name).stop(); });
                outcome.attempt([&] { mine.find_pool(name).undefine(); });
            }
        });
    for (auto& thread : threads)
        thread.join();
    INFO(outcome.first);
    CHECK(outcome.unexpected == 0);
    for (auto& pool : context.pools()) {
        if (pool.is_active())
            pool.stop();
        pool.undefine();
    }
    CHECK(context.pools().empty());
}

TEST_CASE("readers do not wait for a refresh", "[concurrency]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (int i = 0; i < 2000; ++i)
        scratch.directory.write("pool/f" + std::to_string(i), "x");
    pool.refresh();
    std::atomic<bool> stop{false};
    std::thread refresher([&] {
        while (!stop)
            pool.refresh();
    });
    for (int i = 0; i < 200; ++i) {
        CHECK(pool.volume_count() == 2000);
        CHECK(pool.find_volume("f7").name() == "f7");
    }
    stop = true;
    refresher.join();
}
