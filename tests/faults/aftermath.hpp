// SPDX-License-Identifier: LGPL-2.1-or-later
// What is to be found when a call ended as it should not: nothing half-made, nothing left over.
#pragma once

#include "processes.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

inline constexpr std::uint64_t mib = 1 << 20;

/** Names below a directory that only a change under way may have. */
inline std::vector<std::string> leftovers(const std::string& directory)
{
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
        if (entry.path().filename().string().starts_with(".basin-"))
            found.push_back(entry.path());
    return found;
}

/** Bytes that the files of a directory occupy, those behind their ends included. */
inline std::uint64_t occupied(const std::string& directory)
{
    std::uint64_t sum = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        struct stat info {};
        if (::lstat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
            sum += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
    return sum;
}

inline std::uint64_t free_blocks(const std::string& path)
{
    struct statvfs info {};
    return ::statvfs(path.c_str(), &info) == 0 ? info.f_bfree : 0;
}

/** Of this process. */
inline std::size_t threads()
{
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/** That a volume can be made and deleted, and the pool refreshed. */
inline void check_usable(storage::Pool pool)
{
    auto probe = pool.create_volume(raw_volume("probe", 8192, 8192));
    CHECK(probe.info().allocation >= 8192);
    probe.delete_storage();
    pool.refresh();
}

/** Bytes that do not repeat soon. */
inline std::string noise(std::size_t size, std::uint64_t seed = 1)
{
    std::string text(size, '\0');
    for (auto& c : text) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        c = static_cast<char>(seed >> 56);
    }
    return text;
}

/** The error that call throws; code 0 when it throws none. */
template <typename Call>
storage::Error error_of(Call&& call)
{
    try {
        call();
    } catch (const storage::Error& error) {
        return error;
    }
    return storage::Error(storage::ErrorCode{}, "no error");
}

inline storage::VolumeDef volume_def(const std::string& name, const std::string& format,
                                     std::uint64_t capacity)
{
    auto def = raw_volume(name, capacity);
    def.target.format = format;
    return def;
}

inline bool have(const char* tool)
{
    return std::system((std::string("command -v ") + tool + " >/dev/null 2>&1").c_str()) == 0;
}

/** A descriptor of a file, for reading. */
class OpenFile {
public:
    explicit OpenFile(const std::string& path, std::uint64_t offset = 0)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC))
    {
        if (fd_ < 0) // this call, too, may have been made to fail
            fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        ::lseek(fd_, static_cast<off_t>(offset), SEEK_SET);
    }
    ~OpenFile() { ::close(fd_); }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};
