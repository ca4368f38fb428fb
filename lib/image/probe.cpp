// SPDX-License-Identifier: LGPL-2.1-or-later
// Which format a file has: the table of magics, and the way from a descriptor to an ImageInfo.
#include "image/inspection.hpp"

#include <basin/error.hpp>

#include <cerrno>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <system_error>

namespace storage::inline v1 {

namespace image {
namespace {

struct Format {
    std::string_view magic{};
    std::uint16_t offset{};
    ImageFormat format{};
    void (*inspect)(Inspection&){};
};

using namespace std::string_view_literals;

// The first match wins. Versions are the inspectors' business: an unknown one is a finding.
constinit const Format formats[] = {
    {"QFI\xfb"sv, 0, ImageFormat::qcow2, inspect_qcow2},
    {"LUKS\xba\xbe"sv, 0, ImageFormat::luks, inspect_luks},
};

const Format* find_format(Bytes head)
{
    for (const auto& format : formats)
        if (head.matches(format.offset, format.magic))
            return &format;
    return nullptr;
}

} // namespace
} // namespace image

bool looks_raw(std::span<const std::byte> head) noexcept
{
    return !image::find_format(head);
}

ImageInfo inspect(ImageSource& source)
{
    ImageInfo info;
    image::Inspection image{source, info};
    if (const auto* format = image::find_format(source.head())) {
        info.format = format->format;
        format->inspect(image);
    } else {
        info.virtual_size = source.size();
    }
    if (source.limit_reached())
        image.find(ImageIssue::limit_exceeded, "the header spans more than " +
                                                   image::number(ImageSource::read_limit) +
                                                   " bytes, what lies beyond is not described");
    return info;
}

namespace {

std::uint64_t device_size(int fd)
{
    std::uint64_t size = 0;
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0)
        throw Error(ErrorCode::io,
                    "image: size of the block device: " + std::generic_category().message(errno),
                    {}, {}, errno);
    return size;
}

std::uint64_t image_size(int fd)
{
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        const int error = errno;
        throw Error(error == EBADF ? ErrorCode::invalid_argument : ErrorCode::io,
                    "image: descriptor " + std::to_string(fd) + ": " +
                        std::generic_category().message(error),
                    "give a descriptor that is open for reading", {}, error);
    }
    if (S_ISBLK(status.st_mode))
        return device_size(fd);
    if (!S_ISREG(status.st_mode))
        throw Error(ErrorCode::invalid_argument,
                    "image: descriptor " + std::to_string(fd) +
                        " is neither a regular file nor a block device",
                    "open the image itself");
    return static_cast<std::uint64_t>(status.st_size);
}

} // namespace

ImageInfo inspect_image(int fd)
{
    const auto size = image_size(fd);
    std::array<std::byte, ImageSource::head_length> buffer;
    ImageSource source(fd, size, read_head(fd, buffer));
    return inspect(source);
}

} // namespace storage::inline v1
