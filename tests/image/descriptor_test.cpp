// SPDX-License-Identifier: LGPL-2.1-or-later
// The manners of inspect_image(): one descriptor, read and left as it was.
#include "samples.hpp"

#include "image/probe.hpp"

#include <basin/error.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fcntl.h>
#include <set>
#include <unistd.h>

using namespace image_test;

namespace {

std::set<std::string> open_files()
{
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone; // the iterator's own descriptor
        const auto target = std::filesystem::read_symlink(entry.path(), gone);
        if (!gone && target.string().find("/fd") == std::string::npos)
            files.insert(entry.path().filename().string() + " " + target.string());
    }
    return files;
}

storage::ErrorCode refused(int fd)
{
    try {
        storage::inspect_image(fd);
    } catch (const storage::Error& error) {
        CHECK_FALSE(std::string(error.what()).empty());
        return error.code();
    }
    FAIL("no error");
    return {};
}

} // namespace

TEST_CASE("the offset does not move and no file is opened", "[descriptor]")
{
    TempDir dir;
    for (const auto& sample : all_samples()) {
        write_file(dir.path("image"), sample.image.data, sample.size);
        const int fd = ::open(dir.path("image").c_str(), O_RDONLY | O_CLOEXEC);
        REQUIRE(::lseek(fd, 77, SEEK_SET) == 77);
        const auto before = open_files();
        CHECK(to_string(storage::inspect_image(fd).format) == to_string(sample.format));
        CHECK(open_files() == before);
        CHECK(::lseek(fd, 0, SEEK_CUR) == 77);
        ::close(fd);
    }
}

TEST_CASE("what is no image file is refused", "[descriptor]")
{
    TempDir dir;
    const int directory = ::open(dir.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(refused(directory) == storage::ErrorCode::invalid_argument);
    ::close(directory);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    CHECK(refused(ends[0]) == storage::ErrorCode::invalid_argument);
    ::close(ends[0]);
    ::close(ends[1]);
    CHECK(refused(-1) == storage::ErrorCode::invalid_argument);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(refused(null) == storage::ErrorCode::invalid_argument);
    ::close(null);
}

TEST_CASE("a descriptor that cannot be read is an io error", "[descriptor]")
{
    TempDir dir;
    write_file(dir.path("image"), "content");
    const int fd = ::open(dir.path("image").c_str(), O_WRONLY | O_CLOEXEC);
    CHECK(refused(fd) == storage::ErrorCode::io);
    ::close(fd);
}

TEST_CASE("a block device has its own size", "[descriptor]")
{
    if (::geteuid() != 0 || !have_tool("losetup")) {
        WARN("skipped: loop devices need root and losetup");
        return;
    }
    TempDir dir;
    const auto path = dir.path("image");
    if (std::system("losetup -f >/dev/null 2>&1") != 0) {
        WARN("skipped: no loop device is free");
        return;
    }
    for (const auto& sample : {qcow2_sample(), luks1_sample(), iso_sample()}) {
        write_file(path, sample.image.data, sample.size);
        auto device = run("losetup -f --show -r " + path);
        device.pop_back();
        const auto info = inspect_file(device);
        run("losetup -d " + device);
        CHECK(to_string(info.format) == to_string(sample.format));
        CHECK(info.virtual_size == sample.virtual_size);
    }
    write_file(path, "", 1 << 20);
    auto device = run("losetup -f --show -r " + path);
    device.pop_back();
    const auto info = inspect_file(device);
    run("losetup -d " + device);
    CHECK(info == ImageInfo{.virtual_size = 1 << 20});
}

TEST_CASE("raw is told from the rest without describing it", "[descriptor]")
{
    const auto raw = [](std::string_view bytes) {
        TempDir dir;
        write_file(dir.path("image"), bytes);
        const int fd = ::open(dir.path("image").c_str(), O_RDONLY | O_CLOEXEC);
        std::array<std::byte, storage::ImageSource::head_length> buffer;
        storage::ImageSource source(fd, bytes.size(), storage::read_head(fd, buffer));
        const bool is = storage::is_raw(source);
        ::close(fd);
        return is;
    };
    for (const auto& sample : all_samples()) {
        INFO(sample.name);
        auto image = sample.image;
        if (sample.size < 64 << 20)
            image.resize(sample.size);
        CHECK_FALSE(raw(image.data));
    }
    CHECK(raw(""));
    CHECK(raw(std::string(100000, 'x')));
}

TEST_CASE("images of other tools", "[descriptor]")
{
    TempDir dir;
    write_file(dir.path("content"), std::string(100000, 'c'));
    for (const std::string tool : {"genisoimage", "xorrisofs"}) {
        if (!have_tool(tool))
            continue;
        run(tool + " -quiet -o " + dir.path("iso") + " " + dir.path("content"));
        const auto info = inspect_file(dir.path("iso"));
        INFO(tool << ": " << findings(info));
        CHECK(info.format == ImageFormat::iso);
        CHECK(info.virtual_size == std::filesystem::file_size(dir.path("iso")));
        CHECK(info.findings.empty());
    }
}
