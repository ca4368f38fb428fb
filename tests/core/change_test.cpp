// SPDX-License-Identifier: LGPL-2.1-or-later
// Volumes resized, renamed, wiped and deleted; their snapshots; who uses them.
#include "content.hpp"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

using namespace storage;
using namespace content;

TEST_CASE("an image whose data lie in other files is not wiped", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    REQUIRE(std::system(("qemu-img create -q -f vmdk -o subformat=monolithicFlat '" +
                         scratch.directory / "pool/flat.vmdk" + "' 1M")
                            .c_str()) == 0);
    REQUIRE(std::system(("qemu-img create -q -f qcow2 -o data_file='" +
                         scratch.directory / "pool/data" + "' '" +
                         scratch.directory / "pool/image" + "' 1M")
                            .c_str()) == 0);
    pool.refresh();
    for (const std::string name : {"flat.vmdk", "image"}) {
        const auto before = scratch.directory.read("pool/" + name);
        CHECK(error_code([&] { pool.find_volume(name).wipe(); }) == ErrorCode::not_supported);
        CHECK((scratch.directory.read("pool/" + name) == before));
    }
}

TEST_CASE("volumes grow and shrink as asked, and not below what they have unasked", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const std::string format : {"raw", "qcow2"}) {
        INFO(format);
        auto volume = pool.create_volume(volume_def(format, format));
        volume.resize(8 * mib);
        CHECK(volume.info().capacity == 8 * mib);
        volume.resize(2 * mib, ResizeFlags::delta);
        CHECK(volume.info().capacity == 10 * mib);
        CHECK(error_code([&] { volume.resize(mib); }) == ErrorCode::invalid_argument);
        CHECK(volume.info().capacity == 10 * mib);
        volume.resize(3 * mib, ResizeFlags::delta | ResizeFlags::shrink);
        CHECK(volume.info().capacity == 7 * mib);
        volume.resize(mib, ResizeFlags::shrink);
        CHECK(volume.info().capacity == mib);
        if (format == "raw") { // qemu-img makes no qcow2 image so small
            volume.resize(100 * mib, ResizeFlags::delta | ResizeFlags::shrink);
            CHECK(volume.info().capacity == 0);
        } else {
            CHECK(error_code([&] { volume.resize(0, ResizeFlags::shrink); }) ==
                  ErrorCode::invalid_argument);
            CHECK(volume.info().capacity == mib);
        }
        volume.resize(3 * mib, ResizeFlags::allocate);
        CHECK(volume.info().capacity == 3 * mib);
        CHECK(volume.info().allocation >= 2 * mib); // what is added
        CHECK(error_code([&] { volume.resize(UINT64_MAX, ResizeFlags::delta); }) ==
              ErrorCode::invalid_argument);
    }
    for (const std::string format : {"ploop", "vdi", "vpc", "vhdx", "vmdk", "qcow"}) {
        INFO(format);
        auto volume = pool.create_volume(volume_def(format, format));
        CHECK(error_code([&] { volume.resize(8 * mib); }) == ErrorCode::not_supported);
    }
    auto qed = pool.create_volume(volume_def("qed", "qed"));
    CHECK(error_code([&] { qed.resize(8 * mib, ResizeFlags::allocate); }) ==
          ErrorCode::not_supported);
    qed.resize(8 * mib);
    CHECK(qed.info().capacity == 8 * mib);
    // Fully allocated raw volumes shrink, too.
    auto full = raw_volume("full", 4 * mib, 4 * mib);
    auto volume = pool.create_volume(full);
    volume.resize(mib, ResizeFlags::shrink);
    CHECK(volume.info().allocation <= mib + 65536);
}

