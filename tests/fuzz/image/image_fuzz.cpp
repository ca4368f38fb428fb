// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target of one image inspector: compiled once for each format, with IMAGE_FORMAT as its name.
#include "image/probe.hpp"
#include "layout.hpp"

#include <basin/image.hpp>

#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using image_fuzz::Layout;

const Layout& layout()
{
    for (const auto& candidate : image_fuzz::layouts())
        if (candidate.format == IMAGE_FORMAT)
            return candidate;
    std::abort();
}

void require(bool condition)
{
    if (!condition)
        std::abort();
}

void put(int fd, std::uint64_t offset, std::string_view bytes)
{
    require(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
            static_cast<ssize_t>(bytes.size()));
}

/** Writes the file that an input stands for: an odd length means that a hole follows. */
void write_image(int fd, std::string_view input)
{
    constexpr std::uint64_t hole = 64 << 20;
    constexpr std::uint64_t trailer_length = 512;
    std::uint64_t size = 0;
    const bool odd = input.size() % 2 != 0;
    for (const auto& piece : layout().pieces) {
        const auto bytes = input.substr(0, piece.length);
        put(fd, piece.offset, bytes);
        size = piece.offset + bytes.size();
        input.remove_prefix(bytes.size());
    }
    if (odd && !layout().trailer)
        size += hole;
    if (layout().trailer && size < trailer_length)
        size = trailer_length;
    const auto magic_offset =
        layout().magic_offset + (layout().trailer ? size - trailer_length : 0);
    require(::ftruncate(fd, static_cast<off_t>(size)) == 0);
    put(fd, magic_offset, layout().magic);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const int fd = ::memfd_create("image", MFD_CLOEXEC);
    require(::ftruncate(fd, 0) == 0);
    write_image(fd, {reinterpret_cast<const char*>(data), size});
    const auto info = storage::inspect_descriptor(fd);
    require(info.format != storage::ImageFormat::raw);
    require(info.virtual_size <= INT64_MAX);
    require(info.findings.size() <= 65 && info.extents.size() <= 256);
    require(!storage::to_json(info).empty());
    return 0;
}
