// SPDX-License-Identifier: LGPL-2.1-or-later
// No room for the journal: a change is refused before it begins or is done whole, and a recovery
// needs none. With room again all goes on. And half a line that a full disk left in a journal.
#include "killing.hpp"
#include "mounts.hpp"

using namespace storage;

namespace {

/** A root whose state directory is a small file system of its own. */
struct SmallState {
    Scratch scratch{};
    std::string directory{scratch.directory / "root/var"};
    std::unique_ptr<Mount> mount{};

    SmallState()
    {
        std::filesystem::create_directories(directory);
        mount = std::make_unique<Mount>("tmpfs", directory, "tmpfs", 0, "size=128k,mode=700");
        std::filesystem::create_directory(directory + "/journal");
    }
    void fill(std::size_t left)
    {
        const int fd = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        const std::string page(4096, 'x');
        while (::write(fd, page.data(), page.size()) > 0) {
        }
        struct stat info {};
        CHECK((::fstat(fd, &info) == 0 && info.st_size > static_cast<off_t>(left)));
        CHECK(::ftruncate(fd, info.st_size - static_cast<off_t>(left)) == 0);
        ::close(fd);
    }
    void clear() { ::unlink(filler().c_str()); }

private:
    std::string filler() const { return directory + "/filler"; }
};

#define NEEDS_SMALL_STATE(stage)                                                                   \
    if (!*(stage).mount) {                                                                         \
        WARN("skipped: needs root, to mount a small file system");                                 \
        return;                                                                                    \
    }

struct Case {
    const char* name;
    Work prepare;
    Work work;
    std::function<bool(Scratch&, Context&)> done;
};

bool has_volume(Context& context, const char* name)
{
    return error_code([&] { context.find_pool("pool").find_volume(name); }) == ErrorCode{};
}

void make_pool(Scratch& scratch, Context& context)
{
    scratch.running_pool(context);
}

const Case cases[] = {
    {"build", [](Scratch& scratch, Context& context) { context.define_pool(scratch.dir_pool()); },
     [](Scratch&, Context& context) { context.find_pool("pool").build(); },
     [](Scratch& scratch, Context&) { return scratch.directory.exists("pool"); }},
    {"undefine",
     [](Scratch& scratch, Context& context) {
         context.define_pool(scratch.dir_pool()).set_autostart(true);
     },
     [](Scratch&, Context& context) { context.find_pool("pool").undefine(); },
     [](Scratch& scratch, Context&) {
         const bool gone = !scratch.directory.exists("root/etc/pool.xml");
         CHECK(scratch.directory.exists("root/etc/autostart/pool.xml") != gone);
         return gone;
     }},
    {"create a directory", make_pool,
     [](Scratch&, Context& context) {
         context.find_pool("pool").create_volume(volume_def("a", "dir", 0));
     },
     [](Scratch&, Context& context) { return has_volume(context, "a"); }},
    {"upload, resumable", make_pool,
     [](Scratch& scratch, Context& context) {
         scratch.directory.write("content", "content");
         const OpenFile source(scratch.directory / "content");
         context.find_pool("pool").upload_volume(raw_volume("a", 0), source.fd(),
                                                 {.resumable = true});
     },
     [](Scratch&, Context& context) { return has_volume(context, "a"); }},
    {"resize",
     [](Scratch& scratch, Context& context) {
         scratch.running_pool(context).create_volume(raw_volume("a", 4096));
     },
     [](Scratch&, Context& context) {
         context.find_pool("pool").find_volume("a").resize(8192, ResizeFlags::allocate);
     },
     [](Scratch&, Context& context) {
         return context.find_pool("pool").find_volume("a").info().capacity == 8192;
     }},
};

} // namespace

