// SPDX-License-Identifier: LGPL-2.1-or-later
// DirectoryListing: the entries of one directory, read with few system calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace storage::inline v1 {

class DirectoryListing {
public:
    struct Entry {
        std::uint64_t inode;
        const char* name; // lives as long as the listing
        /** DT_REG …; DT_UNKNOWN where the file system does not say. */
        unsigned char type() const noexcept;
    };

    /**
     * Reads an open directory, without ".", ".." and basin's own temporary files.
     * @param path  for error texts
     * @throws Error
     */
    DirectoryListing(int fd, const std::string& path);

    std::span<const Entry> entries() const noexcept { return entries_; }

    /** A disk reads inodes and what they point to fastest in the order of their numbers. */
    void sort_by_inode();

private:
    void take(const char* records, std::size_t length);

    std::vector<std::unique_ptr<char[]>> blocks_{};
    std::vector<Entry> entries_{};
};

} // namespace storage::inline v1
