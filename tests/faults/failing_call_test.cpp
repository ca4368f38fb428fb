// SPDX-License-Identifier: LGPL-2.1-or-later
// Each system call that can fail fails once: with an I/O error, with a full disk. The call as a
// whole then fails with that error, or did without; a volume is whole or absent and nothing is left
// over, in the same process already.
#include "killing.hpp"

#include <cstring>

using namespace storage;

namespace {

bool can_fail(const TracedCall& call)
{
    switch (call.number) {
    case SYS_openat:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_write:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync_file_range:
    case SYS_fallocate:
    case SYS_ftruncate:
    case SYS_linkat:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_renameat2:
    case SYS_fchmod:
    case SYS_copy_file_range:
    case SYS_ioctl:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_statfs:
    case SYS_lseek:
    case SYS_getdents64: return true;
#ifdef SYS_rename
    case SYS_rename:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_mkdir: return true;
#endif
    default: return false;
    }
}

bool flushes(const TracedCall& call)
{
    return call.number == SYS_fsync || call.number == SYS_fdatasync;
}

struct FailOptions {
    bool stays{};        ///< what is begun cannot be taken back: not checked that it was
    std::string keeps{}; ///< as KillOptions
};

/** What the child says: its status is the error's code, or what was wrong with what it left. */
constexpr int not_usable = 101;
constexpr int left_over = 102;
constexpr int no_basin_error = 103;

int work_and_look(Scratch& scratch, const Work& work, const FailOptions& options)
{
    int code = 0;
    Context context(scratch.options());
    context.find_pool("pool").refresh(); // what is read of the pool itself is not meant here
    mark();
    try {
        work(scratch, context);
    } catch (const Error& error) {
        code = -static_cast<int>(error.code());
        scratch.directory.write("said", error.what());
    } catch (const std::exception& error) {
        scratch.directory.write("said", error.what());
        return no_basin_error;
    }
    mark(); // and no further
    try {
        auto pool = context.find_pool("pool");
        for (const auto& path : leftovers(pool.definition().target.path))
            if (options.keeps.empty() || path.find('/' + options.keeps) == path.npos) {
                scratch.directory.write("said", scratch.directory.read("said") + "; left: " + path);
                return left_over;
            }
        auto probe = pool.create_volume(raw_volume("probe", 8192, 8192));
        probe.delete_storage();
        return code;
    } catch (const std::exception& error) {
        scratch.directory.write("said", scratch.directory.read("said") + "; " + error.what());
        return not_usable;
    }
}

void fail_everywhere(const Prepare& prepare, const Work& work, const Done& done,
                     const FailOptions& options = {})
{
    if (!calls_can_fail) {
        WARN("skipped: calls are made to fail on x86_64 only");
        return;
    }
    int points = 0;
    int failed = 0;
    for (const int error : {EIO, ENOSPC})
        for (int point = 1;; ++point) {
            Scratch scratch;
            {
                Context context(scratch.options());
                prepare(scratch, context);
            }
            int counted = 0;
            TracedCall hit;
            const auto decide = [&](const TracedCall& call) -> Fate {
                // Only what writes can find no room.
                if (!can_fail(call) || (error == ENOSPC && !changes_something(call)) ||
                    ++counted != point)
                    return {};
                hit = call;
                return {.error = error, .last = true};
            };
            const auto result =
                trace([&] { return work_and_look(scratch, work, options); }, true, decide);
            if (counted < point)
                break;
            ++points;
            INFO("call " << point << " (number " << hit.number << ") failed with "
                         << std::strerror(error) << "; said: " << scratch.directory.read("said"));
            Context context(scratch.options());
            const bool is_done = done(scratch, context);
            if (result.status == 0) {
                CHECK(is_done);
                CHECK_FALSE(flushes(hit)); // then it may be gone after a power cut
                continue;
            }
            ++failed;
            const auto expected = error == EIO ? ErrorCode::io : ErrorCode::no_space;
            // invalid_state: it cannot be seen that the pool is there.
            CHECK((-result.status == static_cast<int>(expected) ||
                   -result.status == static_cast<int>(ErrorCode::invalid_state)));
            CHECK(scratch.directory.read("said").find('\'') != std::string::npos);
            if (!options.stays)
                CHECK_FALSE(is_done);
            CHECK(context.recover().empty());
            for (const auto& path : leftovers(scratch.directory / "root/var"))
                FAIL_CHECK(path);
        }
    std::cout << "# " << points << " calls made to fail, " << failed << " of them ended the work\n";
    CHECK(failed > 0);
}

Prepare with_source(const std::string& name, const std::string& content)
{
    return [=](Scratch& scratch, Context& context) {
        scratch.directory.write("file", content);
        auto pool = scratch.running_pool(context);
        scratch.directory.write("pool/" + name, content);
        pool.refresh();
        // What digests need is loaded from here on.
        pool.find_volume(name).download(
            WriteCallback([](std::span<const std::byte>, std::uint64_t) {}), {.digest = true});
    };
}

Done is_copy(const std::string& name, const std::string& content)
{
    return [=](Scratch& scratch, Context&) {
        if (!scratch.directory.exists("pool/" + name))
            return false;
        CHECK(scratch.directory.read("pool/" + name) == content);
        return true;
    };
}

const std::string content = noise(100000) + std::string(100000, '\0') + noise(50000, 3);

} // namespace

