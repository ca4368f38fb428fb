// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_io.hpp"

#include "owner_rights.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace storage::inline v1 {

int UniqueFd::above_standard(int fd) noexcept
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    const int above = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    ::close(fd);
    errno = error;
    return above;
}

void UniqueFd::reset(int fd) noexcept
{
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = above_standard(fd);
}

namespace {

ErrorCode code_of(int os_error)
{
    switch (os_error) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return ErrorCode::not_found;
    case EEXIST:
    case ENOTEMPTY: return ErrorCode::already_exists;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::permission_denied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ErrorCode::no_space;
    case EBUSY:
    case ETXTBSY: return ErrorCode::busy;
    case EOPNOTSUPP:
    case ENOSYS: return ErrorCode::not_supported;
    case ETIMEDOUT: return ErrorCode::timed_out;
    case ENOMEM: return ErrorCode::no_memory;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ESTALE: return ErrorCode::connection;
    default: return ErrorCode::io;
    }
}

std::string text_of(int os_error)
{
    std::array<char, 128> buffer{};
    return strerror_r(os_error, buffer.data(), buffer.size()); // GNU variant: thread-safe
}

} // namespace

Error system_error(int os_error, const std::string& what, std::string remedy)
{
    return Error(code_of(os_error), what + ": " + text_of(os_error), std::move(remedy), {},
                 os_error);
}

Error flush_error(int os_error, const std::string& path)
{
    const auto error = system_error(os_error, "cannot flush '" + path + "'");
    // What was open for writing has become read-only: so ext4 tells that its disk failed.
    return os_error == EROFS ? Error(ErrorCode::io, error.what(), "", "", os_error) : error;
}

bool open_again(int os_error, unsigned& attempts)
{
    constexpr unsigned patience = 1000; // a tenth of a second
    if (os_error != EWOULDBLOCK || ++attempts > patience)
        return os_error == EINTR;
    ::usleep(100);
    return true;
}

UniqueFd open_file(const std::string& path, int flags, unsigned mode)
{
    UniqueFd fd;
    unsigned attempts = 0;
    do
        fd = UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    while (!fd && open_again(errno, attempts));
    if (!fd)
        throw system_error(errno, "cannot open '" + path + "'");
    if (mode != 0)
        restore_owner_rights(fd.get(), mode);
    return fd;
}

DirectoryStream open_listing(const std::string& path)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC));
    DirectoryStream listing(fd ? ::fdopendir(fd.get()) : nullptr, ::closedir);
    if (listing)
        fd.release();
    return listing;
}

std::string read_fd(int fd, std::size_t limit, const std::string& name)
{
    std::string content;
    std::array<char, 16384> buffer;
    for (;;) {
        const auto n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "cannot read '" + name + "'");
        if (n == 0)
            return content;
        content.append(buffer.data(), static_cast<std::size_t>(n));
        if (content.size() > limit)
            throw Error(ErrorCode::invalid_argument,
                        "'" + name + "' is larger than " + std::to_string(limit) + " bytes");
    }
}

std::optional<std::string> read_small_file(const std::string& path, std::size_t limit)
{
    // O_NONBLOCK: a FIFO of that name must not block us.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        if (errno == ENOENT)
            return std::nullopt;
        throw system_error(errno, "cannot open '" + path + "'");
    }
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
        throw Error(ErrorCode::invalid_argument, "'" + path + "' is not a regular file");
    return read_fd(fd.get(), limit, path);
}

std::vector<std::byte> read_range(int fd, std::uint64_t offset, std::uint64_t length,
                                  const std::string& name)
{
    std::vector<std::byte> bytes(length);
    std::size_t done = 0;
    while (done < length) {
        const auto n =
            ::pread(fd, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "cannot read '" + name + "'");
        if (n == 0)
            break;
        done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
}

void write_at(int fd, std::uint64_t offset, std::string_view data, const std::string& name)
{
    while (!data.empty()) {
        const auto n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            throw system_error(n < 0 ? errno : EIO,
                               "cannot write '" + name + "' at " + std::to_string(offset));
        offset += static_cast<std::uint64_t>(n);
        data.remove_prefix(static_cast<std::size_t>(n));
    }
}

void write_all(int fd, std::string_view data, const std::string& name)
{
    while (!data.empty()) {
        const auto n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "cannot write '" + name + "'");
        data.remove_prefix(static_cast<std::size_t>(n));
    }
}

namespace {

/** Whether it is there now; flushed, where its parent can be read. */
bool make_directory(const std::string& path, unsigned mode)
{
    if (make_directory_at(AT_FDCWD, path, mode) != 0)
        return errno == EEXIST;
    const auto parent = parent_directory(path);
    if (::access(parent.c_str(), R_OK) == 0)
        sync_directory(parent);
    return true;
}

} // namespace

void make_directories(const std::string& path, unsigned mode)
{
    if (make_directory(path, mode))
        return;
    if (errno == ENOENT && path.find('/', 1) != std::string::npos) {
        make_directories(parent_directory(path), mode);
        if (make_directory(path, mode))
            return;
    }
    throw system_error(errno, "cannot make directory '" + path + "'");
}

void sync_directory(const std::string& path)
{
    const auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
    // Some network and FUSE file systems cannot flush a directory and say EINVAL.
    if (::fsync(fd.get()) != 0 && errno != EINVAL)
        throw system_error(errno, "cannot flush directory '" + path + "'");
}

std::string parent_directory(const std::string& path)
{
    const auto slash = path.rfind('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

void replace_file(const std::string& path, std::string_view content, unsigned mode,
                  Durability durability, const std::function<void(int)>& before_rename)
{
    const auto directory = parent_directory(path);
    // One name for each target, so that what a killed writer left is used up by the next one. Two
    // writers of one file exclude each other by the lock that guards what it says.
    const auto temporary = directory + '/' + temporary_name(std::hash<std::string>{}(path));
    auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
    try {
        write_all(fd.get(), content, temporary);
        if (durability == Durability::durable && ::fsync(fd.get()) != 0)
            throw flush_error(errno, path);
        if (before_rename)
            before_rename(fd.get());
        fd.reset();
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            throw system_error(errno, "cannot replace '" + path + "'");
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    if (durability == Durability::durable)
        sync_directory(directory);
}

std::uint64_t random_bits()
{
    std::uint64_t value{};
    // Up to 256 bytes from the initialised pool cannot be interrupted or short (getrandom(2)).
    if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value))
        throw system_error(errno, "cannot get random bits from the kernel");
    return value;
}

std::string temporary_name()
{
    return temporary_name(random_bits());
}

std::string temporary_name(std::uint64_t number)
{
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(number));
    return std::string(temporary_prefix) + digits.data();
}

} // namespace storage::inline v1
