// SPDX-License-Identifier: LGPL-2.1-or-later
// One entry of a directory pool: whether it is a volume, which one, and what its header says.
#pragma once

#include "file_io.hpp"
#include "volume_table.hpp"

#include <memory>
#include <sys/stat.h>

namespace storage::inline v1 {

/** An entry as the *at() calls take it. */
struct VolumeFile {
    int directory;    ///< or AT_FDCWD
    const char* path; ///< relative to it
    bool is_link{};   ///< found to be a symbolic link: what it points to is meant
};

/** Thrown for an entry that is no volume, or none that can be read. */
struct NotUsable {
    DiagnosticReason reason{};
    std::string message{}; ///< what it is, without its name
    int os_error{};
};

/** What of a file system decides how much its answers prove. */
struct FileSystem {
    std::uint64_t device{};
    bool tells_holes{}; ///< a file without blocks is one hole
    bool fine_times{};  ///< a change moves the timestamps within 20 ms by this host's clock
};

/** What is not known is not believed. @param device  that the path is on */
FileSystem file_system_of(const std::string& path, std::uint64_t device) noexcept;

/** How often files were opened or not: tests prove with it that nothing is read in vain. */
struct ReadCounts {
    std::uint64_t opened{};
    std::uint64_t holes{};  ///< known to be raw without a look inside
    std::uint64_t reused{}; ///< not changed since the last time
};

/** What an entry turned out to be. */
struct Examined {
    VolumeFacts facts{};
    bool reused{};                             ///< everything but the allocation is as it was
    std::unique_ptr<const ImageInfo> header{}; ///< null where facts say everything
};

/**
 * Finds out what a file is; follows a symbolic link, and sets file.is_link where it is one.
 * @param status  is filled in: STATX_BASIC_STATS and those in extra_mask
 * @throws NotUsable, Error
 */
void stat_volume(VolumeFile& file, struct ::statx& status, unsigned extra_mask = 0);

/** What the system alone says; capacity as for raw. */
VolumeFacts facts_of(const struct ::statx& status);

/** Whether a file is still what it was, so that its header need not be read again. */
bool is_unchanged(const VolumeFacts& now, const VolumeFacts& before) noexcept;

/**
 * Completes what stat_volume() found by what is inside the file.
 * @param previous  what was known of a volume of this name, or null
 * @throws NotUsable  the entry's own fault
 *         Error  the process' or the system's, such as no free descriptor
 */
Examined examine_volume(const VolumeFile& file, const struct ::statx& status,
                        const FileSystem& file_system, const VolumeFacts* previous,
                        ReadCounts& counts);

/** Whether a finding means that the image cannot be trusted as it is. */
bool is_damage(const ImageFinding& finding) noexcept;

/** Opens a volume for reading, with nothing left to chance by what it may have become meanwhile. */
UniqueFd open_volume(const VolumeFile& file);

/** The file of a ploop directory that holds the data. */
std::string ploop_image(const char* path);

/** inspect_image(), whose errors then name the file. */
ImageInfo inspect_file(int fd, const std::string& path);

} // namespace storage::inline v1
