// SPDX-License-Identifier: LGPL-2.1-or-later
// Programs are run safely, whatever they do and whatever the host process is like.
#include "process_runner.hpp"

#include "file_io.hpp"
#include "hung_file_system.hpp"
#include "job_impl.hpp"
#include "journal.hpp"
#include "pool_lock.hpp"
#include "processes.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>

using namespace storage;
using namespace std::chrono_literals;

namespace {

/** Small shell scripts in the place of tools. */
struct Tools {
    TemporaryDirectory directory{};
    ProcessRunner runner{directory.path(), "/home/of/tests", ""};

    Command script(const std::string& body, std::vector<std::string> arguments = {})
    {
        directory.write("tool", "#!/bin/sh\n" + body + "\n");
        std::filesystem::permissions(directory / "tool", std::filesystem::perms::all);
        return Command{.program = "tool", .arguments = std::move(arguments)};
    }
    std::string output(const std::string& body, std::vector<std::string> arguments = {})
    {
        return runner.run(script(body, std::move(arguments)), nullptr).output;
    }
};

/** Sets a signal's action for one scope. */
class SignalAction {
public:
    SignalAction(int number, void (*handler)(int)) : number_(number)
    {
        struct sigaction action {};
        action.sa_handler = handler;
        ::sigaction(number_, &action, &before_);
    }
    ~SignalAction() { ::sigaction(number_, &before_, nullptr); }

private:
    int number_;
    struct sigaction before_ {};
};

std::atomic<int> child_signals{0};

Error error_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error");
    throw std::logic_error("not reached");
}

/** Cancels once the file exists, that is, once the program is in the middle of it. */
class CancelWhen {
public:
    CancelWhen(Job& job, const std::string& path)
        : thread_([&job, path] {
              await_file(path);
              job.cancel();
          })
    {
    }
    ~CancelWhen() { thread_.join(); }

private:
    std::thread thread_;
};

} // namespace

TEST_CASE("a program's output, errors and exit status come back", "[process]")
{
    Tools tools;
    auto command = tools.script("echo out; echo err >&2; exit 3");
    command.accepted = {0, 3};
    const auto result = tools.runner.run(command, nullptr);
    CHECK(result.exit_status == 3);
    CHECK(result.output == "out\n");
    CHECK(result.errors == "err\n");
}

TEST_CASE("arguments arrive as they are", "[process]")
{
    Tools tools;
    const std::vector<std::string> arguments{"a b",         "",   "$HOME", "*", "'\"\\",
                                             "line\nbreak", "-x", "\xff"};
    std::string expected;
    for (const auto& argument : arguments)
        expected += '<' + argument + '>';
    CHECK(tools.output("printf '<%s>' \"$@\"", arguments) == expected);
    CHECK(error_code([&] { tools.output("true", {std::string("a\0b", 3)}); }) ==
          ErrorCode::invalid_argument);
}

TEST_CASE("standard input is given and ends", "[process]")
{
    Tools tools;
    auto command = tools.script("cat");
    CHECK(tools.runner.run(command, nullptr).output.empty());
    command.input = std::string(3 << 20, 'x') + "end";
    CHECK(tools.runner.run(command, nullptr).output == command.input);
}

TEST_CASE("a program that does not read its input causes no SIGPIPE", "[process]")
{
    Tools tools;
    const SignalAction pipe(SIGPIPE, SIG_DFL); // would kill the test
    auto command = tools.script("exec <&-; echo done");
    command.input = std::string(3 << 20, 'x');
    command.secrets = {Secret(std::string(1 << 20, 's'))};
    CHECK(tools.runner.run(command, nullptr).output == "done\n");
}

TEST_CASE("a secret can be read once, from its descriptor and nowhere else", "[process]")
{
    Tools tools;
    Command command = tools.script("cat \"$1\"; printf '|'; cat \"$1\"; printf '|'; cat \"$2\"; "
                                   "printf '|'; cat /proc/$$/cmdline /proc/$$/environ | "
                                   "tr '\\0' ' '");
    const std::string bytes("first\0\nkey", 10);
    const std::string large(200 << 10, 'k');
    command.arguments = {pass_secret(command, Secret(bytes)), pass_secret(command, Secret(large))};
    CHECK(command.arguments == std::vector<std::string>{"/proc/self/fd/3", "/proc/self/fd/4"});
    const auto output = tools.runner.run(command, nullptr).output;
    const auto shown_part = bytes + "||" + large + '|';
    REQUIRE(output.substr(0, shown_part.size()) == shown_part);
    CHECK(output.find("first", shown_part.size()) == output.npos);
    CHECK(output.find("kkkkk", shown_part.size()) == output.npos);
    CHECK(output.find("/proc/self/fd/3", shown_part.size()) != output.npos);
}

