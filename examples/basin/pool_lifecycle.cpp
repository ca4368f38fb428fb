// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that build, start, stop and delete pools.
#include "shared.hpp"

#include <cerrno>
#include <poll.h>

namespace command {

namespace {

constexpr std::string_view group = "Life of pools";

/** The pool that the command line names, and where it says so with that storage alone. */
Pool expected_pool(Call& call)
{
    auto pool = call.pool();
    return call.given("expect") ? pool.expecting(call.text("expect")) : pool;
}

/** Runs a change on the pool that the command line names, and says what became of it. */
template <typename Body>
void change_pool(Call& call, std::string_view outcome, Body&& body)
{
    auto pool = expected_pool(call);
    const auto details = identity(pool);
    const auto name = pool.name();
    if (call.change([&](Job* job) { body(pool, job); }))
        call.done("Pool " + name + ' ' + std::string(outcome), details);
}

void pool_build(Call& call)
{
    auto mode = build_mode(call);
    if (mode == storage::BuildMode::none)
        mode = storage::BuildMode::keep;
    change_pool(call, "built", [&](Pool& pool, Job* job) { pool.build(mode, job); });
}

void pool_start(Call& call)
{
    const auto mode = build_mode(call);
    change_pool(call, "started", [&](Pool& pool, Job* job) { pool.start(mode, job); });
}

void pool_destroy(Call& call)
{
    change_pool(call, "destroyed", [](Pool& pool, Job* job) { pool.stop(job); });
}

void await_signal(const Call& call)
{
    pollfd polled{call.interrupt().fd(), POLLIN, 0};
    while (::poll(&polled, 1, -1) < 0 && errno == EINTR) {
    }
}

void pool_hold(Call& call)
{
    const auto mode = build_mode(call);
    auto pool = expected_pool(call);
    if (!call.change([&](Job* job) { pool.hold(mode, job); }))
        return;
    call.done("Pool " + pool.name() + " held", identity(pool));
    call.flush();
    await_signal(call);
    const bool stopped = pool.release();
    if (!call.json() && !call.quiet())
        call.print("Pool " + pool.name() + (stopped ? " stopped\n" : " stays active\n"));
}

void pool_delete(Call& call)
{
    const auto allowed =
        call.given("with-volumes") ? storage::BlockerKind::volume : storage::BlockerKind::none;
    change_pool(call, "deleted", [&](Pool& pool, Job* job) { pool.delete_storage(allowed, job); });
}

/** A refresh reads the storage and writes nothing, so that a dry run of it has no steps. */
void pool_refresh(Call& call)
{
    auto pool = call.pool();
    if (call.dry_run()) {
        call.change([](Job*) {});
        return;
    }
    pool.refresh(&call.job());
    call.done("Pool " + pool.name() + " refreshed", identity(pool));
}

void pool_autostart(Call& call)
{
    const bool on = !call.given("disable");
    change_pool(call, on ? "marked as autostarted" : "unmarked as autostarted",
                [&](Pool& pool, Job* job) { pool.set_autostart(on, job); });
}

std::string outcome(const storage::AutostartResult& result)
{
    if (result.error)
        return std::string("failed: ") + result.error->what();
    return result.started ? "started" : "was active";
}

/** Context::autostart() would keep the steps of the last pool only. */
void plan_autostart(Call& call)
{
    call.change([&](Job* job) {
        for (auto& pool : call.context().pools({.autostart = true})) {
            const auto state = pool.info().state;
            if (state != storage::PoolState::inactive && state != storage::PoolState::inaccessible)
                continue;
            call.keep_plan();
            try {
                pool.start(storage::BuildMode::none, job);
            } catch (
                const Error& error) { // as little as in earnest does one pool hinder the others
                call.warn(error.what());
            }
        }
    });
}

void pool_autostart_all(Call& call)
{
    if (call.dry_run())
        return plan_autostart(call);
    const auto results = call.context().autostart(&call.job());
    Table table({"Name", "Result"});
    std::vector<std::string> values;
    for (const auto& result : results) {
        table.add({result.pool_name, outcome(result)});
        JsonObject object;
        object.text("name", result.pool_name).boolean("started", result.started);
        if (result.error) {
            object.raw("error", to_json(*result.error));
            call.set_status(1);
        }
        values.push_back(object.str());
    }
    call.table(table, values);
}

} // namespace

std::vector<Verb> pool_lifecycle_verbs()
{
    const Option overwrite{.name = "overwrite", .help = "format, whatever the source holds"};
    const Option expect{.name = "expect",
                        .takes = Takes::text,
                        .help = "what pool-identity printed; build over, or delete, nothing else",
                        .named_only = true};
    const Option no_overwrite{.name = "no-overwrite", .help = "format only if the source is empty"};
    return {
        {"pool-build",
         group,
         "Make the underlying storage of a pool",
         "basin --dry-run pool-build vms",
         {pool_option, no_overwrite, overwrite, expect},
         pool_build},
        {"pool-start", group, "Make a pool active", "basin pool-start vms",
         with_build_options({pool_option, expect}), pool_start},
        {"pool-destroy",
         group,
         "Stop a pool; its data stays",
         "basin pool-destroy vms",
         {pool_option},
         pool_destroy},
        {"pool-hold", group, "Keep a pool active, started if need be, until SIGINT or SIGTERM",
         "basin pool-hold vms", with_build_options({pool_option, expect}), pool_hold},
        {"pool-delete",
         group,
         "Delete the underlying storage of an inactive pool",
         "basin --dry-run pool-delete vms",
         {pool_option,
          {.name = "with-volumes", .help = "also if it has volumes, which are lost"},
          expect},
         pool_delete},
        {"pool-refresh",
         group,
         "Read the volumes of a pool again",
         "basin pool-refresh vms",
         {pool_option},
         pool_refresh},
        {"pool-autostart",
         group,
         "Start a pool with pool-autostart-all, or no longer",
         "basin pool-autostart vms --disable",
         {pool_option, {.name = "disable", .help = "no longer"}},
         pool_autostart},
        {"pool-autostart-all",
         group,
         "Start every pool that is marked so",
         "basin pool-autostart-all",
         {},
         pool_autostart_all},
    };
}

} // namespace command
