// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extents.hpp"

#include "file_io.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <span>
#include <sys/ioctl.h>
#include <unistd.h>

namespace storage::inline v1 {

std::uint64_t content_length(int fd, const std::string& path)
{
    const auto length = ::lseek(fd, 0, SEEK_END); // of a block device, too
    if (length < 0)
        throw system_error(errno, "cannot find the size of '" + path + "'");
    return static_cast<std::uint64_t>(length);
}

Extent next_data(int fd, std::uint64_t start, std::uint64_t end, const std::string& path)
{
    if (start >= end)
        return {end, end};
    const auto data = ::lseek(fd, static_cast<off_t>(start), SEEK_DATA);
    if (data < 0) {
        if (errno == ENXIO) // a hole up to the end
            return {end, end};
        if (errno == EINVAL || errno == EOPNOTSUPP) // a block device, an old file system
            return {start, end};
        throw system_error(errno, "cannot find the data of '" + path + "'");
    }
    const auto begin = std::min(end, static_cast<std::uint64_t>(data));
    if (begin == end)
        return {end, end};
    const auto hole = ::lseek(fd, data, SEEK_HOLE);
    return {begin, hole < 0 ? end : std::min(end, static_cast<std::uint64_t>(hole))};
}

std::vector<Extent> data_extents(int fd, const std::string& path, std::size_t limit)
{
    const auto length = content_length(fd, path);
    std::vector<Extent> extents;
    for (std::uint64_t at = 0; at < length;) {
        auto extent = next_data(fd, at, length, path);
        if (extent.start == extent.end)
            break;
        if (extents.size() + 1 == limit)
            extent.end = length;
        extents.push_back(extent);
        at = extent.end;
    }
    return extents;
}

std::vector<Extent> block_extents(int fd, const std::string& path, std::size_t limit)
{
    const auto length = content_length(fd, path);
    std::vector<Extent> extents;
    constexpr std::size_t most = 256;
    std::vector<std::uint64_t> buffer((sizeof(::fiemap) + most * sizeof(::fiemap_extent)) /
                                      sizeof(std::uint64_t));
    auto* const map = reinterpret_cast<::fiemap*>(buffer.data());
    bool last = false;
    for (std::uint64_t at = 0; at < length && !last;) {
        map->fm_start = at;
        map->fm_length = length - at;
        map->fm_flags = FIEMAP_FLAG_SYNC;
        map->fm_extent_count = most;
        int result;
        do
            result = ::ioctl(fd, FS_IOC_FIEMAP, map);
        while (result != 0 && errno == EINTR);
        if (result != 0)
            return data_extents(fd, path, limit);
        const auto count = std::min<std::size_t>(map->fm_mapped_extents, most);
        last = count == 0;
        for (const auto& found : std::span(&map->fm_extents[0], count)) {
            const auto start = std::max(at, std::uint64_t{found.fe_logical});
            at = std::min(length, std::max<std::uint64_t>(at, found.fe_logical + found.fe_length));
            last = (found.fe_flags & FIEMAP_EXTENT_LAST) != 0;
            if (start >= at)
                continue;
            if (!extents.empty() && (extents.back().end == start || extents.size() == limit))
                extents.back().end = at;
            else
                extents.push_back({start, at});
        }
    }
    return extents;
}

bool is_zero(const void* data, std::size_t size) noexcept
{
    const auto* const bytes = static_cast<const unsigned char*>(data);
    constexpr std::size_t head = 16;
    for (std::size_t i = 0; i < std::min(size, head); ++i)
        if (bytes[i] != 0)
            return false;
    // The rest equals what stands 16 bytes before it.
    return size <= head || std::memcmp(bytes, bytes + head, size - head) == 0;
}

} // namespace storage::inline v1
