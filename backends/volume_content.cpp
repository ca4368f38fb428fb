// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_content.hpp"

#include "content_definition.hpp"
#include "file_attributes.hpp"
#include "image/copy.hpp"
#include "image/extents.hpp"
#include "image/probe.hpp"
#include "image/qcow2_create.hpp"
#include "image_checks.hpp"
#include "image_formats.hpp"
#include "job_impl.hpp"
#include "luks_format.hpp"
#include "owner_access.hpp"
#include "tool_content.hpp"
#include "transfer.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// ---- raw --------------------------------------------------------------------------------------

/** As copy_content(). */
bool copy_into(const FileWork& work, const std::string& source_path, const std::string& place,
               CreateFlags flags)
{
    const auto source = open_content_in(place, source_path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return copy_content(source.get(), work.fd,
                        {.reflink_only = has(flags, CreateFlags::reflink),
                         .digest = has(flags, CreateFlags::digest)},
                        source_path, work.path, work.job);
}

/** A raw file: content, length, allocation. */
struct RawContent {
    std::uint64_t capacity{};
    std::uint64_t allocation{};
    std::string source{};
    std::string place{}; ///< of the source
    CreateFlags flags{};
    bool write_zeros{};

    bool operator()(const FileWork& work) const
    {
        const bool wrote = !source.empty() && copy_into(work, source, place, flags);
        const auto copied = content_length(work.fd, work.path);
        if (capacity > copied && ::ftruncate(work.fd, static_cast<off_t>(capacity)) != 0)
            throw system_error(errno, "cannot set the size of '" + work.path + "' to " +
                                          size_text(capacity));
        if (write_zeros && copied < capacity)
            fill_with_zeros(work.fd, copied, capacity, work.path, work.job);
        // What was copied has holes where its source has them.
        const auto wanted = write_zeros ? copied : std::min(allocation, std::max(capacity, copied));
        if (wanted > 0)
            allocate_range(work.fd, wanted, work.path, work.job);
        return wrote || write_zeros;
    }

    /**
     * How a copy gets its bytes is found out while it is made: "copy".
     * @param from  what is copied; "": nothing
     * @param copied  how long that is
     */
    std::vector<std::string> calls(const std::string& path, const std::string& from,
                                   std::uint64_t copied) const
    {
        using Words = std::vector<std::string>;
        const auto added = capacity - std::min(capacity, copied);
        const auto allocated =
            write_zeros ? copied : std::min(allocation, std::max(capacity, copied));
        return in_turn(
            {from.empty() ? Words() : Words{"copy", from, path},
             added > 0 ? Words{"ftruncate", path, std::to_string(capacity)} : Words(),
             added > 0 && write_zeros
                 ? Words{"pwrite", path, std::to_string(copied), std::to_string(added)}
                 : Words(),
             allocated > 0 ? Words{"fallocate", path, "0", std::to_string(allocated)} : Words()});
    }
};

/** As preallocation_of(); refuses what a raw volume has not. */
Preallocation raw_preallocation_of(const NewVolume& volume)
{
    const auto preallocation = preallocation_of(volume);
    if (preallocation == Preallocation::metadata)
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "': format 'raw' has no metadata to allocate",
                    "leave the flag out, or use falloc");
    return preallocation;
}

ContentPlan plan_raw(const NewVolume& volume)
{
    const auto& def = volume.def;
    const auto preallocation = raw_preallocation_of(volume);
    // A copy of an encrypted volume begins with its header.
    const auto header = volume.source && volume.source->volume.target.encryption
                            ? luks_header_size(volume.source->volume)
                            : 0;
    RawContent raw{.capacity = header + def.capacity,
                   .allocation = preallocation == Preallocation::falloc
                                     ? header + def.capacity
                                     : def.allocation.value_or(header + def.capacity),
                   .source = volume.source ? volume.source->volume.target.path : std::string(),
                   .place = volume.source ? volume.source->place : std::string(),
                   .flags = volume.flags,
                   .write_zeros = preallocation == Preallocation::full};
    if (!volume.source) // a copy may share what its source has
        require_room(volume, raw.write_zeros ? raw.capacity : raw.allocation, raw.capacity);
    auto summary =
        "raw file '" + volume.path() + "' of " + size_text(def.capacity) + ", " +
        std::to_string(std::min(raw.write_zeros ? raw.capacity : raw.allocation, raw.capacity)) +
        " of them allocated" + copy_text(volume, false);
    auto call = raw.calls(volume.path(), raw.source,
                          volume.source ? header + volume.source->volume.capacity : 0);
    return {.content = {
                .summary = std::move(summary), .fill = std::move(raw), .call = std::move(call)}};
}

