// SPDX-License-Identifier: LGPL-2.1-or-later
// What a dry run tells is what happens: the programs' arguments, and what is refused.
#include "cheap_passphrases.hpp"
#include "luks_format.hpp"
#include "scratch.hpp"

#include <algorithm>
#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <linux/magic.h>
#include <regex>
#include <sstream>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

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

    /** What qemu-img was given since the last time, as a record shows it. Attempts of the same are
     * one: QEMU 7.2 sometimes fails to measure the CPU for a passphrase, and is run again. */
    std::vector<std::string> seen()
    {
        static const std::regex hidden("/proc/self/fd/[0-9]+/"), descriptor("/proc/self/fd/[0-9]+");
        std::vector<std::string> words, call, before;
        std::istringstream lines(std::filesystem::exists(seen_path()) ? directory().read("seen")
                                                                      : std::string());
        for (std::string line; std::getline(lines, line);) {
            call.push_back(std::regex_replace(
                std::regex_replace(line, hidden, scratch.target() + '/'), descriptor, "***"));
            if (line != "&&")
                continue;
            if (call != before)
                words.insert(words.end(), call.begin(), call.end());
            before = std::exchange(call, {});
        }
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
    const CheapPassphrases cheap;
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
    auto image = pool.create_volume(volume_def("image", "qcow2"));
    if (have_qemu_img()) {
        const auto back = pool.definition().target.path + "/back";
        const auto words = call([&](Job* job) {
            pool.create_volume_from(raw_volume("back", 0, 4096), image, {}, job);
        });
        const Words last{"&&", "fallocate", back, "0", "4096"};
        CHECK(std::search(words.begin(), words.end(), last.begin(), last.end()) != words.end());
        stage.seen();
    }
    // A matter of the header: no program runs.
    CHECK(call([&](Job* job) { image.resize(8 * mib, {}, {}, job); }) ==
          Words{"pwrite", image.path()});
    CHECK(image.info().capacity == 8 * mib);
    // What fills a new file is told, also where the way is found out meanwhile.
    const auto at = [&](const std::string& name) { return path.substr(0, path.size() - 3) + name; };
    CHECK(call([&](Job* job) { pool.create_volume(volume_def("new", "qcow2"), {}, job); }) ==
          Words{"pwrite", at("new"), "&&", "linkat", at("new")});
    for (const auto* format : {"raw", "qcow2"}) {
        const auto copy = std::string("copy of ") + format;
        auto def = volume_def(copy, format, 0);
        def.allocation = 0;
        CHECK(call([&](Job* job) {
                  pool.create_volume_from(def, *format == 'r' ? raw : image, {}, job);
              }) == Words{"copy", at(*format == 'r' ? "raw" : "image"), at(copy), "&&", "linkat",
                          at(copy)});
    }
    const auto larger = [&](const std::string& name, CreateFlags flags) {
        return call([&](Job* job) {
            pool.create_volume_from(raw_volume(name, 4 * mib, 0), raw, flags, job);
        });
    };
    CHECK(larger("larger", {}) == Words{"copy", path, at("larger"), "&&", "ftruncate", at("larger"),
                                        "4194304", "&&", "linkat", at("larger")});
    CHECK(larger("full", CreateFlags::prealloc_full) ==
          Words{"copy",     path,     at("full"), "&&",      "ftruncate", at("full"), "4194304",
                "&&",       "pwrite", at("full"), "3145728", "1048576",   "&&",       "fallocate",
                at("full"), "0",      "3145728",  "&&",      "linkat",    at("full")});
    const auto encrypted = [&](CreateFlags flags) {
        auto locked = raw_volume("locked", mib, 4096);
        locked.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "key"}}};
        Job job;
        job.set_dry_run(true);
        pool.create_volume(locked, flags, &job);
        REQUIRE(job.plan().size() == 1);
        return job.plan()[0].call;
    };
    const auto header = luks_payload_offset(1);
    const auto locked_with = [&](const Words& last) {
        Words words{"ftruncate",  at("locked"), std::to_string(header + mib), "&&", "fallocate",
                    at("locked"), "0",          std::to_string(header),       "&&", "crypt_format",
                    at("locked"), "&&"};
        words.insert(words.end(), last.begin(), last.end());
        words.insert(words.end(), {"&&", "linkat", at("locked")});
        return words;
    };
    CHECK(encrypted({}) ==
          locked_with({"fallocate", at("locked"), "0", std::to_string(header + 4096)}));
    CHECK(encrypted(CreateFlags::prealloc_full) ==
          locked_with({"pwrite", at("locked"), std::to_string(header), "1048576"}));
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    CHECK(call([&](Job* job) { pool.upload_volume(volume_def("sent", "raw"), fd, {}, job); }) ==
          Words{"write", at("sent"), "&&", "linkat", at("sent")});
    ::close(fd);
    CHECK(stage.seen().empty());

    auto def = pool.definition();
    pool.stop();
    const auto build = [&](const Permissions& permissions) {
        def.target.permissions = permissions;
        pool = stage.context->define_pool(def);
        return call([&](Job* job) { pool.build(BuildMode::keep, job); });
    };
    const auto target = def.target.path;
    CHECK(build({}) == Words{"stat", target});
    CHECK(build({.mode = 0750}) == Words{"fchmod", target, "0750"});
    CHECK(build({.mode = 0700, .group = ::getegid()}) == Words{"fchown", target, "-1",
                                                               std::to_string(::getegid()), "&&",
                                                               "fchmod", target, "0700"});
}

