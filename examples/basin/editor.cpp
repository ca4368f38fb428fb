// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs the user's editor.
#include "editor.hpp"

#include "call.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace command {

namespace {

Error file_error(const std::string& what, int error)
{
    return Error(ErrorCode::io, what + ": " + std::strerror(error), {}, {}, error);
}

/** While an editor runs, Ctrl-C is the editor's. */
class IgnoredInterrupt {
public:
    IgnoredInterrupt()
    {
        struct sigaction ignore {};
        ignore.sa_handler = SIG_IGN;
        ::sigaction(SIGINT, &ignore, &before_);
    }
    ~IgnoredInterrupt() { ::sigaction(SIGINT, &before_, nullptr); }
    IgnoredInterrupt(const IgnoredInterrupt&) = delete;
    IgnoredInterrupt& operator=(const IgnoredInterrupt&) = delete;

private:
    struct sigaction before_ {};
};

int run_editor(const std::string& path)
{
    // The variable may hold arguments, so a shell takes it apart; the path it must not.
    const char* script = "exec ${VISUAL:-${EDITOR:-vi}} \"$1\"";
    std::string words[] = {"sh", "-c", script, "sh", path};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(),
                    words[3].data(), words[4].data(), nullptr};
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const IgnoredInterrupt ignored;
    pid_t child{};
    const int error = ::posix_spawn(&child, "/bin/sh", nullptr, &attributes, argv, environ);
    ::posix_spawnattr_destroy(&attributes);
    if (error)
        throw file_error("cannot run an editor", error);
    int status{};
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            throw file_error("cannot wait for the editor", errno);
    return status;
}

} // namespace

EditedFile::EditedFile(const std::string& text)
{
    const char* directory = std::getenv("TMPDIR");
    path_ = std::string(directory && *directory ? directory : "/tmp") + "/basin-XXXXXX.xml";
    const int fd = ::mkostemps(path_.data(), 4, O_CLOEXEC);
    if (fd < 0)
        throw file_error("cannot make the temporary file '" + path_ + "'", errno);
    Output output(fd);
    try {
        output.add(text);
        output.flush();
    } catch (const OutputError&) {
        ::close(fd);
        ::unlink(path_.c_str());
        throw;
    }
    ::close(fd);
}

EditedFile::~EditedFile()
{
    ::unlink(path_.c_str());
}

std::string EditedFile::edit()
{
    const int status = run_editor(path_);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw Error(ErrorCode::command_failed,
                    "the editor ended with an error; nothing was changed",
                    "set EDITOR to an editor that works here");
    return read_file(path_);
}

Again ask_again(const std::string& problem)
{
    if (!::isatty(STDIN_FILENO))
        return Again::no;
    std::string answer;
    while (true) {
        std::cerr << "error: " << printable(problem) << "\nTry again? [y,n,i,?]: " << std::flush;
        if (!std::getline(std::cin, answer) || answer == "n")
            return Again::no;
        if (answer == "y")
            return Again::yes;
        if (answer == "i")
            return Again::without_validation;
        std::cerr << "y - start the editor again\nn - throw the changes away\n"
                     "i - start it again, and then ignore what basin does not know\n";
    }
}

} // namespace command
