// SPDX-License-Identifier: LGPL-2.1-or-later
// Systems that say no: full, over quota, read-only, forbidden, broken, changing under the call. The
// error has the right code and names the object; nothing is half-made, and the pool is of use.
#include "aftermath.hpp"
#include "child.hpp"
#include "meanwhile.hpp"
#include "mounts.hpp"

#include <atomic>
#include <iostream>
#include <sys/resource.h>
#include <thread>

using namespace storage;

namespace {

constexpr unsigned somebody = 65534;

/** What is the same for each call that makes a volume "new" and finds no room. */
void check_no_room(Scratch& scratch, Pool& pool, const std::function<void()>& call)
{
    const auto free = free_blocks(scratch.target());
    const auto count = scratch.directory.count("pool");
    const auto error = error_of(call);
    INFO(error.what() << error.detail());
    CHECK(error.code() == ErrorCode::no_space);
    CHECK(std::string(error.what()).find(scratch.target()) != std::string::npos);
    CHECK(scratch.directory.count("pool") == count);
    CHECK(free_blocks(scratch.target()) == free);
    CHECK_FALSE(scratch.directory.exists("pool/new"));
    check_usable(pool);
}

void try_all_without_room(Scratch& scratch, Pool& pool, Pool& other)
{
    constexpr auto size = 32 * mib;
    scratch.directory.write("other/large", noise(size));
    other.refresh();
    const auto large = other.find_volume("large");
    const auto file = scratch.directory / "other/large";
    check_no_room(scratch, pool, [&] { pool.create_volume(raw_volume("new", size, size)); });
    for (const std::string format : {"raw", "qcow2"})
        check_no_room(scratch, pool, [&] {
            pool.create_volume(volume_def("new", format, size), CreateFlags::prealloc_full);
        });
    for (const auto flags : {CreateFlags::none, CreateFlags::digest})
        check_no_room(scratch, pool,
                      [&] { pool.create_volume_from(raw_volume("new", 0), large, flags); });
    for (const bool digest : {false, true})
        check_no_room(scratch, pool, [&] {
            const OpenFile source(file);
            pool.upload_volume(raw_volume("new", 0), source.fd(), {.digest = digest});
        });

    // What arrived stays to be gone on with, and goes when it is not wanted.
    const auto free = free_blocks(scratch.target());
    {
        const OpenFile source(file);
        CHECK(error_code([&] {
                  pool.upload_volume(raw_volume("new", 0), source.fd(), {.resumable = true});
              }) == ErrorCode::no_space);
    }
    CHECK(pool.partial_upload("new").value_or(0) > 0);
    CHECK_FALSE(scratch.directory.exists("pool/new"));
    pool.discard_upload("new");
    CHECK(free_blocks(scratch.target()) == free);

    auto volume = pool.create_volume(raw_volume("v", size));
    check_no_room(scratch, pool, [&] { volume.resize(2 * size, ResizeFlags::allocate); });
    CHECK(volume.info().capacity == size);
    const auto error = error_of([&] {
        const OpenFile source(file);
        volume.upload(source.fd());
    });
    CHECK(error.code() == ErrorCode::no_space);
    CHECK(volume.info().capacity == size);
    volume.delete_storage();
    CHECK(free_blocks(scratch.target()) == free);
    if (!have("qemu-img"))
        return;
    const auto converted =
        error_of([&] { pool.create_volume_from(volume_def("new", "qcow2", 0), large); });
    INFO(converted.what() << converted.detail());
    CHECK(
        (converted.code() == ErrorCode::no_space || converted.code() == ErrorCode::command_failed));
    CHECK(scratch.directory.count("pool") ==
          (scratch.directory.exists("pool/lost+found") ? 1u : 0u));
    check_usable(pool);
}

/** Each call that changes the pool or its volume "a"; what is read-only must refuse them all. */
void check_all_refused(Scratch& scratch, Pool& pool, bool in_place_too)
{
    auto volume = pool.find_volume("a");
    const auto content = scratch.directory.read("pool/a");
    const auto refused = [&](const char* what, const std::function<void()>& call) {
        const auto error = error_of(call);
        INFO(what << ": " << error.what());
        CHECK(error.code() == ErrorCode::permission_denied);
        CHECK(std::string(error.what()).find(scratch.target()) != std::string::npos);
    };
    scratch.directory.write("file", "content");
    refused("create", [&] { pool.create_volume(raw_volume("new")); });
    refused("create qcow2", [&] { pool.create_volume(volume_def("new", "qcow2", mib)); });
    refused("create dir", [&] { pool.create_volume(volume_def("new", "dir", 0)); });
    refused("clone", [&] { pool.create_volume_from(raw_volume("new", 0), volume); });
    for (const bool resumable : {false, true})
        refused("upload", [&] {
            const OpenFile file(scratch.directory / "file");
            pool.upload_volume(raw_volume("new", 0), file.fd(), {.resumable = resumable});
        });
    if (have("qemu-img"))
        refused("convert", [&] { pool.create_volume_from(volume_def("new", "qcow2", 0), volume); });
    refused("rename", [&] { volume.rename("b"); });
    refused("delete", [&] { volume.delete_storage(); });
    if (in_place_too) {
        refused("resize", [&] { volume.resize(10 * mib); });
        refused("wipe", [&] { volume.wipe(); });
        refused("upload into", [&] {
            const OpenFile file(scratch.directory / "file");
            volume.upload(file.fd());
        });
    }
    CHECK(volume.name() == "a");
    CHECK(scratch.directory.read("pool/a") == content);
    CHECK(scratch.directory.count("pool") == 1);
    pool.refresh();
    CHECK(pool.volume_count() == 1);
}

} // namespace