TEST_CASE("no room for the journal: a change is refused, or done whole", "[faults]")
{
    int refused = 0, done = 0;
    for (const auto& one : cases)
        for (std::size_t left = 0; left <= 64 << 10; left += 4096) {
            SmallState stage;
            NEEDS_SMALL_STATE(stage)
            auto& scratch = stage.scratch;
            Context context(scratch.options());
            one.prepare(scratch, context);
            stage.fill(left);
            INFO(one.name << " with " << left << " bytes left");
            const auto code = error_code([&] { one.work(scratch, context); });
            CHECK((code == ErrorCode{} || code == ErrorCode::no_space));
            if (left < 32 << 10) // what the journal keeps for notes, before anything is done
                CHECK(code == ErrorCode::no_space);
            CHECK(one.done(scratch, context) == (code == ErrorCode{}));
            (code == ErrorCode{} ? done : refused)++;
            stage.clear();
            CHECK(context.recover().empty());
            if (code != ErrorCode{}) {
                one.work(scratch, context);
                CHECK(one.done(scratch, context));
            }
            CHECK(scratch.directory.count("root/var/journal") == 0);
        }
    CHECK(done > 0);
    CHECK(refused > 0);
}

TEST_CASE("a recovery needs no room", "[faults]")
{
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    int recovered = 0;
    for (const auto& one : cases) {
        if (std::string_view(one.name) ==
            "upload, resumable") // leaves what it has for the next try
            continue;
        for (int point = 1;; ++point) {
            SmallState stage;
            NEEDS_SMALL_STATE(stage)
            auto& scratch = stage.scratch;
            {
                Context context(scratch.options());
                one.prepare(scratch, context);
            }
            int counted = 0;
            const auto result = trace(
                [&] {
                    Context own(scratch.options());
                    mark();
                    one.work(scratch, own);
                    return 0;
                },
                true,
                [&](const TracedCall& call) {
                    counted += changes_something(call);
                    return Fate{.killed = counted == point};
                });
            if (!result.killed) // it ended before
                break;
            INFO(one.name << ", killed behind call " << point);
            await_orphans();
            stage.fill(0);
            recovered += scratch.directory.count("root/var/journal") > 0;
            Context context(scratch.options());
            for (const auto& told : context.recover()) {
                INFO(told.message);
                CHECK_FALSE(told.pending);
            }
            CHECK(scratch.directory.count("root/var/journal") == 0);
            const bool done = one.done(scratch, context);
            for (const auto& path : leftovers(scratch.directory.path()))
                CHECK(path.find("/root/run/") != path.npos); // goes with the next start
            stage.clear();
            if (!done) {
                one.work(scratch, context);
                CHECK(one.done(scratch, context));
            }
        }
    }
    CHECK(recovered > 0);
}

TEST_CASE("half a line at a journal's end does not spoil what is written behind it", "[faults]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    const Mount file_system("tmpfs", scratch.target(), "tmpfs");
    if (!file_system) {
        WARN("skipped: needs root, to mount");
        return;
    }
    Context context(scratch.options());
    scratch.running_pool(context);
    scratch.directory.write("content", "content");
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const auto result = trace(
        [&] {
            Context own(scratch.options());
            mark();
            own.find_pool("pool").create_volume(volume_def("a", "dir", 0));
            return 0;
        },
        true,
        [](const TracedCall& call) {
            const bool in_pool = static_cast<int>(call.arguments[0]) != AT_FDCWD;
            return Fate{.killed = call.number == SYS_mkdirat && in_pool};
        });
    REQUIRE(result.killed);
    REQUIRE(scratch.directory.count("root/var/journal") == 1);
    for (const auto& entry :
         std::filesystem::directory_iterator(scratch.directory / "root/var/journal"))
        std::ofstream(entry.path(), std::ios::app)
            << R"({"step":0,"ke)"; // as a full disk leaves it

    const auto remount = [&](unsigned long flags) {
        return ::mount("none", scratch.target().c_str(), nullptr, MS_REMOUNT | flags, nullptr) == 0;
    };
    REQUIRE(remount(MS_RDONLY));
    for (int i = 0; i < 3; ++i) {
        const auto results = context.recover();
        REQUIRE(results.size() == 1);
        CHECK(results[0].pending);
    }
    REQUIRE(remount(0));
    const auto results = context.recover();
    REQUIRE(results.size() == 1);
    CHECK_FALSE(results[0].pending);
    CHECK(results[0].message == "undone");
    CHECK(leftovers(scratch.target()).empty());
    CHECK(scratch.directory.count("root/var/journal") == 0);
}
