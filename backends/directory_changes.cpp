// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_changes.hpp"

#include "content_definition.hpp"
#include "file_attributes.hpp"
#include "image/qcow2_resize.hpp"
#include "image/qcow2_snapshots.hpp"
#include "image_checks.hpp"
#include "job_impl.hpp"
#include "owner_access.hpp"
#include "qemu_img.hpp"
#include "step_parts.hpp"
#include "tool_content.hpp"
#include "volume_access.hpp"
#include "volume_content.hpp"
#include "volume_file.hpp"
#include "volume_upload.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

namespace storage::inline v1 {

namespace {

Attributes attributes_of(const VolumeDef& def, const std::string& directory,
                         std::uint32_t default_mode)
{
    Attributes attributes{.permissions = def.target.permissions};
    if (def.target.nocow) {
        require_copy_on_write_switch(directory, directory + '/' + def.name);
        attributes.copy_on_write = false;
    }
    if (!attributes.permissions.mode)
        attributes.permissions.mode = default_mode;
    return attributes;
}

void require_new(const std::string& path)
{
    if (!file_identity(path).empty())
        throw Error(ErrorCode::already_exists, "'" + path + "' exists", "choose another name");
}

struct stat look_at(const std::string& path)
{
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            throw Error(ErrorCode::not_found, "'" + path + "' does not exist");
        throw system_error(errno, "cannot look at '" + path + "'");
    }
    return info;
}

void require_qcow2(const VolumeDef& volume)
{
    if (volume.target.format != "qcow2")
        throw Error(ErrorCode::not_supported,
                    "'" + volume.target.path + "': format '" + volume.target.format +
                        "' keeps no snapshots",
                    "use format 'qcow2'");
}

} // namespace

void DirectoryChanges::create(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                              Change& change) const
{
    require_new(path_of(def.name));
    const NewVolume volume{.directory = directory_.path,
                           .def = def,
                           .source = source,
                           .flags = flags,
                           .host = host_,
                           .pool_name = pool_name_};
    if (def.target.format == "dir") {
        if (source)
            throw Error(ErrorCode::not_supported,
                        "'" + path_of(def.name) + "': a directory cannot be a copy of a volume",
                        "use format 'raw'");
        check_options(volume);
        // As libvirt's mkdir with the usual umask.
        change.add(
            create_directory_step(directory_, def.name, attributes_of(def, directory_.path, 0755)));
        return;
    }
    auto plan = plan_content(volume);
    const auto attributes = attributes_of(def, directory_.path, 0600);
    change.add(plan.by_tool
                   ? create_by_tool_step(directory_, def.name, std::move(plan.content), attributes)
                   : create_file_step(directory_, def.name, std::move(plan.content), attributes));
}

void DirectoryChanges::create_uploaded(const VolumeDef& def, const UploadSource& source,
                                       const TransferOptions& options, Change& change) const
{
    require_new(path_of(def.name));
    if (def.target.format == "dir" || def.target.encryption)
        throw Error(ErrorCode::not_supported,
                    "'" + path_of(def.name) + "': " +
                        (def.target.encryption ? std::string("an upload is stored as it comes")
                                               : "a directory has no content to upload"),
                    "leave the encryption out, and use the format of what is uploaded");
    check_new_upload(path_of(def.name), def, source, options,
                     options.resumable ? partial_upload(def.name).value_or(0) : 0);
    NewContent content{
        .summary = def.target.format + " volume '" + path_of(def.name) + "' from an upload",
        .fill = [def, source,
                 options](const FileWork& work) { return take_upload(work, def, source, options); },
        .call = {"write", path_of(def.name)}};
    const auto attributes = attributes_of(def, directory_.path, 0600);
    if (!options.resumable) {
        change.add(create_file_step(directory_, def.name, std::move(content), attributes));
        return;
    }
    list_resumable_upload(directory_, def.name, std::move(content), attributes, change);
}

void DirectoryChanges::add(Change& change, Step step) const
{
    change.add(within(std::move(step), directory_.place));
}

void DirectoryChanges::discard_upload(const std::string& name, Change& change) const
{
    if (!partial_upload(name))
        throw Error(ErrorCode::not_found,
                    "no unfinished upload of '" + name + "' in '" + directory_.path + "'",
                    "it is complete, was discarded, or had nothing to keep: begin a new one");
    add(change, discard_step(directory_.path, name, upload_identity(name)));
}

void DirectoryChanges::remove(std::string_view name, Change& change) const
{
    const auto path = path_of(name);
    const auto info = look_at(path);
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode) && !S_ISDIR(info.st_mode))
        throw Error(ErrorCode::not_supported,
                    "'" + path + "' is a device node: basin does not delete it",
                    "remove it by hand if it is not wanted");
    if (S_ISDIR(info.st_mode))
        require_empty_directory(path, "delete its content first");
    add(change, remove_volume_step(directory_.path, std::string(name), file_identity(path),
                                   S_ISDIR(info.st_mode)));
}

