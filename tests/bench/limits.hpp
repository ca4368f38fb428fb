// SPDX-License-Identifier: LGPL-2.1-or-later
// The least that each piece of work can cost: only the system calls or copies that it needs.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace bench {

/** What a listing has to hand out for one volume. */
struct ListedVolume {
    std::string name{};
    std::string key{};
    std::string path{};
};

/** How scan() reads the entries of a directory. */
struct ScanOptions {
    bool read_header{};   ///< open, pread 4 KiB and close each regular file
    bool skip_holes{};    ///< but not the files without a block
    bool random_access{}; ///< tell the kernel not to read ahead
    unsigned threads{1};
};

/** getdents and statx, and what the options add. Returns the number of regular files. */
std::uint64_t scan(const std::string& dir, const ScanOptions& options);

/** The files of a directory as a listing; opens nothing. */
std::vector<ListedVolume> list_directory(const std::string& dir);

/** An index of the volumes by one of their strings. */
using Index = std::unordered_map<std::string, std::uint64_t>;

/** statx; returns the allocation. */
std::uint64_t volume_info(const std::string& path);

/** statx, and a text with the elements of a volume's XML. */
std::string volume_xml(const ListedVolume& volume);

// The durable and volatile writes behind a pool's life.
void define_pool(const std::string& config_dir, const std::string& name);
void start_pool(const std::string& run_dir, const std::string& name);
void stop_pool(const std::string& run_dir, const std::string& name);
void undefine_pool(const std::string& config_dir, const std::string& name);

} // namespace bench
