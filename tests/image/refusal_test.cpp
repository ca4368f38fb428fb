// SPDX-License-Identifier: LGPL-2.1-or-later
// One number of a whole image is changed, and QEMU refuses it: then the inspector has a finding.
#include "samples.hpp"

#include <catch2/catch.hpp>

using namespace image_test;

namespace {

/** An image as a program made it, then with other bytes at one place. */
class Victim {
public:
    /** @param look  a command that succeeds while QEMU accepts the image */
    Victim(const std::string& path, std::string look)
        : path_(path), look_(std::move(look)), original_(read_file(path)),
          size_(std::filesystem::file_size(path))
    {
        INFO(findings(inspect_file(path_)));
        REQUIRE(is_accepted());
        REQUIRE(inspect_file(path_).findings.empty());
    }

    void refused(std::size_t offset, const Image& bytes)
    {
        const auto info = inspect_with(offset, bytes);
        INFO("offset " << offset << ": " << findings(info));
        CHECK_FALSE(is_accepted());
        CHECK_FALSE(info.findings.empty());
    }

    /** What is legal, though QEMU has not got it. */
    void healthy(std::size_t offset, const Image& bytes)
    {
        const auto info = inspect_with(offset, bytes);
        INFO("offset " << offset << ": " << findings(info));
        CHECK(info.findings.empty());
    }

private:
    ImageInfo inspect_with(std::size_t offset, const Image& bytes) const
    {
        auto changed = original_;
        changed.replace(offset, bytes.data.size(), bytes.data);
        write_file(path_, changed, size_);
        return inspect_file(path_);
    }
    bool is_accepted() const
    {
        return run(look_ + " " + path_ + " >/dev/null 2>&1 && echo yes || echo no") == "yes\n";
    }

    std::string path_;
    std::string look_;
    std::string original_;
    std::uint64_t size_;
};

Image le32(std::uint64_t value)
{
    return Image().le32(0, value);
}

Image be32(std::uint64_t value)
{
    return Image().be32(0, value);
}

Image word(std::string_view text)
{
    return Image(32).text(0, text);
}

} // namespace

TEST_CASE("Parallels: clusters and tables that are too large", "[qemu]")
{
    if (!have_tool("qemu-img"))
        return;
    TempDir dir;
    run("qemu-img create -q -f parallels " + dir.path("image") + " 3M");
    Victim image(dir.path("image"), "qemu-img info -U -f parallels");
    image.refused(28, le32(0));
    image.refused(28, le32(INT32_MAX / 513 + 1));
    image.refused(28, le32(UINT32_MAX));
    image.refused(32, le32(INT32_MAX / 4 + 1));
}

TEST_CASE("VDI: a parent that the type does not have, places that are not aligned", "[qemu]")
{
    if (!have_tool("qemu-img"))
        return;
    TempDir dir;
    run("qemu-img create -q -f vdi " + dir.path("image") + " 3M");
    Victim image(dir.path("image"), "qemu-img info -U -f vdi");
    image.refused(424, Image().text(0, "a link's uuid..."));
    image.refused(440, Image().text(0, "a parent's uuid."));
    image.refused(340, le32(513));
    image.refused(344, le32((1 << 20) + 1));
    image.refused(360, le32(4096));
    image.refused(384, le32(1)); // blocks for less than the size
}

TEST_CASE("LUKS1: words that do not end, an unknown hash, key slots in the wrong place", "[qemu]")
{
    if (!have_tool("qemu-img") || !have_tool("cryptsetup"))
        return;
    TempDir dir;
    write_file(dir.path("image"), "", 8 << 20);
    run("printf secret | PATH=$PATH:/usr/sbin:/sbin cryptsetup luksFormat -q --type luks1 "
        "--force-password --pbkdf-force-iterations 1000 " +
        dir.path("image") + " -");
    Victim image(dir.path("image"), "qemu-img info -U -f luks");
    for (const std::size_t place : {8, 40, 72}) {
        image.refused(place, word(""));
        image.refused(place, word(std::string(32, 'a')));
    }
    image.refused(72, word("sha257"));
    image.healthy(72, word("whirlpool"));
    constexpr std::size_t slot = 208 + 48;
    image.refused(slot + 40, be32(7));    // in the header
    image.refused(slot + 40, be32(9));    // in the first slot
    image.refused(slot + 40, be32(4000)); // in the data
    image.refused(slot + 44, be32(4001));
    image.refused(slot, be32(1));
}

TEST_CASE("qcow2: entries of the snapshot table", "[qemu]")
{
    if (!have_tool("qemu-img"))
        return;
    TempDir dir;
    run("qemu-img create -q -f qcow2 " + dir.path("image") + " 3M && qemu-img snapshot -c one " +
        dir.path("image") + " && qemu-img snapshot -c two " + dir.path("image"));
    const auto bytes = read_file(dir.path("image"));
    const auto field = [&](std::size_t offset, std::size_t length) {
        std::size_t value = 0;
        for (std::size_t i = offset; i < offset + length; ++i)
            value = value << 8 | static_cast<unsigned char>(bytes.at(i));
        return value;
    };
    const auto first = field(64, 8);
    const auto length = 40 + field(first + 36, 4) + field(first + 12, 2) + field(first + 14, 2);
    Victim image(dir.path("image"), "qemu-img check -q -f qcow2");
    for (const auto entry : {first, first + (length + 7) / 8 * 8}) {
        image.refused(entry, Image().be64(0, 12345));                  // the L1 table's offset
        image.refused(entry, Image().be64(0, std::uint64_t{1} << 40)); // beyond the end
        image.refused(entry + 8, be32(UINT32_MAX));                    // its entries
        image.refused(entry + 8, be32(1 << 22));                       // beyond the end
        image.refused(entry + 36, be32(1 << 20));                      // extra data
    }
}
