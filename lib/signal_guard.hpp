// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel tells by a signal and by errno at once is an error of the call, and no signal for
// the host process.
#pragma once

#include <cerrno>
#include <csignal>

namespace storage::inline v1 {

/** Keeps a signal that the kernel sends to the calling thread itself (SIGPIPE, SIGXFSZ) from it. */
class SignalGuard {
public:
    explicit SignalGuard(int signal)
    {
        sigset_t pending;
        ::sigemptyset(&signal_);
        ::sigaddset(&signal_, signal);
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, signal) == 1;
        ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
    }
    ~SignalGuard()
    {
        const int error = errno;
        constexpr struct timespec now {
        };
        if (!was_pending_)
            while (::sigtimedwait(&signal_, nullptr, &now) > 0)
                ;
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = error;
    }
    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;

private:
    sigset_t signal_{};
    sigset_t before_{};
    bool was_pending_{};
};

/** While it lives, threads that this one starts block all signals: handlers stay with the host. */
class SignalsBlocked {
public:
    SignalsBlocked()
    {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

} // namespace storage::inline v1
