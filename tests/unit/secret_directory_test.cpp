// SPDX-License-Identifier: LGPL-2.1-or-later
// Secrets from a directory, and that no secret gets anywhere else.
#include "secret_directory.hpp"

#include "canary.hpp"
#include "cheap_passphrases.hpp"
#include "luks_format.hpp"
#include "process_runner.hpp"
#include "processes.hpp"
#include "qemu_img.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

using namespace storage;

namespace {

constexpr const char* uuid = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f";

struct Keyring {
    TemporaryDirectory directory{};
    std::string root = directory / "keys";
    SecretCallback callback = secret_directory(root);

    Keyring()
    {
        for (const auto* name : {"", "/usage", "/usage/volume", "/usage/ceph", "/usage/iscsi"})
            REQUIRE(::mkdir((root + name).c_str(), 0700) == 0);
    }
    std::string add(const std::string& name, const std::string& bytes, mode_t mode = 0600)
    {
        directory.write("keys/" + name, bytes);
        ::chmod((root + '/' + name).c_str(), mode);
        return root + '/' + name;
    }
    std::optional<std::string> find(const SecretReference& reference,
                                    SecretUsage usage = SecretUsage::volume)
    {
        const auto secret = callback({.usage = usage, .reference = reference});
        return secret ? std::optional(std::string(secret->bytes())) : std::nullopt;
    }
    ErrorCode problem(const SecretReference& reference = {.uuid = uuid})
    {
        return error_code([&] { find(reference); });
    }
};

} // namespace

TEST_CASE("a secret is found by uuid and by usage, as its bytes are", "[secret]")
{
    Keyring keys;
    const std::string bytes("by\0tes\n", 7);
    keys.add(uuid, bytes);
    keys.add("usage/volume/%2Fsrv%2Fa.img", "of volume");
    keys.add("usage/ceph/client.admin%20secret", "of ceph");
    keys.add("usage/iscsi/%2Ehidden", "of iscsi");
    CHECK(keys.find({.uuid = uuid}) == bytes);
    CHECK(keys.find({.uuid = "0A81F5B2-8403-7B23-C8D6-21CCC2F80D6F"}) == bytes);
    CHECK(keys.find({.usage = "/srv/a.img"}) == "of volume");
    CHECK(keys.find({.usage = "client.admin secret"}, SecretUsage::ceph) == "of ceph");
    CHECK(keys.find({.usage = ".hidden"}, SecretUsage::iscsi) == "of iscsi");
    keys.add(uuid, "changed");
    CHECK(keys.find({.uuid = uuid}) == "changed");
}

TEST_CASE("a secret that is not there is none", "[secret]")
{
    Keyring keys;
    keys.add("usage/volume/a", "x");
    CHECK_FALSE(keys.find({.uuid = uuid}));
    CHECK_FALSE(keys.find({.usage = "b"}));
    CHECK_FALSE(keys.find({.usage = "a"}, SecretUsage::ceph));
    CHECK_FALSE(keys.find({}));
    CHECK_FALSE(keys.find({.uuid = "../usage/volume/a"}));
    CHECK_FALSE(keys.find({.usage = "../volume/a"}));
    CHECK_FALSE(keys.find({.usage = std::string(300, 'x')}));
    std::filesystem::remove_all(keys.root + "/usage");
    CHECK_FALSE(keys.find({.usage = "a"}));
    std::filesystem::remove_all(keys.root);
    CHECK(keys.problem() == ErrorCode::not_found);
    for (const auto* path : {"", "keys", "./keys"})
        CHECK(error_code([&] { secret_directory(path); }) == ErrorCode::invalid_argument);
}

TEST_CASE("usages become file names that are theirs alone", "[secret]")
{
    CHECK(secret_file_name("/srv/a.img") == "%2Fsrv%2Fa.img");
    CHECK(secret_file_name("..") == "%2E.");
    CHECK(secret_file_name(".") == "%2E");
    CHECK(secret_file_name("a%2Fb") == "a%252Fb");
    CHECK(secret_file_name("\xff\n ~") == "%FF%0A%20%7E");
    CHECK(secret_file_name(std::string(255, 'x')) == std::string(255, 'x'));
    CHECK(secret_file_name(std::string(256, 'x')).empty());
    CHECK(secret_file_name(std::string(86, '/')).empty());
}

