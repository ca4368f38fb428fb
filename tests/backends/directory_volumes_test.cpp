// SPDX-License-Identifier: LGPL-2.1-or-later
// Which entries of a directory are volumes, and what is said of them.
#include <catch2/catch.hpp>

#include "pool_directory.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

using namespace storage;

namespace {

bool become_nobody()
{
    constexpr unsigned nobody = 65534;
    return ::setgroups(0, nullptr) == 0 && ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
}

/** A loop device on a file; 0 where the system has none to give. */
class LoopDevice {
public:
    explicit LoopDevice(const std::string& file)
    {
        const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        const int number = control < 0 ? -1 : ::ioctl(control, LOOP_CTL_GET_FREE);
        const int backing = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
        if (number >= 0)
            device_ = ::open(("/dev/loop" + std::to_string(number)).c_str(), O_RDWR | O_CLOEXEC);
        if (device_ >= 0 && ::ioctl(device_, LOOP_SET_FD, backing) == 0)
            path_ = "/dev/loop" + std::to_string(number);
        ::close(backing);
        ::close(control);
    }
    ~LoopDevice()
    {
        if (!path_.empty())
            ::ioctl(device_, LOOP_CLR_FD);
        ::close(device_);
    }
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;
    const std::string& path() const { return path_; }

private:
    int device_{-1};
    std::string path_{};
};

} // namespace

TEST_CASE("files become volumes with the sizes that libvirt shows", "[directory_volumes]")
{
    const PoolDirectory pool;
    pool.sparse("sparse.raw", 1 << 30);
    pool.write("full.raw", std::string(8192, 'x'));
    pool.write("empty", "");
    pool.write("disk.qcow2", qcow2(10 << 20));
    std::filesystem::create_directories(pool / "sub/deeper");

    const auto table = pool.refresh();
    CHECK(table->names() ==
          std::vector<std::string>{"disk.qcow2", "empty", "full.raw", "sparse.raw", "sub"});
    CHECK(table->diagnostics().empty());
    CHECK(table->find("sparse.raw")->path == pool / "sparse.raw");
    CHECK(table->find("sparse.raw")->key == pool / "sparse.raw");

    const auto& sparse = facts_of(*table, "sparse.raw");
    CHECK(sparse.capacity == 1 << 30);
    CHECK(sparse.physical == 1 << 30);
    CHECK(sparse.allocation == 0);
    CHECK(sparse.format == ImageFormat::raw);
    CHECK(facts_of(*table, "full.raw").capacity == 8192);
    CHECK(facts_of(*table, "empty").capacity == 0);

    const auto& image = facts_of(*table, "disk.qcow2");
    CHECK(image.format == ImageFormat::qcow2);
    CHECK(image.type == VolumeType::file);
    CHECK(image.capacity == 10 << 20);
    CHECK(image.physical == 4 * 65536);

    const auto& directory = facts_of(*table, "sub");
    CHECK(directory.type == VolumeType::dir);
    CHECK(directory.format == ImageFormat::dir);
    CHECK(directory.capacity + directory.allocation + directory.physical == 0);
}

TEST_CASE("what is no volume is a typed diagnostic, and the rest is listed", "[directory_volumes]")
{
    const PoolDirectory pool;
    pool.sparse("good", 4096);
    REQUIRE(::mkfifo((pool / "fifo").c_str(), 0600) == 0);
    pool.make_node("socket", S_IFSOCK);
    pool.link("nowhere", "dangling");
    pool.link("good/under-a-file", "dangling-below-a-file");
    pool.link("loop-b", "loop-a");
    pool.link("loop-a", "loop-b");
    pool.link("fifo", "link-to-fifo");
    pool.write("new\nline", "x");
    pool.write("bad-\xff\xc3", "x");
    pool.write("back\\slash\x01", "x");

    const auto table = pool.refresh();
    CHECK(table->names() == std::vector<std::string>{"good"});
    using enum DiagnosticReason;
    CHECK(reasons(*table) == std::map<std::string, DiagnosticReason>{
                                 {"fifo", fifo},
                                 {"socket", socket},
                                 {"dangling", dangling_link},
                                 {"dangling-below-a-file", dangling_link},
                                 {"loop-a", link_loop},
                                 {"loop-b", link_loop},
                                 {"link-to-fifo", fifo},
                                 {"new\\x0aline", unusable_name},
                                 {"bad-\\xff\\xc3", unusable_name},
                                 {"back\\x5cslash\\x01", unusable_name},
                             });
    CHECK(error_code([&] { pool.volumes.read("fifo", nullptr); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.volumes.describe("dangling"); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.volumes.inspect("loop-a"); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.volumes.identity("socket"); }) == ErrorCode::not_found);
    std::string remedy;
    try {
        pool.volumes.read("none", nullptr);
    } catch (const Error& error) {
        remedy = error.remedy();
    }
    CHECK(remedy == "list the volumes to see which exist");
}