TEST_CASE("no room: no_space, and everything as before", "[faults]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    const Mount small("tmpfs", scratch.target(), "tmpfs", 0, "size=8m,mode=755");
    if (!small) {
        WARN("skipped: needs root, to mount a small file system");
        return;
    }
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    try_all_without_room(scratch, pool, other);
}

TEST_CASE("what cannot fit takes no space from others", "[faults]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    const Mount small("tmpfs", scratch.target(), "tmpfs", 0, "size=8m,mode=755");
    if (!small) {
        WARN("skipped: needs root, to mount a small file system");
        return;
    }
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a", mib, mib));
    const auto refused = [&](std::uint64_t needed, const std::function<void(Job*)>& call) {
        const auto free = free_blocks(scratch.target());
        auto least = free;
        Job job;
        job.set_progress_callback(
            [&](const Progress&) { least = std::min(least, free_blocks(scratch.target())); });
        for (const bool dry : {true, false}) {
            job.set_dry_run(dry);
            const auto error = error_of([&] { call(&job); });
            INFO(error.what());
            CHECK(error.code() == ErrorCode::no_space);
            CHECK(error.os_error() == ENOSPC);
            const std::string text = error.what();
            CHECK(text.find(std::to_string(needed) + " bytes") != text.npos);
            CHECK(text.find(" free") != text.npos);
        }
        CHECK(least == free);
        CHECK(free_blocks(scratch.target()) == free);
        CHECK(scratch.directory.count("pool") == 1);
    };
    constexpr std::uint64_t huge = std::uint64_t{7} << 40;
    refused(huge, [&](Job* job) { pool.create_volume(raw_volume("big", huge, huge), {}, job); });
    refused(9 * mib,
            [&](Job* job) { pool.create_volume(raw_volume("big", huge, 9 * mib), {}, job); });
    refused(huge, [&](Job* job) {
        pool.create_volume(raw_volume("big", huge, 0), CreateFlags::prealloc_full, job);
    });
    refused(9 * mib, [&](Job* job) {
        pool.create_volume(volume_def("big", "qcow2", 9 * mib), CreateFlags::prealloc_falloc, job);
    });
    refused(huge, [&](Job* job) {
        volume.resize(huge + mib, ResizeFlags::allocate, BlockerKind::none, job);
    });
    auto image = pool.create_volume(volume_def("image", "qcow2", mib));
    const auto error = error_of([&] { image.resize(huge, ResizeFlags::allocate); });
    CHECK(error.code() == ErrorCode::no_space);
    image.delete_storage();
    // What a copy needs is known when it has its source's data: of this one, none.
    const auto copy =
        error_of([&] { pool.create_volume_from(raw_volume("big", huge, huge), volume); });
    INFO(copy.what());
    CHECK(copy.code() == ErrorCode::no_space);
    CHECK(std::string(copy.what()).find(std::to_string(huge) + " bytes more") != std::string::npos);
    check_usable(pool);
}

