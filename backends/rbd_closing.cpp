// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_closing.hpp"

#include "dynamic_library.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

std::atomic<int> closing{0};
std::atomic<pid_t> closer{0}; ///< a forked child has none of its parent's threads

void wait_for_closing()
{
    constexpr int attempts = 200;
    for (int i = 0; i != attempts && closing > 0 && closer == ::getpid(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

} // namespace

void close_elsewhere(std::function<void()> close)
{
    keep_this_library();
    static const int registered = std::atexit(wait_for_closing);
    static_cast<void>(registered);
    if (closer.exchange(::getpid()) != ::getpid())
        closing = 0;
    ++closing;
    quiet_thread([close = std::move(close)]() mutable {
        close();
        close = nullptr;
        --closing;
    }).detach();
}

} // namespace storage::inline v1