TEST_CASE("device nodes: character devices are not volumes", "[directory_volumes]")
{
    if (::geteuid() != 0) {
        WARN("skipped: only root makes device nodes");
        return;
    }
    const PoolDirectory pool;
    pool.make_node("null", S_IFCHR, ::makedev(1, 3));
    pool.link("/dev/null", "link-to-null");
    pool.make_node("nobody-drives-this", S_IFBLK, ::makedev(254, 255));
    const auto table = pool.refresh();
    CHECK(table->empty());
    const auto found = reasons(*table);
    CHECK(found.at("null") == DiagnosticReason::character_device);
    CHECK(found.at("link-to-null") == DiagnosticReason::character_device);
    CHECK((found.at("nobody-drives-this") == DiagnosticReason::inactive ||
           found.at("nobody-drives-this") == DiagnosticReason::unreadable));
}

TEST_CASE("a block device is a volume as large as the device", "[directory_volumes]")
{
    const PoolDirectory pool;
    const TemporaryDirectory elsewhere;
    elsewhere.write("backing", qcow2(10 << 20));
    const LoopDevice loop(elsewhere / "backing");
    if (loop.path().empty()) {
        WARN("skipped: no loop device to be had");
        return;
    }
    pool.link(loop.path(), "disk");
    const auto table = pool.refresh();
    const auto& facts = facts_of(*table, "disk");
    CHECK(facts.type == VolumeType::block);
    CHECK(facts.format == ImageFormat::qcow2);
    CHECK(facts.capacity == 10 << 20);
    CHECK(facts.physical == 4 * 65536);
    CHECK(facts.allocation == 4 * 65536);
    CHECK(pool.volumes.describe("disk").type == VolumeType::block);
    CHECK(pool.volumes.inspect("disk").virtual_size == 10 << 20);

    const auto before = pool.volumes.counts();
    pool.refresh(table.get()); // its node tells nothing about a device's content
    CHECK(pool.volumes.counts().opened == before.opened + 1);
}

TEST_CASE("unreadable files are diagnostics, holes or not, empty or not", "[directory_volumes]")
{
    if (::geteuid() != 0) {
        WARN("skipped: needs root to become somebody else");
        return;
    }
    const PoolDirectory pool;
    pool.write("secret", "data");
    pool.sparse("secret-hole", 1 << 20);
    pool.write("secret-nothing", "");
    pool.sparse("public", 1 << 20);
    for (const auto* name : {"secret", "secret-hole", "secret-nothing"})
        REQUIRE(::chmod((pool / name).c_str(), 0600) == 0);
    REQUIRE(::chmod(pool.path().c_str(), 0755) == 0);
    const auto result = in_child([&] {
        if (!become_nobody())
            return 2;
        VolumeTable table(pool.path() + '/');
        pool.volumes.refresh(nullptr, table, nullptr);
        const auto& found = table.diagnostics();
        const bool as_expected = table.size() == 1 && table.name(0) == "public" &&
                                 found.size() == 3 && found[0].name == "secret" &&
                                 found[1].name == "secret-hole" &&
                                 found[2].name == "secret-nothing" &&
                                 std::all_of(found.begin(), found.end(),
                                             [](const Diagnostic& one) {
                                                 return one.reason == DiagnosticReason::unreadable;
                                             }) &&
                                 error_code([&] { pool.volumes.read("secret", nullptr); }) ==
                                     ErrorCode::permission_denied;
        return as_expected ? 0 : 1;
    });
    CHECK(result == 0);
}

TEST_CASE("symbolic links are volumes of what they point to", "[directory_volumes]")
{
    const PoolDirectory pool;
    const TemporaryDirectory elsewhere;
    elsewhere.write("image", qcow2(7 << 20, "base"));
    std::filesystem::create_directory(elsewhere / "folder");
    pool.link(elsewhere / "image", "link");
    pool.link("link", "link-to-link");
    pool.link(elsewhere / "folder", "folder");
    const auto table = pool.refresh();
    CHECK(table->diagnostics().empty());
    CHECK(facts_of(*table, "link-to-link").capacity == 7 << 20);
    CHECK(facts_of(*table, "folder").type == VolumeType::dir);
    // libvirt: beside the link, not beside its target
    CHECK(table->find("link")->references == std::vector<std::string>{pool / "base"});
}

TEST_CASE("links that the kernel makes are not followed to what they hold", "[directory_volumes]")
{
    const PoolDirectory pool;
    const TemporaryDirectory elsewhere;
    elsewhere.write("secret", "content");
    const auto fd = open_file(elsewhere / "secret", O_RDONLY);
    pool.link("/proc/self/fd/" + std::to_string(fd.get()), "magic");
    const auto table = pool.refresh();
    CHECK(table->empty());
    CHECK(reasons(*table).at("magic") == DiagnosticReason::link_loop);
}

