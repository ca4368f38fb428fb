// SPDX-License-Identifier: LGPL-2.1-or-later
#include "content_definition.hpp"

#include "file_attributes.hpp"
#include "image_formats.hpp"
#include "owner_access.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {

bool has_feature(const VolumeDef& def, std::string_view name)
{
    const auto& features = def.target.features;
    return std::find(features.begin(), features.end(), name) != features.end();
}

std::string qemu_format(const VolumeDef& def)
{
    const auto& format = def.target.format;
    if (format == "iso" || def.type == VolumeType::block)
        return "raw";
    return std::string(qemu_name(format));
}

Preallocation preallocation_of(const NewVolume& volume)
{
    const auto& def = volume.def;
    const bool metadata = has(volume.flags, CreateFlags::prealloc_metadata);
    const bool falloc = has(volume.flags, CreateFlags::prealloc_falloc);
    const bool full = has(volume.flags, CreateFlags::prealloc_full);
    if (metadata + falloc + full > 1)
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.path() + "': more than one way to allocate is asked for",
                    "use one of metadata, falloc and full");
    if (metadata && def.allocation && *def.allocation >= def.capacity && def.capacity > 0)
        return Preallocation::falloc;
    return metadata ? Preallocation::metadata
           : falloc ? Preallocation::falloc
           : full   ? Preallocation::full
                    : Preallocation::off;
}

void require_room(const NewVolume& volume, std::uint64_t allocation, std::uint64_t capacity)
{
    require_free_space(volume.directory, std::min(allocation, capacity), volume.path());
}

void require_room_of_image(const NewVolume& volume, std::uint64_t capacity)
{
    const auto wanted = preallocation_of(volume);
    if (wanted == Preallocation::falloc || wanted == Preallocation::full)
        require_room(volume, capacity, capacity);
}

std::string backing_format(const VolumeDef& def)
{
    // As libvirt: an undeclared one is raw, because a guest can write any header into a raw image.
    const auto& format = def.backing.front().format;
    return format.empty() || format == "iso" ? "raw" : std::string(qemu_name(format));
}

bool is_image(ImageFormat format)
{
    return format != ImageFormat::raw && format != ImageFormat::iso && format != ImageFormat::luks;
}

std::uint64_t backing_capacity(const NewVolume& volume)
{
    const auto& reference = volume.def.backing.front().path;
    const auto format = backing_format(volume.def);
    const auto path = reference.starts_with('/') ? reference : volume.directory + '/' + reference;
    if (reference.find(':') < reference.find('/'))
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "': backing image '" + reference +
                        "' is not a path on this host",
                    "use the path of an image");
    const auto fd = open_existing(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto length = ::lseek(fd.get(), 0, SEEK_END);
    const bool declared = !volume.def.backing.front().format.empty();
    if (format == "raw" && declared)
        return static_cast<std::uint64_t>(std::max<off_t>(length, 0));
    const auto info = inspect_file(fd.get(), path);
    if (!declared) {
        if (is_image(info.format))
            throw Error(ErrorCode::invalid_argument,
                        "'" + volume.path() + "': the format of backing image '" + path +
                            "' is not given, and it begins as one of format '" +
                            std::string(to_string(info.format)) + "'",
                        "give that format if it is one, or 'raw' if a guest wrote it there");
        return static_cast<std::uint64_t>(std::max<off_t>(length, 0));
    }
    if (qemu_name(to_string(info.format)) != format)
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.path() + "': backing image '" + path + "' is of format '" +
                        std::string(to_string(info.format)) + "', not '" + format + "'",
                    "say what it really is");
    return info.virtual_size;
}

void require_place_for_backing_format(const NewVolume& volume)
{
    if (volume.def.target.format == "qcow" && backing_format(volume.def) == "raw")
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() +
                        "': an image of format 'qcow' cannot say that its backing image is raw, "
                        "so that whoever opens it would guess the format of '" +
                        volume.def.backing.front().path + "'",
                    "use format 'qcow2'");
}

void check_options(const NewVolume& volume)
{
    const auto& def = volume.def;
    const auto& target = def.target;
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::not_supported, "'" + volume.path() + "': " + what, remedy);
    };
    if (def.type == VolumeType::ploop)
        refuse("a directory of ploop cannot be created", "make an image file of format 'ploop'");
    const auto format_text = "format '" + target.format + "' has no ";
    if (target.format != "qcow2" &&
        (!target.compat.empty() || !target.features.empty() || target.cluster_size != 0))
        refuse(format_text + "compat, features or cluster size", "leave them out");
    if (target.format != "qcow2" && (target.refcount_bits != 0 || target.data_file))
        refuse(format_text + "reference counts or data file", "use format 'qcow2'");
    // The source's own, which no two images may use, only says what is copied.
    const bool others = volume.source && target.data_file != volume.source->volume.target.data_file;
    if (target.data_file && (others || target.encryption))
        refuse("an external data file for a copy or an encrypted image", "leave it out");
    if (has_feature(def, "data_file") && !target.data_file)
        refuse("the feature data_file does not say which file that is", "name it with <dataFile>");
    if (!def.backing.empty() && target.format != "qcow2" && target.format != "qed" &&
        target.format != "qcow" && target.format != "vmdk")
        refuse(format_text + "backing image", "use format 'qcow2'");
    if (!def.backing.empty() && target.format == "vmdk" && backing_format(def) != "vmdk")
        refuse("an image of format 'vmdk' cannot be based on one of format '" +
                   backing_format(def) + "'",
               "use format 'qcow2'");
    if (!target.encryption)
        return;
    const auto& encryption = *target.encryption;
    if (target.format != "raw" && target.format != "qcow2")
        refuse(format_text + "encryption that can be created", "use 'raw' or 'qcow2'");
    const bool luks = encryption.format == "luks";
    if (!luks && !(encryption.format == "luks2" && target.format == "raw"))
        refuse("encryption format '" + encryption.format + "' cannot be created",
               target.format == "raw" ? "use 'luks' or 'luks2'" : "use 'luks'");
    const bool may_keep = volume.source && volume.source->volume.target.encryption;
    if (encryption.secrets.size() != 1 && !(may_keep && encryption.secrets.empty()))
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.path() + "': encryption needs exactly one secret, not " +
                        std::to_string(encryption.secrets.size()),
                    "name it by uuid or usage");
}

std::string size_text(std::uint64_t bytes)
{
    return std::to_string(bytes) + " bytes";
}

std::string copy_text(const NewVolume& volume, bool convert)
{
    if (!volume.source)
        return {};
    const auto& path = volume.source->volume.target.path;
    if (convert)
        return ", converted from '" + path + "'";
    return has(volume.flags, CreateFlags::reflink)
               ? ", sharing the blocks of '" + path + "'"
               : ", a copy of '" + path + "' (shared blocks where possible)";
}

} // namespace storage::inline v1
