// SPDX-License-Identifier: LGPL-2.1-or-later
#include "qcow2_snapshots.hpp"

#include "file_io.hpp"
#include "image/inspection.hpp"
#include "image/qcow2_layout.hpp"
#include "utf8.hpp"

#include <array>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

using image::Bytes;
using image::number;

constexpr std::uint32_t max_snapshots = 65536;
constexpr std::uint64_t max_table_length = 16 << 20;
constexpr std::uint64_t fixed_length = 40;
constexpr std::uint64_t known_extra_length = 16; // VM state size, disk size

/** A copy that XML and JSON can hold. */
std::string shown(std::string_view text)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    while (!text.empty()) {
        const auto length = std::max<std::size_t>(decode_utf8(text).length, 1);
        const auto character = text.substr(0, length);
        if (is_plain_text(character)) {
            result += character;
        } else {
            for (const auto c : character) {
                const auto byte = static_cast<unsigned char>(c);
                result += "\\x";
                result += digits[byte >> 4];
                result += digits[byte & 15];
            }
        }
        text.remove_prefix(length);
    }
    return result;
}

class Reader {
public:
    Reader(int fd, const std::string& path) : fd_(fd), path_(path)
    {
        struct stat info {};
        if (::fstat(fd, &info) != 0)
            throw system_error(errno, "cannot look at '" + path + "'");
        // A block device shows its size by lseek(2) only; reads beyond its end come out short.
        size_ = S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size)
                                      : std::numeric_limits<std::uint64_t>::max();
    }

    std::vector<Snapshot> run()
    {
        const auto head = view(0, image::qcow2::v2_header_length, "header");
        if (!head.matches(0, image::qcow2::magic) || (head.be32(4) != 2 && head.be32(4) != 3))
            fail("magic or version", "are not those of a qcow2 image");
        const auto cluster_bits = head.be32(20);
        if (cluster_bits < 9 || cluster_bits > 21)
            fail("cluster_bits", number(cluster_bits) + " is not within 9 to 21");
        disk_size_ = head.be64(image::qcow2::size_field);
        const auto count = head.be32(60);
        const auto offset = head.be64(64);
        if (count == 0)
            return {};
        if (count > max_snapshots)
            fail("nb_snapshots", number(count) + " is more than 65536");
        if (offset == 0 || offset % (std::uint64_t{1} << cluster_bits) != 0)
            fail("snapshots_offset", number(offset) + " is not that of a cluster");
        if (offset > size_)
            fail("snapshots_offset", number(offset) + " is beyond the end of the file");
        return table(offset, count);
    }

private:
    [[noreturn]] void fail(const std::string& field, const std::string& what) const
    {
        throw Error(ErrorCode::parse_failed, "'" + path_ + "': " + field + ' ' + what,
                    "check the image with qemu-img check");
    }

    std::vector<Snapshot> table(std::uint64_t offset, std::uint32_t count)
    {
        std::vector<Snapshot> result;
        const auto end = image::add(offset, max_table_length);
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto name = "snapshot " + number(i);
            result.push_back(entry(offset, name));
            if (offset > end)
                fail(name, "ends beyond the first 16 MiB of the snapshot table");
        }
        return result;
    }

    /** Reads the entry at offset and moves offset to the next one. */
    Snapshot entry(std::uint64_t& offset, const std::string& name)
    {
        const auto fixed = view(offset, fixed_length, name);
        const std::uint64_t id_length = fixed.be16(12);
        const std::uint64_t name_length = fixed.be16(14);
        const std::uint64_t extra_length = fixed.be32(36);
        Snapshot snapshot{
            .created = {.seconds = fixed.be32(16), .nanoseconds = fixed.be32(20)},
            .size = disk_size_,
        };
        if (snapshot.created.nanoseconds >= 1000000000)
            fail(name,
                 "has date_nsec " + number(snapshot.created.nanoseconds) + ", more than a second");
        if (extra_length > max_table_length)
            fail(name, "has extra_data_size " + number(extra_length) + ", more than 16 MiB");
        if (extra_length >= known_extra_length)
            snapshot.size = view(offset + fixed_length, known_extra_length, name).be64(8);
        const auto text = view(offset + fixed_length + extra_length, id_length + name_length, name);
        snapshot.id = shown(text.text().substr(0, id_length));
        snapshot.name = shown(text.text().substr(id_length));
        const auto length = fixed_length + extra_length + id_length + name_length;
        offset += (length + 7) / 8 * 8;
        return snapshot;
    }

    /** Exactly these bytes, valid until the next view(). Reads ahead: entries are short. */
    Bytes view(std::uint64_t offset, std::uint64_t length, const std::string& what)
    {
        if (offset < start_ || offset - start_ > window_.size() ||
            window_.size() - (offset - start_) < length) {
            window_ = read_range(fd_, offset, std::max(length, window_length), path_);
            start_ = offset;
        }
        const Bytes bytes = Bytes(window_).part(offset - start_, length);
        if (bytes.size() < length)
            fail(what, "at offset " + number(offset) + " is beyond the end of the file");
        return bytes;
    }

    static constexpr std::uint64_t window_length = 4096;

    int fd_;
    const std::string& path_;
    std::uint64_t size_{};
    std::uint64_t disk_size_{};
    std::uint64_t start_{};
    std::vector<std::byte> window_{};
};

} // namespace

std::vector<Snapshot> read_qcow2_snapshots(int fd, const std::string& path)
{
    return Reader(fd, path).run();
}

} // namespace storage::inline v1
