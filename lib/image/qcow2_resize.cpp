// SPDX-License-Identifier: LGPL-2.1-or-later
#include "qcow2_resize.hpp"

#include "file_io.hpp"
#include "image/inspection.hpp"
#include "image/qcow2_layout.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <span>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace storage::inline v1 {

namespace {

using namespace image::qcow2;
using image::Bytes;
using image::divide_up;
using image::number;

/**
 * The bytes of an image that QEMU locks while it has it open (block/file-posix.c: 100 and 200, one
 * byte for each permission); all of them here, so that neither sees the other's half of a change.
 */
class ImageLock {
public:
    ImageLock(int fd, const std::string& path) : fd_(fd)
    {
        if (set(F_WRLCK) == 0 || (errno != EAGAIN && errno != EACCES))
            return; // a file system without locks has none of QEMU's either
        throw Error(ErrorCode::busy, "'" + path + "' is open in another program",
                    "stop the virtual machine, or let it change the size itself", {}, errno);
    }
    ~ImageLock() { set(F_UNLCK); }
    ImageLock(const ImageLock&) = delete;
    ImageLock& operator=(const ImageLock&) = delete;

private:
    int set(short type) const
    {
        struct flock request {};
        request.l_type = type;
        request.l_whence = SEEK_SET;
        request.l_start = 100;
        request.l_len = 200;
        return ::fcntl(fd_, F_OFD_SETLK, &request);
    }

    int fd_;
};

std::uint64_t l1_entries_for(const Header& header, std::uint64_t capacity)
{
    return divide_up(capacity, l1_reach(header.cluster_size(), header.has(extended_l2_bit)));
}

/** Whether the header's extensions end within head and none of them is about bitmaps. */
bool is_free_of_bitmaps(Bytes head, std::uint64_t offset)
{
    while (head.has(offset, 8)) {
        const auto type = head.be32(offset);
        if (type == 0)
            return true;
        if (type == bitmaps_extension)
            return false;
        offset += 8 + (std::uint64_t{head.be32(offset + 4)} + 7) / 8 * 8;
    }
    return false;
}

bool is_plain(const Header& header, Bytes head)
{
    return (header.version == 2 || header.length >= v3_least_header_length) &&
           header.cluster_bits >= 9 && header.cluster_bits <= 21 && header.crypt_method == 0 &&
           header.backing_offset == 0 &&
           (header.incompatible & ~(compression_bit | extended_l2_bit)) == 0 &&
           header.autoclear == 0 && (header.version == 3 || header.snapshots == 0) &&
           is_free_of_bitmaps(head.part(0, header.cluster_size()), header.length);
}

/** Whether the L1 table lies where a table can, with no other in its clusters, and has an entry for
 * all that the guest has. */
bool is_sound(const Header& header, std::uint64_t file_size)
{
    const auto cluster_size = header.cluster_size();
    const auto l1_end = image::add(
        header.l1_offset, divide_up(header.l1_size * entry_size, cluster_size) * cluster_size);
    const auto refcount_end =
        image::add(header.refcount_offset, header.refcount_clusters * cluster_size);
    return header.l1_size != 0 && header.l1_size <= max_l1_entries && header.l1_offset != 0 &&
           header.l1_offset % cluster_size == 0 && l1_end < max_host_offset &&
           header.l1_offset + header.l1_size * entry_size <= file_size &&
           (l1_end <= header.refcount_offset || refcount_end <= header.l1_offset) &&
           // One that begins before could reach into them.
           (header.snapshots == 0 || l1_end <= header.snapshots_offset) &&
           l1_entries_for(header, header.size) <= header.l1_size;
}

std::uint64_t file_size_of(int fd, const std::string& path)
{
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    // A block device does not grow by a write beyond its end.
    return S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : UINT64_MAX;
}

void flush(int fd, const std::string& path)
{
    if (::fdatasync(fd) != 0)
        throw flush_error(errno, path);
}

void put(std::string& bytes, std::uint64_t offset, std::uint64_t value, std::uint64_t length)
{
    for (std::uint64_t i = 0; i < length; ++i)
        bytes[offset + i] = static_cast<char>(value >> (8 * (length - 1 - i)));
}

/** How an image becomes larger. */
struct Growth {
    Header header;
    std::uint64_t size;       ///< the new one
    std::uint64_t entries;    ///< of the L1 table then
    std::string first_sector; ///< as it is
};

using HeadBuffer = std::array<std::byte, ImageSource::head_length>;

/** The start of a qcow2 image. */
Bytes read_start(int fd, HeadBuffer& buffer, const std::string& path)
{
    const auto named_read = [&] {
        try {
            return read_head(fd, buffer);
        } catch (const Error& error) {
            throw Error(error.code(), "'" + path + "': " + error.what(), {}, {}, error.os_error());
        }
    };
    const Bytes head(named_read());
    if (!head.matches(0, magic) || (head.be32(4) != 2 && head.be32(4) != 3) || !head.has(0, sector))
        throw Error(ErrorCode::parse_failed, "'" + path + "' is not a qcow2 image");
    return head;
}

/** How many counts of a refcount block there are up to the last that is not 0. */
std::uint64_t counts_in_use(std::span<const std::byte> block, std::uint64_t bits)
{
    const auto last = std::find_if(block.rbegin(), block.rend(),
                                   [](std::byte byte) { return byte != std::byte{}; });
    if (last == block.rend())
        return 0;
    const auto bytes = static_cast<std::uint64_t>(block.rend() - last);
    if (bits >= 8)
        return divide_up(bytes * 8, bits);
    const auto width = static_cast<std::uint64_t>(std::bit_width(std::to_integer<unsigned>(*last)));
    return (bytes - 1) * (8 / bits) + divide_up(width, bits);
}

/** Where the last cluster in use ends, by the reference counts. */
std::uint64_t end_of_use(int fd, const Header& header, const std::string& path)
{
    constexpr std::uint64_t offset_bits = ~std::uint64_t{511};
    const auto cluster_size = header.cluster_size();
    const auto bits = std::uint64_t{1} << header.refcount_order;
    const auto entries =
        std::min(header.refcount_clusters * cluster_size / entry_size, max_refcount_table_entries);
    const auto table = read_range(fd, header.refcount_offset, entries * entry_size, path);
    for (auto i = table.size() / entry_size; i-- > 0;) {
        const auto offset = Bytes(table).be64(i * entry_size) & offset_bits;
        if (offset == 0)
            continue;
        const auto used = counts_in_use(read_range(fd, offset, cluster_size, path), bits);
        if (used > 0)
            return (i * (cluster_size * 8 / bits) + used) * cluster_size;
    }
    throw Error(ErrorCode::invalid_state, "'" + path + "' is damaged: it counts no cluster",
                "check it with qemu-img check");
}

/** @return nothing: see grow_qcow2() */
std::optional<Growth> plan_growth(int fd, std::uint64_t new_capacity, const std::string& path)
{
    HeadBuffer buffer{};
    const auto head = read_start(fd, buffer, path);
    const Header header(head);
    const auto size = rounded_size(new_capacity);
    if (size < header.size)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': capacity " + number(new_capacity) + " is less than the " +
                        number(header.size) + " bytes that it has",
                    "ask for shrinking if data may be lost");
    if (!is_plain(header, head) || !is_sound(header, file_size_of(fd, path)))
        return std::nullopt;
    const auto entries = std::max<std::uint64_t>(header.l1_size, l1_entries_for(header, size));
    const auto room = divide_up(header.l1_size * entry_size, header.cluster_size()) *
                      header.cluster_size() / entry_size;
    if (entries > max_l1_entries)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': a capacity of " + number(size) + " bytes is too large for " +
                        number(header.cluster_size()) + " bytes a cluster",
                    "make a copy with larger clusters");
    if (entries > room)
        return std::nullopt;
    return Growth{header, size, entries, std::string(head.part(0, sector).text())};
}

} // namespace

