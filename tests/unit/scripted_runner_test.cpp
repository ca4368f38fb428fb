// SPDX-License-Identifier: LGPL-2.1-or-later
// The transcript says what is run and what it answers; what deviates fails.
#include "scripted_runner.hpp"

#include "scratch.hpp"

using namespace storage;

TEST_CASE("a transcript answers commands in order", "[scripted]")
{
    ScriptedRunner runner(R"(
# lvs 2.03.16, Debian 12
$ lvs --noheadings 'my vg' 'it'\''s' ''
> one
>
> two
! a warning
$ vgs --nosuffix
< input
? 5
! Volume group not found.
$ zpool list
? missing
$ kill me
? signal 9
)");
    const auto first =
        runner.run({.program = "lvs", .arguments = {"--noheadings", "my vg", "it's", ""}}, nullptr);
    CHECK(first.output == "one\n\ntwo\n");
    CHECK(first.errors == "a warning\n");
    CHECK(first.exit_status == 0);
    CHECK_FALSE(runner.finished());
    try {
        runner.run({.program = "vgs", .arguments = {"--nosuffix"}, .input = "input\n"}, nullptr);
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(std::string(error.what()) == "vgs: Volume group not found");
    }
    CHECK(error_code([&] { runner.run({.program = "zpool", .arguments = {"list"}}, nullptr); }) ==
          ErrorCode::unavailable);
    CHECK(error_code([&] { runner.run({.program = "kill", .arguments = {"me"}}, nullptr); }) ==
          ErrorCode::command_failed);
    CHECK(runner.finished());
}

TEST_CASE("a transcript gives the accepted exit statuses back", "[scripted]")
{
    ScriptedRunner runner("$ qemu-img check x\n? 3\n");
    CHECK(
        runner
            .run({.program = "qemu-img", .arguments = {"check", "x"}, .accepted = {0, 3}}, nullptr)
            .exit_status == 3);
}

TEST_CASE("a command that the transcript does not have fails", "[scripted][!shouldfail]")
{
    ScriptedRunner runner("$ lvs\n");
    CHECK_THROWS(runner.run({.program = "vgs"}, nullptr));
}

TEST_CASE("a command that was never run fails", "[scripted][!shouldfail]")
{
    ScriptedRunner runner("$ lvs\n$ vgs\n");
    runner.run({.program = "lvs"}, nullptr);
}

TEST_CASE("a command after the end of the transcript fails", "[scripted][!shouldfail]")
{
    ScriptedRunner runner("$ lvs\n");
    runner.run({.program = "lvs"}, nullptr);
    CHECK_THROWS(runner.run({.program = "lvs"}, nullptr));
}

TEST_CASE("a descriptor that was not passed fails", "[scripted][!shouldfail]")
{
    ScriptedRunner runner("$ cat /proc/self/fd/3\n");
    runner.run({.program = "cat", .arguments = {"/proc/self/fd/3"}}, nullptr);
}
