// SPDX-License-Identifier: LGPL-2.1-or-later
// What the image tests share: files with given bytes, byte-by-byte headers, programs as oracles.
#pragma once

#include <basin/image.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace image_test {

using storage::ImageFormat;
using storage::ImageInfo;
using storage::ImageIssue;

/** A directory that goes away with the object. */
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    std::string path(std::string_view name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

/** Bytes of an image under construction; grows as they are written. */
class Image {
public:
    explicit Image(std::size_t size = 0) : data(size, '\0') {}
    Image& text(std::size_t offset, std::string_view value);
    Image& utf16(std::size_t offset, std::string_view ascii, bool big_endian);
    Image& u8(std::size_t offset, std::uint64_t value) { return big(offset, value, 1); }
    Image& be16(std::size_t offset, std::uint64_t value) { return big(offset, value, 2); }
    Image& be32(std::size_t offset, std::uint64_t value) { return big(offset, value, 4); }
    Image& be64(std::size_t offset, std::uint64_t value) { return big(offset, value, 8); }
    Image& le16(std::size_t offset, std::uint64_t value) { return little(offset, value, 2); }
    Image& le32(std::size_t offset, std::uint64_t value) { return little(offset, value, 4); }
    Image& le64(std::size_t offset, std::uint64_t value) { return little(offset, value, 8); }
    Image& resize(std::size_t size);

    std::string data;

private:
    Image& big(std::size_t offset, std::uint64_t value, int length);
    Image& little(std::size_t offset, std::uint64_t value, int length);
};

/** Inspects a file of these bytes, lengthened with a hole to size. */
ImageInfo inspect(std::string_view bytes, std::optional<std::uint64_t> size = {});
inline ImageInfo inspect(const Image& image, std::optional<std::uint64_t> size = {})
{
    return inspect(image.data, size);
}

ImageInfo inspect_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes,
                std::optional<std::uint64_t> size = {});
std::string read_file(const std::string& path, std::size_t length = 1 << 20);

bool has(const ImageInfo& info, ImageIssue issue);

/** All findings in one text, for INFO(). */
std::string findings(const ImageInfo& info);

/** Whether a program is on PATH; a message says that the test is skipped where it is not. */
bool have_tool(const std::string& name);

/** Runs a shell command of the test's own making and returns what it printed. Fails the test case.
 */
std::string run(const std::string& command);

} // namespace image_test