TEST_CASE("all names that text can carry are volumes", "[directory_volumes]")
{
    const PoolDirectory pool;
    std::vector<std::string> names{" ",
                                   "-rf",
                                   ".hidden",
                                   "a&b<c>",
                                   "c:d",
                                   "\xc3\xa4",
                                   "\xe6\x97\xa5\xe6\x9c\xac",
                                   "\xf0\x9f\x92\xbe",
                                   std::string(255, 'n'),
                                   "back\\slash"};
    for (const auto& name : names)
        pool.write(name, "");
    std::sort(names.begin(), names.end());
    const auto table = pool.refresh();
    CHECK(table->names() == names);
    CHECK(table->diagnostics().empty());
    CHECK(pool.volumes.names(nullptr) == names);
    for (const auto& name : names)
        CHECK(pool.volumes.read(name, nullptr).path == pool / name);
}

TEST_CASE("no name leads out of the pool or to basin's own files", "[directory_volumes]")
{
    const PoolDirectory pool;
    pool.write(".basin-0123456789abcdef", "half made");
    std::filesystem::create_directory(pool / "sub");
    pool.write("sub/file", "");
    CHECK(pool.volumes.names(nullptr) == std::vector<std::string>{"sub"});
    for (const std::string name : {"", ".", "..", "../x", "sub/file", "/etc/passwd",
                                   ".basin-0123456789abcdef", "a\nb", "\xff", "sub/", "missing"}) {
        CAPTURE(name);
        CHECK(error_code([&] { pool.volumes.read(name, nullptr); }) == ErrorCode::not_found);
        CHECK(error_code([&] { pool.volumes.describe(name); }) == ErrorCode::not_found);
    }
    CHECK(error_code([&] { pool.volumes.read(std::string("sub\0x", 5), nullptr); }) ==
          ErrorCode::not_found);
}

TEST_CASE("a description has what libvirt's XML shows", "[directory_volumes]")
{
    const PoolDirectory pool;
    pool.write("base.raw", std::string(4096, 'b'));
    pool.write("disk.qcow2", qcow2(5 << 20, "base.raw", "raw"));
    REQUIRE(::chmod((pool / "disk.qcow2").c_str(), 04640) == 0);
    const auto def = pool.volumes.describe("disk.qcow2");
    CHECK(def.name == "disk.qcow2");
    CHECK(def.key == pool / "disk.qcow2");
    CHECK(def.type == VolumeType::file);
    CHECK(def.capacity == 5 << 20);
    CHECK(def.allocation.value() > 0);
    CHECK(def.physical == 4 * 65536);
    CHECK(def.target.path == def.key);
    CHECK(def.target.format == "qcow2");
    CHECK(def.target.permissions.mode == 0640u);
    CHECK(def.target.permissions.owner == ::geteuid());
    CHECK(def.target.compat == "1.1");
    CHECK(def.target.cluster_size == 65536);
    REQUIRE(def.target.timestamps);
    CHECK(def.target.timestamps->modification);
    REQUIRE(def.backing.size() == 1);
    CHECK(def.backing[0].path == pool / "base.raw");
    CHECK(def.backing[0].format == "raw");
    CHECK(def.backing[0].format_declared);
    CHECK(def.backing[0].permissions.mode);
    CHECK(def.backing[0].timestamps);
}

TEST_CASE("an undeclared backing format is raw and says so; nothing is probed",
          "[directory_volumes]")
{
    const PoolDirectory pool;
    pool.write("base.qcow2", qcow2(1 << 20));
    pool.write("disk.qcow2", qcow2(1 << 20, "base.qcow2"));
    const auto before = pool.volumes.counts();
    const auto def = pool.volumes.describe("disk.qcow2");
    CHECK(pool.volumes.counts().opened == before.opened + 1);
    REQUIRE(def.backing.size() == 1);
    CHECK(def.backing[0].format == "raw");
    CHECK_FALSE(def.backing[0].format_declared);
}

TEST_CASE("backing references resolve as libvirt prints them", "[directory_volumes]")
{
    const PoolDirectory pool;
    const std::map<std::string, std::string> expected{
        {"base", pool / "base"},
        {"sub/../base", pool / "sub/../base"},
        {"/abs/base", "/abs/base"},
        {"nbd://localhost/x", "nbd://localhost/x"},
        {"rbd:pool/image", "rbd:pool/image"},
        {"dir/with:colon", pool / "dir/with:colon"},
        {R"(json:{"driver":"raw","file":{"driver":"file","filename":"/b"}})", "/b"},
        {R"(json:{"driver":"file","filename":"/b"})", "/b"},
        {R"(json:{"driver":"nbd","host":"h"})", R"(json:{"driver":"nbd","host":"h"})"},
        {"json:{\"file", "json:{\"file"},
    };
    for (const auto& [reference, resolved] : expected) {
        CAPTURE(reference);
        pool.write("disk", qcow2(1 << 20, reference, "raw"));
        const auto def = pool.volumes.describe("disk");
        REQUIRE(def.backing.size() == 1);
        CHECK(def.backing[0].path == resolved);
        // The XML says what is written there; what is compared with other volumes' paths is plain.
        const auto plain = reference.find("..") == reference.npos ? resolved : pool / "base";
        CHECK(pool.volumes.read("disk", nullptr).references == std::vector<std::string>{plain});
    }
}