ContentPlan plan_luks(const NewVolume& volume)
{
    const auto& def = volume.def;
    const auto preallocation = raw_preallocation_of(volume);
    const auto allocation =
        preallocation == Preallocation::off ? def.allocation.value_or(def.capacity) : def.capacity;
    require_room(volume, allocation, def.capacity);
    constexpr std::uint64_t sector = 512;
    LuksFormat format{.version = def.target.encryption->format == "luks2" ? 2 : 1,
                      .capacity = (def.capacity + sector - 1) / sector * sector,
                      .encryption = *def.target.encryption};
    using Words = std::vector<std::string>;
    const auto header = luks_payload_offset(format.version);
    const auto header_text = std::to_string(header), path = volume.path();
    auto call = in_turn({{"ftruncate", path, std::to_string(header + format.capacity)},
                         {"fallocate", path, "0", header_text},
                         {"crypt_format", path},
                         preallocation == Preallocation::full
                             ? Words{"pwrite", path, header_text, std::to_string(format.capacity)}
                         : allocation > 0
                             ? Words{"fallocate", path, "0",
                                     std::to_string(header + std::min(allocation, format.capacity))}
                             : Words()});
    const auto fill = [format = std::move(format), header, allocation, name = def.name,
                       write_zeros = preallocation == Preallocation::full, pool = volume.pool_name,
                       &host = volume.host](const FileWork& work) {
        const auto secret = secret_of(format.encryption, pool, name, work.path, host);
        format_luks(work.fd, work.path, format, secret, work.job);
        const auto end = content_length(work.fd, work.path);
        if (write_zeros)
            fill_with_zeros(work.fd, header, end, work.path, work.job);
        else if (allocation > 0)
            allocate_range(work.fd, std::min(header + allocation, end), work.path, work.job);
        return true;
    };
    return {.content = {.summary = "raw file '" + volume.path() + "' of " +
                                   size_text(def.capacity) + ", encrypted (" +
                                   def.target.encryption->format + ")",
                        .fill = fill,
                        .call = std::move(call)}};
}

// ---- qcow2, natively --------------------------------------------------------------------------

/** Looks at the file that shall keep the data: that it is there, its size, whether it is free. */
void check_data_file(const NewVolume& volume, std::uint64_t capacity)
{
    const auto& file = *volume.def.target.data_file;
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.path() + "': data file '" + file.path + "' " + what, remedy);
    };
    if (!file.path.starts_with('/'))
        refuse("is not an absolute path", "use the path of a raw volume");
    if (preallocation_of(volume) == Preallocation::falloc ||
        preallocation_of(volume) == Preallocation::full)
        refuse("is what the space is in, and it is there already",
               "allocate it when it is made, and leave the flag out");
    const auto fd = open_existing(file.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto length = content_length(fd.get(), file.path);
    const auto wanted = (capacity + 511) / 512 * 512;
    if (length < wanted || (file.raw && length != wanted))
        refuse("has " + size_text(length) + ", not the capacity of " + size_text(wanted),
               "resize it, or give the image another capacity");
    const bool has_content = ::lseek(fd.get(), 0, SEEK_DATA) >= 0;
    if (has_content && !file.raw)
        refuse("has content that nobody would see",
               "use an empty sparse volume, or raw='yes' for an image that shows it");
    if (has_content && has_feature(volume.def, "extended_l2")) // new subclusters read as zeros
        refuse("has content that extended_l2 would hide", "leave extended_l2 out");
}

