// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-img: the arguments by transcript, the effect by the real program and basin's own inspector.
#include "qemu_img.hpp"

#include "cheap_passphrases.hpp"
#include "file_io.hpp"
#include "process_runner.hpp"
#include "scratch.hpp"
#include "scripted_runner.hpp"

#include <basin/image.hpp>
#include <fcntl.h>
#include <unistd.h>

using namespace storage;

namespace {

constexpr std::uint64_t megabyte = 1 << 20;

struct Images {
    TemporaryDirectory directory{};
    ProcessRunner runner{};
    CheapPassphrases cheap{};

    bool usable() const
    {
        if (!runner.find_program("qemu-img").empty())
            return true;
        WARN("skipped: no qemu-img");
        return false;
    }
    std::string operator/(const std::string& name) const { return directory / name; }

    QemuImage create(const QemuImage& image, const QemuImgOptions& options)
    {
        qemu_img_create(runner, image, options, nullptr);
        return image;
    }
    /** What a guest sees in the image. */
    std::string content(const QemuImage& image, std::uint64_t size)
    {
        qemu_img_convert(runner, with_size(image, size),
                         {.path = *this / "content", .format = "raw"}, {}, nullptr);
        return directory.read("content");
    }
    static QemuImage with_size(QemuImage image, std::uint64_t size)
    {
        image.virtual_size = size;
        return image;
    }
};

ImageInfo inspected(const std::string& path)
{
    return inspect_image(open_file(path, O_RDONLY).get());
}

/** Bytes that do not compress to zeros, with holes. */
std::string pattern(std::size_t size)
{
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i != size; ++i)
        if (i / 65536 % 3 != 1)
            bytes[i] = static_cast<char>(i * 31 + i / 977);
    return bytes;
}

std::string inspector_name(const std::string& format)
{
    return format == "parallels" ? "ploop" : format;
}

const std::vector<std::string> plain_formats{"qcow", "qcow2", "qed",       "vmdk", "vdi",
                                             "vpc",  "vhdx",  "parallels", "raw"};

const std::vector<std::string> nasty_names{
    "a,b=c,file.filename=x",
    "=",
    "json:{}",
    "json:x",
    "-O raw",
    "--help",
    "nbd:host:1",
    "a b  c",
    "fat:rw:x",
    ",",
    ",,",
    "%s%n",
    "$(id)`",
    "grün 漢",
    "\"'\\",
    "#:@?&",
};

Encryption luks(const std::string& name, std::uint32_t size, const std::string& mode,
                const std::string& hash, const std::string& ivgen, const std::string& ivhash)
{
    return {.format = "luks",
            .cipher = Encryption::Cipher{name, size, mode, hash},
            .ivgen = Encryption::IvGen{ivgen, ivhash}};
}

} // namespace

TEST_CASE("qemu-img's version is known", "[qemu-img]")
{
    ScriptedRunner runner("$ qemu-img --version\n"
                          "> qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\n"
                          "> Copyright (c) 2003-2022 Fabrice Bellard\n"
                          "$ qemu-img --version\n> something else\n"
                          "$ qemu-img --version\n? missing\n");
    CHECK(qemu_img_version(runner, nullptr) == "7.2.22");
    CHECK(error_code([&] { qemu_img_version(runner, nullptr); }) == ErrorCode::parse_failed);
    CHECK(error_code([&] { qemu_img_version(runner, nullptr); }) == ErrorCode::unavailable);
    Images images;
    if (images.usable())
        CHECK(qemu_img_version(images.runner, nullptr).find('.') != std::string::npos);
}

