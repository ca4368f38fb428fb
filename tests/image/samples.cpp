// SPDX-License-Identifier: LGPL-2.1-or-later
#include "samples.hpp"

#include <utility>

namespace image_test {

namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t gib = 1 << 30;

Image vhd_footer(std::uint32_t type, std::uint64_t data_offset, std::uint64_t size)
{
    Image image(512);
    image.text(0, "conectix").be32(8, 2).be32(12, 0x10000).be64(16, data_offset);
    image.text(28, "win ").text(36, "Wi2k").be64(40, size).be64(48, size);
    image.be16(56, 100).u8(58, 4).u8(59, 17).be32(60, type);
    image.text(68, "0123456789abcdef");
    seal_vhd(image, 0, 512, 64);
    return image;
}

} // namespace

void seal_vhd(Image& image, std::size_t offset, std::size_t length, std::size_t checksum)
{
    image.be32(offset + checksum, 0);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < length; ++i)
        sum += static_cast<unsigned char>(image.data.at(offset + i));
    image.be32(offset + checksum, ~sum);
}

void seal_vhdx(Image& image, std::size_t offset, std::size_t length)
{
    image.le32(offset + 4, 0);
    std::uint32_t crc = ~0U;
    for (std::size_t i = 0; i < length; ++i) {
        crc ^= static_cast<unsigned char>(image.data.at(offset + i));
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    }
    image.le32(offset + 4, ~crc);
}

Sample qcow_sample()
{
    Image image(48);
    image.text(0, "QFI\xfb").be32(4, 1).be64(8, 48).be32(16, 9).be64(24, gib);
    image.u8(32, 12).u8(33, 9).be32(36, 1).be64(40, 4096).text(48, "/base.img");
    return {"qcow", ImageFormat::qcow, image, 64 * 1024, gib};
}

Sample qcow2_sample()
{
    Image image(112);
    image.text(0, "QFI\xfb").be32(4, 3).be64(8, 512).be32(16, 15).be32(20, 16).be64(24, gib);
    image.be32(36, 2).be64(40, 0x30000).be64(48, 0x10000).be32(56, 1).be32(60, 2).be64(64, 0x40000);
    image.be64(72, 1 << 3).be64(80, 1).be64(88, 1).be32(96, 4).be32(100, 112).u8(104, 1);
    image.be32(112, 0xe2792aca).be32(116, 5).text(120, "qcow2");
    image.be32(128, 0x6803f857).be32(132, 96).text(136, std::string_view("\0\0dirty bit", 11));
    image.text(184, std::string_view("\0\x09"
                                     "future",
                                     8));
    image.be32(232, 0x23852875).be32(236, 24).be32(240, 1).be64(248, 32).be64(256, 0x50000);
    image.be32(264, 0xdeadbeef).be32(268, 3).text(272, "xyz").be64(280, 0);
    image.text(512, "../base/a.qcow2");
    return {"qcow2", ImageFormat::qcow2, image, 0x60000, gib};
}

Sample qcow2_v2_sample()
{
    Image image(72);
    image.text(0, "QFI\xfb").be32(4, 2).be64(8, 80).be32(16, 8).be32(20, 12).be64(24, 8 * mib);
    image.be32(36, 4)
        .be64(40, 0x3000)
        .be64(48, 0x1000)
        .be32(56, 1)
        .be64(72, 0)
        .text(80, "base.img");
    return {"qcow2-v2", ImageFormat::qcow2, image, 0x4000, 8 * mib};
}

Sample qed_sample()
{
    Image image(64);
    image.text(0, std::string_view("QED\0", 4)).le32(4, 65536).le32(8, 4).le32(12, 1).le64(16, 5);
    image.le64(40, 65536).le64(48, gib).le32(56, 64).le32(60, 8).text(64, "base.raw");
    return {"qed", ImageFormat::qed, image, 5 * 65536, gib};
}

Sample cow_sample()
{
    Image image(1048);
    image.text(0, "OOOM").be32(4, 2).text(8, "/srv/base").be64(1036, gib).be32(1044, 512);
    return {"cow", ImageFormat::cow, image, 8192, gib};
}

