// SPDX-License-Identifier: LGPL-2.1-or-later
// Closing what belongs to a cluster that does not answer, which waits; nobody else has to.
#pragma once

#include "signal_guard.hpp"

#include <functional>
#include <thread>
#include <utility>

namespace storage::inline v1 {

/** Starts a thread that may outlive the call: signals are for the program's own threads. */
template <typename Work>
std::thread quiet_thread(Work work)
{
    const SignalsBlocked blocked;
    return std::thread(std::move(work));
}

/** On a thread of its own. A program that ends waits for it for a moment: Ceph aborts a process
 * whose threads find what exit() has torn down. */
void close_elsewhere(std::function<void()> close);

} // namespace storage::inline v1
