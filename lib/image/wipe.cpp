// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wipe.hpp"

#include "extents.hpp"
#include "file_io.hpp"
#include "job_impl.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace storage::inline v1 {

namespace {

constexpr WipePass random_pass{};
constexpr WipePass check_pass{.pattern = {}, .length = 0, .verify = true};
constexpr WipePass bytes(std::uint8_t value)
{
    return {.pattern = {value}, .length = 1};
}
constexpr WipePass bytes(std::uint8_t a, std::uint8_t b, std::uint8_t c)
{
    return {.pattern = {a, b, c}, .length = 3};
}

constexpr std::array zero{bytes(0x00)};
constexpr std::array random_once{random_pass};
// NNSA Policy Letter NAP-14.1-C, XVI-8, as scrub(1) 2.6 describes it.
constexpr std::array nnsa{random_pass, random_pass, bytes(0x00), check_pass};
// DoD 5220.22-M, section 8-306, procedure (d), as scrub(1) 2.6 describes it.
constexpr std::array dod{random_pass, bytes(0x00), bytes(0xff), check_pass};
// Bundesamt fuer Sicherheit in der Informationstechnik, 2000, as scrub(1) 2.6 describes it.
constexpr std::array bsi{bytes(0xff), bytes(0xfe), bytes(0xfd), bytes(0xfb), bytes(0xf7),
                         bytes(0xef), bytes(0xdf), bytes(0xbf), bytes(0x7f)};
// P. Gutmann, Secure Deletion of Data from Magnetic and Solid-State Memory, 1996, table 1.
constexpr std::array gutmann{
    random_pass,
    random_pass,
    random_pass,
    random_pass,
    bytes(0x55),
    bytes(0xaa),
    bytes(0x92, 0x49, 0x24),
    bytes(0x49, 0x24, 0x92),
    bytes(0x24, 0x92, 0x49),
    bytes(0x00),
    bytes(0x11),
    bytes(0x22),
    bytes(0x33),
    bytes(0x44),
    bytes(0x55),
    bytes(0x66),
    bytes(0x77),
    bytes(0x88),
    bytes(0x99),
    bytes(0xaa),
    bytes(0xbb),
    bytes(0xcc),
    bytes(0xdd),
    bytes(0xee),
    bytes(0xff),
    bytes(0x92, 0x49, 0x24),
    bytes(0x49, 0x24, 0x92),
    bytes(0x24, 0x92, 0x49),
    bytes(0x6d, 0xb6, 0xdb),
    bytes(0xb6, 0xdb, 0x6d),
    bytes(0xdb, 0x6d, 0xb6),
    random_pass,
    random_pass,
    random_pass,
    random_pass,
};
// B. Schneier, Applied Cryptography, 2nd edition, 1996, section 10.9.
constexpr std::array schneier{bytes(0xff), bytes(0x00), random_pass, random_pass,
                              random_pass, random_pass, random_pass};
// R. Pfitzner's methods, as scrub(1) 2.6 describes them.
constexpr std::array<WipePass, 7> pfitzner7{};
constexpr std::array<WipePass, 33> pfitzner33{};

// A multiple of the page and of three, so that each buffer of a pattern begins like the first.
constexpr std::size_t buffer_size = std::size_t{3} << 18;

void fill_random(std::span<std::uint8_t> buffer)
{
    for (std::size_t done = 0; done < buffer.size();) {
        const auto n = ::getrandom(buffer.data() + done, buffer.size() - done, 0);
        if (n < 0 && errno != EINTR)
            throw system_error(errno, "cannot get random bytes");
        done += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
}

void fill_pattern(std::span<std::uint8_t> buffer, const WipePass& pass)
{
    for (std::size_t i = 0; i < buffer.size(); ++i)
        buffer[i] = pass.pattern[i % pass.length];
}

/** The content of one file, pass after pass. */
class Wiping {
public:
    Wiping(int fd, const std::string& path, Job* job) : fd_(fd), path_(path), job_(job)
    {
        extents_ = block_extents(fd, path);
        for (const auto& extent : extents_)
            total_ += extent.end - extent.start;
    }

    void run(const WipePass& pass, std::size_t number, std::size_t count)
    {
        const auto what = std::string(pass.verify ? "verifying" : "overwriting");
        enter_phase(job_,
                    what + ", pass " + std::to_string(number) + " of " + std::to_string(count),
                    total_);
        if (!pass.verify && pass.length != 0)
            fill_pattern(buffer_, pass);
        for (const auto& extent : extents_)
            for (auto at = extent.start; at < extent.end;) {
                check(job_, "wiping '" + path_ + "'");
                // Patterns go by the place in the file, whatever the holes.
                const auto phase = at % buffer_size;
                const auto size = static_cast<std::size_t>(
                    std::min<std::uint64_t>(buffer_size - phase, extent.end - at));
                if (pass.verify)
                    verify(at, phase, size);
                else
                    write(pass, at, phase, size);
                at += size;
                advance(job_, size);
            }
        if (pass.verify || number == count)
            return;
        if (::fdatasync(fd_) != 0)
            throw flush_error(errno, path_);
        // What is read to verify it shall come from the device.
        ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    }

private:
    void write(const WipePass& pass, std::uint64_t at, std::size_t phase, std::size_t size)
    {
        if (pass.length == 0)
            fill_random(std::span(buffer_).subspan(phase, size));
        const auto* const data = reinterpret_cast<const char*>(buffer_.data() + phase);
        write_at(fd_, at, std::string_view(data, size), path_);
    }

    /** The pass before was a pattern, which still is in the buffer. */
    void verify(std::uint64_t at, std::size_t phase, std::size_t size)
    {
        found_.resize(buffer_size);
        while (size > 0) {
            const auto n = ::pread(fd_, found_.data(), size, static_cast<off_t>(at));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                throw system_error(errno, "cannot read '" + path_ + "' at " + std::to_string(at));
            if (n == 0 ||
                std::memcmp(found_.data(), buffer_.data() + phase, static_cast<std::size_t>(n)))
                throw Error(ErrorCode::io,
                            "'" + path_ + "': what was written at " + std::to_string(at) +
                                " is not what is read back",
                            "do not trust this device, nor that it is wiped");
            at += static_cast<std::uint64_t>(n);
            phase += static_cast<std::size_t>(n);
            size -= static_cast<std::size_t>(n);
        }
    }

    int fd_;
    const std::string& path_;
    Job* job_;
    std::vector<Extent> extents_{};
    std::uint64_t total_{};
    std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(buffer_size);
    std::vector<std::uint8_t> found_{};
};

/** A block is given back only as a whole: that in which a file ends, too. */
std::uint64_t end_of_last_block(int fd, std::uint64_t length)
{
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_blksize <= 0)
        return length;
    const auto block = static_cast<std::uint64_t>(info.st_blksize);
    return std::min<std::uint64_t>((length + block - 1) / block * block, INT64_MAX);
}

void trim(int fd, const std::string& path, Job* job)
{
    const auto length = content_length(fd, path);
    enter_phase(job, "trimming", length);
    constexpr std::uint64_t piece = std::uint64_t{16} << 30;
    const auto end = end_of_last_block(fd, length);
    for (std::uint64_t at = 0; at < length;) {
        check(job, "wiping '" + path + "'");
        const auto size = std::min(piece, length - at);
        const auto reach = at + size == length ? end - at : size;
        // Of a block device too: discards, and fails where zeros afterwards are not certain.
        if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at),
                        static_cast<off_t>(reach)) != 0) {
            if (errno == EINTR)
                continue;
            if (errno == EOPNOTSUPP || errno == ENODEV)
                throw Error(ErrorCode::not_supported,
                            "'" + path + "' cannot be trimmed: neither holes nor discard here",
                            "use another algorithm", {}, errno);
            throw system_error(errno, "cannot trim '" + path + "'");
        }
        at += size;
        advance(job, size);
    }
}

} // namespace

