// SPDX-License-Identifier: LGPL-2.1-or-later
// Reading from the one descriptor: pread(2) alone, so that the caller's file offset never moves.
#include "image/probe.hpp"

#include <basin/error.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

std::size_t read_fully(int fd, std::uint64_t offset, std::span<std::byte> buffer)
{
    std::size_t done = 0;
    while (done < buffer.size()) {
        const auto got = ::pread(fd, buffer.data() + done, buffer.size() - done,
                                 static_cast<off_t>(offset + done));
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        } else if (got == 0) {
            break;
        } else if (errno != EINTR) {
            const int error = errno;
            throw Error(ErrorCode::io,
                        "image: read at offset " + std::to_string(offset + done) + ": " +
                            std::generic_category().message(error),
                        {}, {}, error);
        }
    }
    return done;
}

} // namespace

std::span<const std::byte> read_head(int fd, std::span<std::byte, ImageSource::head_length> buffer)
{
    return buffer.first(read_fully(fd, 0, buffer));
}

image::Bytes ImageSource::read(std::uint64_t offset, std::span<std::byte> buffer)
{
    if (offset >= size_)
        return {};
    // Many small reads cost time as one large one does: each counts as at least a disk sector.
    constexpr std::uint64_t least = 512;
    std::uint64_t length = std::min<std::uint64_t>(buffer.size(), size_ - offset);
    if (length > left_) {
        limit_reached_ = true;
        length = left_;
    }
    left_ -= std::min(std::max(length, least), left_);
    const auto wanted = buffer.first(static_cast<std::size_t>(length));
    return image::Bytes(wanted.first(read_fully(fd_, offset, wanted)));
}

image::Bytes ImageSource::view(std::uint64_t offset, std::size_t length)
{
    if (head_.has(offset, length) || (offset < head_.size() && size_ <= head_.size()))
        return head_.part(offset, length);
    if (length > window_.size())
        length = window_.size();
    const bool held = offset >= window_offset_ && offset - window_offset_ < window_length_ &&
                      (window_length_ - (offset - window_offset_) >= length ||
                       window_offset_ + window_length_ == size_);
    if (!held) {
        window_length_ = 0;
        window_offset_ = offset;
        window_length_ = read(offset, window_).size();
    }
    return image::Bytes(std::span(window_).first(window_length_))
        .part(offset - window_offset_, length);
}

} // namespace storage::inline v1
