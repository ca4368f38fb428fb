// SPDX-License-Identifier: LGPL-2.1-or-later
// How a short fuzz input becomes an image file of one format, and back for the seeds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace image_fuzz {

/** A run of an image that one piece of the input fills. */
struct Piece {
    std::uint64_t offset;
    std::size_t length;
};

/** One target: a format, where its bytes go, and the magic that makes the inspector take it. */
struct Layout {
    std::string_view format;
    std::string_view magic;
    std::uint64_t magic_offset; ///< of the file, or of its last 512 bytes for a trailer
    bool trailer = false;
    std::vector<Piece> pieces = {{0, std::size_t{1} << 20}};
};

inline const std::vector<Layout>& layouts()
{
    using namespace std::string_view_literals;
    constexpr std::size_t kib = 1024;
    static const std::vector<Layout> all = {
        {"qcow", "QFI\xfb\0\0\0\1"sv, 0},
        {"qcow2", "QFI\xfb\0\0\0"sv, 0},
        {"qed", "QED\0"sv, 0},
        {"cow", "OOOM"sv, 0},
        {"vmdk", "KDMV"sv, 0},
        {"vmdk-text", "# Disk DescriptorFile\n"sv, 0},
        {"vdi", "\x7f\x10\xda\xbe"sv, 64},
        {"vpc", "conectix"sv, 0},
        {"vpc-footer", "conectix"sv, 0, true},
        {"vhdx",
         "vhdxfile"sv,
         0,
         false,
         {{0, 16}, {64 * kib, 256}, {192 * kib, 256}, {1024 * kib, 256}, {1088 * kib, 1 << 20}}},
        {"ploop", "WithouFreSpacExt"sv, 0},
        {"parallels", "WithoutFreeSpace"sv, 0},
        {"bochs", "Bochs Virtual HD Image\0"sv, 0},
        {"cloop", "#!/bin/sh\n#V2.0 Format\n"sv, 0},
        {"dmg", "koly"sv, 0, true},
        {"iso", "CD001"sv, 32769, false, {{32768, 2048}}},
        {"luks1", "LUKS\xba\xbe\0\1"sv, 0},
        {"luks2", "LUKS\xba\xbe\0\2"sv, 0},
    };
    return all;
}

/** The input that stands for an image: the bytes of its pieces, without zeros at the end. */
inline std::string gather(const Layout& layout, const std::string& image)
{
    std::string input;
    for (const auto& piece : layout.pieces) {
        if (piece.offset >= image.size())
            break;
        input += image.substr(piece.offset, piece.length);
    }
    if (!layout.trailer)
        input.resize(input.find_last_not_of('\0') + 1);
    // Odd: a hole follows. Files of a trailer end with it.
    if (input.size() % 2 == (layout.trailer ? 1 : 0))
        input.insert(layout.trailer ? 0 : input.size(), 1, '\0');
    return input;
}

} // namespace image_fuzz
