// SPDX-License-Identifier: LGPL-2.1-or-later
#include "device_content.hpp"

#include "file_description.hpp"
#include "image/extents.hpp"
#include "job_impl.hpp"
#include "luks_format.hpp"
#include "owner_access.hpp"
#include "tool_content.hpp"
#include "transfer.hpp"
#include "volume_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

constexpr CreateFlags allocation_flags =
    CreateFlags::prealloc_metadata | CreateFlags::prealloc_falloc | CreateFlags::prealloc_full;

void check_definition(const NewVolume& volume)
{
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::not_supported, "'" + volume.path() + "': " + what, remedy);
    };
    for (const auto flag : {CreateFlags::reflink, CreateFlags::linked})
        if (has(volume.flags, flag))
            refuse("a device cannot share blocks with another volume this way",
                   "leave the flag out, or use a snapshot where the pool has them");
    if (has(volume.flags, allocation_flags))
        refuse("a device has no space to allocate beforehand", "leave the flag out");
    const auto& encryption = volume.def.target.encryption;
    if (!encryption)
        return;
    if (encryption->format != "luks" && encryption->format != "luks2")
        refuse("encryption format '" + encryption->format + "' cannot be created on a device",
               "use 'luks' or 'luks2'");
    if (encryption->secrets.size() != 1)
        throw Error(ErrorCode::invalid_argument,
                    "'" + volume.path() + "': encryption needs exactly one secret, not " +
                        std::to_string(encryption->secrets.size()),
                    "name it by uuid or usage");
}

int luks_version(const Encryption& encryption)
{
    return encryption.format == "luks2" ? 2 : 1;
}

/** The bytes of a volume that a guest sees as they are. */
FileFunction copy_bytes(const NewVolume& volume)
{
    if (volume.source->content)
        return [from = *volume.source, digest = has(volume.flags, CreateFlags::digest),
                blank = volume.blank](const FileWork& work) {
            state_fact(work.job, "method", "sparse_copy");
            state_fact(work.job, "reason", "the copy is on a device");
            copy_block_content(from.content, from.volume.target.path, work.fd, work.path, digest,
                               work.job, blank);
            return true;
        };
    return [path = volume.source->volume.target.path, place = volume.source->place,
            name = volume.path(), digest = has(volume.flags, CreateFlags::digest),
            blank = volume.blank](const FileWork& work) {
        const auto source = open_content_in(place, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        // Holes of the source are zeros in what the device may have kept from before.
        const auto length = content_length(source.get(), path);
        if (::lseek(source.get(), 0, SEEK_SET) != 0)
            throw system_error(errno, "cannot read '" + path + "'");
        const auto room = content_length(work.fd, work.path);
        if (length > room)
            throw Error(ErrorCode::invalid_argument,
                        "'" + path + "' has " + std::to_string(length) + " bytes, '" + name +
                            "' has room for " + std::to_string(room),
                        "give a larger capacity");
        state_fact(work.job, "method", "sparse_copy");
        state_fact(work.job, "reason", "the copy is on a device");
        receive_content(source.get(), {.sparse = true, .expected_length = length, .digest = digest},
                        work.fd, work.path, room, work.job, blank);
        return true;
    };
}

/** What a guest sees in another format, or behind encryption. */
NewContent convert(const NewVolume& volume)
{
    const auto& source = *volume.source;
    if (source.content)
        throw Error(ErrorCode::not_supported,
                    "'" + volume.path() + "': an encrypted copy of '" + source.volume.target.path +
                        "', which is no file of this host",
                    "make a raw copy first");
    if (const auto& stranger = source.untrusted_reference)
        throw Error(ErrorCode::not_supported,
                    "'" + source.volume.target.path + "' " + stranger->problem, stranger->remedy);
    for (const auto* def : {&source.volume, &volume.def})
        if (def->target.encryption && def->target.encryption->format == "luks2")
            throw Error(ErrorCode::not_supported,
                        "'" + volume.path() + "': qemu-img does not know encryption format 'luks2'",
                        "use 'luks'");
    auto made = volume.def;
    made.type = VolumeType::block;
    made.target.path = volume.path();
    const QemuImgOptions options{.encryption = made.target.encryption};
    auto call =
        words(qemu_img_convert_commands(qemu_image(source.volume), qemu_image(made), options));
    const auto fill = [from = source, made, options, pool = volume.pool_name, &host = volume.host,
                       digest = has(volume.flags, CreateFlags::digest)](const FileWork& work) {
        state_fact(work.job, "method", "qemu-img");
        state_fact(work.job, "reason", "the source is no plain volume, or is encrypted");
        qemu_img_convert(host.runner, qemu_image(from.volume, from.pool_name, host),
                         qemu_image(made_at(made, work.path), pool, host), options, work.job);
        if (digest)
            state_fact(
                work.job, "sha256",
                digest_content(work.fd, work.path, content_length(work.fd, work.path), work.job));
        return true;
    };
    return {.fill = fill, .call = std::move(call)};
}

NewContent format_device(const NewVolume& volume)
{
    LuksFormat format{.version = luks_version(*volume.def.target.encryption),
                      .encryption = *volume.def.target.encryption};
    const auto fill = [format = std::move(format), name = volume.def.name, pool = volume.pool_name,
                       &host = volume.host](const FileWork& work) {
        const auto secret = secret_of(format.encryption, pool, name, work.path, host);
        format_luks(work.fd, work.path, format, secret, work.job);
        return true;
    };
    return {.fill = fill, .call = {"crypt_format", volume.path()}};
}

} // namespace

NewContent plan_device_content(const NewVolume& volume)
{
    check_definition(volume);
    const auto& def = volume.def;
    if (!volume.source)
        return def.target.encryption ? format_device(volume) : NewContent();
    const auto& source = volume.source->volume;
    const bool plain = source.type == VolumeType::block || source.target.format == "raw" ||
                       source.target.format == "iso";
    if (plain && !source.target.encryption && !def.target.encryption)
        return {.fill = copy_bytes(volume)};
    return convert(volume);
}

std::uint64_t device_capacity(const VolumeDef& def)
{
    const auto& encryption = def.target.encryption;
    if (!encryption)
        return def.capacity;
    const auto header = luks_payload_offset(luks_version(*encryption));
    if (def.capacity > UINT64_MAX - header)
        throw Error(ErrorCode::invalid_argument, "volume '" + def.name + "': a capacity of " +
                                                     std::to_string(def.capacity) +
                                                     " bytes is too large");
    return def.capacity + header;
}

void describe_device(VolumeDef& volume)
{
    const auto& path = volume.target.path;
    struct ::statx status {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    if (!S_ISBLK(status.stx_mode))
        throw Error(ErrorCode::not_found, "'" + path + "' is not a block device");
    volume.type = VolumeType::block;
    auto& target = volume.target;
    target.permissions = permissions_of(status, path);
    target.timestamps = timestamps_of(status);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd)
        return; // an extended partition, or not ours to read: what is known stays
    volume.physical = content_length(fd.get(), path);
    if (volume.capacity == 0)
        volume.capacity = volume.physical;
    const auto info = inspect_file(fd.get(), path);
    if (info.format == ImageFormat::luks && info.encryption)
        target.encryption = info.encryption;
}

} // namespace storage::inline v1
