// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death, and nobody opens the directories anew before somebody who has them open goes on:
// what was cut short is brought to its end first, not later, when it would undo what was done
// since. And recoveries that are killed themselves, or meet.
#include "killing.hpp"
#include "mounts.hpp"

using namespace storage;

namespace {

/** A child does it with a context of its own, and is killed behind the first call that is `last`.
 */
void kill_behind(Scratch& scratch, const Work& work,
                 const std::function<bool(const TracedCall&)>& last)
{
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const auto result = trace(
        [&] {
            Context context(scratch.options());
            mark();
            work(scratch, context);
            return 0;
        },
        true, [&](const TracedCall& call) { return Fate{.killed = last(call)}; });
    REQUIRE(result.killed);
    await_orphans();
}

bool is_call(const TracedCall& call, std::initializer_list<long> numbers)
{
    return std::find(numbers.begin(), numbers.end(), call.number) != numbers.end();
}

bool allocates(const TracedCall& call)
{
    return is_call(call, {SYS_fallocate}) && call.arguments[2] != 0; // the journal's begins at 0
}

void grow_allocated(Scratch&, Context& context)
{
    context.find_pool("pool").find_volume("a").resize(4 * mib, ResizeFlags::allocate);
}

} // namespace

TEST_CASE("what somebody did since a kill is not undone by the next opening", "[faults][late]")
{
    Scratch scratch;
    Context older(scratch.options());
    auto pool = scratch.running_pool(older);
    auto volume = pool.create_volume(raw_volume("a", mib));
    kill_behind(scratch, grow_allocated, allocates);
    REQUIRE(occupied(scratch.target()) >= 3 * mib);

    volume.resize(2 * mib, ResizeFlags::none);
    CHECK(occupied(scratch.target()) == 0); // what the killed one had allocated
    const auto content = noise(2 * mib);
    scratch.directory.write("pool/a", content);

    Context newer(scratch.options());
    CHECK((scratch.directory.read("pool/a") == content));
    CHECK(newer.recover().empty());
    const auto results = older.recover();
    REQUIRE(results.size() == 1);
    CHECK(results[0].operation == "vol-resize pool a");
    CHECK_FALSE(results[0].finished);
    check_usable(pool);
}

TEST_CASE("a volume does not wait for what was cut short on another one", "[faults][late]")
{
    Scratch scratch;
    Context older(scratch.options());
    auto pool = scratch.running_pool(older);
    pool.create_volume(raw_volume("a", mib));
    auto other = pool.create_volume(raw_volume("b", mib));
    kill_behind(scratch, grow_allocated, allocates);
    other.resize(2 * mib, ResizeFlags::none);
    CHECK(occupied(scratch.target()) >= 3 * mib); // is a's
    pool.stop();
    CHECK(occupied(scratch.target()) == 0);
}

TEST_CASE("a pool that was started since a kill stays mounted", "[faults][late]")
{
    Scratch scratch;
    scratch.directory.write("disk", "");
    std::filesystem::resize_file(scratch.directory / "disk", 16 * mib);
    const LoopDevice loop(scratch.directory / "disk");
    if (::geteuid() != 0 || !private_mounts() || loop.path().empty() || !have("mkfs.ext4")) {
        WARN("skipped: needs root, a loop device and mkfs.ext4");
        return;
    }
    auto def = scratch.dir_pool();
    def.type = "fs";
    def.source.devices = {{.path = loop.path()}};
    def.source.format = "ext4";
    Context older(scratch.options());
    auto pool = older.define_pool(def);
    pool.build(BuildMode::overwrite);
    const auto mounted = [&] { return succeeds("mountpoint -q " + scratch.target()); };
    kill_behind(
        scratch, [](Scratch&, Context& context) { context.find_pool("pool").start(); },
        [&](const TracedCall&) { return mounted(); });
    REQUIRE(mounted());

    pool.start();
    Context newer(scratch.options());
    CHECK(mounted());
    CHECK(pool.info().state == PoolState::running);
    check_usable(newer.find_pool("pool"));
    pool.stop();
    CHECK_FALSE(mounted());
}

