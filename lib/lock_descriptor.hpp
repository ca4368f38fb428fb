// SPDX-License-Identifier: LGPL-2.1-or-later
// Descriptors that hold locks. A program that this process runs may still be at work when the
// process has been killed: the locks stay until it has ended, so that nobody recovers, or uses,
// what is still changing.
#pragma once

#include "file_io.hpp"

#include <mutex>
#include <span>

namespace storage::inline v1 {

/** Owns a descriptor that holds a lock, or will. Whoever drops it unlocks first: others share the
 * open file. */
class LockDescriptor {
public:
    LockDescriptor() = default;
    explicit LockDescriptor(UniqueFd fd);
    LockDescriptor(LockDescriptor&&) noexcept = default;
    LockDescriptor& operator=(LockDescriptor&&) = delete;
    ~LockDescriptor();

    int get() const noexcept { return fd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

private:
    UniqueFd fd_{};
};

/** All that this process has. As long as it lives none is added, and none of them is closed. */
class LockDescriptors {
public:
    LockDescriptors();
    std::span<const int> list() const noexcept;

private:
    std::unique_lock<std::mutex> lock_;
};

} // namespace storage::inline v1
