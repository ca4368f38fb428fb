// SPDX-License-Identifier: LGPL-2.1-or-later
// The data and the blocks between the holes of a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace storage::inline v1 {

/** [start, end) */
struct Extent {
    std::uint64_t start{};
    std::uint64_t end{};
    bool operator==(const Extent&) const = default;
};

/** The length of a file or block device. @throws Error io */
std::uint64_t content_length(int fd, const std::string& path);

/** The first run of data at or behind `start`, no longer than up to `end`; start == end: none.
 * Where the file system does not know holes, all is data. Moves the descriptor's offset. */
Extent next_data(int fd, std::uint64_t start, std::uint64_t end, const std::string& path);

/** All of them. At most `limit`, the last of which then reaches the end. */
std::vector<Extent> data_extents(int fd, const std::string& path, std::size_t limit = 65536);

/** Where a file has blocks, also those that were allocated and never written, which may hold what
 * was there before and read as zeros. Where the file system does not say, data_extents(). */
std::vector<Extent> block_extents(int fd, const std::string& path, std::size_t limit = 65536);

/** Whether all bytes are zero; as fast as memory. */
bool is_zero(const void* data, std::size_t size) noexcept;

} // namespace storage::inline v1
