// SPDX-License-Identifier: LGPL-2.1-or-later
#include "secret_directory.hpp"

#include "file_io.hpp"
#include "names.hpp"

#include <basin/error.hpp>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

std::string_view directory_of(SecretUsage usage)
{
    switch (usage) {
    case SecretUsage::volume: return "volume";
    case SecretUsage::ceph: return "ceph";
    case SecretUsage::iscsi: return "iscsi";
    }
    return "";
}

/** Where in the directory the secret would be; "" where the reference names none. */
std::string place_of(const SecretRequest& request)
{
    if (!request.reference.uuid.empty())
        return canonical_uuid(request.reference.uuid).value_or("");
    const auto name = secret_file_name(request.reference.usage);
    return name.empty() ? "" : "usage/" + std::string(directory_of(request.usage)) + '/' + name;
}

/** Opens below a directory; symbolic links are followed as long as they stay there (openat2(2)). */
UniqueFd open_below(int directory, const std::string& name, std::uint64_t flags)
{
    open_how how{};
    how.flags = flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return UniqueFd(
        static_cast<int>(::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how)));
}

struct stat status_of(int fd, const std::string& path)
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        throw system_error(errno, "cannot look at " + shown(path));
    return status;
}

void check_owner(const struct stat& status, const std::string& path)
{
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        throw Error(ErrorCode::permission_denied,
                    shown(path) + ": belongs to user " + std::to_string(status.st_uid) +
                        ", who could change the secret",
                    "chown it to user " + std::to_string(::geteuid()) + ", or remove it");
}

void check_directory(int fd, const std::string& path)
{
    const auto status = status_of(fd, path);
    check_owner(status, path);
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        throw Error(ErrorCode::permission_denied, shown(path) + ": others may write it",
                    "chmod go-w " + shown(path));
}

void check_file(const struct stat& status, const std::string& path)
{
    if (!S_ISREG(status.st_mode))
        throw Error(ErrorCode::invalid_argument, shown(path) + ": is not a file");
    check_owner(status, path);
    if (status.st_mode & (S_IRWXG | S_IRWXO))
        throw Error(ErrorCode::permission_denied, shown(path) + ": a secret that others may use",
                    "chmod 600 " + shown(path));
    if (status.st_size == 0 || static_cast<std::uint64_t>(status.st_size) > secret_size_limit)
        throw Error(ErrorCode::invalid_argument,
                    shown(path) + ": " + std::to_string(status.st_size) +
                        " bytes are not the size of a secret",
                    "give 1 to " + std::to_string(secret_size_limit) + " bytes");
}

/** A buffer that leaves nothing behind. */
class Buffer {
public:
    explicit Buffer(std::size_t size) : bytes_(size) {}
    ~Buffer() { ::explicit_bzero(bytes_.data(), bytes_.size()); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    Secret read_all(int fd, const std::string& path)
    {
        std::size_t length = 0;
        while (length != bytes_.size()) {
            const auto n = ::read(fd, bytes_.data() + length, bytes_.size() - length);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                throw system_error(errno, "cannot read " + shown(path));
            if (n == 0)
                break;
            length += static_cast<std::size_t>(n);
        }
        return Secret(std::string_view(bytes_.data(), length));
    }

private:
    std::vector<char> bytes_;
};

/** Opens a part of the directory of secrets; none when it is not there. */
UniqueFd open_part(int top, const std::string& root, const std::string& part, std::uint64_t flags)
{
    auto fd = open_below(top, part, flags);
    if (fd || errno == ENOENT)
        return fd;
    const auto path = root + '/' + part;
    if (errno == EXDEV)
        throw Error(ErrorCode::permission_denied,
                    shown(path) + ": leads out of the directory of secrets",
                    "put the secret into " + shown(root), "", EXDEV);
    throw system_error(errno, "cannot open " + shown(path));
}

std::optional<Secret> find_secret(const std::string& root, const SecretRequest& request)
{
    const UniqueFd top(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top)
        throw system_error(errno, "cannot open the directory of secrets " + shown(root));
    check_directory(top.get(), root);
    const auto place = place_of(request);
    if (place.empty())
        return std::nullopt;
    for (auto slash = place.find('/'); slash != place.npos; slash = place.find('/', slash + 1)) {
        const auto part = place.substr(0, slash);
        const auto fd = open_part(top.get(), root, part, O_RDONLY | O_DIRECTORY);
        if (!fd)
            return std::nullopt;
        check_directory(fd.get(), root + '/' + part);
    }
    const auto fd = open_part(top.get(), root, place, O_RDONLY);
    if (!fd)
        return std::nullopt;
    const auto path = root + '/' + place;
    const auto status = status_of(fd.get(), path);
    check_file(status, path);
    return Buffer(static_cast<std::size_t>(status.st_size)).read_all(fd.get(), path);
}

} // namespace

std::string secret_file_name(std::string_view usage)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    std::string result;
    for (const char c : usage) {
        const auto byte = static_cast<unsigned char>(c);
        if (plain.find(c) != plain.npos && !(c == '.' && result.empty()))
            result += c;
        else
            result += {'%', digits[byte >> 4], digits[byte & 15]};
        if (result.size() > file_name_limit)
            return {};
    }
    return result;
}

SecretCallback secret_directory(std::string path)
{
    if (!path.starts_with('/') || path.find('\0') != path.npos)
        throw Error(ErrorCode::invalid_argument,
                    "directory of secrets " + shown(path) + ": path is not absolute");
    return [root = std::move(path)](const SecretRequest& request) {
        return find_secret(root, request);
    };
}

} // namespace storage::inline v1
