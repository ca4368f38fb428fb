// SPDX-License-Identifier: LGPL-2.1-or-later
// Sizes, names, uuids, paths and the names of enumerators.
#include "names.hpp"

#include <basin/backend.hpp>
#include <basin/error.hpp>
#include <basin/event.hpp>
#include <basin/pool.hpp>
#include <catch2/catch.hpp>

#include <set>

using namespace storage;

TEST_CASE("sizes are read with every unit", "[definition]")
{
    const std::tuple<const char*, const char*, std::uint64_t> cases[] = {
        {"0", "", 0},
        {"10", "", 10},
        {"010", "b", 10},
        {" 10 ", "byte", 10},
        {"+10", "BYTES", 10},
        {"10", "k", 10'240},
        {"10", "KiB", 10'240},
        {"10", "kb", 10'000},
        {"3", "M", 3'145'728},
        {"3", "mib", 3'145'728},
        {"3", "MB", 3'000'000},
        {"2", "G", 2'147'483'648},
        {"2", "GiB", 2'147'483'648},
        {"2", "GB", 2'000'000'000},
        {"1", "T", 1'099'511'627'776},
        {"1", "TiB", 1'099'511'627'776},
        {"1", "TB", 1'000'000'000'000},
        {"1", "P", 1'125'899'906'842'624},
        {"1", "PiB", 1'125'899'906'842'624},
        {"1", "PB", 1'000'000'000'000'000},
        {"7", "E", 8'070'450'532'247'928'832},
        {"7", "EiB", 8'070'450'532'247'928'832},
        {"9", "EB", 9'000'000'000'000'000'000},
        {"9223372036854775807", "", 9'223'372'036'854'775'807},
        {"10 KiB", "", 10'240},
        {"10GB", "", 10'000'000'000},
        {"5b", "", 5},
    };
    for (const auto& [number, unit, bytes] : cases) {
        INFO(number << unit);
        CHECK(parse_size(number, unit) == bytes);
    }
}

TEST_CASE("what is not a size is refused", "[definition]")
{
    const std::pair<const char*, const char*> cases[] = {
        {"", ""},      {" ", ""},       {"x", ""},    {"-1", ""},
        {"1.5", ""},   {"1,5", ""},     {"0x10", ""}, {"1 2", ""},
        {"+", ""},     {"1+2", ""},     {"1", "x"},   {"1", "kbit"},
        {"1", "KiBs"}, {"1", "i"},      {"1", "ib"},  {"KiB", ""},
        {"1 K", "K"},  {"8", "EiB"},    {"10", "EB"}, {"9223372036854775808", ""},
        {"++1", ""},   {"1 KiB 2", ""}, {"1", "ki"},  {"18446744073709551616", "E"},
    };
    for (const auto& [number, unit] : cases) {
        INFO(number << '|' << unit);
        CHECK_THROWS_AS(parse_size(number, unit), Error);
    }
}

TEST_CASE("names that cannot be file names are refused", "[definition]")
{
    CHECK(pool_name_problem("a b ü").empty());
    CHECK(pool_name_problem(std::string(251, 'x')).empty());
    CHECK_FALSE(pool_name_problem(std::string(252, 'x')).empty());
    CHECK(volume_name_problem(std::string(255, 'x')).empty());
    CHECK_FALSE(volume_name_problem(std::string(256, 'x')).empty());
    for (const std::string name : {"", ".", "..", "a/b", "/", "a\n", "\x1F", "\x7F"})
        CHECK_FALSE(volume_name_problem(name).empty());
    CHECK(volume_name_problem("...").empty());
}

TEST_CASE("uuids are made canonical", "[definition]")
{
    const auto* canonical = "0d0c0b0a-0908-4706-8504-00000000ffff";
    CHECK(canonical_uuid(canonical) == canonical);
    CHECK(canonical_uuid("0D0C0B0A0908470685040000 0000FFFF") == std::nullopt);
    CHECK(canonical_uuid(" 0D0C0B0A09084706850400000000FFFF\n") == canonical);
    for (const auto* text :
         {"", "0d0c", "0d0c0b0a-0908-4706-8504-00000000fff",
          "0d0c0b0a-0908-4706-8504-00000000ffff0", "0d0c0b0a-0908-4706-8504-00000000ffff-",
          "-0d0c0b0a-0908-4706-8504-00000000ffff", "0d0c0b0a-0908-4706-8504-00000000fffg"})
        CHECK_FALSE(canonical_uuid(text));
}

TEST_CASE("paths lose their superfluous slashes", "[definition]")
{
    const std::pair<const char*, const char*> cases[] = {
        {"", ""},
        {"/", "/"},
        {"//", "//"},
        {"///", "/"},
        {"/a", "/a"},
        {"/a/", "/a"},
        {"//a//b//", "//a/b"},
        {"///var/////lib//", "/var/lib"},
        {"a//b/", "a/b"},
        {"/a/../b/./", "/a/../b/."},
        {"nbd://h//x/", "nbd://h//x/"},
        {"/a://b", "/a:/b"},
    };
    for (const auto& [path, expected] : cases)
        CHECK(sanitized_path(path) == expected);
}

TEST_CASE("names of the network are recognised", "[definition]")
{
    CHECK(is_iqn("iqn.2013-06.com.example"));
    CHECK(is_iqn("iqn.2013-12.com.example:any thing"));
    for (const auto* text : {"", "iqn", "iqn.2013-00.com", "iqn.2013-13.com", "iqn.201x-01.com",
                             "iqn.2013-06.", "iqn.2013-06.:x", "iqn.2013-06.a b", "eui.0123"})
        CHECK_FALSE(is_iqn(text));
    for (const auto* text : {"demo-target", "A_9+"})
        CHECK(is_generic_name(text));
    for (const auto* text : {"", "a b", "a/b", "a.b"})
        CHECK_FALSE(is_generic_name(text));
    for (const auto* text : {"host", "a.b-c", "1.2.3.4", "::1", "fd00::1", "fe80::1%eth0"})
        CHECK(is_host_name(text));
    for (const auto* text : {"", "a b", "a/b", ":::", "[::1]"})
        CHECK_FALSE(is_host_name(text));
    CHECK(is_wwn("0x20000000c9831b4b"));
    CHECK_FALSE(is_wwn("20000000c9831b4bb"));
}

TEST_CASE("every enumerator has a name of its own", "[definition]")
{
    std::set<std::string_view> names;
    for (unsigned i = 0; i < capability_count; ++i)
        names.insert(to_string(static_cast<Capability>(i)));
    CHECK(names.size() == capability_count);
    CHECK_FALSE(names.contains("unknown"));
    CHECK(to_string(Capability::watch) == "watch");
    CHECK(to_string(Capability::protect_snapshots) == "protect_snapshots");
    CHECK(to_string(static_cast<Capability>(200)) == "unknown");
    CHECK(to_string(EventKind::overflow) == "overflow");
    CHECK(to_string(EventKind::volume_created) == "volume_created");
    CHECK(to_string(PoolState::inaccessible) == "inaccessible");
    CHECK(to_string(DiagnosticReason::damaged_image) == "damaged_image");
}

TEST_CASE("the registry lists libvirt's pool types in its order", "[definition]")
{
    std::string types;
    for (const auto& info : backends()) {
        types += std::string(info.type) + ' ';
        CHECK(find_backend(info.type)->type == info.type);
        CHECK(info.available == info.unavailable_reason.empty());
    }
    CHECK(types == "dir fs netfs logical disk iscsi iscsi-direct scsi mpath rbd sheepdog gluster "
                   "zfs vstorage ");
    CHECK(find_backend("btrfs") == nullptr);
}
