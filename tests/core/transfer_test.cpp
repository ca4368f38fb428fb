// SPDX-License-Identifier: LGPL-2.1-or-later
// Uploads and downloads.
#include "content.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

using namespace storage;
using namespace content;

namespace {

/** Downloads to where nobody reads, until the buffers between are full; then it is cancelled. */
void require_cancel(int reader, int target)
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("pool/volume", std::string(mib, 'x'));
    const auto volume = pool.find_volume("volume");
    Job job;
    std::atomic<bool> ended{}, had_to_read{};
    std::thread other([&] {
        struct pollfd entry {
            reader, POLLIN, 0
        };
        ::poll(&entry, 1, -1);
        for (int i = 0; i < 10; ++i) // until its buffers are full
            ::usleep(10000);
        job.cancel();
        for (int i = 0; i < 1000 && !ended; ++i)
            ::usleep(10000);
        for (char buffer[4096]; !ended; had_to_read = true)
            if (::poll(&entry, 1, 100) > 0 && ::read(reader, buffer, sizeof buffer) <= 0)
                break;
    });
    CHECK(error_code([&] { volume.download(target, {}, &job); }) == ErrorCode::cancelled);
    ended = true;
    other.join();
    CHECK_FALSE(had_to_read);
    CHECK((::fcntl(target, F_GETFL) & O_NONBLOCK) == 0); // it is the caller's
}

} // namespace

