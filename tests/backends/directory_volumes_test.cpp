// SPDX-License-Identifier: LGPL-2.1-or-later
#include <catch2/catch.hpp>

#include "directory_volumes.hpp"
#include "scratch.hpp"

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <linux/loop.h>
#include <map>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;

namespace {

std::string be(std::uint64_t value, int bytes)
{
    std::string text;
    while (bytes-- > 0)
        text += static_cast<char>(value >> (8 * bytes) & 0xff);
    return text;
}

void put(std::string& image, std::size_t at, const std::string& bytes)
{
    image.replace(at, bytes.size(), bytes);
}

/** A qcow2 v3 header after docs/interop/qcow2.txt, with nothing but an empty L1 table behind it. */
std::string qcow2(std::uint64_t size, const std::string& backing = {},
                  const std::string& format = {})
{
    std::string image(4 * 65536, '\0');
    put(image, 0, "QFI\xfb" + be(3, 4));
    put(image, 20, be(16, 4) + be(size, 8) + be(0, 4) + be(1, 4) + be(3 * 65536, 8));
    put(image, 48, be(65536, 8) + be(1, 4));
    put(image, 96, be(4, 4) + be(104, 4));
    put(image, 65536, be(2 * 65536, 8));
    std::size_t at = 104;
    if (!format.empty()) {
        const auto padded = (format.size() + 7) / 8 * 8;
        put(image, at, be(0xe2792aca, 4) + be(format.size(), 4) + format);
        at += 8 + padded;
    }
    if (!backing.empty()) {
        put(image, 8, be(at + 8, 8) + be(backing.size(), 4));
        put(image, at + 8, backing);
    }
    return image;
}

/** A pool's directory, with files old enough to be believed. */
struct Pool_ : TemporaryDirectory {
    DirectoryVolumes volumes{path()};

    std::shared_ptr<VolumeTable> refresh(const VolumeTable* previous = nullptr,
                                         Job* job = nullptr) const
    {
        auto table = std::make_shared<VolumeTable>(path() + '/');
        volumes.refresh(previous, *table, job);
        return table;
    }

    void sparse(const std::string& name, off_t size) const
    {
        write(name, "");
        REQUIRE(::truncate((*this / name).c_str(), size) == 0);
    }

    void link(const std::string& target, const std::string& name) const
    {
        REQUIRE(::symlink(target.c_str(), (*this / name).c_str()) == 0);
    }