TEST_CASE("a volume is renamed in place and never over another", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    pool.create_volume(raw_volume("taken"));
    const auto identity = volume.identity();
    volume.rename("b");
    CHECK(volume.name() == "b");
    CHECK(volume.identity() == identity);
    CHECK(pool.volume_count() == 2);
    CHECK(error_code([&] { volume.rename("taken"); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { volume.rename("x/y"); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { volume.rename(".basin-x"); }) == ErrorCode::invalid_argument);
    CHECK(volume.name() == "b");
    CHECK(error_code([&] { pool.find_volume("a"); }) == ErrorCode::not_found);
}

TEST_CASE("what is open is neither deleted nor changed unasked", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    const int fd = open_for_reading(volume.path());
    const auto blockers = volume.blockers();
    REQUIRE(blockers.size() == 1);
    CHECK(blockers[0].kind == BlockerKind::open);
    CHECK(blockers[0].pid == ::getpid());
    CHECK(pool.blockers().size() == 1);
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.resize(2 * mib); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.wipe(); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.rename("b"); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.wipe({}, BlockerKind::backing_image); }) == ErrorCode::busy);
    volume.resize(2 * mib, {}, BlockerKind::open);
    CHECK(volume.info().capacity == 2 * mib);
    ::close(fd);
    CHECK(volume.blockers().empty());
    volume.delete_storage();
}

TEST_CASE("what other programs based on a volume since the last look keeps it", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    auto base = pool.create_volume(raw_volume("base", mib));
    REQUIRE(pool.volume_count() + other.volume_count() == 1);
    const auto path = scratch.directory / "other/overlay";
    REQUIRE(std::system(("qemu-img create -q -f qcow2 -F raw -b " +
                         (scratch.directory / "pool/base") + ' ' + path)
                            .c_str()) == 0);
    CHECK(base.dependents().size() == 1);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
    const Giver pipe("x");
    CHECK(error_code([&] { base.upload(pipe.fd()); }) == ErrorCode::busy);
    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK(base.upload(pipe.fd()) == 1);
    base.delete_storage();
}

TEST_CASE("what other programs write into a file that is known already counts, too", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto base = pool.create_volume(raw_volume("base", mib));
    const auto path = scratch.directory / "pool/overlay";
    scratch.directory.write("pool/overlay", "");
    CHECK(base.dependents().empty());
    REQUIRE(pool.volume_count() == 2);
    const auto make_overlay =
        "qemu-img create -q -f qcow2 -F raw -b " + (scratch.directory / "pool/base") + ' ' + path;
    REQUIRE(std::system(make_overlay.c_str()) == 0);
    CHECK(base.dependents().size() == 1);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);

    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK(base.dependents().empty());
    for (int i = 0; i < 20000; ++i) { // more than the kernel keeps for one reader
        const auto name = path + std::to_string(i % 2000);
        scratch.directory.write("pool/overlay" + std::to_string(i % 2000), "");
        REQUIRE(::unlink(name.c_str()) == 0);
    }
    REQUIRE(std::system(make_overlay.c_str()) == 0);
    CHECK(base.dependents().size() == 1);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
}

TEST_CASE("a damaged image is deleted like any other", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("pool/damaged",
                            std::string("QFI\xfb\0\0\0\3", 8) + std::string(65528, '\xff'));
    auto volume = pool.find_volume("damaged");
    CHECK(volume.blockers().empty());
    volume.delete_storage();
    CHECK(scratch.directory.count("pool") == 0);
}

