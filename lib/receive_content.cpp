// SPDX-License-Identifier: LGPL-2.1-or-later
// Uploads: bytes from a caller into a volume's content.
#include "transfer.hpp"

#include "content_writer.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "transfer_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace storage::inline v1 {

namespace {

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
        cached_ = without_direct(source.fd);
        from_ = cached_ ? cached_.get() : source.fd;
    }
    ~Receiving()
    {
        // A call that failed can be made again: of a file nothing is taken but what is kept.
        if (seekable_)
            put_source(source_,
                       start_ + static_cast<off_t>(done_ || options_.resumable ? received_ : 0));
        else if (cached_)
            put_source(source_, ::lseek(from_, 0, SEEK_CUR));
    }
    Receiving(const Receiving&) = delete;
    Receiving& operator=(const Receiving&) = delete;

    std::uint64_t run()
    {
        if (!source_.read && fd_ >= 0)
            require_other_file(fd_, from_, what_);
        start_ = place_of(source_);
        seekable_ = start_ >= 0;
        const auto total = expected_total();
        // What is to be read of a file must be there to the last.
        const auto size = static_cast<std::uint64_t>(size_of_source());
        const auto end =
            total < size ? std::min(size, static_cast<std::uint64_t>(start_) + total) : size;
        enter_phase(job_, "uploading", total);
        try {
            if (source_.read)
                from_callback();
            else if (seekable_ && !digest_.wanted())
                from_file();
            else
                from_descriptor();
        } catch (...) {
            keep();
            throw;
        }
        if (static_cast<std::uint64_t>(size_of_source()) < end)
            throw became_shorter();
        writer_.finish();
        require_expected(path_, options_, received_);
        digest_.finish("upload to '" + path_ + "'", job_);
        done_ = true;
        return received_;
    }