Sample cow_v3_sample()
{
    Image image(32 + 4096);
    image.text(0, "OOOM").be32(4, 3).be64(12, gib).be32(20, 512).be32(24, 4096);
    image.text(32, "/srv/root_fs");
    return {"cow-v3", ImageFormat::cow, image, 16384, gib};
}

Sample vmdk_sample()
{
    Image image(512);
    image.text(0, "KDMV").le32(4, 1).le32(8, 3).le64(12, gib / 512).le64(20, 128).le64(28, 1);
    image.le64(36, 20).le32(44, 512).le64(48, 21).le64(56, 26).le64(64, 128);
    image.text(73, "\n \r\n");
    image.text(512, "# Disk DescriptorFile\nversion=1\nCID=11111111\nparentCID=22222222\n"
                    "parentFileNameHint=\"base disk.vmdk\"\ncreateType=\"monolithicSparse\"\n\n"
                    "RW 2097152 SPARSE \"a.vmdk\"\n\nddb.uuid.image=\"1b2c\"\n");
    image.resize(4096);
    return {"vmdk", ImageFormat::vmdk, image, 65536, gib};
}

Sample vmdk_stream_sample()
{
    auto sample = vmdk_sample();
    auto& image = sample.image;
    image.le32(4, 3).le32(8, 0x30001).le64(12, 0).le64(36, 7).le64(56, UINT64_MAX).le16(77, 1);
    image.le64(64, 8);
    image.text(512, "# Disk DescriptorFile\nversion=1\nCID=11111111\nparentCID=ffffffff\n"
                    "createType=\"streamOptimized\"\nRW 2097152 SPARSE \"a.vmdk\"\n");
    image.data.resize(512 + image.data.substr(512).find("a.vmdk") + 8);
    image.resize(8192);
    const auto footer = image.data.substr(0, 512);
    image.text(8192 - 1024, footer).le64(8192 - 1024 + 12, gib / 512).le64(8192 - 1024 + 56, 8);
    return {"vmdk-stream", ImageFormat::vmdk, image, 8192, gib};
}

Sample vmdk_text_sample()
{
    Image image;
    image.text(0, "# Disk DescriptorFile\r\nversion=1\r\nencoding=\"UTF-8\"\r\nCID=fffffffe\r\n"
                  "parentCID=ffffffff\r\ncreateType=\"twoGbMaxExtentFlat\"\r\n\r\n"
                  "# Extent description\r\nRW 4192256 FLAT \"disk one-f001.vmdk\" 0\r\n"
                  "RW 2048 FLAT \"disk one-f002.vmdk\" 0\r\nRW 2048 ZERO\r\n\r\n"
                  "ddb.adapterType = \"lsilogic\"\r\n");
    return {"vmdk-text", ImageFormat::vmdk, image, image.data.size(), (4192256 + 4096) * 512ULL};
}

Sample vdi_sample()
{
    Image image(512);
    image.text(0, "<<< Oracle VM VirtualBox Disk Image >>>\n")
        .le32(64, 0xbeda107f)
        .le32(68, 0x10001);
    image.le32(72, 0x190).le32(76, 4).le32(340, 512).le32(344, 4096).le32(360, 512);
    image.le64(368, gib).le32(376, mib).le32(384, 1024).le32(388, 1);
    image.text(392, "ABCDEFGHIJKLMNOP").text(424, "abcdefghijklmnop");
    return {"vdi", ImageFormat::vdi, image, 2 * mib, gib};
}

Sample vpc_fixed_sample()
{
    Image image(8192);
    image.text(8192, vhd_footer(2, UINT64_MAX, 8192).data);
    return {"vpc-fixed", ImageFormat::vpc, image, 8192 + 512, 8192};
}

Sample vpc_differencing_sample()
{
    auto image = vhd_footer(4, 512, gib);
    image.resize(512 + 1024);
    image.text(512, "cxsparse").be64(520, UINT64_MAX).be64(528, 2048).be32(536, 0x10000);
    image.be32(540, 512).be32(544, 2 * mib).text(552, "fedcba9876543210");
    image.utf16(576, "parent.vhd", true);
    image.text(1088, "W2ru").be32(1092, 512).be32(1096, 24).be64(1104, 8192);
    image.text(1112, "W2ku").be32(1116, 512).be32(1120, 26).be64(1128, 8704);
    seal_vhd(image, 512, 1024, 36);
    image.resize(9216).utf16(8192, ".\\parent.vhd", false).utf16(8704, "C:\\x\\parent.vhd", false);
    return {"vpc-differencing", ImageFormat::vpc, image, 16384, gib};
}