TEST_CASE("qemu-img: the arguments that create images", "[qemu-img]")
{
    ScriptedRunner runner(R"(
$ qemu-img create -q -f raw /p/a,b 1048576
$ qemu-img create -q -f qcow2 -o compat=1.1 /p/a 1048576
$ qemu-img create -q -f qcow2 -u -b '/p/b,c d' -F raw -o preallocation=metadata,compat=0.10,cluster_size=4096 /p/a 1048576
$ qemu-img create -q -f qcow2 -u -b ./json:x -F qcow2 -o compat=1.1,lazy_refcounts=on,extended_l2=on /p/a 1048576
$ qemu-img create -q -f vpc -o force_size=on /p/a 1048576
$ qemu-img create -q -f vpc -o subformat=fixed,force_size=on /p/a 1048576
$ qemu-img create -q -f vdi -o static=on /p/a 1048576
$ qemu-img create -q -f luks --object secret,id=target,file=/proc/self/fd/3 -o key-secret=target,preallocation=falloc /p/a 1048576
$ qemu-img create -q -f qcow2 --object secret,id=target,file=/proc/self/fd/3 -o encrypt.format=luks,encrypt.key-secret=target,encrypt.cipher-alg=aes-256,encrypt.cipher-mode=cbc,encrypt.hash-alg=sha256,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha1,compat=1.1 /proc/self/fd/10 1048576
)");
    const auto create = [&](const QemuImage& image, QemuImgOptions options) {
        options.capacity = megabyte;
        qemu_img_create(runner, image, options, nullptr);
    };
    create({.path = "/p/a,b", .format = "raw"}, {});
    create({.path = "/p/a", .format = "qcow2"}, {});
    create({.path = "/p/a", .format = "qcow2"}, {.backing_path = "/p/b,c d",
                                                 .backing_format = "raw",
                                                 .preallocation = Preallocation::metadata,
                                                 .compat = "0.10",
                                                 .cluster_size = 4096});
    create({.path = "/p/a", .format = "qcow2"}, {.backing_path = "./json:x",
                                                 .backing_format = "qcow2",
                                                 .lazy_refcounts = true,
                                                 .extended_l2 = true});
    create({.path = "/p/a", .format = "vpc"}, {});
    create({.path = "/p/a", .format = "vpc"}, {.preallocation = Preallocation::full});
    create({.path = "/p/a", .format = "vdi"}, {.preallocation = Preallocation::full});
    create({.path = "/p/a", .format = "luks", .secret = Secret("passphrase pw")},
           {.preallocation = Preallocation::falloc});
    create({.path = "/p/a", .format = "qcow2", .fd = 0, .secret = Secret("passphrase pw")},
           {.encryption = luks("aes", 256, "cbc", "sha256", "essiv", "sha1")});
}

TEST_CASE("qemu-img: the arguments that convert images", "[qemu-img]")
{
    ScriptedRunner runner(R"(
$ qemu-img convert -p -t writeback -T writeback -f raw -O qcow2 -o compat=1.1 /p/-a /p/b,c
$ qemu-img create -q -f raw /proc/self/fd/10 2097152
$ qemu-img convert -p -t none -T none -n -f qcow2 -O raw /proc/self/fd/10 /proc/self/fd/11
$ qemu-img create -q -f luks --object secret,id=target,file=/proc/self/fd/3 -o key-secret=target /p/b,c 1048576
$ qemu-img convert -p -t writeback -T writeback -n --image-opts --target-image-opts --object secret,id=target,file=/proc/self/fd/3 --object secret,id=source,file=/proc/self/fd/4 driver=qcow2,encrypt.key-secret=source,file.filename=/p/json:a,,b driver=luks,key-secret=target,file.filename=/p/b,,c
$ qemu-img create -q -f raw /p/b 4096
$ qemu-img convert -p -t writeback -T writeback -n --image-opts --target-image-opts --object secret,id=source,file=/proc/self/fd/3 driver=luks,key-secret=source,file.filename=/p/a driver=raw,file.filename=/p/b
)");
    const auto convert = [&](const QemuImage& source, const QemuImage& target,
                             QemuImgOptions options) {
        qemu_img_convert(runner, source, target, options, nullptr);
    };
    convert({.path = "/p/-a", .format = "raw"}, {.path = "/p/b,c", .format = "qcow2"}, {});
    convert({.format = "qcow2", .fd = 0}, {.format = "raw", .fd = 1},
            {.capacity = 2 * megabyte, .direct = true});
    convert({.path = "/p/json:a,b",
             .format = "qcow2",
             .secret = Secret("passphrase 1"),
             .virtual_size = megabyte},
            {.path = "/p/b,c", .format = "luks", .secret = Secret("passphrase 2")}, {});
    qemu_img_convert(runner, {.path = "/p/a", .format = "luks", .secret = Secret("passphrase 1")},
                     {.path = "/p/b", .format = "raw"}, {.capacity = 4096}, nullptr);
}

