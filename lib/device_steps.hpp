// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps on volumes that are block devices of this host, and what they need to know of one.
#pragma once

#include "volume_steps.hpp"

#include <chrono>

namespace storage::inline v1 {

/**
 * Waits until the path leads to a block device: who makes one is not the one who makes its node,
 * udev is, at its own pace.
 * @throws Error not_found  there is none after `limit`, or the job's deadline
 */
void wait_for_device(const std::string& path, Job* job,
                     std::chrono::milliseconds limit = std::chrono::seconds(10));

/**
 * Fills a device that an earlier step makes, and gives its node owner, group and mode, where they
 * are asked for.
 * @param content  with fill null the content stays
 */
Step fill_device_step(const std::string& path, NewContent content, const Permissions& permissions);

std::span<const Action> device_actions();

} // namespace storage::inline v1
