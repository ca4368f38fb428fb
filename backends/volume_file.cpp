// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_file.hpp"

#include "image/probe.hpp"
#include "owner_access.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::uint32_t xfs_magic = 0x58465342; // linux/magic.h of Debian 12 lacks it

std::string text_of(int os_error)
{
    char buffer[128];
    return strerror_r(os_error, buffer, sizeof buffer); // GNU variant: thread-safe
}

/** Sorts a failed system call into the entry's own fault and everybody's. */
[[noreturn]] void fail(const VolumeFile& file, int os_error)
{
    using enum DiagnosticReason;
    switch (os_error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EBADF: throw system_error(os_error, "volume file '" + std::string(file.path) + "'");
    case EACCES:
    case EPERM: throw NotUsable{unreadable, "may not be read: " + text_of(os_error), os_error};
    case ELOOP: throw NotUsable{link_loop, "is a symbolic link that leads nowhere", os_error};
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        if (file.is_link)
            throw NotUsable{dangling_link, "is a symbolic link to nothing", os_error};
        [[fallthrough]];
    case ESTALE: throw NotUsable{vanished, "is gone", os_error};
    case ENXIO:
    case ENODEV:
    case ENOMEDIUM:
        throw NotUsable{inactive, "is a device that does not work now: " + text_of(os_error),
                        os_error};
    default: throw NotUsable{read_error, "cannot be read: " + text_of(os_error), os_error};
    }
}

int stat_once(const VolumeFile& file, struct ::statx& status, unsigned mask)
{
    const int follow = file.is_link ? 0 : AT_SYMLINK_NOFOLLOW;
    int result = 0;
    do
        result = ::statx(file.directory, file.path, follow | AT_NO_AUTOMOUNT, mask, &status);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

void refuse_what_is_no_volume(std::uint32_t mode)
{
    using enum DiagnosticReason;
    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK: return;
    case S_IFIFO: throw NotUsable{fifo, "is a FIFO"};
    case S_IFSOCK: throw NotUsable{socket, "is a socket"};
    case S_IFCHR: throw NotUsable{character_device, "is a character device"};
    case S_IFLNK: throw NotUsable{vanished, "was replaced while it was looked at"};
    }
    throw NotUsable{read_error, "is of an unknown type"};
}

std::int64_t nanoseconds(const ::statx_timestamp& time)
{
    std::int64_t result = 0;
    // A damaged inode may hold any year.
    if (__builtin_mul_overflow(time.tv_sec, second_ns, &result) ||
        __builtin_add_overflow(result, std::int64_t{time.tv_nsec}, &result))
        return 0;
    return result;
}

/**
 * Whether another change now could leave the timestamps as they are: the kernel stamps files by
 * its tick (up to 10 ms), a file system without fractions of a second by the second, and a server
 * by a clock of its own, which is taken to be right within a second.
 */
bool is_fresh(const VolumeFacts& facts, bool fine_times)
{
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto last = std::max(facts.modified_ns, facts.changed_ns);
    const bool fine = fine_times && facts.changed_ns % second_ns != 0;
    const auto window = fine ? 20'000'000 : 3 * second_ns;
    return last > now.tv_sec * second_ns + now.tv_nsec - window;
}

/** A file that may not be read is reported, holes or not, empty or not. */
bool may_read(const struct ::statx& status)
{
    const auto user = ::geteuid();
    return user == 0 || (status.stx_mode & 0444) == 0444 ||
           (status.stx_uid == user && (status.stx_mode & S_IRUSR) != 0);
}

bool is_raw_without_a_look(const struct ::statx& status, const FileSystem& file_system)
{
    return (status.stx_size == 0 || (status.stx_blocks == 0 && file_system.tells_holes)) &&
           may_read(status);
}

std::uint64_t block_device_size(int fd, const VolumeFile& file)
{
    std::uint64_t size = 0;
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0)
        fail(file, errno);
    return size;
}