TEST_CASE("no room on ext4: no_space, and everything as before", "[faults]")
{
    Scratch scratch;
    const auto image = scratch.directory / "image";
    scratch.directory.write("image", "");
    std::filesystem::resize_file(image, 16 * mib);
    std::filesystem::create_directory(scratch.target());
    const LoopDevice loop(image);
    if (loop.path().empty() || !succeeds("mkfs.ext4 -q -m 0 " + image)) {
        WARN("skipped: needs root, loop devices and mkfs.ext4");
        return;
    }
    const Mount mount(loop.path(), scratch.target(), "ext4");
    if (!mount) {
        WARN("skipped: cannot mount ext4");
        return;
    }
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    try_all_without_room(scratch, pool, other);
}

TEST_CASE("a limit on the size of files is an error of the call, not a signal", "[faults]")
{
    Scratch scratch;
    scratch.directory.write("file", noise(4 * mib));
    const auto said = text_from_child([&]() -> std::string {
        Context context(scratch.options());
        auto pool = scratch.running_pool(context);
        auto volume = pool.create_volume(raw_volume("a", mib));
        const rlimit limit{2 * mib, 2 * mib};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0)
            return "setrlimit";
        std::string text;
        const auto add = [&](const Error& error) {
            text += std::string(to_string(error.code())) + '\n';
        };
        add(error_of([&] { pool.create_volume(raw_volume("new", 4 * mib)); }));
        add(error_of([&] { pool.create_volume(raw_volume("new", 4 * mib, 4 * mib)); }));
        add(error_of([&] {
            const OpenFile file(scratch.directory / "file");
            pool.upload_volume(raw_volume("new", 0), file.fd(), {.digest = true});
        }));
        add(error_of([&] { volume.resize(4 * mib); }));
        text += std::to_string(scratch.directory.count("pool"));
        return text;
    });
    CHECK(said == "no_space\nno_space\nno_space\nno_space\n1");
    CHECK(std::filesystem::file_size(scratch.target() + "/a") == mib);
}

TEST_CASE("over quota: no_space", "[faults]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    scratch.directory.write("image", "");
    std::filesystem::resize_file(scratch.directory / "image", 256 * mib);
    const LoopDevice device(scratch.directory / "image");
    const bool formatted =
        !device.path().empty() && succeeds("mkfs.btrfs -q " + device.path() + " >/dev/null");
    const Mount mount(device.path(), scratch.target(), "btrfs");
    if (!formatted || !mount ||
        !succeeds("btrfs quota enable " + scratch.target() + " && btrfs quota rescan -w " +
                  scratch.target() + " >/dev/null && btrfs qgroup limit 8M " + scratch.target())) {
        WARN("skipped: needs root, a loop device and btrfs");
        return;
    }
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    constexpr auto size = 32 * mib;
    const auto content = noise(size);
    scratch.directory.write("other/large", content);
    other.refresh();
    const auto large = other.find_volume("large");
    auto small = pool.create_volume(raw_volume("small", mib, mib));
    const auto refused = [&](const char* what, const std::function<void()>& call) {
        const auto error = error_of(call);
        INFO(what << ": " << error.what());
        CHECK(error.code() == ErrorCode::no_space);
        CHECK(error.os_error() == EDQUOT);
        CHECK(scratch.directory.count("pool") == 1);
        CHECK(small.info().capacity == mib);
        ::sync(); // what was given back counts from then on
        check_usable(pool);
    };
    refused("allocated", [&] { pool.create_volume(raw_volume("new", size, size)); });
    for (const std::string format : {"raw", "qcow2"})
        refused(format.c_str(), [&] {
            pool.create_volume(volume_def("new", format, size), CreateFlags::prealloc_full);
        });
    refused("clone", [&] { pool.create_volume_from(raw_volume("new", 0), large); });
    refused("upload", [&] {
        const OpenFile source(scratch.directory / "other/large");
        pool.upload_volume(raw_volume("new", 0), source.fd());
    });
    refused("resize", [&] { small.resize(size, ResizeFlags::allocate); });
}