void DirectoryChanges::rename(std::string_view name, const std::string& new_name,
                              Change& change) const
{
    look_at(path_of(name));
    require_new(path_of(new_name));
    add(change, rename_volume_step(directory_.path, std::string(name), new_name,
                                   file_identity(path_of(name))));
}

void DirectoryChanges::resize(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                              Change& change) const
{
    const auto& path = volume.target.path;
    const auto& format = volume.target.format;
    const bool allocate = has(flags, ResizeFlags::allocate);
    const bool shrink = capacity < volume.capacity;
    require_content(volume, "resize");
    if (volume.type == VolumeType::block)
        throw Error(ErrorCode::not_supported, "'" + path + "' is a device: its size is fixed",
                    "change its size with what made the device");
    if (allocate && capacity > volume.capacity)
        require_free_space(path, capacity - volume.capacity, path);
    if (is_plain(volume)) {
        add(change, resize_file_step(path, capacity, allocate));
        return;
    }
    constexpr std::uint64_t sector = 512;
    const auto rounded = (capacity + sector - 1) / sector * sector;
    if (rounded == 0 && shrink)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': an image cannot shrink to nothing",
                    "give a capacity above 0, or delete the volume");
    if (format == "raw") { // LUKS: the data reach up to the end of the file
        const auto header = luks_header_size(volume);
        add(change,
            resize_file_step(path, header + std::min(rounded, INT64_MAX - header), allocate));
        return;
    }
    if (format != "qcow2" && format != "qed") // of those that qemu-img 7.2 writes
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an image of format '" + format + "' cannot change its size",
                    "make a larger one with qcow2 from it");
    if (shrink && format != "qcow2")
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an image of format '" + format + "' cannot become smaller",
                    "make a smaller volume, and copy what is in use");
    require_sound(path);
    const auto summary = "set the capacity of '" + path + "' from " +
                         std::to_string(volume.capacity) + " to " + std::to_string(rounded) +
                         " bytes" + (allocate ? ", what is added allocated" : "");
    if (format == "qcow2" && !allocate && !shrink &&
        can_grow_qcow2(open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY).get(), rounded, path)) {
        auto step =
            change_file_step(path, {"pwrite", path}, summary, [rounded](const FileWork& work) {
                if (!grow_qcow2(work.fd, rounded, work.path))
                    throw replaced(work.path);
                return true;
            });
        step.record.destructive = false;
        add(change, std::move(step));
        return;
    }
    if (allocate && format != "qcow2")
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an image of format '" + format +
                        "' cannot allocate what is added to it",
                    "leave the flag out");
    // Of version 2 a definition has no compat, as libvirt's.
    if (format == "qcow2" && volume.target.compat.empty() && !snapshots(path).empty())
        throw Error(ErrorCode::not_supported,
                    "'" + path +
                        "': an image of compat '0.10' that has snapshots cannot change "
                        "its size",
                    "delete them first");
    const QemuImgResize wanted{.capacity = rounded,
                               .shrink = shrink,
                               .preallocation = allocate && rounded > volume.capacity
                                                    ? Preallocation::falloc
                                                    : Preallocation::off};
    // QEMU keeps what lies behind the new end in its cluster, and shows it again to who grows it.
    const auto cluster = std::max(volume.target.cluster_size, sector);
    const auto cut =
        shrink ? std::min((rounded + cluster - 1) / cluster * cluster, volume.capacity) : rounded;
    const auto image = qemu_image(volume);
    std::vector<Command> commands{qemu_img_resize_command(image, wanted)};
    if (cut > rounded)
        commands.insert(commands.begin(), qemu_img_clear_command(image, rounded, cut - rounded));
    auto step = run_tool_step(
        path, words(commands), summary,
        [volume, wanted, cut, pool = pool_name_, place = directory_.place,
         &host = host_](const FileWork& work) {
            const auto open = qemu_image(volume, pool, host);
            if (cut > wanted.capacity)
                qemu_img_clear(host.runner, open, wanted.capacity, cut - wanted.capacity, work.job);
            if (wanted.preallocation != Preallocation::off)
                cut_unused_end(
                    open_content_in(place, work.path, O_RDWR | O_NONBLOCK | O_NOCTTY).get(),
                    work.path);
            qemu_img_resize(host.runner, open, wanted, work.job);
            return true;
        });
    step.record.destructive = shrink;
    add(change, std::move(step));
}

