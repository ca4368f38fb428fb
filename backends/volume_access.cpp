// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_access.hpp"

#include "backing_chain.hpp"
#include "device_probe.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "image/wipe.hpp"
#include "job_impl.hpp"
#include "owner_access.hpp"
#include "transfer.hpp"
#include "volume_file.hpp"
#include "volume_steps.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace storage::inline v1 {

void require_content(const VolumeDef& volume, std::string_view what)
{
    if (volume.type && *volume.type != VolumeType::file && *volume.type != VolumeType::block)
        throw Error(ErrorCode::not_supported,
                    "'" + volume.target.path + "' is a directory: it has no content to " +
                        std::string(what),
                    "use a volume that is a file or a device");
}

bool is_plain(const VolumeDef& volume)
{
    return (volume.target.format == "raw" || volume.target.format == "iso") &&
           !volume.target.encryption;
}

namespace {

/** What is in other files would stay, while the image that leads to it is gone. */
void require_own_data(const VolumeDef& volume)
{
    if (is_plain(volume) || volume.type == VolumeType::block)
        return;
    const auto& path = volume.target.path;
    const auto fd = open_existing(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    auto header = inspect_file(fd.get(), path);
    header.backing.reset();
    std::string files;
    for (const auto& file : references_of(parent_directory(path), header))
        files += (files.empty() ? "'" : ", '") + file + "'";
    if (!files.empty())
        throw Error(ErrorCode::not_supported,
                    "'" + path + "' has its data in other files: " + files,
                    "wipe these, and delete the image");
}

/** A volume that LVM, or whoever set up the disk, lets nobody write to. Where it cannot be opened
 * it is the step that says so. */
void require_writable(const VolumeDef& volume)
{
    const auto& path = volume.target.path;
    if (volume.type != VolumeType::block)
        return;
    UniqueFd fd;
    try {
        fd = open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    } catch (const Error&) {
        return;
    }
    require_writable_device(fd.get(), path);
}

} // namespace

Step wipe_step(const VolumeDef& volume, WipeAlgorithm algorithm)
{
    require_content(volume, "wipe");
    const auto& path = volume.target.path;
    require_own_data(volume);
    require_writable(volume);
    return change_file_step(path, {"wipe", std::string(to_string(algorithm)), path},
                            "overwrite the content of '" + path + "' (" +
                                std::string(to_string(algorithm)) + ")",
                            [algorithm](const FileWork& work) {
                                wipe_content(work.fd, algorithm, work.path, work.job);
                                return true;
                            });
}

Step upload_step(const VolumeDef& volume, const UploadSource& source,
                 const TransferOptions& options, std::uint64_t& received)
{
    require_content(volume, "replace");
    require_writable(volume);
    const auto& path = volume.target.path;
    // An image file may become longer, as its format sees fit; what a guest sees as it is may not.
    const bool is_fixed = is_plain(volume) || volume.type == VolumeType::block;
    const auto length = is_fixed ? volume.capacity : volume.physical;
    check_range(path, options.offset, is_fixed ? options.length : 0, length,
                "make the volume larger first");
    const auto room = is_fixed ? length - options.offset : std::uint64_t{UINT64_MAX};
    check_upload(path, source, options, room);
    return change_file_step(
        path, {"pwrite", path},
        "write an upload into '" + path + "' at offset " + std::to_string(options.offset),
        [source, options, room, &received](const FileWork& work) {
            received = receive_content(source, options, work.fd, work.path, room, work.job);
            return true;
        });
}

std::uint64_t download_content(const std::string& path, const DownloadTarget& target,
                               const TransferOptions& options, Job* job, const std::string& place)
{
    const auto fd = open_content_in(place, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
        throw Error(ErrorCode::not_supported,
                    "'" + path + "' is not a file or device: it has no content to read",
                    "use a volume that is a file or a device");
    const auto length = content_length(fd.get(), path);
    check_range(path, options.offset, options.length, length,
                "use a length of 0 for all up to the end");
    const auto wanted = options.length ? options.length : length - options.offset;
    return send_content(fd.get(), path, wanted, target, options, job);
}

} // namespace storage::inline v1
