// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mounting.hpp"

#include "blockers.hpp"
#include "command.hpp"
#include "file_io.hpp"
#include "step_parts.hpp"
#include "system_root.hpp"

#include <climits>
#include <cstdlib>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

constexpr std::string_view mounted_note = "mounted ";

std::string device_text(dev_t device)
{
    return std::to_string(major(device)) + ':' + std::to_string(minor(device));
}

std::string real_path(const std::string& path)
{
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           std::free);
    return real ? real.get() : path;
}

/** The file behind a loop device; "" where it is none. */
std::string file_behind(const std::string& device, const SystemRoot& system)
{
    const auto text = read_small_file(
        system.path("/sys/dev/block/" + device + "/loop/backing_file"), PATH_MAX + 1);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

std::string kernel_name(const std::string& device, const SystemRoot& system)
{
    const auto real = real_path(system.path("/sys/dev/block/" + device));
    return real.substr(real.rfind('/') + 1);
}

/** A btrfs is mounted by any of its devices, and the kernel shows it by one. */
bool in_one_btrfs(dev_t one, dev_t other, const SystemRoot& system)
{
    const auto all = system.path("/sys/fs/btrfs");
    const auto has = [&](const std::string& file_system, dev_t device) {
        const auto path = all + '/' + file_system + "/devices/";
        return ::access((path + kernel_name(device_text(device), system)).c_str(), F_OK) == 0;
    };
    bool found = false;
    for_each_name(all, [&](const char* name) { found |= has(name, one) && has(name, other); });
    return found;
}

/** Not a directory of it that is mounted by itself (mount --bind). btrfs mounts subvolumes so. */
bool is_whole(const MountEntry& mount)
{
    return mount.root == "/" || mount.type == "btrfs";
}

std::string other_mount(const MountEntry& mount, const PoolMount& wanted)
{
    return (is_whole(mount) ? "'" + mount.source + "'"
                            : "the directory '" + mount.root + "' of '" + mount.source + "'") +
           " is mounted at '" + wanted.target + "', not '" + wanted.source + "'";
}

Error not_mounted_by_us(const MountEntry& mount, const PoolMount& wanted)
{
    return Error(ErrorCode::busy, other_mount(mount, wanted),
                 "unmount it, or give the pool another target path");
}

PoolMount mount_of(const StepRun& run)
{
    return {.source = run.argument("source"),
            .target = run.argument("target"),
            .type = run.argument("type"),
            .options = run.argument("options")};
}

std::vector<std::string> words(const PoolMount& mount)
{
    std::vector<std::string> list{"mount"};
    if (!mount.options.empty())
        list.insert(list.end(), {"-o", mount.options});
    if (!mount.type.empty())
        list.insert(list.end(), {"-t", mount.type});
    list.insert(list.end(), {"--", mount.source, mount.target});
    return list;
}

Command command_of(std::vector<std::string> words)
{
    Command command{.program = words.front()};
    command.arguments.assign(std::next(words.begin()), words.end());
    return command;
}

/** Ours, and on top. */
std::optional<MountEntry> present(const PoolMount& mount, const SystemRoot& system)
{
    auto found = mount_at(mount.target, system);
    if (found && !is_source_of(*found, mount.source, system))
        found.reset();
    return found;
}

/** Whether ours is there to be taken away. @throws Error busy  it is, but another one lies over it
 */
bool can_be_unmounted(const PoolMount& mount, const SystemRoot& system)
{
    const auto top = mount_at(mount.target, system);
    if (!top || is_source_of(*top, mount.source, system))
        return top.has_value();
    for (const auto& below : mount_table(system))
        if (below.point == top->point && is_source_of(below, mount.source, system))
            throw Error(ErrorCode::busy,
                        "'" + top->source + "' is mounted at '" + mount.target + "', over '" +
                            mount.source + "'",
                        "unmount what lies over it ('umount " + mount.target +
                            "'), then stop the pool again");
    return false;
}

/** umount(8), whose "target is busy" does not say who it is. */
void unmount(const PoolMount& mount, const Host& host, Job* job)
{
    try {
        host.runner.run(command_of({"umount", "--", mount.target}), job);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::command_failed)
            throw;
        if (!present(mount, host.system)) // somebody else was faster
            return;
        auto blockers = search_blockers(mount.target, host.system);
        std::erase_if(blockers, [](const Blocker& b) { return b.kind == BlockerKind::mounted; });
        if (blockers.empty())
            throw;
        throw Error(ErrorCode::busy,
                    "'" + mount.target + "' is in use: " + blockers.front().message +
                        (blockers.size() > 1
                             ? " and " + std::to_string(blockers.size() - 1) + " more"
                             : ""),
                    "end what uses it, then stop the pool again", error.detail());
    }
}

Arguments arguments_of(const PoolMount& mount)
{
    return {{"source", mount.source},
            {"target", mount.target},
            {"type", mount.type},
            {"options", mount.options}};
}

} // namespace

