// SPDX-License-Identifier: LGPL-2.1-or-later
// SHA-256 by both providers, against the standard's examples and sha256sum(1).
#include "digest.hpp"

#include "process_runner.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>

using namespace storage;

namespace {

/** The providers that there are here. */
std::vector<Sha256::Provider> providers()
{
    std::vector<Sha256::Provider> result;
    for (const auto provider : {Sha256::Provider::libcrypto, Sha256::Provider::kernel})
        if (error_code([&] { Sha256 digest(provider); }) == ErrorCode{})
            result.push_back(provider);
    return result;
}

std::string digest_of(std::string_view text, Sha256::Provider provider)
{
    Sha256 digest(provider);
    digest.update(text);
    return digest.hex();
}

} // namespace

TEST_CASE("SHA-256 of the examples of FIPS 180-4", "[digest]")
{
    const auto all = providers();
    if (all.empty()) {
        WARN("skipped: neither libcrypto nor a crypto API of the kernel");
        return;
    }
    for (const auto provider : all) {
        CHECK(digest_of("abc", provider) ==
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        CHECK(digest_of("", provider) ==
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        CHECK(digest_of(std::string(1000000, 'a'), provider) ==
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
}

TEST_CASE("SHA-256 in pieces is that of sha256sum", "[digest]")
{
    TemporaryDirectory directory;
    std::string bytes(3000000, '\0');
    for (std::size_t i = 0; i != bytes.size(); ++i)
        bytes[i] = static_cast<char>(i * 131 + i / 251);
    directory.write("file", bytes);
    ProcessRunner runner;
    const auto sum =
        runner.run({.program = "sha256sum", .arguments = {directory / "file"}}, nullptr).output;
    for (const auto provider : providers()) {
        Sha256 digest(provider);
        std::string_view rest(bytes);
        for (std::size_t step = 0; !rest.empty(); step = step * 3 + 1) {
            const auto piece = rest.substr(0, step);
            digest.update(piece);
            rest.remove_prefix(piece.size());
        }
        CHECK(digest.hex() == sum.substr(0, 64));
    }
}
