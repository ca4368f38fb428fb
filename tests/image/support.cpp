// SPDX-License-Identifier: LGPL-2.1-or-later
#include "support.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/mman.h>
#include <unistd.h>

namespace image_test {

TempDir::TempDir()
{
    auto name = (std::filesystem::temp_directory_path() / "basin-image-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

TempDir::~TempDir()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Image& Image::resize(std::size_t size)
{
    data.resize(size);
    return *this;
}

Image& Image::text(std::size_t offset, std::string_view value)
{
    if (data.size() < offset + value.size())
        resize(offset + value.size());
    std::memcpy(data.data() + offset, value.data(), value.size());
    return *this;
}

Image& Image::utf16(std::size_t offset, std::string_view ascii, bool big_endian)
{
    for (std::size_t i = 0; i < ascii.size(); ++i) {
        const auto code = static_cast<unsigned char>(ascii[i]);
        big_endian ? be16(offset + 2 * i, code) : le16(offset + 2 * i, code);
    }
    return *this;
}

Image& Image::big(std::size_t offset, std::uint64_t value, int length)
{
    std::string bytes;
    for (int i = length; i-- > 0;)
        bytes += static_cast<char>(value >> (8 * i));
    return text(offset, bytes);
}

Image& Image::little(std::size_t offset, std::uint64_t value, int length)
{
    std::string bytes;
    for (int i = 0; i < length; ++i)
        bytes += static_cast<char>(value >> (8 * i));
    return text(offset, bytes);
}

ImageInfo inspect(std::string_view bytes, std::optional<std::uint64_t> size)
{
    const int fd = ::memfd_create("image", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(::pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    if (size)
        REQUIRE(::ftruncate(fd, static_cast<off_t>(*size)) == 0);
    auto info = storage::inspect_image(fd);
    ::close(fd);
    return info;
}

ImageInfo inspect_file(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    INFO(path);
    REQUIRE(fd >= 0);
    auto info = storage::inspect_image(fd);
    ::close(fd);
    return info;
}

void write_file(const std::string& path, std::string_view bytes, std::optional<std::uint64_t> size)
{
    std::ofstream(path, std::ios::binary) << bytes;
    if (size)
        std::filesystem::resize_file(path, *size);
}

std::string read_file(const std::string& path, std::size_t length)
{
    std::string bytes(length, '\0');
    std::ifstream file(path, std::ios::binary);
    file.read(bytes.data(), static_cast<std::streamsize>(length));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    return bytes;
}

bool has(const ImageInfo& info, ImageIssue issue)
{
    for (const auto& finding : info.findings)
        if (finding.issue == issue)
            return true;
    return false;
}

std::string findings(const ImageInfo& info)
{
    std::string text;
    for (const auto& finding : info.findings)
        text += std::string(to_string(finding.issue)) + ": " + finding.message + "\n";
    return text;
}

bool have_tool(const std::string& name)
{
    if (std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0)
        return true;
    WARN("skipped: " + name + " is not installed");
    return false;
}

std::string run(const std::string& command)
{
    INFO(command);
    auto* pipe = ::popen(("( " + command + " ) 2>&1").c_str(), "re");
    REQUIRE(pipe != nullptr);
    std::string output;
    char buffer[4096];
    for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
        output.append(buffer, got);
    const int status = ::pclose(pipe);
    INFO(output);
    REQUIRE(status == 0);
    return output;
}

} // namespace image_test
