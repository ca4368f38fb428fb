// SPDX-License-Identifier: LGPL-2.1-or-later
#include "transfer.hpp"

#include "content_writer.hpp"
#include "digest.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "job_impl.hpp"
#include "signal_guard.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

constexpr std::size_t buffer_size = std::size_t{1} << 20;
// In the kernel: large enough to cost nothing, small enough to be cancelled soon.
constexpr std::uint64_t kernel_piece = std::uint64_t{16} << 20;

bool is_regular(int fd)
{
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

/** poll(2) would wait for ever for a negative one. */
void require_descriptor(int fd, const std::string& what)
{
    if (fd < 0 || ::fcntl(fd, F_GETFD) < 0)
        throw Error(ErrorCode::invalid_argument,
                    what + ": descriptor " + std::to_string(fd) + " is not open", "open it first");
}

/** Waits for a pipe or socket in slices, so that the other end cannot hold the call for ever. */
void wait_until_ready(int fd, short events, Job* job, const std::string& what)
{
    for (;;) {
        check(job, what);
        struct pollfd entry {
            fd, events, 0
        };
        const auto n = ::poll(&entry, 1, 100);
        if (n > 0)
            return;
        if (n < 0 && errno != EINTR)
            throw system_error(errno, what);
    }
}

bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

/** The digest of what passes, if somebody wants it. */
class DigestCheck {
public:
    explicit DigestCheck(const TransferOptions& options)
        : expected_(options.expected_sha256), tell_(options.digest)
    {
        std::transform(expected_.begin(), expected_.end(), expected_.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (!expected_.empty() &&
            (expected_.size() != 64 ||
             expected_.find_first_not_of("0123456789abcdef") != std::string::npos))
            throw Error(ErrorCode::invalid_argument,
                        "expected SHA-256 '" + options.expected_sha256 + "' is not 64 hex digits");
        if (tell_ || !expected_.empty())
            digest_.emplace();
    }

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
    void finish(const std::string& what, Job* job)
    {
        if (!digest_)
            return;
        const auto found = digest_->hex();
        if (!expected_.empty() && found != expected_)
            throw Error(ErrorCode::io, what + ": SHA-256 is " + found + ", expected " + expected_,
                        "transfer it again");
        if (tell_)
            state_fact(job, "sha256", found);
    }

private:
    std::string expected_;
    bool tell_;
    std::optional<Sha256> digest_{};
};

// ---- into a volume -----------------------------------------------------------------------------

/**
 * Copies between two files in the kernel. @return bytes copied; 0: at the end, or not possible
 * here, which the plain way finds out with a name for the error
 */
std::uint64_t copy_in_kernel(int from, std::uint64_t from_at, int to, std::uint64_t to_at,
                             std::uint64_t size)
{
    auto source = static_cast<off64_t>(from_at);
    auto target = static_cast<off64_t>(to_at);
    for (;;) {
        const auto n = ::copy_file_range(from, &source, to, &target,
                                         static_cast<std::size_t>(std::min(size, kernel_piece)), 0);
        if (n >= 0)
            return static_cast<std::uint64_t>(n);
        if (errno != EINTR)
            return 0;
    }
}

std::string bytes(std::uint64_t n)
{
    return std::to_string(n) + " bytes";
}

Error does_not_fit(const std::string& path, const TransferOptions& options, std::uint64_t length,
                   std::uint64_t room)
{
    return Error(ErrorCode::invalid_argument,
                 "'" + path + "': " + bytes(length) + " at offset " +
                     std::to_string(options.offset) + " do not fit, there is room for " +
                     std::to_string(room),
                 "make the volume larger first");
}

Error too_much(const std::string& path, std::uint64_t room)
{
    return Error(ErrorCode::invalid_argument,
                 "upload to '" + path + "': the source gives more than the " + bytes(room) +
                     " that there is room for",
                 "make the volume larger first, or give the length");
}

/** @param received  all that the source gave */
void require_expected(const std::string& path, const TransferOptions& options,
                      std::uint64_t received)
{
    const auto expected =
        options.length ? std::optional<std::uint64_t>(options.length) : options.expected_length;
    if (expected && received < *expected)
        throw Error(ErrorCode::io,
                    "upload to '" + path + "': the source ended after " + std::to_string(received) +
                        " of " + bytes(*expected),
                    "transfer it again");
    if (options.expected_length && received != *options.expected_length)
        throw Error(ErrorCode::io,
                    "upload to '" + path + "': the source gave " + bytes(received) + ", expected " +
                        std::to_string(*options.expected_length),
                    "transfer it again");
}

/** How much a file has from where it stands; nothing where only reading it tells, as in /proc. */
std::optional<std::uint64_t> length_of(const UploadSource& source)
{
    struct stat info {};
    if (source.read || ::fstat(source.fd, &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_size == 0)
        return std::nullopt;
    const auto at = ::lseek(source.fd, 0, SEEK_CUR);
    return static_cast<std::uint64_t>(std::max<off_t>(0, info.st_size - std::max<off_t>(at, 0)));
}

class Receiving {
public:
    /** @param fd  of the file that the writer writes; -1 where it is none */
    Receiving(const UploadSource& source, const TransferOptions& options, ContentWriter& writer,
              int fd, const std::string& path, std::uint64_t room, Job* job)
        : source_(source), options_(options), fd_(fd), path_(path), job_(job), digest_(options),
          writer_(writer), what_("uploading to '" + path + "'")
    {
        check_upload(path, source, options, room);
        room_ = options.length ? options.length : room;
    }

    std::uint64_t run()
    {
        if (!source_.read && fd_ >= 0)
            require_other_file(fd_, source_.fd, what_);
        seekable_ = source_.fd >= 0 && is_regular(source_.fd);
        const auto total = expected_total();
        // What is to be read of a file must be there to the last.
        const auto size = static_cast<std::uint64_t>(size_of_source());
        const auto start = static_cast<std::uint64_t>(seekable_ ? start_of_source() : 0);
        const auto end = total < size ? std::min(size, start + total) : size;
        enter_phase(job_, "uploading", total);
        if (source_.read)
            from_callback();
        else if (seekable_ && !digest_.wanted())
            from_file();
        else
            from_descriptor();
        if (static_cast<std::uint64_t>(size_of_source()) < end)
            throw became_shorter();
        writer_.finish();
        require_expected(path_, options_, received_);
        digest_.finish("upload to '" + path_ + "'", job_);
        return received_;
    }

private:
    /** Of a file that others may write to; 0 of what has no size. */
    off_t size_of_source() const
    {
        struct stat info {};
        return seekable_ && ::fstat(source_.fd, &info) == 0 ? info.st_size : 0;
    }
    off_t start_of_source() const { return std::max<off_t>(0, ::lseek(source_.fd, 0, SEEK_CUR)); }

    std::uint64_t expected_total() const
    {
        if (options_.length)
            return options_.length;
        if (options_.expected_length)
            return *options_.expected_length;
        return length_of(source_).value_or(0);
    }

    /** Bytes that may still come; one more shows that it is too much. */
    std::uint64_t left() const { return room_ - received_; }

    void count(std::uint64_t n)
    {
        received_ += n;
        advance(job_, n);
        check(job_, what_);
    }

    void take(Bytes data)
    {
        if (data.size() > left())
            throw too_much(path_, room_);
        digest_.update(data);
        if (options_.sparse)
            writer_.write_sparse(data);
        else
            writer_.write(data);
        count(data.size());
    }

    void take_hole(std::uint64_t length)
    {
        if (length > left())
            throw too_much(path_, room_);
        digest_.update_zeros(length);
        if (options_.sparse) {
            writer_.write_zeros(length);
            return count(length);
        }
        static constexpr std::array<std::byte, 65536> zeros{};
        while (length > 0) {
            const auto size = std::min<std::uint64_t>(length, zeros.size());
            writer_.write(Bytes(zeros).first(static_cast<std::size_t>(size)));
            count(size);
            length -= size;
        }
    }

    /** Ends with the length that was asked for, or with the source; then more is an error. */
    bool complete() const { return options_.length && received_ == options_.length; }

    void from_callback()
    {
        std::vector<std::byte> buffer(buffer_size);
        while (!complete()) {
            std::uint64_t hole = 0;
            const auto want =
                options_.length ? std::min<std::uint64_t>(buffer.size(), left()) : buffer.size();
            const auto n =
                source_.read(std::span(buffer).first(static_cast<std::size_t>(want)), hole);
            if (n > want)
                throw Error(ErrorCode::invalid_argument,
                            "upload to '" + path_ + "': the callback says that it gave " +
                                std::to_string(n) + " bytes into a buffer of " +
                                std::to_string(want));
            if (n == 0 && hole == 0)
                return;
            if (n > 0)
                take(Bytes(buffer).first(n));
            if (hole > 0)
                take_hole(hole);
        }
    }

    void from_descriptor()
    {
        std::vector<std::byte> buffer(buffer_size);
        for (bool more = true; more && !complete();) {
            const auto want = static_cast<std::size_t>(
                options_.length ? std::min<std::uint64_t>(buffer.size(), left()) : buffer.size());
            std::size_t have = 0;
            while (have < want) {
                if (!seekable_)
                    wait_until_ready(source_.fd, POLLIN, job_, what_);
                const auto n = ::read(source_.fd, buffer.data() + have, want - have);
                if (n < 0 && (errno == EINTR || would_block(errno)))
                    continue;
                if (n < 0)
                    throw system_error(errno, what_ + ": cannot read the source");
                if (n == 0) {
                    more = false;
                    break;
                }
                have += static_cast<std::size_t>(n);
            }
            take(Bytes(buffer).first(have));
        }
    }

    /** Both are files: the kernel copies, and knows where the source has data. */
    void from_file()
    {
        const auto start = ::lseek(source_.fd, 0, SEEK_CUR);
        if (start < 0)
            return from_descriptor();
        const auto length = ::lseek(source_.fd, 0, SEEK_END);
        if (length <= 0) { // of /proc, which tells no length, or a wrong one
            if (::lseek(source_.fd, start, SEEK_SET) < 0)
                throw system_error(errno, what_ + ": cannot read the source");
            return from_descriptor();
        }
        auto at = static_cast<std::uint64_t>(start);
        auto end = std::max(at, static_cast<std::uint64_t>(length));
        if (options_.length)
            end = std::min(end, at + options_.length);
        else if (end - at > room_)
            throw too_much(path_, room_);
        while (at < end) {
            const auto data = options_.sparse
                                  ? next_data(source_.fd, at, end, "the source of the upload")
                                  : Extent{at, end};
            if (data.start > at)
                take_hole(data.start - at);
            at = data.start;
            while (at < data.end) {
                if (fd_ < 0) {
                    at += read_source(at, data.end);
                    continue;
                }
                const auto n =
                    copy_in_kernel(source_.fd, at, fd_, writer_.position(), data.end - at);
                if (n == 0) { // no file system for that, or the end came too soon
                    at += read_source(at, data.end);
                    continue;
                }
                at += n;
                writer_.advance_to(writer_.position() + n);
                count(n);
            }
        }
        ::lseek(source_.fd, static_cast<off_t>(at), SEEK_SET);
    }

    Error became_shorter() const
    {
        return Error(ErrorCode::io, what_ + ": the source became shorter", "transfer it again");
    }

    /** Takes a piece of [at, end) of a source that is a file. */
    std::uint64_t read_source(std::uint64_t at, std::uint64_t end)
    {
        buffer_.resize(buffer_size);
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_size, end - at));
        for (;;) {
            const auto n = ::pread(source_.fd, buffer_.data(), want, static_cast<off_t>(at));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                throw system_error(errno, what_ + ": cannot read the source");
            if (n == 0)
                throw became_shorter();
            take(Bytes(buffer_).first(static_cast<std::size_t>(n)));
            return static_cast<std::uint64_t>(n);
        }
    }

    const UploadSource& source_;
    const TransferOptions& options_;
    int fd_;
    const std::string& path_;
    Job* job_;
    DigestCheck digest_;
    ContentWriter& writer_;
    std::string what_;
    std::uint64_t room_{};
    std::uint64_t received_{};
    bool seekable_{};
    std::vector<std::byte> buffer_{};
};

// ---- out of a file ----------------------------------------------------------------------------

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
            require_descriptor(target_.fd, what_);
            no_signal.emplace(SIGXFSZ); // RLIMIT_FSIZE; EFBIG says it
        }
        enter_phase(job_, "downloading", end_ - at_);
        if (target_.fd >= 0 && ::isatty(target_.fd)) // whose driver waits until it took all
            terminal_ = UniqueFd(::open(("/proc/self/fd/" + std::to_string(target_.fd)).c_str(),
                                        O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (target_.fd >= 0 && is_regular(target_.fd)) {
            const int flags = ::fcntl(target_.fd, F_GETFL);
            const auto start = ::lseek(target_.fd, 0, SEEK_CUR);
            if (flags >= 0 && (flags & O_APPEND) == 0 && start >= 0)
                file_.emplace(target_.fd, static_cast<std::uint64_t>(start), target_name);
        }
        while (at_ < end_) {
            const auto data = sparse_ ? find_data() : Extent{at_, end_};
            if (data.start > at_)
                give_hole(data.start - at_);
            give_data(data.end);
        }
        if (file_) {
            file_->finish();
            ::lseek(target_.fd, static_cast<off_t>(file_->position()), SEEK_SET);
        }
        digest_.finish("download of '" + path_ + "'", job_);
    }

private:
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
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_size, end - at_));
        if (content_)
            return content_->read(at_, want);
        buffer_.resize(buffer_size);
        for (;;) {
            const auto n = ::pread(fd_, buffer_.data(), want, static_cast<off_t>(at_));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                throw system_error(errno, "cannot read '" + path_ + "' at " + std::to_string(at_));
            if (n == 0)
                throw Error(ErrorCode::invalid_state,
                            "'" + path_ + "' became shorter while it was read",
                            "read it when nobody changes its size");
            return Bytes(buffer_).first(static_cast<std::size_t>(n));
        }
    }

    void give_hole(std::uint64_t length)
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
            const auto n = copy_in_kernel(fd_, at_, target_.fd, file_->position(), end - at_);
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
        const int fd = terminal_ ? terminal_.get() : target_.fd;
        while (!data.empty()) {
            wait_until_ready(fd, POLLOUT, job_, what_);
            auto n = ::send(fd, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
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
    UniqueFd terminal_{};
    std::vector<std::byte> buffer_{};
};

} // namespace

