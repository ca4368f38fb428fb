// SPDX-License-Identifier: LGPL-2.1-or-later
// What references mean, and how chains through several pools are followed; qemu-img is the oracle.
#include "backing_chain.hpp"
#include "file_io.hpp"
#include "mounts.hpp"
#include "temporary_directory.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <map>

using namespace storage;
namespace fs = std::filesystem;

namespace {

/** Three pools as directories, whose volumes are what their tables would list. */
struct Pools {
    TemporaryDirectory directory{};
    std::map<std::string, ChainVolume> volumes{}; // by normalised path
    std::vector<std::string> inspected{};

    Pools()
    {
        for (const auto* pool : {"a", "b", "c"})
            fs::create_directories(directory / pool + "/sub");
    }

    std::string path(const std::string& name) const { return directory / name; }

    /** A volume "pool/name" with a made-up header, and its file. */
    void add(const std::string& name, ImageFormat format, const std::string& reference = {},
             const std::optional<std::string>& declared = {})
    {
        ImageInfo header{.format = format};
        if (!reference.empty())
            header.backing = ImageReference{.path = reference,
                                            .format = declared.value_or(""),
                                            .format_declared = declared.has_value()};
        directory.write(name, name);
        add_volume(name, [header] { return header; });
    }
    void add_real(const std::string& name)
    {
        add_volume(name, [path = path(name)] {
            return inspect_image(open_file(path, O_RDONLY | O_NOFOLLOW).get());
        });
    }
    void add_volume(const std::string& name, std::function<ImageInfo()> inspect)
    {
        volumes[path(name)] = {.pool_name = name.substr(0, 1),
                               .volume_name = name.substr(2),
                               .path = path(name),
                               .inspect = [this, name, inspect = std::move(inspect)] {
                                   inspected.push_back(name);
                                   return inspect();
                               }};
    }

    std::vector<ChainLink> chain(const std::string& name)
    {
        inspected.clear();
        return follow_chain(volumes.at(path(name)),
                            [this](const std::string& wanted) -> std::optional<ChainVolume> {
                                const auto found = volumes.find(wanted);
                                return found == volumes.end() ? std::nullopt
                                                              : std::optional(found->second);
                            });
    }
};

std::vector<ChainState> states(const std::vector<ChainLink>& chain)
{
    std::vector<ChainState> result;
    for (const auto& link : chain)
        result.push_back(link.state);
    return result;
}

std::vector<std::string> paths(const std::vector<ChainLink>& chain)
{
    std::vector<std::string> result;
    for (const auto& link : chain)
        result.push_back(link.path);
    return result;
}

constexpr auto ok = ChainState::ok;

} // namespace

