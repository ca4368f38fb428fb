// SPDX-License-Identifier: LGPL-2.1-or-later
// LUKS containers: those that cryptsetup makes, and hostile ones.
#include "samples.hpp"

#include <catch2/catch.hpp>

using namespace image_test;

namespace {

std::string formatted(const TempDir& dir, const std::string& options, std::uint64_t size)
{
    const auto path = dir.path("container");
    write_file(path, "", size);
    run("printf secret | PATH=$PATH:/usr/sbin:/sbin cryptsetup luksFormat -q --force-password "
        "--pbkdf-force-iterations " +
        std::string(options.find("luks1") == options.npos ? "4 --pbkdf-memory 32 " : "1000 ") +
        options + " " + path + " -");
    return path;
}

ImageInfo with_json(std::string json, std::uint64_t size = 18 << 20)
{
    auto image = luks2_sample().image;
    image.text(4096, std::string(12288, '\0')).text(4096, json.substr(0, 12288));
    return inspect(image, size);
}

} // namespace

TEST_CASE("LUKS1 and LUKS2 containers of cryptsetup", "[luks]")
{
    if (!have_tool("cryptsetup"))
        return;
    TempDir dir;
    constexpr std::uint64_t size = 40 << 20;

    auto info = inspect_file(formatted(dir, "--type luks1", size));
    INFO(findings(info));
    CHECK(info.findings.empty());
    CHECK(info.version == "1");
    CHECK(info.payload_offset == 2 << 20);
    CHECK(info.virtual_size == size - (2 << 20));
    CHECK(info.encryption->format == "luks");
    CHECK(info.encryption->cipher == storage::Encryption::Cipher{"aes", 256, "xts", "sha256"});
    CHECK(info.encryption->ivgen == storage::Encryption::IvGen{"plain64", ""});
    CHECK(info.uuid.size() == 36);

    info = inspect_file(formatted(dir, "--type luks2", size));
    CHECK(info.findings.empty());
    CHECK(info.version == "2");
    CHECK(info.payload_offset == 16 << 20);
    CHECK(info.virtual_size == size - (16 << 20));
    CHECK(info.encryption->format == "luks2");
    CHECK(info.encryption->cipher == storage::Encryption::Cipher{"aes", 256, "xts", "sha256"});
    CHECK(info.uuid ==
          run("cat " + dir.path("container") + " | dd bs=1 skip=168 count=36 status=none"));

    info =
        inspect_file(formatted(dir,
                               "--type luks2 --cipher aes-cbc-essiv:sha256 --key-size 128 --hash "
                               "sha512 --sector-size 4096 "
                               "--luks2-metadata-size 64k --luks2-keyslots-size 512k --offset 8192",
                               size));
    CHECK(info.findings.empty());
    CHECK(info.payload_offset == 4 << 20);
    CHECK(info.encryption->cipher == storage::Encryption::Cipher{"aes", 128, "cbc", "sha512"});
    CHECK(info.encryption->ivgen == storage::Encryption::IvGen{"essiv", "sha256"});
}

TEST_CASE("LUKS2: every part of the JSON that counts", "[luks]")
{
    const auto info = inspect(luks2_sample().image, luks2_sample().size);
    CHECK(info.encryption->cipher == storage::Encryption::Cipher{"aes", 256, "xts", "sha512"});
    CHECK(info.payload_offset == 16 << 20);
    CHECK(info.uuid == "01234567-89ab-cdef-0123-456789abcdef");
    CHECK(info.compat.empty());
}

TEST_CASE("LUKS2: a fixed segment, a detached header, a reencryption", "[luks]")
{
    auto info = with_json(
        R"({"segments":{"0":{"type":"crypt","offset":"16777216","size":"1048576","encryption":"aes-xts-plain64"}}})");
    CHECK(info.virtual_size == 1 << 20);
    info = with_json(
        R"({"segments":{"0":{"type":"crypt","offset":"0","size":"dynamic","encryption":"cipher_null-ecb"}}})");
    CHECK(info.virtual_size == 0);
    CHECK(info.findings.empty());
    CHECK(info.encryption->cipher->name == "cipher_null");
    CHECK_FALSE(info.encryption->ivgen.has_value());
    info = with_json(
        R"({"segments":{"1":{"offset":"17825792","size":"dynamic"},"0":{"offset":"16777216","size":"1048576"},)"
        R"("2":{"offset":"0","size":"dynamic","flags":["backup-final"]}},)"
        R"("config":{"requirements":{"mandatory":["online-reencrypt-v2"]}}})");
    CHECK(info.payload_offset == 16 << 20);
    CHECK(info.virtual_size == 2 << 20);
    CHECK(has(info, ImageIssue::unsupported_version));
}

TEST_CASE("LUKS2: hostile JSON is a finding", "[luks]")
{
    for (const auto& json :
         {std::string(), std::string("null"), std::string("{"), std::string("{\"segments\":"),
          std::string(12288, '['), std::string(12288, '{'),
          std::string("{\"a\":") + std::string(12000, '['),
          std::string(R"({"segments":{"0":{"offset":"16777216"}}})"),
          std::string(
              R"({"segments":{"0":{"offset":"99999999999999999999999","size":"dynamic"}}})"),
          std::string(R"({"segments":{"0":[1,2,3]}})"), std::string(R"({"segments" 1})"),
          std::string("{\"segments\":{\"0\":{\"encryption\":\"\\"),
          std::string(R"({"segments":{"0":{"offset":"18446744073709551615","size":"dynamic"}}})"),
          std::string(R"({"segments":{"0":{"offset":"16777216","size":"18446744073709551615"}}})"),
          std::string(R"({"segments":{"0":{"offset":"512","size":"18446744073709551615"},)"
                      R"("1":{"offset":"512","size":"18446744073709551615"}}})")}) {
        const auto info = with_json(json);
        INFO(json.substr(0, 100));
        CHECK(info.format == ImageFormat::luks);
        CHECK(info.encryption->format == "luks2");
        CHECK_FALSE(info.findings.empty());
        CHECK(info.virtual_size <= 18 << 20);
    }
}

TEST_CASE("LUKS2: header sizes", "[luks]")
{
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{12345},
                                     std::uint64_t{8} << 20, UINT64_MAX}) {
        auto image = luks2_sample().image;
        CHECK(has(inspect(image.be64(8, size), 18 << 20), ImageIssue::malformed));
    }
    auto image = luks2_sample().image;
    image.be64(8, 4 << 20).text(4096, std::string(3 << 20, ' '));
    CHECK(has(inspect(image, 18 << 20), ImageIssue::limit_exceeded));
}

TEST_CASE("LUKS1: a detached header and a payload beyond the end", "[luks]")
{
    auto image = luks1_sample().image;
    auto info = inspect(image.be32(104, 0), 2 << 20);
    CHECK(info.virtual_size == 0);
    CHECK(info.findings.empty());
    info = inspect(image.be32(104, 0xffffffff), 2 << 20);
    CHECK(info.virtual_size == 0);
    CHECK(has(info, ImageIssue::truncated));
    CHECK(has(inspect(image.be16(6, 3), 2 << 20), ImageIssue::unsupported_version));
}
