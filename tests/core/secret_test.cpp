// SPDX-License-Identifier: LGPL-2.1-or-later
// Encrypted volumes through the whole library: what opens them, and that their secret is nowhere.
#include "canary.hpp"
#include "cheap_passphrases.hpp"
#include "dynamic_library.hpp"
#include "process_runner.hpp"
#include "scratch.hpp"
#include "secret_directory.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr auto uuid = "0f6bd0a0-5a8c-4bd1-8a51-6f3f2f0f7a11";

VolumeDef plain(const std::string& name, const std::string& format, std::uint64_t capacity = 0)
{
    auto def = raw_volume(name, capacity);
    def.target.format = format;
    return def;
}

/** With the secret that everybody knows by its uuid. */
VolumeDef encrypted(const std::string& name, const std::string& format,
                    const std::string& encryption, std::uint64_t capacity = 0)
{
    auto def = plain(name, format, capacity);
    def.target.encryption = Encryption{.format = encryption, .secrets = {{.uuid = uuid}}};
    return def;
}

/** Encrypted as its source is, key and all. */
VolumeDef same(const std::string& name, const std::string& format, const std::string& encryption)
{
    auto def = encrypted(name, format, encryption);
    def.target.encryption->secrets.clear();
    return def;
}

/** A context whose every word is kept, and shown to a canary. */
class Watched {
public:
    Watched() { ::mkdir((keys / "usage").c_str(), 0700), ::mkdir(volume_keys().c_str(), 0700); }

    void open(SecretCallback secrets)
    {
        auto options = scratch.options();
        options.secrets = std::move(secrets);
        context = std::make_unique<Context>(options);
        context->event_fd();
        if (!pool)
            pool = scratch.running_pool(*context);
        else
            pool = context->find_pool("pool");
    }

    /** Puts the passphrase where secret_directory() finds it for this name and path. */
    void add_key(const std::string& name)
    {
        const auto file = name == uuid ? keys / uuid : volume_keys() + '/' + secret_file_name(name);
        std::ofstream(file, std::ios::binary) << canary.passphrase();
        REQUIRE(::chmod(file.c_str(), 0600) == 0);
    }

    template <typename Call>
    void watch(Call&& call)
    {
        canary.watch([&] {
            job.set_dry_run(true);
            call(&job);
            keep_job();
            job.set_dry_run(false);
            call(&job);
        });
        keep_job();
    }

    /** The code of the error that the call throws. */
    template <typename Call>
    ErrorCode fails(Call&& call)
    {
        ErrorCode code{};
        canary.watch([&] {
            try {
                call(&job);
            } catch (const Error& error) {
                code = error.code();
                words += std::string(error.what()) + '\n' + error.remedy() + '\n' + error.detail() +
                         '\n' + to_json(error) + '\n';
            }
        });
        keep_job();
        return code;
    }

    std::vector<std::string> sightings()
    {
        while (const auto event = context->next_event())
            words += to_json(*event) + '\n';
        for (const auto& entry : pool->volume_entries())
            words += pool->find_volume(entry.name).xml();
        for (const auto& line : scratch.log)
            words += line + '\n';
        for (auto* secret : {&canary, &wrong}) {
            secret->look_at_text(words, "a text");
            secret->look_into(scratch.directory.path());
        }
        auto all = canary.sightings();
        for (const auto& place : wrong.sightings())
            all.push_back(place);
        return all;
    }

    std::string volume_keys() const { return keys / "usage/volume"; }

    CheapPassphrases cheap{200}; // as long as the canary needs to look around
    Scratch scratch{};
    TemporaryDirectory keys{}; // not in the scratch directory, where no passphrase may be
    Canary canary{};
    Canary wrong{};
    std::unique_ptr<Context> context{};
    std::optional<Pool> pool{};
    std::string words{};
    Job job{};

private:
    void keep_job()
    {
        for (const auto& steps : {job.plan(), job.trace()})
            for (const auto& step : steps)
                words += to_json(step) + '\n';
        for (const auto& [name, value] : job.facts())
            words += name + '=' + value + '\n';
    }
};

/** qemu-img, qemu-io and cryptsetup, told the passphrase. */
class Oracle {
public:
    bool usable() const
    {
        for (const auto* program : {"qemu-img", "qemu-io", "cryptsetup"})
            if (runner_.find_program(program).empty()) {
                WARN("skipped: needs " << program);
                return false;
            }
        try {
            const DynamicLibrary library("libcryptsetup.so.12", "libcryptsetup12",
                                         Unloading::never);
        } catch (const Error& error) {
            WARN("skipped: " << error.what());
            return false;
        }
        return true;
    }

