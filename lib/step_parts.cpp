// SPDX-License-Identifier: LGPL-2.1-or-later
#include "step_parts.hpp"

#include "backend.hpp"
#include "command.hpp"
#include "device_steps.hpp"
#include "file_attributes.hpp"
#include "file_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fcntl.h>

namespace storage::inline v1 {

Error replaced(const std::string& path)
{
    return Error(ErrorCode::busy, "'" + path + "' was replaced by another file meanwhile",
                 "look at it again, then repeat the call");
}

void require_new_directory(int fd, bool is_private, const std::string& path)
{
    const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const DirectoryStream listing(own >= 0 ? ::fdopendir(own) : nullptr, ::closedir);
    if (!listing) {
        const int error = errno;
        ::close(own);
        throw system_error(error, "cannot look at '" + path + "'");
    }
    errno = 0;
    while (const auto* entry = ::readdir(listing.get()))
        if (const std::string_view name = entry->d_name; name != "." && name != "..")
            throw replaced(path);
    if (errno != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    constexpr mode_t writable = 022;
    struct stat before {};
    struct stat after {};
    if (!is_private || ::fstat(fd, &before) != 0 || (before.st_mode & writable) == 0)
        return;
    // vfat and the like show the mode that they were mounted with, whatever is asked for.
    if (::fchmod(fd, 0700) == 0 && ::fstat(fd, &after) == 0 && (after.st_mode & writable) == 0) {
        [[maybe_unused]] const int restored = ::fchmod(fd, before.st_mode & 07777);
        throw replaced(path);
    }
}

bool is_not_what_was_made(int os_error)
{
    return os_error == ENOTEMPTY || os_error == EEXIST || os_error == ENOTDIR || os_error == ELOOP;
}

std::string place_text(const struct ::statx& status)
{
    std::string text;
    text.reserve(48); // two numbers of 32 bits and one of 64
    const auto write = [&](std::uint64_t number) {
        std::array<char, 20> digits;
        text.append(digits.data(),
                    std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
    };
    write(status.stx_dev_major);
    text += ':';
    write(status.stx_dev_minor);
    text += ':';
    write(status.stx_ino);
    return text;
}

void require_place(int directory, const std::string& wanted, const std::string& path)
{
    if (wanted.empty())
        return;
    struct ::statx status {};
    if (::statx(directory, "", AT_EMPTY_PATH, STATX_INO, &status) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    if (place_text(status) != wanted)
        throw Error(ErrorCode::invalid_state,
                    "'" + path + "' is no longer the directory that the pool was started on",
                    "stop the pool and start it again");
}

std::string identity_text(const struct ::statx& status)
{
    const auto& birth = status.stx_btime;
    return place_text(status) + ':' +
           std::to_string(status.stx_mask & STATX_BTIME
                              ? birth.tv_sec * std::int64_t{1'000'000'000} + birth.tv_nsec
                              : 0);
}

bool is_nothing_there(const std::string& path)
{
    if (errno != EROFS)
        return errno == ENOENT;
    struct stat status {};
    const bool found = ::lstat(path.c_str(), &status) == 0 || errno != ENOENT;
    errno = EROFS;
    return !found;
}

namespace {

/** @return "" where it cannot be looked at: errno says why */
std::string look_for_identity(int directory, const char* path, int flags)
{
    struct ::statx status {};
    if (::statx(directory, path, flags, STATX_INO | STATX_BTIME, &status) != 0)
        return {};
    return identity_text(status);
}

} // namespace

std::string identity_of(int fd, const std::string& path)
{
    auto identity = look_for_identity(fd, "", AT_EMPTY_PATH);
    if (identity.empty())
        throw system_error(errno, "cannot look at '" + path + "'");
    return identity;
}

std::string target_identity(const std::string& path)
{
    auto identity = look_for_identity(AT_FDCWD, path.c_str(), 0);
    if (identity.empty())
        throw system_error(errno, "cannot look at '" + path + "'");
    return identity;
}

bool is_expected(const StepRun& run, const std::string& identity)
{
    const auto& expected = run.argument("expected");
    return expected.empty() || identity == expected;
}

std::string file_identity(const std::string& path)
{
    if (auto identity = look_for_identity(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW);
        !identity.empty())
        return identity;
    // Where root may not look the owner still may change things (owner_access.hpp); the calls that
    // do it find out for themselves what is there.
    if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != EACCES)
        throw system_error(errno, "cannot look at '" + path + "'");
    return {};
}

std::string join(const std::string& directory, const std::string& name)
{
    return directory == "/" ? "/" + name : directory + '/' + name;
}

Arguments attribute_arguments(const Attributes& attributes)
{
    Arguments arguments;
    const auto& permissions = attributes.permissions;
    if (permissions.mode)
        arguments["mode"] = std::to_string(*permissions.mode);
    if (permissions.owner)
        arguments["owner"] = std::to_string(*permissions.owner);
    if (permissions.group)
        arguments["group"] = std::to_string(*permissions.group);
    if (permissions.label)
        arguments["label"] = *permissions.label;
    if (attributes.copy_on_write)
        arguments["cow"] = *attributes.copy_on_write ? "yes" : "no";
    else if (attributes.nocow_if_possible)
        arguments["cow"] = "maybe-no";
    return arguments;
}

std::optional<std::uint32_t> number_argument(const StepRun& run, std::string_view name)
{
    const auto& text = run.argument(name);
    if (text.empty())
        return std::nullopt;
    return static_cast<std::uint32_t>(std::stoul(text));
}

void set_attributes(int fd, const StepRun& run, const std::string& path)
{
    set_owner(fd, number_argument(run, "owner"), number_argument(run, "group"), path);
    if (const auto mode = number_argument(run, "mode"))
        set_mode(fd, *mode, path);
    if (!run.argument("label").empty())
        set_label(fd, run.argument("label"), path);
}

void set_cow_argument(int fd, const StepRun& run, const std::string& path)
{
    const auto& cow = run.argument("cow");
    if (!cow.empty())
        set_copy_on_write(fd, cow == "yes", cow != "maybe-no", path);
}

Step make_step(std::string_view action, Arguments arguments, StepRecord record)
{
    record.kind = action;
    return {.action = find_action(action),
            .arguments = std::move(arguments),
            .record = std::move(record)};
}

namespace {

std::string octal(std::uint32_t mode)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0%o", mode);
    return text.data();
}

} // namespace

std::string describe(const Attributes& attributes)
{
    std::string text;
    const auto& permissions = attributes.permissions;
    if (permissions.mode)
        text += ", mode " + octal(*permissions.mode);
    if (permissions.owner)
        text += ", owner " + std::to_string(*permissions.owner);
    if (permissions.group)
        text += ", group " + std::to_string(*permissions.group);
    if (permissions.label)
        text += ", label " + *permissions.label;
    if (attributes.copy_on_write)
        text += *attributes.copy_on_write ? ", copy-on-write" : ", no copy-on-write";
    return text;
}

std::vector<std::string> attribute_calls(const std::string& path, const Attributes& attributes)
{
    const auto& [mode, owner, group, label] = attributes.permissions;
    const auto id = [](const std::optional<std::uint32_t>& number) {
        return number ? std::to_string(*number) : std::string("-1"); // fchown(2): unchanged
    };
    std::vector<std::vector<std::string>> calls;
    if (attributes.copy_on_write)
        calls.push_back({"ioctl", path, "FS_IOC_SETFLAGS"});
    if (owner || group)
        calls.push_back({"fchown", path, id(owner), id(group)});
    if (mode)
        calls.push_back({"fchmod", path, octal(*mode)});
    if (label)
        calls.push_back({"fsetxattr", path, "security.selinux", *label});
    return calls.empty() ? std::vector<std::string>{"stat", path} : in_turn(calls);
}

const Action* find_action(std::string_view name)
{
    const auto find_in = [&](std::span<const Action> actions) {
        const auto found = std::find_if(actions.begin(), actions.end(),
                                        [&](const Action& a) { return a.name == name; });
        return found == actions.end() ? nullptr : &*found;
    };
    for (const auto actions :
         {file_actions(), volume_actions(), content_actions(), device_actions()})
        if (const auto* action = find_in(actions))
            return action;
    for (const auto* type : backend_table())
        if (const auto* action = find_in(type->actions))
            return action;
    return nullptr;
}

} // namespace storage::inline v1