void DirectoryChanges::flatten(const VolumeDef& volume, Change& change) const
{
    const auto& path = volume.target.path;
    const auto& below = volume.backing.front().path;
    if (volume.target.format != "qcow2")
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an image of format '" + volume.target.format +
                        "' cannot take in what it is based on",
                    "make a copy of it");
    if (const auto kept = snapshots(path); !kept.empty())
        throw Error(ErrorCode::busy,
                    "'" + path + "': snapshot '" + kept.front().name +
                        "' would lose what it has of '" + below + "'",
                    "delete its snapshots first");
    add(change,
        run_tool_step(path, words(qemu_img_flatten_command(qemu_image(volume))),
                      "copy into '" + path + "' what it has of '" + below + "', and forget that",
                      [volume, pool = pool_name_, &host = host_](const FileWork& work) {
                          qemu_img_flatten(host.runner, qemu_image(volume, pool, host), work.job);
                          return true;
                      }));
}

std::optional<std::uint64_t> DirectoryChanges::partial_upload(const std::string& name) const
{
    struct stat info {};
    if (::lstat(partial_path(directory_.path, name).c_str(), &info) == 0)
        return static_cast<std::uint64_t>(info.st_size);
    if (errno != ENOENT)
        throw system_error(errno, "cannot look for an upload of '" + name + "' in '" +
                                      directory_.path + "'");
    return std::nullopt;
}

std::string DirectoryChanges::upload_identity(const std::string& name) const
{
    return file_identity(partial_path(directory_.path, name));
}

std::vector<Snapshot> DirectoryChanges::snapshots(const std::string& path) const
{
    const auto fd = open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat status {};
    if (::fstat(fd.get(), &status) == 0 && S_ISDIR(status.st_mode))
        return {};
    const auto info = inspect_file(fd.get(), path);
    if (info.format != ImageFormat::qcow2 || (info.snapshot_count == 0 && info.findings.empty()))
        return {};
    return read_qcow2_snapshots(fd.get(), path);
}

namespace {

/** A cluster counts the states that have it, as far as the width of its count goes; and one in a
 * data file has no count. */
void require_countable_snapshot(const std::string& path)
{
    const auto info =
        inspect_file(open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY).get(), path);
    if (info.data_file)
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': an image that has its data in another file, '" +
                        info.data_file->path + "', keeps no snapshots",
                    "make a copy, which has its data in itself");
    const auto bits = info.refcount_bits;
    if (bits == 0 || bits >= 32)
        return;
    const auto most = (std::uint64_t{1} << bits) - 2; // one more is the present state
    if (info.snapshot_count >= most)
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': reference counts of " + std::to_string(bits) +
                        (bits == 1 ? " bit" : " bits") + " allow " + std::to_string(most) +
                        " snapshots",
                    most == 0 ? "make a copy with wider ones"
                              : "delete one first, or make a copy with wider reference counts");
}

/** @param given  to qemu-img, instead of the name */
Step snapshot_step(const VolumeDef& volume, SnapshotAction action, std::string_view verb,
                   const std::string& name, const std::string& pool_name, const Host& host,
                   const std::string& given = {})
{
    const auto& word = given.empty() ? name : given;
    require_qcow2(volume);
    const auto& path = volume.target.path;
    auto step = change_snapshots_step(
        volume, pool_name, words(qemu_img_snapshot_command(qemu_image(volume), action, word)),
        std::string(verb) + " snapshot '" + name + "' of '" + path + "'",
        [volume, action, word, pool_name, &host](const FileWork& work) {
            qemu_img_snapshot(host.runner, qemu_image(volume, pool_name, host), action, word,
                              work.job);
            return true;
        });
    step.record.destructive = action != SnapshotAction::create;
    return step;
}

} // namespace

void DirectoryChanges::create_snapshot(const VolumeDef& volume, const std::string& name,
                                       Change& change) const
{
    auto step = snapshot_step(volume, SnapshotAction::create, "make", name, pool_name_, host_);
    require_countable_snapshot(volume.target.path);
    add(change, std::move(step));
}

void DirectoryChanges::delete_snapshot(const VolumeDef& volume, const std::string& name,
                                       Change& change) const
{
    add(change, snapshot_step(volume, SnapshotAction::remove, "delete", name, pool_name_, host_));
}

void DirectoryChanges::revert_snapshot(const VolumeDef& volume, const std::string& name,
                                       Change& change) const
{
    // By its number: for qemu-img a name that is one means the snapshot of that number.
    const auto all = snapshots(volume.target.path);
    const auto meant =
        std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.name == name; });
    add(change, snapshot_step(volume, SnapshotAction::apply, "go back to", name, pool_name_, host_,
                              meant == all.end() ? std::string() : meant->id));
}

} // namespace storage::inline v1