std::span<const WipePass> wipe_passes(WipeAlgorithm algorithm)
{
    switch (algorithm) {
    case WipeAlgorithm::zero: return zero;
    case WipeAlgorithm::nnsa: return nnsa;
    case WipeAlgorithm::dod: return dod;
    case WipeAlgorithm::bsi: return bsi;
    case WipeAlgorithm::gutmann: return gutmann;
    case WipeAlgorithm::schneier: return schneier;
    case WipeAlgorithm::pfitzner7: return pfitzner7;
    case WipeAlgorithm::pfitzner33: return pfitzner33;
    case WipeAlgorithm::random: return random_once;
    case WipeAlgorithm::trim: return {};
    }
    throw Error(ErrorCode::invalid_argument, "no such wipe algorithm");
}

std::string_view to_string(WipeAlgorithm algorithm) noexcept
{
    constexpr std::string_view names[] = {"zero",    "nnsa",     "dod",       "bsi",
                                          "gutmann", "schneier", "pfitzner7", "pfitzner33",
                                          "random",  "trim"};
    const auto index = static_cast<std::size_t>(algorithm);
    return index < std::size(names) ? names[index] : "unknown";
}

void wipe_content(int fd, WipeAlgorithm algorithm, const std::string& path, Job* job)
{
    if (algorithm == WipeAlgorithm::trim)
        return trim(fd, path, job);
    const auto passes = wipe_passes(algorithm);
    Wiping wiping(fd, path, job);
    for (std::size_t i = 0; i < passes.size(); ++i)
        wiping.run(passes[i], i + 1, passes.size());
}

} // namespace storage::inline v1
