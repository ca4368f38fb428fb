// SPDX-License-Identifier: LGPL-2.1-or-later
// DirectoryVolumes: the volumes that are files in a directory, for dir, fs, netfs and vstorage
// pools.
#pragma once

#include "backend.hpp"
#include "volume_file.hpp"

#include <atomic>

namespace storage::inline v1 {

/** The reading half of a Backend whose volumes are the entries of one directory. */
class DirectoryVolumes {
public:
    /** @param path  the pool's target, absolute */
    explicit DirectoryVolumes(std::string path);

    /** running where the directory is there, by whatever mount it is. */
    Presence presence() const;
    /** @throws Error */
    PoolSizes sizes() const;
    /** Of the directory. @throws Error */
    Permissions permissions() const;
    /** Whether the directory is on a file system other than those that the kernel alone serves. */
    bool may_hang() const;

    /**
     * Fills a table that derives paths. An entry that is no volume becomes a diagnostic; only what
     * concerns the directory as a whole, or the process, is an error.
     */
    void refresh(const VolumeTable* previous, VolumeTable& table, Job* job) const;
    /** Sorted. */
    std::vector<std::string> names(Job* job) const;
    VolumeRecord read(std::string_view name, const VolumeRecord* previous) const;
    VolumeDef describe(std::string_view name) const;
    ImageInfo inspect(std::string_view name) const;
    std::string identity(std::string_view name) const;
    /** @throws Error not_found  a name that no volume may have */
    std::string path_of(std::string_view name) const;

    /** Since the object was made. */
    ReadCounts counts() const noexcept;

private:
    friend class DirectoryScan;
    void add(const ReadCounts& counts) const noexcept;

    std::string path_;
    std::string prefix_; ///< path_ with a slash
    mutable std::atomic<std::uint64_t> opened_{};
    mutable std::atomic<std::uint64_t> holes_{};
    mutable std::atomic<std::uint64_t> reused_{};
};

} // namespace storage::inline v1
