// SPDX-License-Identifier: LGPL-2.1-or-later
// What the definition of a new volume says of its content, checked against the format and against
// what is there.
#pragma once

#include "qemu_img.hpp"
#include "volume_content.hpp"

namespace storage::inline v1 {

/** Refuses what cannot be said of an image of the definition's format. */
void check_options(const NewVolume& volume);

bool has_feature(const VolumeDef& def, std::string_view name);
/** The format that qemu-img is told. */
std::string qemu_format(const VolumeDef& def);
/** Whether what a guest sees is something else than the file's bytes. */
bool is_image(ImageFormat format);

/** What the image is allocated with, said by flags and allocation as libvirt reads them. */
Preallocation preallocation_of(const NewVolume& volume);
/** @throws Error no_space */
void require_room(const NewVolume& volume, std::uint64_t allocation, std::uint64_t capacity);
/** An image is allocated where that is asked for, whatever its definition's allocation. */
void require_room_of_image(const NewVolume& volume, std::uint64_t capacity);

std::string backing_format(const VolumeDef& def);
/** Looks at the image below: that it is there, that it is what it is said to be, how large. */
std::uint64_t backing_capacity(const NewVolume& volume);
/** A guest writes into a raw image below what it likes, and later that would be taken for a header.
 */
void require_place_for_backing_format(const NewVolume& volume);

/** For the options of either way to make an image. */
template <typename Options>
void add_backing(const NewVolume& volume, Options& options)
{
    if (volume.def.backing.empty())
        return;
    require_place_for_backing_format(volume);
    options.backing_path = volume.def.backing.front().path;
    options.backing_format = backing_format(volume.def);
    const auto below = backing_capacity(volume);
    if (options.capacity == 0)
        options.capacity = below;
}

// In words, for summaries and errors.
std::string size_text(std::uint64_t bytes);
/** "" where nothing is copied. @param convert  into something else than its bytes */
std::string copy_text(const NewVolume& volume, bool convert);

} // namespace storage::inline v1
