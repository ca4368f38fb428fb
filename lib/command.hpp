// SPDX-License-Identifier: LGPL-2.1-or-later
// Command: a program to run, as a value; CommandRunner: who runs it, for real or from a transcript.
#pragma once

#include <basin/error.hpp>
#include <basin/job.hpp>
#include <basin/secret.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace storage::inline v1 {

/**
 * A program with its arguments. Nothing of it passes through a shell.
 *
 * Descriptors have fixed numbers in the program, so that the arguments can name them before it
 * starts: pass_secret() and pass_descriptor() return the path to write there.
 */
struct Command {
    std::string program{}; ///< a name to look for, or an absolute path
    std::vector<std::string> arguments{};
    std::string input{};           ///< standard input; always a pipe, ended after this
    std::vector<Secret> secrets{}; ///< each can be read once, from a pipe of its own
    std::vector<int> inherited{};  ///< descriptors that the program gets; the caller keeps his
    std::vector<int> accepted{0};  ///< exit statuses that are no error
    /** Bytes of standard output, and of standard error, after which the program is ended. */
    std::size_t output_limit{std::size_t{16} << 20};
    /** Told standard output as it comes, in pieces of any length. The result has it as well. */
    std::function<void(std::string_view)> on_output{};
    /** After this much time it is ended with timed_out, whatever the job allows; 0: no limit. */
    std::chrono::milliseconds limit{};
    bool dies_with_us{true}; ///< killed when this process dies; else it goes on
    /** false: cancel and deadline ask it to end (SIGTERM) and wait until it does, because killing
     * it would leave a mess. */
    bool killable{true};
    /** How long it is given to end after SIGTERM before it is killed. */
    std::chrono::milliseconds end_patience{150};
};

struct CommandResult {
    int exit_status{};
    std::string output{};
    std::string errors{};
};

class CommandRunner {
public:
    virtual ~CommandRunner() = default;

    /**
     * Runs the program to its end.
     * @throws Error unavailable     it is not installed
     *               command_failed  its exit status is not accepted, or a signal ended it; detail()
     *                               has the arguments and the end of standard error
     *               no_space, permission_denied, io  likewise, where it ends with the system's
     * words for a full, read-only or failing disk; os_error() is that parse_failed    it wrote more
     * than output_limit; it was ended cancelled, timed_out  it was ended
     */
    virtual CommandResult run(const Command& command, Job* job) = 0;
};

inline constexpr int first_secret_fd = 3;
inline constexpr int first_inherited_fd = 10;
inline constexpr std::size_t secret_limit = first_inherited_fd - first_secret_fd;

/** Adds a secret and returns the path under which the program can read it, once. */
std::string pass_secret(Command& command, const Secret& secret);

/** Adds a descriptor and returns the path under which the program can open its file. */
std::string pass_descriptor(Command& command, int fd);

/** Program and arguments, secrets redacted, each quoted for a POSIX shell where it needs to be. */
std::string quoted(const Command& command);

/** The same as a list of unquoted words for StepRecord::call: "***" also stands for the descriptor
 * that a secret comes through. */
std::vector<std::string> words(const Command& command);
/** Of commands that one step runs one after the other, as in_turn(). */
std::vector<std::string> words(const std::vector<Command>& commands);
/** StepRecord::call of a step that makes several, with "&&" between them; empty ones are left out.
 */
std::vector<std::string> in_turn(const std::vector<std::vector<std::string>>& calls);

/** The error of a command that ended with a status that it does not accept. */
Error exit_error(const Command& command, const CommandResult& result);
/** The error of a command that a signal ended. */
Error signal_error(const Command& command, int signal, const CommandResult& result);
/** The error of a program that is not there. */
Error missing_program(const std::string& program);

} // namespace storage::inline v1
