// SPDX-License-Identifier: LGPL-2.1-or-later
// ImageSource: the bytes of one image, bounded; inspect(): which format they are and what they say.
#pragma once

#include <basin/image.hpp>

#include "image/bytes.hpp"

#include <array>
#include <chrono>

namespace storage::inline v1 {

/**
 * The one file that an inspection reads, through one descriptor. Whoever has many files fills in
 * what it already knows (size, first bytes), so that most images cost no further system call.
 */
class ImageSource {
public:
    static constexpr std::size_t head_length = 4096;     ///< what the caller reads before inspect()
    static constexpr std::uint64_t read_limit = 1 << 20; ///< bytes read after the head, in total

    /** @param head  the file's first head_length bytes, all of it where the file is shorter */
    ImageSource(int fd, std::uint64_t size, std::span<const std::byte> head)
        : fd_(fd), size_(size), head_(head)
    {
    }

    std::uint64_t size() const { return size_; }
    image::Bytes head() const { return head_; }
    bool limit_reached() const { return limit_reached_; }

    /**
     * Returns up to head_length bytes at an offset: fewer where the file or the limit ends. They
     * are valid until the next view().
     * @throws Error io
     */
    image::Bytes view(std::uint64_t offset, std::size_t length);

    /** Fills a buffer from an offset and returns what was read of it. @throws Error io */
    image::Bytes read(std::uint64_t offset, std::span<std::byte> buffer);

private:
    int fd_;
    std::uint64_t size_;
    image::Bytes head_;
    std::uint64_t left_ = read_limit;
    bool limit_reached_ = false;
    std::uint64_t window_offset_ = 0;
    std::size_t window_length_ = 0;
    std::array<std::byte, head_length> window_; // filled by view(), never read before
};

/** Reads a file's first bytes. Returns the part of buffer that was filled. @throws Error io */
std::span<const std::byte> read_head(int fd, std::span<std::byte, ImageSource::head_length> buffer);

/**
 * Whether the head shows no known format. Allocates nothing. What only shows further in the file
 * (ISO 9660, fixed VHD, dmg) is not seen: where the file has nothing but holes there, it cannot be.
 */
bool looks_raw(std::span<const std::byte> head) noexcept;

/**
 * Whether inspect() would have no more to say than "raw, as large as the file". Allocates nothing;
 * two reads at most. @throws Error io
 */
bool is_raw(ImageSource& source);

/** What inspect_image() does, for a file whose head is already read. */
ImageInfo inspect(ImageSource& source);

/** The same for a thread that may wait for the storage as long as that takes. @param name  what
 * errors call it */
ImageInfo inspect_descriptor(int fd, const std::string& name = "image");

/** inspect_image(), which waits for storage that does not answer no longer than that. */
ImageInfo inspect_image(int fd, std::chrono::milliseconds patience);

} // namespace storage::inline v1
