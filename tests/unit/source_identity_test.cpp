// SPDX-License-Identifier: LGPL-2.1-or-later
// Two spellings of one source give one identity, two sources two.
#include "backend.hpp"
#include "system_root.hpp"
#include "temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>

using namespace storage;

namespace {

bool conflict(const PoolDef& a, const PoolDef& b, const SystemRoot& system = {})
{
    REQUIRE(a.type.size() > 0);
    const auto first = backend_type(a.type).source_identities(a, system);
    const auto second = backend_type(b.type).source_identities(b, system);
    return std::any_of(first.begin(), first.end(), [&](const auto& identity) {
        return std::find(second.begin(), second.end(), identity) != second.end();
    });
}

PoolDef dir(const std::string& path)
{
    return {.type = "dir", .target = {.path = path}};
}

PoolDef with_source(const std::string& type, PoolSource source)
{
    return {.type = type, .source = std::move(source)};
}

} // namespace

TEST_CASE("a directory is the same however its path is spelt", "[identity]")
{
    const TemporaryDirectory root;
    std::filesystem::create_directories(root / "a/b");
    std::filesystem::create_symlink("a", root / "link");

    CHECK(conflict(dir(root / "a"), dir(root / "link")));
    CHECK(conflict(dir(root / "a"), dir(root / "link/b/..")));
    CHECK(conflict(dir(root / "a"), dir(root / "./a/b/../")));
    CHECK_FALSE(conflict(dir(root / "a"), dir(root / "a/b")));
    // Not there yet: below the same parent.
    CHECK(conflict(dir(root / "a/new/x"), dir(root / "link/new//./x")));
    CHECK(conflict(dir(root / "a/new/../x"), dir(root / "link/x")));
    CHECK_FALSE(conflict(dir(root / "a/new/x"), dir(root / "a/new/y")));
}

TEST_CASE("a device is the same under each of its names", "[identity]")
{
    const TemporaryDirectory root;
    std::filesystem::create_directories(root / "dev/disk");
    root.write("dev/sda", "");
    std::filesystem::create_symlink("../sda", root / "dev/disk/by-x");
    std::filesystem::create_directories(root / "dev/disk/by-label");
    std::filesystem::create_symlink("../../sda", root / "dev/disk/by-label/my\\x20disk");
    const SystemRoot system(root.path());
    const auto device = [](const char* type, const char* path) {
        return with_source(type, {.devices = {{.path = path}}});
    };

    CHECK(conflict(device("fs", "/dev/sda"), device("disk", "/dev/disk/by-x"), system));
    CHECK(conflict(device("fs", "/dev/sda"), device("fs", "LABEL=my disk"), system));
    CHECK_FALSE(conflict(device("fs", "/dev/sda"), device("fs", "LABEL=other"), system));
    CHECK_FALSE(conflict(device("fs", "/dev/sda"), device("fs", "LABEL="), system));
    CHECK(conflict(device("fs", "/dev/none"), device("zfs", "/dev/./none"), system));
    CHECK_FALSE(conflict(device("fs", "/dev/none"), device("zfs", "/dev/other"), system));
    CHECK(conflict(device("disk", "/dev/null"), device("disk", "/dev/../dev/null")));
}