Qcow2Options qcow2_options(const NewVolume& volume)
{
    const auto& def = volume.def;
    Qcow2Options options{.capacity = def.capacity,
                         .compat = def.target.compat,
                         .cluster_size = def.target.cluster_size,
                         .extended_l2 = has_feature(def, "extended_l2"),
                         .lazy_refcounts = has_feature(def, "lazy_refcounts"),
                         .refcount_bits = def.target.refcount_bits,
                         .preallocation = preallocation_of(volume)};
    add_backing(volume, options);
    require_room_of_image(volume, options.capacity);
    if (def.target.data_file) {
        options.data_file = def.target.data_file->path;
        options.data_file_raw = def.target.data_file->raw;
        check_data_file(volume, options.capacity);
    }
    return options;
}

ContentPlan plan_qcow2(const NewVolume& volume)
{
    const auto options = qcow2_options(volume);
    check_qcow2(options, volume.path());
    auto summary = "qcow2 image '" + volume.path() + "' of " + size_text(options.capacity);
    if (!options.backing_path.empty())
        summary += ", on top of '" + options.backing_path + "'";
    if (!options.data_file.empty())
        summary += ", with its data in '" + options.data_file + "'";
    return {.content = {.summary = std::move(summary),
                        .fill =
                            [options](const FileWork& work) {
                                write_qcow2(work.fd, -1, options, work.path, work.job);
                                return true;
                            },
                        .call = {"pwrite", volume.path()}}};
}

// ---- copies -----------------------------------------------------------------------------------

/** Why the new volume's encryption is not the source's, key and all; "" where it is. */
std::string why_encrypted_anew(const NewVolume& volume)
{
    const auto& wanted = volume.def.target.encryption;
    const auto& present = volume.source->volume.target.encryption;
    if (!wanted && !present)
        return {};
    if (!wanted)
        return "it shall not be encrypted";
    if (!present)
        return "it shall be encrypted";
    const bool same = wanted->format == present->format && wanted->secrets.empty() &&
                      (!wanted->cipher || wanted->cipher == present->cipher) &&
                      (!wanted->ivgen || wanted->ivgen == present->ivgen);
    return same ? "" : "the encryption is another one";
}

/** Why a copy of the bytes would not do; "" where it does. */
std::string why_not_bytes(const NewVolume& volume)
{
    const auto& def = volume.def;
    const auto& source = volume.source->volume;
    const auto from = qemu_format(source);
    const auto to = qemu_format(def);
    if (from != to)
        return "its format is '" + from + "', not '" + to + "'";
    if (auto reason = why_encrypted_anew(volume); !reason.empty() || to == "raw")
        return reason;
    if (!source.backing.empty() && def.backing.empty())
        return "it is based on another image";
    if (preallocation_of(volume) != Preallocation::off)
        return "the copy shall be allocated";
    const auto& target = def.target;
    if (!target.compat.empty() && target.compat != source.target.compat)
        return "compat is another one";
    if (target.refcount_bits != 0 && target.refcount_bits != source.target.refcount_bits)
        return "the reference counts are of another width";
    if (target.cluster_size != 0 && target.cluster_size != source.target.cluster_size)
        return "the cluster size is another one";
    if (!target.features.empty() && target.features != source.target.features)
        return "the features are others";
    if (has_feature(source, "data_file"))
        return "its data lie in another file";
    if (def.capacity != source.capacity)
        return "the capacity is another one";
    const auto fd = open_content(source.target.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto info = inspect_file(fd.get(), source.target.path);
    if (info.snapshot_count != 0)
        return "it has snapshots";
    if (!info.extents.empty())
        return "its data lie in other files";
    if (!info.findings.empty())
        return info.findings.front().message;
    if (info.backing &&
        !means_the_same(info.backing->path, parent_directory(source.target.path), volume.directory))
        return "what it is based on is named relative to where it lies";
    return {};
}

ContentPlan plan_image_copy(const NewVolume& volume)
{
    auto summary = volume.def.target.format + " image '" + volume.path() + "' of " +
                   size_text(volume.def.capacity) + copy_text(volume, false);
    return {.content = {.summary = std::move(summary),
                        .fill =
                            [path = volume.source->volume.target.path, place = volume.source->place,
                             flags = volume.flags](const FileWork& work) {
                                return copy_into(work, path, place, flags);
                            },
                        .call = {"copy", volume.source->volume.target.path, volume.path()}}};
}

/** A copy of what has no path on this host, and is raw. */
ContentPlan plan_network_copy(const NewVolume& volume)
{
    const auto& source = *volume.source;
    const auto refuse = [&](const std::string& what) {
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "': a copy of '" + source.volume.target.path +
                        "', which is no file of this host, " + what,
                    "make a raw copy first");
    };
    if (qemu_format(volume.def) != "raw")
        refuse("has format 'raw'");
    if (volume.def.target.encryption)
        refuse("is not encrypted");
    if (has(volume.flags, CreateFlags::reflink))
        refuse("shares no blocks with it");
    const auto preallocation = raw_preallocation_of(volume);
    const auto raw = RawContent{.capacity = volume.def.capacity,
                                .allocation = preallocation == Preallocation::falloc
                                                  ? volume.def.capacity
                                                  : volume.def.allocation.value_or(0),
                                .write_zeros = preallocation == Preallocation::full};
    return {
        .content = {
            .summary = "raw file '" + volume.path() + "' of " + size_text(volume.def.capacity) +
                       ", a copy of '" + source.volume.target.path + "'",
            .fill =
                [raw, from = source,
                 digest = has(volume.flags, CreateFlags::digest)](const FileWork& work) {
                    state_fact(work.job, "method", "sparse_copy");
                    state_fact(work.job, "reason", "the source is no file of this host");
                    copy_block_content(from.content, from.volume.target.path, work.fd, work.path,
                                       digest, work.job);
                    raw(work);
                    return true;
                },
            .call = raw.calls(volume.path(), source.volume.target.path, source.volume.capacity)}};
}

