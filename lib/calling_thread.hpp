// SPDX-License-Identifier: LGPL-2.1-or-later
// Where callbacks run: on the thread that made the call, whichever thread does its work.
#pragma once

#include <functional>

namespace storage::inline v1 {

/**
 * Calls what a program gave the library on the thread on which the program waits.
 * @throws Error cancelled  it does not wait any more; and whatever the callback throws
 */
void on_calling_thread(const std::function<void()>& callback);

} // namespace storage::inline v1
