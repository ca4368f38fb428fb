// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_content.hpp"

#include "content_definition.hpp"
#include "digest.hpp"
#include "file_attributes.hpp"
#include "image/copy.hpp"
#include "image/extents.hpp"
#include "image/probe.hpp"
#include "image/qcow2_create.hpp"
#include "image/qcow2_resize.hpp"
#include "image_checks.hpp"
#include "image_formats.hpp"
#include "job_impl.hpp"
#include "luks_format.hpp"
#include "owner_access.hpp"
#include "transfer.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

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
    const auto fill = [format = std::move(format), allocation, name = def.name,
                       write_zeros = preallocation == Preallocation::full, pool = volume.pool_name,
                       &host = volume.host](const FileWork& work) {
        const auto secret = secret_of(format.encryption, pool, name, work.path, host);
        format_luks(work.fd, work.path, format, secret, work.job);
        const auto payload = luks_payload_offset(format.version);
        const auto end = content_length(work.fd, work.path);
        if (write_zeros)
            fill_with_zeros(work.fd, payload, end, work.path, work.job);
        else if (allocation > 0)
            allocate_range(work.fd, std::min(payload + allocation, end), work.path, work.job);
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

// ---- by qemu-img ------------------------------------------------------------------------------

QemuImgOptions tool_options(const NewVolume& volume)
{
    const auto& def = volume.def;
    QemuImgOptions options{.capacity = def.capacity,
                           .encryption = def.target.encryption,
                           .preallocation = preallocation_of(volume),
                           .compat = def.target.compat,
                           .cluster_size = def.target.cluster_size,
                           .lazy_refcounts = has_feature(def, "lazy_refcounts"),
                           .extended_l2 = has_feature(def, "extended_l2"),
                           .refcount_bits = def.target.refcount_bits};
    add_backing(volume, options);
    check_capacity(def.target.format, options.capacity, volume.path());
    if (def.target.format == "qcow2")
        check_qcow2({.capacity = options.capacity,
                     .compat = options.compat,
                     .cluster_size = options.cluster_size,
                     .extended_l2 = options.extended_l2,
                     .lazy_refcounts = options.lazy_refcounts,
                     .refcount_bits = options.refcount_bits},
                    volume.path());
    require_room_of_image(volume, options.capacity);
    return options;
}

/** Runs qemu-img for a new volume, which has another name meanwhile: errors name the volume. */
template <typename Run>
void run_for(const std::string& path, Run&& run)
{
    try {
        run();
    } catch (const Error& error) {
        const bool full = error.code() == ErrorCode::no_space;
        if (!full && error.code() != ErrorCode::command_failed)
            throw;
        throw Error(error.code(), "'" + path + "': " + error.what(),
                    full ? "free some space, or make it elsewhere" : error.remedy(), error.detail(),
                    error.os_error());
    }
}

constexpr auto all_of_it = ~std::uint64_t{0};

/** How much of a file that qemu-img makes it does not allocate: the allocation of a raw file, and
 * all of an image of fixed size. */
std::uint64_t left_to_allocate(const VolumeDef& def, const QemuImgOptions& options)
{
    // As libvirt: a converted copy of which the definition does not say it has what it needs.
    if (def.target.format == "raw")
        return def.target.encryption ? 0 : std::min(def.allocation.value_or(0), options.capacity);
    const bool fixed = options.preallocation == Preallocation::full && def.target.format != "qcow2";
    return fixed ? all_of_it : 0;
}

/** @param path  the volume's name, for errors */
void allocate_made(const FileWork& work, std::uint64_t wanted, const std::string& path)
{
    if (wanted == 0)
        return;
    const auto fd = open_file(work.path, O_RDWR | O_NOFOLLOW);
    allocate_range(fd.get(), std::min(wanted, content_length(fd.get(), path)), path, work.job);
}

/** The commands, and what allocate_made() does after them. */
std::vector<std::string> with_allocation(std::vector<std::string> commands, std::uint64_t wanted,
                                         const std::string& path)
{
    std::vector<std::string> call;
    if (wanted > 0)
        call = {"fallocate", path, "0", wanted == all_of_it ? "all" : std::to_string(wanted)};
    return in_turn({std::move(commands), std::move(call)});
}

ContentPlan plan_tool_creation(const NewVolume& volume)
{
    const auto options = tool_options(volume);
    const auto fill = [options, def = volume.def, pool = volume.pool_name, path = volume.path(),
                       &host = volume.host](const FileWork& work) {
        auto target = qemu_image(made_at(def, path), pool, host);
        target.directory = work.directory;
        run_for(path, [&] { qemu_img_create(host.runner, target, options, work.job); });
        check_made(work.path, def.target.format, options.capacity, path);
        allocate_made(work, left_to_allocate(def, options), path);
        return true;
    };
    return {.content = {.summary = volume.def.target.format + " image '" + volume.path() + "' of " +
                                   size_text(volume.def.capacity) +
                                   (volume.def.target.encryption ? ", encrypted" : ""),
                        .fill = fill,
                        .call = with_allocation(
                            words(qemu_img_create_command(
                                qemu_image(made_at(volume.def, volume.path())), options)),
                            left_to_allocate(volume.def, options), volume.path())},
            .by_tool = true};
}

/** Refuses encryption that qemu-img cannot read or write. */
void check_conversion(const NewVolume& volume, const std::string& reason)
{
    const auto& wanted = volume.def.target.encryption;
    if (wanted && wanted->secrets.empty())
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.path() + "': the copy is encrypted anew, because " + reason,
                    "name its secret by uuid or usage, or ask for the same as the source has");
    for (const auto* def : {&volume.source->volume, &volume.def})
        if (def->target.encryption && def->target.encryption->format == "luks2")
            throw Error(ErrorCode::not_supported,
                        "'" + volume.path() + "': qemu-img does not know encryption format 'luks2'",
                        def == &volume.def
                            ? "use 'luks'"
                            : "copy it as it is: with the same format, encryption and no secret");
}

