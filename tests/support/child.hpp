// SPDX-License-Identifier: LGPL-2.1-or-later
// A forked process that gets ready, waits until it is let go, and ends.
#pragma once

#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

class Child {
public:
    /** @param prepare  runs in the child; false where it could not do it */
    explicit Child(const std::function<bool()>& prepare)
    {
        int ready[2], leave[2];
        if (::pipe(ready) != 0 || ::pipe(leave) != 0)
            return;
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(leave[1]);
            char byte = prepare() ? 'y' : 'n';
            const bool told = ::write(ready[1], &byte, 1) == 1;
            ::_exit(told && ::read(leave[0], &byte, 1) == 0 ? 0 : 1);
        }
        ::close(ready[1]);
        ::close(leave[0]);
        char byte = 'n';
        is_ready_ = ::read(ready[0], &byte, 1) == 1 && byte == 'y';
        ::close(ready[0]);
        leave_ = leave[1];
    }
    ~Child()
    {
        ::close(leave_);
        ::waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    bool is_ready() const { return is_ready_; }
    pid_t pid() const { return pid_; }

private:
    pid_t pid_{-1};
    int leave_{-1};
    bool is_ready_{};
};

/** What work says when it runs in a forked process. */
inline std::string text_from_child(const std::function<std::string()>& work)
{
    int channel[2];
    if (::pipe(channel) != 0)
        return "pipe";
    const auto pid = ::fork();
    if (pid == 0) {
        std::string text;
        try {
            text = work();
        } catch (const std::exception& error) {
            text = error.what();
        }
        const auto n = ::write(channel[1], text.data(), text.size());
        ::_exit(n == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(channel[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(channel[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    ::close(channel[0]);
    ::waitpid(pid, nullptr, 0);
    return text;
}