TEST_CASE("a call that fails while a volume is created leaves none", "[faults]")
{
    for (const std::string format : {"raw", "qcow2", "dir"})
        fail_everywhere([](Scratch& scratch, Context& context) { scratch.running_pool(context); },
                        [&](Scratch&, Context& context) {
                            auto def = volume_def("a", format, format == "dir" ? 0 : mib);
                            def.allocation = format == "raw" ? mib : 0;
                            context.find_pool("pool").create_volume(def);
                        },
                        [&](Scratch& scratch, Context& context) {
                            if (!scratch.directory.exists("pool/a"))
                                return false;
                            auto pool = context.find_pool("pool");
                            pool.refresh();
                            if (format != "dir")
                                CHECK(pool.find_volume("a").info().capacity == mib);
                            return true;
                        });
}

TEST_CASE("a call that fails while a volume is copied leaves no copy", "[faults]")
{
    for (const auto flags : {CreateFlags::none, CreateFlags::digest})
        fail_everywhere(
            with_source("source", content),
            [&](Scratch&, Context& context) {
                auto pool = context.find_pool("pool");
                pool.create_volume_from(raw_volume("copy", 0), pool.find_volume("source"), flags);
            },
            is_copy("copy", content));
}

TEST_CASE("a call that fails while a volume is uploaded leaves none, or what can be resumed",
          "[faults]")
{
    for (const bool resumable : {false, true})
        fail_everywhere(
            with_source("other", content),
            [&](Scratch& scratch, Context& context) {
                const OpenFile file(scratch.directory / "file");
                context.find_pool("pool").upload_volume(
                    raw_volume("a", 0), file.fd(), {.digest = resumable, .resumable = resumable});
            },
            is_copy("a", content), {.keeps = resumable ? ".basin-upload-a" : std::string()});
}

TEST_CASE("a call that fails while a volume is renamed leaves it its old name", "[faults]")
{
    fail_everywhere(
        with_source("old", content),
        [&](Scratch&, Context& context) {
            context.find_pool("pool").find_volume("old").rename("new");
        },
        [&](Scratch& scratch, Context&) {
            const bool is_done = scratch.directory.exists("pool/new");
            CHECK(scratch.directory.exists("pool/old") == !is_done);
            return is_done;
        });
}

TEST_CASE("a call that fails while a volume is resized leaves it its old or its new size",
          "[faults]")
{
    for (const std::string format : {"raw", "qcow2"})
        fail_everywhere(
            [&](Scratch& scratch, Context& context) {
                scratch.running_pool(context).create_volume(volume_def("a", format, mib));
            },
            [&](Scratch&, Context& context) {
                context.find_pool("pool").find_volume("a").resize(
                    3 * mib, format == "raw" ? ResizeFlags::allocate : ResizeFlags::none);
            },
            [&](Scratch&, Context& context) {
                auto pool = context.find_pool("pool");
                pool.refresh();
                const auto info = pool.find_volume("a").info();
                CHECK((info.capacity == mib || info.capacity == 3 * mib));
                if (format == "raw" && info.capacity == mib)
                    CHECK(info.allocation == 0);
                return info.capacity == 3 * mib;
            },
            {.stays = true}); // flushing may fail afterwards
}

TEST_CASE("a call that fails while a volume is deleted, wiped or written to says so", "[faults]")
{
    fail_everywhere(
        with_source("a", content),
        [&](Scratch&, Context& context) {
            context.find_pool("pool").find_volume("a").delete_storage();
        },
        [&](Scratch& scratch, Context&) { return !scratch.directory.exists("pool/a"); });
    const auto has = [](char byte) {
        return [=](Scratch& scratch, Context&) {
            const auto found = scratch.directory.read("pool/a");
            CHECK(found.size() == content.size());
            return byte ? found == content : found.find_first_not_of('\0') == found.npos;
        };
    };
    fail_everywhere(
        with_source("a", content),
        [&](Scratch&, Context& context) { context.find_pool("pool").find_volume("a").wipe(); },
        has('\0'), {.stays = true});
    fail_everywhere(
        [&](Scratch& scratch, Context& context) {
            with_source("a", std::string(content.size(), 'x'))(scratch, context);
            scratch.directory.write("file", content);
        },
        [&](Scratch& scratch, Context& context) {
            const OpenFile file(scratch.directory / "file");
            context.find_pool("pool").find_volume("a").upload(file.fd());
        },
        has('c'), {.stays = true});
}

TEST_CASE("a read that fails while the registry is read is no verdict on a pool", "[fail]")
{
    if (!calls_can_fail) {
        WARN("skipped: calls are made to fail on x86_64 only");
        return;
    }
    int points = 0;
    for (int point = 1;; ++point) {
        Scratch scratch;
        {
            Context context(scratch.options());
            scratch.running_pool(context);
        }
        int counted = 0;
        const auto decide = [&](const TracedCall& call) -> Fate {
            const bool reads = call.number == SYS_openat || call.number == SYS_read ||
                               call.number == SYS_getdents64;
            if (!reads || ++counted != point)
                return {};
            return {.error = EIO, .last = true};
        };
        const auto look_twice = [&] {
            Context context(scratch.options());
            mark();
            try {
                context.pools();
            } catch (const Error&) { // that look may fail
            }
            mark();
            try {
                return context.find_pool("pool").is_active() ? 0 : 1;
            } catch (const Error&) {
                return 2;
            }
        };
        const auto result = trace(look_twice, true, decide);
        if (counted < point)
            break;
        ++points;
        INFO("read " << point);
        CHECK(result.status == 0);
    }
    CHECK(points > 0);
}
