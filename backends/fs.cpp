// SPDX-License-Identifier: LGPL-2.1-or-later
// Backend "fs": a file system on a block device, mounted; volumes are its files.
#include "backend_options.h"
#include "backends.hpp"
#include "blockers.hpp"
#include "command.hpp"
#include "device_probe.hpp"
#include "directory_backend.hpp"
#include "file_io.hpp"
#include "image_formats.hpp"
#include "mounting.hpp"
#include "source_identity.hpp"
#include "step_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace storage::inline v1 {
namespace {

constexpr std::string_view source_formats[] = {"auto",  "ext2", "ext3",  "ext4", "ufs",  "iso9660",
                                               "udf",   "gfs",  "gfs2",  "vfat", "hfs+", "xfs",
                                               "ocfs2", "vmfs", "btrfs", "f2fs"};
constexpr std::string_view tools[] = {"mount", "umount", "mkfs", "qemu-img"};

/** What a format of the definition is to libblkid, to mount(8) and to its mkfs(8). */
struct FileSystemType {
    std::string_view format{};
    std::string_view probed{};  ///< libblkid's name
    std::string_view mounted{}; ///< the kernel's
    /** The program and its options, up to the device: force, ask nothing, be quiet. */
    std::array<std::string_view, 8> make{};
    bool read_only{}; ///< the kernel only reads it
};

constexpr FileSystemType types[] = {
    {"ext2", "ext2", "ext2", {"mkfs.ext2", "-q", "-F"}},
    {"ext3", "ext3", "ext3", {"mkfs.ext3", "-q", "-F"}},
    {"ext4", "ext4", "ext4", {"mkfs.ext4", "-q", "-F"}},
    {"ufs", "ufs", "ufs", {}, true},
    {"iso9660", "iso9660", "iso9660", {}, true},
    {"udf", "udf", "udf", {"mkfs.udf"}},
    {"gfs", "gfs", "gfs", {}},
    {"gfs2", "gfs2", "gfs2", {"mkfs.gfs2", "-q", "-O", "-p", "lock_nolock", "-j", "1"}},
    {"vfat", "vfat", "vfat", {"mkfs.vfat", "-I"}},
    {"hfs+", "hfsplus", "hfsplus", {"mkfs.hfsplus"}},
    {"xfs", "xfs", "xfs", {"mkfs.xfs", "-q", "-f"}},
    {"ocfs2", "ocfs2", "ocfs2", {"mkfs.ocfs2", "-q", "-x", "-F", "-M", "local", "-N", "1"}},
    {"vmfs", "VMFS", "vmfs", {}, true},
    {"btrfs", "btrfs", "btrfs", {"mkfs.btrfs", "-q", "-f"}},
    {"f2fs", "f2fs", "f2fs", {"mkfs.f2fs", "-q", "-f"}},
};

const FileSystemType* type_of_format(std::string_view format)
{
    const auto found = std::find_if(std::begin(types), std::end(types),
                                    [&](const auto& type) { return type.format == format; });
    return found == std::end(types) ? nullptr : found;
}

std::vector<std::string> make_words(const FileSystemType& type, const std::string& device)
{
    std::vector<std::string> words;
    for (const auto word : type.make)
        if (!word.empty())
            words.emplace_back(word);
    words.push_back(device);
    return words;
}

/** One driver mounts all three, and which it is depends on single features. */
bool is_same(std::string_view probed, std::string_view wanted)
{
    const auto is_ext = [](std::string_view name) {
        return name == "ext2" || name == "ext3" || name == "ext4";
    };
    return probed == wanted || (is_ext(probed) && is_ext(wanted));
}

/** @throws Error not_found, invalid_argument */
struct stat look_at(const std::string& device)
{
    struct stat info {};
    if (::stat(device.c_str(), &info) != 0)
        throw Error(ErrorCode::not_found, "device '" + device + "' does not exist",
                    "connect it, or correct the definition");
    if (!S_ISBLK(info.st_mode) && !S_ISREG(info.st_mode))
        throw Error(ErrorCode::invalid_argument,
                    "'" + device + "' is no block device and no image file",
                    "correct the pool's source device");
    return info;
}

/** Nobody may have a device mounted, or in use in another way, that is formatted; and it must be
 * writable. */
void require_usable(const std::string& device, const SystemRoot& system)
{
    const auto info = look_at(device);
    require_unused(device, system);
    if (!S_ISBLK(info.st_mode))
        return;
    const UniqueFd fd(::open(device.c_str(), O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC));
    if (!fd && errno == EBUSY)
        throw Error(ErrorCode::busy, "device '" + device + "' is in use",
                    "unmount it, or stop what uses it");
    if (!fd)
        throw system_error(errno, "cannot open '" + device + "'");
    require_writable_device(fd.get(), device);
}

void apply_format(StepRun& run)
{
    const auto& device = run.argument("device");
    const auto* type = type_of_format(run.argument("format"));
    if (!type)
        throw Error(ErrorCode::internal, "no format '" + run.argument("format") + "'");
    require_usable(device, run.host().system);
    const bool over_data = run.argument("over_data") == "yes";
    if (!over_data)
        require_empty_device(device);
    const auto words = make_words(*type, device);
    Command command{.program = words.front()};
    command.arguments.assign(std::next(words.begin()), words.end());
    run.host().runner.run(command, run.job());
    // What lies at the end (a part of a RAID, zfs) or before the new superblock (a partition table)
    // mkfs(8) leaves, and then nobody knows what the device is. A dos table before UDF is its own.
    if (over_data)
        clear_signatures(device, [&](std::string_view found) {
            return is_same(found, type->probed) || (type->format == "udf" && found == "dos");
        });
}

constexpr std::array actions{mount_action, unmount_action,
                             Action{"fs_format", apply_format, nullptr, true}};

class FsOrigin final : public DirectoryOrigin {
public:
    FsOrigin(PoolDef def, const Host& host) : def_(std::move(def)), host_(host) {}