TEST_CASE("an inherited descriptor names its file", "[process]")
{
    Tools tools;
    UniqueFd fd(::open(tools.directory.path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    REQUIRE(fd);
    auto command = tools.script("echo hello >\"$1\"");
    command.arguments = {pass_descriptor(command, fd.get())};
    CHECK(command.arguments[0] == "/proc/self/fd/10");
    tools.runner.run(command, nullptr);
    CHECK(read_fd(fd.get(), 100, "file") == "hello\n");
    CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    command.inherited = {12345};
    CHECK(error_code([&] { tools.runner.run(command, nullptr); }) == ErrorCode::io);
}

TEST_CASE("a program has the descriptors that it was given and no other", "[process]")
{
    Tools tools;
    std::vector<UniqueFd> open; // not close-on-exec, as a careless host's are
    for (int i = 0; i != 40; ++i)
        open.emplace_back(::open("/dev/null", O_RDONLY));
    Command command{.program = "ls", .arguments = {"/proc/self/fd"}};
    command.secrets = {Secret("a"), Secret("b")};
    command.inherited = {open[20].get(), open[3].get()};
    // 5 is ls' own: the directory that it lists.
    CHECK(tools.runner.run(command, nullptr).output == "0\n1\n10\n11\n2\n3\n4\n5\n");
}

TEST_CASE("a program's environment is the documented one", "[process]")
{
    Tools tools;
    ::setenv("BASIN_TEST_VARIABLE", "x", 1);
    const auto result = tools.runner.run({.program = "env"}, nullptr).output;
    ::unsetenv("BASIN_TEST_VARIABLE");
    const std::string without_udev =
        ::access("/run/udev/control", F_OK) == 0 ? "" : "DM_DISABLE_UDEV=1\n";
    CHECK(result == "LC_ALL=C\nPATH=" + tools.directory.path() +
                        ":/usr/sbin:/sbin:/usr/bin:/bin\nHOME=/home/of/tests\n" + without_udev);
    ProcessRunner other("relative:/a::/usr/bin:.:/a", "relative", "/tmp");
    CHECK(other.run({.program = "env"}, nullptr).output ==
          "LC_ALL=C\nPATH=/a:/usr/bin:/usr/sbin:/sbin:/bin\nTMPDIR=/tmp\n" + without_udev);
}

TEST_CASE("a program starts with default signals, in a session of its own, without core dumps",
          "[process]")
{
    Tools tools;
    const SignalAction interrupt(SIGINT, SIG_IGN);
    const SignalAction pipe(SIGPIPE, SIG_IGN);
    const SignalAction user(SIGRTMIN + 3, SIG_IGN);
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigaddset(&blocked, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const auto output = tools.output("grep -E '^(SigBlk|SigIgn)' /proc/self/status; pwd; umask; "
                                     "ulimit -c; ps -o pid=,pgid=,sid=,tty= -p $$ | "
                                     "awk -v p=$$ '{ print $1 - p, $2 - p, $3 - p, $4 }'");
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, &before, &after);
    CHECK(output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n/\n0077\n0\n0 0 0 ?\n");
    for (int number = 1; number <= SIGRTMAX; ++number)
        CHECK(sigismember(&after, number) ==
              (sigismember(&before, number) || number == SIGUSR2 || number == SIGTERM));
}

TEST_CASE("a program that is not there is unavailable, and its package named", "[process]")
{
    Tools tools;
    const auto error = error_of([&] { tools.runner.run({.program = "no-such-tool"}, nullptr); });
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK(std::string(error.what()) == "program 'no-such-tool' is not installed");
    CHECK(missing_program("qemu-img").remedy() == "install the Debian package 'qemu-utils'");
    CHECK(missing_program("/usr/sbin/vgs").remedy() == "install the Debian package 'lvm2'");
    for (const auto* name : {"", "bin/true", "./tool", "/no/such/tool", "/usr/bin"})
        CHECK(error_code([&] { tools.runner.run({.program = name}, nullptr); }) ==
              ErrorCode::unavailable);
}

TEST_CASE("a program that the kernel does not run is unavailable", "[process]")
{
    Tools tools;
    const auto make = [&](const std::string& content) {
        tools.directory.write("odd", content);
        std::filesystem::permissions(tools.directory / "odd", std::filesystem::perms::owner_all);
        return error_of([&] { tools.runner.run({.program = "odd"}, nullptr); });
    };
    const auto interpreter = make("#!/no/such/interpreter\n");
    CHECK(interpreter.code() == ErrorCode::unavailable);
    CHECK(std::string(interpreter.what()) ==
          "cannot run '" + tools.directory / "odd" + "': No such file or directory");
    CHECK(make("\x7f"
               "ELF garbage")
              .code() == ErrorCode::unavailable);
    const auto long_argument = error_of([&] {
        tools.runner.run({.program = "true", .arguments = {std::string(1 << 20, 'x')}}, nullptr);
    });
    CHECK(long_argument.os_error() == E2BIG);
    CHECK(no_children());
}

TEST_CASE("a failure names what the program said first, and keeps the rest as evidence",
          "[process]")
{
    Tools tools;
    auto command = tools.script("echo '  WARNING: old metadata' >&2; echo >&2\n"
                                "echo 'tool: cannot open \"$1\".' >&2; echo more >&2; exit 5",
                                {"my vg", "it's"});
    const auto error = error_of([&] { tools.runner.run(command, nullptr); });
    CHECK(error.code() == ErrorCode::command_failed);
    CHECK(std::string(error.what()) == "tool: cannot open \"$1\"");
    CHECK(error.detail() ==
          "command: tool 'my vg' 'it'\\''s'\nended: exit status 5\nstderr:   WARNING: "
          "old metadata\n\ntool: cannot open \"$1\".\nmore\n");

    const auto silent = error_of([&] { tools.output("exit 7"); });
    CHECK(std::string(silent.what()) == "tool: exit status 7");
    const auto warned = error_of([&] { tools.output("echo WARNING: x >&2; exit 7"); });
    CHECK(std::string(warned.what()) == "tool: WARNING: x");
}

TEST_CASE("what the system told a program is told as if it had been asked itself", "[process]")
{
    Tools tools;
    const auto said = [&](const std::string& text) {
        return error_of([&] { tools.output("echo 'tool: write: " + text + "' >&2; exit 1"); });
    };
    const auto full = said("No space left on device");
    CHECK(full.code() == ErrorCode::no_space);
    CHECK(full.os_error() == ENOSPC);
    CHECK(std::string(full.what()) == "tool: write: No space left on device");
    CHECK(full.detail().find("exit status 1") != std::string::npos);
    CHECK(said("Disk quota exceeded").code() == ErrorCode::no_space);
    CHECK(said("Read-only file system").code() == ErrorCode::permission_denied);
    CHECK(said("Input/output error").os_error() == EIO);
    CHECK(said("No space left on device, it seems").code() == ErrorCode::command_failed);
}

TEST_CASE("what a program complains about is bounded and printable", "[process]")
{
    Tools tools;
    const auto error = error_of([&] {
        tools.output("printf 'bad \\377\\033[1m \\302\\233name\\n' >&2; seq 20000 >&2; echo last "
                     ">&2; exit 1");
    });
    CHECK(std::string(error.what()) == "tool: bad ? [1m  name");
    CHECK(error.detail().size() < 4500);
    CHECK(error.detail().find("last\n") != std::string::npos);
}

TEST_CASE("a secret that a program repeats is not in the error", "[process]")
{
    Tools tools;
    auto command =
        tools.script("echo \"bad key $(cat /proc/self/fd/3), $1\" >&2; exit 1", {"x-the-canary-y"});
    command.secrets = {Secret("the-canary\n")};
    const auto error = error_of([&] { tools.runner.run(command, nullptr); });
    CHECK(std::string(error.what()) == "tool: bad key ***, x-***-y");
    CHECK(error.detail().find("the-canary") == std::string::npos);
    CHECK(words(command) == std::vector<std::string>{"tool", "x-***-y"});
}

TEST_CASE("a program that a signal ends has failed", "[process]")
{
    Tools tools;
    const auto error = error_of([&] { tools.output("kill -SEGV $$"); });
    CHECK(error.code() == ErrorCode::command_failed);
    CHECK(std::string(error.what()) == "tool: killed by signal 11 (SIGSEGV)");
}

TEST_CASE("a program that floods is ended", "[process]")
{
    Tools tools;
    for (const auto* body : {"yes", "yes >&2", "trap '' TERM; yes & yes >&2; wait"}) {
        auto command = tools.script(body);
        command.output_limit = 1 << 20;
        const auto error = error_of([&] { tools.runner.run(command, nullptr); });
        CHECK(error.code() == ErrorCode::parse_failed);
        CHECK(std::string(error.what()).find("wrote more than 1048576 bytes to standard") !=
              std::string::npos);
    }
    CHECK(no_children());
}

TEST_CASE("output is told while the program runs", "[process]")
{
    Tools tools;
    auto command = tools.script("printf one; while ! [ -e " + tools.directory / "seen" +
                                " ]; do sleep 0.01; done; printf two");
    std::string told;
    command.on_output = [&](std::string_view piece) {
        told += piece;
        tools.directory.write("seen", "");
    };
    CHECK(tools.runner.run(command, nullptr).output == "onetwo");
    CHECK(told == "onetwo");
}

TEST_CASE("an exception of who is told ends the program", "[process]")
{
    Tools tools;
    auto command = tools.script("echo $$; exec sleep 1000");
    pid_t pid = 0;
    command.on_output = [&](std::string_view piece) {
        pid = std::stoi(std::string(piece));
        throw std::runtime_error("enough");
    };
    CHECK_THROWS_WITH(tools.runner.run(command, nullptr), "enough");
    CHECK(is_gone(pid));
    CHECK(no_children());
}

TEST_CASE("a program that hangs ends with the job, with all its children", "[process]")
{
    Tools tools;
    for (const auto* trap : {"", "trap '' TERM INT HUP; "}) {
        std::filesystem::remove(tools.directory / "pids");
        auto command = tools.script(std::string(trap) + "sleep 1000 & sleep 1001 & echo $$ $! > " +
                                    tools.directory / "p" + "; mv " + tools.directory / "p" + " " +
                                    tools.directory / "pids" + "; wait; wait; sleep 1002");
        Job job;
        Error error(ErrorCode::internal, "");
        {
            const CancelWhen cancel(job, tools.directory / "pids");
            error = error_of([&] { tools.runner.run(command, &job); });
        }
        CHECK(error.code() == ErrorCode::cancelled);
        CHECK(std::string(error.what()) == "tool: cancelled");
        std::istringstream pids(tools.directory.read("pids"));
        int count = 0;
        for (pid_t pid; pids >> pid; ++count)
            CHECK(is_gone(pid));
        CHECK(count == 2);
    }
    Job job;
    job.set_timeout(50ms);
    CHECK(error_code([&] { tools.runner.run(tools.script("sleep 1000"), &job); }) ==
          ErrorCode::timed_out);
    CHECK(no_children());
}

TEST_CASE("a program that is asked to end and goes on is soon killed, unless it is given time",
          "[process]")
{
    Tools tools;
    for (const bool is_given_time : {false, true}) {
        auto command = tools.script("trap 'sleep " + std::string(is_given_time ? "1" : "60") +
                                    "; touch " + tools.directory / "late" + "; exit' TERM; touch " +
                                    tools.directory / "begun" + "; while :; do sleep 0.01; done");
        if (is_given_time)
            command.end_patience = 60s;
        Job job;
        {
            const CancelWhen cancel(job, tools.directory / "begun");
            CHECK(error_code([&] { tools.runner.run(command, &job); }) == ErrorCode::cancelled);
        }
        CHECK(tools.directory.exists("late") == is_given_time);
        CHECK(no_children());
        std::filesystem::remove(tools.directory / "begun");
    }
}

TEST_CASE("a job that is over starts nothing", "[process]")
{
    Tools tools;
    Job job;
    job.cancel();
    CHECK(error_code([&] {
              tools.runner.run(tools.script("touch " + tools.directory / "ran"), &job);
          }) == ErrorCode::cancelled);
    CHECK_FALSE(tools.directory.exists("ran"));
}

TEST_CASE("children that keep the output open do not hold up the call", "[process]")
{
    Tools tools;
    const auto output = tools.output("sleep 1000 & echo $!");
    CHECK(is_gone(std::stoi(output)));

    // One that left the group cannot be found, and is not waited for.
    const auto away = tools.output("setsid sleep 1000 & sleep 0.2; echo $!");
    const auto pid = std::stoi(away);
    CHECK(::kill(pid, 0) == 0);
    ::kill(pid, SIGKILL);

    // One that let go of the output is none of our business.
    const auto quiet = std::stoi(tools.output("sleep 1000 >/dev/null 2>&1 & echo $!"));
    CHECK(::kill(quiet, 0) == 0);
    ::kill(quiet, SIGKILL);
    CHECK(no_children());
}

TEST_CASE("the host's SIGCHLD handler and its wait see nothing", "[process]")
{
    Tools tools;
    child_signals = 0;
    const SignalAction handler(SIGCHLD, [](int) { ++child_signals; });
    std::atomic<bool> over{false};
    std::atomic<int> stolen{0};
    std::thread waiter([&] {
        while (!over)
            if (::waitpid(-1, nullptr, WNOHANG) > 0)
                ++stolen;
    });
    auto command = tools.script("sleep 0.01; exit $1");
    command.accepted = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int i = 0; i != 10; ++i) {
        command.arguments = {std::to_string(i)};
        CHECK(tools.runner.run(command, nullptr).exit_status == i);
    }
    over = true;
    waiter.join();
    CHECK(child_signals == 0);
    CHECK(stolen == 0);
}

TEST_CASE("exit statuses arrive in a host that ignores SIGCHLD", "[process]")
{
    Tools tools;
    const SignalAction ignored(SIGCHLD, SIG_IGN);
    auto command = tools.script("sleep 0.01; exit 4");
    command.accepted = {4};
    CHECK(tools.runner.run(command, nullptr).exit_status == 4);
    CHECK(error_code([&] { tools.output("exit 1"); }) == ErrorCode::command_failed);
    CHECK(no_children());
}

TEST_CASE("a supervisor that somebody kills takes its program along", "[process]")
{
    Tools tools;
    pid_t pid = 0;
    auto command = tools.script("echo $$; while ! [ -e " + tools.directory / "seen" +
                                " ]; do sleep 0.01; done; kill -KILL $PPID; exec sleep 1000");
    command.on_output = [&](std::string_view piece) {
        pid = std::stoi(std::string(piece));
        tools.directory.write("seen", "");
    };
    const auto error = error_of([&] { tools.runner.run(command, nullptr); });
    CHECK(error.code() == ErrorCode::io);
    CHECK(std::string(error.what()) == "'tool': killed together with its supervising process");
    CHECK(is_gone(pid));
    CHECK(no_children());
}

TEST_CASE("a program that cannot be killed is let go of", "[process]")
{
    HungFileSystem hung;
    if (!hung.mounted()) {
        WARN("skipped: a file system in user space cannot be mounted here");
        return;
    }
    const auto descriptors = open_descriptors();
    Tools tools;
    Job job;
    auto command = tools.script("echo $$; exec stat " + hung.path() + "/x");
    pid_t pid = 0;
    command.on_output = [&](std::string_view piece) {
        pid = std::stoi(std::string(piece));
        hung.await_request();
        job.cancel();
    };
    const auto error = error_of([&] { tools.runner.run(command, &job); });
    CHECK(error.code() == ErrorCode::cancelled);
    CHECK(std::string(error.what()) == "tool: cancelled; process " + std::to_string(pid) +
                                           " cannot be killed while it waits in the kernel");
    CHECK(no_children());
    CHECK(open_descriptors() == descriptors);
    CHECK_FALSE(is_gone(pid, 100ms));
    hung.release();
    CHECK(is_gone(pid));
}

TEST_CASE("many threads run programs at once, and nothing is left over", "[process]")
{
    const auto before = open_descriptors();
    {
        Tools tools;
        tools.script("cat; cat /proc/self/fd/3; exit $1");
        std::vector<std::thread> threads;
        std::atomic<int> right{0};
        for (int t = 0; t != 8; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i != 20; ++i) {
                    const auto id = std::to_string(t) + '.' + std::to_string(i);
                    Command command{.program = "tool",
                                    .arguments = {std::to_string(t)},
                                    .input = id,
                                    .secrets = {Secret(id)},
                                    .accepted = {t}};
                    const auto result = tools.runner.run(command, nullptr);
                    right += result.output == id + id && result.exit_status == t;
                }
            });
        for (auto& thread : threads)
            thread.join();
        CHECK(right == 160);
    }
    CHECK(open_descriptors() == before);
    CHECK(no_children());
}