bool can_grow_qcow2(int fd, std::uint64_t new_capacity, const std::string& path)
{
    return plan_growth(fd, new_capacity, path).has_value();
}

bool grow_qcow2(int fd, std::uint64_t new_capacity, const std::string& path)
{
    const ImageLock lock(fd, path);
    auto growth = plan_growth(fd, new_capacity, path);
    if (!growth)
        return false;
    auto& [header, size, entries, first] = *growth;
    if (size == header.size)
        return true;

    if (entries > header.l1_size) {
        // What an earlier, longer table left there must not come back.
        write_at(fd, header.l1_offset + header.l1_size * entry_size,
                 std::string((entries - header.l1_size) * entry_size, '\0'), path);
        flush(fd, path);
    }
    put(first, size_field, size, 8);
    put(first, l1_size_field, entries, 4);
    write_at(fd, 0, first, path);
    flush(fd, path);
    return true;
}

void cut_unused_end(int fd, const std::string& path)
{
    const ImageLock lock(fd, path);
    HeadBuffer buffer{};
    const Header header(read_start(fd, buffer, path));
    if (header.has(dirty_bit))
        throw Error(ErrorCode::invalid_state,
                    "'" + path + "' was not closed cleanly: it is not known what of it is in use",
                    "repair it with qemu-img check -r all, or allocate nothing");
    const auto size = file_size_of(fd, path);
    const auto end = end_of_use(fd, header, path);
    if (size != UINT64_MAX && end < size && ::ftruncate(fd, static_cast<off_t>(end)) != 0)
        throw system_error(errno, "cannot cut off the unused end of '" + path + "'");
}

} // namespace storage::inline v1
