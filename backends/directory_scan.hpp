// SPDX-License-Identifier: LGPL-2.1-or-later
// DirectoryScan: reads all volumes of a directory at once, on two threads where that pays.
#pragma once

#include "directory_listing.hpp"
#include "volume_file.hpp"

#include <basin/job.hpp>

#include <atomic>
#include <exception>

namespace storage::inline v1 {

/** A name as people can read it: bytes of one that is no plain text are escaped as \xNN. */
std::string readable_name(std::string_view name);

/** Whether XML, JSON and a terminal can carry the name as it is. */
bool is_usable_name(std::string_view name) noexcept;

class DirectoryScan {
public:
    /** @param path  the directory's, with a slash at the end */
    DirectoryScan(int fd, const std::string& path, const FileSystem& file_system,
                  const VolumeTable* previous, Job* job)
        : fd_(fd), path_(path), file_system_(file_system), previous_(previous), job_(job)
    {
    }

    /** Adds the entries' volumes and diagnostics to the table. @throws Error */
    void run(std::span<const DirectoryListing::Entry> entries, VolumeTable& table);

    const ReadCounts& counts() const noexcept { return counts_; }

private:
    /** What few entries have. */
    struct More {
        std::vector<std::string> references{};
        std::vector<Diagnostic> diagnostics{};
    };
    struct Result {
        VolumeFacts facts{};
        bool is_volume{};
        std::unique_ptr<More> more{};
    };
    /** Entries that one thread takes at a time. */
    struct Block {
        std::vector<Result> results{};
        std::atomic<bool> done{};
    };
    class Previous;

    void work(ReadCounts& counts, VolumeTable* table);
    void examine_block(std::size_t number, ReadCounts& counts);
    Result examine(const DirectoryListing::Entry& entry, Previous& previous, ReadCounts& counts);
    void take_over(const ImageInfo& header, std::string_view name, Result& result) const;
    void collect(VolumeTable& table);

    static constexpr std::size_t block_length = 64;
    static constexpr std::size_t worth_a_thread = 512; // entries; a thread costs about 50 µs

    int fd_;
    const std::string& path_;
    FileSystem file_system_;
    const VolumeTable* previous_;
    Job* job_;

    std::span<const DirectoryListing::Entry> entries_{};
    std::vector<Block> blocks_{};
    std::atomic<std::size_t> next_block_{};
    std::atomic<bool> failed_{};
    std::size_t collected_{};
    std::vector<Diagnostic> diagnostics_{};
    ReadCounts counts_{};
};

} // namespace storage::inline v1