    Presence presence() override
    {
        try {
            return mount_presence(mount(), is_read_only(), host_.system);
        } catch (const Error& error) {
            return {.reason = error.what()};
        }
    }

    void build(BuildMode mode, Change& change) override
    {
        list_directory(def_, change);
        if (mode == BuildMode::overwrite || mode == BuildMode::no_overwrite)
            change.add(format_step(mode == BuildMode::overwrite));
    }

    std::string start(Change& change) override
    {
        return list_mount(
            mount(), [this](Arguments& arguments) { choose_type(arguments); }, host_.system,
            change);
    }
    void stop(const std::string& started, Change& change) override
    {
        list_unmount(def_.target.path, started, host_.system, change);
    }
    std::string storage_identity() override { return device_content_identity(device()); }

private:
    const std::string& format() const { return def_.source.format; }

    std::string device() const
    {
        return find_device(def_.source.devices.front().path, host_.system);
    }

    PoolMount mount() const
    {
        const auto* type = type_of_format(format());
        return {.source = device(),
                .target = def_.target.path,
                .type = type ? std::string(type->mounted) : "auto",
                .options = mount_options(options_of(type), def_.mount_options)};
    }

    /** UFS has many kinds, which mount(8) must be told of; NetBSD's and FreeBSD's UFS 1 is the one
     * that the kernel can always read. */
    std::string_view options_of(const FileSystemType* type) const
    {
        const auto names_one = [](const std::string& option) {
            return option.starts_with("ufstype=");
        };
        const auto& defined = def_.mount_options;
        return type && type->format == "ufs" &&
                       std::none_of(defined.begin(), defined.end(), names_one)
                   ? "ro,ufstype=44bsd"
                   : "";
    }

    bool is_read_only() const
    {
        const auto& defined = def_.mount_options;
        const auto* type = type_of_format(format());
        return (type && type->read_only) || format() == "auto" ||
               std::find(defined.begin(), defined.end(), "ro") != defined.end();
    }

