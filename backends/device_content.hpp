// SPDX-License-Identifier: LGPL-2.1-or-later
// Volumes that are block devices of this host: what they are filled with, and what is read of them.
#pragma once

#include "volume_content.hpp"

namespace storage::inline v1 {

/**
 * What fills a new volume that is a device: a copy, LUKS, or nothing (fill is null: the device
 * keeps what the blocks had before). Checks what the definition asks for.
 * @throws Error not_supported, invalid_argument
 */
NewContent plan_device_content(const NewVolume& volume);

/** How many bytes the device must have so that a guest sees the capacity. */
std::uint64_t device_capacity(const VolumeDef& def);

/**
 * Completes a description by what the node and the content say: type, permissions, timestamps,
 * physical size, encryption; and the capacity, where it is 0.
 * @throws Error not_found  there is no device at target.path
 */
void describe_device(VolumeDef& volume);

} // namespace storage::inline v1
