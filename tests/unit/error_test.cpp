// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/error.hpp>
#include <catch2/catch.hpp>

using namespace storage;

TEST_CASE("an error keeps what it was made of", "[error]")
{
    const Error error(ErrorCode::busy, "pool 'vms': in use", "retry", "pid 1", 16);
    CHECK(std::string(error.what()) == "pool 'vms': in use");
    CHECK(error.remedy() == "retry");
    CHECK(error.detail() == "pid 1");
    CHECK(error.os_error() == 16);
    CHECK(error.retryable());
    CHECK_FALSE(Error(ErrorCode::io, "x").retryable());
}

TEST_CASE("an error is one line of text, whatever it names", "[error]")
{
    const auto shown = [](const std::string& name) {
        return std::string(Error(ErrorCode::not_found, "no pool named '" + name + "'").what());
    };
    CHECK(shown("a\nb\x1b[1m") == "no pool named 'a\\x0ab\\x1b[1m'");
    CHECK(shown("\xFF\xFEü") == "no pool named '\\xff\\xfeü'");
    CHECK(shown("漢字 ü") == "no pool named '漢字 ü'");
}

TEST_CASE("every code has its name", "[error]")
{
    CHECK(to_string(ErrorCode::invalid_argument) == "invalid_argument");
    CHECK(to_string(ErrorCode::internal) == "internal");
    CHECK(to_string(static_cast<ErrorCode>(-99)) == "unknown");
}