    Step format_step(bool over_data) const
    {
        const auto* type = type_of_format(format());
        if (!type || type->make[0].empty())
            throw Error(ErrorCode::not_supported,
                        "pool '" + def_.name + "': a file system of format '" + format() +
                            "' cannot be made here",
                        type ? "make it with the tools of the system that it is for"
                             : "name the format in <source><format type='…'/>");
        const auto& source = def_.source.devices.front().path;
        if (source.starts_with("UUID=") || source.starts_with("LABEL="))
            throw Error(ErrorCode::not_supported,
                        "pool '" + def_.name + "': a new file system would not have " + source +
                            ", by which the pool finds it",
                        "name the source device by its path, PARTUUID= or PARTLABEL=");
        const auto path = device();
        require_usable(path, host_.system);
        if (!over_data)
            require_empty_device(path);
        return make_step(
            "fs_format",
            {{"device", path}, {"format", format()}, {"over_data", over_data ? "yes" : "no"}},
            {.call = make_words(*type, path),
             .summary = "make a file system of type '" + format() + "' on '" + path + "'",
             .destructive = true});
    }

    /** What is really on the device, now that all that was to be built is. */
    void choose_type(Arguments& arguments) const
    {
        const auto& path = arguments["source"];
        look_at(path);
        const auto content = probe_device(path);
        const auto* type = type_of_format(format());
        if (type && is_same(content.type, type->probed))
            return;
        if (content.empty() || content.is_partition_table)
            throw Error(ErrorCode::not_found,
                        "'" + path + "' has " +
                            (content.empty() ? std::string("no file system") : content.text()) +
                            " on it",
                        "build the pool with overwrite to make a file system on it");
        if (type || content.is_ambiguous)
            throw Error(ErrorCode::invalid_argument,
                        "'" + path + "' has " + content.text() + " on it, not '" + format() + "'",
                        "correct the pool's source format, or build the pool with overwrite");
        if (!content.is_file_system)
            throw Error(ErrorCode::invalid_argument,
                        "'" + path + "' has " + content.text() + " on it, which cannot be mounted",
                        "correct the pool's source device, or name a format and build the pool "
                        "with overwrite");
        const auto* found = std::find_if(std::begin(types), std::end(types), [&](const auto& each) {
            return each.probed == content.type;
        });
        arguments["type"] = found == std::end(types) ? content.type : std::string(found->mounted);
        if (const auto of_type = options_of(found == std::end(types) ? nullptr : found);
            !of_type.empty())
            arguments["options"] = mount_options(of_type, def_.mount_options);
    }

    PoolDef def_;
    const Host& host_;
};

std::unique_ptr<Backend> open(const PoolDef& def, const Host& host)
{
    return make_directory_backend(def, host, std::make_unique<FsOrigin>(def, host));
}

std::vector<std::string> source_identities(const PoolDef& def, const SystemRoot& system)
{
    return device_identities(def, system);
}

} // namespace

const BackendType fs_backend{
    .info =
        {
            .type = "fs",
            .summary = "files on a block device with a file system",
            .available = BASIN_BACKEND_FS,
            .unavailable_reason =
                BASIN_BACKEND_FS ? "" : "pool type 'fs' was left out of this build",
            .capabilities = directory_capabilities |
                            Capabilities{Capability::overwrite_pool, Capability::start_pool},
            .source_required = {SourceField::device},
            .source_accepted = {SourceField::device},
            .copy_on_write_option = true,
            .mount_options = true,
            .source_formats = source_formats,
            .volume_formats = image_formats,
            .creatable_formats = creatable_image_formats,
            .tools = tools,
            .libraries = image_libraries,
        },
    .open = BASIN_BACKEND_FS ? open : nullptr,
    .find_sources = nullptr,
    .source_identities = source_identities,
    .actions = actions,
};

} // namespace storage::inline v1