TEST_CASE("failing runs leave no descriptor, process or mapping", "[process]")
{
    Tools tools;
    Job job;
    const auto run_all = [&] {
        for (const auto* body : {"exit 1", "kill -9 $$", "yes", "sleep 1000"}) {
            auto command = tools.script(body);
            command.output_limit = 1 << 16;
            job.set_timeout(100ms);
            CHECK_THROWS_AS(tools.runner.run(command, &job), Error);
        }
        CHECK_THROWS_AS(tools.runner.run({.program = "/dev/null"}, nullptr), Error);
        tools.directory.write("odd", "x");
        CHECK_THROWS_AS(tools.runner.run({.program = tools.directory / "odd"}, nullptr), Error);
    };
    run_all();
    const auto descriptors = open_descriptors();
    const auto mappings = stack_guards();
    run_all();
    run_all();
    CHECK(open_descriptors() == descriptors);
    CHECK(stack_guards() == mappings);
    CHECK(no_children());
}

TEST_CASE("programs run from a host whose standard descriptors are closed", "[process]")
{
    Tools tools;
    auto command = tools.script("cat; cat /proc/self/fd/3 >&2");
    command.input = "in";
    command.secrets = {Secret("key")};
    const auto host = ::fork();
    if (host == 0) {
        for (int fd = 0; fd != 3; ++fd)
            ::close(fd);
        const auto result = tools.runner.run(command, nullptr);
        ::_exit(result.output == "in" && result.errors == "key" && ::fcntl(0, F_GETFD) < 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(host, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("a program dies with its host, or goes on, as the command says; its locks stay till then",
          "[process]")
{
    Tools tools;
    const LockDirectory locks(tools.directory / "lock");
    const Journal journal(tools.directory / "journal");
    const auto is_locked = [&] {
        return error_code([&] { locks.lock_pool("uuid", "pool", "test", nullptr); }) ==
               ErrorCode::busy;
    };
    for (const bool dies : {true, false}) {
        std::filesystem::remove(tools.directory / "pids");
        auto command =
            tools.script("sleep 1000 & echo $$ $! > " + tools.directory / "p" + "; mv " +
                         tools.directory / "p" + " " + tools.directory / "pids" + "; wait");
        command.dies_with_us = dies;
        const auto host = ::fork();
        if (host == 0) {
            const auto lock = locks.lock_pool("uuid", "pool", "test", nullptr);
            const auto entry = journal.open_entry("{}", Durability::volatile_file);
            tools.runner.run(command, nullptr);
            ::_exit(0);
        }
        await_file(tools.directory / "pids");
        std::istringstream text(tools.directory.read("pids"));
        pid_t program = 0;
        pid_t child = 0;
        text >> program >> child;
        REQUIRE(child > 0);
        ::kill(host, SIGKILL);
        ::waitpid(host, nullptr, 0);
        if (dies) {
            CHECK(comes_true([&] { return !is_locked(); }));
            CHECK(journal.abandoned().size() == 1);
            CHECK(is_gone(program, 0ms));
            CHECK(is_gone(child, 0ms));
        } else {
            CHECK_FALSE(is_gone(program, 300ms));
            CHECK(is_locked());
            CHECK(journal.abandoned().size() == 1); // of the first time
            CHECK(::kill(-program, SIGKILL) == 0);
            CHECK(comes_true([&] { return !is_locked(); }));
            CHECK(journal.abandoned().size() == 2);
        }
    }
}

// Hidden: `tool-tests '[.cost]'` prints what starting a program costs in a small and in a large
// host.
TEST_CASE("cost of starting a program", "[.cost]")
{
    ProcessRunner runner;
    for (const std::size_t megabytes : {10UL, 10240UL}) {
        const std::size_t size = megabytes << 20;
        void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        ::madvise(memory, size, MADV_NOHUGEPAGE);
        for (std::size_t at = 0; at < size; at += 4096)
            static_cast<volatile char*>(memory)[at] = 1;
        const auto time = [](const char* name, std::size_t mb, const auto& call) {
            constexpr int rounds = 20;
            const auto start = std::chrono::steady_clock::now();
            for (int i = 0; i != rounds; ++i)
                call();
            const auto spent = std::chrono::steady_clock::now() - start;
            std::printf("%6zu MiB %-14s %8.0f us\n", mb, name,
                        std::chrono::duration<double, std::micro>(spent).count() / rounds);
        };
        time("ProcessRunner", megabytes, [&] { runner.run({.program = "/bin/true"}, nullptr); });
        time("fork, exec", megabytes, [&] {
            const auto pid = ::fork();
            if (pid == 0) {
                ::execl("/bin/true", "true", nullptr);
                ::_exit(1);
            }
            ::waitpid(pid, nullptr, 0);
        });
        ::munmap(memory, size);
    }
}
