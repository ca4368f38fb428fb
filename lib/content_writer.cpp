// SPDX-License-Identifier: LGPL-2.1-or-later
#include "content_writer.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// What is looked at for zeros: as large as the file systems' blocks.
constexpr std::size_t zero_block = 4096;

bool is_zero_block(Bytes data)
{
    return is_zero(data.data(), std::min(zero_block, data.size()));
}

} // namespace

void ContentWriter::write_sparse(Bytes data)
{
    while (!data.empty()) {
        const bool zero = is_zero_block(data);
        std::size_t size = 0;
        while (size < data.size() && is_zero_block(data.subspan(size)) == zero)
            size += std::min(zero_block, data.size() - size);
        if (zero)
            write_zeros(size);
        else
            write(data.first(size));
        data = data.subspan(size);
    }
}

FileWriter::FileWriter(int fd, std::uint64_t at, const std::string& path, Job* job, bool blank)
    : ContentWriter(at), fd_(fd), end_(content_length(fd, path)), path_(path), job_(job),
      blank_(blank)
{
}

void FileWriter::advance_to(std::uint64_t at)
{
    at_ = at;
    end_ = std::max(end_, at);
}

void FileWriter::write(Bytes data)
{
    write_at(fd_, at_, data, path_);
    advance_to(at_ + data.size());
}

void FileWriter::write_zeros(std::uint64_t length)
{
    const auto inside = std::min(length, end_ > at_ ? end_ - at_ : 0);
    if (inside > 0 && !blank_)
        clear(inside);
    // Behind the end nothing needs to be done until it is known how long the file becomes.
    at_ += length;
}

void FileWriter::finish()
{
    if (at_ > end_ && ::ftruncate(fd_, static_cast<off_t>(at_)) != 0)
        throw system_error(errno, "cannot set the size of '" + path_ + "' to " +
                                      std::to_string(at_) + " bytes");
    end_ = std::max(end_, at_);
}

void FileWriter::clear(std::uint64_t length)
{
    if (::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at_),
                    static_cast<off_t>(length)) == 0)
        return;
    static constexpr std::array<std::byte, 65536> zeros{};
    const auto start = at_;
    for (const auto end = at_ + length; at_ < end;) {
        check(job_, "writing zeros to '" + path_ + "'");
        write(Bytes(zeros).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), end - at_))));
    }
    at_ = start;
}

void BlockWriter::write(Bytes data)
{
    content_.write(at_, data);
    at_ += data.size();
}

void BlockWriter::write_zeros(std::uint64_t length)
{
    content_.zero(at_, length);
    at_ += length;
}

} // namespace storage::inline v1
