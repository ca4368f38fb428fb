// SPDX-License-Identifier: LGPL-2.1-or-later
// New volumes that qemu-img makes: what basin does not make natively, and conversions.
#pragma once

#include "qemu_img.hpp"
#include "volume_content.hpp"

namespace storage::inline v1 {

/** An empty image. */
ContentPlan plan_tool_creation(const NewVolume& volume);
/** A copy of another format or encryption, or with other options. @param reason  why not the bytes
 */
ContentPlan plan_conversion(const NewVolume& volume, const std::string& reason);

/** An existing volume, or a new one at target.path, as qemu-img is to be told of it; asks for its
 * secret. */
QemuImage qemu_image(const VolumeDef& volume, const std::string& pool_name, const Host& host);
/** The same with an empty secret, for the record of a step: it is not asked for. */
QemuImage qemu_image(const VolumeDef& volume);
/** A new volume's definition, as if it were where it is made. */
VolumeDef made_at(VolumeDef def, const std::string& path);

} // namespace storage::inline v1