TEST_CASE("a reference means what qemu takes it for", "[backing_chain]")
{
    const std::string deep(5000, 'x');
    const std::map<std::string, BackingTarget> expected{
        {"", {}},
        {"a", {"/d/e/a"}},
        {"./a:b", {"/d/e/./a:b"}},
        {"sub/a:b", {"/d/e/sub/a:b"}},
        {"../a", {"/d/e/../a"}},
        {"/a//b", {"/a//b"}},
        {"/a:b", {"/a:b"}},
        {"file:/a", {"/a"}},
        {"file:///a", {"///a"}},
        {"file:a", {"", "", "/d/e/a"}}, // beside the image, or wherever qemu is
        {"file:./../a", {"", "", "/d/e/./../a"}},
        {"file:", {}},
        {"host_device:/dev/sda", {"/dev/sda"}},
        {"nbd:unix:/s", {}},
        {"nbd://h/x", {}},
        {"https://h/x", {}},
        {"rbd:p/i", {}},
        {"fat:/dir", {}},
        {"a:b", {}},
        {"json:", {}},
        {"json:[]", {}},
        {"json:{", {}},
        {"json:{}", {}},
        {R"(json:"a")", {}},
        {R"(json:{"file":"node"})", {}},
        {R"(json:{"filename":"/a"})", {"/a"}},
        {R"(json:{"filename":"file:/a"})", {"/a"}},
        {R"(json:{"filename":"nbd:/a"})", {}},
        {R"(json:{"driver":"file","filename":"nbd:a"})", {"", "", "/d/e/nbd:a"}},
        {R"(json:{"driver":"file","filename":""})", {}},
        {R"(json:{"driver":"file","filename":7})", {}},
        {R"(json:{"driver":"file","filename":"/a\u0000b"})", {}},
        {R"(json:{"driver":"file","filename":"/a\nb"})", {}},
        {R"(json:{"driver":"host_device","filename":"/dev/sda"})", {"/dev/sda"}},
        {R"(json:{"driver":"qcow2","file":{"driver":"file","filename":"/a"}})", {"/a", "qcow2"}},
        {R"(json:{"driver":"qcow2","file.driver":"file","file.filename":"/a"})", {"/a", "qcow2"}},
        {R"(json:{"file.driver":"file","file.filename":"/a"})", {"/a"}},
        {R"(json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"a"}})",
         {"", "", "/d/e/a"}},
        {R"(json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"/a"}})",
         {"/a", "raw"}},
        // What brings in another file.
        {R"(json:{"driver":"qcow2","file.filename":"/a","backing.driver":"file"})", {}},
        {R"(json:{"driver":"qcow2","file.filename":"/a","backing":{"driver":"null-co"}})", {}},
        {R"(json:{"driver":"qcow2","file.filename":"/a","backing":null})", {}},
        {R"(json:{"driver":"qcow2","file.filename":"/a","data-file.filename":"/b"})", {}},
        {R"(json:{"driver":"qcow2","file.filename":"/a","file":{"filename":"/b"}})", {}},
        {R"(json:{"driver":"qcow2","file.filename":"/a","filename":"/b"})", {}},
        {R"(json:{"driver":"raw","file":{"driver":"file","filename":"/a","x":"y"}})", {}},
        // What opens the content of an image as another image.
        {R"(json:{"driver":"raw","file":{"driver":"qcow2","file.filename":"/a"}})", {}},
        {R"(json:{"driver":"qcow2","file":{"driver":"qcow2","file.filename":"/a"}})", {}},
        {R"(json:{"driver":"qcow2","file":{"driver":"throttle","file":{"driver":"qed",)"
         R"("file.filename":"/a"}}})",
         {}},
        {R"(json:{"driver":"throttle","file":{"driver":"qcow2","file.filename":"/a"}})",
         {"/a", "qcow2"}},
        {R"(json:{"driver":"qcow2","file.driver":"raw","file.file.driver":"file",)"
         R"("file.file.filename":"/a"})",
         {"/a", "qcow2"}},
        {R"(json:{"driver":"nbd","host":"h","file":{"driver":"file","filename":"/a"}})", {}},
        {R"(json:{"driver":"qcow2","file":{"driver":"https","url":"https://h"}})", {}},
        {R"(json:{"driver":"qcow2","file":{"driver":"file","filename":")" + deep + R"("}})", {}},
    };
    for (const auto& [reference, target] : expected)
        for (const auto* directory : {"/d/e", "/d/e/"}) {
            CAPTURE(reference, directory);
            CHECK(resolve_reference(reference, directory) == target);
        }
    std::string nested = R"({"driver":"file","filename":"/a"})";
    for (int i = 0; i < 7; ++i)
        nested = R"({"driver":"raw","file":)" + nested + '}';
    CHECK(resolve_reference("json:" + nested, "/").path == "/a");
    CHECK_FALSE(resolve_reference(R"(json:{"file":)" + nested + '}', "/").is_local());
    CHECK_FALSE(resolve_reference("json:" + std::string(4000, '['), "/").is_local());
}

TEST_CASE("a declared format stands instead of the outermost driver", "[backing_chain]")
{
    const auto meant = [](const std::string& json, const std::string& declared) {
        return resolve_reference("json:" + json, "/d", declared);
    };
    const std::string file = R"({"driver":"file","filename":"/a"})";
    const std::string qcow2 = R"({"driver":"qcow2","file":)" + file + '}';
    CHECK(meant(file, "qcow2") == BackingTarget{"/a", "qcow2"});
    CHECK(meant(qcow2, "qcow2") == BackingTarget{"/a", "qcow2"});
    CHECK(meant(qcow2, "raw") == BackingTarget{"/a", "raw"});
    CHECK(meant(R"({"driver":"throttle","file":)" + file + '}', "qcow2") ==
          BackingTarget{"/a", "qcow2"});
    // The inner one would be opened, too.
    CHECK_FALSE(meant(R"({"driver":"throttle","file":)" + qcow2 + '}', "qcow2").is_local());
    CHECK_FALSE(meant(R"({"file":)" + qcow2 + '}', "raw").is_local());
    CHECK_FALSE(meant(file, "nbd").is_local());
}

TEST_CASE("a data file is opened as it is", "[backing_chain]")
{
    CHECK(resolve_data_file("/a", "/d") == BackingTarget{"/a"});
    CHECK(resolve_data_file("a", "/d") == BackingTarget{"", "", "/d/a"});
    CHECK(resolve_data_file("file:/a", "/d") == BackingTarget{"/a"});
    CHECK(resolve_data_file(R"(json:{"driver":"file","filename":"/a"})", "/d") ==
          BackingTarget{"/a"});
    CHECK_FALSE(
        resolve_data_file(R"(json:{"driver":"qcow2","file.filename":"/a"})", "/d").is_local());
    CHECK_FALSE(resolve_data_file("nbd:x", "/d").is_local());
}

TEST_CASE("paths are normalised by their text", "[backing_chain]")
{
    const std::map<std::string, std::string> expected{
        {"/", "/"},        {"/a/b", "/a/b"},       {"//a///b/", "/a/b"}, {"/./a/.", "/a"},
        {"/a/../b", "/b"}, {"/../../a/..", "/"},   {"/a/...", "/a/..."}, {"/a/b/../../c", "/c"},
        {"", "/"},         {"/a/b/../../..", "/"}, {"/..a", "/..a"},
    };
    for (const auto& [path, normalised] : expected) {
        CHECK(normalised_path(path) == normalised);
        CHECK(normalised_path(normalised) == normalised);
    }
}

TEST_CASE("the references of a header are compared as plain paths", "[backing_chain]")
{
    ImageInfo header;
    header.backing = ImageReference{.path = "../base"};
    header.data_file = ImageReference{.path = "data"};
    header.extents = {"nbd://h/x", "./data", "/p/base"};
    CHECK(references_of("/p/q/", header) ==
          std::vector<std::string>{"/p/base", "data", "/p/q/data", "nbd://h/x"});
    CHECK(references_of("/p", ImageInfo()).empty());
}

TEST_CASE_METHOD(Pools, "a chain leads through pools, by every kind of reference",
                 "[backing_chain]")
{
    add("a/top", ImageFormat::qcow2, "sub/../../b/./four", "qcow2");
    add("b/four", ImageFormat::qcow2, path("c/three"), "qed");
    add("c/three", ImageFormat::qed,
        R"(json:{"driver":"qcow2","file":{"driver":"file","filename":")" + path("a/two") + "\"}}");
    add("a/two", ImageFormat::qcow2, "file:" + path("b/one"), "vmdk");
    add("b/one", ImageFormat::vmdk, "base", "raw");
    add("b/base", ImageFormat::raw);

    const auto links = chain("a/top");
    CHECK(states(links) == std::vector(6, ok));
    CHECK(paths(links) == std::vector<std::string>{path("a/top"), path("b/four"), path("c/three"),
                                                   path("a/two"), path("b/one"), path("b/base")});
    CHECK(links[1] == ChainLink{.reference = "sub/../../b/./four",
                                .path = path("b/four"),
                                .format = "qcow2",
                                .pool_name = "b",
                                .volume_name = "four"});
    CHECK(links[3].format == "qcow2"); // declared by json: alone
    CHECK(links[3].format_declared);
    CHECK(links[5].format == "raw");
    CHECK(inspected.size() == 5); // not the raw one
}

