// SPDX-License-Identifier: LGPL-2.1-or-later
// basin: storage pools and volumes on the command line, with virsh's verbs.
#include "call.hpp"

#include <basin/version.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <unistd.h>

namespace command {

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

/** Documented in basin(1). */
int exit_status(ErrorCode code)
{
    switch (code) {
    case ErrorCode::invalid_argument: return exit_usage;
    case ErrorCode::not_found: return 3;
    case ErrorCode::busy: return 4;
    case ErrorCode::already_exists: return 5;
    case ErrorCode::invalid_state: return 6;
    case ErrorCode::invalid_xml: return 7;
    case ErrorCode::not_supported: return 8;
    case ErrorCode::unavailable: return 9;
    case ErrorCode::no_space: return 10;
    case ErrorCode::permission_denied: return 11;
    case ErrorCode::connection: return 12;
    case ErrorCode::timed_out: return 13;
    case ErrorCode::cancelled: return 130; // as a shell reports SIGINT
    case ErrorCode::io:
    case ErrorCode::command_failed:
    case ErrorCode::parse_failed:
    case ErrorCode::no_memory:
    case ErrorCode::internal: break;
    }
    return exit_failed;
}

/** Printable, with the line breaks that evidence has. */
std::string indented(std::string_view lines)
{
    std::string text;
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size());
        text += "  " + printable(lines.substr(0, end)) + '\n';
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
    return text;
}

int report(const Error& error, bool json)
{
    const int status = exit_status(error.code());
    std::string text;
    if (json) {
        text = JsonObject().raw("error", to_json(error)).integer("exit", status).str() + '\n';
    } else {
        text = "error: " + printable(error.what()) + '\n' + indented(error.detail());
        if (!error.remedy().empty())
            text += "hint: " + printable(error.remedy()) + '\n';
    }
    std::fputs(text.c_str(), stderr);
    return status;
}

/** The hint of a UsageError for a verb is a usage line, which is long. */
int report(const UsageError& error, bool json)
{
    return report(Error(ErrorCode::invalid_argument, error.what(), error.hint()), json);
}

void print_help(const Invocation& invocation, Output& output)
{
    const auto text = invocation.verb ? help_text(*invocation.verb) : help_text();
    output.add(invocation.globals.has("json") ? JsonObject().text("help", text).str() + '\n'
                                              : text);
}

void print_version(const Invocation& invocation, Output& output)
{
    output.add(invocation.globals.has("json")
                   ? JsonObject().text("version", BASIN_VERSION_STRING).str() + '\n'
                   : "basin " BASIN_VERSION_STRING "\n");
}

int run(int argc, char** argv, Invocation& invocation, Output& output)
{
    parse_command_line(argc, argv, invocation);
    const auto& globals = invocation.globals;
    if (globals.has("help") || globals.has("version")) {
        globals.has("help") ? print_help(invocation, output) : print_version(invocation, output);
        output.flush();
        return 0;
    }
    if (!invocation.verb)
        throw UsageError("no verb was given");
    Call call(invocation, output);
    invocation.verb->run(call);
    if (!call.json() && !call.quiet())
        output.add("\n"); // as virsh does
    output.flush();
    return call.status();
}

int guarded(int argc, char** argv)
{
    Invocation invocation;
    Output output(STDOUT_FILENO);
    const auto json = [&] { return invocation.globals.has("json"); };
    try {
        return run(argc, argv, invocation, output);
    } catch (const UsageError& error) {
        return report(error, json());
    } catch (const Error& error) {
        return report(error, json());
    } catch (const OutputError& error) {
        return error.reader_gone() ? exit_failed
                                   : report(Error(ErrorCode::io, error.what()), json());
    } catch (const std::bad_alloc&) {
        return report(Error(ErrorCode::no_memory, "out of memory"), json());
    } catch (const std::exception& error) {
        return report(Error(ErrorCode::internal, error.what(), "report this as a bug"), json());
    }
}

/** What it was started without is opened so that its use is an error, and nobody else's file. */
bool fill_standard_descriptors()
{
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_GETFD) < 0 &&
            ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

} // namespace

} // namespace command

int main(int argc, char** argv)
{
    if (!command::fill_standard_descriptors())
        return command::exit_failed;
    std::setlocale(LC_CTYPE, "");  // the width of characters in tables
    std::signal(SIGPIPE, SIG_IGN); // write() reports EPIPE instead
    return command::guarded(argc, argv);
}