TEST_CASE("a read-only file system refuses every change, and stays as it is", "[faults]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    const Mount mount("tmpfs", scratch.target(), "tmpfs", 0, "size=8m,mode=755");
    if (!mount) {
        WARN("skipped: needs root, to mount a file system");
        return;
    }
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    pool.create_volume(raw_volume("a", mib, mib));
    REQUIRE(::mount("none", scratch.target().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) ==
            0);
    check_all_refused(scratch, pool, true);
}

TEST_CASE("a directory without the right to write refuses new and changed names", "[faults]")
{
    Scratch scratch;
    const auto work = [&] {
        Context context(scratch.options());
        auto pool = scratch.running_pool(context);
        pool.create_volume(raw_volume("a", mib));
        std::filesystem::permissions(scratch.target(), std::filesystem::perms(0555));
        check_all_refused(scratch, pool, false);
        std::filesystem::permissions(scratch.target(), std::filesystem::perms(0755));
        check_usable(pool);
    };
    if (::geteuid() != 0)
        return work();
    // The assertions count in this process: its file system rights alone become another user's.
    std::filesystem::permissions(scratch.directory.path(), std::filesystem::perms(0777));
    REQUIRE(::seteuid(somebody) == 0);
    work();
    REQUIRE(::seteuid(0) == 0);
}

TEST_CASE("a source that cannot be read to its end: io, and no copy", "[faults]")
{
    Scratch scratch;
    const auto image = scratch.directory / "image";
    scratch.directory.write("image", "");
    std::filesystem::resize_file(image, 32 * mib);
    std::filesystem::create_directory(scratch.target("other"));
    const LoopDevice loop(image);
    if (loop.path().empty() || !succeeds("mkfs.ext4 -q -O ^has_journal " + image)) {
        WARN("skipped: needs root, loop devices and mkfs.ext4");
        return;
    }
    {
        const Mount mount(loop.path(), scratch.target("other"), "ext4");
        if (!mount) {
            WARN("skipped: cannot mount ext4");
            return;
        }
        scratch.directory.write("other/source", noise(16 * mib));
    }
    const Mount mount(loop.path(), scratch.target("other"), "ext4", MS_RDONLY);
    REQUIRE(mount);
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    std::filesystem::resize_file(image, 6 * mib); // what lies behind is gone
    REQUIRE(succeeds("echo 3 > /proc/sys/vm/drop_caches"));
    for (const auto flags : {CreateFlags::none, CreateFlags::digest}) {
        const auto error = error_of([&] {
            pool.create_volume_from(raw_volume("new", 0), other.find_volume("source"), flags);
        });
        INFO(error.what());
        CHECK(error.code() == ErrorCode::io);
        CHECK(std::string(error.what()).find("source") != std::string::npos);
        CHECK(std::string(error.what()).find(scratch.target("other")) != std::string::npos);
        CHECK(scratch.directory.count("pool") == 0);
    }
    const auto error = error_of([&] {
        other.find_volume("source").download(
            WriteCallback([](std::span<const std::byte>, std::uint64_t) {}));
    });
    CHECK(error.code() == ErrorCode::io);
    check_usable(pool);
}

