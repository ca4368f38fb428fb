// SPDX-License-Identifier: LGPL-2.1-or-later
// Downloads: bytes of a volume's content to a caller, a file, a digest.
#include "transfer.hpp"

#include "content_writer.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "signal_guard.hpp"
#include "transfer_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

/** @param length  how many there are to give */
void require_expected(const std::string& path, const TransferOptions& options, std::uint64_t length)
{
    if (options.expected_length && *options.expected_length != length)
        throw Error(ErrorCode::io,
                    "download of '" + path + "': there are " + std::to_string(length) +
                        " bytes to give, expected " + std::to_string(*options.expected_length),
                    "look what the volume is now, and what part of it is asked for");
}

class Sending {
public:
    /** @param content  read instead of the descriptor, unless null */
    Sending(int fd, BlockContent* content, const std::string& path, std::uint64_t length,
            const DownloadTarget& target, const TransferOptions& options, Job* job)
        : fd_(fd), content_(content), path_(path), at_(options.offset),
          end_(options.offset + length), target_(target), sparse_(options.sparse), job_(job),
          digest_(options), what_("downloading '" + path + "'")
    {
    }

    void run()
    {
        std::optional<SignalGuard> no_signal;
        if (!target_.write) {
            require_descriptor(target_.fd, O_WRONLY, what_);
            cached_ = without_direct(target_.fd);
            to_ = cached_ ? cached_.get() : target_.fd;
            no_signal.emplace(SIGXFSZ); // RLIMIT_FSIZE; EFBIG says it
        }
        enter_phase(job_, "downloading", end_ - at_);
        open_without_waiting();
        if (to_ >= 0 && is_regular_file(to_)) {
            const int flags = ::fcntl(to_, F_GETFL);
            const auto start = ::lseek(to_, 0, SEEK_CUR);
            if (flags >= 0 && (flags & O_APPEND) == 0 && start >= 0)
                file_.emplace(to_, static_cast<std::uint64_t>(start), target_name, job_);
        }
        while (at_ < end_) {
            const auto data = sparse_ ? find_data() : Extent{at_, end_};
            if (data.start > at_)
                give_hole(data.start - at_);
            give_data(data.end);
        }
        // A hole that was found behind a new end is none.
        if (!content_ && content_length(fd_, path_) < end_)
            throw became_shorter();
        if (file_) {
            file_->finish();
            ::lseek(to_, static_cast<off_t>(file_->position()), SEEK_SET);
        }
        if (cached_) { // by the caller's own descriptor no data would be in the page cache
            if (::fdatasync(to_) != 0)
                throw flush_error(errno, target_name);
            ::lseek(target_.fd, ::lseek(to_, 0, SEEK_CUR), SEEK_SET);
        }
        digest_.finish("download of '" + path_ + "'", job_);
    }

private:
    /** A terminal's driver waits until it took all, a pipe until there is room for all. Opened anew
     * they take what they can, and the caller's own descriptor stays as it is. */
    void open_without_waiting()
    {
        struct stat info {};
        if (to_ >= 0 && ::fstat(to_, &info) == 0 && (S_ISFIFO(info.st_mode) || ::isatty(to_)))
            ready_only_ = UniqueFd(::open(("/proc/self/fd/" + std::to_string(to_)).c_str(),
                                          O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    }

    Error became_shorter() const
    {
        return Error(ErrorCode::invalid_state, "'" + path_ + "' became shorter while it was read",
                     "read it when nobody changes its size");
    }

    void count(std::uint64_t n)
    {
        at_ += n;
        advance(job_, n);
        check(job_, what_);
    }

    Extent find_data()
    {
        return content_ ? content_->next_data(at_, end_) : next_data(fd_, at_, end_, path_);
    }

    Bytes read(std::uint64_t end)
    {
        const auto want =
            static_cast<std::size_t>(std::min<std::uint64_t>(transfer_buffer_size, end - at_));
        if (content_)
            return content_->read(at_, want);
        buffer_.resize(transfer_buffer_size);
        for (;;) {
            const auto n = ::pread(fd_, buffer_.data(), want, static_cast<off_t>(at_));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                throw system_error(errno, "cannot read '" + path_ + "' at " + std::to_string(at_));
            if (n == 0)
                throw became_shorter();
            return Bytes(buffer_).first(static_cast<std::size_t>(n));
        }
    }

    void give_hole(std::uint64_t length)
    {
        const bool at_once = !digest_.wanted() && (file_ || target_.write);
        for (; !at_once && length > hole_piece; length -= hole_piece)
            give_zeros(hole_piece);
        give_zeros(length);
    }

    void give_zeros(std::uint64_t length)
    {
        digest_.update_zeros(length);
        if (file_) {
            file_->write_zeros(length);
        } else if (target_.write) {
            target_.write({}, length);
        } else { // a pipe has no holes
            static constexpr std::array<std::byte, 65536> zeros{};
            for (auto left = length; left > 0;) {
                const auto size = std::min<std::uint64_t>(left, zeros.size());
                write_stream(Bytes(zeros).first(static_cast<std::size_t>(size)));
                left -= size;
            }
        }
        count(length);
    }

    void give_data(std::uint64_t end)
    {
        while (file_ && !content_ && !digest_.wanted() && at_ < end) {
            const auto n = copy_in_kernel(fd_, at_, to_, file_->position(), end - at_);
            if (n == 0)
                break;
            file_->advance_to(file_->position() + n);
            count(n);
        }
        while (at_ < end) {
            const auto data = read(end);
            digest_.update(data);
            if (file_)
                sparse_ ? file_->write_sparse(data) : file_->write(data);
            else if (target_.write)
                target_.write(data, 0);
            else
                write_stream(data);
            count(data.size());
        }
    }

    void write_stream(Bytes data)
    {
        const SignalGuard no_signal(SIGPIPE); // a reader that went away is an error of the call
        const int fd = ready_only_ ? ready_only_.get() : to_;
        while (!data.empty()) {
            wait_until_ready(fd, POLLOUT, job_, what_);
            auto n = ready_only_
                         ? ::write(fd, data.data(), data.size())
                         : ::send(fd, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            // A pipe that is ready takes at least PIPE_BUF bytes; more could block for ever.
            if (n < 0 && errno == ENOTSOCK)
                n = ::write(fd, data.data(), std::min<std::size_t>(data.size(), PIPE_BUF));
            if (n < 0 && (errno == EINTR || would_block(errno)))
                continue;
            if (n < 0)
                throw system_error(errno, what_ + ": cannot write to the target");
            data = data.subspan(static_cast<std::size_t>(n));
        }
    }

    inline static const std::string target_name = "the target of the download";
    int fd_;
    BlockContent* content_;
    const std::string& path_;
    std::uint64_t at_;
    std::uint64_t end_;
    const DownloadTarget& target_;
    bool sparse_;
    Job* job_;
    DigestCheck digest_;
    std::string what_;
    std::optional<FileWriter> file_{};
    UniqueFd cached_{};
    int to_{-1}; ///< the target's descriptor, or another one of its file
    UniqueFd ready_only_{};
    std::vector<std::byte> buffer_{};
};

} // namespace

std::uint64_t send_content(int fd, const std::string& path, std::uint64_t length,
                           const DownloadTarget& target, const TransferOptions& options, Job* job)
{
    if (!target.write)
        require_other_file(fd, target.fd, "downloading '" + path + "'");
    require_expected(path, options, length);
    if (is_dry_run(job))
        return length;
    Sending(fd, nullptr, path, length, target, options, job).run();
    return length;
}

std::uint64_t send_content(BlockContent& content, const std::string& path, std::uint64_t length,
                           const DownloadTarget& target, const TransferOptions& options, Job* job)
{
    require_expected(path, options, length);
    Sending(-1, &content, path, length, target, options, job).run();
    return length;
}

void copy_block_content(const OpenContent& open, const std::string& source_path, int fd,
                        const std::string& path, bool digest, Job* job, bool blank)
{
    const auto content = open();
    FileWriter writer(fd, 0, path, job, blank);
    const DownloadTarget target([&](Bytes data, std::uint64_t hole) {
        writer.write_sparse(data);
        writer.write_zeros(hole);
    });
    send_content(*content, source_path, content->length(), target,
                 {.sparse = true, .digest = digest}, job);
    writer.finish();
}

std::string digest_content(int fd, const std::string& path, std::uint64_t length, Job* job)
{
    Sha256 digest;
    const DownloadTarget target([&](Bytes data, std::uint64_t) { digest.update(data); });
    send_content(fd, path, length, target, {}, job);
    return digest.hex();
}

} // namespace storage::inline v1
