// SPDX-License-Identifier: LGPL-2.1-or-later
#include "owner_access.hpp"

#include "owner_rights.hpp"
#include "step_parts.hpp"

#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

bool is_refused(int error)
{
    return (error == EACCES || error == EPERM) && ::geteuid() == 0;
}

bool worked(int result)
{
    return result >= 0;
}
bool worked(const UniqueFd& fd)
{
    return static_cast<bool>(fd);
}

} // namespace

std::optional<UserId> Actor::other_user() const
{
    auto owner = owner_;
    auto group = group_;
    struct stat info {};
    if (!directory_.empty() && ::stat(directory_.c_str(), &info) == 0) {
        owner = owner.value_or(info.st_uid);
        group = group.value_or(info.st_gid);
    }
    if (!owner || *owner == 0)
        return std::nullopt;
    return UserId{.uid = *owner, .gid = group.value_or(*owner)};
}

template <typename Plain, typename Other>
auto Actor::attempt(Plain&& plain, Other&& other) const
{
    auto result = plain();
    if (worked(result) || !is_refused(errno))
        return result;
    const int error = errno;
    const auto user = other_user();
    if (user)
        result = other(*user);
    else
        errno = error;
    if (user && worked(result))
        changed_as_ = user->uid;
    else if (errno == EPERM) // also where this process may not become that user
        errno = error;
    return result;
}

UniqueFd Actor::open(int directory, const std::string& name, int flags, mode_t mode) const
{
    return attempt(
        [&] {
            UniqueFd fd;
            do
                fd = UniqueFd(::openat(directory, name.c_str(), flags | O_CLOEXEC, mode));
            while (!fd && errno == EINTR);
            if (fd && mode != 0)
                restore_owner_rights(fd.get(), mode);
            return fd;
        },
        [&](UserId user) { return open_as(user, directory, name, flags, mode); });
}

int Actor::mkdir(int directory, const std::string& name, mode_t mode) const
{
    return attempt([&] { return make_directory_at(directory, name, mode); },
                   [&](UserId user) { return mkdir_as(user, directory, name, mode); });
}

int Actor::link(int from_directory, const std::string& from, int directory, const std::string& name,
                int flags) const
{
    return attempt(
        [&] { return ::linkat(from_directory, from.c_str(), directory, name.c_str(), flags); },
        [&](UserId user) { return link_as(user, from_directory, from, directory, name, flags); });
}

int Actor::rename(int from_directory, const std::string& from, int directory,
                  const std::string& name, unsigned flags) const
{
    return attempt(
        [&] { return ::renameat2(from_directory, from.c_str(), directory, name.c_str(), flags); },
        [&](UserId user) { return rename_as(user, from_directory, from, directory, name, flags); });
}

int Actor::unlink(int directory, const std::string& name, int flags) const
{
    return attempt([&] { return ::unlinkat(directory, name.c_str(), flags); },
                   [&](UserId user) { return unlink_as(user, directory, name, flags); });
}

int Actor::fchmod(int fd, mode_t mode) const
{
    return attempt([&] { return ::fchmod(fd, mode); },
                   [&](UserId user) { return chmod_as(user, fd, mode); });
}

UniqueFd open_as_owner(int os_error, int directory, const std::string& name, int flags)
{
    struct stat info {};
    if (!is_refused(os_error) || ::fstatat(directory, name.c_str(), &info, 0) != 0 ||
        info.st_uid == 0)
        return {};
    return open_as({.uid = info.st_uid, .gid = info.st_gid}, directory, name, flags);
}

UniqueFd open_existing(const std::string& path, int flags)
{
    try {
        return open_file(path, flags);
    } catch (const Error& error) {
        if (auto fd = open_as_owner(error.os_error(), AT_FDCWD, path, flags))
            return fd;
        throw;
    }
}

namespace {

bool is_link(int fd, struct stat& status, const std::string& path)
{
    if (::fstat(fd, &status) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    return S_ISLNK(status.st_mode);
}

std::string read_link(int fd, const std::string& path)
{
    std::string target(PATH_MAX, '\0');
    const auto length = ::readlinkat(fd, "", target.data(), target.size());
    if (length < 0)
        throw system_error(errno, "cannot read the link '" + path + "'");
    target.resize(static_cast<std::size_t>(length));
    return target.starts_with('/') ? target : parent_directory(path) + '/' + target;
}

/** The owner of the directory, where files in it are handled as that user and the link is that
 * user's. */
std::optional<UserId> who_handles(const struct stat& link, const std::string& path)
{
    const auto directory = parent_directory(path);
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0 || status.st_uid != link.st_uid ||
        ::access(directory.c_str(), W_OK) == 0 || !is_refused(errno))
        return std::nullopt;
    return UserId{.uid = status.st_uid, .gid = status.st_gid};
}

} // namespace

UniqueFd open_content(const std::string& path, int flags)
{
    constexpr int most_links = 40; // as the kernel's
    auto place = path;
    for (int links = 0; links <= most_links; ++links) {
        try {
            return open_existing(place, flags | O_NOFOLLOW);
        } catch (const Error& error) {
            if (error.os_error() != ELOOP)
                throw;
        }
        const auto link = open_existing(place, O_PATH | O_NOFOLLOW);
        struct stat status {};
        if (!is_link(link.get(), status, place))
            continue; // exchanged just now
        if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
            if (const auto user = who_handles(status, place))
                if (auto fd = open_as(*user, AT_FDCWD, place, flags))
                    return fd;
            throw Error(ErrorCode::permission_denied,
                        "'" + place + "' is a symbolic link of user " +
                            std::to_string(status.st_uid) + ", who can make it lead to any file",
                        "have root or the user of this process make the link");
        }
        place = read_link(link.get(), place);
    }
    throw system_error(ELOOP, "cannot open '" + path + "'");
}

UniqueFd open_content_in(const std::string& place, const std::string& path, int flags)
{
    if (place.empty())
        return open_content(path, flags);
    const auto parent = parent_directory(path);
    const auto directory = open_existing(parent, O_PATH | O_DIRECTORY);
    require_place(directory.get(), place, parent);
    const auto name = path.substr(path.rfind('/') + 1);
    UniqueFd fd(::openat(directory.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    if (fd)
        return fd;
    const auto here = "/proc/self/fd/" + std::to_string(directory.get());
    try {
        return open_content(here + '/' + name, flags);
    } catch (const Error& error) {
        std::string message = error.what();
        if (const auto at = message.find(here + '/'); at != message.npos)
            message.replace(at, here.size(), parent);
        throw Error(error.code(), message, error.remedy(), error.detail(), error.os_error());
    }
}

} // namespace storage::inline v1