TEST_CASE("a secret that others may use is refused, and the remedy named", "[secret]")
{
    Keyring keys;
    for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644}) {
        const auto path = keys.add(uuid, "x", mode);
        try {
            keys.find({.uuid = uuid});
            FAIL("no error for mode " << mode);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::permission_denied);
            CHECK(std::string(error.what()) == '\'' + path + "': a secret that others may use");
            CHECK(error.remedy() == "chmod 600 '" + path + '\'');
        }
    }
    keys.add(uuid, "x", 0400);
    CHECK(keys.find({.uuid = uuid}) == "x");
}

TEST_CASE("a directory that others may write is refused", "[secret]")
{
    Keyring keys;
    keys.add("usage/volume/a", "x");
    for (const auto* name : {"", "/usage", "/usage/volume"})
        for (const mode_t mode : {0770, 0702, 0777}) {
            ::chmod((keys.root + name).c_str(), mode);
            CHECK(keys.problem({.usage = "a"}) == ErrorCode::permission_denied);
            ::chmod((keys.root + name).c_str(), 0755);
            CHECK(keys.find({.usage = "a"}) == "x");
        }
}

TEST_CASE("a secret of another user is refused", "[secret]")
{
    if (::geteuid() != 0) {
        WARN("skipped: giving a file away needs root");
        return;
    }
    Keyring keys;
    const auto path = keys.add(uuid, "x");
    REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
    CHECK(keys.problem() == ErrorCode::permission_denied);
    REQUIRE(::chown(path.c_str(), 0, 12345) == 0);
    CHECK(keys.find({.uuid = uuid}) == "x");
    REQUIRE(::chown(keys.root.c_str(), 12345, 0) == 0);
    CHECK(keys.problem() == ErrorCode::permission_denied);
}

TEST_CASE("links are followed within the directory only", "[secret]")
{
    Keyring keys;
    keys.add(uuid, "inside");
    keys.directory.write("outside", "outside");
    ::chmod((keys.directory / "outside").c_str(), 0600);
    const auto link = [&](const std::string& target) {
        const auto path = keys.root + "/usage/volume/a";
        std::filesystem::remove(path);
        std::filesystem::create_symlink(target, path);
    };
    link(std::string("../../") + uuid);
    CHECK(keys.find({.usage = "a"}) == "inside");
    for (const auto& target : {std::string("../../../outside"), keys.directory / "outside",
                               keys.root + '/' + uuid, std::string("/proc/self/cwd")}) {
        link(target);
        CHECK(keys.problem({.usage = "a"}) == ErrorCode::permission_denied);
    }
    link("../../missing");
    CHECK_FALSE(keys.find({.usage = "a"}));
    link("a");
    CHECK(keys.problem({.usage = "a"}) == ErrorCode::io);
    std::filesystem::remove_all(keys.root + "/usage");
    std::filesystem::create_directories(keys.directory / "elsewhere/volume");
    std::filesystem::create_symlink("../elsewhere", keys.root + "/usage");
    CHECK(keys.problem({.usage = "a"}) == ErrorCode::permission_denied);
}

TEST_CASE("what is no file of a sensible size is no secret", "[secret]")
{
    Keyring keys;
    keys.add(uuid, std::string(secret_size_limit, 'x'));
    CHECK(keys.find({.uuid = uuid})->size() == secret_size_limit);
    keys.add(uuid, std::string(secret_size_limit + 1, 'x'));
    CHECK(keys.problem() == ErrorCode::invalid_argument);
    keys.add(uuid, "");
    CHECK(keys.problem() == ErrorCode::invalid_argument);
    std::filesystem::remove(keys.root + '/' + uuid);
    REQUIRE(::mkfifo((keys.root + '/' + uuid).c_str(), 0600) == 0);
    CHECK(keys.problem() == ErrorCode::invalid_argument);
    std::filesystem::remove(keys.root + '/' + uuid);
    std::filesystem::create_directory(keys.root + '/' + uuid);
    CHECK(keys.problem() == ErrorCode::invalid_argument);
}

