// SPDX-License-Identifier: LGPL-2.1-or-later
// Descriptors and whole small files: bounded reads, atomic durable replacement, errors with names.
#pragma once

#include <basin/error.hpp>

#include <cstddef>
#include <dirent.h>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace storage::inline v1 {

/**
 * Owns a file descriptor, never one of 0, 1 and 2: where the host was started without them the
 * kernel gives these numbers to what we open, and the host's printf() would write into it. Such a
 * one moves up when it gets here; where it cannot, there is no descriptor and errno says why.
 */
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(above_standard(fd)) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept
    {
        if (this != &other)
            reset(other.release());
        return *this;
    }
    ~UniqueFd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset(int fd = -1) noexcept;
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    static int above_standard(int fd) noexcept;

    int fd_{-1};
};

/** Makes the Error for a failed system call: "<what>: <strerror>", its code by errno. */
Error system_error(int os_error, const std::string& what, std::string remedy = {});
/** For fsync(2) and its kind: what cannot be flushed is lost, whatever the errno. */
Error flush_error(int os_error, const std::string& path);

/** After open(2) failed: whether the same call may succeed now. Waits out a lease such as
 * usage_of() holds for microseconds: with O_NONBLOCK open(2) says EWOULDBLOCK. @param attempts
 * starts at 0 */
bool open_again(int os_error, unsigned& attempts);

/** Opens with O_CLOEXEC; retries as open_again() says. @throws Error naming the path */
UniqueFd open_file(const std::string& path, int flags, unsigned mode = 0);

using DirectoryStream = std::unique_ptr<DIR, int (*)(DIR*)>;
/** opendir(3); null and errno where it fails. */
DirectoryStream open_listing(const std::string& path);

/** Reads a whole file of at most `limit` bytes; nothing when it does not exist. */
std::optional<std::string> read_small_file(const std::string& path, std::size_t limit);
std::string read_fd(int fd, std::size_t limit, const std::string& name);

/** Reads a range of the file, or as much of it as there is. */
std::vector<std::byte> read_range(int fd, std::uint64_t offset, std::uint64_t length,
                                  const std::string& name);
void write_all(int fd, std::string_view data, const std::string& name);
/** Writes all of it at an offset. */
void write_at(int fd, std::uint64_t offset, std::string_view data, const std::string& name);
inline void write_at(int fd, std::uint64_t offset, std::span<const std::byte> data,
                     const std::string& name)
{
    write_at(fd, offset, {reinterpret_cast<const char*>(data.data()), data.size()}, name);
}

/** Makes a directory and its missing parents, durably; existing ones are left as they are. */
void make_directories(const std::string& path, unsigned mode);

/** Flushes a directory's entries to the disk. */
void sync_directory(const std::string& path);

/** Parent of a path without trailing slash; "." when it has none. */
std::string parent_directory(const std::string& path);

enum class Durability : bool { volatile_file, durable };

/**
 * Replaces path by a file with this content: written beside it under a temporary name, renamed
 * over it. Durable: file and directory are flushed before it returns.
 * @param before_rename  told the descriptor of the new file while it still has its temporary name
 */
void replace_file(const std::string& path, std::string_view content, unsigned mode,
                  Durability durability, const std::function<void(int)>& before_rename = {});

/** A name for a temporary file, unlikely to exist: ".basin-" and 16 hex digits. */
std::string temporary_name();
std::string temporary_name(std::uint64_t number);
inline constexpr std::string_view temporary_prefix = ".basin-";

/** 64 random bits from the kernel. */
std::uint64_t random_bits();

} // namespace storage::inline v1