    bool cryptsetup_opens(const Volume& volume, const std::string& passphrase)
    {
        Command command{
            .program = "cryptsetup",
            .arguments = {"open", "--test-passphrase", "--disable-locks", volume.path()},
            .accepted = {0, 2}}; // cryptsetup(8): 2 is a wrong passphrase
        command.arguments.push_back("--key-file=" + pass_secret(command, Secret(passphrase)));
        return runner_.run(command, nullptr).exit_status == 0;
    }

    /** What qemu-io does to what a guest sees in the image. @return whether it could */
    bool io(const Volume& volume, const std::string& format, const std::string& passphrase,
            const std::string& what)
    {
        Command command{.program = "qemu-io", .accepted = {0, 1}};
        auto options = "driver=" + format + ",file.filename=" + volume.path();
        if (!passphrase.empty()) {
            const auto file = pass_secret(command, Secret(passphrase));
            command.arguments = {"--object", "secret,id=key,file=" + file};
            options += (format == "luks" ? ",key-secret=key" : ",encrypt.key-secret=key");
        }
        command.arguments.insert(command.arguments.end(), {"-c", what, "--image-opts", options});
        return runner_.run(command, nullptr).exit_status == 0;
    }

private:
    ProcessRunner runner_{};
};

constexpr auto write_pattern = "write -P 0x5a 1M 2M";
constexpr auto read_pattern = "read -P 0x5a 1M 2M";

/** Every change of encrypted volumes. */
void exercise(Watched& all, Oracle& oracle)
{
    auto& pool = *all.pool;
    const auto& key = all.canary.passphrase();
    const auto find = [&](const char* name) { return pool.find_volume(name); };

    all.watch([&](Job* job) {
        pool.create_volume(encrypted("raw1", "raw", "luks", 4 * mib), {}, job);
        pool.create_volume(encrypted("raw2", "raw", "luks2", 4 * mib), {}, job);
        pool.create_volume(encrypted("image", "qcow2", "luks", 4 * mib), {}, job);
    });
    for (const auto* name : {"raw1", "raw2", "image"}) {
        INFO(name);
        CHECK(find(name).info().capacity == 4 * mib);
        CHECK(find(name).definition().capacity == 4 * mib);
        CHECK((find(name).definition().target.permissions.mode == 0600u));
    }
    REQUIRE(oracle.io(find("raw1"), "luks", key, write_pattern));
    REQUIRE(oracle.io(find("image"), "qcow2", key, write_pattern));
    CHECK(oracle.cryptsetup_opens(find("raw2"), key));
    CHECK_FALSE(oracle.cryptsetup_opens(find("raw2"), "another"));

    // Copies that keep the key need no secret; others are encrypted anew, or not at all.
    all.watch([&](Job* job) {
        pool.create_volume_from(same("raw1-same", "raw", "luks"), find("raw1"), {}, job);
        pool.create_volume_from(same("raw2-same", "raw", "luks2"), find("raw2"), {}, job);
        pool.create_volume_from(same("image-same", "qcow2", "luks"), find("image"), {}, job);
        auto larger = same("raw1-larger", "raw", "luks");
        larger.capacity = 6 * mib;
        pool.create_volume_from(larger, find("raw1"), {}, job);
        pool.create_volume_from(plain("raw1-plain", "raw"), find("raw1"), {}, job);
        pool.create_volume_from(plain("raw1-qcow2", "qcow2"), find("raw1"), {}, job);
        pool.create_volume_from(plain("image-raw", "raw"), find("image"), {}, job);
    });
    all.watch([&](Job* job) {
        if (job->is_dry_run()) // its source is not there yet
            return;
        pool.create_volume_from(encrypted("plain-image", "qcow2", "luks"), find("raw1-qcow2"), {},
                                job);
        pool.create_volume_from(encrypted("plain-raw1", "raw", "luks"), find("raw1-plain"), {},
                                job);
    });
    CHECK(all.scratch.directory.read("pool/raw2") == all.scratch.directory.read("pool/raw2-same"));
    CHECK(find("raw1-larger").info().capacity == 6 * mib);
    for (const auto* name : {"raw1-same", "raw1-larger", "plain-raw1"}) {
        INFO(name);
        CHECK(oracle.io(find(name), "luks", key, read_pattern));
    }
    for (const auto* name : {"image-same", "plain-image"}) {
        INFO(name);
        CHECK(find(name).info().capacity == 4 * mib);
        CHECK(oracle.io(find(name), "qcow2", key, read_pattern));
    }
    CHECK_FALSE(oracle.io(find("plain-image"), "qcow2", "another", read_pattern));
    for (const auto* name : {"raw1-plain", "image-raw"}) {
        INFO(name);
        CHECK(find(name).info() ==
              VolumeInfo{VolumeType::file, 4 * mib, find(name).info().allocation, 4 * mib});
        CHECK(oracle.io(find(name), "raw", "", read_pattern));
    }
    CHECK(oracle.io(find("raw1-qcow2"), "qcow2", "", read_pattern));

    for (const auto* name : {"raw1", "raw2", "image"}) {
        INFO(name);
        auto volume = find(name);
        all.watch([&](Job* job) { volume.resize(8 * mib + 1, {}, {}, job); });
        CHECK(volume.info().capacity == 8 * mib + 512);
        all.watch([&](Job* job) { volume.resize(3 * mib, ResizeFlags::shrink, {}, job); });
        CHECK(volume.info().capacity == 3 * mib);
        all.watch([&](Job* job) { volume.resize(5 * mib, ResizeFlags::allocate, {}, job); });
        CHECK(volume.info().capacity == 5 * mib);
        CHECK(all.fails([&](Job* job) { volume.resize(0, ResizeFlags::shrink, {}, job); }) ==
              ErrorCode::invalid_argument);
    }
    CHECK(oracle.cryptsetup_opens(find("raw2"), key));
    CHECK(oracle.io(find("raw1"), "luks", key, read_pattern));
    CHECK(oracle.io(find("image"), "qcow2", key, read_pattern));

    auto image = find("image");
    all.watch([&](Job* job) { image.create_snapshot("s", job); });
    REQUIRE(oracle.io(image, "qcow2", key, "write -P 1 1M 2M"));
    all.watch([&](Job* job) {
        if (!job->is_dry_run())
            image.revert_snapshot("s", job);
    });
    CHECK(oracle.io(image, "qcow2", key, read_pattern));

    // qemu-img knows version 1 only.
    CHECK(all.fails([&](Job* job) {
        pool.create_volume_from(encrypted("no", "raw", "luks2"), find("raw1-plain"), {}, job);
    }) == ErrorCode::not_supported);
    CHECK(all.fails([&](Job* job) {
        pool.create_volume_from(plain("no", "qcow2"), find("raw2"), {}, job);
    }) == ErrorCode::not_supported);
    CHECK(all.fails([&](Job* job) {
        pool.create_volume_from(plain("no", "qcow2"), find("raw1"), CreateFlags::linked, job);
    }) == ErrorCode::not_supported);
    // A copy of another format has no key to keep.
    CHECK(all.fails([&](Job* job) {
        pool.create_volume_from(same("no", "qcow2", "luks"), find("raw1"), {}, job);
    }) == ErrorCode::invalid_argument);
}

} // namespace