    void make_node(const std::string& name, mode_t type, dev_t device = 0) const
    {
        REQUIRE(::mknod((*this / name).c_str(), type | 0600, device) == 0);
    }
};

std::map<std::string, DiagnosticReason> reasons(const VolumeTable& table)
{
    std::map<std::string, DiagnosticReason> result;
    for (const auto& diagnostic : table.diagnostics()) {
        CHECK_FALSE(diagnostic.message.empty());
        result.emplace(diagnostic.name, diagnostic.reason);
    }
    CHECK(result.size() == table.diagnostics().size());
    return result;
}

const VolumeFacts& facts_of(const VolumeTable& table, const std::string& name)
{
    const auto index = table.find_index(name);
    REQUIRE(index);
    return table.facts(*index);
}

/** Timestamps of files just made prove nothing: waits until they do. */
void let_times_settle()
{
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
}

bool has_fine_times(const Pool_& pool)
{
    const auto file_system = file_system_of(pool.path(), 0);
    return file_system.fine_times;
}

/** Runs body in a child without privileges; returns what it returns, or 99. */
template <typename Body>
int as_nobody(Body&& body)
{
    const auto child = ::fork();
    if (child == 0) {
        int result = 99;
        if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
            try {
                result = body();
            } catch (...) { // reported as 99
            }
        }
        ::_exit(result);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
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
    const Pool_ pool;
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
    const Pool_ pool;
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
}

TEST_CASE("device nodes: character devices are not volumes", "[directory_volumes]")
{
    if (::geteuid() != 0) {
        WARN("skipped: only root makes device nodes");
        return;
    }
    const Pool_ pool;
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
    const Pool_ pool;
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

TEST_CASE("unreadable files are diagnostics, holes or not", "[directory_volumes]")
{
    if (::geteuid() != 0) {
        WARN("skipped: needs root to become somebody else");
        return;
    }
    const Pool_ pool;
    pool.write("secret", "data");
    pool.sparse("secret-hole", 1 << 20);
    pool.sparse("public", 1 << 20);
    for (const auto* name : {"secret", "secret-hole"})
        REQUIRE(::chmod((pool / name).c_str(), 0600) == 0);
    REQUIRE(::chmod(pool.path().c_str(), 0755) == 0);
    const auto result = as_nobody([&] {
        VolumeTable table(pool.path() + '/');
        pool.volumes.refresh(nullptr, table, nullptr);
        const auto& found = table.diagnostics();
        const bool as_expected = table.size() == 1 && table.name(0) == "public" &&
                                 found.size() == 2 && found[0].name == "secret" &&
                                 found[1].name == "secret-hole" &&
                                 found[0].reason == DiagnosticReason::unreadable &&
                                 found[1].reason == DiagnosticReason::unreadable &&
                                 error_code([&] { pool.volumes.read("secret", nullptr); }) ==
                                     ErrorCode::permission_denied;
        return as_expected ? 0 : 1;
    });
    CHECK(result == 0);
}

TEST_CASE("symbolic links are volumes of what they point to", "[directory_volumes]")
{
    const Pool_ pool;
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
    const Pool_ pool;
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
    const Pool_ pool;
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
    const Pool_ pool;
    pool.write(".basin-0123456789abcdef", "half made");
    std::filesystem::create_directory(pool / "sub");
    pool.write("sub/file", "");
    CHECK(pool.volumes.names(nullptr) == std::vector<std::string>{"sub"});
    for (const std::string name :
         {"", ".", "..", "../x", "sub/file", "/etc/passwd", ".basin-0123456789abcdef", "a\nb",
          "\xff", "sub/", "missing", std::string("sub\0x", 5).c_str()}) {
        CAPTURE(name);
        if (name == "sub")
            continue;
        CHECK(error_code([&] { pool.volumes.read(name, nullptr); }) == ErrorCode::not_found);
        CHECK(error_code([&] { pool.volumes.describe(name); }) == ErrorCode::not_found);
    }
    CHECK(error_code([&] { pool.volumes.read(std::string("sub\0x", 5), nullptr); }) ==
          ErrorCode::not_found);
}

TEST_CASE("damaged images stay volumes and are remarked upon, each time", "[directory_volumes]")
{
    const Pool_ pool;
    pool.write("short.qcow2",
               qcow2(1 << 20).substr(0, 60)); // libvirt 9.0 loses the whole pool to this
    pool.write("huge.qcow2", qcow2(UINT64_MAX));
    pool.write("good.qcow2", qcow2(1 << 20));
    auto table = pool.refresh();
    for (int round = 0; round < 2; ++round) {
        CHECK(table->size() == 3);
        CHECK(reasons(*table) == std::map<std::string, DiagnosticReason>{
                                     {"short.qcow2", DiagnosticReason::damaged_image},
                                     {"huge.qcow2", DiagnosticReason::damaged_image}});
        CHECK(facts_of(*table, "short.qcow2").format == ImageFormat::qcow2);
        CHECK(facts_of(*table, "short.qcow2").damaged);
        CHECK(facts_of(*table, "huge.qcow2").capacity == 4 * 65536);
        let_times_settle();
        table = pool.refresh(table.get());
    }
    CHECK_FALSE(pool.volumes.inspect("short.qcow2").findings.empty());
}

TEST_CASE("a second refresh opens nothing that did not change", "[directory_volumes]")
{
    const Pool_ pool;
    if (!has_fine_times(pool)) {
        WARN("skipped: the file system of " + pool.path() + " has coarse times");
        return;
    }
    pool.sparse("hole", 1 << 20);
    pool.write("data", std::string(100, 'x'));
    pool.write("base.qcow2", qcow2(1 << 20));
    pool.write("top.qcow2", qcow2(1 << 20, "base.qcow2", "qcow2"));
    std::filesystem::create_directory(pool / "sub");
    let_times_settle();
    const auto first = pool.refresh();
    auto before = pool.volumes.counts();
    CHECK(before.opened == 3);
    CHECK(before.holes == 1);

    const auto second = pool.refresh(first.get());
    auto after = pool.volumes.counts();
    CHECK(after.opened == before.opened);
    CHECK(after.reused == before.reused + 5);
    CHECK(second->entries() == first->entries());
    for (const auto index : first->sorted())
        CHECK(second->find(first->name(index)) == first->record(index));
    CHECK(second->find("top.qcow2")->references == std::vector<std::string>{pool / "base.qcow2"});

    // One byte of the size field, in place: same length, same inode.
    const auto fd = open_file(pool / "base.qcow2", O_WRONLY);
    const auto size = be(3 << 20, 8);
    REQUIRE(::pwrite(fd.get(), size.data(), size.size(), 24) == 8);
    before = pool.volumes.counts();
    const auto third = pool.refresh(second.get());
    CHECK(pool.volumes.counts().opened == before.opened + 1);
    CHECK(facts_of(*third, "base.qcow2").capacity == 3 << 20);
}

TEST_CASE("a file replaced, renamed or chmodded is read again", "[directory_volumes]")
{
    const Pool_ pool;
    pool.write("a", qcow2(1 << 20));
    pool.write("b", qcow2(2 << 20));
    let_times_settle();
    const auto first = pool.refresh();
    std::filesystem::rename(pool / "b", pool / "a");
    const auto second = pool.refresh(first.get());
    CHECK(second->size() == 1);
    CHECK(facts_of(*second, "a").capacity == 2 << 20);
}

TEST_CASE("a file that changed just now is read again although its times are equal",
          "[directory_volumes]")
{
    const Pool_ pool;
    // Whatever the clock's tick: each change within one is seen.
    for (std::uint64_t megabytes = 1; megabytes < 200; ++megabytes) {
        pool.write("disk", qcow2(1 << 20));
        const auto first = pool.refresh();
        const auto fd = open_file(pool / "disk", O_WRONLY);
        const auto size = be(megabytes << 20, 8);
        REQUIRE(::pwrite(fd.get(), size.data(), size.size(), 24) == 8);
        const auto second = pool.refresh(first.get());
        REQUIRE(facts_of(*second, "disk").capacity == megabytes << 20);
    }
}

TEST_CASE("allocation is never taken from the last time", "[directory_volumes]")
{
    const Pool_ pool;
    pool.sparse("disk", 1 << 20);
    let_times_settle();
    const auto first = pool.refresh();
    auto stale = *first->find("disk");
    stale.facts.allocation = 12345;
    stale.facts.fresh = false;
    CHECK(pool.volumes.read("disk", &stale).facts.allocation == 0);
}

TEST_CASE("one volume is read without a look at the others", "[directory_volumes]")
{
    const Pool_ pool;
    pool.write("a.qcow2", qcow2(1 << 20, "/base", "raw"));
    pool.write("b.qcow2", qcow2(1 << 20));
    let_times_settle();
    const auto record = pool.volumes.read("a.qcow2", nullptr);
    CHECK(record == *pool.refresh()->find("a.qcow2"));
    CHECK(record.references == std::vector<std::string>{"/base"});
    if (has_fine_times(pool)) {
        const auto before = pool.volumes.counts();
        CHECK(pool.volumes.read("a.qcow2", &record) == record);
        CHECK(pool.volumes.counts().opened == before.opened);
    }
    std::filesystem::remove(pool / "a.qcow2");
    CHECK(error_code([&] { pool.volumes.read("a.qcow2", &record); }) == ErrorCode::not_found);
}

TEST_CASE("a description has what libvirt's XML shows", "[directory_volumes]")
{
    const Pool_ pool;
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
    const Pool_ pool;
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
    const Pool_ pool;
    const std::map<std::string, std::string> expected{
        {"base", pool / "base"},
        {"sub/../base", pool / "sub/../base"},
        {"/abs/base", "/abs/base"},
        {"nbd://localhost/x", "nbd://localhost/x"},
        {"rbd:pool/image", "rbd:pool/image"},
        {"dir/with:colon", pool / "dir/with:colon"},
        {R"(json:{"driver":"raw","file":{"driver":"file","filename":"/b"}})", "/b"},
        {R"(json:{"file.driver":"file","file.filename":"b"})", pool / "b"},
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
        CHECK(pool.volumes.read("disk", nullptr).references == std::vector<std::string>{resolved});
    }
}

TEST_CASE("a directory with ploop's two files is a ploop volume", "[directory_volumes]")
{
    const Pool_ pool;
    std::string image(1 << 20, '\0');
    put(image, 0, "WithouFreSpacExt");
    image[16] = 2; // version
    image[28] = 8; // sectors a block: 2048, little-endian
    put(image, 28, std::string("\x00\x08\x00\x00", 4));
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
    const Pool_ pool;
    pool.write("a", "x");
    REQUIRE(::link((pool / "a").c_str(), (pool / "b").c_str()) == 0);
    CHECK(pool.refresh()->size() == 2);
    const auto identity = pool.volumes.identity("a");
    CHECK(identity.starts_with("file:"));
    CHECK(identity == pool.volumes.identity("b"));
    pool.write("c", "x");
    CHECK(identity != pool.volumes.identity("c"));
}

TEST_CASE("a directory that changes while it is read gives a sane table", "[directory_volumes]")
{
    const Pool_ pool;
    constexpr int count = 1500;
    const auto name = [](int i) { return "v" + std::to_string(i); };
    for (int i = 0; i < count; ++i)
        pool.write(name(i), qcow2(1 << 20).substr(0, 1 << 10));
    for (int i = 0; i < 20; ++i)
        pool.write("stays" + std::to_string(i), "x");
    std::atomic<bool> stop{};
    std::jthread disturber([&] {
        for (int i = 0; !stop; i = (i + 7) % count) {
            const auto path = pool / name(i);
            ::unlink(path.c_str());
            switch (i % 4) {
            case 0: pool.write(name(i), "x"); break;
            case 1: ::mkfifo(path.c_str(), 0600); break;
            case 2: (void)!::symlink("stays0", path.c_str()); break;
            default: break;
            }
        }
    });
    std::shared_ptr<VolumeTable> table;
    for (int round = 0; round < 30; ++round) {
        table = pool.refresh(table.get());
        for (int i = 0; i < 20; ++i)
            REQUIRE(table->find_index("stays" + std::to_string(i)));
        REQUIRE(table->size() <= count + 20);
    }
    stop = true;
}

TEST_CASE("many files are read alike with and without a second thread", "[directory_volumes]")
{
    const Pool_ pool;
    for (int i = 0; i < 3000; ++i) {
        const auto name = "v" + std::to_string(i);
        if (i % 3 == 0)
            pool.sparse(name, 4096 * (i + 1));
        else
            pool.write(name, i % 3 == 1
                                 ? qcow2(4096ULL * (static_cast<unsigned>(i) + 1)).substr(0, 300)
                                 : "raw");
    }
    for (int i = 0; i < 100; ++i)
        pool.link("missing", "dangling" + std::to_string(i));
    const auto table = pool.refresh();
    CHECK(table->size() == 3000);
    for (int i = 0; i < 3000; i += 37) {
        const auto name = "v" + std::to_string(i);
        CHECK(pool.volumes.read(name, nullptr).facts.format == facts_of(*table, name).format);
    }
    CHECK(std::is_sorted(table->diagnostics().begin(), table->diagnostics().end(),
                         [](const auto& a, const auto& b) { return a.name < b.name; }));
    const auto again = pool.refresh(table.get());
    CHECK(again->entries() == table->entries());
    CHECK(again->diagnostics() == table->diagnostics());
}

TEST_CASE("no thread outlives a refresh and the caller's signal mask is as it was",
          "[directory_volumes]")
{
    const Pool_ pool;
    for (int i = 0; i < 1200; ++i)
        pool.write("v" + std::to_string(i), "x");
    sigset_t before, after;
    ::sigemptyset(&before);
    ::sigaddset(&before, SIGUSR1);
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
    const auto threads = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
    };
    const auto had = threads();
    pool.refresh();
    CHECK(threads() <= had);
    REQUIRE(::pthread_sigmask(SIG_SETMASK, nullptr, &after) == 0);
    CHECK(::sigismember(&after, SIGUSR1) == 1);
    CHECK(::sigismember(&after, SIGUSR2) == 0);
    ::sigemptyset(&before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a cancelled or late job ends a refresh", "[directory_volumes]")
{
    const Pool_ pool;
    for (int i = 0; i < 600; ++i)
        pool.write("v" + std::to_string(i), "x");
    Job job;
    job.cancel();
    CHECK(error_code([&] { pool.refresh(nullptr, &job); }) == ErrorCode::cancelled);
    Job late;
    late.set_timeout(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    CHECK(error_code([&] { pool.refresh(nullptr, &late); }) == ErrorCode::timed_out);
    Job calm;
    CHECK(pool.refresh(nullptr, &calm)->size() == 600);
    CHECK(calm.progress().done >= 600);
}

TEST_CASE("running out of descriptors fails the refresh instead of emptying the list",
          "[directory_volumes]")
{
    const Pool_ pool;
    pool.write("v", "x");
    const auto result = as_nobody([&] {
        std::vector<UniqueFd> all;
        for (;;) {
            UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
            if (!fd)
                break;
            all.push_back(std::move(fd));
        }
        all.pop_back(); // one for the directory, none for the file
        return error_code([&] { pool.volumes.read("v", nullptr); }) != ErrorCode{} ? 1 : 0;
    });
    CHECK(result != 99);
}

TEST_CASE("presence tells whether and which directory is there", "[directory_volumes]")
{
    const Pool_ pool;
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
    const Pool_ pool;
    const auto sizes = pool.volumes.sizes();
    CHECK(sizes.capacity > 0);
    CHECK(sizes.allocation <= sizes.capacity);
    CHECK(sizes.available <= sizes.capacity - sizes.allocation);
}
