// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_upload.hpp"

#include "content_definition.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "image_formats.hpp"
#include "job_impl.hpp"
#include "transfer.hpp"
#include "volume_file.hpp"

#include <algorithm>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

std::string in_lower_case(std::string text)
{
    for (auto& c : text)
        if (c >= 'A' && c <= 'F')
            c = static_cast<char>(c + 32);
    return text;
}

void check_digest(const FileWork& work, const VolumeDef& def, const TransferOptions& options)
{
    if (!options.digest && options.expected_sha256.empty())
        return;
    const auto found =
        digest_content(work.fd, work.path, content_length(work.fd, work.path), work.job);
    if (!options.expected_sha256.empty() && found != in_lower_case(options.expected_sha256))
        throw Error(ErrorCode::io,
                    "upload of '" + def.name + "': SHA-256 is " + found + ", expected " +
                        options.expected_sha256,
                    "transfer it again");
    if (options.digest)
        state_fact(work.job, "sha256", found);
}

/** What a whole upload must be, beyond being complete. */
void check_uploaded(const FileWork& work, const VolumeDef& def)
{
    const auto& format = def.target.format;
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::invalid_argument, "upload of '" + def.name + "': " + what, remedy);
    };
    const auto length = content_length(work.fd, work.path);
    const auto info = inspect_file(work.fd, work.path);
    if (format == "raw") {
        if (info.format != ImageFormat::raw && info.format != ImageFormat::iso &&
            info.format != ImageFormat::luks)
            refuse("what came is of format '" + std::string(to_string(info.format)) +
                       "', and whoever opens it by its name would take it for that",
                   "say what it really is; to keep these bytes as they are, upload them into a "
                   "volume that exists");
        if (def.capacity != 0 && length > def.capacity)
            refuse(size_text(length) + " came, more than the capacity of " +
                       size_text(def.capacity),
                   "give a larger capacity, or none");
        if (def.capacity > length && ::ftruncate(work.fd, static_cast<off_t>(def.capacity)) != 0)
            throw system_error(errno, "cannot set the size of '" + work.path + "'");
        return;
    }
    if (qemu_name(to_string(info.format)) != qemu_name(format))
        refuse("what came is of format '" + std::string(to_string(info.format)) + "', not '" +
                   format + "'",
               "say what it really is");
    for (const auto& finding : info.findings)
        if (finding.issue != ImageIssue::marked_dirty)
            refuse("the image is damaged: " + finding.message, "transfer it again");
    if (def.capacity != 0 && info.virtual_size != def.capacity)
        refuse("the image has a capacity of " + size_text(info.virtual_size) + ", not " +
                   size_text(def.capacity),
               "give its capacity, or none");
    // Whoever made the image must not choose which files of this host a guest gets to see.
    const auto allowed = def.backing.empty() ? std::string() : def.backing.front().path;
    if (info.backing && info.backing->path != allowed)
        refuse("the image is based on '" + info.backing->path + "', which was not asked for",
               "name it as the backing image, or flatten the image first");
    if (info.backing && !def.backing.front().format.empty() &&
        info.backing->format != qemu_name(def.backing.front().format))
        refuse("the image says of '" + allowed + "' that its format is '" + info.backing->format +
                   "', not '" + def.backing.front().format + "'",
               "give the format that the image has, or none");
    if (info.data_file || !info.extents.empty())
        refuse("the image keeps data in other files", "convert it first");
}

} // namespace

namespace {

std::uint64_t room_for(const VolumeDef& def, std::uint64_t present)
{
    return def.target.format == "raw" && def.capacity != 0
               ? def.capacity - std::min(def.capacity, present)
               : std::uint64_t{UINT64_MAX};
}

/** What is kept is checked as a whole when it is complete: earlier calls brought a part of it. */
TransferOptions missing_part(TransferOptions options, std::uint64_t present)
{
    if (options.resumable) {
        options.digest = false;
        options.expected_sha256.clear();
        if (options.expected_length)
            *options.expected_length -= std::min(*options.expected_length, present);
    }
    return options;
}

} // namespace

void check_new_upload(const std::string& path, const VolumeDef& def, const UploadSource& source,
                      const TransferOptions& options, std::uint64_t present)
{
    if (options.offset != present)
        throw Error(ErrorCode::invalid_argument,
                    "upload of '" + def.name + "': the source goes on at offset " +
                        std::to_string(options.offset) + ", but " + size_text(present) +
                        " are here already",
                    present == 0 ? "begin at offset 0" : "ask partial_upload(), and go on there");
    if (options.resumable && options.expected_length && *options.expected_length < present)
        throw Error(ErrorCode::invalid_argument,
                    "upload of '" + def.name + "': " + size_text(*options.expected_length) +
                        " are expected, but " + size_text(present) + " are here already",
                    "discard what was kept of another upload, with discard_upload()");
    check_upload(path, source, missing_part(options, present), room_for(def, present));
}

bool take_upload(const FileWork& work, const VolumeDef& def, const UploadSource& source,
                 const TransferOptions& options)
{
    const auto present = content_length(work.fd, work.path);
    check_new_upload(work.path, def, source, options, present);
    const auto place = place_of(source);
    receive_content(source, missing_part(options, present), work.fd, work.path,
                    room_for(def, present), work.job);
    try {
        if (options.resumable)
            check_digest(work, def, options);
        check_uploaded(work, def);
    } catch (const Error& error) {
        // Complete and wrong is of no use for a next attempt; what could not be looked at is.
        const bool looked_at = error.os_error() == 0 && error.code() != ErrorCode::cancelled &&
                               error.code() != ErrorCode::timed_out;
        if (looked_at && ::ftruncate(work.fd, 0) == 0)
            put_source(source, place);
        throw;
    }
    return true;
}

} // namespace storage::inline v1