TEST_CASE("qemu-img: a failure names the image", "[qemu-img]")
{
    ScriptedRunner runner(R"(
$ qemu-img snapshot -q -a s --image-opts driver=qcow2,file.filename=/p/a
! qemu-img: Could not apply snapshot 's': Device has active dirty bitmaps
? 1
)");
    try {
        qemu_img_snapshot(runner, {.path = "/p/a", .format = "qcow2"}, SnapshotAction::apply, "s",
                          nullptr);
        FAIL("it did not fail");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::command_failed);
        CHECK(std::string(error.what()) == "'/p/a': qemu-img: Could not apply snapshot 's': "
                                           "Device has active dirty bitmaps");
        CHECK_FALSE(error.detail().empty());
    }
}

TEST_CASE("qemu-img: the arguments that change images", "[qemu-img]")
{
    ScriptedRunner runner(R"(
$ qemu-img resize -q -f qcow2 /p/a,b 4096
$ qemu-img resize -q --shrink --preallocation=falloc -f raw /p/a 4096
$ qemu-img resize -q --object secret,id=image,file=/proc/self/fd/3 --image-opts driver=luks,key-secret=image,file.filename=/p/a,,b 4096
$ qemu-img resize -q --object secret,id=image,file=/proc/self/fd/3 --image-opts driver=qcow2,encrypt.key-secret=image,file.filename=/proc/self/fd/10 4096
$ qemu-img convert -n -t writeback --image-opts --target-image-opts driver=null-co,read-zeroes=on,size=1024 driver=raw,offset=512,size=1024,file.driver=qcow2,file.file.filename=/p/a
$ qemu-img convert -n -t writeback --image-opts --target-image-opts --object secret,id=image,file=/proc/self/fd/3 driver=null-co,read-zeroes=on,size=1024 driver=raw,offset=512,size=1024,file.driver=qcow2,file.encrypt.key-secret=image,file.file.filename=/p/a,,b
$ qemu-img snapshot -q -c -a,b --image-opts driver=qcow2,file.filename=/p/a,,b
$ qemu-img snapshot -q -a s --image-opts driver=qcow2,file.filename=/p/a
$ qemu-img snapshot -q -d s --object secret,id=image,file=/proc/self/fd/3 --image-opts driver=qcow2,encrypt.key-secret=image,file.filename=/p/a
$ qemu-img rebase -p -t writethrough -b '' -f qcow2 /p/a
$ qemu-img rebase -p -t writethrough -b '' --object secret,id=image,file=/proc/self/fd/3 --image-opts driver=qcow2,encrypt.key-secret=image,file.filename=/p/a
$ qemu-img check --output=json -r leaks -f qcow2 /p/a
> {"check-errors": 1, "corruptions": 2, "leaks": 3, "leaks-fixed": 4, "format": "qcow2"}
? 2
$ qemu-img check --output=json -f qcow2 /p/a
> {"check-errors": 0}
$ qemu-img check --output=json -f raw /p/a
? 63
$ qemu-img check --output=json -f qcow2 /p/a
> {"check-errors": -1}
$ qemu-img check --output=json -f qcow2 /p/a
> nonsense
$ qemu-img check --output=json -f qcow2 /p/a
! qemu-img: Check failed: Input/output error
? 1
)");
    qemu_img_resize(runner, {.path = "/p/a,b", .format = "qcow2"}, {.capacity = 4096}, nullptr);
    qemu_img_resize(runner, {.path = "/p/a", .format = "raw"},
                    {.capacity = 4096, .shrink = true, .preallocation = Preallocation::falloc},
                    nullptr);
    qemu_img_resize(runner, {.path = "/p/a,b", .format = "luks", .secret = Secret("passphrase 1")},
                    {.capacity = 4096}, nullptr);
    qemu_img_resize(runner, {.format = "qcow2", .fd = 0, .secret = Secret("passphrase 1")},
                    {.capacity = 4096}, nullptr);
    const QemuImage image{.path = "/p/a", .format = "qcow2"};
    qemu_img_clear(runner, image, 512, 1024, nullptr);
    qemu_img_clear(runner, {.path = "/p/a,b", .format = "qcow2", .secret = Secret("passphrase 1")},
                   512, 1024, nullptr);
    qemu_img_snapshot(runner, {.path = "/p/a,b", .format = "qcow2"}, SnapshotAction::create, "-a,b",
                      nullptr);
    qemu_img_snapshot(runner, image, SnapshotAction::apply, "s", nullptr);
    qemu_img_snapshot(runner, {.path = "/p/a", .format = "qcow2", .secret = Secret("passphrase 1")},
                      SnapshotAction::remove, "s", nullptr);
    qemu_img_flatten(runner, image, nullptr);
    qemu_img_flatten(runner, {.path = "/p/a", .format = "qcow2", .secret = Secret("passphrase 1")},
                     nullptr);
    CHECK(qemu_img_check(runner, image, true, nullptr) == QemuImgCheck{1, 2, 3, 4});
    CHECK(qemu_img_check(runner, image, false, nullptr) == QemuImgCheck{});
    CHECK(error_code([&] {
              qemu_img_check(runner, {.path = "/p/a", .format = "raw"}, false, nullptr);
          }) == ErrorCode::not_supported);
    CHECK(error_code([&] { qemu_img_check(runner, image, false, nullptr); }) ==
          ErrorCode::parse_failed);
    CHECK(error_code([&] { qemu_img_check(runner, image, false, nullptr); }) ==
          ErrorCode::parse_failed);
    CHECK(error_code([&] { qemu_img_check(runner, image, false, nullptr); }) == ErrorCode::io);
}