TEST_CASE("a source that changes its size while it is copied: invalid_state, and no copy",
          "[faults]")
{
    for (const auto flags : {CreateFlags::none, CreateFlags::digest})
        for (const std::uintmax_t size :
             {std::uintmax_t{0}, std::uintmax_t{mib}, std::uintmax_t{4 * mib}}) {
            INFO("becomes " << size);
            Scratch scratch;
            Context context(scratch.options());
            auto pool = scratch.running_pool(context);
            scratch.directory.write("pool/source", noise(2 * mib));
            pool.refresh();
            Job job;
            job.set_progress_callback([&](const Progress& progress) {
                if (progress.phase == "copying" && progress.done == 0)
                    std::filesystem::resize_file(scratch.target() + "/source", size);
            });
            const auto error = error_of([&] {
                pool.create_volume_from(raw_volume("new", 0), pool.find_volume("source"), flags,
                                        &job);
            });
            INFO(error.what());
            CHECK(error.code() == ErrorCode::invalid_state);
            CHECK(std::string(error.what()).find(scratch.target() + "/source") !=
                  std::string::npos);
            CHECK(scratch.directory.count("pool") == 1);
            check_usable(pool);
        }
}

TEST_CASE("a descriptor that is not open is refused, not waited for", "[faults]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    for (const int fd : {-1, 1000000}) {
        for (const bool resumable : {false, true})
            CHECK(error_code([&] {
                      pool.upload_volume(raw_volume("new", 0), fd, {.resumable = resumable});
                  }) == ErrorCode::invalid_argument);
        CHECK(error_code([&] { volume.upload(fd); }) == ErrorCode::invalid_argument);
        CHECK(error_code([&] { volume.download(fd); }) == ErrorCode::invalid_argument);
    }
    CHECK(scratch.directory.count("pool") == 1);
}

TEST_CASE("a volume that comes and goes under the calls makes them fail, and nothing else",
          "[faults]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto a = scratch.target() + "/a", away = scratch.directory / "away";
    scratch.directory.write("pool/a", noise(mib));
    pool.refresh();
    auto volume = pool.find_volume("a");
    int refused = 0;
    {
        const Meanwhile meanwhile([&] {
            ::rename(a.c_str(), away.c_str());
            std::this_thread::yield();
            ::rename(away.c_str(), a.c_str());
            std::this_thread::yield();
        });
        const auto attempt = [&](const char* what, const std::function<void()>& call) {
            const auto error = error_of(call);
            INFO(what << ": " << error.what());
            const auto code = error.code();
            CHECK((code == ErrorCode{} || code == ErrorCode::not_found || code == ErrorCode::busy));
            if (code == ErrorCode{})
                return;
            ++refused;
            CHECK(std::string(error.what()).find("'a'") + std::string(error.what()).find(a) !=
                  2 * std::string::npos);
        };
        for (int i = 0; i < 100; ++i) {
            attempt("clone", [&] {
                pool.create_volume_from(raw_volume("new", 0), volume).delete_storage();
            });
            attempt("resize", [&] { volume.resize(2 * mib + static_cast<std::uint64_t>(i)); });
            attempt("wipe", [&] { volume.wipe(); });
            attempt("upload", [&] {
                const OpenFile file("/dev/null");
                volume.upload(file.fd());
            });
            attempt("info", [&] { volume.info(); });
        }
    }
    std::cout << "# " << refused << " of 500 calls found it gone\n";
    pool.refresh();
    CHECK(pool.volume_count() == 1);
    CHECK(leftovers(scratch.directory.path()).empty());
    CHECK(scratch.directory.exists("pool/a"));
    check_usable(pool);
}
