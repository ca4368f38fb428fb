// SPDX-License-Identifier: LGPL-2.1-or-later
#include "device_probe.hpp"
#include "system_root.hpp"
#include "temporary_directory.hpp"

#include <basin/error.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace storage;

namespace {

struct Images {
    TemporaryDirectory directory{};

    /** An image of 320 MiB, enough for xfs, that a command was run on. */
    std::string made_by(const std::string& command)
    {
        directory.write("image", "");
        const auto path = directory / "image";
        std::filesystem::resize_file(path, 0);
        std::filesystem::resize_file(path, 320 << 20);
        REQUIRE(std::system(("(" + command + ' ' + path + ") >/dev/null 2>&1").c_str()) == 0);
        return path;
    }
};

ErrorCode refusal(const std::string& path)
{
    try {
        require_empty_device(path);
    } catch (const Error& error) {
        CHECK(std::string(error.what()).find(path) != std::string::npos);
        CHECK_FALSE(error.remedy().empty());
        return error.code();
    }
    return ErrorCode{};
}

} // namespace

TEST_CASE_METHOD(Images, "what is on a device has libblkid's names", "[device_probe]")
{
    CHECK(probe_device(made_by("true")).empty());
    CHECK(refusal(directory / "image") == ErrorCode{});

    const auto ext4 = probe_device(
        made_by("/sbin/mkfs.ext4 -q -L 'my data' -U 0d0c0b0a-0908-4706-8504-030201000000"));
    CHECK(ext4.type == "ext4");
    CHECK(ext4.label == "my data");
    CHECK(ext4.uuid == "0d0c0b0a-0908-4706-8504-030201000000");
    CHECK_FALSE(ext4.is_partition_table);
    CHECK(refusal(directory / "image") == ErrorCode::already_exists);

    CHECK(probe_device(made_by("/sbin/mkfs.xfs -q")).type == "xfs");
    CHECK(probe_device(made_by("/sbin/mkfs.btrfs -q")).type == "btrfs");

    const auto table = probe_device(made_by("echo label: gpt | /sbin/sfdisk -q"));
    CHECK(table.type == "gpt");
    CHECK(table.is_partition_table);
    CHECK(refusal(directory / "image") == ErrorCode::already_exists);
}

TEST_CASE_METHOD(Images, "two owners of one device are not decided between", "[device_probe]")
{
    // An ISO 9660 descriptor begins at 32 KiB, where ext4 leaves room for it in its first group.
    const auto path = made_by("/sbin/mkfs.ext4 -q");
    std::string descriptor = "\1CD001\1";
    descriptor.resize(2048);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(32768);
    file.write(descriptor.data(), 2048);
    file.close();
    const auto content = probe_device(path);
    CHECK_FALSE(content.empty());
    CHECK(refusal(path) == ErrorCode::already_exists);
}

TEST_CASE("a device is found by path or tag", "[device_probe]")
{
    const TemporaryDirectory root;
    const SystemRoot system(root.path());
    std::filesystem::create_directories(root / "dev/disk/by-label");
    root.write("dev/vdz", "");
    std::filesystem::create_symlink("../../vdz", root / "dev/disk/by-label/my\\x20data");

    CHECK(find_device("/dev/anything", system) == "/dev/anything");
    CHECK(find_device("LABEL=my data", system) == root / "dev/vdz");
    CHECK_THROWS_MATCHES(find_device("UUID=no-such-uuid", system), Error,
                         Catch::Predicate<Error>([](const Error& error) {
                             return error.code() == ErrorCode::not_found;
                         }));
    for (const auto* wrong : {"vda", "UUID=", "SIZE=5", ""})
        CHECK_THROWS_MATCHES(find_device(wrong, system), Error,
                             Catch::Predicate<Error>([](const Error& error) {
                                 return error.code() == ErrorCode::invalid_argument;
                             }));
}