TEST_CASE("qemu-img is not run with what it could misunderstand", "[qemu-img]")
{
    ScriptedRunner never("");
    const auto code = [&](const QemuImage& image, QemuImgOptions options) {
        options.capacity = megabyte;
        return error_code([&] { qemu_img_create(never, image, options, nullptr); });
    };
    const QemuImage good{.path = "/p/a", .format = "qcow2"};
    for (const auto* path : {"", "a", "-a", "json:{}", "nbd://host", "./a"})
        CHECK(code({.path = path, .format = "raw"}, {}) == ErrorCode::invalid_argument);
    for (const auto* format : {"", "raw,x=y", "QCOW2", "nbd", "dmg", "bochs", "file"})
        CHECK(code({.path = "/p/a", .format = format}, {}) == ErrorCode::not_supported);
    for (const auto* path : {"json:{}", "nbd://host/x", "a:b", ":", "a\nb", "fat:rw:/"})
        CHECK(code(good, {.backing_path = path, .backing_format = "raw"}) ==
              ErrorCode::invalid_argument);
    CHECK(code(good, {.backing_path = "/p/b"}) == ErrorCode::not_supported);
    CHECK(code(good, {.backing_path = "/p/b", .backing_format = "raw,x"}) ==
          ErrorCode::not_supported);
    CHECK(code(good, {.backing_format = "raw"}) == ErrorCode::invalid_argument);
    CHECK(code({.path = "/p/a", .format = "raw"},
               {.backing_path = "/p/b", .backing_format = "raw"}) == ErrorCode::not_supported);
    CHECK(code(good, {.compat = "1.1,preallocation=full"}) == ErrorCode::invalid_argument);
    CHECK(code({.path = "/p/a", .format = "vdi"}, {.compat = "1.1"}) == ErrorCode::not_supported);
    CHECK(code({.path = "/p/a", .format = "vdi"}, {.cluster_size = 4096}) ==
          ErrorCode::not_supported);
    CHECK(code({.path = "/p/a", .format = "raw"}, {.preallocation = Preallocation::metadata}) ==
          ErrorCode::not_supported);
    CHECK(code({.path = "/p/a", .format = "qed"}, {.preallocation = Preallocation::full}) ==
          ErrorCode::not_supported);
    CHECK(code({.path = "/p/a", .format = "luks"}, {}) == ErrorCode::invalid_argument);
    CHECK(code({.path = "/p/a", .format = "vdi", .secret = Secret("x")}, {}) ==
          ErrorCode::not_supported);
    for (const auto& secret : {std::string("a\0b", 3), std::string("a\0", 2), std::string("\xff"),
                               std::string("a\xc0\x80")})
        CHECK(code({.path = "/p/a", .format = "luks", .secret = Secret(secret)}, {}) ==
              ErrorCode::not_supported);
    CHECK(code({.path = "/p/a", .format = "qcow2", .secret = Secret("")}, {.capacity = 512}) ==
          ErrorCode::invalid_argument);
    const QemuImage encrypted{.path = "/p/a", .format = "luks", .secret = Secret("x")};
    CHECK(error_code([&] {
              qemu_img_convert(never, good,
                               {.path = "/p/b", .format = "luks", .secret = Secret("")},
                               {.capacity = 512}, nullptr);
          }) == ErrorCode::invalid_argument);
    for (const auto& odd :
         {luks("aes,x=y", 256, "xts", "sha256", "plain64", ""),
          luks("aes", 256, "xts,", "sha256", "plain64", ""),
          luks("aes", 256, "xts", "sha 256", "plain64", ""),
          luks("aes", 256, "xts", "sha256", "=", ""), luks("", 256, "xts", "sha256", "plain64", ""),
          luks("aes", 256, "xts", "sha256", "essiv", "sha256,")})
        CHECK(code(encrypted, {.encryption = odd}) == ErrorCode::invalid_argument);

    for (const auto& name : {std::string(), std::string("1"), std::string("0042"),
                             std::string("a\tb"), std::string(256, 'x')})
        CHECK(error_code([&] {
                  qemu_img_snapshot(never, good, SnapshotAction::create, name, nullptr);
              }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] {
              qemu_img_convert(never, encrypted, {.path = "/p/b", .format = "raw"}, {}, nullptr);
          }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] {
              qemu_img_convert(never, good, {.path = "/p/a", .format = "vdi"},
                               {.backing_path = "/p/c", .backing_format = "raw"}, nullptr);
          }) == ErrorCode::not_supported);
}

