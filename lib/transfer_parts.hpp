// SPDX-License-Identifier: LGPL-2.1-or-later
// What transfers in both directions share.
#pragma once

#include "content_writer.hpp"
#include "digest.hpp"
#include "file_io.hpp"
#include "job_impl.hpp"

#include <basin/volume.hpp>

#include <cerrno>
#include <optional>

namespace storage::inline v1 {

inline constexpr std::size_t transfer_buffer_size = std::size_t{1} << 20;
// Of a hole whose zeros are hashed or written: small enough to be cancelled soon.
inline constexpr std::uint64_t hole_piece = std::uint64_t{64} << 20;

bool is_regular_file(int fd);

/**
 * poll(2) would wait for ever for a negative one, and for the wrong end of a pipe.
 * @param access  O_RDONLY or O_WRONLY: what it has to be open for
 * @throws Error invalid_argument  also a socket of messages: of one that is larger than what is
 * read at once, the rest would be lost
 */
void require_descriptor(int fd, int access, const std::string& what);

/**
 * The same file or device through the page cache, for a descriptor with O_DIRECT, which takes only
 * whole blocks, from where a block begins. It stands where that one does.
 * @return nothing where the descriptor has no such flag, or means something else by it, and where
 * this process may not open the file
 */
UniqueFd without_direct(int fd);

/** Waits for a pipe or socket in slices, so that the other end cannot hold the call for ever. */
void wait_until_ready(int fd, short events, Job* job, const std::string& what);

inline bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

/**
 * Copies between two files in the kernel. @return bytes copied; 0: at the end, or not possible
 * here, which the plain way finds out with a name for the error
 */
std::uint64_t copy_in_kernel(int from, std::uint64_t from_at, int to, std::uint64_t to_at,
                             std::uint64_t size);

/** The digest of what passes, if somebody wants it. */
class DigestCheck {
public:
    /** @throws Error invalid_argument  what is expected is no digest */
    explicit DigestCheck(const TransferOptions& options);

    bool wanted() const { return digest_.has_value(); }
    void update(Bytes data)
    {
        if (digest_)
            digest_->update(data);
    }
    void update_zeros(std::uint64_t length)
    {
        if (digest_)
            digest_->update_zeros(length);
    }
    /** @throws Error io  it is another one */
    void finish(const std::string& what, Job* job);

private:
    std::string expected_;
    bool tell_;
    std::optional<Sha256> digest_{};
};

} // namespace storage::inline v1
