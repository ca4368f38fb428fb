// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lock_descriptor.hpp"

#include <algorithm>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace storage::inline v1 {

namespace {

// Nothing here has a destructor to run: a thread that was left behind may outlive main().
constinit std::mutex mutex;
constinit std::vector<int>* held = nullptr; ///< none: null or, in a child, empty

// A child of fork() has no other thread that would give the mutex back. Its parent's locks are none
// of its own: they end with the parent. Their numbers stay taken, should it drop what they are in.
void enter_child()
{
    if (held && !held->empty()) {
        ::close(held->front()); // so that there is a number left for what takes their place
        UniqueFd nothing(::eventfd(0, EFD_CLOEXEC));
        for (const int fd : *held)
            if (fd != nothing.get() && ::dup3(nothing.get(), fd, O_CLOEXEC) < 0)
                ::close(fd);
        if (std::find(held->begin(), held->end(), nothing.get()) != held->end())
            nothing.release(); // it stays, in the place of one of them
        held->clear();
    }
    mutex.unlock();
}

[[maybe_unused]] const int registered =
    ::pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, enter_child);

} // namespace

LockDescriptor::LockDescriptor(UniqueFd fd) : fd_(std::move(fd))
{
    const std::lock_guard lock(mutex);
    if (!held)
        held = new std::vector<int>;
    held->push_back(fd_.get());
}

LockDescriptor::~LockDescriptor()
{
    if (!fd_)
        return;
    const std::lock_guard lock(mutex);
    if (held && std::erase(*held, fd_.get()) != 0 && held->empty())
        delete std::exchange(held, nullptr);
    // Closed when the mutex is free again: where the file's server hangs, no fork() waits for it.
}

LockDescriptors::LockDescriptors() : lock_(mutex) {}

std::span<const int> LockDescriptors::list() const noexcept
{
    return held ? std::span<const int>(*held) : std::span<const int>();
}

} // namespace storage::inline v1