TEST_CASE("qemu-img's clock of the CPU gets further attempts", "[qemu-img]")
{
    const std::string command =
        "$ qemu-img create -q -f luks --object "
        "secret,id=target,file=/proc/self/fd/3 -o key-secret=target /p/a 512\n";
    const std::string stalls = "! qemu-img: /p/a: Unable to get accurate CPU usage\n? 1\n";
    ScriptedRunner runner(command + stalls + command + stalls + command);
    qemu_img_create(runner, {.path = "/p/a", .format = "luks", .secret = Secret("x")},
                    {.capacity = 512}, nullptr);
    CHECK(runner.finished());
}

TEST_CASE("qemu-img creates every format, of the size that was asked for", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    for (const auto& format : plain_formats)
        for (const std::uint64_t size : {megabyte, 40 * megabyte + 512, 3 * megabyte + 100}) {
            const auto path = images / "image";
            std::filesystem::remove(path);
            images.create({.path = path, .format = format}, {.capacity = size});
            const auto info = inspected(path);
            INFO(format << ' ' << size);
            CHECK(to_string(info.format) == inspector_name(format));
            CHECK(info.virtual_size == (size + 511) / 512 * 512);
            CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::mask) ==
                  (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
        }
}

TEST_CASE("qemu-img preallocates", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    constexpr std::uint64_t size = 8 * megabyte;
    for (const auto& [format, preallocation] :
         std::vector<std::pair<std::string, Preallocation>>{{"raw", Preallocation::falloc},
                                                            {"raw", Preallocation::full},
                                                            {"qcow2", Preallocation::falloc},
                                                            {"qcow2", Preallocation::full},
                                                            {"vdi", Preallocation::full},
                                                            {"vpc", Preallocation::full}}) {
        const auto path = images / (format + "-" + std::to_string(static_cast<int>(preallocation)));
        images.create({.path = path, .format = format},
                      {.capacity = size, .preallocation = preallocation});
        struct stat status {};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        INFO(path);
        CHECK(static_cast<std::uint64_t>(status.st_size) >= size);
        if (format != "vdi" && format != "vpc") // these are of a fixed size, but may have holes
            CHECK(static_cast<std::uint64_t>(status.st_blocks) * 512 >= size);
    }
    images.create({.path = images / "meta", .format = "qcow2"},
                  {.capacity = size, .preallocation = Preallocation::metadata});
    CHECK(std::filesystem::file_size(images / "meta") >= size);
}

TEST_CASE("qemu-img converts to every format and back without loss", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    const auto bytes = pattern(3 * megabyte);
    images.directory.write("source", bytes);
    for (const auto& format : plain_formats) {
        const QemuImage image{.path = images / ("image." + format), .format = format};
        qemu_img_convert(images.runner, {.path = images / "source", .format = "raw"}, image, {},
                         nullptr);
        INFO(format);
        CHECK(to_string(inspected(image.path).format) == inspector_name(format));
        CHECK((images.content(image, bytes.size()) == bytes)); // not shown: large
    }
    // Into a larger one.
    const QemuImage larger{.path = images / "larger", .format = "qcow2"};
    qemu_img_convert(images.runner, {.path = images / "source", .format = "raw"}, larger,
                     {.capacity = 5 * megabyte}, nullptr);
    CHECK(inspected(larger.path).virtual_size == 5 * megabyte);
    CHECK(
        (images.content(larger, 0) == bytes + std::string(2 * megabyte, '\0'))); // not shown: large
    CHECK(error_code([&] {
              qemu_img_convert(images.runner, {.path = images / "source", .format = "raw"},
                               {.path = images / "smaller", .format = "qcow2"},
                               {.capacity = megabyte}, nullptr);
          }) == ErrorCode::command_failed);
}