TEST_CASE("wiping leaves nothing of the content, and holes where they were", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const std::string marker = "SENSITIVE-CONTENT";
    for (int algorithm = 0; algorithm <= static_cast<int>(WipeAlgorithm::trim); ++algorithm) {
        INFO(algorithm);
        const auto name = "v" + std::to_string(algorithm);
        auto volume = pool.create_volume(raw_volume(name, 4 * mib));
        {
            const int fd = ::open(volume.path().c_str(), O_WRONLY | O_CLOEXEC);
            for (off_t at = 0; at < off_t{128} << 10; at += static_cast<off_t>(marker.size()))
                REQUIRE(::pwrite(fd, marker.data(), marker.size(), at) > 0);
            ::close(fd);
        }
        Job job;
        volume.wipe(static_cast<WipeAlgorithm>(algorithm), {}, &job);
        CHECK(job.progress().done == job.progress().total);
        const auto content = scratch.directory.read("pool/" + name);
        CHECK(content.size() == 4 * mib);
        CHECK(content.find(marker) == std::string::npos);
        CHECK(content.find_first_not_of('\0', 1 << 20) == std::string::npos);
        CHECK(volume.info().allocation < mib);
        switch (static_cast<WipeAlgorithm>(algorithm)) {
        case WipeAlgorithm::zero:
        case WipeAlgorithm::nnsa:
        case WipeAlgorithm::trim:
            CHECK(content.find_first_not_of('\0') == std::string::npos);
            break;
        case WipeAlgorithm::dod: CHECK(static_cast<unsigned char>(content[0]) == 0xff); break;
        case WipeAlgorithm::bsi: CHECK(static_cast<unsigned char>(content[100]) == 0x7f); break;
        default: CHECK((content.substr(0, 4096) != content.substr(4096, 4096)));
        }
    }
    // The last block is given back as well, where the file ends within it.
    auto odd = pool.create_volume(raw_volume("odd", mib + 777, 0));
    auto even = pool.create_volume(raw_volume("even", mib, 0));
    for (auto* volume : {&odd, &even}) {
        const int fd = ::open(volume->path().c_str(), O_WRONLY | O_CLOEXEC);
        const auto bytes = pattern(volume->info().capacity);
        REQUIRE(::pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
        ::close(fd);
        volume->wipe(WipeAlgorithm::trim);
    }
    CHECK(odd.info().allocation == even.info().allocation);
    CHECK((scratch.directory.read("pool/odd") == std::string(mib + 777, '\0')));
}

TEST_CASE("wiping overwrites blocks that only read as zeros", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("v", 4 * mib, 0));
    // As a guest's disk is zeroed: the blocks stay, with what they had.
    const int fd = ::open(volume.path().c_str(), O_RDWR | O_CLOEXEC);
    const auto bytes = pattern(mib);
    REQUIRE(::pwrite(fd, bytes.data(), bytes.size(), mib) == off_t{mib});
    REQUIRE(::fsync(fd) == 0);
    const bool zeroed = ::fallocate(fd, FALLOC_FL_ZERO_RANGE, mib, mib) == 0;
    const auto unwritten = [&] {
        constexpr std::size_t most = 16;
        std::vector<std::uint64_t> buffer((sizeof(::fiemap) + most * sizeof(::fiemap_extent)) / 8);
        auto* const map = reinterpret_cast<::fiemap*>(buffer.data());
        map->fm_length = 4 * mib;
        map->fm_flags = FIEMAP_FLAG_SYNC;
        map->fm_extent_count = most;
        bool any = false;
        if (::ioctl(fd, FS_IOC_FIEMAP, map) == 0)
            for (const auto& extent : std::span(&map->fm_extents[0], map->fm_mapped_extents))
                any |= (extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0;
        return any;
    };
    if (zeroed && unwritten()) {
        volume.wipe(WipeAlgorithm::zero, BlockerKind::open); // by this test
        CHECK_FALSE(unwritten());
        CHECK(volume.info().allocation >= mib);
        CHECK(volume.info().allocation < 2 * mib);
    } else {
        WARN("skipped: the file system zeroes no range, or does not say where its blocks are");
    }
    ::close(fd);
}

TEST_CASE("snapshots of qcow2 volumes are made, listed, gone back to and deleted", "[content]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(volume_def("v", "qcow2"));
    const auto io = [&](const std::string& command) {
        return std::system(
            ("qemu-io -f qcow2 -c '" + command + "' " + volume.path() + " >/dev/null").c_str());
    };
    REQUIRE(io("write -P 1 0 1M") == 0);
    const auto made = volume.create_snapshot("first state");
    CHECK(made.name == "first state");
    CHECK(made.size == 4 * mib);
    REQUIRE(io("write -P 2 0 1M") == 0);
    volume.create_snapshot("-second");
    REQUIRE(volume.snapshots().size() == 2);
    CHECK(volume.snapshots()[1].name == "-second");
    CHECK(volume.snapshots()[0].created.seconds > 1'700'000'000);
    CHECK(error_code([&] { volume.create_snapshot("-second"); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { volume.revert_snapshot("third"); }) == ErrorCode::not_found);
    volume.revert_snapshot("first state");
    CHECK(io("read -P 1 0 1M") == 0);
    volume.delete_snapshot("first state");
    CHECK(volume.snapshots().size() == 1);
    // Snapshots would be lost with the volume.
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    volume.delete_storage(BlockerKind::snapshot);

    auto raw = pool.create_volume(raw_volume("raw"));
    CHECK(raw.snapshots().empty());
    CHECK(error_code([&] { raw.create_snapshot("x"); }) == ErrorCode::not_supported);
}

TEST_CASE("a linked clone is made independent, with the same content", "[content]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto golden = pool.create_volume(raw_volume("golden", 4 * mib));
    REQUIRE(std::system(
                ("qemu-io -f raw -c 'write -P 7 0 3M' " + golden.path() + " >/dev/null").c_str()) ==
            0);
    auto linked = pool.create_volume_from(volume_def("linked", "qcow2", 8 * mib), golden,
                                          CreateFlags::linked);
    const auto io = [&](const Volume& volume, const std::string& command) {
        return std::system(
                   ("qemu-io -f qcow2 -c '" + command + "' " + volume.path() + " >/dev/null")
                       .c_str()) == 0;
    };
    const auto has_all = [&](const Volume& volume) {
        return io(volume, "read -P 7 0 1M") && io(volume, "read -P 9 1M 1M") &&
               io(volume, "read -P 7 2M 1M") && io(volume, "read -P 0 3M 5M");
    };
    REQUIRE(io(linked, "write -P 9 1M 1M"));
    REQUIRE(std::system(("chmod 0640 " + linked.path()).c_str()) == 0);
    const auto identity = linked.identity();

    Job dry;
    dry.set_dry_run(true);
    linked.flatten(&dry);
    REQUIRE(dry.plan().size() == 1);
    CHECK(dry.plan()[0].call[1] == "rebase");
    CHECK(linked.definition().backing.size() == 1);
    // A snapshot inside would lose what it has of the other file.
    linked.create_snapshot("kept");
    CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::busy);
    linked.delete_snapshot("kept");
    auto above =
        pool.create_volume_from(volume_def("above", "qcow2", 0), linked, CreateFlags::linked);
    {
        const int fd = open_for_reading(linked.path());
        if (::geteuid() == 0)
            CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::busy);
        ::close(fd);
    }
    Job job;
    std::vector<Progress> seen;
    job.set_progress_callback([&](const Progress& progress) { seen.push_back(progress); });
    linked.flatten(&job);
    REQUIRE_FALSE(seen.empty());
    CHECK(seen.back().phase == "flattening");
    CHECK(linked.definition().backing.empty());
    CHECK(linked.definition().target.permissions.mode == 0640u);
    CHECK(linked.identity() == identity);
    CHECK(has_all(linked));
    CHECK(linked.info().allocation >= 3 * mib);
    CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::invalid_state);
    CHECK(golden.dependents().empty());
    golden.delete_storage();
    CHECK(has_all(above)); // which is on top of it all the time
    above.flatten();
    linked.delete_storage();
    CHECK(has_all(above));

    // What no pool has is not read.
    scratch.directory.write("secret", pattern(mib));
    auto def = volume_def("trap", "qcow2", mib);
    def.backing = {{.path = scratch.directory / "secret", .format = "raw"}};
    auto trap = pool.create_volume(def);
    CHECK(error_code([&] { trap.flatten(); }) == ErrorCode::not_supported);
    CHECK(trap.definition().backing.size() == 1);
}