TEST_CASE("a mark for autostart that was made since a kill stays", "[faults][late]")
{
    Scratch scratch;
    Context older(scratch.options());
    older.define_pool(scratch.dir_pool()).set_autostart(true);
    kill_behind(
        scratch, [](Scratch&, Context& context) { context.find_pool("pool").undefine(); },
        [unlinked = 0](const TracedCall& call) mutable { // the definition, then the mark
            unlinked += is_call(call, {SYS_unlink, SYS_unlinkat});
            return unlinked == 2;
        });
    REQUIRE(scratch.directory.count("root/var/journal") == 1);
    older.define_pool(scratch.dir_pool()).set_autostart(true);

    Context newer(scratch.options());
    CHECK(newer.find_pool("pool").autostart());
    CHECK(older.find_pool("pool").autostart());
}

TEST_CASE("what was begun on a file system is undone when that is mounted again", "[faults][late]")
{
    Scratch scratch;
    scratch.directory.write("disk", "");
    std::filesystem::resize_file(scratch.directory / "disk", 16 * mib);
    const LoopDevice loop(scratch.directory / "disk");
    if (::geteuid() != 0 || !private_mounts() || loop.path().empty() || !have("mkfs.ext4") ||
        !have("qemu-img")) {
        WARN("skipped: needs root, a loop device, mkfs.ext4 and qemu-img");
        return;
    }
    auto def = scratch.dir_pool();
    def.type = "fs";
    def.source.devices = {{.path = loop.path()}};
    def.source.format = "ext4";
    {
        Context context(scratch.options());
        context.define_pool(def).start(BuildMode::overwrite);
    }
    kill_behind(
        scratch,
        [](Scratch&, Context& context) {
            context.find_pool("pool").create_volume(volume_def("a", "vdi", mib));
        },
        [](const TracedCall& call) { return is_call(call, {SYS_waitid}); });
    REQUIRE(leftovers(scratch.target()).size() >= 1);
    // The host starts anew.
    REQUIRE(::umount2(scratch.target().c_str(), 0) == 0);
    std::filesystem::remove_all(scratch.directory / "root/run");
    {
        Context context(scratch.options());
        const auto results = context.recover();
        REQUIRE(results.size() == 1);
        CHECK(results[0].pending);
        CHECK_THAT(results[0].message, Catch::Contains("is not active"));
        auto pool = context.find_pool("pool");
        pool.start();
        CHECK(leftovers(scratch.target()).empty());
        CHECK(scratch.directory.count("root/var/journal") == 0);
        check_usable(pool);
        pool.stop();
    }
}

TEST_CASE("a recovery waits for a file system that can be written to", "[faults][late]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    const Mount file_system("tmpfs", scratch.target(), "tmpfs");
    if (!file_system || !have("qemu-img")) {
        WARN("skipped: needs root, to mount, and qemu-img");
        return;
    }
    Context context(scratch.options());
    scratch.running_pool(context);
    kill_behind(
        scratch,
        [](Scratch&, Context& other) {
            other.find_pool("pool").create_volume(volume_def("a", "vdi", mib));
        },
        [](const TracedCall& call) { return is_call(call, {SYS_waitid}); });
    REQUIRE(leftovers(scratch.target()).size() >= 1);
    const auto remount = [&](unsigned long flags) {
        return ::mount("none", scratch.target().c_str(), nullptr, MS_REMOUNT | flags, nullptr) == 0;
    };
    REQUIRE(remount(MS_RDONLY));
    auto results = context.recover();
    REQUIRE(results.size() == 1);
    CHECK(results[0].pending);
    REQUIRE(remount(0));
    if (succeeds("chattr +i " + scratch.target())) { // older kernels' tmpfs has no such flag
        results = context.recover();
        REQUIRE(results.size() == 1);
        CHECK(results[0].pending);
        CHECK(results[0].message.find("Operation not permitted") != std::string::npos);
        REQUIRE(succeeds("chattr -i " + scratch.target()));
    }
    results = context.recover();
    REQUIRE(results.size() == 1);
    CHECK_FALSE(results[0].pending);
    CHECK(leftovers(scratch.target()).empty());
}