void apply_mount(StepRun& run)
{
    const auto mount = mount_of(run);
    const auto& host = run.host();
    struct stat info {};
    if (::stat(mount.target.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
        throw Error(ErrorCode::not_found, "there is no directory '" + mount.target + "'",
                    "build the pool first");
    if (const auto other = mount_at(mount.target, host.system))
        throw not_mounted_by_us(*other, mount);
    run.declare("begun", "yes");
    try {
        host.runner.run(command_of(words(mount)), run.job());
    } catch (const Error& error) {
        if (error.code() != ErrorCode::command_failed || ::geteuid() == 0)
            throw;
        throw Error(ErrorCode::permission_denied,
                    "'" + mount.source + "' cannot be mounted at '" + mount.target + "'",
                    "mounting needs root's rights", error.detail());
    }
    if (!present(mount, host.system))
        throw Error(ErrorCode::command_failed, "mount(8) ended without an error, but '" +
                                                   mount.source + "' is not mounted at '" +
                                                   mount.target + "'");
}

void undo_mount(StepRun& run)
{
    const auto mount = mount_of(run);
    // It was not mounted before, and the pool is locked: whose is it, if not this step's?
    if (!run.evidence("begun").empty() && present(mount, run.host().system))
        unmount(mount, run.host(), nullptr);
}

void apply_unmount(StepRun& run)
{
    const auto mount = mount_of(run);
    if (!can_be_unmounted(mount, run.host().system))
        return;
    run.declare("begun", "yes");
    unmount(mount, run.host(), run.job());
}

bool is_source_of(const MountEntry& mount, const std::string& source, const SystemRoot& system)
{
    struct stat wanted {};
    if (!source.starts_with('/')) // a server's; its root is what was named, a subdirectory too
        return mount.source == source;
    if (!is_whole(mount))
        return false;
    if (::stat(source.c_str(), &wanted) != 0) // the kernel still knows what it was
        return mount.source == source || file_behind(mount.device, system) == source + " (deleted)";
    struct stat shown {};
    // btrfs has device numbers of its own; the source's is the device's everywhere.
    const bool has_node = mount.source.starts_with('/') &&
                          ::stat(mount.source.c_str(), &shown) == 0 && S_ISBLK(shown.st_mode);
    if (S_ISBLK(wanted.st_mode))
        return mount.device == device_text(wanted.st_rdev) ||
               (has_node &&
                (shown.st_rdev == wanted.st_rdev ||
                 (mount.type == "btrfs" && in_one_btrfs(shown.st_rdev, wanted.st_rdev, system))));
    if (S_ISREG(wanted.st_mode))
        return file_behind(has_node ? device_text(shown.st_rdev) : mount.device, system) ==
               real_path(source);
    return mount.source == source;
}

Presence mount_presence(const PoolMount& mount, bool read_only, const SystemRoot& system)
{
    const auto found = mount_at(mount.target, system);
    if (!found)
        return {.reason = "nothing is mounted at '" + mount.target + "'"};
    struct stat info {};
    const bool is_path = mount.source.starts_with('/');
    if (is_path && ::stat(mount.source.c_str(), &info) != 0)
        return {.reason = "'" + mount.source + "' is gone"};
    if (!is_source_of(*found, mount.source, system))
        return {.reason = other_mount(*found, mount)};
    Presence presence{.state = PoolState::running,
                      .identity = !is_path                ? "source:" + mount.source
                                  : S_ISBLK(info.st_mode) ? "device:" + device_text(info.st_rdev)
                                                          : "file:" + std::to_string(info.st_dev) +
                                                                ':' + std::to_string(info.st_ino)};
    presence.mount_id = found->id;
    if (!read_only && (found->has_option("ro") || found->is_read_only)) {
        presence.state = PoolState::degraded;
        presence.reason = "the file system at '" + mount.target + "' is mounted read-only";
    }
    return presence;
}

std::string mount_options(std::string_view of_type, const std::vector<std::string>& defined)
{
    std::string options = "nodev,nosuid,noexec";
    if (!of_type.empty())
        options += ',' + std::string(of_type);
    for (const auto& option : defined)
        options += ',' + option;
    return options;
}

std::string list_mount(const PoolMount& mount, std::function<void(Arguments&)> prepare,
                       const SystemRoot& system, Change& change)
{
    if (const auto found = mount_at(mount.target, system)) {
        if (is_source_of(*found, mount.source, system))
            return {};
        throw not_mounted_by_us(*found, mount);
    }
    auto step = make_step("mount", arguments_of(mount),
                          {.call = words(mount),
                           .summary = "mount '" + mount.source + "' at '" + mount.target + "'",
                           .undo = "unmount it"});
    step.prepare = std::move(prepare);
    change.add(std::move(step));
    return std::string(mounted_note) +
           (mount.source.starts_with('/') ? real_path(mount.source) : mount.source);
}

void list_unmount(const std::string& target, const std::string& note, const SystemRoot& system,
                  Change& change)
{
    if (!note.starts_with(mounted_note))
        return;
    const PoolMount mount{.source = note.substr(mounted_note.size()), .target = target};
    if (!can_be_unmounted(mount, system))
        return;
    change.add(make_step("unmount", arguments_of(mount),
                         {.call = {"umount", "--", mount.target},
                          .summary = "unmount '" + mount.target + "'",
                          .undo = "mount it again by starting the pool"}));
}

} // namespace storage::inline v1