TEST_CASE("a relative name that qemu would look for elsewhere counts, and is not followed",
          "[directory_volumes]")
{
    const PoolDirectory pool;
    const std::string reference = R"(json:{"file.driver":"file","file.filename":"b"})";
    pool.write("disk", qcow2(1 << 20, reference, "raw"));
    const auto def = pool.volumes.describe("disk");
    REQUIRE(def.backing.size() == 1);
    CHECK(def.backing[0].path == reference);
    CHECK(pool.volumes.read("disk", nullptr).references ==
          std::vector<std::string>{reference, pool / "b"});
}

TEST_CASE("a directory with ploop's two files is a ploop volume", "[directory_volumes]")
{
    const PoolDirectory pool;
    std::string image(1 << 20, '\0');
    put(image, 0, "WithouFreSpacExt");
    image[16] = 2;                                                      // version
    put(image, 28, std::string("\x00\x08\x00\x00", 4));                 // a block: 2048 sectors
    put(image, 32, std::string("\x40\x00\x00\x00", 4));                 // blocks in the table
    put(image, 36, std::string("\x00\x00\x02\x00\x00\x00\x00\x00", 8)); // 131072 sectors
    put(image, 48, std::string("\x00\x08\x00\x00", 4)); // data begins at sector 2048
    std::filesystem::create_directory(pool / "container");
    std::filesystem::create_directory(pool / "half");
    pool.write("container/root.hds", image);
    pool.write("container/DiskDescriptor.xml", "<x/>");
    pool.write("half/root.hds", image);
    const auto table = pool.refresh();
    const auto& facts = facts_of(*table, "container");
    CHECK(facts.type == VolumeType::ploop);
    CHECK(facts.format == ImageFormat::ploop);
    CHECK(facts.capacity == 64 << 20);
    CHECK(facts.physical == 1 << 20);
    CHECK(facts_of(*table, "half").type == VolumeType::dir);
    CHECK(pool.volumes.describe("container").type == VolumeType::ploop);
    CHECK(pool.volumes.inspect("container").format == ImageFormat::ploop);
    CHECK(pool.volumes.inspect("half").format == ImageFormat::dir);
}

TEST_CASE("hard links are two volumes of one identity; a new file has another",
          "[directory_volumes]")
{
    const PoolDirectory pool;
    pool.write("a", "x");
    REQUIRE(::link((pool / "a").c_str(), (pool / "b").c_str()) == 0);
    CHECK(pool.refresh()->size() == 2);
    const auto identity = pool.volumes.identity("a");
    CHECK(identity.starts_with("file:"));
    CHECK(identity == pool.volumes.identity("b"));
    pool.write("c", "x");
    CHECK(identity != pool.volumes.identity("c"));
}

TEST_CASE("presence tells whether and which directory is there", "[directory_volumes]")
{
    const PoolDirectory pool;
    const auto present = pool.volumes.presence();
    CHECK(present.state == PoolState::running);
    CHECK(present.identity.starts_with("dir:"));

    pool.write("file", "");
    const auto file = DirectoryVolumes(pool / "file").presence();
    CHECK(file.state == PoolState::inactive);
    CHECK(file.reason == "'" + (pool / "file") + "' is not a directory");
    const auto missing = DirectoryVolumes(pool / "missing").presence();
    CHECK(missing.state == PoolState::inactive);
    CHECK(missing.reason == "directory '" + (pool / "missing") + "' does not exist");
    CHECK(missing.identity.empty());
    std::filesystem::create_directory(pool / "other");
    CHECK(DirectoryVolumes(pool / "other").presence().identity != present.identity);

    VolumeTable table(pool / "missing/");
    CHECK(error_code([&] {
              DirectoryVolumes(pool / "missing").refresh(nullptr, table, nullptr);
          }) == ErrorCode::not_found);
}

TEST_CASE("sizes are those of the file system", "[directory_volumes]")
{
    const PoolDirectory pool;
    const auto sizes = pool.volumes.sizes();
    CHECK(sizes.capacity > 0);
    CHECK(sizes.allocation <= sizes.capacity);
    CHECK(sizes.available <= sizes.capacity - sizes.allocation);
}
