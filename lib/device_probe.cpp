// SPDX-License-Identifier: LGPL-2.1-or-later
#include "device_probe.hpp"

#include "file_io.hpp"
#include "step_parts.hpp"
#include "system_root.hpp"

#include <algorithm>
#include <array>
#include <blkid/blkid.h>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

using Probe = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

std::string value_of(blkid_probe probe, const char* name)
{
    const char* text = nullptr;
    if (blkid_probe_lookup_value(probe, name, &text, nullptr) != 0 || !text)
        return {};
    return text;
}

Error cannot_probe(const std::string& path)
{
    return system_error(errno ? errno : EIO, "cannot find out what is on '" + path + "'");
}

/** Looks for file systems, volumes and partition tables. */
Probe new_probe(int fd, const std::string& path)
{
    Probe probe(blkid_new_probe(), blkid_free_probe);
    errno = 0;
    if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0)
        throw cannot_probe(path);
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_enable_partitions(probe.get(), 1);
    return probe;
}

struct Tag {
    const char* name;
    const char* directory;
};
constexpr Tag tags[] = {{"UUID", "/dev/disk/by-uuid/"},
                        {"LABEL", "/dev/disk/by-label/"},
                        {"PARTUUID", "/dev/disk/by-partuuid/"},
                        {"PARTLABEL", "/dev/disk/by-partlabel/"}};

/** The node that a link of udev's leads to; "" where there is none. */
std::string device_by_link(const Tag& tag, const std::string& value, const SystemRoot& system)
{
    std::array<char, PATH_MAX> encoded{};
    if (value.empty() || blkid_encode_string(value.c_str(), encoded.data(), encoded.size()) != 0)
        return {};
    const auto link = system.path(std::string(tag.directory) + encoded.data());
    const std::unique_ptr<char, decltype(&std::free)> target(::realpath(link.c_str(), nullptr),
                                                             std::free);
    return target ? target.get() : std::string();
}

/** By looking at every device that the kernel knows. */
std::string device_by_search(const Tag& tag, const std::string& value)
{
    blkid_cache cache = nullptr;
    if (blkid_get_cache(&cache, "/dev/null") != 0) // no file of results
        throw Error(ErrorCode::no_memory, "out of memory");
    const std::unique_ptr<blkid_struct_cache, decltype(&blkid_put_cache)> owner(cache,
                                                                                blkid_put_cache);
    blkid_probe_all(cache);
    const std::unique_ptr<char, decltype(&std::free)> name(
        blkid_get_devname(cache, tag.name, value.c_str()), std::free);
    return name ? name.get() : std::string();
}

} // namespace

std::string DeviceContent::text() const
{
    if (is_ambiguous)
        return "the traces of more than one file system, volume or partition table";
    return is_partition_table ? "a partition table of type '" + type + "'"
                              : "a file system or volume of type '" + type + "'";
}

DeviceContent probe_device(int fd, const std::string& path)
{
    const auto probe = new_probe(fd, path);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL |
                                                       BLKID_SUBLKS_UUID | BLKID_SUBLKS_USAGE);
    // A GPT can be brought back where the dos table is lost that marks it, so there is something.
    blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_FORCE_GPT);
    errno = 0;
    // 0: found, 1: nothing, -2: more than one, -1: error (libblkid 2.38)
    const int result = blkid_do_safeprobe(probe.get());
    if (result == -1)
        throw cannot_probe(path);
    DeviceContent content{.is_ambiguous = result == -2};
    content.type = value_of(probe.get(), "TYPE");
    if (content.type.empty()) {
        content.type = value_of(probe.get(), "PTTYPE");
        content.uuid = value_of(probe.get(), "PTUUID");
        content.is_partition_table = !content.type.empty();
    } else {
        content.label = value_of(probe.get(), "LABEL");
        content.uuid = value_of(probe.get(), "UUID");
        content.is_file_system = value_of(probe.get(), "USAGE") == "filesystem";
    }
    return content;
}

DeviceContent probe_device(const std::string& path)
{
    const auto fd = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return probe_device(fd.get(), path);
}

std::string device_content_identity(const std::string& path)
{
    const auto fd = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    std::string identity;
    if (S_ISBLK(status.st_mode)) {
        identity = "device:" + std::to_string(major(status.st_rdev)) + ':' +
                   std::to_string(minor(status.st_rdev));
        std::uint64_t sequence = 0; // of a disk that takes another one's number; since Linux 5.15
        if (::ioctl(fd.get(), BLKGETDISKSEQ, &sequence) == 0)
            identity += ':' + std::to_string(sequence);
    } else {
        identity = std::string(file_identity_prefix) + identity_of(fd.get(), path);
    }
    const auto content = probe_device(fd.get(), path);
    return identity + ':' + (content.is_ambiguous ? "ambiguous" : content.type) + ':' +
           content.uuid;
}

void require_writable_device(int fd, const std::string& path)
{
    int is_read_only = 0;
    if (::ioctl(fd, BLKROGET, &is_read_only) == 0 && is_read_only)
        throw Error(ErrorCode::permission_denied, "device '" + path + "' is read-only",
                    "make it writable (blockdev --setrw; a logical volume: lvchange --permission "
                    "rw), or choose another one");
}

void require_empty_device(const std::string& path)
{
    const auto content = probe_device(path);
    if (!content.empty())
        throw Error(ErrorCode::already_exists, "'" + path + "' has " + content.text() + " on it",
                    "choose another device, or build with overwrite to lose what is there");
}

void clear_signatures(const std::string& path, const std::function<bool(std::string_view)>& is_kept)
{
    const auto fd = open_file(path, O_RDWR | O_EXCL | O_NONBLOCK | O_NOCTTY);
    const auto probe = new_probe(fd.get(), path);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC);
    blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
    while (blkid_do_probe(probe.get()) == 0) {
        auto type = value_of(probe.get(), "TYPE");
        if (type.empty())
            type = value_of(probe.get(), "PTTYPE");
        if (is_kept && is_kept(type))
            continue;
        errno = 0;
        if (blkid_do_wipe(probe.get(), 0) != 0)
            throw system_error(errno ? errno : EIO, "cannot clear what is on '" + path + "'");
    }
    if (::fsync(fd.get()) != 0)
        throw flush_error(errno, path);
    ::ioctl(fd.get(), BLKRRPART); // where it was a disk's table, the kernel forgets the partitions
}

std::string linked_device(const std::string& source, const SystemRoot& system)
{
    const auto equals = std::min(source.find('='), source.size());
    for (const auto& tag : tags)
        if (source.substr(0, equals) == tag.name)
            return device_by_link(tag, source.substr(std::min(equals + 1, source.size())), system);
    return {};
}

std::string find_device(const std::string& source, const SystemRoot& system)
{
    if (source.starts_with('/'))
        return source;
    const auto equals = source.find('=');
    for (const auto& tag : tags)
        if (source.substr(0, equals) == tag.name && equals + 1 < source.size()) {
            auto device = linked_device(source, system);
            if (device.empty())
                device = device_by_search(tag, source.substr(equals + 1));
            if (device.empty())
                throw Error(ErrorCode::not_found, "no device has " + source,
                            "connect it, or correct the definition's source device");
            return device;
        }
    throw Error(ErrorCode::invalid_argument,
                "source device '" + source + "' is neither an absolute path nor a tag",
                "use a path, or UUID=, LABEL=, PARTUUID= or PARTLABEL=");
}

} // namespace storage::inline v1
