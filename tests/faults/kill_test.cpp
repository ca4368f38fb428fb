// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death: each changing call is killed after each of its system calls in turn. What the next
// process finds is the state before or the state after, never one between, and nothing is left
// over.
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace storage;

namespace {

/**
 * Runs work in a child and kills it after its n-th system call, counted from the one that the child
 * makes to say that the work begins. @return false when the work was over before
 */
bool run_and_kill(const std::function<void()>& work, int n)
{
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        try {
            work();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
            ::_exit(3);
        }
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSTOPPED(status));
    for (int stops = 0; stops < 2 * n; ++stops) { // one stop at entry, one at exit
        REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 0);
            return false;
        }
        REQUIRE(WIFSTOPPED(status));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return true;
}

/** Names below a directory that only a change under way may have. */
std::vector<std::string> leftovers(const std::string& directory)
{
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
        if (entry.path().filename().string().starts_with(".basin-"))
            found.push_back(entry.path());
    return found;
}

using Prepare = std::function<void(Scratch&, Context&)>;
using Work = std::function<void(Scratch&, Context&)>;
/** Looks at what is there; says whether the work shows as done, and checks that it shows whole. */
using Done = std::function<bool(Scratch&, Context&)>;

void kill_everywhere(const Prepare& prepare, const Work& work, const Done& done)
{
    bool seen_before = false;
    bool seen_after = false;
    for (int n = 1;; ++n) {
        Scratch scratch;
        {
            Context context(scratch.options());
            prepare(scratch, context);
        }
        const bool killed = run_and_kill(
            [&] {
                Context context(scratch.options());
                work(scratch, context);
            },
            n);
        INFO("killed after system call " << n);
        Context context(scratch.options());
        const bool is_done = done(scratch, context);
        (is_done ? seen_after : seen_before) = true;
        if (!killed) {
            CHECK(is_done);
            break;
        }
        context.recover();
        CHECK(done(scratch, context) == is_done);
        for (const auto& path : leftovers(scratch.directory.path())) {
            // A record's temporary file goes with the next start; everything else is gone.
            INFO(path);
            CHECK(path.find("/root/run/") != std::string::npos);
        }
        // Whatever happened, the pool can be used on.
        if (!is_done)
            CHECK(error_code([&] { work(scratch, context); }) == ErrorCode{});
        if (n > 2000)
            FAIL("does not end");
    }
    CHECK(seen_before);
    CHECK(seen_after);
}

bool pool_exists(Context& context)
{
    return error_code([&] { context.find_pool("pool"); }) != ErrorCode::not_found;
}

void make_running(Scratch& scratch, Context& context)
{
    scratch.running_pool(context);
}

} // namespace

TEST_CASE("killed while defining: the pool is defined or it is not", "[faults]")
{
    kill_everywhere(
        [](Scratch&, Context&) {},
        [](Scratch& scratch, Context& context) { context.define_pool(scratch.dir_pool()); },
        [](Scratch& scratch, Context& context) {
            if (!pool_exists(context))
                return false;
            CHECK(context.find_pool("pool").definition().target.path == scratch.target());
            return true;
        });
}

TEST_CASE("killed while building: all directories are there or none", "[faults]")
{
    const auto define = [](Scratch& scratch, Context& context) {
        auto def = scratch.dir_pool();
        def.target.path = scratch.directory / "x/y/z";
        def.target.permissions.mode = 0750;
        context.define_pool(def);
    };
    kill_everywhere(
        define, [](Scratch&, Context& context) { context.find_pool("pool").build(); },
        [](Scratch& scratch, Context&) {
            if (!scratch.directory.exists("x"))
                return false;
            const auto leaf = std::filesystem::status(scratch.directory / "x/y/z");
            CHECK((leaf.permissions() & std::filesystem::perms::all) ==
                  static_cast<std::filesystem::perms>(0750));
            return true;
        });
}

TEST_CASE(
    "killed while creating a transient pool: it runs, or neither it nor its directory is there",
    "[faults]")
{
    kill_everywhere([](Scratch&, Context&) {},
                    [](Scratch& scratch, Context& context) {
                        context.create_pool(scratch.dir_pool(), BuildMode::keep);
                    },
                    [](Scratch& scratch, Context& context) {
                        CHECK(pool_exists(context) == scratch.directory.exists("pool"));
                        if (!pool_exists(context))
                            return false;
                        CHECK(context.find_pool("pool").is_active());
                        return true;
                    });
}

