// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target of what reads more of a qcow2 image than its header, and of growing it.
#include "image/probe.hpp"
#include "image/qcow2_resize.hpp"
#include "image/qcow2_snapshots.hpp"

#include <basin/error.hpp>
#include <basin/image.hpp>

#include <cstdlib>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

off_t length_of(int fd)
{
    struct stat info {};
    require(::fstat(fd, &info) == 0);
    return info.st_size;
}

void read_snapshots(int fd)
{
    try {
        require(storage::read_qcow2_snapshots(fd, "image").size() <= 65536);
    } catch (const storage::Error& error) {
        require(error.code() == storage::ErrorCode::parse_failed);
    }
}

void grow(int fd)
{
    const auto before = storage::inspect_descriptor(fd);
    const auto capacity = before.virtual_size + (std::uint64_t{1} << 20);
    try {
        if (storage::grow_qcow2(fd, capacity, "image")) {
            const auto after = storage::inspect_descriptor(fd);
            require(after.virtual_size == (capacity + 511) / 512 * 512);
            require(after.findings.size() <= before.findings.size());
        }
    } catch (const storage::Error& error) {
        require(error.code() == storage::ErrorCode::parse_failed ||
                error.code() == storage::ErrorCode::invalid_argument);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace std::string_view_literals;
    constexpr auto magic = "QFI\xfb\0\0\0"sv;
    static const int fd = ::memfd_create("image", MFD_CLOEXEC);
    require(::ftruncate(fd, 0) == 0);
    require(::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
    require(::pwrite(fd, magic.data(), magic.size(), 0) == static_cast<ssize_t>(magic.size()));
    if (size % 2 != 0) // a hole follows
        require(::ftruncate(fd, 64 << 20) == 0);
    read_snapshots(fd);
    grow(fd);
    require(length_of(fd) <= 128 << 20);
    return 0;
}