TEST_CASE("secrets from a callback open what was made and are seen nowhere", "[secret]")
{
    Oracle oracle;
    if (!oracle.usable())
        return;
    Watched all;
    std::vector<SecretRequest> requests;
    all.open([&](const SecretRequest& request) -> std::optional<Secret> {
        requests.push_back(request);
        return Secret(all.canary.passphrase());
    });
    exercise(all, oracle);
    // Asked by the definition's reference for what is made, by the path for what is there.
    const auto was_asked = [&](const SecretReference& reference, const std::string& volume) {
        return std::any_of(requests.begin(), requests.end(), [&](const auto& request) {
            return request.reference == reference && request.volume_name == volume &&
                   request.pool_name == "pool" && request.usage == SecretUsage::volume;
        });
    };
    CHECK(was_asked({.uuid = uuid}, "raw1"));
    CHECK(was_asked({.usage = all.scratch.target() + "/raw1"}, "raw1"));
    CHECK(all.canary.rounds() > 0);
    CHECK(all.sightings() == std::vector<std::string>{});
}

TEST_CASE("secrets from a directory open what was made and are seen nowhere", "[secret]")
{
    Oracle oracle;
    if (!oracle.usable())
        return;
    Watched all;
    all.add_key(uuid);
    all.open(secret_directory(all.keys.path()));
    auto& pool = *all.pool;
    all.watch([&](Job* job) {
        pool.create_volume(encrypted("raw1", "raw", "luks", 4 * mib), {}, job);
        pool.create_volume(encrypted("raw2", "raw", "luks2", 4 * mib), {}, job);
        pool.create_volume(encrypted("image", "qcow2", "luks", 4 * mib), {}, job);
    });
    const auto& key = all.canary.passphrase();
    REQUIRE(oracle.io(pool.find_volume("image"), "qcow2", key, write_pattern));
    CHECK(oracle.cryptsetup_opens(pool.find_volume("raw1"), key));
    CHECK(oracle.cryptsetup_opens(pool.find_volume("raw2"), key));
    const auto convert = [&](Job* job) {
        pool.create_volume_from(plain("plain", "raw"), pool.find_volume("image"), {}, job);
    };
    CHECK(all.fails(convert) == ErrorCode::not_found); // no file for its path
    all.add_key(all.scratch.target() + "/image");
    all.watch(convert);
    CHECK(oracle.io(pool.find_volume("plain"), "raw", "", read_pattern));
    all.watch([&](Job* job) { pool.find_volume("image").resize(8 * mib, {}, {}, job); });
    CHECK(oracle.io(pool.find_volume("image"), "qcow2", key, read_pattern));
    CHECK(all.sightings() == std::vector<std::string>{});
}