namespace {

/** Kills a recovery behind each of its calls; the next one finds the same as if there was none. */
void kill_recoveries(const Prepare& prepare, const Work& work,
                     const std::function<bool(const TracedCall&)>& last, const Done& as_before)
{
    int points = 0;
    for (bool killed = true; killed; ++points) {
        Scratch scratch;
        {
            Context context(scratch.options());
            prepare(scratch, context);
        }
        kill_behind(scratch, work, last);
        const auto result = trace(
            [&] {
                Context context(scratch.options());
                return 0;
            },
            false,
            [&, counted = 0](const TracedCall& call) mutable -> Fate {
                counted += changes_something(call);
                return {.killed = counted > points};
            });
        killed = result.killed;
        INFO("killed after system call " << points + 1 << " of the recovery");
        CHECK(result.status == 0);
        await_orphans();
        Context context(scratch.options());
        context.recover();
        CHECK(as_before(scratch, context));
        CHECK(scratch.directory.count("root/var/journal") == 0);
        for (const auto& path : leftovers(scratch.directory.path())) {
            INFO(path);
            CHECK(path.find("/root/run/") != std::string::npos);
        }
        work(scratch, context);
    }
    CHECK(points > 1);
    std::cout << "# " << points - 1 << " recoveries killed\n";
}

} // namespace

TEST_CASE("a recovery that is killed is done by the next one", "[faults][late]")
{
    kill_recoveries(
        [](Scratch& scratch, Context& context) {
            scratch.running_pool(context).create_volume(raw_volume("a", mib));
        },
        grow_allocated, allocates,
        [](Scratch& scratch, Context&) {
            return occupied(scratch.target()) == 0 &&
                   scratch.directory.read("pool/a").size() == mib;
        });
    kill_recoveries(
        [](Scratch& scratch, Context& context) {
            auto def = scratch.dir_pool();
            def.target.path = scratch.directory / "x/y/z";
            context.define_pool(def);
        },
        [](Scratch&, Context& context) { context.find_pool("pool").build(); },
        [](const TracedCall& call) { return is_call(call, {SYS_fchmod}); },
        [](Scratch& scratch, Context&) { return !scratch.directory.exists("x"); });
    if (!have("qemu-img"))
        return;
    kill_recoveries(
        [](Scratch& scratch, Context& context) { scratch.running_pool(context); },
        [](Scratch&, Context& context) {
            context.find_pool("pool").create_volume(volume_def("a", "vdi", mib));
        },
        [](const TracedCall& call) { return is_call(call, {SYS_waitid}); },
        [](Scratch& scratch, Context&) { return scratch.directory.count("pool") == 0; });
}

TEST_CASE("of processes that recover at once one does it, and all find it done", "[faults][late]")
{
    constexpr int processes = 6;
    for (int round = 0; round < 10; ++round) {
        Scratch scratch;
        {
            Context context(scratch.options());
            scratch.running_pool(context).create_volume(raw_volume("a", mib));
        }
        kill_behind(scratch, grow_allocated, allocates);
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        for (int i = 0; i < processes; ++i)
            if (::fork() == 0) {
                Context context(scratch.options());
                char done = 0;
                for (const auto& result : context.recover())
                    done += !result.pending;
                // Whoever finds nothing to do finds it done, unless another one is about it.
                context.find_pool("pool").find_volume("a").resize(
                    2 * mib, ResizeFlags::none, BlockerKind::none, [] {
                        static Job job;
                        job.set_wait(std::chrono::seconds(20));
                        return &job;
                    }());
                ::_exit(::write(ends[1], &done, 1) == 1 ? 0 : 1);
            }
        ::close(ends[1]);
        int recovered = 0, answers = 0;
        for (char done; ::read(ends[0], &done, 1) == 1; ++answers)
            recovered += done;
        ::close(ends[0]);
        await_orphans();
        CHECK(answers == processes);
        CHECK(recovered == 1);
        CHECK(occupied(scratch.target()) == 0);
        CHECK(scratch.directory.read("pool/a").size() == 2 * mib);
    }
}