TEST_CASE_METHOD(Pools, "what a guest wrote into a raw image is not followed", "[backing_chain]")
{
    add("a/top", ImageFormat::qcow2, "base", "raw");
    add("a/base", ImageFormat::qcow2, "/etc/shadow", "raw");
    CHECK(paths(chain("a/top")) == std::vector<std::string>{path("a/top"), path("a/base")});
    CHECK(inspected == std::vector<std::string>{"a/top"});
}

TEST_CASE_METHOD(Pools, "an undeclared format is found and said to be undeclared",
                 "[backing_chain]")
{
    add("a/top", ImageFormat::qcow2, "mid");
    add("a/mid", ImageFormat::qcow2, "base");
    add("a/base", ImageFormat::raw);
    const auto links = chain("a/top");
    REQUIRE(links.size() == 3);
    CHECK(links[0].format_declared);
    CHECK(links[1].format == "qcow2");
    CHECK_FALSE(links[1].format_declared);
    CHECK(links[2].format == "raw");
    CHECK_FALSE(links[2].format_declared);
    CHECK(inspected.size() == 3);
}

TEST_CASE_METHOD(Pools, "a chain ends where it cannot be followed", "[backing_chain]")
{
    const auto last = [&](const std::string& reference,
                          const std::optional<std::string>& declared = "qcow2") {
        add("a/top", ImageFormat::qcow2, reference, declared);
        const auto links = chain("a/top");
        REQUIRE(links.size() == 2);
        CHECK(links[1].reference == reference);
        return links[1];
    };
    CHECK(last("none").state == ChainState::missing);
    CHECK(last("none").path == path("a/none"));
    CHECK(last("top/x").state == ChainState::missing);

    directory.write("outside", "x");
    CHECK(last("../outside").state == ChainState::outside);
    CHECK(last("../outside").path == path("outside"));
    CHECK(last("../outside", {}).format == "raw");
    CHECK_FALSE(last("../outside", {}).format_declared);
    fs::create_symlink("nowhere", path("dangling"));
    CHECK(last("../dangling").state == ChainState::outside); // never followed

    CHECK(last("nbd://h/x").state == ChainState::network);
    CHECK(last("nbd://h/x").path.empty());
    CHECK(last(R"(json:{"driver":"rbd","pool":"p"})").state == ChainState::network);
    CHECK(last("file:none").state == ChainState::network);
    CHECK(last(R"(json:{"driver":"qcow2","file.filename":")" + path("outside") +
               R"(","backing.filename":"/x"})")
              .state == ChainState::network);

    add("b/other", ImageFormat::qed);
    CHECK(last("../b/other").state == ChainState::unreadable); // not the format that is declared
    CHECK(last("../b/other", "qed").state == ok);
    add("b/ploop", ImageFormat::ploop);
    CHECK(last("../b/ploop", "parallels").state == ok); // qemu's name for both
    directory.write("b/bad", "x");
    add_volume("b/bad", []() -> ImageInfo { throw Error(ErrorCode::permission_denied, "no"); });
    CHECK(last("../b/bad").state == ChainState::unreadable);
    CHECK(last("../b/bad").volume_name == "bad");
    add_volume("b/bad", []() -> ImageInfo { throw Error(ErrorCode::not_found, "gone"); });
    CHECK(last("../b/bad").state == ChainState::missing);
    fs::remove(path("b/bad"));
    CHECK(last("../b/bad").state == ChainState::missing); // the pool's list is older
}

