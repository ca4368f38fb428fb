// SPDX-License-Identifier: LGPL-2.1-or-later
// LUKS containers that basin makes, judged by cryptsetup, qemu-img and basin's own inspector.
#include "luks_format.hpp"

#include "cheap_passphrases.hpp"
#include "dynamic_library.hpp"
#include "file_io.hpp"
#include "mounts.hpp"
#include "process_runner.hpp"
#include "processes.hpp"
#include "qemu_img.hpp"
#include "scratch.hpp"

#include <basin/image.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace storage;

namespace {

constexpr std::uint64_t megabyte = 1 << 20;

struct Containers {
    TemporaryDirectory directory{};
    ProcessRunner runner{};

    bool usable(const char* oracle) const
    {
        try {
            const DynamicLibrary library("libcryptsetup.so.12", "libcryptsetup12",
                                         Unloading::never);
        } catch (const Error& error) {
            WARN("skipped: " << error.what());
            return false;
        }
        if (!runner.find_program(oracle).empty())
            return true;
        WARN("skipped: no " << oracle);
        return false;
    }

    std::string make(const LuksFormat& format, const Secret& secret)
    {
        const auto path = directory / "container";
        std::filesystem::remove(path);
        directory.write("container", "");
        format_luks(path, format, secret, nullptr);
        return path;
    }

    bool opens(const std::string& path, const Secret& secret)
    {
        Command command{.program = "cryptsetup",
                        .arguments = {"open", "--test-passphrase", "--disable-locks", path}};
        command.arguments.push_back("--key-file=" + pass_secret(command, secret));
        command.accepted = {0, 2}; // cryptsetup(8): 2 is a wrong passphrase
        return runner.run(command, nullptr).exit_status == 0;
    }

    std::string dump(const std::string& path)
    {
        return runner.run({.program = "cryptsetup", .arguments = {"luksDump", path}}, nullptr)
            .output;
    }
};

LuksFormat quick(int version, const Encryption& encryption = {})
{
    return {.version = version,
            .capacity = 4 * megabyte,
            .encryption = encryption,
            .iterations = version == 1 ? 1000U : 4U};
}

Encryption cipher(const std::string& name, std::uint32_t size, const std::string& mode,
                  const std::string& hash, const std::string& ivgen, const std::string& ivhash = "")
{
    return {.format = "luks",
            .cipher = Encryption::Cipher{name, size, mode, hash},
            .ivgen = Encryption::IvGen{ivgen, ivhash}};
}

ImageInfo inspected(const std::string& path)
{
    return inspect_image(open_file(path, O_RDONLY).get());
}

} // namespace

TEST_CASE("cryptsetup opens both versions with the passphrase and no other", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    const Secret secret(std::string("pass\0phrase\n", 12));
    for (const int version : {1, 2}) {
        const auto path = containers.make(quick(version), secret);
        INFO(version);
        CHECK(containers.opens(path, secret));
        CHECK_FALSE(containers.opens(path, Secret("pass")));
        CHECK_FALSE(containers.opens(path, Secret(std::string("pass\0phrase", 11))));
        CHECK(std::filesystem::file_size(path) == luks_payload_offset(version) + 4 * megabyte);

        const auto info = inspected(path);
        CHECK(info.findings.empty());
        CHECK(info.format == ImageFormat::luks);
        CHECK(info.version == std::to_string(version));
        CHECK(info.payload_offset == luks_payload_offset(version));
        CHECK(info.virtual_size == 4 * megabyte);
        CHECK(info.encryption->cipher == Encryption::Cipher{"aes", 256, "xts", "sha256"});
        CHECK(info.encryption->ivgen == Encryption::IvGen{"plain64", ""});
    }
}

