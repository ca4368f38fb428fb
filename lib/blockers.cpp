// SPDX-License-Identifier: LGPL-2.1-or-later
#include "blockers.hpp"

#include "file_io.hpp"
#include "numbers.hpp"
#include "proc_tables.hpp"
#include "system_root.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

/**
 * Whether a lease that is granted means what fcntl(2) says, as tried on Linux 6.1 and 6.18. Overlay
 * grants it while a file is mapped; a server's other clients are not asked.
 */
bool grants_truthfully(int fd)
{
    struct statfs info {};
    if (::fstatfs(fd, &info) != 0)
        return false;
    switch (static_cast<unsigned long>(info.f_type)) {
    case EXT4_SUPER_MAGIC: // and its predecessors
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC: return true;
    default: return false;
    }
}

std::optional<dev_t> device_number(const std::string& path)
{
    const auto lines = lines_of(path);
    if (lines.empty())
        return std::nullopt;
    const auto colon = lines[0].find(':');
    if (colon == std::string::npos)
        return std::nullopt;
    const auto major = to_integer<unsigned>(std::string_view(lines[0]).substr(0, colon));
    const auto minor = to_integer<unsigned>(std::string_view(lines[0]).substr(colon + 1));
    return major && minor ? std::optional(::makedev(*major, *minor)) : std::nullopt;
}

/** A block device and its partitions, by number. */
using Devices = std::set<dev_t>;

class KernelSearch {
public:
    KernelSearch(BlockedObject& object, const SystemRoot& system) : object_(object), system_(system)
    {
    }

    std::vector<Blocker> run()
    {
        if (S_ISBLK(object_.mode))
            object_.block_devices = with_partitions(object_.block_devices);
        add_loop_devices();
        add_uses_of(object_.block_devices, "it");
        add_mounts_over();
        for (const auto& path : swap_areas())
            if (!S_ISBLK(object_.mode) && is_object(path))
                add(BlockerKind::holder, "it is a swap area in use");
        return std::move(found_);
    }

private:
    void add(BlockerKind kind, std::string message)
    {
        found_.push_back({.kind = kind, .message = std::move(message)});
    }

    std::string sysfs(dev_t device) const
    {
        return system_.path("/sys/dev/block/" + std::to_string(::major(device)) + ':' +
                            std::to_string(::minor(device)));
    }

    Devices with_partitions(const Devices& whole) const
    {
        auto all = whole;
        for (const auto device : whole) {
            const auto directory = sysfs(device);
            for_each_name(directory, [&](const char* name) {
                const auto part = directory + '/' + name;
                if (::access((part + "/partition").c_str(), F_OK) == 0)
                    if (const auto number = device_number(part + "/dev"))
                        all.insert(*number);
            });
        }
        return all;
    }

    bool is_object(const std::string& path) const
    {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0)
            return false;
        return object_.is(status.st_dev, status.st_ino) ||
               (S_ISBLK(status.st_mode) && object_.block_devices.contains(status.st_rdev));
    }

    /** Whether a loop device shows the object, by what the driver itself says where it may be
     * asked: the name in sysfs may be another file's by now. */
    bool shows_object(const std::string& name, const std::string& backing_file) const
    {
        const UniqueFd fd(::open(system_.path("/dev/" + name).c_str(),
                                 O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
        ::loop_info64 info{};
        if (!fd || ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0)
            return is_object(backing_file);
        return object_.is(info.lo_device, info.lo_inode) ||
               (info.lo_rdevice != 0 && object_.block_devices.contains(info.lo_rdevice));
    }

    void add_loop_devices()
    {
        for_each_name(system_.path("/sys/block"), [&](const char* name) {
            const auto directory = system_.path("/sys/block/") + name;
            if (!std::string_view(name).starts_with("loop"))
                return;
            const auto lines = lines_of(directory + "/loop/backing_file"); // only while it has one
            if (lines.empty() || !shows_object(name, lines[0]))
                return;
            const auto title = std::string("'/dev/") + name + "'";
            add(BlockerKind::loop_device, "loop device " + title + " shows it");
            if (const auto number = device_number(directory + "/dev"))
                add_uses_of(with_partitions({*number}), title);
        });
    }

    void add_uses_of(const Devices& devices, const std::string& title)
    {
        if (devices.empty())
            return;
        for (const auto& mount : mounts())
            if (is_source(devices, mount))
                add(BlockerKind::mounted, title + " is mounted at '" + mount.point + "'");
        for (const auto& path : swap_areas())
            if (is_device_of(devices, path))
                add(BlockerKind::holder, title + " is a swap area in use");
        for (const auto device : devices)
            for_each_name(sysfs(device) + "/holders", [&](const char* name) {
                const auto lines =
                    lines_of(system_.path(std::string("/sys/block/") + name + "/dm/name"));
                add(BlockerKind::holder, std::string("device '") + name + "'" +
                                             (lines.empty() ? "" : " (" + lines[0] + ")") +
                                             " is built on " + title);
            });
    }

    void add_mounts_over()
    {
        for (const auto& mount : mounts())
            if (mount.point == object_.path ||
                (S_ISDIR(object_.mode) && object_.contains(mount.point)))
                add(BlockerKind::mounted, "something is mounted at '" + mount.point + "'");
    }

    const std::vector<MountEntry>& mounts()
    {
        if (!mounts_)
            mounts_ = mount_table(system_);
        return *mounts_;
    }

    bool is_source(const Devices& devices, const MountEntry& mount) const
    {
        // btrfs has a number of its own; then the source's name has to do.
        if (mount.device.starts_with("0:"))
            return mount.source.starts_with("/dev/") &&
                   is_device_of(devices, system_.path(mount.source));
        return std::any_of(devices.begin(), devices.end(), [&](dev_t device) {
            return mount.device ==
                   std::to_string(::major(device)) + ':' + std::to_string(::minor(device));
        });
    }

    static bool is_device_of(const Devices& devices, const std::string& path)
    {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode) &&
               devices.contains(status.st_rdev);
    }

    // Filename   Type   Size   Used   Priority
    std::vector<std::string> swap_areas() const
    {
        std::vector<std::string> paths;
        for (const auto& line : lines_of(system_.path("/proc/swaps")))
            if (line.starts_with('/'))
                paths.push_back(unescaped(line.substr(0, line.find_first_of(" \t"))));
        return paths;
    }

    BlockedObject& object_;
    const SystemRoot& system_;
    std::vector<Blocker> found_{};
    std::optional<std::vector<MountEntry>> mounts_{};
};