Sample vhdx_sample()
{
    constexpr std::size_t kib = 1024;
    Image image(mib + 128 * kib);
    image.text(0, "vhdxfile");
    for (const std::size_t at : {64 * kib, 128 * kib}) {
        image.text(at, "head")
            .le64(at + 8, at)
            .le16(at + 66, 1)
            .le32(at + 68, mib)
            .le64(at + 72, mib);
        seal_vhdx(image, at, 4096);
    }
    for (const std::size_t at : {192 * kib, 256 * kib}) {
        image.text(at, "regi").le32(at + 8, 2);

        image.text(at + 16,
                   {"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08", 16});
        image.le64(at + 32, 3 * mib).le32(at + 40, mib).le32(at + 44, 1);
        image.text(at + 48, "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e");
        image.le64(at + 64, mib).le32(at + 72, mib).le32(at + 76, 1);
        seal_vhdx(image, at, 64 * kib);
    }
    const std::size_t table = mib;
    const std::size_t items = mib + 64 * kib;
    image.text(table, "metadata").le16(table + 10, 6);
    const std::pair<std::string_view, std::size_t> entries[] = {
        {"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b", 8},
        {"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8", 8},
        {{"\xab\x12\xca\xbe\xe6\xb2\x23\x45\x93\xef\xc3\x09\xe0\x00\xc7\x46", 16}, 16},
        {"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f", 4},
        {"\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56", 4},
        {"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c", 512},
    };
    std::size_t at = table + 32;
    std::size_t item = 64 * kib;
    for (const auto& [guid, length] : entries) {
        image.text(at, guid).le32(at + 16, item).le32(at + 20, length).le32(at + 24, 4);
        at += 32;
        item += 32;
    }
    image.le32(items, mib).le32(items + 4, 2).le64(items + 32, gib);
    image.text(items + 64, "0123456789abcdef").le32(items + 96, 512).le32(items + 128, 4096);
    const std::size_t parent = items + 160;
    image.text(parent, "\xb7\xef\x4a\xb0\x9e\xd1\x81\x4a\xb7\x89\x25\xb8\xe9\x44\x59\x13");
    image.le16(parent + 18, 3);
    image.le32(parent + 20, 64).le32(parent + 24, 96).le16(parent + 28, 28).le16(parent + 30, 8);
    image.utf16(parent + 64, "parent_linkage", false).utf16(parent + 96, "{id}", false);
    image.le32(parent + 32, 128).le32(parent + 36, 168).le16(parent + 40, 38).le16(parent + 42, 20);
    image.utf16(parent + 128, "absolute_win32_path", false)
        .utf16(parent + 168, "C:\\xx.vhdx", false);
    image.le32(parent + 44, 200).le32(parent + 48, 232).le16(parent + 52, 26).le16(parent + 54, 30);
    image.utf16(parent + 200, "relative_path", false)
        .utf16(parent + 232, "..\\base\\a.vhdx!", false);
    image.resize(items + 4096);
    return {"vhdx", ImageFormat::vhdx, image, 4 * mib, gib};
}

Sample parallels_sample()
{
    Image image(64);
    image.text(0, "WithoutFreeSpace").le32(16, 2).le32(28, 63).le32(32, 100).le64(36, 63 * 100);
    return {"parallels", ImageFormat::parallels, image, 65536, 63 * 100 * 512};
}

Sample ploop_sample()
{
    Image image(64);
    image.text(0, "WithouFreSpacExt").le32(16, 2).le32(28, 2048).le32(32, 1024).le64(36, gib / 512);
    image.le32(44, 0x312e3276).le32(48, 2048);
    return {"ploop", ImageFormat::ploop, image, mib, gib};
}