private:
    /** Of a file that others may write to; 0 of what has no size. */
    off_t size_of_source() const
    {
        struct stat info {};
        return seekable_ && ::fstat(from_, &info) == 0 ? info.st_size : 0;
    }

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

    void put(Bytes data)
    {
        if (data.size() > left())
            throw too_much(path_, room_);
        digest_.update(data);
        if (options_.sparse)
            writer_.write_sparse(data);
        else
            writer_.write(data);
    }

    void take(Bytes data)
    {
        put(data);
        count(data.size());
    }

    void take_hole(std::uint64_t length)
    {
        if (length > left())
            throw too_much(path_, room_);
        for (; digest_.wanted() && length > hole_piece; length -= hole_piece)
            take_zeros(hole_piece);
        take_zeros(length);
    }

    void take_zeros(std::uint64_t length)
    {
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

    /** What came before the source failed or the call was ended. The next one goes on behind it. */
    void keep()
    {
        if (!options_.resumable)
            return;
        try {
            const auto size = std::min<std::uint64_t>(waiting_, left());
            if (size > 0)
                writer_.write(Bytes(buffer_).first(static_cast<std::size_t>(size)));
            writer_.finish();
            received_ += size;
        } catch (const Error&) { // what ended the call is what is told
        }
        if (fd_ >= 0) { // of a piece that was written in part, the source gives all again
            [[maybe_unused]] const int cut =
                ::ftruncate(fd_, static_cast<off_t>(options_.offset + received_));
        }
    }

    /** Ends with the length that was asked for, or with the source; then more is an error. */
    bool complete() const { return options_.length && received_ == options_.length; }

    void from_callback()
    {
        std::vector<std::byte> buffer(transfer_buffer_size);
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
                                std::to_string(want),
                            "let it give as many as fit");
            if (n == 0 && hole == 0)
                return;
            if (n > 0)
                take(Bytes(buffer).first(n));
            if (hole > 0) // it cannot know how much of it is still wanted
                take_hole(options_.length ? std::min(hole, left()) : hole);
        }
    }

    /** A file stays where it stands meanwhile: the caller may leave this call, and use it. */
    ssize_t read_more(std::byte* to, std::size_t most) const
    {
        return seekable_
                   ? ::pread(from_, to, most, start_ + static_cast<off_t>(received_ + waiting_))
                   : ::read(from_, to, most);
    }

    void from_descriptor()
    {
        // A pipe may have packets: of one that does not fit the rest is lost.
        buffer_.resize(transfer_buffer_size + PIPE_BUF);
        for (bool more = true; (more || waiting_ > 0) && !complete();) {
            const auto most = static_cast<std::size_t>(
                options_.length ? std::min<std::uint64_t>(buffer_.size(), left()) : buffer_.size());
            const auto piece = std::min(transfer_buffer_size, most);
            while (more && waiting_ < piece) {
                if (!seekable_)
                    wait_until_ready(from_, POLLIN, job_, what_);
                const auto n = read_more(buffer_.data() + waiting_, most - waiting_);
                if (n < 0 && (errno == EINTR || would_block(errno)))
                    continue;
                if (n < 0)
                    throw system_error(errno, what_ + ": cannot read the source",
                                       "give a file, device, pipe or socket that can be read");
                more = n > 0;
                waiting_ += static_cast<std::size_t>(n);
            }
            const auto size = std::min(waiting_, piece);
            const auto rest = std::exchange(waiting_, 0) - size; // lost if the piece is
            put(Bytes(buffer_).first(size));
            std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(size), rest, buffer_.begin());
            waiting_ = rest;
            count(size);
        }
    }

    Extent source_data(std::uint64_t at, std::uint64_t end) const
    {
        const auto found = next_data(from_, at, end, "the source of the upload");
        ::lseek(from_, start_, SEEK_SET); // as read_more()
        return found;
    }

    /** Both are files: the kernel copies, and knows where the source has data. */
    void from_file()
    {
        const auto length = ::lseek(from_, 0, SEEK_END);
        ::lseek(from_, start_, SEEK_SET);
        if (length <= 0) // of /proc, which tells no length, or a wrong one
            return from_descriptor();
        auto at = static_cast<std::uint64_t>(start_);
        auto end = std::max(at, static_cast<std::uint64_t>(length));
        if (options_.length)
            end = std::min(end, at + options_.length);
        else if (end - at > room_)
            throw too_much(path_, room_);
        while (at < end) {
            const auto data = options_.sparse ? source_data(at, end) : Extent{at, end};
            if (data.start > at)
                take_hole(data.start - at);
            at = data.start;
            while (at < data.end) {
                if (fd_ < 0) {
                    at += read_source(at, data.end);
                    continue;
                }
                const auto n = copy_in_kernel(from_, at, fd_, writer_.position(), data.end - at);
                if (n == 0) { // no file system for that, or the end came too soon
                    at += read_source(at, data.end);
                    continue;
                }
                at += n;
                writer_.advance_to(writer_.position() + n);
                count(n);
            }
        }
    }

    Error became_shorter() const
    {
        return Error(ErrorCode::io, what_ + ": the source became shorter", "transfer it again");
    }

    /** Takes a piece of [at, end) of a source that is a file. */
    std::uint64_t read_source(std::uint64_t at, std::uint64_t end)
    {
        buffer_.resize(transfer_buffer_size);
        const auto want =
            static_cast<std::size_t>(std::min<std::uint64_t>(transfer_buffer_size, end - at));
        for (;;) {
            const auto n = ::pread(from_, buffer_.data(), want, static_cast<off_t>(at));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                throw system_error(errno, what_ + ": cannot read the source",
                                   "give a file, device, pipe or socket that can be read");
            if (n == 0)
                throw became_shorter();
            take(Bytes(buffer_).first(static_cast<std::size_t>(n)));
            return static_cast<std::uint64_t>(n);
        }
    }

    const UploadSource& source_;
    UniqueFd cached_{};
    int from_{}; ///< the source's descriptor, or another one of its file
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
    off_t start_{}; ///< where a source that is a file stood; else negative
    bool done_{};
    std::vector<std::byte> buffer_{};
    std::size_t waiting_{}; ///< of the buffer: read, and not yet written
};

} // namespace

void check_upload(const std::string& path, const UploadSource& source,
                  const TransferOptions& options, std::uint64_t room)
{
    const DigestCheck digest(options); // that it is one
    if (!source.read)
        require_descriptor(source.fd, O_RDONLY, "uploading to '" + path + "'");
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

std::uint64_t receive_content(const UploadSource& source, const TransferOptions& options, int fd,
                              const std::string& path, std::uint64_t room, Job* job, bool blank)
{
    FileWriter writer(fd, options.offset, path, job, blank);
    return Receiving(source, options, writer, fd, path, room, job).run();
}

std::uint64_t receive_content(const UploadSource& source, const TransferOptions& options,
                              BlockContent& content, const std::string& path, Job* job)
{
    BlockWriter writer(content, options.offset);
    const auto room = content.length() - std::min(content.length(), options.offset);
    return Receiving(source, options, writer, -1, path, room, job).run();
}

} // namespace storage::inline v1
