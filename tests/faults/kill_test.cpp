// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death: each changing call is killed after each of its system calls in turn. What the next
// process finds is the state before or the state after, never one between, and nothing is left
// over.
#include "killing.hpp"

using namespace storage;

namespace {

const KillOptions whole{.opening_too = true, .every_call = true};

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
        },
        whole);
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
        },
        whole);
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
                    },
                    whole);
}

TEST_CASE("killed while starting or stopping: the pool runs or it does not", "[faults]")
{
    const auto is_active = [](Scratch&, Context& context) {
        return context.find_pool("pool").is_active();
    };
    kill_everywhere(
        [](Scratch& scratch, Context& context) { context.define_pool(scratch.dir_pool()).build(); },
        [](Scratch&, Context& context) { context.find_pool("pool").start(); }, is_active, whole);
    kill_everywhere(
        make_running, [](Scratch&, Context& context) { context.find_pool("pool").stop(); },
        [&](Scratch& scratch, Context& context) { return !is_active(scratch, context); }, whole);
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
        },
        whole);
}

TEST_CASE("killed while marking for autostart: it is marked or not", "[faults]")
{
    kill_everywhere(
        [](Scratch& scratch, Context& context) { context.define_pool(scratch.dir_pool()); },
        [](Scratch&, Context& context) { context.find_pool("pool").set_autostart(true); },
        [](Scratch&, Context& context) { return context.find_pool("pool").autostart(); }, whole);
}