TEST_CASE("qemu-img keeps what is allocated to a larger copy", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    images.directory.write("source", "");
    std::filesystem::resize_file(images / "source", 3 * megabyte);
    for (const auto mode : {Preallocation::falloc, Preallocation::full})
        for (const auto* format : {"raw", "qcow2"}) {
            INFO(format);
            const QemuImage image{.path = images / "image", .format = format};
            qemu_img_convert(images.runner, {.path = images / "source", .format = "raw"}, image,
                             {.capacity = 5 * megabyte, .preallocation = mode}, nullptr);
            struct stat status {};
            REQUIRE(::stat(image.path.c_str(), &status) == 0);
            CHECK(status.st_blocks * 512 >= static_cast<off_t>(5 * megabyte));
            CHECK((images.content(image, 0) == std::string(5 * megabyte, '\0')));
            std::filesystem::remove(image.path);
        }
}

TEST_CASE("qemu-img writes no zeros into a larger copy", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    constexpr std::uint64_t size = 16 * megabyte;
    images.directory.write("source", "head");
    std::filesystem::resize_file(images / "source", size);
    for (const auto& format : plain_formats) {
        INFO(format);
        const QemuImage image{.path = images / "image", .format = format};
        qemu_img_convert(images.runner, {.path = images / "source", .format = "raw"}, image,
                         {.capacity = 2 * size}, nullptr);
        struct stat status {};
        REQUIRE(::stat(image.path.c_str(), &status) == 0);
        CHECK(status.st_blocks * 512 < static_cast<off_t>(size / 2));
        CHECK((images.content(image, 0) == "head" + std::string(2 * size - 4, '\0')));
        std::filesystem::remove(image.path);
    }
}

TEST_CASE("file names mean nothing to qemu-img", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    const auto bytes = pattern(megabyte);
    for (const auto& name : nasty_names) {
        INFO(name);
        const QemuImage source{
            .path = images / ("s" + name), .format = "raw", .virtual_size = megabyte};
        images.directory.write("s" + name, bytes);
        const QemuImage copy{.path = images / name, .format = "qcow2"};
        qemu_img_convert(images.runner, source, copy, {}, nullptr);
        CHECK(images.directory.exists(name));
        qemu_img_snapshot(images.runner, copy, SnapshotAction::create, name, nullptr);
        qemu_img_snapshot(images.runner, copy, SnapshotAction::apply, name, nullptr);
        CHECK(inspected(copy.path).snapshot_count == 1);
        qemu_img_snapshot(images.runner, copy, SnapshotAction::remove, name, nullptr);
        CHECK(inspected(copy.path).snapshot_count == 0);
        qemu_img_resize(images.runner, copy, {.capacity = 2 * megabyte}, nullptr);
        CHECK(qemu_img_check(images.runner, copy, true, nullptr) == QemuImgCheck{});

        const QemuImage overlay{.path = images / ("o" + name), .format = "qcow2"};
        images.create(overlay,
                      {.capacity = megabyte, .backing_path = copy.path, .backing_format = "qcow2"});
        CHECK(inspected(overlay.path).backing == ImageReference{copy.path, "qcow2", true, ""});
        CHECK((images.content(overlay, 0) == bytes)); // not shown: large
        images.create(
            overlay,
            {.capacity = megabyte, .backing_path = "./" + name, .backing_format = "qcow2"});
        CHECK((images.content(overlay, 0) == bytes)); // not shown: large
        CHECK(images.directory.count() == 4);
        for (const auto& path : {source.path, copy.path, overlay.path})
            std::filesystem::remove(path);
    }
}

