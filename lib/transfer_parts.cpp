// SPDX-License-Identifier: LGPL-2.1-or-later
#include "transfer_parts.hpp"

#include "calling_thread.hpp"
#include "transfer.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// In the kernel: large enough to cost nothing, small enough to be cancelled soon.
constexpr std::uint64_t kernel_piece = std::uint64_t{16} << 20;

} // namespace

bool is_regular_file(int fd)
{
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

void require_descriptor(int fd, int access, const std::string& what)
{
    const auto which = what + ": descriptor " + std::to_string(fd);
    const int flags = fd < 0 ? -1 : ::fcntl(fd, F_GETFL);
    if (flags < 0)
        throw Error(ErrorCode::invalid_argument, which + " is not open", "open it first");
    const int mode = flags & O_ACCMODE;
    if ((flags & O_PATH) != 0 || (mode != access && mode != O_RDWR)) {
        const std::string use = access == O_RDONLY ? "reading" : "writing";
        throw Error(ErrorCode::invalid_argument, which + " is not open for " + use,
                    "open it for " + use + "; of a pipe, give the other end");
    }
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_STREAM)
        throw Error(ErrorCode::invalid_argument, which + " is a socket that carries messages",
                    "use one of type SOCK_STREAM, or a pipe");
}

UniqueFd without_direct(int fd)
{
    struct stat info {};
    const int flags = fd < 0 ? -1 : ::fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT) == 0 || ::fstat(fd, &info) != 0 ||
        (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)))
        return {};
    constexpr int same = O_ACCMODE | O_APPEND | O_SYNC;
    UniqueFd other(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(),
                          (flags & same) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (other)
        ::lseek(other.get(), ::lseek(fd, 0, SEEK_CUR), SEEK_SET);
    return other;
}

void wait_until_ready(int fd, short events, Job* job, const std::string& what)
{
    for (;;) {
        check(job, what);
        struct pollfd entry {
            fd, events, 0
        };
        const auto n = ::poll(&entry, 1, 100);
        if (n > 0)
            return;
        if (n < 0 && errno != EINTR)
            throw system_error(errno, what);
    }
}

std::uint64_t copy_in_kernel(int from, std::uint64_t from_at, int to, std::uint64_t to_at,
                             std::uint64_t size)
{
    auto source = static_cast<off64_t>(from_at);
    auto target = static_cast<off64_t>(to_at);
    for (;;) {
        const auto n = ::copy_file_range(from, &source, to, &target,
                                         static_cast<std::size_t>(std::min(size, kernel_piece)), 0);
        if (n >= 0)
            return static_cast<std::uint64_t>(n);
        if (errno != EINTR)
            return 0;
    }
}

DigestCheck::DigestCheck(const TransferOptions& options)
    : expected_(options.expected_sha256), tell_(options.digest)
{
    std::transform(expected_.begin(), expected_.end(), expected_.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!expected_.empty() &&
        (expected_.size() != 64 ||
         expected_.find_first_not_of("0123456789abcdef") != std::string::npos))
        throw Error(ErrorCode::invalid_argument,
                    "expected SHA-256 '" + options.expected_sha256 + "' is not 64 hex digits",
                    "give the digest as sha256sum prints it, without the file's name");
    if (tell_ || !expected_.empty())
        digest_.emplace();
}

void DigestCheck::finish(const std::string& what, Job* job)
{
    if (!digest_)
        return;
    const auto found = digest_->hex();
    if (!expected_.empty() && found != expected_)
        throw Error(ErrorCode::io, what + ": SHA-256 is " + found + ", expected " + expected_,
                    "transfer it again");
    if (tell_)
        state_fact(job, "sha256", found);
}

void require_other_file(int fd, int other, const std::string& what)
{
    struct stat info {
    }, others{};
    if (other < 0 || ::fstat(fd, &info) != 0 || ::fstat(other, &others) != 0)
        return;
    const bool same_file =
        S_ISREG(info.st_mode) && info.st_dev == others.st_dev && info.st_ino == others.st_ino;
    const bool same_device =
        S_ISBLK(info.st_mode) && S_ISBLK(others.st_mode) && info.st_rdev == others.st_rdev;
    if (same_file || same_device)
        throw Error(ErrorCode::invalid_argument,
                    what + ": the other file is the volume itself, perhaps by another name",
                    "use another file");
}

off_t place_of(const UploadSource& source)
{
    return !source.read && is_regular_file(source.fd) ? ::lseek(source.fd, 0, SEEK_CUR) : -1;
}

void put_source(const UploadSource& source, off_t place) noexcept
{
    if (place < 0)
        return;
    try {
        on_calling_thread([&] { ::lseek(source.fd, place, SEEK_SET); });
    } catch (const std::exception&) { // nobody waits any more
    }
}

void check_range(const std::string& path, std::uint64_t offset, std::uint64_t length,
                 std::uint64_t end, const char* remedy)
{
    const auto start = "'" + path + "': ";
    const auto behind = " behind the end at " + std::to_string(end) + " bytes";
    if (offset > end)
        throw Error(ErrorCode::invalid_argument,
                    start + "offset " + std::to_string(offset) + " is" + behind,
                    "give an offset up to the end");
    if (length > end - offset)
        throw Error(ErrorCode::invalid_argument,
                    start + std::to_string(length) + " bytes at offset " + std::to_string(offset) +
                        " reach" + behind,
                    remedy);
}

} // namespace storage::inline v1