TEST_CASE("a dry run refuses what the call refuses", "[plan]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto check = [&](const std::string& what, ErrorCode code, auto&& call) {
        INFO(what);
        Job dry;
        dry.set_dry_run(true);
        const auto message = [&](Job* job) -> std::string {
            try {
                call(job);
            } catch (const Error& error) {
                CHECK(error.code() == code);
                return error.what();
            }
            return "no error";
        };
        const auto planned = message(&dry);
        CHECK(planned != "no error");
        CHECK(dry.plan().empty());
        CHECK(message(nullptr) == planned);
    };

    std::filesystem::create_directories(scratch.target() + "/folder/inside");
    pool.refresh();
    check("delete a directory", ErrorCode::busy,
          [&](Job* job) { pool.find_volume("folder").delete_storage({}, job); });

    scratch.directory.write("file", std::string(2 * mib, 'x'));
    const int fd = ::open((scratch.directory / "file").c_str(), O_RDONLY | O_CLOEXEC);
    auto raw = pool.create_volume(raw_volume("raw", mib));
    const auto upload = [&](const std::string& what, ErrorCode code, const TransferOptions& how) {
        check("upload " + what, code, [&](Job* job) {
            ::lseek(fd, 0, SEEK_SET);
            raw.upload(fd, how, job);
        });
        check("upload as a volume " + what, code, [&](Job* job) {
            ::lseek(fd, 0, SEEK_SET);
            pool.upload_volume(raw_volume("sent", mib), fd, how, job);
        });
    };
    struct statfs system {};
    if (::statfs(scratch.target().c_str(), &system) == 0 && system.f_type != BTRFS_SUPER_MAGIC) {
        auto def = raw_volume("nocow", mib);
        def.target.nocow = true;
        check("copy-on-write switched off where there is no switch", ErrorCode::not_supported,
              [&](Job* job) { pool.create_volume(def, {}, job); });
        auto other = scratch.dir_pool("other");
        std::filesystem::create_directory(other.target.path);
        other.copy_on_write = false;
        auto built = context.define_pool(other);
        check("a build that switches it off there", ErrorCode::not_supported,
              [&](Job* job) { built.build(BuildMode::keep, job); });
    }
    upload("too much", ErrorCode::invalid_argument, {});
    upload("too much of it", ErrorCode::invalid_argument, {.length = 2 * mib});
    upload("other than expected", ErrorCode::invalid_argument, {.expected_length = 3 * mib});
    upload("no digest", ErrorCode::invalid_argument, {.length = mib, .expected_sha256 = "x"});
    ::close(fd);
    check("upload from nowhere", ErrorCode::invalid_argument,
          [&](Job* job) { raw.upload(-1, {}, job); });
    CHECK(scratch.directory.read("pool/raw") == std::string(mib, '\0'));
    scratch.directory.write("short", "four");
    const int file = ::open((scratch.directory / "short").c_str(), O_RDONLY | O_CLOEXEC);
    check("upload that ends early", ErrorCode::io, [&](Job* job) {
        ::lseek(file, 0, SEEK_SET);
        raw.upload(file, {.expected_length = 5}, job);
    });
    check("upload that goes on elsewhere", ErrorCode::invalid_argument, [&](Job* job) {
        pool.upload_volume(raw_volume("sent", mib), file, {.offset = 2, .resumable = true}, job);
    });
    ::close(file);
    auto image = pool.create_volume(volume_def("image", "qcow2"));
    check("a capacity that no image has", ErrorCode::invalid_argument,
          [&](Job* job) { image.resize(std::uint64_t{1} << 60, {}, {}, job); });
    check("a snapshot that is a number", ErrorCode::invalid_argument,
          [&](Job* job) { image.create_snapshot("1", job); });

    if (have_qemu_img()) {
        auto qed = pool.create_volume(volume_def("qed", "qed"));
        check("allocate qed", ErrorCode::not_supported,
              [&](Job* job) { qed.resize(8 * mib, ResizeFlags::allocate, {}, job); });
        auto parallels = pool.create_volume(volume_def("parallels", "parallels"));
        check("grow parallels", ErrorCode::not_supported,
              [&](Job* job) { parallels.resize(8 * mib, {}, {}, job); });
        auto def = volume_def("old", "qcow2");
        def.target.compat = "0.10";
        auto old = pool.create_volume(def);
        old.create_snapshot("s");
        check("grow compat 0.10 with snapshots", ErrorCode::not_supported,
              [&](Job* job) { old.resize(8 * mib, {}, {}, job); });
        image.resize(2 * mib, ResizeFlags::shrink | ResizeFlags::allocate); // nothing is added
        image.resize(2 * mib, ResizeFlags::allocate);
        auto vdi = volume_def("new", "vdi");
        check("falloc of vdi", ErrorCode::not_supported,
              [&](Job* job) { pool.create_volume(vdi, CreateFlags::prealloc_falloc, job); });
        check("falloc of vdi from another", ErrorCode::not_supported, [&](Job* job) {
            pool.create_volume_from(vdi, raw, CreateFlags::prealloc_falloc, job);
        });
    }

    pool.stop();
    check("delete a pool", ErrorCode::busy, [&](Job* job) { pool.delete_storage({}, job); });
}
