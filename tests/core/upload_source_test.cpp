// SPDX-License-Identifier: LGPL-2.1-or-later
// Where the source of an upload that failed stands, so that the call can be made again.
#include "content.hpp"

#include "patience.hpp"
#include "transfer.hpp"

#include <condition_variable>
#include <mutex>
#include <sys/mman.h>
#include <sys/resource.h>

using namespace storage;
using namespace content;

namespace {

/** No file becomes longer while it lives. */
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t most)
    {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        auto limit = before_;
        limit.rlim_cur = most;
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

private:
    ::rlimit before_{};
};

/** Storage that takes nothing until it is told to. */
class HungContent final : public BlockContent {
public:
    std::uint64_t length() const override { return 8 * mib; }
    std::span<const std::byte> read(std::uint64_t, std::size_t) override { return {}; }
    Extent next_data(std::uint64_t start, std::uint64_t end) override { return {start, end}; }
    void write(std::uint64_t, std::span<const std::byte>) override
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return answers_; });
    }
    void zero(std::uint64_t, std::uint64_t) override {}
    void flush() override {}
    void answer()
    {
        const std::lock_guard lock(mutex_);
        answers_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    bool answers_{};
};

} // namespace

TEST_CASE("a source stands where it stood when all had come before the upload failed", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(mib);
    scratch.directory.write("source", "12345" + data);
    scratch.directory.write("image",
                            "12345" + std::string("QFI\xfb\0\0\0\3", 8) + std::string(mib, '\0'));
    const UniqueFd source(open_for_reading(scratch.directory / "source"));
    const UniqueFd image(open_for_reading(scratch.directory / "image"));
    const auto fails = [&](const UniqueFd& fd, ErrorCode code, const TransferOptions& options,
                           Job* job = nullptr) {
        REQUIRE(::lseek(fd.get(), 5, SEEK_SET) == 5);
        CHECK(error_code([&] { pool.upload_volume(raw_volume("v", 0), fd.get(), options, job); }) ==
              code);
        CHECK(::lseek(fd.get(), 0, SEEK_CUR) == 5);
        CHECK_FALSE(pool.partial_upload("v"));
    };
    for (const bool resumable : {false, true}) {
        INFO(resumable);
        fails(image, ErrorCode::invalid_argument, {.resumable = resumable});
        fails(source, ErrorCode::io,
              {.expected_sha256 = std::string(64, '0'), .resumable = resumable});
    }
    Job job;
    job.set_progress_callback([&](const Progress& progress) {
        if (progress.total > 0) // it begins
            scratch.directory.write("pool/v", "another");
    });
    fails(source, ErrorCode::already_exists, {}, &job);
    REQUIRE(::unlink((scratch.directory / "pool/v").c_str()) == 0);
    pool.upload_volume(raw_volume("v", 0), source.get());
    CHECK((scratch.directory.read("pool/v") == data));
}

TEST_CASE("of a piece that was written in part a resumable upload keeps nothing", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(3 * mib);
    // Of another file system, so that the kernel does not copy.
    const UniqueFd source(::memfd_create("source", MFD_CLOEXEC));
    REQUIRE(::pwrite(source.get(), data.data(), data.size(), 0) ==
            static_cast<ssize_t>(data.size()));
    TransferOptions options{.expected_length = data.size(), .resumable = true};
    {
        const FileSizeLimit limit(mib + mib / 2);
        CHECK(error_code([&] { pool.upload_volume(raw_volume("v", 0), source.get(), options); }) !=
              ErrorCode{});
    }
    const auto kept = pool.partial_upload("v");
    REQUIRE(kept);
    CHECK(::lseek(source.get(), 0, SEEK_CUR) == static_cast<off_t>(*kept));
    options.offset = *kept;
    CHECK(error_code([&] { pool.upload_volume(raw_volume("v", 0), source.get(), options); }) ==
          ErrorCode{});
    CHECK((scratch.directory.read("pool/v") == data));
}

TEST_CASE("a resumable upload that is cancelled keeps all that was read of a pipe", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    constexpr std::size_t packet = 3000;
    const auto data = pattern(1000 * packet);
    const Giver pipe(data, O_DIRECT, packet);
    Job job;
    job.set_progress_callback([&](const Progress& progress) {
        if (progress.done > 0)
            job.cancel();
    });
    CHECK(error_code([&] {
              pool.upload_volume(raw_volume("v", 0), pipe.fd(), {.resumable = true}, &job);
          }) == ErrorCode::cancelled);
    const auto kept = pool.partial_upload("v");
    REQUIRE(kept);
    CHECK(*kept % packet == 0);
    CHECK(error_code([&] {
              pool.upload_volume(
                  raw_volume("v", 0), pipe.fd(),
                  {.offset = *kept, .expected_length = data.size(), .resumable = true});
          }) == ErrorCode{});
    CHECK((scratch.directory.read("pool/v") == data));
}

TEST_CASE("an upload that its caller has left moves the caller's file no more", "[content]")
{
    Scratch scratch;
    scratch.directory.write("source", pattern(2 * mib));
    const UniqueFd file(open_for_reading(scratch.directory / "source"));
    for (const bool digest : {false, true}) {
        INFO(digest);
        REQUIRE(::lseek(file.get(), 5, SEEK_SET) == 5);
        const auto content = std::make_shared<HungContent>();
        const auto left = std::make_shared<LeftCalls>();
        using namespace std::chrono_literals;
        CHECK(error_code([&] {
                  call_with_patience(left, nullptr, std::chrono::steady_clock::now() + 50ms, "it",
                                     [content, fd = file.get(), digest](Job* own) {
                                         receive_content(fd, {.digest = digest}, *content, "it",
                                                         own);
                                     });
              }) == ErrorCode::timed_out);
        CHECK(::lseek(file.get(), 0, SEEK_CUR) == 5);
        REQUIRE(::lseek(file.get(), 7, SEEK_SET) == 7);
        content->answer();
        left->await(nullptr, std::nullopt, "it");
        CHECK(::lseek(file.get(), 0, SEEK_CUR) == 7);
    }
}
