// SPDX-License-Identifier: LGPL-2.1-or-later
// Transfers: bytes from a caller into a volume's file, and from there to a caller.
#pragma once

#include "block_content.hpp"

#include <basin/volume.hpp>

#include <exception>
#include <sys/types.h>

namespace storage::inline v1 {

/**
 * Writes what a source gives into a file or block device from options.offset on.
 * @param room  bytes that may be written from there on; UINT64_MAX: as many as come
 * @param blank  it reads as zeros there, which need not be written
 * @return bytes received, holes included
 * @throws Error invalid_argument  more comes than there is room for; the source is that file
 *               io  the source ended early, or gave other bytes than expected
 */
std::uint64_t receive_content(const UploadSource& source, const TransferOptions& options, int fd,
                              const std::string& path, std::uint64_t room, Job* job,
                              bool blank = false);

/**
 * Reading and writing one file would make of it what is neither the old content nor the new.
 * @param what  "uploading to 'x'"
 * @throws Error invalid_argument
 */
void require_other_file(int fd, int other, const std::string& what);

/**
 * Refuses what receive_content() refuses and a dry run can know: a source that is a file has its
 * length. @param room  as of receive_content()
 */
void check_upload(const std::string& path, const UploadSource& source,
                  const TransferOptions& options, std::uint64_t room);

/** Where the source of an upload stands; -1 where it is no regular file. */
off_t place_of(const UploadSource& source);
/** Not where nobody waits for this call any more: the caller may use the file for something else by
 * then. */
void put_source(const UploadSource& source, off_t place) noexcept;

/** If the call fails that an upload is given to, a source that is a file stands where it stood. */
class SourceGuard {
public:
    explicit SourceGuard(const UploadSource& source) : source_(source), place_(place_of(source)) {}
    ~SourceGuard()
    {
        if (std::uncaught_exceptions() > exceptions_)
            put_source(source_, place_);
    }
    SourceGuard(const SourceGuard&) = delete;
    SourceGuard& operator=(const SourceGuard&) = delete;

private:
    const UploadSource& source_;
    off_t place_;
    int exceptions_{std::uncaught_exceptions()};
};

/** Gives a caller [options.offset, options.offset + length) of a file; all of it must be there. In
 * a dry run nothing. @throws Error invalid_argument  the target is that file */
std::uint64_t send_content(int fd, const std::string& path, std::uint64_t length,
                           const DownloadTarget& target, const TransferOptions& options, Job* job);

/** The same for content that has no descriptor. Its end is the end. */
std::uint64_t receive_content(const UploadSource& source, const TransferOptions& options,
                              BlockContent& content, const std::string& path, Job* job);
std::uint64_t send_content(BlockContent& content, const std::string& path, std::uint64_t length,
                           const DownloadTarget& target, const TransferOptions& options, Job* job);

/** Refuses a range that reaches behind a volume's end. @throws Error invalid_argument */
void check_range(const std::string& path, std::uint64_t offset, std::uint64_t length,
                 std::uint64_t end, const char* remedy);

/** Copies all of it into a file or device; holes stay, as far as the target is empty there.
 * @param blank  as of receive_content() */
void copy_block_content(const OpenContent& open, const std::string& source_path, int fd,
                        const std::string& path, bool digest, Job* job, bool blank = false);

/** The SHA-256 of a file's first bytes, or all. */
std::string digest_content(int fd, const std::string& path, std::uint64_t length, Job* job);

} // namespace storage::inline v1