/** Reads the header; leaves examined.header null where it is a plain raw image. */
void read_header(int fd, std::uint64_t size, const VolumeFile& file, Examined& examined)
{
    // Keeps a cold read of one page from dragging the readahead window into the page cache.
    if (size > ImageSource::head_length)
        ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    std::byte buffer[ImageSource::head_length];
    ImageInfo info;
    try {
        ImageSource source(fd, size, read_head(fd, buffer));
        if (is_raw(source))
            return;
        info = inspect(source);
    } catch (const Error& error) {
        fail(file, error.os_error() ? error.os_error() : EIO);
    }
    auto& facts = examined.facts;
    facts.format = info.format;
    facts.damaged = std::any_of(info.findings.begin(), info.findings.end(), is_damage);
    // An image of 0 bytes; but a LUKS header without its data does not know, nor a damaged one.
    if (info.virtual_size != 0 || (!facts.damaged && info.format != ImageFormat::luks))
        facts.capacity = info.virtual_size;
    examined.header = std::make_unique<const ImageInfo>(std::move(info));
}

void examine_block_device(const VolumeFile& file, Examined& examined)
{
    const auto fd = open_volume(file);
    const auto size = block_device_size(fd.get(), file);
    auto& facts = examined.facts;
    facts.capacity = facts.allocation = facts.physical = size;
    facts.fresh = true; // a device's content and size change without its node's times
    read_header(fd.get(), size, file, examined);
}

bool exists(int directory, const std::string& path)
{
    struct ::statx status;
    return ::statx(directory, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE,
                   &status) == 0;
}

/** Virtuozzo's ploop: a directory with an image and a descriptor of fixed names (libvirt's rule).
 */
void examine_directory(const VolumeFile& file, Examined& examined, ReadCounts& counts)
{
    const auto path = ploop_image(file.path);
    VolumeFile image{.directory = file.directory, .path = path.c_str()};
    struct ::statx status;
    if (stat_once(image, status, STATX_BASIC_STATS) != 0 || !S_ISREG(status.stx_mode) ||
        !exists(file.directory, std::string(file.path) + "/DiskDescriptor.xml"))
        return;
    const auto inside = facts_of(status);
    auto& facts = examined.facts;
    facts.type = VolumeType::ploop;
    facts.capacity = facts.physical = inside.physical;
    facts.allocation = inside.allocation;
    facts.fresh = true; // the directory's times say nothing about the image in it
    ++counts.opened;
    read_header(open_volume(image).get(), status.stx_size, image, examined);
}

} // namespace

// An image that is in use, or was when the host went down, is dirty and yet healthy.
bool is_damage(const ImageFinding& finding) noexcept
{
    return finding.issue != ImageIssue::marked_dirty;
}

FileSystem file_system_of(const std::string& path, std::uint64_t device) noexcept
{
    FileSystem result{.device = device};
    struct ::statfs status {};
    if (::statfs(path.c_str(), &status) != 0)
        return result;
    switch (static_cast<std::uint32_t>(status.f_type)) {
    case EXT4_SUPER_MAGIC: // and ext2, ext3; inline data counts as blocks, as does delayed data
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case xfs_magic: result.tells_holes = result.fine_times = true; break;
    default: break;
    }
    return result;
}

void stat_volume(VolumeFile& file, struct ::statx& status, unsigned extra_mask)
{
    const auto mask = STATX_BASIC_STATS | extra_mask;
    int error = stat_once(file, status, mask);
    if (error == 0 && S_ISLNK(status.stx_mode)) {
        file.is_link = true;
        error = stat_once(file, status, mask);
    }
    if (error != 0) {
        VolumeFile link{.directory = file.directory, .path = file.path};
        if (file.is_link && stat_once(link, status, STATX_TYPE) == ENOENT)
            file.is_link = false; // the link itself has vanished
        fail(file, error);
    }
    refuse_what_is_no_volume(status.stx_mode);
}