TEST_CASE("killed while starting or stopping: the pool runs or it does not", "[faults]")
{
    const auto is_active = [](Scratch&, Context& context) {
        return context.find_pool("pool").is_active();
    };
    kill_everywhere(
        [](Scratch& scratch, Context& context) { context.define_pool(scratch.dir_pool()).build(); },
        [](Scratch&, Context& context) { context.find_pool("pool").start(); }, is_active);
    kill_everywhere(
        make_running, [](Scratch&, Context& context) { context.find_pool("pool").stop(); },
        [&](Scratch& scratch, Context& context) { return !is_active(scratch, context); });
}

TEST_CASE("killed while creating a volume: it is whole or absent", "[faults]")
{
    kill_everywhere(
        make_running,
        [](Scratch&, Context& context) {
            context.find_pool("pool").create_volume(raw_volume("a", 1 << 20, 1 << 20));
        },
        [](Scratch& scratch, Context& context) {
            auto pool = context.find_pool("pool");
            const bool exists = scratch.directory.exists("pool/a");
            CHECK(pool.volume_count() == (exists ? 1 : 0));
            if (exists) {
                CHECK(pool.find_volume("a").info().capacity == 1 << 20);
                CHECK(pool.find_volume("a").info().allocation >= 1 << 20);
            }
            return exists;
        });
}

TEST_CASE("killed while creating a directory volume: it is there with its mode or absent",
          "[faults]")
{
    auto def = raw_volume("d", 0);
    def.target.format = "dir";
    def.target.permissions.mode = 0751;
    kill_everywhere(
        make_running,
        [&](Scratch&, Context& context) { context.find_pool("pool").create_volume(def); },
        [](Scratch& scratch, Context&) {
            if (!scratch.directory.exists("pool/d"))
                return false;
            CHECK(std::filesystem::status(scratch.target() + "/d").permissions() ==
                  static_cast<std::filesystem::perms>(0751));
            return true;
        });
}

TEST_CASE("killed while copying a volume: the copy is whole or absent", "[faults]")
{
    const std::string content(100000, 'x');
    kill_everywhere(
        [&](Scratch& scratch, Context& context) {
            make_running(scratch, context);
            scratch.directory.write("pool/source", content);
        },
        [](Scratch&, Context& context) {
            auto pool = context.find_pool("pool");
            pool.create_volume_from(raw_volume("copy", 0), pool.find_volume("source"));
        },
        [&](Scratch& scratch, Context&) {
            if (!scratch.directory.exists("pool/copy"))
                return false;
            CHECK(scratch.directory.read("pool/copy") == content);
            return true;
        });
}

TEST_CASE("killed while deleting: the volume is there or gone", "[faults]")
{
    kill_everywhere(
        [](Scratch& scratch, Context& context) {
            scratch.running_pool(context).create_volume(raw_volume("a"));
        },
        [](Scratch&, Context& context) {
            context.find_pool("pool").find_volume("a").delete_storage();
        },
        [](Scratch& scratch, Context&) { return !scratch.directory.exists("pool/a"); });
}

TEST_CASE("killed while undefining: definition and autostart mark are both there or both gone",
          "[faults]")
{
    kill_everywhere(
        [](Scratch& scratch, Context& context) {
            context.define_pool(scratch.dir_pool()).set_autostart(true);
        },
        [](Scratch&, Context& context) { context.find_pool("pool").undefine(); },
        [](Scratch& scratch, Context& context) {
            const bool exists = pool_exists(context);
            CHECK(scratch.directory.exists("root/etc/autostart/pool.xml") == exists);
            return !exists;
        });
}

TEST_CASE("killed while marking for autostart: it is marked or not", "[faults]")
{
    kill_everywhere(
        [](Scratch& scratch, Context& context) { context.define_pool(scratch.dir_pool()); },
        [](Scratch&, Context& context) { context.find_pool("pool").set_autostart(true); },
        [](Scratch&, Context& context) { return context.find_pool("pool").autostart(); });
}
