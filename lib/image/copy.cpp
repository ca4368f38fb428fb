// SPDX-License-Identifier: LGPL-2.1-or-later
#include "copy.hpp"

#include "digest.hpp"
#include "extents.hpp"
#include "file_io.hpp"
#include "job_impl.hpp"
#include "transfer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace storage::inline v1 {

namespace {

using Bytes = std::span<const std::byte>;

class Copy {
public:
    Copy(int source, int target, const CopyOptions& options, const std::string& source_name,
         const std::string& target_name, Job* job)
        : source_(source), target_(target), source_name_(source_name), target_name_(target_name),
          job_(job)
    {
        if (options.digest) {
            digest_.emplace();
            in_kernel_ = false;
            reason_ = "the digest needs every byte";
        }
    }

    /** Copies [start, end), all of it data. */
    void range(std::uint64_t start, std::uint64_t end)
    {
        while (start < end) {
            check(job_, "copying '" + source_name_ + "'");
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(end - start, piece));
            const auto n =
                in_kernel_ ? copy_in_kernel(start, size) : copy_through_memory(start, size);
            start += n;
            advance(job_, n);
        }
    }

    void hole(std::uint64_t length)
    {
        for (; digest_ && length > piece; length -= piece)
            skip(piece);
        skip(length);
    }

    void finish(const std::string& why_no_reflink)
    {
        state_fact(job_, "method", in_kernel_ ? "copy_file_range" : "sparse_copy");
        state_fact(job_, "reason", why_no_reflink + (reason_.empty() ? "" : "; " + reason_));
        if (digest_)
            state_fact(job_, "sha256", digest_->hex());
    }

private:
    // Large enough to cost nothing, small enough to be cancelled soon.
    static constexpr std::uint64_t piece = std::uint64_t{16} << 20;
    static constexpr std::size_t buffer_size = std::size_t{1} << 20;
    static constexpr std::size_t zero_block = 4096;

    void skip(std::uint64_t length)
    {
        check(job_, "copying '" + source_name_ + "'");
        if (digest_)
            digest_->update_zeros(length);
        advance(job_, length);
    }

    /** 0: nothing copied, to be tried again or the plain way. */
    std::uint64_t copy_in_kernel(std::uint64_t at, std::size_t size)
    {
        auto from = static_cast<off64_t>(at);
        auto to = from;
        const auto n = ::copy_file_range(source_, &from, target_, &to, size, 0);
        if (n > 0)
            return static_cast<std::uint64_t>(n);
        if (n < 0 && errno == EINTR)
            return 0;
        // Not for block devices, not between all file systems (copy_file_range(2)); the error of a
        // full disk and the like comes again, with a name, from the plain way.
        reason_ = "copy_file_range: " + std::string(n == 0 ? "no progress" : ::strerror(errno));
        in_kernel_ = false;
        return 0;
    }

    std::uint64_t copy_through_memory(std::uint64_t at, std::size_t size)
    {
        buffer_.resize(buffer_size);
        ssize_t n;
        do
            n = ::pread(source_, buffer_.data(), std::min(size, buffer_.size()),
                        static_cast<off_t>(at));
        while (n < 0 && errno == EINTR);
        if (n < 0)
            throw system_error(errno, "cannot read '" + source_name_ + "'");
        if (n == 0)
            throw Error(ErrorCode::invalid_state,
                        "'" + source_name_ + "' became shorter while it was copied",
                        "copy it when nobody changes its size");
        const auto data = Bytes(buffer_).first(static_cast<std::size_t>(n));
        if (digest_)
            digest_->update(data);
        write_without_zeros(data, at);
        return static_cast<std::uint64_t>(n);
    }

    /** The target is new: where nothing is written it reads as zeros. */
    void write_without_zeros(Bytes data, std::uint64_t at)
    {
        const auto block_is_zero = [&](std::size_t start) {
            return is_zero(data.data() + start, std::min(zero_block, data.size() - start));
        };
        for (std::size_t start = 0; start < data.size();) {
            if (block_is_zero(start)) {
                start += zero_block;
                continue;
            }
            auto end = start;
            while (end < data.size() && !block_is_zero(end))
                end += zero_block;
            end = std::min(end, data.size());
            write_at(target_, at + start, data.subspan(start, end - start), target_name_);
            start = end;
        }
    }

    int source_;
    int target_;
    const std::string& source_name_;
    const std::string& target_name_;
    Job* job_;
    bool in_kernel_{true};
    std::string reason_{};
    std::optional<Sha256> digest_{};
    std::vector<std::byte> buffer_{};
};

/** Whether the file's blocks are overwritten in place (btrfs, chattr +C). */
bool is_nocow(int fd)
{
    int flags = 0;
    return ::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NOCOW_FL) != 0;
}

std::string why_no_reflink(int error, int source, int target)
{
    if (error == EXDEV)
        return "no reflink: source and target are on different file systems";
    if (const bool nocow = is_nocow(target); error == EINVAL && nocow != is_nocow(source))
        return nocow ? "no reflink: only the target is without copy-on-write (nocow)"
                     : "no reflink: only the source is without copy-on-write (nocow)";
    return "no reflink: " + std::string(::strerror(error));
}

} // namespace

bool copy_content(int source, int target, const CopyOptions& options,
                  const std::string& source_name, const std::string& target_name, Job* job)
{
    const auto length = content_length(source, source_name);
    if (::ioctl(target, FICLONE, source) == 0) {
        enter_phase(job, "sharing blocks (reflink)", length);
        advance(job, length);
        state_fact(job, "method", "reflink");
        if (options.digest)
            state_fact(job, "sha256", digest_content(target, target_name, length, job));
        return false;
    }
    const auto reason = why_no_reflink(errno, source, target);
    if (options.reflink_only)
        throw Error(
            ErrorCode::not_supported,
            "'" + target_name + "' cannot share blocks with '" + source_name + "': " + reason,
            "reflinks need one btrfs, or an xfs made with reflink; leave the flag out to copy", {},
            errno);

    if (::ftruncate(target, static_cast<off_t>(length)) != 0)
        throw system_error(errno, "cannot set the size of '" + target_name + "'");
    enter_phase(job, "copying", length);
    Copy copy(source, target, options, source_name, target_name, job);
    for (std::uint64_t at = 0; at < length;) {
        const auto data = next_data(source, at, length, source_name);
        copy.hole(data.start - at);
        copy.range(data.start, data.end);
        at = data.end;
    }
    if (content_length(source, source_name) != length)
        throw Error(ErrorCode::invalid_state,
                    "'" + source_name + "' changed its size while it was copied",
                    "copy it when nobody changes its size");
    copy.finish(reason);
    return length > 0;
}

} // namespace storage::inline v1
