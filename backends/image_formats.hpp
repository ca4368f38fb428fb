// SPDX-License-Identifier: LGPL-2.1-or-later
// The volume formats of the pool types whose volumes are files in a directory, and what makes them.
#pragma once

#include <string_view>

namespace storage::inline v1 {

/** libvirt's list in its order, behind the default; then what only basin recognises. */
inline constexpr std::string_view image_formats[] = {
    "raw", "dir",   "bochs", "cloop", "dmg",   "iso", "vpc",  "vdi",  "fat",
    "vhd", "ploop", "cow",   "qcow",  "qcow2", "qed", "vmdk", "vhdx", "parallels"};

inline constexpr std::string_view creatable_image_formats[] = {"raw", "dir",   "vpc",  "vdi",
                                                               "vhd", "ploop", "qcow", "qcow2",
                                                               "qed", "vmdk",  "vhdx", "parallels"};

/** QEMU's name for a format. What Parallels' header calls itself today is named ploop here and in
 * libvirt. */
constexpr std::string_view qemu_name(std::string_view format)
{
    return format == "vhd" ? "vpc" : format == "ploop" ? "parallels" : format;
}

inline constexpr std::string_view image_libraries[] = {"libcryptsetup.so.12", "libcrypto.so.3"};

} // namespace storage::inline v1