TEST_CASE("every combination of cipher, mode, hash and ivgen is what cryptsetup sees", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    int made = 0;
    for (const int version : {1, 2})
        for (const auto& wanted : {
                 cipher("aes", 128, "xts", "sha256", "plain64"),
                 cipher("aes", 256, "xts", "sha512", "plain"),
                 cipher("aes", 128, "cbc", "sha1", "plain64"),
                 cipher("aes", 192, "cbc", "sha256", "plain"),
                 cipher("aes", 256, "cbc", "sha256", "essiv", "sha256"),
                 cipher("aes", 256, "ctr", "sha256", "plain64"),
                 cipher("aes", 192, "ctr", "sha512", "essiv", "sha256"),
                 cipher("serpent", 256, "xts", "sha256", "plain64"),
                 cipher("serpent", 128, "cbc", "sha512", "essiv", "sha256"),
                 cipher("twofish", 256, "xts", "sha256", "plain64"),
                 cipher("twofish", 192, "cbc", "sha256", "plain64"),
                 cipher("cast5", 128, "cbc", "sha256", "plain64"),
             }) {
            const auto& c = *wanted.cipher;
            INFO("LUKS" << version << ' ' << c.name << '-' << c.size << '-' << c.mode << ' '
                        << c.hash << ' ' << wanted.ivgen->name);
            std::string path;
            const auto problem = error_code(
                [&] { path = containers.make(quick(version, wanted), Secret("secret")); });
            if (c.name != "aes" && problem == ErrorCode::not_supported)
                continue; // this kernel has none
            REQUIRE(problem == ErrorCode{});
            ++made;
            CHECK(containers.opens(path, Secret("secret")));
            CHECK_FALSE(containers.opens(path, Secret("Secret")));
            const auto info = inspected(path);
            REQUIRE(info.encryption.has_value());
            auto seen = *info.encryption->cipher;
            if (version == 2)
                seen.hash = c.hash; // there it belongs to a key slot
            CHECK(seen == c);
            CHECK(info.encryption->ivgen == wanted.ivgen);

            const auto dump = containers.dump(path);
            const auto iv =
                wanted.ivgen->name + (wanted.ivgen->hash.empty() ? "" : ':' + wanted.ivgen->hash);
            CHECK(dump.find(c.mode + '-' + iv) != std::string::npos);
            CHECK(dump.find(c.hash) != std::string::npos);
        }
    CHECK(made >= 14);
}

TEST_CASE("the cost of a passphrase is measured and bounded", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    auto format = quick(2);
    format.iterations = 0;
    const auto dump = containers.dump(containers.make(format, Secret("secret")));
    INFO(dump);
    CHECK(dump.find("PBKDF:      argon2id") != std::string::npos);
    CHECK(dump.find("Threads:    1") != std::string::npos);
    const auto memory = dump.find("Memory:");
    REQUIRE(memory != std::string::npos);
    const auto kilobytes = std::stoul(dump.substr(memory + 7));
    CHECK(kilobytes > 32);
    CHECK(kilobytes <= 64 << 10);

    format.version = 1;
    const auto first = containers.dump(containers.make(format, Secret("secret")));
    const auto iterations = [](const std::string& text) {
        const auto at = text.find("Iterations:");
        REQUIRE(at != std::string::npos);
        return std::stoul(text.substr(at + 11));
    };
    // Of what 2 s and 10 ms of one machine give, whatever that is, one is many times the other.
    const CheapPassphrases cheap(10);
    const auto least = iterations(containers.dump(containers.make(format, Secret("secret"))));
    CHECK(iterations(first) > 20 * least);
    format.iterations = 1234;
    CHECK(containers.dump(containers.make(format, Secret("x"))).find("1234") != std::string::npos);
}