TEST_CASE("a canary sees a secret that gets out", "[canary]")
{
    Canary canary;
    TemporaryDirectory directory;
    ProcessRunner runner;
    // Each says a word, and is watched from then on.
    const auto until_seen = [&](Command command) {
        Job job;
        command.on_output = [&](std::string_view) {
            const auto seen = canary.rounds();
            CHECK(comes_true([&] { return canary.rounds() >= seen + 2; }));
            job.cancel();
        };
        CHECK(error_code([&] { runner.run(command, &job); }) == ErrorCode::cancelled);
    };
    canary.watch([&] {
        until_seen(
            {.program = "sh", .arguments = {"-c", "echo; sleep 1000; :", canary.passphrase()}});
    });
    CHECK(canary.sightings() == std::vector<std::string>{"cmdline of a process"});
    canary.watch([&] {
        until_seen(
            {.program = "sh",
             .arguments = {"-c",
                           "export V=$(cat /proc/self/fd/3); exec sh -c 'echo; sleep 1000; :'"},
             .secrets = {Secret(canary.passphrase())}});
    });
    CHECK(canary.sightings() ==
          std::vector<std::string>{"cmdline of a process", "environ of a process"});
    directory.write("file", std::string((1 << 20) - 5, 'x') + canary.passphrase() + "x");
    canary.look_into(directory.path());
    canary.look_at_text("a " + canary.passphrase(), "text");
    CHECK(canary.sightings() == std::vector<std::string>{directory / "file", "cmdline of a process",
                                                         "environ of a process", "text"});
}

TEST_CASE("a passphrase is in no argument, environment, file, progress or error", "[canary]")
{
    Canary canary;
    TemporaryDirectory directory;
    TemporaryDirectory temporary; // what the programs take for /tmp
    ProcessRunner runner("/usr/bin", "", temporary.path());
    if (runner.find_program("qemu-img").empty()) {
        WARN("skipped: no qemu-img");
        return;
    }
    const Secret secret(canary.passphrase());
    constexpr std::uint64_t size = 2 << 20;
    const CheapPassphrases cheap;
    std::string said;
    const auto fails = [&](const auto& call) {
        try {
            call();
        } catch (const Error& error) {
            said += std::string(error.what()) + error.remedy() + error.detail();
            return true;
        }
        return false;
    };
    canary.watch([&] {
        directory.write("plain", std::string(size, 'x'));
        const QemuImage plain{.path = directory / "plain", .format = "raw", .virtual_size = size};
        const QemuImage raw{
            .path = directory / "raw", .format = "luks", .secret = secret, .virtual_size = size};
        const QemuImage qcow2{.path = directory / "qcow2", .format = "qcow2", .secret = secret};
        Job job;
        job.set_progress_callback([&](const Progress& progress) { said += progress.phase; });
        qemu_img_convert(runner, plain, raw, {}, &job);
        qemu_img_convert(runner, raw, qcow2, {}, &job);
        for (const auto& step : job.trace())
            said += to_json(step);

        auto wrong = raw;
        wrong.secret = Secret(canary.passphrase() + "-wrong");
        CHECK(fails([&] { qemu_img_resize(runner, wrong, {.capacity = 2 * size}, nullptr); }));
        wrong.path = directory / "missing";
        CHECK(fails([&] { qemu_img_resize(runner, wrong, {.capacity = 2 * size}, nullptr); }));

        directory.write("luks", "");
        const LuksFormat format{.capacity = size, .iterations = 1000};
        // Where the library is missing, qemu-img alone is watched.
        if (!fails([&] { format_luks(directory / "luks", format, secret, nullptr); }))
            CHECK(fails([&] { format_luks("/dev/null", format, secret, nullptr); }));
    });
    CHECK(canary.rounds() > 10);
    CHECK_FALSE(said.empty());
    canary.look_into(directory.path());
    canary.look_into(temporary.path());
    canary.look_at_text(said, "what was said");
    CHECK(canary.sightings() == std::vector<std::string>{});
}
