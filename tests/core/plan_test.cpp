// SPDX-License-Identifier: LGPL-2.1-or-later
// What a dry run tells is what happens: the programs' arguments, and what is refused.
#include "scratch.hpp"

#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <regex>
#include <sstream>
#include <sys/stat.h>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/** A context whose qemu-img writes down what it is given, and does it. */
class Stage {
public:
    Stage()
    {
        std::filesystem::create_directories(directory() / "bin");
        std::filesystem::create_directory(directory() / "secrets");
        directory().write("secrets/key", "the pass phrase");
        REQUIRE(::chmod((directory() / "secrets").c_str(), 0700) == 0);
        REQUIRE(::chmod((directory() / "secrets/key").c_str(), 0600) == 0);
        directory().write("bin/qemu-img", "#!/bin/sh\nprintf '%s\\n' qemu-img \"$@\" '&&' >>" +
                                              seen_path() + "\nPATH=${PATH#*:}\n" +
                                              "exec qemu-img \"$@\"\n");
        REQUIRE(::chmod((directory() / "bin/qemu-img").c_str(), 0755) == 0);
        const std::string path = std::getenv("PATH");
        REQUIRE(::setenv("PATH", (directory() / "bin:" + path).c_str(), 1) == 0);
        auto options = scratch.options();
        options.secrets = [](const SecretRequest&) { return Secret("the pass phrase"); };
        context.emplace(options);
        REQUIRE(::setenv("PATH", path.c_str(), 1) == 0);
        pool.emplace(scratch.running_pool(*context));
    }

    TemporaryDirectory& directory() { return scratch.directory; }

    /** What qemu-img was given since the last time, as a record shows it. */
    std::vector<std::string> seen()
    {
        static const std::regex hidden("/\\.basin[^/]*/"), descriptor("/proc/self/fd/[0-9]+");
        std::vector<std::string> words;
        std::istringstream lines(std::filesystem::exists(seen_path()) ? directory().read("seen")
                                                                      : std::string());
        for (std::string line; std::getline(lines, line);)
            words.push_back(
                std::regex_replace(std::regex_replace(line, hidden, "/"), descriptor, "***"));
        if (!words.empty())
            words.pop_back(); // the last "&&"
        std::filesystem::remove(seen_path());
        return words;
    }

    /** Has call planned and done, and compares what was told with what was run. */
    template <typename Call>
    void compare(const std::string& what, Call&& call)
    {
        INFO(what);
        Job dry;
        dry.set_dry_run(true);
        call(&dry);
        CHECK(seen().empty());
        REQUIRE(dry.plan().size() == 1);
        Job job;
        call(&job);
        CHECK(dry.plan()[0].call == seen());
        CHECK(job.plan() == dry.plan());
        CHECK(job.trace() == dry.plan());
    }

    Scratch scratch{};
    std::optional<Context> context{};
    std::optional<Pool> pool{};

private:
    std::string seen_path() { return directory() / "seen"; }
};

bool have_qemu_img()
{
    if (std::system("command -v qemu-img >/dev/null 2>&1") == 0)
        return true;
    WARN("skipped: no qemu-img");
    return false;
}

VolumeDef volume_def(const std::string& name, const std::string& format,
                     std::uint64_t capacity = 4 * mib)
{
    auto def = raw_volume(name, capacity);
    def.target.format = format;
    return def;
}

} // namespace

TEST_CASE("the record of a step has the arguments that qemu-img is given", "[plan]")
{
    if (!have_qemu_img())
        return;
    Stage stage;
    auto& pool = *stage.pool;
    for (const auto format : {"qcow", "qed", "vmdk", "vdi", "vpc", "parallels"})
        stage.compare(std::string("create ") + format, [&](Job* job) {
            pool.create_volume(volume_def(std::string("a,=") + format, format), {}, job);
        });
    auto locked = volume_def("locked", "qcow2");
    locked.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "key"}}};
    stage.compare("create encrypted", [&](Job* job) { pool.create_volume(locked, {}, job); });
    auto secret = pool.find_volume("locked");
    auto image = pool.create_volume(volume_def("image", "qcow2"));

    stage.compare("convert", [&](Job* job) {
        pool.create_volume_from(volume_def("b", "vdi"), image, {}, job);
    });
    stage.compare("convert to a larger one", [&](Job* job) {
        pool.create_volume_from(volume_def("c", "vmdk", 8 * mib), image, {}, job);
    });
    stage.compare("convert from what is encrypted", [&](Job* job) {
        pool.create_volume_from(volume_def("d", "raw"), secret, {}, job);
    });
    auto again = locked;
    again.name = "again";
    stage.compare("encrypt", [&](Job* job) { pool.create_volume_from(again, image, {}, job); });

    stage.compare("grow and allocate",
                  [&](Job* job) { image.resize(8 * mib, ResizeFlags::allocate, {}, job); });
    stage.compare("shrink", [&](Job* job) { image.resize(mib, ResizeFlags::shrink, {}, job); });
    stage.compare("grow what is encrypted", [&](Job* job) { secret.resize(8 * mib, {}, {}, job); });
    stage.compare("grow qed",
                  [&](Job* job) { pool.find_volume("a,=qed").resize(8 * mib, {}, {}, job); });

    for (auto* volume : {&image, &secret}) {
        stage.compare("snapshot", [&](Job* job) { volume->create_snapshot("s,1", job); });
        stage.compare("revert", [&](Job* job) { volume->revert_snapshot("s,1", job); });
        stage.compare("delete", [&](Job* job) { volume->delete_snapshot("s,1", job); });
    }
    auto linked =
        pool.create_volume_from(volume_def("linked", "qcow2", 0), image, CreateFlags::linked);
    stage.seen();
    stage.compare("flatten", [&](Job* job) { linked.flatten(job); });
}

TEST_CASE("the record of a step has the calls that it makes", "[plan]")
{
    Stage stage;
    auto& pool = *stage.pool;
    using Words = std::vector<std::string>;
    const auto call = [&](auto&& work) {
        Job job;
        work(&job);
        REQUIRE(job.trace().size() == 1);
        return job.trace()[0].call;
    };
    const auto path = pool.definition().target.path + "/raw";
    CHECK(call([&](Job* job) { pool.create_volume(raw_volume("raw", mib, 4096), {}, job); }) ==
          Words{"ftruncate", path, "1048576", "&&", "fallocate", path, "0", "4096", "&&", "linkat",
                path});
    auto raw = pool.find_volume("raw");
    CHECK(call([&](Job* job) { raw.resize(2 * mib, ResizeFlags::allocate, {}, job); }) ==
          Words{"fallocate", path, "1048576", "1048576", "&&", "ftruncate", path, "2097152"});
    CHECK(call([&](Job* job) { raw.resize(3 * mib, {}, {}, job); }) ==
          Words{"ftruncate", path, "3145728"});
    // A matter of the header: no program runs.
    auto image = pool.create_volume(volume_def("image", "qcow2"));
    CHECK(call([&](Job* job) { image.resize(8 * mib, {}, {}, job); }) ==
          Words{"pwrite", image.path()});
    CHECK(image.info().capacity == 8 * mib);
    CHECK(stage.seen().empty());
}