TEST_CASE("qemu-img reads and fills containers of version 1", "[luks]")
{
    Containers containers;
    if (!containers.usable("qemu-img"))
        return;
    const auto bytes =
        std::string(4 * megabyte / 16, 'x') + std::string(4 * megabyte * 15 / 16, 'y');
    containers.directory.write("plain", bytes);
    for (const auto& encryption : {cipher("aes", 256, "xts", "sha256", "plain64"),
                                   cipher("aes", 256, "cbc", "sha512", "essiv", "sha256"),
                                   cipher("aes", 128, "ctr", "sha1", "plain"),
                                   cipher("aes", 128, "cbc", "sha256", "plain64")}) {
        INFO(encryption.cipher->mode);
        const auto path = containers.make(quick(1, encryption), Secret("secret"));
        Command fill{.program = "qemu-img",
                     .arguments = {"convert", "-n", "--image-opts", "--target-image-opts"}};
        const auto object = "secret,id=s,file=" + pass_secret(fill, Secret("secret"));
        fill.arguments.insert(fill.arguments.end(),
                              {"--object", object,
                               "driver=raw,file.filename=" + containers.directory / "plain",
                               "driver=luks,key-secret=s,file.filename=" + path});
        containers.runner.run(fill, nullptr);
        qemu_img_convert(containers.runner,
                         {.path = path, .format = "luks", .secret = Secret("secret")},
                         {.path = containers.directory / "back", .format = "raw"},
                         {.capacity = 4 * megabyte}, nullptr);
        CHECK((containers.directory.read("back") == bytes));
        CHECK(error_code([&] {
                  qemu_img_convert(containers.runner,
                                   {.path = path, .format = "luks", .secret = Secret("other")},
                                   {.path = containers.directory / "back", .format = "raw"},
                                   {.capacity = 4 * megabyte}, nullptr);
              }) == ErrorCode::command_failed);
    }
}

TEST_CASE("a container is made in a file without a name, and of any size", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    const UniqueFd fd(
        ::open(containers.directory.path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) {
        WARN("skipped: no files without a name here");
        return;
    }
    const auto descriptors = open_descriptors();
    for (const int version : {1, 2})
        for (const std::uint64_t capacity :
             {std::uint64_t{512}, 5 * megabyte + 1536, std::uint64_t{1} << 40}) {
            auto format = quick(version);
            format.capacity = capacity;
            format_luks(fd.get(), "container", format, Secret("secret"), nullptr);
            const auto info = inspect_image(fd.get());
            INFO(version << ' ' << capacity);
            CHECK(info.findings.empty());
            CHECK(info.version == std::to_string(version));
            CHECK(info.virtual_size == capacity);
            Command command{.program = "cryptsetup", .arguments = {"open", "--test-passphrase"}};
            const auto key = pass_secret(command, Secret("secret"));
            command.arguments.insert(command.arguments.end(),
                                     {"--key-file=" + key, pass_descriptor(command, fd.get())});
            CHECK(containers.runner.run(command, nullptr).exit_status == 0);
        }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE("what LUKS cannot be is refused, and said without a word to standard error", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    const auto code = [&](const LuksFormat& format, std::string_view secret = "secret") {
        return error_code([&] { containers.make(format, Secret(secret)); });
    };
    // Whatever the library prints goes into a file meanwhile.
    std::fflush(nullptr);
    const UniqueFd real(::dup(2));
    const UniqueFd real_output(::dup(1));
    const auto capture = open_file(containers.directory / "printed", O_RDWR | O_CREAT, 0600);
    ::dup2(capture.get(), 2);
    ::dup2(capture.get(), 1);
    std::vector<ErrorCode> invalid;
    std::vector<ErrorCode> unsupported;
    for (const int version : {0, 3, -1}) {
        auto odd = quick(1);
        odd.version = version;
        invalid.push_back(code(odd));
    }
    for (const std::uint64_t capacity : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000},
                                         std::uint64_t{1} << 63, ~std::uint64_t{511}}) {
        auto odd = quick(1);
        odd.capacity = capacity;
        invalid.push_back(code(odd));
    }
    invalid.push_back(code(quick(1), ""));
    for (const auto& odd :
         {cipher("", 256, "xts", "sha256", "plain64"), cipher("aes", 0, "xts", "sha256", "plain64"),
          cipher("aes", 255, "xts", "sha256", "plain64"),
          cipher("aes", 4096, "xts", "sha256", "plain64"),
          cipher("aes", 512, "xts", "sha256", "plain64"),
          cipher("aes", 256, "x/s", "sha256", "plain64"),
          cipher("aes", 256, "xts", "sha 256", "plain64"),
          cipher("aes", 256, "xts", "sha256", "../x")})
        invalid.push_back(code(quick(1, odd)));
    for (const auto& odd : {cipher("rot13", 256, "xts", "sha256", "plain64"),
                            cipher("aes", 256, "xyz", "sha256", "plain64"),
                            cipher("aes", 256, "ecb", "sha256", "plain64"),
                            cipher("aes", 192, "xts", "sha256", "plain64"),
                            cipher("aes", 200, "cbc", "sha256", "plain64"),
                            cipher("aes", 256, "xts", "sha256", "plain65"),
                            cipher("aes", 256, "cbc", "sha256", "essiv", "sha1"),
                            cipher("aes", 256, "xts", "sha3000", "plain64"),
                            cipher(std::string(100, 'a'), 256, "xts", "sha256", "plain64")})
        for (const int version : {1, 2})
            unsupported.push_back(code(quick(version, odd)));
    const auto device =
        error_code([&] { format_luks("/dev/null", quick(1), Secret("x"), nullptr); });
    const auto missing =
        error_code([&] { format_luks("/nonexistent/x", quick(1), Secret("x"), nullptr); });
    std::fflush(nullptr);
    ::dup2(real.get(), 2);
    ::dup2(real_output.get(), 1);

    CHECK(invalid == std::vector<ErrorCode>(invalid.size(), ErrorCode::invalid_argument));
    CHECK(unsupported == std::vector<ErrorCode>(unsupported.size(), ErrorCode::not_supported));
    CHECK(device == ErrorCode::invalid_argument);
    CHECK(missing == ErrorCode::not_found);
    CHECK(containers.directory.read("printed").empty());
}