void check_upload(const std::string& path, const UploadSource& source,
                  const TransferOptions& options, std::uint64_t room)
{
    const DigestCheck digest(options); // that it is one
    if (!source.read)
        require_descriptor(source.fd, "uploading to '" + path + "'");
    if (options.length > room)
        throw does_not_fit(path, options, options.length, room);
    const auto most = options.length ? options.length : room;
    if (options.expected_length && *options.expected_length > most)
        throw does_not_fit(path, options, *options.expected_length, most);
    const auto there = length_of(source);
    if (!there)
        return;
    if (!options.length && *there > room)
        throw too_much(path, room);
    if (!options.resumable) // where what comes is kept, however little it is
        require_expected(path, options, options.length ? std::min(*there, options.length) : *there);
}

void require_other_file(int fd, int other, const std::string& what)
{
    struct stat info {
    }, others{};
    if (other < 0 || ::fstat(fd, &info) != 0 || ::fstat(other, &others) != 0)
        return;
    const bool same_file =
        S_ISREG(info.st_mode) && info.st_dev == others.st_dev && info.st_ino == others.st_ino;
    const bool same_device =
        S_ISBLK(info.st_mode) && S_ISBLK(others.st_mode) && info.st_rdev == others.st_rdev;
    if (same_file || same_device)
        throw Error(ErrorCode::invalid_argument,
                    what + ": the other file is the volume itself, perhaps by another name",
                    "use another file");
}

