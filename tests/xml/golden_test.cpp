// SPDX-License-Identifier: LGPL-2.1-or-later
// Every input file gives exactly its .expected file, and that gives itself.
#include <basin/backend.hpp>
#include <basin/error.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

using namespace storage;
namespace fs = std::filesystem;

namespace {

std::string read_file(const fs::path& path)
{
    std::ifstream stream(path, std::ios::binary);
    INFO(path);
    REQUIRE(stream);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<fs::path> inputs(const char* directory)
{
    std::vector<fs::path> result;
    for (const auto& entry : fs::directory_iterator(fs::path(BASIN_XML_DIR) / directory))
        if (entry.path().extension() == ".xml")
            result.push_back(entry.path());
    std::sort(result.begin(), result.end());
    return result;
}

VolumePurpose purpose_of(const std::string& word)
{
    return word == "create"        ? VolumePurpose::create
           : word == "create_from" ? VolumePurpose::create_from
                                   : VolumePurpose::describe;
}

} // namespace

TEST_CASE("pools print as expected", "[xml]")
{
    std::set<std::string> types;
    for (const auto& path : inputs("pools")) {
        INFO(path);
        const auto expected = read_file(fs::path(path).replace_extension(".expected"));
        const auto def = parse_pool(read_file(path));
        CHECK(format_pool(def) == expected);

        std::string ignored;
        const auto again =
            parse_pool(expected, {.on_ignored = [&](std::string_view line) { ignored += line; }});
        CHECK(again == def);
        CHECK(ignored.empty());
        CHECK(pool_from_json(to_json(def)) == def);
        types.insert(def.type);
    }
    for (const auto& info : backends())
        CHECK(types.contains(std::string(info.type)));
}

TEST_CASE("volumes print as expected", "[xml]")
{
    for (const auto& path : inputs("volumes")) {
        INFO(path);
        // POOL-TYPE.PURPOSE.NAME.xml
        const auto stem = path.stem().string();
        const auto dot = stem.find('.');
        const auto type = stem.substr(0, dot);
        const auto purpose = stem.substr(dot + 1, stem.find('.', dot + 1) - dot - 1);
        const auto expected = read_file(fs::path(path).replace_extension(".expected"));
        const auto def = parse_volume(read_file(path), type, purpose_of(purpose));
        CHECK(format_volume(def, type) == expected);

        const auto again = parse_volume(expected, type, VolumePurpose::describe);
        CHECK(format_volume(again, type) == expected);
        CHECK(volume_from_json(to_json(def)) == def);
    }
}

TEST_CASE("the numbers of a live pool are printed", "[xml]")
{
    const PoolSizes sizes{.capacity = UINT64_MAX, .allocation = 1, .available = 2};
    const auto xml = format_pool({.type = "dir", .name = "a", .target = {.path = "/a"}}, &sizes);
    CHECK(xml == "<pool type='dir'>\n"
                 "  <name>a</name>\n"
                 "  <capacity unit='bytes'>18446744073709551615</capacity>\n"
                 "  <allocation unit='bytes'>1</allocation>\n"
                 "  <available unit='bytes'>2</available>\n"
                 "  <source>\n"
                 "  </source>\n"
                 "  <target>\n"
                 "    <path>/a</path>\n"
                 "  </target>\n"
                 "</pool>\n");
}

TEST_CASE("free extents are printed", "[xml]")
{
    PoolDef def{.type = "disk", .name = "a", .target = {.path = "/dev"}};
    def.source.devices.push_back({.path = "/dev/sda", .free_extents = {{.start = 512, .end = 9}}});
    CHECK(format_pool(def).find("    <device path='/dev/sda'>\n"
                                "      <freeExtent start='512' end='9'/>\n"
                                "    </device>\n") != std::string::npos);
}

TEST_CASE("found sources are printed and read again", "[xml]")
{
    const std::vector<PoolSource> sources{
        {.hosts = {{.name = "h"}}, .dir = "/a", .format = "nfs"},
        {.hosts = {{.name = "h", .port = 7}}, .dir = "/b", .format = "glusterfs"}};
    const auto xml = format_pool_sources(sources, "netfs");
    CHECK(xml == "<sources>\n"
                 "  <source>\n"
                 "    <host name='h'/>\n"
                 "    <dir path='/a'/>\n"
                 "    <format type='nfs'/>\n"
                 "  </source>\n"
                 "  <source>\n"
                 "    <host name='h' port='7'/>\n"
                 "    <dir path='/b'/>\n"
                 "    <format type='glusterfs'/>\n"
                 "  </source>\n"
                 "</sources>\n");
    CHECK(format_pool_sources({}, "netfs") == "<sources>\n</sources>\n");

    const auto where =
        parse_pool_source("<source><host name='nfs.example.com' port='2049'/></source>", "netfs");
    CHECK(where.hosts == std::vector<SourceHost>{{.name = "nfs.example.com", .port = 2049}});
    CHECK_THROWS_AS(parse_pool_source("<pool/>", "netfs"), Error);
    CHECK_THROWS_AS(parse_pool_source("<source/>", "nosuch"), Error);
}

TEST_CASE("the capabilities list every pool type in libvirt's order", "[xml]")
{
    CHECK(format_capabilities() == read_file(fs::path(BASIN_XML_DIR) / "capabilities.expected"));
}