TEST_CASE("uploads and downloads through descriptors and callbacks carry every byte", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(mib + 12345) + std::string(mib, '\0') + pattern(5000, 2);
    scratch.directory.write("file", data);
    const auto size = data.size();
    const auto download = [&](const Volume& volume, const TransferOptions& options) {
        std::string found;
        volume.download(WriteCallback([&](std::span<const std::byte> bytes, std::uint64_t hole) {
                            found.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                            found.append(hole, '\0');
                        }),
                        options);
        return found;
    };
    for (const bool sparse : {false, true}) {
        INFO(sparse);
        auto volume = pool.create_volume(raw_volume("v" + std::to_string(sparse), size));
        const TransferOptions options{.sparse = sparse};
        const auto check = [&] {
            CHECK((download(volume, options) == data));
            CHECK((download(volume, {.offset = 1000, .length = 5000, .sparse = sparse}) ==
                   data.substr(1000, 5000)));
            volume.wipe();
        };
        const int file = open_for_reading(scratch.directory / "file");
        CHECK(volume.upload(file, options) == size);
        CHECK(::lseek(file, 0, SEEK_CUR) == static_cast<off_t>(size));
        check();
        ::close(file);
        {
            const Giver pipe(data);
            CHECK(volume.upload(pipe.fd(), options) == size);
        }
        check();
        std::size_t at = 0;
        CHECK(volume.upload(
                  ReadCallback([&](std::span<std::byte> buffer, std::uint64_t& hole) {
                      if (at == mib + 12345 && sparse) {
                          hole = mib;
                          at += mib;
                          return std::size_t{0};
                      }
                      const auto n = std::min({buffer.size(), size - at, std::size_t{777}});
                      std::memcpy(buffer.data(), data.data() + at,
                                  sparse && at < mib + 12345 ? std::min(n, mib + 12345 - at) : n);
                      const auto given =
                          sparse && at < mib + 12345 ? std::min(n, mib + 12345 - at) : n;
                      at += given;
                      return given;
                  }),
                  options) == size);
        check();
    }
    auto volume = pool.create_volume(raw_volume("target", size));
    const int file = open_for_reading(scratch.directory / "file");
    volume.upload(file);
    ::close(file);
    const auto out = scratch.directory / "out";
    const int target = ::open(out.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(volume.download(target, {.sparse = true}) == size);
    CHECK((scratch.directory.read("out") == data));
    ::close(target);
    // A reader that goes away is an error, not a signal.
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    CHECK(error_code([&] { volume.download(ends[1]); }) == ErrorCode::io);
    ::close(ends[1]);
}

TEST_CASE("a download to a terminal that nobody reads is cancelled", "[content]")
{
    const int reader = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (reader < 0 || ::grantpt(reader) != 0 || ::unlockpt(reader) != 0) {
        WARN("skipped: no terminals here");
        return;
    }
    const int terminal = ::open(::ptsname(reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(terminal >= 0);
    require_cancel(reader, terminal);
    ::close(terminal);
    ::close(reader);
}

TEST_CASE("a download to a pipe that nobody reads is cancelled", "[content]")
{
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    require_cancel(ends[0], ends[1]);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("the digest of a hole ends with the deadline", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    constexpr std::uint64_t size = std::uint64_t{256} << 30; // minutes
    auto volume = pool.create_volume(raw_volume("volume", size));
    Job job;
    const auto ends_soon = [&](const auto& call) {
        using namespace std::chrono_literals;
        job.set_timeout(200ms);
        CHECK(error_code(call) == ErrorCode::timed_out);
        CHECK(job.progress().done > 0);
        CHECK(job.progress().done < size);
    };
    ends_soon([&] {
        volume.download(WriteCallback([](auto, auto) {}), {.sparse = true, .digest = true}, &job);
    });
    ends_soon([&] {
        volume.upload(ReadCallback([](auto, std::uint64_t& hole) {
                          hole = size;
                          return std::size_t{0};
                      }),
                      {.sparse = true, .digest = true}, &job);
    });
    ends_soon(
        [&] { pool.create_volume_from(raw_volume("copy", 0), volume, CreateFlags::digest, &job); });
}

TEST_CASE("a volume that is cut off while it is read has no zeros in place of its data",
          "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const bool sparse : {true, false}) {
        INFO("sparse: " << sparse);
        scratch.directory.write("pool/volume", std::string(4 * mib, 'x'));
        const auto volume = pool.find_volume("volume");
        const WriteCallback cut([&](std::span<const std::byte>, std::uint64_t) {
            REQUIRE(::truncate(volume.path().c_str(), 2 * mib) == 0);
        });
        CHECK(error_code([&] { volume.download(cut, {.sparse = sparse}); }) ==
              ErrorCode::invalid_state);
        // What is a hole by then, behind the new end.
        scratch.directory.write("pool/volume", std::string(mib, 'x') + std::string(mib, '\0'));
        REQUIRE(::truncate(volume.path().c_str(), mib) == 0);
        REQUIRE(::truncate(volume.path().c_str(), 4 * mib) == 0);
        const WriteCallback cut_again([&](std::span<const std::byte>, std::uint64_t) {
            REQUIRE(::truncate(volume.path().c_str(), mib) == 0);
        });
        CHECK(error_code([&] { volume.download(cut_again, {.sparse = sparse}); }) ==
              ErrorCode::invalid_state);
    }
}

TEST_CASE("a descriptor that is open for the other direction is refused", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("v", 100));
    scratch.directory.write("file", "content");
    const auto file = [&](int flags) {
        return UniqueFd(::open((scratch.directory / "file").c_str(), flags | O_CLOEXEC));
    };
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd out(ends[0]), in(ends[1]);
    const auto refused = [](const auto& call) {
        Job job;
        job.set_timeout(std::chrono::seconds(10)); // not for ever, if it is not
        return error_code([&] { call(&job); }) == ErrorCode::invalid_argument;
    };
    const auto read_only = file(O_RDONLY), write_only = file(O_WRONLY), path_only = file(O_PATH);
    for (const auto* fd : {&in, &write_only, &path_only})
        CHECK(refused([&](Job* job) { volume.upload(fd->get(), {}, job); }));
    for (const auto* fd : {&out, &read_only, &path_only})
        CHECK(refused([&](Job* job) { volume.download(fd->get(), {}, job); }));
    CHECK(volume.upload(file(O_RDWR).get()) == 7);
}

TEST_CASE("the four cases of offset and length, and their limits", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("v", 100));
    const auto up = [&](const std::string& text, TransferOptions options) {
        const Giver pipe(text);
        return volume.upload(pipe.fd(), options);
    };
    CHECK(up(std::string(100, 'a'), {}) == 100);
    CHECK(up("bbbb", {.length = 4}) == 4);
    CHECK(up("cc", {.offset = 98}) == 2);
    CHECK(up("dd", {.offset = 50, .length = 2}) == 2);
    auto expected = std::string(100, 'a').replace(0, 4, "bbbb").replace(98, 2, "cc");
    expected.replace(50, 2, "dd");
    CHECK((scratch.directory.read("pool/v") == expected));

    CHECK(error_code([&] { up("xx", {.offset = 99}); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { up("x", {.offset = 101}); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { up("x", {.offset = 90, .length = 11}); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { up("x", {.length = 2}); }) == ErrorCode::io); // ended early
    CHECK(error_code([&] { up("xx", {.expected_length = 3}); }) == ErrorCode::io);
    CHECK(error_code([&] { up("xxxx", {.expected_length = 3}); }) == ErrorCode::io);
    CHECK(error_code([&] { up("x", {.expected_sha256 = "12"}); }) == ErrorCode::invalid_argument);
    CHECK(volume.info().capacity == 100);
    const auto down = [&](TransferOptions options) {
        return error_code([&] {
            volume.download(WriteCallback([](std::span<const std::byte>, std::uint64_t) {}),
                            options);
        });
    };
    CHECK(down({.offset = 100}) == ErrorCode{});
    CHECK(down({.offset = 101}) == ErrorCode::invalid_argument);
    CHECK(down({.offset = 60, .length = 41}) == ErrorCode::invalid_argument);
    CHECK(down({.offset = 60, .length = UINT64_MAX}) == ErrorCode::invalid_argument);
    CHECK(down({.expected_length = 100}) == ErrorCode{});
    CHECK(down({.offset = 60, .length = 30, .expected_length = 30}) == ErrorCode{});
    CHECK(down({.offset = 60, .expected_length = 41}) == ErrorCode::io);
    CHECK(down({.expected_length = 99}) == ErrorCode::io);
    // A hole that goes on behind the length is taken up to there, as a file is.
    for (const bool sparse : {true, false})
        CHECK(volume.upload(ReadCallback([](auto, std::uint64_t& hole) {
                                hole = 1000;
                                return std::size_t{0};
                            }),
                            {.offset = 10, .length = 5, .sparse = sparse}) == 5);
    CHECK((scratch.directory.read("pool/v").substr(9, 7) == std::string("a\0\0\0\0\0a", 7)));
}

TEST_CASE("descriptors that go around the page cache carry every byte", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(mib + 777) + std::string(2 * mib, '\0') + pattern(5001, 2);
    auto volume = pool.create_volume(raw_volume("v", data.size()));
    const auto open_directly = [&](const std::string& name, int flags) {
        return UniqueFd(::open((scratch.directory / name).c_str(),
                               flags | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
    };
    scratch.directory.write("source", data);
    const auto source = open_directly("source", O_RDONLY);
    const auto target = open_directly("target", O_WRONLY);
    if (!source) {
        WARN("skipped: no O_DIRECT here");
        return;
    }
    for (const bool sparse : {true, false})
        for (const bool digest : {true, false}) {
            INFO(sparse << digest);
            const TransferOptions options{.sparse = sparse, .digest = digest};
            volume.wipe();
            REQUIRE(::lseek(source.get(), 0, SEEK_SET) == 0);
            CHECK(volume.upload(source.get(), options) == data.size());
            CHECK(::lseek(source.get(), 0, SEEK_CUR) == static_cast<off_t>(data.size()));
            CHECK((scratch.directory.read("pool/v") == data));
            REQUIRE(::ftruncate(target.get(), 0) == 0);
            REQUIRE(::lseek(target.get(), 3, SEEK_SET) == 3);
            CHECK(volume.download(target.get(), options) == data.size());
            CHECK(::lseek(target.get(), 0, SEEK_CUR) == static_cast<off_t>(data.size() + 3));
            CHECK((scratch.directory.read("target") == std::string(3, '\0') + data));
        }
    REQUIRE(::lseek(source.get(), 5, SEEK_SET) == 5);
    CHECK(volume.upload(source.get(), {.length = 7}) == 7);
    CHECK(::lseek(source.get(), 0, SEEK_CUR) == 12);
    CHECK((scratch.directory.read("pool/v").substr(0, 8) == data.substr(5, 7) + data[7]));
    const auto end = open_directly("target", O_WRONLY | O_APPEND);
    CHECK(volume.download(end.get(), {.length = 9}) == 9);
    CHECK(scratch.directory.read("target").size() == 3 + data.size() + 9);
}

TEST_CASE("what comes in messages is not cut off", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(3 * mib);
    auto volume = pool.create_volume(raw_volume("v", data.size()));
    // Of a pipe with packets what does not fit into the buffer of a read is lost.
    {
        const Giver packets(data, O_DIRECT, 3000);
        CHECK(error_code([&] { volume.upload(packets.fd(), {.length = data.size()}); }) ==
              ErrorCode{});
    }
    CHECK((scratch.directory.read("pool/v") == data));

    for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
        INFO(type);
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
        const UniqueFd here(ends[0]), there(ends[1]);
        REQUIRE(::send(there.get(), "message", 7, 0) == 7);
        CHECK(error_code([&] { volume.upload(here.get(), {.length = 3}); }) ==
              ErrorCode::invalid_argument);
        CHECK(error_code([&] { volume.download(here.get(), {.length = 3}); }) ==
              ErrorCode::invalid_argument);
    }
}

TEST_CASE("an upload from a file that failed can be made again", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(2 * mib + 5);
    scratch.directory.write("source", data);
    const UniqueFd source(open_for_reading(scratch.directory / "source"));
    auto volume = pool.create_volume(raw_volume("v", 2 * mib));
    const auto place = [&] { return ::lseek(source.get(), 0, SEEK_CUR); };
    REQUIRE(::lseek(source.get(), 5, SEEK_SET) == 5);
    for (const bool sparse : {true, false}) {
        Job job;
        job.set_progress_callback([&](const Progress& progress) {
            if (progress.total > 0) // it begins
                job.cancel();
        });
        CHECK(error_code([&] { volume.upload(source.get(), {.sparse = sparse}, &job); }) ==
              ErrorCode::cancelled);
        CHECK(place() == 5);
        CHECK(error_code([&] {
                  volume.upload(source.get(), {.expected_sha256 = std::string(64, '0')});
              }) == ErrorCode::io);
        CHECK(place() == 5);
    }
    const TransferOptions resumable{.expected_length = data.size(), .resumable = true};
    CHECK(error_code([&] { pool.upload_volume(raw_volume("r", 0), source.get(), resumable); }) ==
          ErrorCode::io); // five bytes are missing
    CHECK(place() == static_cast<off_t>(data.size()));
    CHECK(pool.partial_upload("r") == 2 * mib);
    REQUIRE(::lseek(source.get(), 5, SEEK_SET) == 5);
    CHECK(volume.upload(source.get()) == 2 * mib);
    CHECK((scratch.directory.read("pool/v") == data.substr(5)));
}

TEST_CASE("what came before the source failed is kept for a resumable upload", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(50000) + std::string(10000, '\0') + pattern(90000, 3);
    constexpr std::size_t first = 60000;
    for (const bool sparse : {true, false})
        for (const bool reset : {true, false}) {
            INFO(sparse << reset);
            TransferOptions options{
                .sparse = sparse, .expected_length = data.size(), .resumable = true};
            int ends[2];
            REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
            const UniqueFd source(ends[0]);
            UniqueFd sender(ends[1]);
            REQUIRE(::send(sender.get(), data.data(), first, 0) == first);
            REQUIRE(::send(source.get(), "unread", 6, 0) == 6); // so that closing is a reset
            Job job;
            std::thread other([&] {
                for (int i = 0, unread = 1; unread > 0 && i < 30000; ++i, ::usleep(1000))
                    if (::ioctl(source.get(), FIONREAD, &unread) != 0)
                        break;
                if (reset)
                    sender.reset();
                else
                    job.cancel();
            });
            CHECK(error_code([&] {
                      pool.upload_volume(raw_volume("v", 0), source.get(), options, &job);
                  }) == (reset ? ErrorCode::io : ErrorCode::cancelled));
            other.join();
            REQUIRE(pool.partial_upload("v") == first);
            options.offset = first;
            const Giver rest(data.substr(first));
            auto volume = pool.upload_volume(raw_volume("v", 0), rest.fd(), options);
            CHECK((scratch.directory.read("pool/v") == data));
            volume.delete_storage();
        }
    const ReadCallback hole_and_failure([given = false](auto, std::uint64_t& hole) mutable {
        if (std::exchange(given, true))
            throw std::runtime_error("no");
        hole = mib;
        return std::size_t{0};
    });
    CHECK_THROWS_AS(pool.upload_volume(raw_volume("v", 0), hole_and_failure,
                                       {.sparse = true, .resumable = true}),
                    std::runtime_error);
    CHECK(pool.partial_upload("v") == mib);
}

TEST_CASE("an uploaded volume is there when it is whole, and can be resumed", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(3 * mib);
    const auto up = [&](const std::string& name, const std::string& text, TransferOptions options) {
        const Giver pipe(text);
        return error_code([&] { pool.upload_volume(raw_volume(name, 0), pipe.fd(), options); });
    };
    Job job;
    std::string digest;
    {
        const Giver pipe(data);
        pool.upload_volume(raw_volume("whole", 0), pipe.fd(), {.digest = true}, &job);
        digest = first_fact(job, "sha256");
    }
    CHECK((scratch.directory.read("pool/whole") == data));
    CHECK(digest.size() == 64);

    CHECK(up("short", data.substr(0, mib), {.expected_length = data.size()}) == ErrorCode::io);
    CHECK(up("other", pattern(mib, 7), {.expected_sha256 = digest}) == ErrorCode::io);
    CHECK(up("whole", data, {}) == ErrorCode::already_exists);
    CHECK(scratch.directory.count("pool") == 1); // nothing left behind

    const TransferOptions resumable{
        .expected_length = data.size(), .expected_sha256 = digest, .resumable = true};
    CHECK_FALSE(pool.partial_upload("r"));
    CHECK(up("r", data.substr(0, mib), resumable) == ErrorCode::io);
    REQUIRE(pool.partial_upload("r") == mib);
    pool.refresh();
    CHECK(pool.volume_count() == 1);
    auto rest = resumable;
    rest.offset = 5; // wrong
    CHECK(up("r", data.substr(5), rest) == ErrorCode::invalid_argument);
    rest.offset = mib;
    CHECK(up("r", data.substr(mib), rest) == ErrorCode{});
    CHECK((scratch.directory.read("pool/r") == data));
    CHECK_FALSE(pool.partial_upload("r"));

    CHECK(up("d", data.substr(0, 100), resumable) == ErrorCode::io);
    pool.discard_upload("d");
    CHECK_FALSE(pool.partial_upload("d"));
    CHECK(error_code([&] { pool.discard_upload("d"); }) == ErrorCode::not_found);
    CHECK(scratch.directory.count("pool") == 2);

    // More is kept than is to come.
    CHECK(up("m", data.substr(0, 100), resumable) == ErrorCode::io);
    CHECK(up("m", "", {.offset = 100, .expected_length = 50, .resumable = true}) ==
          ErrorCode::invalid_argument);
    CHECK(pool.partial_upload("m") == 100);
    pool.discard_upload("m");

    // One that somebody else began since it was looked at.
    CHECK(up("e", data.substr(0, 100), resumable) == ErrorCode::io);
    const auto seen = pool.upload_identity("e");
    CHECK(pool.upload_identity("e") == seen);
    CHECK(error_code([&] { pool.upload_identity("d"); }) == ErrorCode::not_found);
    auto storage = pool.expecting(pool.identity()), strange = pool.expecting("file:1:2:3:4");
    CHECK(error_code([&] { strange.discard_upload("e"); }) == ErrorCode::not_found);
    pool.discard_upload("e");
    ::usleep(30000); // the clock of births is that of the kernel's ticks
    CHECK(up("e", data.substr(0, 100), resumable) == ErrorCode::io);
    auto meant = pool.expecting(seen);
    CHECK(error_code([&] { meant.discard_upload("e"); }) == ErrorCode::not_found);
    Job dry;
    dry.set_dry_run(true);
    CHECK(error_code([&] { meant.discard_upload("e", &dry); }) == ErrorCode::not_found);
    rest.offset = 100;
    {
        const Giver pipe(data.substr(100));
        CHECK(error_code([&] { meant.upload_volume(raw_volume("e", 0), pipe.fd(), rest); }) ==
              ErrorCode::not_found);
    }
    CHECK(error_code([&] { meant.delete_storage(); }) == ErrorCode::invalid_state);
    REQUIRE(pool.partial_upload("e") == 100);
    storage.discard_upload("e");
    CHECK(up("e", data.substr(0, 100), resumable) == ErrorCode::io);
    meant = pool.expecting(pool.upload_identity("e"));
    meant.discard_upload("e", &dry);
    {
        const Giver pipe(data.substr(100));
        meant.upload_volume(raw_volume("e", 0), pipe.fd(), rest);
    }
    CHECK((scratch.directory.read("pool/e") == data));
    CHECK(error_code([&] { meant.discard_upload("e"); }) == ErrorCode::not_found);
    pool.find_volume("e").delete_storage();

    // A file that others cut off meanwhile.
    scratch.directory.write("source", data + std::string(8 * mib, '\0') + data);
    for (const bool sparse : {false, true}) {
        const UniqueFd source(::open((scratch.directory / "source").c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::truncate((scratch.directory / "source").c_str(), 14 * mib) == 0);
        Job cut;
        cut.set_progress_callback([&](const Progress& progress) {
            if (progress.total > 0)
                CHECK(::truncate((scratch.directory / "source").c_str(), 2 * mib) == 0);
        });
        CHECK(error_code([&] {
                  pool.upload_volume(raw_volume("cut", 0), source.get(), {.sparse = sparse}, &cut);
              }) == ErrorCode::io);
    }
    // An image is not taken for the bytes of a disk: its header could name any file of the host.
    auto header = std::string("QFI\xfb\0\0\0\3", 8) + std::string(65528, '\0');
    CHECK(up("image", header, {}) == ErrorCode::invalid_argument);
    CHECK(scratch.directory.count("pool") == 2);

    // What a callback throws leaves the call, and nothing stays.
    const auto thrower = ReadCallback([](std::span<std::byte>, std::uint64_t&) -> std::size_t {
        throw std::runtime_error("no");
    });
    CHECK_THROWS_AS(pool.upload_volume(raw_volume("t", 0), thrower), std::runtime_error);
    CHECK(scratch.directory.count("pool") == 2);
}