ContentPlan plan_copy(const NewVolume& volume)
{
    const auto& source = volume.source->volume;
    if (volume.source->content)
        return plan_network_copy(volume);
    if (source.type && *source.type != VolumeType::file && *source.type != VolumeType::block)
        throw Error(ErrorCode::not_supported,
                    "'" + source.target.path + "' is not a file or device that can be copied",
                    "choose a volume with content of its own");
    if (qemu_format(source) != "raw")
        require_sound(source.target.path);
    const auto& backing = volume.def.backing;
    if (!backing.empty() &&
        (source.backing.empty() ||
         !is_same_backing(backing.front(), volume.directory, source.backing.front())))
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "': a copy of a volume on top of another backing image",
                    "leave the backing image out, or make a linked clone");
    const auto reason = why_not_bytes(volume);
    if (!reason.empty())
        return plan_conversion(volume, reason);
    return qemu_format(volume.def) == "raw" ? plan_raw(volume) : plan_image_copy(volume);
}

} // namespace

Secret secret_of(const Encryption& encryption, const std::string& pool_name,
                 const std::string& volume_name, const std::string& path, const Host& host)
{
    // No header tells which secret opens it. libvirt's secrets of volumes have the path as usage.
    return host.secret({.usage = SecretUsage::volume,
                        .reference = encryption.secrets.empty() ? SecretReference{.usage = path}
                                                                : encryption.secrets.front(),
                        .pool_name = pool_name,
                        .volume_name = volume_name});
}

std::uint64_t luks_header_size(const VolumeDef& volume)
{
    const auto& path = volume.target.path;
    const auto fd = open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto info = inspect_descriptor(fd.get());
    if (info.format != ImageFormat::luks || info.payload_offset == 0 ||
        info.payload_offset + info.virtual_size != content_length(fd.get(), path))
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': the LUKS header does not leave the size to the file",
                    "make a new encrypted volume, and copy the content into it");
    return info.payload_offset;
}

ContentPlan plan_content(const NewVolume& volume)
{
    check_options(volume);
    if (volume.source)
        return plan_copy(volume);
    const auto& def = volume.def;
    if (def.target.format == "raw")
        return def.target.encryption ? plan_luks(volume) : plan_raw(volume);
    if (def.target.format == "qcow2" && !def.target.encryption)
        return plan_qcow2(volume);
    return plan_tool_creation(volume);
}

} // namespace storage::inline v1