TEST_CASE_METHOD(Pools, "a circle ends where it closes", "[backing_chain]")
{
    add("a/self", ImageFormat::qcow2, "self", "qcow2");
    CHECK(states(chain("a/self")) == std::vector{ok, ChainState::cycle});

    add("a/one", ImageFormat::qcow2, "../b/two", "qcow2");
    add("b/two", ImageFormat::qcow2, "../c/three", "qcow2");
    add("c/three", ImageFormat::qcow2, "../b/sub/../two", "qcow2");
    const auto links = chain("a/one");
    CHECK(states(links) == std::vector{ok, ok, ok, ChainState::cycle});
    CHECK(links.back().path == path("b/two"));
    CHECK(links.back().volume_name == "two");

    add("a/named", ImageFormat::qcow2, "../b/link", "qcow2"); // the same file under another name
    fs::create_hard_link(path("a/named"), path("b/link"));
    add_volume("b/link", volumes.at(path("a/named")).inspect);
    CHECK(states(chain("a/named")) == std::vector{ok, ChainState::cycle});
}

TEST_CASE_METHOD(Pools, "a chain has at most 256 images", "[backing_chain]")
{
    for (int i = 0; i < 300; ++i)
        add("a/" + std::to_string(i), ImageFormat::qcow2, std::to_string(i + 1), "qcow2");
    add("a/299", ImageFormat::qcow2, "300", "raw");
    add("a/300", ImageFormat::raw);
    auto links = chain("a/0");
    REQUIRE(links.size() == 257);
    CHECK(links[255].state == ok);
    CHECK(links[256].state == ChainState::too_deep);
    CHECK(links[256].path == path("a/256"));
    CHECK(inspected.size() == 256);

    links = chain("a/45"); // exactly 256
    CHECK(links.size() == 256);
    CHECK(states(links) == std::vector(256, ok));
}

