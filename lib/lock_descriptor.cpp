// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lock_descriptor.hpp"

namespace storage::inline v1 {

namespace {

struct Held {
    std::mutex mutex{};
    std::vector<int> list{};
};

/** Never destroyed: a thread that was left behind may outlive main(). */
Held& held()
{
    static Held& instance = *new Held;
    return instance;
}

} // namespace

LockDescriptor::LockDescriptor(UniqueFd fd) : fd_(std::move(fd))
{
    const std::lock_guard lock(held().mutex);
    held().list.push_back(fd_.get());
}

LockDescriptor::~LockDescriptor()
{
    if (!fd_)
        return;
    const std::lock_guard lock(held().mutex);
    std::erase(held().list, fd_.get());
    fd_.reset();
}

LockDescriptors::LockDescriptors() : lock_(held().mutex) {}

const std::vector<int>& LockDescriptors::list() const noexcept
{
    return held().list;
}

} // namespace storage::inline v1
