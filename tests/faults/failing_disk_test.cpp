// SPDX-License-Identifier: LGPL-2.1-or-later
// A disk that stops working under a pool: what basin said was done is on it, and what could not be
// done is an error. In the virtual machine of tests/lab.
#include "aftermath.hpp"
#include "failing_device.hpp"
#include "mounts.hpp"

using namespace storage;

namespace {

struct FileSystem {
    const char* type;
    const char* make;
};

const std::vector<FileSystem> file_systems{
    {"ext2", "mkfs.ext2 -q -F "}, {"ext4", "mkfs.ext4 -q -F "},   {"xfs", "mkfs.xfs -q -f "},
    {"vfat", "mkfs.vfat -F 32 "}, {"btrfs", "mkfs.btrfs -q -f "},
};

} // namespace

TEST_CASE("what was done is on the disk when the power fails", "[.][lab]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    const auto content = noise(3 * mib), patch = noise(70000, 2);
    scratch.directory.write("content", content);
    scratch.directory.write("patch", patch);
    FailingDevice device;

    for (const auto& [type, make] : file_systems) {
        INFO(type);
        if (!have(std::string(make).substr(0, std::string(make).find(' ')).c_str())) {
            WARN("not tried, there is no mkfs: " << type);
            continue;
        }
        device.work();
        lab_run("wipefs -aqf " + device.path() + " && " + make + device.path() + " >/dev/null");
        {
            const Mount mount(device.path(), scratch.target(), type);
            REQUIRE(mount);
            Context context(scratch.options());
            auto pool = scratch.running_pool(context);
            const OpenFile file(scratch.directory / "content"), part(scratch.directory / "patch");
            auto uploaded = pool.upload_volume(raw_volume("uploaded", 0), file.fd());
            pool.create_volume_from(raw_volume("clone", 0), uploaded);
            pool.create_volume(raw_volume("created", 2 * mib, 2 * mib)).resize(5 * mib);
            uploaded.upload(part.fd(), {.offset = 100000});
            device.fail();
        }
        device.work();
        {
            const Mount mount(device.path(), scratch.target(), type);
            REQUIRE(mount);
            auto patched = content;
            patched.replace(100000, patch.size(), patch);
            CHECK((scratch.directory.read("pool/uploaded") == patched));
            CHECK((scratch.directory.read("pool/clone") == content));
            CHECK(std::filesystem::file_size(scratch.target("pool/created")) == 5 * mib);
            Context context(scratch.options());
            auto pool = context.find_pool("pool");
            pool.stop();
            pool.undefine();
        }
    }
}

TEST_CASE("a disk that cannot be written to is an error of the call", "[.][lab]")
{
    Scratch scratch;
    std::filesystem::create_directory(scratch.target());
    scratch.directory.write("content", noise(3 * mib));
    FailingDevice device;

    for (const auto& [type, make] : file_systems) {
        INFO(type);
        if (!have(std::string(make).substr(0, std::string(make).find(' ')).c_str()))
            continue;
        device.work();
        lab_run("wipefs -aqf " + device.path() + " && " + make + device.path() + " >/dev/null");
        const Mount mount(device.path(), scratch.target(), type);
        REQUIRE(mount);
        Context context(scratch.options());
        auto pool = scratch.running_pool(context);
        auto volume = pool.create_volume(raw_volume("volume", 4 * mib, 4 * mib));
        const OpenFile first(scratch.directory / "content"), second(scratch.directory / "content");
        device.fail_writes();
        CHECK(error_code([&] { volume.upload(first.fd()); }) == ErrorCode::io);
        const auto code =
            error_code([&] { pool.upload_volume(raw_volume("new", 0), second.fd()); });
        CHECK((code == ErrorCode::io || code == ErrorCode::permission_denied));
        device.work();
        pool.stop();
        pool.undefine();
    }
}