std::uint64_t receive_content(const UploadSource& source, const TransferOptions& options, int fd,
                              const std::string& path, std::uint64_t room, Job* job)
{
    FileWriter writer(fd, options.offset, path);
    return Receiving(source, options, writer, fd, path, room, job).run();
}

std::uint64_t receive_content(const UploadSource& source, const TransferOptions& options,
                              BlockContent& content, const std::string& path, Job* job)
{
    BlockWriter writer(content, options.offset);
    const auto room = content.length() - std::min(content.length(), options.offset);
    return Receiving(source, options, writer, -1, path, room, job).run();
}

std::uint64_t send_content(int fd, const std::string& path, std::uint64_t length,
                           const DownloadTarget& target, const TransferOptions& options, Job* job)
{
    if (!target.write)
        require_other_file(fd, target.fd, "downloading '" + path + "'");
    if (is_dry_run(job))
        return length;
    Sending(fd, nullptr, path, length, target, options, job).run();
    return length;
}

std::uint64_t send_content(BlockContent& content, const std::string& path, std::uint64_t length,
                           const DownloadTarget& target, const TransferOptions& options, Job* job)
{
    Sending(-1, &content, path, length, target, options, job).run();
    return length;
}

void check_range(const std::string& path, std::uint64_t offset, std::uint64_t length,
                 std::uint64_t end, const char* remedy)
{
    const auto start = "'" + path + "': ";
    const auto behind = " behind the end at " + std::to_string(end) + " bytes";
    if (offset > end)
        throw Error(ErrorCode::invalid_argument,
                    start + "offset " + std::to_string(offset) + " is" + behind);
    if (length > end - offset)
        throw Error(ErrorCode::invalid_argument,
                    start + std::to_string(length) + " bytes at offset " + std::to_string(offset) +
                        " reach" + behind,
                    remedy);
}

void copy_block_content(const OpenContent& open, const std::string& source_path, int fd,
                        const std::string& path, bool digest, Job* job)
{
    const auto content = open();
    FileWriter writer(fd, 0, path);
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