Sample bochs_sample()
{
    Image image(512);
    image.text(0, "Bochs Virtual HD Image")
        .text(32, "Redolog")
        .text(48, "Growing")
        .le32(64, 0x20000);
    image.le32(68, 512).le32(72, 2048).le32(76, 128).le32(80, 524288).le32(84, 7).le64(88, gib);
    return {"bochs", ImageFormat::bochs, image, 65536, gib};
}

Sample cloop_sample()
{
    Image image(136);
    image.text(
        0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"
           "exit $?\n");
    image.be32(128, 65536).be32(132, 2).be64(136, 160).be64(144, 1000).be64(152, 2000);
    return {"cloop", ImageFormat::cloop, image, 2000, 2 * 65536};
}

Sample dmg_sample()
{
    Image image(4096);
    image.text(0, "compressed").resize(4608);
    image.text(4096, "koly").be32(4100, 4).be32(4104, 512).be64(4120, 0).be64(4128, 4000);
    image.text(4160, "0123456789abcdef").be64(4096 + 216, 4000).be64(4096 + 224, 96);
    image.be64(4096 + 492, gib / 512);
    return {"dmg", ImageFormat::dmg, image, 4608, gib};
}

Sample iso_sample()
{
    Image image(34816);
    image.u8(32768, 1).text(32769, "CD001").u8(32774, 1).le32(32848, 20).be32(32852, 20);
    image.le16(32896, 2048).be16(32898, 2048);
    return {"iso", ImageFormat::iso, image, 40960, 40960};
}

Sample luks1_sample()
{
    Image image(592);
    image.text(0, "LUKS\xba\xbe")
        .be16(6, 1)
        .text(8, "aes")
        .text(40, "xts-plain64")
        .text(72, "sha256");
    image.be32(104, 4096).be32(108, 64).text(168, "01234567-89ab-cdef-0123-456789abcdef");
    image.be32(164, 1000);
    for (unsigned slot = 0; slot < 8; ++slot)
        image.be32(208 + 48 * slot, slot == 0 ? 0x00ac71f3 : 0xdead)
            .be32(248 + 48 * slot, 8 + 504 * slot)
            .be32(252 + 48 * slot, 4000);
    return {"luks1", ImageFormat::luks, image, 3 * mib, mib};
}

Sample luks2_sample()
{
    Image image(16384);
    image.text(0, "LUKS\xba\xbe").be16(6, 2).be64(8, 16384).be64(16, 3).text(72, "sha256");
    image.text(168, "01234567-89ab-cdef-0123-456789abcdef");
    image.text(
        4096,
        R"({"keyslots":{"0":{"type":"luks2","key_size":64,"af":{"type":"luks1","stripes":4000,)"
        R"("hash":"sha256"},"area":{"type":"raw","offset":"32768","size":"258048",)"
        R"("encryption":"aes-xts-plain64","key_size":64},"kdf":{"type":"argon2id","time":4,)"
        R"("memory":1048576,"cpus":2,"salt":"c2FsdA=="}}},"tokens":{},"segments":{"0":{)"
        R"("type":"crypt","offset":"16777216","size":"dynamic","iv_tweak":"0",)"
        R"("encryption":"aes-xts-plain64","sector_size":512}},"digests":{"0":{"type":"pbkdf2",)"
        R"("keyslots":["0"],"segments":["0"],"hash":"sha512","iterations":1,"salt":"","digest":""}},)"
        R"("config":{"json_size":"12288","keyslots_size":"16744448"}})");
    return {"luks2", ImageFormat::luks, image, 18 * mib, 2 * mib};
}

std::vector<Sample> all_samples()
{
    return {qcow_sample(),      qcow2_sample(),     qcow2_v2_sample(),  qed_sample(),
            cow_sample(),       cow_v3_sample(),    vmdk_sample(),      vmdk_stream_sample(),
            vmdk_text_sample(), vdi_sample(),       vpc_fixed_sample(), vpc_differencing_sample(),
            vhdx_sample(),      parallels_sample(), ploop_sample(),     bochs_sample(),
            cloop_sample(),     dmg_sample(),       iso_sample(),       luks1_sample(),
            luks2_sample()};
}

} // namespace image_test
