// SPDX-License-Identifier: LGPL-2.1-or-later
// Which format a file has: the table of magics, and the way from a descriptor to an ImageInfo.
#include "file_io.hpp"
#include "image/inspection.hpp"
#include "patience.hpp"

#include <basin/context.hpp>

#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

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
    {"KDMV"sv, 0, ImageFormat::vmdk, inspect_vmdk},
    {"COWD"sv, 0, ImageFormat::vmdk, inspect_vmdk},
    {"LUKS\xba\xbe"sv, 0, ImageFormat::luks, inspect_luks},
    {"conectix"sv, 0, ImageFormat::vpc, inspect_vpc},
    {"vhdxfile"sv, 0, ImageFormat::vhdx, inspect_vhdx},
    {"QED\0"sv, 0, ImageFormat::qed, inspect_qed},
    {"WithouFreSpacExt"sv, 0, ImageFormat::ploop, inspect_parallels},
    {"WithoutFreeSpace"sv, 0, ImageFormat::parallels, inspect_parallels},
    {"Bochs Virtual HD Image\0"sv, 0, ImageFormat::bochs, inspect_bochs},
    {"#!/bin/sh\n#V2.0 Format\n"sv, 0, ImageFormat::cloop, inspect_cloop},
    {"OOOM"sv, 0, ImageFormat::cow, inspect_cow},
    {"\x7f\x10\xda\xbe"sv, 64, ImageFormat::vdi, inspect_vdi},
};

constinit const Format vmdk_descriptor{{}, 0, ImageFormat::vmdk, inspect_vmdk_descriptor};

const Format* find_format(Bytes head)
{
    // Most files are raw: the first byte alone refuses nearly all of the table.
    for (const auto& format : formats)
        if (head.u8(format.offset) == static_cast<unsigned char>(format.magic.front()) &&
            head.matches(format.offset, format.magic))
            return &format;
    return is_vmdk_descriptor(head) ? &vmdk_descriptor : nullptr;
}

/** A format that shows behind the head only, and where. */
struct LateFormat {
    ImageFormat format{ImageFormat::raw};
    void (*inspect)(Inspection&, std::uint64_t){};
    std::uint64_t offset{};
};

/** At most two reads, and none where the file is too short for what they look for. */
LateFormat find_late_format(ImageSource& source)
{
    constexpr std::uint64_t descriptor = 32768;
    constexpr std::uint64_t trailer = 512;
    const auto size = source.size();
    if (size >= trailer) {
        const Bytes tail = source.view(size - trailer, trailer);
        if (tail.matches(0, "conectix"))
            return {ImageFormat::vpc, inspect_vpc_footer, size - trailer};
        if (tail.matches(1, "conectix")) // Virtual PC before 2004 wrote footers of 511 bytes
            return {ImageFormat::vpc, inspect_vpc_footer, size - trailer + 1};
        if (tail.matches(0, "koly"))
            return {ImageFormat::dmg, inspect_dmg, size - trailer};
    }
    if (size > descriptor && source.view(descriptor, 6).matches(1, "CD001"))
        return {ImageFormat::iso, inspect_iso, descriptor};
    return {};
}

} // namespace
} // namespace image

bool looks_raw(std::span<const std::byte> head) noexcept
{
    return !image::find_format(head);
}

bool is_raw(ImageSource& source)
{
    return looks_raw(source.head().span()) &&
           image::find_late_format(source).format == ImageFormat::raw;
}

ImageInfo inspect(ImageSource& source)
{
    ImageInfo info;
    image::Inspection image{source, info};
    if (const auto* format = image::find_format(source.head())) {
        info.format = format->format;
        format->inspect(image);
    } else if (const auto late = image::find_late_format(source); late.inspect) {
        info.format = late.format;
        late.inspect(image, late.offset);
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

std::uint64_t image_size(int fd, const std::string& name)
{
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        const int error = errno;
        throw Error(error == EBADF ? ErrorCode::invalid_argument : ErrorCode::io,
                    name + ": " + std::generic_category().message(error),
                    "give a descriptor that is open for reading", {}, error);
    }
    if (S_ISBLK(status.st_mode))
        return device_size(fd);
    if (!S_ISREG(status.st_mode))
        throw Error(ErrorCode::invalid_argument,
                    name + " is neither a regular file nor a block device",
                    "open the image itself");
    return static_cast<std::uint64_t>(status.st_size);
}

} // namespace

ImageInfo inspect_descriptor(int fd, const std::string& name)
{
    const auto size = image_size(fd, name);
    std::array<std::byte, ImageSource::head_length> buffer;
    ImageSource source(fd, size, read_head(fd, buffer));
    return inspect(source);
}

ImageInfo inspect_image(int fd, std::chrono::milliseconds patience)
{
    const auto name = "image: descriptor " + std::to_string(fd);
    // The caller may close the other one while a thread still waits for the storage.
    const auto own = std::make_shared<UniqueFd>(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!*own && errno != EBADF)
        throw system_error(errno, name);
    return result_with_patience(std::make_shared<LeftCalls>(), nullptr,
                                std::chrono::steady_clock::now() + patience, name,
                                [own, name](Job*) { return inspect_descriptor(own->get(), name); });
}

ImageInfo inspect_image(int fd)
{
    return inspect_image(fd, ContextOptions{}.look_timeout);
}

} // namespace storage::inline v1