TEST_CASE("a wrong secret and a tool that fails leave no volume and tell nothing", "[secret]")
{
    Oracle oracle;
    if (!oracle.usable())
        return;
    Watched all;
    const auto answer = [](const Canary& canary) {
        return [&](const SecretRequest&) { return std::optional(Secret(canary.passphrase())); };
    };
    all.open(answer(all.canary));
    all.watch([&](Job* job) {
        all.pool->create_volume(encrypted("raw", "raw", "luks", 4 * mib), {}, job);
        all.pool->create_volume(encrypted("image", "qcow2", "luks", 4 * mib), {}, job);
        all.pool->create_volume(plain("plain", "raw", 4 * mib), {}, job);
    });

    all.open(answer(all.wrong));
    const auto everything_fails = [&](ErrorCode code) {
        auto& pool = *all.pool;
        for (const auto* name : {"raw", "image"})
            CHECK(all.fails([&](Job* job) {
                pool.create_volume_from(plain("no", "qcow2"), pool.find_volume(name), {}, job);
            }) == code);
        CHECK(all.fails([&](Job* job) {
            pool.find_volume("image").resize(8 * mib, {}, {}, job);
        }) == code);
        CHECK(all.fails([&](Job* job) { pool.find_volume("image").create_snapshot("s", job); }) ==
              code);
    };
    everything_fails(ErrorCode::command_failed);

    // A program that fails, and says all it was told, also what it should not.
    const auto& directory = all.scratch.directory;
    std::filesystem::create_directory(directory / "bin");
    directory.write("bin/qemu-img", "#!/bin/sh\necho told \"$@\" >&2\n"
                                    "cat /proc/self/fd/3 >&2\necho >&2\ncat /proc/self/fd/3\n"
                                    "exit 1\n");
    REQUIRE(::chmod((directory / "bin/qemu-img").c_str(), 0755) == 0);
    const std::string path = std::getenv("PATH");
    REQUIRE(::setenv("PATH", (directory / "bin:" + path).c_str(), 1) == 0);
    all.open(answer(all.canary)); // which looks for its programs there
    REQUIRE(::setenv("PATH", path.c_str(), 1) == 0);
    everything_fails(ErrorCode::command_failed);
    CHECK(all.words.find("told create") != std::string::npos); // it was that program
    CHECK(all.words.find("***") != std::string::npos);
    for (const auto* format : {"raw", "qcow2"})
        CHECK(all.fails([&](Job* job) {
            all.pool->create_volume_from(encrypted("no", format, "luks"),
                                         all.pool->find_volume("plain"), {}, job);
        }) == ErrorCode::command_failed);

    // No secret, and a callback that fails.
    all.open([](const SecretRequest&) -> std::optional<Secret> { return std::nullopt; });
    everything_fails(ErrorCode::not_found);
    for (const auto& [format, encryption] :
         {std::pair{"raw", "luks"}, {"raw", "luks2"}, {"qcow2", "luks"}})
        CHECK(all.fails([&, format = format, encryption = encryption](Job* job) {
            all.pool->create_volume(encrypted("no", format, encryption, mib), {}, job);
        }) == ErrorCode::not_found);

    CHECK(directory.count("pool") == 3);
    CHECK(oracle.cryptsetup_opens(all.pool->find_volume("raw"), all.canary.passphrase()));
    CHECK(oracle.io(all.pool->find_volume("image"), "qcow2", all.canary.passphrase(), "read 0 1M"));
    CHECK(all.sightings() == std::vector<std::string>{});
}