/** With the reference of a copy that stays on its source's backing image: one that does not depend
 * on where the new image lies. */
QemuImgOptions conversion_options(const NewVolume& volume)
{
    auto options = tool_options(volume);
    if (volume.def.backing.empty())
        return options;
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "': a converted copy on top of a backing image " + what,
                    remedy);
    };
    if (options.preallocation != Preallocation::off)
        refuse("cannot be allocated", "leave the backing image out");
    const auto& source = volume.source->volume;
    if (options.capacity > source.capacity && backing_capacity(volume) > source.capacity)
        refuse("would show more of that behind its source's end",
               "resize it when it is made, or leave the backing image out");
    const auto& below = source.backing.front();
    if (!below.format_declared) { // qemu-img reads the source as what it begins as
        const auto fd = open_existing(below.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (const auto info = inspect_file(fd.get(), below.path); is_image(info.format))
            refuse("whose format nobody declares, and which begins as one of format '" +
                       std::string(to_string(info.format)) + "', might show something else",
                   "leave the backing image out");
    }
    options.backing_path = below.path;
    return options;
}

ContentPlan plan_conversion(const NewVolume& volume, const std::string& reason)
{
    const auto& source = *volume.source;
    check_conversion(volume, reason);
    if (has(volume.flags, CreateFlags::reflink))
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "' cannot share blocks with '" +
                        source.volume.target.path + "': " + reason,
                    "leave the flag out to convert");
    if (const auto& stranger = source.untrusted_reference)
        throw Error(ErrorCode::not_supported,
                    "'" + source.volume.target.path + "' " + stranger->problem, stranger->remedy);
    auto options = conversion_options(volume);
    options.capacity = std::max(options.capacity, source.volume.capacity);
    const auto fill = [options, def = volume.def, from = source, reason,
                       before = source_size(source.volume), path = volume.path(),
                       pool = volume.pool_name, digest = has(volume.flags, CreateFlags::digest),
                       &host = volume.host](const FileWork& work) {
        const auto image = qemu_image(from.volume, from.pool_name, host);
        auto target = qemu_image(made_at(def, path), pool, host);
        target.directory = work.directory;
        state_fact(work.job, "method", "qemu-img");
        state_fact(work.job, "reason", reason);
        run_for(path, [&] { qemu_img_convert(host.runner, image, target, options, work.job); });
        if (source_size(from.volume) != before)
            throw Error(ErrorCode::invalid_state,
                        "'" + image.path + "' changed its size while it was copied",
                        "copy it when nobody changes its size");
        if (target.format != "raw")
            check_made(work.path, def.target.format, options.capacity, path);
        allocate_made(work, left_to_allocate(def, options), path);
        if (digest) {
            const auto fd = open_file(work.path, O_RDONLY | O_NOFOLLOW);
            state_fact(
                work.job, "sha256",
                digest_content(fd.get(), work.path, content_length(fd.get(), work.path), work.job));
        }
        return true;
    };
    return {.content = {.summary = volume.def.target.format + " image '" + volume.path() + "' of " +
                                   size_text(volume.def.capacity) + copy_text(volume, true) + " (" +
                                   reason + ")",
                        .fill = fill,
                        .call = with_allocation(
                            words(qemu_img_convert_commands(
                                qemu_image(source.volume),
                                qemu_image(made_at(volume.def, volume.path())), options)),
                            left_to_allocate(volume.def, options), volume.path())},
            .by_tool = true};
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
                    "'" + source.target.path + "' is not a file or device that can be copied");
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

VolumeDef made_at(VolumeDef def, const std::string& path)
{
    def.target.path = path;
    return def;
}

QemuImage qemu_image(const VolumeDef& volume)
{
    QemuImage image{
        .path = volume.target.path, .format = qemu_format(volume), .virtual_size = volume.capacity};
    if (volume.target.encryption) {
        image.secret.emplace();
        if (image.format == "raw")
            image.format = "luks";
    }
    return image;
}

QemuImage qemu_image(const VolumeDef& volume, const std::string& pool_name, const Host& host)
{
    auto image = qemu_image(volume);
    if (const auto& encryption = volume.target.encryption)
        image.secret = secret_of(*encryption, pool_name, volume.name, volume.target.path, host);
    return image;
}

std::uint64_t luks_header_size(const VolumeDef& volume)
{
    const auto& path = volume.target.path;
    const auto fd = open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto info = inspect_descriptor(fd.get());
    if (info.format != ImageFormat::luks || info.payload_offset == 0 ||
        info.payload_offset + info.virtual_size != content_length(fd.get(), path))
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': the LUKS header does not leave the size to the file");
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
