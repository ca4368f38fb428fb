// SPDX-License-Identifier: LGPL-2.1-or-later
// Signal handlers: allowed in a program, not in the library.
#include "interrupt.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace command {

namespace {

// A signal handler reaches nothing but globals.
std::atomic<storage::Job*> interrupted_job{nullptr};
std::atomic<int> interrupt_fd{-1};
static_assert(std::atomic<storage::Job*>::is_always_lock_free &&
              std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int)
{
    const int saved = errno;
    if (auto* job = interrupted_job.load())
        job->cancel();
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(interrupt_fd.load(), &one, sizeof one);
    errno = saved;
}

void handle(int signal, void (*handler)(int))
{
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = handler == SIG_DFL ? 0 : static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &action, nullptr);
}

} // namespace

Interrupt::Interrupt(storage::Job& job)
{
    interrupt_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    interrupted_job = &job;
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
}

Interrupt::~Interrupt()
{
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, SIG_DFL);
    interrupted_job = nullptr;
    ::close(interrupt_fd.exchange(-1));
}

int Interrupt::fd() const
{
    return interrupt_fd;
}

} // namespace command