TEST_CASE("what a recovery says that it would do is what it does", "[faults][late]")
{
    Scratch scratch;
    Context older(scratch.options());
    scratch.running_pool(older).create_volume(raw_volume("a", mib));
    Job dry, job;
    dry.set_dry_run(true);
    const auto check = [&](const std::string& what, std::size_t steps) {
        INFO(what);
        older.recover(&dry);
        const auto plan = dry.plan();
        CHECK(plan.size() == steps);
        CHECK(dry.trace().empty());
        for (const auto& step : plan)
            CHECK_THAT(step.summary, Catch::StartsWith(what + " '"));
        CHECK(older.recover(&job).size() == 1);
        CHECK(job.plan() == plan);
        CHECK(job.trace() == plan);
        for (auto* again : {&dry, &job}) {
            CHECK(older.recover(again).empty());
            CHECK(again->plan().empty());
            CHECK(again->trace().empty());
        }
    };
    kill_behind(scratch, grow_allocated, allocates);
    check("undo of", 1);
    kill_behind(scratch, grow_allocated, [](const TracedCall& call) {
        return is_call(call, {SYS_write}); // what it is going to do, before it begins
    });
    check("forget", 1);

    older.find_pool("pool").stop();
    older.find_pool("pool").set_autostart(true);
    kill_behind(
        scratch, [](Scratch&, Context& context) { context.find_pool("pool").undefine(); },
        [unlinked = 0](const TracedCall& call) mutable { // the definition, then the mark
            unlinked += is_call(call, {SYS_unlink, SYS_unlinkat});
            return unlinked == 2;
        });
    check("finish of", 1);
    CHECK(older.pools().empty());

    auto def = scratch.dir_pool("built");
    def.target.path = scratch.target() + "/deep/inside";
    kill_behind(
        scratch, [&](Scratch&, Context& context) { context.create_pool(def, BuildMode::keep); },
        [renamed = 0](const TracedCall& call) mutable { // the directories, then the record
            renamed += is_call(call, {SYS_rename, SYS_renameat, SYS_renameat2});
            return renamed == 2;
        });
    check("undo of", 2);
    CHECK_FALSE(std::filesystem::exists(scratch.target() + "/deep"));
}

TEST_CASE("who only reads, or shall not recover, leaves what was cut short", "[faults][late]")
{
    Scratch scratch;
    {
        Context context(scratch.options());
        scratch.running_pool(context).create_volume(raw_volume("a", mib));
    }
    kill_behind(scratch, grow_allocated, allocates);
    auto options = scratch.options();
    options.read_only = true;
    Context reader(options);
    CHECK(reader.recover().empty());
    options.read_only = false;
    options.recover = false;
    Context patient(options);
    CHECK(occupied(scratch.target()) >= 3 * mib);
    CHECK(patient.recover().size() == 1);
    CHECK(occupied(scratch.target()) == 0);
}

TEST_CASE("nothing is done on the word of another user's journal, or of what is none",
          "[faults][late]")
{
    if (::geteuid() != 0) {
        WARN("skipped: needs root, to give a file away");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    scratch.running_pool(context).create_volume(raw_volume("a", mib));
    kill_behind(scratch, grow_allocated, allocates);
    std::string journal;
    for (const auto& entry :
         std::filesystem::directory_iterator(scratch.directory / "root/var/journal"))
        journal = entry.path();
    REQUIRE(::chown(journal.c_str(), 12345, 12345) == 0);
    Job plan;
    plan.set_dry_run(true);
    context.recover(&plan);
    CHECK(plan.plan().empty());
    REQUIRE(::mkfifo((scratch.directory / "root/var/journal/fifo.journal").c_str(), 0600) == 0);

    const auto results = context.recover();
    REQUIRE(results.size() == 1);
    CHECK(results[0].pending);
    CHECK_THAT(results[0].message, Catch::Contains("belongs to user 12345"));
    CHECK(occupied(scratch.target()) >= 3 * mib);
    check_usable(context.find_pool("pool"));
    auto volume = context.find_pool("pool").find_volume("a"); // nobody waits for that user
    volume.rename("b");
    volume.rename("a");

    REQUIRE(::chown(journal.c_str(), 0, 0) == 0);
    context.recover(&plan);
    CHECK_FALSE(plan.plan().empty());
    CHECK(context.recover().size() == 1);
    CHECK(occupied(scratch.target()) == 0);
}