TEST_CASE("names mean nothing to qemu-img where options open the images", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    const auto bytes = pattern(megabyte);
    const Secret key("p,w=x");
    for (const auto& name : {nasty_names[0], nasty_names[3]}) {
        INFO(name);
        images.directory.write("s" + name, bytes);
        const QemuImage encrypted{
            .path = images / name, .format = "qcow2", .secret = key, .virtual_size = megabyte};
        qemu_img_convert(images.runner,
                         {.path = images / ("s" + name), .format = "raw", .virtual_size = megabyte},
                         encrypted, {}, nullptr);
        CHECK((images.content(encrypted, megabyte) == bytes)); // not shown: large
        CHECK(images.directory.count() == 3);
        for (const auto* prefix : {"", "s"})
            std::filesystem::remove(images / (prefix + name));
    }
}

TEST_CASE("qemu-img works on files without a name", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    const auto unnamed = [&] {
        return UniqueFd(
            ::open(images.directory.path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    };
    const auto source = unnamed();
    if (!source) {
        WARN("skipped: no files without a name here");
        return;
    }
    const auto bytes = pattern(megabyte);
    write_all(source.get(), bytes, "source");
    const auto target = unnamed();
    QemuImage image{.format = "qcow2", .fd = target.get()};
    qemu_img_convert(images.runner, {.format = "raw", .fd = source.get()}, image, {}, nullptr);
    CHECK(inspect_image(target.get()).format == ImageFormat::qcow2);
    CHECK((images.content(image, 0) == bytes)); // not shown: large
    images.create(image,
                  {.capacity = megabyte, .backing_path = "/p/none", .backing_format = "raw"});
    CHECK(inspect_image(target.get()).backing == ImageReference{"/p/none", "raw", true, ""});
    images.create(image, {.capacity = megabyte});
    qemu_img_resize(images.runner, image, {.capacity = 2 * megabyte}, nullptr);
    CHECK(inspect_image(target.get()).virtual_size == 2 * megabyte);
    image.format = "luks";
    image.secret = Secret("key");
    images.create(image, {.capacity = megabyte});
    CHECK(inspect_image(target.get()).format == ImageFormat::luks);
    CHECK(images.directory.count() == 1); // "content"
}

TEST_CASE("qemu-img encrypts as the definition says", "[qemu-img][luks]")
{
    Images images;
    if (!images.usable())
        return;
    for (const auto& format : {"luks", "qcow2"})
        for (const auto& wanted : {luks("aes", 256, "xts", "sha256", "plain64", ""),
                                   luks("aes", 128, "cbc", "sha1", "plain", ""),
                                   luks("serpent", 256, "cbc", "sha512", "essiv", "sha256"),
                                   luks("twofish", 128, "xts", "sha256", "plain64", "")}) {
            if (format == std::string("qcow2") && wanted.cipher->name != "serpent")
                continue; // each takes seconds
            const QemuImage image{
                .path = images / "image", .format = format, .secret = Secret("key")};
            images.create(image, {.capacity = 2 * megabyte, .encryption = wanted});
            const auto info = inspected(image.path);
            INFO(format << ' ' << wanted.cipher->name);
            CHECK(info.virtual_size == 2 * megabyte);
            REQUIRE(info.encryption.has_value());
            CHECK(info.encryption->format == "luks");
            CHECK(info.encryption->cipher == wanted.cipher);
            CHECK(info.encryption->ivgen == wanted.ivgen);

            auto other = image;
            other.secret = Secret("wrong");
            CHECK(error_code([&] {
                      qemu_img_resize(images.runner, other, {.capacity = 4 * megabyte}, nullptr);
                  }) == ErrorCode::command_failed);
            qemu_img_resize(images.runner, image, {.capacity = 4 * megabyte}, nullptr);
            CHECK(inspected(image.path).virtual_size == 4 * megabyte);
        }
}

TEST_CASE("qemu-img converts from and to encrypted images without loss", "[qemu-img][luks]")
{
    Images images;
    if (!images.usable())
        return;
    const auto bytes = pattern(2 * megabyte);
    images.directory.write("plain", bytes);
    QemuImage last{.path = images / "plain", .format = "raw", .virtual_size = bytes.size()};
    int number = 0;
    for (const auto* format : {"luks", "qcow2", "qcow2"}) {
        const auto id = std::to_string(++number);
        const QemuImage next{.path = images / id,
                             .format = format,
                             .secret = Secret("key " + id),
                             .virtual_size = bytes.size()};
        qemu_img_convert(images.runner, last, next, {}, nullptr);
        INFO(number << ' ' << format);
        CHECK(inspected(next.path).encryption.has_value());
        CHECK(images.directory.read(id).find(bytes.substr(4096, 64)) == std::string::npos);
        CHECK((images.content(next, bytes.size()) == bytes)); // not shown: large
        last = next;
    }
    qemu_img_snapshot(images.runner, last, SnapshotAction::create, "s", nullptr);
    CHECK(inspected(last.path).snapshot_count == 1);
}

TEST_CASE("a conversion tells how far it is", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    images.directory.write("source", std::string(32 * megabyte, 'x'));
    std::vector<Progress> seen;
    Job job;
    job.set_progress_callback([&](const Progress& progress) { seen.push_back(progress); });
    qemu_img_convert(images.runner,
                     {.path = images / "source", .format = "raw", .virtual_size = 32 * megabyte},
                     {.path = images / "target", .format = "qcow2"}, {}, &job);
    REQUIRE(seen.size() >= 2);
    CHECK(seen.front().done == 0);
    CHECK(seen.back().done == 32 * megabyte);
    CHECK(seen.back().rate > 0);
    for (std::size_t i = 1; i != seen.size(); ++i)
        CHECK(seen[i - 1].done <= seen[i].done);
    for (const auto& progress : seen) {
        CHECK(progress.phase == "converting");
        CHECK(progress.total == 32 * megabyte);
    }
}

TEST_CASE("a conversion is cancelled in its middle", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    constexpr std::uint64_t size = 512 * megabyte;
    {
        const auto fd = open_file(images / "source", O_WRONLY | O_CREAT, 0600);
        const auto bytes = pattern(8 * megabyte);
        for (int i = 0; i != 64; ++i)
            write_all(fd.get(), bytes, "source");
    }
    Job job;
    job.set_progress_callback([&](const Progress& progress) {
        if (progress.done > 0)
            job.cancel();
    });
    CHECK(error_code([&] {
              qemu_img_convert(
                  images.runner, {.path = images / "source", .format = "raw", .virtual_size = size},
                  {.path = images / "target", .format = "luks", .secret = Secret("x")}, {}, &job);
          }) == ErrorCode::cancelled);
    CHECK(job.progress().done < size);
}

TEST_CASE("qemu-img shrinks only what it is told to", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    for (const auto* format : {"raw", "qcow2"}) {
        const auto image =
            images.create({.path = images / format, .format = format}, {.capacity = 4 * megabyte});
        CHECK(error_code([&] {
                  qemu_img_resize(images.runner, image, {.capacity = megabyte}, nullptr);
              }) == ErrorCode::command_failed);
        CHECK(inspected(image.path).virtual_size == 4 * megabyte);
        qemu_img_resize(images.runner, image, {.capacity = megabyte, .shrink = true}, nullptr);
        CHECK(inspected(image.path).virtual_size == megabyte);
    }
}

TEST_CASE("qemu-img finds leaks and repairs them", "[qemu-img]")
{
    Images images;
    if (!images.usable())
        return;
    images.directory.write("source", pattern(megabyte));
    const QemuImage image{.path = images / "image", .format = "qcow2"};
    qemu_img_convert(images.runner, {.path = images / "source", .format = "raw"}, image, {},
                     nullptr);
    CHECK(qemu_img_check(images.runner, image, false, nullptr) == QemuImgCheck{});
    {
        // Without its only L1 entry (where the header's field at 40 says), all data is lost.
        const auto fd = open_file(image.path, O_RDWR);
        unsigned char field[8];
        REQUIRE(::pread(fd.get(), field, 8, 40) == 8);
        off_t offset = 0;
        for (const auto byte : field)
            offset = offset << 8 | byte;
        const char zeros[8] = {};
        REQUIRE(::pwrite(fd.get(), zeros, 8, offset) == 8);
    }
    const auto found = qemu_img_check(images.runner, image, false, nullptr);
    CHECK(found.leaks > 0);
    CHECK(found.corruptions == 0);
    const auto repaired = qemu_img_check(images.runner, image, true, nullptr);
    CHECK(repaired == QemuImgCheck{0, 0, 0, found.leaks});
    CHECK(qemu_img_check(images.runner, image, false, nullptr) == QemuImgCheck{});
    CHECK(error_code([&] {
              qemu_img_check(images.runner, {.path = images / "source", .format = "raw"}, false,
                             nullptr);
          }) == ErrorCode::not_supported);
}
