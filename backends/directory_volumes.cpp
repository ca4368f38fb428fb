// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_volumes.hpp"

#include "backing_chain.hpp"
#include "directory_scan.hpp"
#include "file_description.hpp"
#include "job_impl.hpp"
#include "owner_access.hpp"
#include "step_parts.hpp"
#include "volume_description.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

ErrorCode code_of(DiagnosticReason reason)
{
    switch (reason) {
    case DiagnosticReason::unreadable: return ErrorCode::permission_denied;
    case DiagnosticReason::read_error:
    case DiagnosticReason::inactive: return ErrorCode::io;
    default: return ErrorCode::not_found;
    }
}

std::string_view remedy_for(DiagnosticReason reason)
{
    switch (code_of(reason)) {
    case ErrorCode::not_found: return "list the volumes to see which exist";
    case ErrorCode::permission_denied: return "change its rights, or the user";
    default: return "";
    }
}

std::string title(std::string_view name, const std::string& path)
{
    return "volume '" + readable_name(name) + "' in '" + path + "'";
}

/** Runs body; what makes an entry no volume becomes an Error that names it. */
template <typename Body>
auto naming_volume(std::string_view name, const std::string& path, Body&& body)
{
    try {
        return body();
    } catch (const NotUsable& problem) {
        throw Error(code_of(problem.reason), title(name, path) + " " + problem.message,
                    std::string(remedy_for(problem.reason)), {}, problem.os_error);
    }
}

std::uint64_t times(std::uint64_t blocks, std::uint64_t size)
{
    std::uint64_t bytes = 0;
    return __builtin_mul_overflow(blocks, size, &bytes) ? UINT64_MAX : bytes;
}

bool may_be_volume(const DirectoryListing::Entry& entry)
{
    const auto type = entry.type();
    return type != DT_FIFO && type != DT_SOCK && type != DT_CHR && is_usable_name(entry.name);
}

std::uint64_t device_of(const struct ::statx& status)
{
    return ::makedev(status.stx_dev_major, status.stx_dev_minor);
}

} // namespace

DirectoryVolumes::DirectoryVolumes(std::string path)
    : path_(std::move(path)), prefix_(path_.ends_with('/') ? path_ : path_ + '/')
{
}

Presence DirectoryVolumes::presence() const
{
    struct ::statx status;
    if (::statx(AT_FDCWD, path_.c_str(), 0, STATX_TYPE | STATX_INO | STATX_MNT_ID, &status) != 0) {
        if (errno == ENOENT)
            return {.reason = "directory '" + path_ + "' does not exist"};
        return {.reason = system_error(errno, "directory '" + path_ + "'").what()};
    }
    if (!S_ISDIR(status.stx_mode))
        return {.reason = "'" + path_ + "' is not a directory"};
    // Its identity is not the mount's id: that differs between mount namespaces, and after every
    // automount.
    auto place = place_text(status);
    return {.state = PoolState::running,
            .identity = "dir:" + place,
            .place = std::move(place),
            .mount_id = status.stx_mask & STATX_MNT_ID ? status.stx_mnt_id : 0}; // Linux 5.8
}

// The ext family keeps blocks back that root alone may fill: f_bfree counts them, f_bavail does not
// (statvfs(3)). Elsewhere f_bfree may hold space that nobody can write to (btrfs: metadata).
PoolSizes DirectoryVolumes::sizes() const
{
    struct ::statfs status {};
    while (::statfs(path_.c_str(), &status) != 0)
        if (errno != EINTR)
            throw system_error(errno, "file system of '" + path_ + "'");
    const auto block =
        static_cast<std::uint64_t>(status.f_frsize ? status.f_frsize : status.f_bsize);
    const bool reserve_is_ours = status.f_type == EXT4_SUPER_MAGIC && ::geteuid() == 0;
    const auto free_blocks = std::min(status.f_bfree, status.f_blocks);
    return {.capacity = times(status.f_blocks, block),
            .allocation = times(status.f_blocks - free_blocks, block),
            .available = times(reserve_is_ours ? status.f_bfree : status.f_bavail, block)};
}

Permissions DirectoryVolumes::permissions() const
{
    struct ::statx status {};
    if (::statx(AT_FDCWD, path_.c_str(), 0, STATX_BASIC_STATS, &status) != 0)
        throw system_error(errno, "directory '" + path_ + "'");
    return permissions_of(status, path_);
}

bool DirectoryVolumes::may_hang() const
{
    struct ::statfs status {};
    if (::statfs(path_.c_str(), &status) != 0)
        throw system_error(errno, "file system of '" + path_ + "'");
    switch (static_cast<unsigned long>(status.f_type)) {
    case EXT4_SUPER_MAGIC: // and its predecessors
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case MSDOS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC: return false;
    default: return true;
    }
}