TEST_CASE("servers are compared without case, default port and spelling", "[identity]")
{
    const auto netfs = [](const std::string& host, std::optional<int> port = {}) {
        return with_source("netfs", {.hosts = {{.name = host, .port = port}}, .dir = "/d"});
    };
    CHECK(conflict(netfs("NFS.example.com."), netfs("nfs.example.com", 2049)));
    CHECK(conflict(netfs("fd00:0:0::1"), netfs("FD00::1", -1)));
    CHECK_FALSE(conflict(netfs("a", 2050), netfs("a")));
    CHECK_FALSE(conflict(netfs("a"), netfs("b")));

    const auto rbd = [](std::vector<SourceHost> hosts, const std::string& name) {
        return with_source("rbd", {.hosts = std::move(hosts), .name = name});
    };
    CHECK(conflict(rbd({{.name = "m1"}, {.name = "m2"}}, "p"),
                   rbd({{.name = "M2", .port = 6789}}, "p")));
    CHECK_FALSE(conflict(rbd({{.name = "m1"}}, "p"), rbd({{.name = "m1"}}, "q")));
    const auto gluster = [](const std::string& directory) {
        return with_source("gluster", {.hosts = {{.name = "g"}}, .dir = directory, .name = "v"});
    };
    CHECK(conflict(gluster("/"), gluster("//")));
    CHECK(conflict(gluster("/a/b"), gluster("/a/./b/.")));
    CHECK(conflict(with_source("netfs", {.hosts = {{.name = "h"}}, .dir = "share"}),
                   with_source("netfs", {.hosts = {{.name = "h"}}, .dir = "share/."})));
    CHECK_FALSE(conflict(gluster("/a/.."), gluster("/")));
    CHECK_FALSE(conflict(gluster("/"), gluster("/a")));
    CHECK(conflict(with_source("sheepdog", {.hosts = {{.name = "s", .port = 7000}}}),
                   with_source("sheepdog", {.hosts = {{.name = "s"}}})));
}

TEST_CASE("what has a name of its own is compared by it", "[identity]")
{
    for (const auto* type : {"logical", "zfs", "vstorage"}) {
        CHECK(conflict(with_source(type, {.name = "a"}), with_source(type, {.name = "a"})));
        CHECK_FALSE(conflict(with_source(type, {.name = "a"}), with_source(type, {.name = "b"})));
    }
    CHECK(conflict(with_source("mpath", {}), with_source("mpath", {})));
    const auto target = [](const char* type, const char* initiator) {
        return with_source(
            type, {.devices = {{.path = "iqn.2020-01.org.x:a"}}, .initiator_iqn = initiator});
    };
    CHECK(conflict(target("iscsi", "i"), target("iscsi-direct", "I")));
    CHECK_FALSE(conflict(target("iscsi", "i"), target("iscsi", "")));
}

TEST_CASE("an adapter is the same by number, address and WWN", "[identity]")
{
    const TemporaryDirectory root;
    std::filesystem::create_directories(root / "devices/pci0000:00/0000:00:1f.2/host3");
    std::filesystem::create_directories(root / "sys/class/scsi_host");
    root.write("devices/pci0000:00/0000:00:1f.2/host3/unique_id", "1\n");
    std::filesystem::create_symlink("../../../devices/pci0000:00/0000:00:1f.2/host3",
                                    root / "sys/class/scsi_host/host3");
    std::filesystem::create_directories(root / "sys/class/fc_host/host5");
    root.write("sys/class/fc_host/host5/node_name", "0x20000000c9831b4b\n");
    root.write("sys/class/fc_host/host5/port_name", "0x10000000c9831b4b\n");
    const SystemRoot system(root.path());
    const auto pool = [](SourceAdapter adapter) {
        return with_source("scsi", {.adapter = std::move(adapter)});
    };
    SourceAdapter address;
    address.parent_address = {.address = {.slot = 0x1f, .function = 2}, .unique_id = 1};
    const SourceAdapter fc{.type = SourceAdapter::Type::fc_host,
                           .wwnn = "20000000C9831B4B",
                           .wwpn = "0x10000000c9831b4b"};

    CHECK(conflict(pool({.name = "host3"}), pool({.name = "scsi_host3"}), system));
    CHECK(conflict(pool({.name = "host3"}), pool(address), system));
    CHECK(conflict(pool({.name = "host5"}), pool(fc), system));
    CHECK_FALSE(conflict(pool({.name = "host4"}), pool(address), system));
    CHECK_FALSE(conflict(pool(address), pool(fc), system));
}