/** What is at the path; nothing where nothing is. */
std::optional<BlockedObject> object_at(const std::string& path)
{
    struct stat status {};
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    if (!real || ::stat(real.get(), &status) != 0) {
        if (errno == ENOENT)
            return std::nullopt;
        throw system_error(errno, "cannot look at '" + path + "'");
    }
    BlockedObject object{.path = real.get(),
                         .device = status.st_dev,
                         .inode = status.st_ino,
                         .mode = status.st_mode};
    if (S_ISBLK(status.st_mode))
        object.block_devices = {status.st_rdev};
    return object;
}

/** Another file system, volume manager or program that keeps a device to itself, and is in no
 * table: the further devices of a btrfs, an exported device (open(2): O_EXCL without O_CREAT). */
bool is_claimed(const std::string& device)
{
    const UniqueFd fd(
        ::open(device.c_str(), O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    return !fd && errno == EBUSY;
}

} // namespace

Usage usage_of(const std::string& path)
{
    struct ::statx status;
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE, &status) != 0 || !S_ISREG(status.stx_mode) ||
        (status.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return Usage::unknown;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!fd) // somebody else has a lease
        return errno == EWOULDBLOCK ? Usage::in_use : Usage::unknown;
    // Who opens the file now sends us this signal: one that is ignored unless the host wants it,
    // because SIGIO would end the host.
    if (::fcntl(fd.get(), F_SETSIG, SIGURG) != 0)
        return Usage::unknown;
    if (::fcntl(fd.get(), F_SETLEASE, F_WRLCK) != 0)
        return errno == EAGAIN ? Usage::in_use : Usage::unknown;
    ::fcntl(fd.get(), F_SETLEASE, F_UNLCK);
    return grants_truthfully(fd.get()) ? Usage::unused : Usage::unknown;
}

std::vector<Blocker> file_blockers(const std::string& path, const SystemRoot& system)
{
    if (usage_of(path) == Usage::unused)
        return {};
    auto found = search_blockers(path, system);
    // Who looks at a file for an instant only, as refresh() and usage_of() do, stands in no way.
    if (!found.empty() && usage_of(path) == Usage::unused)
        std::erase_if(found, [](const auto& b) { return b.kind == BlockerKind::open; });
    return found;
}

void require_unused(const std::string& path, const SystemRoot& system, BlockerKind allowed)
{
    constexpr useconds_t most = 1000000; // two seconds in all
    for (useconds_t pause = 1000;; pause *= 2) {
        auto found = file_blockers(path, system);
        std::erase_if(found, [&](const auto& blocker) { return has(allowed, blocker.kind); });
        if (found.empty())
            return;
        // A mount or a device does not end by itself.
        const bool stays = std::any_of(found.begin(), found.end(), [](const auto& blocker) {
            return has(BlockerKind::mounted | BlockerKind::holder, blocker.kind);
        });
        if (stays || pause > most)
            throw Error(ErrorCode::busy, "'" + path + "' is in use: " + found.front().message,
                        "end its use first");
        ::usleep(pause);
    }
}

std::vector<Blocker> search_blockers(const std::string& path, const SystemRoot& system)
{
    auto object = object_at(path);
    if (!object)
        return {};
    auto found = KernelSearch(*object, system).run();
    const bool kernel_has_it = std::any_of(found.begin(), found.end(), [](const auto& blocker) {
        return blocker.kind != BlockerKind::mounted;
    });
    auto processes = using_processes(*object, system);
    const bool seen = kernel_has_it || !processes.empty();
    std::move(processes.begin(), processes.end(), std::back_inserter(found));
    if (!seen && S_ISREG(object->mode) && usage_of(path) == Usage::in_use)
        found.push_back({.kind = BlockerKind::open,
                         .message = "something has it open that cannot be seen from here: another "
                                    "user's process, one of another namespace, or the kernel"});
    if (found.empty() && S_ISBLK(object->mode) && is_claimed(path))
        found.push_back({.kind = BlockerKind::holder,
                         .message = "the kernel or a process keeps the device to itself"});
    return found;
}

} // namespace storage::inline v1