void DirectoryVolumes::refresh(const VolumeTable* previous, VolumeTable& table, Job* job) const
{
    const auto fd = open_existing(path_, O_RDONLY | O_DIRECTORY);
    DirectoryListing listing(fd.get(), path_);
    listing.sort_by_inode();
    enter_phase(job, "reading volumes", listing.entries().size());
    struct ::statx status {};
    if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_INO, &status) != 0)
        throw system_error(errno, "directory '" + path_ + "'");
    DirectoryScan scan(fd.get(), prefix_, file_system_of(path_, device_of(status)), previous, job);
    scan.run(listing.entries(), table);
    add(scan.counts());
}

std::vector<std::string> DirectoryVolumes::names(Job* job) const
{
    check(job, "listing names");
    const auto fd = open_existing(path_, O_RDONLY | O_DIRECTORY);
    const DirectoryListing listing(fd.get(), path_);
    std::vector<std::string> names;
    names.reserve(listing.entries().size());
    for (const auto& entry : listing.entries())
        if (may_be_volume(entry))
            names.emplace_back(entry.name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

// A name is one component, so that no name leads out of the pool's directory.
std::string DirectoryVolumes::path_of(std::string_view name) const
{
    if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos ||
        !is_usable_name(name) || name.starts_with(temporary_prefix))
        throw Error(ErrorCode::not_found,
                    title(name, path_) + " cannot exist: not a name that a volume may have");
    return prefix_ + std::string(name);
}

VolumeRecord DirectoryVolumes::read(std::string_view name, const VolumeRecord* previous) const
{
    const auto path = path_of(name);
    return naming_volume(name, path_, [&]() -> VolumeRecord {
        VolumeFile file{.directory = AT_FDCWD, .path = path.c_str()};
        struct ::statx status;
        stat_volume(file, status);
        VolumeRecord record{.name = std::string(name), .key = path, .path = path};
        // Also of use to what is not reused, hence not asked before it is needed.
        const bool unchanged = previous && is_unchanged(facts_of(status), previous->facts);
        const auto file_system = unchanged ? FileSystem{} : file_system_of(path, device_of(status));
        ReadCounts counts;
        const auto examined = examine_volume(file, status, file_system,
                                             previous ? &previous->facts : nullptr, counts);
        add(counts);
        record.facts = examined.facts;
        if (examined.reused)
            record.references = previous->references;
        else if (examined.header)
            record.references = references_of(prefix_, *examined.header);
        return record;
    });
}

VolumeDef DirectoryVolumes::describe(std::string_view name) const
{
    const auto path = path_of(name);
    return naming_volume(name, path_, [&] {
        VolumeFile file{.directory = AT_FDCWD, .path = path.c_str()};
        struct ::statx status;
        stat_volume(file, status, STATX_BTIME);
        // Only to learn that a file is one hole is the file system worth a question.
        const auto file_system =
            status.stx_blocks == 0 ? file_system_of(path, device_of(status)) : FileSystem{};
        ReadCounts counts;
        const auto examined = examine_volume(file, status, file_system, nullptr, counts);
        add(counts);
        return describe_volume(prefix_, name, status, examined.facts, examined.header.get());
    });
}

ImageInfo DirectoryVolumes::inspect(std::string_view name) const
{
    const auto path = path_of(name);
    return naming_volume(name, path_, [&] {
        VolumeFile file{.directory = AT_FDCWD, .path = path.c_str()};
        struct ::statx status;
        stat_volume(file, status);
        if (!S_ISDIR(status.stx_mode))
            return inspect_file(open_volume(file).get(), path);
        ReadCounts counts;
        auto examined = examine_volume(file, status, {}, nullptr, counts);
        if (examined.facts.type != VolumeType::ploop)
            return ImageInfo{.format = ImageFormat::dir};
        const auto image = ploop_image(path.c_str());
        return inspect_file(open_volume({.directory = AT_FDCWD, .path = image.c_str()}).get(),
                            image);
    });
}

std::string DirectoryVolumes::identity(std::string_view name) const
{
    const auto path = path_of(name);
    return naming_volume(name, path_, [&] {
        VolumeFile file{.directory = AT_FDCWD, .path = path.c_str()};
        struct ::statx status;
        stat_volume(file, status, STATX_BTIME);
        return std::string(file_identity_prefix) + identity_text(status);
    });
}

void DirectoryVolumes::add(const ReadCounts& counts) const noexcept
{
    opened_ += counts.opened;
    holes_ += counts.holes;
    reused_ += counts.reused;
}

ReadCounts DirectoryVolumes::counts() const noexcept
{
    return {.opened = opened_, .holes = holes_, .reused = reused_};
}

} // namespace storage::inline v1
