// SPDX-License-Identifier: LGPL-2.1-or-later
#include "copy.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace storage::inline v1 {

namespace {

class Copy {
public:
    Copy(int source, int target, const std::string& source_name, const std::string& target_name,
         Job* job)
        : source_(source), target_(target), source_name_(source_name), target_name_(target_name),
          job_(job)
    {
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

private:
    // Large enough to cost nothing, small enough to be cancelled soon.
    static constexpr std::uint64_t piece = std::uint64_t{16} << 20;
    static constexpr std::size_t buffer_size = std::size_t{1} << 20;

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
        for (ssize_t done = 0; done < n;) {
            const auto written =
                ::pwrite(target_, buffer_.data() + done, static_cast<std::size_t>(n - done),
                         static_cast<off_t>(at) + done);
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                throw system_error(errno, "cannot write '" + target_name_ + "'");
            done += written;
        }
        return static_cast<std::uint64_t>(n);
    }

    int source_;
    int target_;
    const std::string& source_name_;
    const std::string& target_name_;
    Job* job_;
    bool in_kernel_{true};
    std::vector<char> buffer_{};
};

std::uint64_t length_of(int fd, const std::string& name)
{
    const auto length = ::lseek(fd, 0, SEEK_END); // also of a block device
    if (length < 0)
        throw system_error(errno, "cannot find the size of '" + name + "'");
    return static_cast<std::uint64_t>(length);
}

} // namespace

std::uint64_t copy_content(int source, int target, CopyMethod method,
                           const std::string& source_name, const std::string& target_name, Job* job)
{
    const auto length = length_of(source, source_name);
    if (::ioctl(target, FICLONE, source) == 0) {
        enter_phase(job, "sharing blocks (reflink)", length);
        advance(job, length);
        return length;
    }
    if (method == CopyMethod::reflink_only)
        throw Error(
            ErrorCode::not_supported,
            "'" + target_name + "' cannot share blocks with '" + source_name + "'",
            "reflinks need one btrfs, or an xfs made with reflink; leave the flag out to copy", {},
            errno);

    if (::ftruncate(target, static_cast<off_t>(length)) != 0)
        throw system_error(errno, "cannot set the size of '" + target_name + "'");
    enter_phase(job, "copying", length);
    Copy copy(source, target, source_name, target_name, job);
    std::uint64_t at = 0;
    while (at < length) {
        const auto data = ::lseek(source, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == ENXIO) { // nothing but a hole up to the end
            advance(job, length - at);
            break;
        }
        const auto begins =
            data < 0 ? at : static_cast<std::uint64_t>(data); // no SEEK_DATA: all is data
        const auto hole = data < 0 ? -1 : ::lseek(source, data, SEEK_HOLE);
        const auto ends = hole < 0 ? length : std::min(length, static_cast<std::uint64_t>(hole));
        advance(job, begins - at);
        copy.range(begins, ends);
        at = ends;
    }
    if (length_of(source, source_name) != length)
        throw Error(ErrorCode::invalid_state,
                    "'" + source_name + "' changed its size while it was copied",
                    "copy it when nobody changes its size");
    return length;
}

} // namespace storage::inline v1