TEST_CASE_METHOD(Pools, "a step back over a link leads where the kernel goes", "[backing_chain]")
{
    // a/into -> ../b/sub, so that a/into/../base is b/base, whatever the text says.
    fs::create_directory_symlink("../b/sub", path("a/into"));
    add("a/top", ImageFormat::qcow2, "into/../base", "raw");
    add("a/base", ImageFormat::raw);
    directory.write("b/base", "x");
    auto links = chain("a/top");
    REQUIRE(links.size() == 2);
    CHECK(links[1].state == ChainState::outside);
    CHECK(links[1].path == path("a/into/../base"));
    fs::remove(path("b/base"));
    CHECK(chain("a/top")[1].state == ChainState::missing);
}

TEST_CASE_METHOD(Pools, "a chain is described as nested backing stores", "[backing_chain]")
{
    add("a/top", ImageFormat::qcow2, "../b/mid");
    add("b/mid", ImageFormat::qcow2, "nbd://h/x", "raw");
    fs::permissions(path("b/mid"), fs::perms(0640));
    const auto backing = backing_stores(chain("a/top"));
    REQUIRE(backing.size() == 2);
    CHECK(backing[0].path == path("b/mid"));
    CHECK(backing[0].format == "qcow2");
    CHECK_FALSE(backing[0].format_declared);
    CHECK(backing[0].permissions.mode == 0640u);
    CHECK(backing[0].timestamps);
    CHECK(backing[1].path == "nbd://h/x");
    CHECK(backing[1].format == "raw");
    CHECK_FALSE(backing[1].timestamps);

    for (int i = 0; i < 100; ++i)
        add("a/" + std::to_string(i), ImageFormat::qcow2, std::to_string(i + 1), "qcow2");
    VolumeDef def{.name = "0", .backing = backing_stores(chain("a/0"))};
    def.target.format = "qcow2";
    CHECK(def.backing.size() == 60);
    for (auto& store : def.backing) // the deepest that can be
        store.encryption = Encryption{.format = "luks", .secrets = {{.usage = "x"}}};
    const auto again = parse_volume(format_volume(def, "dir"), "dir", VolumePurpose::describe);
    CHECK(again.backing.size() == 60);
    CHECK(again.backing.back().path == path("a/60"));
}

TEST_CASE_METHOD(Pools, "real chains are followed as qemu-img follows them", "[backing_chain]")
{
    if (!succeeds("qemu-img --version")) {
        WARN("skipped: no qemu-img");
        return;
    }
    const auto base = path("a/base");
    // A pool below, beside and above; by relative and absolute path, by prefix, by json:.
    const struct {
        const char* name;
        const char* format;
        std::string reference;
        const char* declared;
    } images[] = {
        {"a/sub/one", "qcow2", "../base", "raw"},
        {"b/two", "qcow2", "../a/sub/one", "qcow2"},
        {"c/sub/three", "qed", path("b/two"), "qcow2"},
        {"c/four", "qcow2",
         R"(json:{"driver":"qed","file":{"driver":"file","filename":")" + path("c/sub/three") +
             "\"}}",
         "qed"},
        {"b/sub/five", "qcow2", "file:" + path("c/four"), "qcow2"},
        {"a/six", "qcow2", ".././b//sub/../sub/five", "qcow2"},
    };
    REQUIRE(succeeds("qemu-img create -f raw " + base + " 1M"));
    add_real("a/base");
    for (const auto& image : images) {
        REQUIRE(succeeds("qemu-img create -q -u -f " + std::string(image.format) + " -b '" +
                         image.reference + "' -F " + image.declared + ' ' + path(image.name) +
                         " 1M"));
        add_real(image.name);
    }
    const auto output = path("info.json");
    REQUIRE(
        std::system(("qemu-img info --backing-chain --output=json " + path("a/six") + " >" + output)
                        .c_str()) == 0);
    const auto oracle = nlohmann::json::parse(directory.read("info.json"));
    const auto links = chain("a/six");
    REQUIRE(oracle.size() == 7);
    REQUIRE(links.size() == oracle.size());
    for (std::size_t i = 0; i < links.size(); ++i) {
        CAPTURE(i, links[i].reference);
        auto name = oracle[i].at("filename").get<std::string>();
        name.erase(0, name.starts_with("file:") ? 5 : 0);
        CHECK(links[i].state == ok);
        CHECK(links[i].path == normalised_path(name));
        CHECK(links[i].format == oracle[i].at("format").get<std::string>());
    }
}
