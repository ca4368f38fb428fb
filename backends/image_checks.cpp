// SPDX-License-Identifier: LGPL-2.1-or-later
#include "image_checks.hpp"

#include "backing_chain.hpp"
#include "image/extents.hpp"
#include "image_formats.hpp"
#include "owner_access.hpp"
#include "volume_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace storage::inline v1 {

namespace {

bool same_file(const std::string& a, const std::string& b)
{
    struct stat first {};
    struct stat second {};
    return normalised_path(a) == normalised_path(b) ||
           (::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
            first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

/** As libvirt: an undeclared one is raw. */
std::string_view declared_format(const BackingStore& backing)
{
    return backing.format.empty() ? "raw" : qemu_name(backing.format);
}

} // namespace

bool is_same_backing(const BackingStore& wanted, const std::string& directory,
                     const BackingStore& present)
{
    if (declared_format(wanted) != declared_format(present))
        return false;
    const auto target = resolve_reference(wanted.path, directory);
    return wanted.path == present.path ||
           (target.is_local() && same_file(target.path, present.path));
}

bool means_the_same(const std::string& reference, const std::string& from, const std::string& to)
{
    const auto before = resolve_reference(reference, from);
    return !before.is_local() || same_file(before.path, resolve_reference(reference, to).path);
}

SourceSize source_size(const VolumeDef& volume)
{
    const auto& path = volume.target.path;
    const auto fd = open_existing(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const bool is_image = volume.type != VolumeType::block && volume.target.format != "raw";
    return {.length = content_length(fd.get(), path),
            .capacity = is_image ? inspect_file(fd.get(), path).virtual_size : 0};
}

} // namespace storage::inline v1