TEST_CASE("that a file system is full is said of a container too", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    const auto full = containers.directory / "full";
    ::mkdir(full.c_str(), 0700);
    if (!private_mounts() || ::mount("none", full.c_str(), "tmpfs", 0, "size=1m") != 0) {
        WARN("skipped: needs root to mount a file system");
        return;
    }
    containers.directory.write("full/container", "");
    for (const int version : {1, 2})
        CHECK(error_code([&] {
                  format_luks(full + "/container", quick(version), Secret("x"), nullptr);
              }) == ErrorCode::no_space);
    ::umount2(full.c_str(), MNT_DETACH);
}

TEST_CASE("a job that is over formats nothing", "[luks]")
{
    Containers containers;
    if (!containers.usable("cryptsetup"))
        return;
    Job job;
    job.cancel();
    containers.directory.write("container", "");
    CHECK(error_code([&] {
              format_luks(containers.directory / "container", quick(1), Secret("x"), &job);
          }) == ErrorCode::cancelled);
    CHECK(inspected(containers.directory / "container").format == ImageFormat::raw);
}

TEST_CASE("a library or function that is missing is unavailable, and its package named",
          "[library]")
{
    try {
        const DynamicLibrary library("libno-such-thing.so.1", "libno-such-thing1",
                                     Unloading::allowed);
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unavailable);
        CHECK(std::string(error.what()).find("library 'libno-such-thing.so.1' cannot be used: ") ==
              0);
        CHECK(error.remedy() == "install the Debian package 'libno-such-thing1'");
    }
    const DynamicLibrary libc("libc.so.6", "libc6", Unloading::allowed);
    CHECK(libc.get<int(int)>("toupper")('a') == 'A');
    CHECK(error_code([&] { libc.get<void()>("no_such_function"); }) == ErrorCode::unavailable);
}