TEST_CASE("what refuses a change says what can be done about it", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto raw = pool.create_volume(raw_volume("raw", mib));
    auto directory = pool.create_volume(volume_def("directory", "dir", 0));
    const auto nothing = ReadCallback([](auto, auto&) { return std::size_t{0}; });
    const auto too_much = ReadCallback([](auto buffer, auto&) { return buffer.size() + 1; });
    const auto away = WriteCallback([](auto, auto) {});
    const std::function<void()> calls[] = {
        [&] { raw.resize(UINT64_MAX, ResizeFlags::delta); },
        [&] { raw.rename("raw"); },
        [&] { raw.flatten(); },
        [&] { raw.upload(nothing, {.offset = mib + 1}); },
        [&] { raw.upload(nothing, {.expected_sha256 = "12"}); },
        [&] { raw.upload(too_much); },
        [&] { raw.download(away, {.offset = mib + 1}); },
        [&] { raw.download(away, {.expected_length = 1}); },
        [&] { directory.resize(mib); },
        [&] { directory.wipe(); },
        [&] { directory.upload(nothing); },
        [&] { directory.download(away); },
        [&] { pool.discard_upload("none"); },
    };
    for (const auto& call : calls)
        try {
            call();
            FAIL_CHECK(&call - calls);
        } catch (const Error& error) {
            INFO(error.what());
            CHECK_FALSE(error.remedy().empty());
        }
}
