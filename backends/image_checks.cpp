// SPDX-License-Identifier: LGPL-2.1-or-later
#include "image_checks.hpp"

#include "backing_chain.hpp"
#include "image/extents.hpp"
#include "image_formats.hpp"
#include "owner_access.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>

namespace storage::inline v1 {

namespace {

struct Limit {
    std::string_view format;
    std::uint64_t capacity;
};

constexpr std::uint64_t mib = 1 << 20;

// The VHD, VHDX and QED specifications, and what QEMU 7.2 opens with its default cluster sizes.
constexpr Limit limits[] = {
    {"vpc", 2040 * 1024 * mib},
    {"vhdx", 64 * mib* mib},
    {"qed", 64 * mib* mib},
    {"vdi", 0x1fffff8000000},
    {"qcow", INT32_MAX / 8 * 2 * mib},
    {"parallels", INT32_MAX / 4 * mib},
};

std::uint64_t in_sectors(std::uint64_t bytes)
{
    constexpr std::uint64_t sector = 512;
    return (bytes + sector - 1) / sector * sector;
}

const ImageFinding* damage_of(const ImageInfo& info)
{
    const auto found = std::find_if(info.findings.begin(), info.findings.end(), is_damage);
    return found == info.findings.end() ? nullptr : &*found;
}

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

void check_capacity(std::string_view format, std::uint64_t capacity, const std::string& path)
{
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': capacity " + std::to_string(capacity) + ' ' + what, remedy);
    };
    const auto name = qemu_name(format);
    if (capacity == 0 && (name == "vmdk" || name == "qcow"))
        refuse("is not possible in format '" + std::string(format) + "'",
               "give a capacity above 0");
    for (const auto& limit : limits)
        if (name == limit.format && capacity > limit.capacity)
            refuse("is more than the " + std::to_string(limit.capacity) +
                       " bytes that an image of format '" + std::string(format) + "' can have",
                   "use format 'qcow2' or 'raw'");
}

void check_made(const std::string& made, std::string_view format, std::uint64_t capacity,
                const std::string& path)
{
    const auto fd = open_existing(made, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    const auto info = inspect_file(fd.get(), path);
    const auto* damage = damage_of(info);
    if (!damage && info.format != ImageFormat::raw && info.virtual_size == in_sectors(capacity))
        return;
    throw Error(ErrorCode::command_failed,
                "'" + path + "': what qemu-img made is no sound image of format '" +
                    std::string(format) + "' with " + std::to_string(capacity) + " bytes: " +
                    (damage ? damage->message
                            : "it is of format '" + std::string(to_string(info.format)) +
                                  "' with " + std::to_string(info.virtual_size) + " bytes"),
                "use a smaller capacity, or another format");
}

void require_sound(const std::string& path)
{
    const auto fd = open_existing(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto info = inspect_file(fd.get(), path);
    if (const auto* damage = damage_of(info))
        throw Error(ErrorCode::invalid_state, "'" + path + "' is damaged: " + damage->message,
                    "check it with qemu-img check");
}

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