VolumeFacts facts_of(const struct ::statx& status)
{
    VolumeFacts facts{.device = makedev(status.stx_dev_major, status.stx_dev_minor),
                      .inode = status.stx_ino,
                      .modified_ns = nanoseconds(status.stx_mtime),
                      .changed_ns = nanoseconds(status.stx_ctime)};
    if (S_ISDIR(status.stx_mode)) { // libvirt shows zeros, too: what is inside is not its size
        facts.type = VolumeType::dir;
        facts.format = ImageFormat::dir;
        return facts;
    }
    if (S_ISBLK(status.stx_mode))
        facts.type = VolumeType::block;
    facts.capacity = facts.physical = status.stx_size;
    facts.allocation = status.stx_blocks * 512;
    return facts;
}

// The allocation is no part of it: it changes without a timestamp when delayed data get blocks.
bool is_unchanged(const VolumeFacts& now, const VolumeFacts& before) noexcept
{
    return !before.fresh && !before.damaged && now.device == before.device &&
           now.inode == before.inode && now.physical == before.physical &&
           now.modified_ns == before.modified_ns && now.changed_ns == before.changed_ns &&
           now.type == before.type;
}

Examined examine_volume(const VolumeFile& file, const struct ::statx& status,
                        const FileSystem& file_system, const VolumeFacts* previous,
                        ReadCounts& counts)
{
    Examined examined{.facts = facts_of(status)};
    auto& facts = examined.facts;
    if (previous && is_unchanged(facts, *previous)) {
        facts.capacity = previous->capacity;
        facts.format = previous->format;
        examined.reused = true;
        ++counts.reused;
        return examined;
    }
    const bool known = facts.device == file_system.device;
    facts.fresh = is_fresh(facts, known && file_system.fine_times);
    if (facts.type == VolumeType::dir) {
        examine_directory(file, examined, counts);
    } else if (facts.type == VolumeType::block) {
        ++counts.opened;
        examine_block_device(file, examined);
    } else if (is_raw_without_a_look(status, known ? file_system : FileSystem{})) {
        ++counts.holes;
    } else {
        ++counts.opened;
        read_header(open_volume(file).get(), status.stx_size, file, examined);
    }
    return examined;
}

// A name has no slash, so that only a link can lead out of the pool. Links are followed, as libvirt
// does: administrators put images and devices into pools with them. Links made by the kernel
// (/proc/PID/fd/N), which lead to objects without regard to their names, are not.
UniqueFd open_volume(const VolumeFile& file)
{
    constexpr int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    for (unsigned attempts = 0;;) {
        UniqueFd fd;
        if (file.is_link) {
            ::open_how how{.flags = flags, .mode = 0, .resolve = RESOLVE_NO_MAGICLINKS};
            fd = UniqueFd(static_cast<int>(
                ::syscall(SYS_openat2, file.directory, file.path, &how, sizeof how)));
            if (!fd && (errno == ENOSYS || errno == EPERM)) // before Linux 5.6, or a sandbox
                fd = UniqueFd(::openat(file.directory, file.path, flags));
        } else {
            fd = UniqueFd(::openat(file.directory, file.path, flags | O_NOFOLLOW));
            if (!fd) {
                const int error = errno;
                if (auto owners =
                        open_as_owner(error, file.directory, file.path, flags | O_NOFOLLOW))
                    return owners;
                errno = error;
            }
        }
        if (fd)
            return fd;
        if (errno == ELOOP && !file.is_link)
            throw NotUsable{DiagnosticReason::vanished, "was replaced while it was looked at"};
        if (!open_again(errno, attempts))
            fail(file, errno);
    }
}

ImageInfo inspect_file(int fd, const std::string& path)
{
    try {
        return inspect_descriptor(fd);
    } catch (const Error& error) {
        throw Error(error.code(), "'" + path + "': " + error.what(), error.remedy(), error.detail(),
                    error.os_error());
    }
}

std::string ploop_image(const char* path)
{
    return std::string(path) + "/root.hds";
}

} // namespace storage::inline v1
