// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tool_content.hpp"

#include "content_definition.hpp"
#include "file_attributes.hpp"
#include "image/extents.hpp"
#include "image/qcow2_create.hpp"
#include "image_checks.hpp"
#include "image_formats.hpp"
#include "job_impl.hpp"
#include "owner_access.hpp"
#include "transfer.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <fcntl.h>

namespace storage::inline v1 {

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

namespace {

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

} // namespace

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

} // namespace storage::inline v1
