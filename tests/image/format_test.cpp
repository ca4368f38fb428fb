// SPDX-License-Identifier: LGPL-2.1-or-later
// What is read from images that were written by hand, format by format.
#include "samples.hpp"

#include <catch2/catch.hpp>

using namespace image_test;
using storage::ImageReference;

namespace {

ImageInfo healthy(const Sample& sample)
{
    auto info = inspect(sample.image, sample.size);
    INFO(findings(info));
    CHECK(info.findings.empty());
    return info;
}

} // namespace

TEST_CASE("every sample is recognised, with its size and without findings", "[image]")
{
    for (const auto& sample : all_samples()) {
        INFO(sample.name);
        const auto info = healthy(sample);
        CHECK(to_string(info.format) == to_string(sample.format));
        CHECK(info.virtual_size == sample.virtual_size);
    }
}

TEST_CASE("qcow: encryption, cluster size, backing file without format", "[image]")
{
    const auto info = healthy(qcow_sample());
    CHECK(info.version == "1");
    CHECK(info.cluster_size == 4096);
    CHECK(info.backing == ImageReference{"/base.img", "", false, ""});
    REQUIRE(info.encryption.has_value());
    CHECK(info.encryption->format == "qcow");
    CHECK(info.compat.empty());
}

TEST_CASE("qcow2 version 3: every extension", "[image]")
{
    const auto info = healthy(qcow2_sample());
    CHECK(info.version == "3");
    CHECK(info.compat == "1.1");
    CHECK(info.compression == "zstd");
    CHECK(info.refcount_bits == 16);
    CHECK(info.snapshot_count == 2);
    CHECK(info.features == std::vector<std::string>{"lazy_refcounts"});
    CHECK(info.backing == ImageReference{"../base/a.qcow2", "qcow2", true, ""});
}

TEST_CASE("qcow2 version 2: no features, undeclared backing format", "[image]")
{
    const auto info = healthy(qcow2_v2_sample());
    CHECK(info.version == "2");
    CHECK(info.compat == "0.10");
    CHECK(info.cluster_size == 4096);
    CHECK(info.refcount_bits == 16);
    CHECK(info.backing == ImageReference{"base.img", "", false, ""});
}

TEST_CASE("qcow2: feature bits become features or findings", "[image]")
{
    const auto with = [](std::uint64_t incompatible) {
        auto image = qcow2_sample().image;
        image.be64(72, incompatible | 1 << 3);
        return inspect(image, 0x60000);
    };
    CHECK(has(with(1), ImageIssue::marked_dirty));
    CHECK(has(with(2), ImageIssue::marked_corrupt));
    CHECK(with(4).features == std::vector<std::string>{"lazy_refcounts", "data_file"});
    CHECK_FALSE(with(4).data_file.has_value());
    CHECK(with(16).features == std::vector<std::string>{"lazy_refcounts", "extended_l2"});
    const auto unknown = with(1 << 9);
    REQUIRE(has(unknown, ImageIssue::unsupported_version));
    CHECK(findings(unknown).find("512 'future'") != std::string::npos);
}

TEST_CASE("qcow2: a header without tables still tells its size", "[image]")
{
    Image image(512);
    image.text(0, "QFI\xfb").be32(4, 3).be32(20, 16).be64(24, 10 << 20).be32(96, 4).be32(100, 104);
    const auto info = inspect(image);
    CHECK(info.format == ImageFormat::qcow2);
    CHECK(info.virtual_size == 10 << 20);
    CHECK(has(info, ImageIssue::malformed)); // an L1 table of no entries
}

TEST_CASE("qcow2: impossible numbers are findings, never sizes", "[image]")
{
    const auto with = [](auto change) {
        auto image = qcow2_sample().image;
        change(image);
        return inspect(image, 0x60000);
    };
    for (const std::uint64_t size :
         {UINT64_MAX, std::uint64_t{1} << 63, (std::uint64_t{1} << 62)}) {
        const auto info = with([&](Image& image) { image.be64(24, size); });
        CHECK(info.virtual_size == 0);
        CHECK(has(info, ImageIssue::malformed));
    }
    for (const unsigned bits : {0U, 8U, 22U, 63U, 64U, 0xffffffffU}) {
        const auto info = with([&](Image& image) { image.be32(20, bits); });
        CHECK(info.format == ImageFormat::qcow2);
        CHECK(info.cluster_size == 0);
        CHECK(info.virtual_size == 0);
        CHECK(has(info, ImageIssue::malformed));
    }
    CHECK(has(with([](Image& image) { image.be32(96, 7); }), ImageIssue::malformed));
    CHECK(has(with([](Image& image) { image.be32(100, 96); }), ImageIssue::malformed));
    CHECK(has(with([](Image& image) { image.be32(4, 4); }), ImageIssue::unsupported_version));
    CHECK(has(with([](Image& image) { image.be32(32, 3); }), ImageIssue::unsupported_version));
    CHECK(has(with([](Image& image) { image.u8(104, 2); }), ImageIssue::unsupported_version));
    CHECK(has(with([](Image& image) { image.u8(104, 0); }), ImageIssue::malformed));
    CHECK(has(with([](Image& image) { image.be32(116, 0xffffffff); }), ImageIssue::malformed));
    CHECK(has(with([](Image& image) { image.be64(40, UINT64_MAX); }), ImageIssue::truncated));
    CHECK(has(with([](Image& image) { image.be32(60, 0xffffffff); }), ImageIssue::malformed));
}

TEST_CASE("qcow2: a backing file name that cannot be one is a finding", "[image]")
{
    const auto with = [](auto change) {
        auto image = qcow2_sample().image;
        change(image);
        return inspect(image, 0x60000);
    };
    for (const auto& info : {with([](Image& image) { image.text(512, "\xff\xfe"); }),
                             with([](Image& image) { image.text(515, "\n"); }),
                             with([](Image& image) { image.be32(16, 1024); }),
                             with([](Image& image) { image.be64(8, UINT64_MAX - 3); }),
                             with([](Image& image) { image.be64(8, 0x60000); })}) {
        REQUIRE(info.backing.has_value());
        CHECK(info.backing->path.empty());
        CHECK_FALSE(info.findings.empty());
    }
    CHECK_FALSE(with([](Image& image) { image.be32(16, 0); }).backing.has_value());
    const auto longest =
        with([](Image& image) { image.be32(16, 1023).text(512, std::string(1023, 'x')); });
    CHECK(longest.backing->path == std::string(1023, 'x'));
}

TEST_CASE("qcow2: the data file is the one that QEMU opens", "[image]")
{
    const auto with = [](std::uint64_t backing_offset, unsigned second_length) {
        Image image(1024);
        image.text(0, "QFI\xfb").be32(4, 3).be64(8, backing_offset).be32(20, 16).be64(24, 1 << 20);
        image.be32(36, 1).be64(40, 0x10000).be64(48, 0x20000).be32(56, 1).be64(72, 4);
        image.be32(96, 4).be32(100, 104);
        image.be32(104, 0x44415441).be32(108, 8).text(112, "/etc/abc");
        image.be32(120, 0x44415441).be32(124, second_length).text(128, "/pool/ok");
        return inspect(image, 0x40000);
    };
    // The extensions end where a backing file name begins, also one of no bytes.
    CHECK(with(120, 8).data_file == ImageReference{"/etc/abc", "raw", true, ""});
    CHECK(has(with(0, 8), ImageIssue::malformed));
    CHECK(has(with(0, 0), ImageIssue::malformed));
}

TEST_CASE("QED: flags", "[image]")
{
    auto image = qed_sample().image;
    CHECK(healthy(qed_sample()).backing == ImageReference{"base.raw", "raw", true, ""});
    image.le64(16, 1 | 2);
    auto info = inspect(image, 5 * 65536);
    CHECK(info.backing == ImageReference{"base.raw", "", false, ""});
    CHECK(has(info, ImageIssue::marked_dirty));
    image.le64(16, 8);
    info = inspect(image, 5 * 65536);
    CHECK_FALSE(info.backing.has_value());
    CHECK(has(info, ImageIssue::unsupported_version));
}

TEST_CASE("cow: both layouts of version 2, both of version 3", "[image]")
{
    CHECK(healthy(cow_sample()).backing == ImageReference{"/srv/base", "", false, ""});
    CHECK(healthy(cow_v3_sample()).backing == ImageReference{"/srv/root_fs", "", false, ""});

    Image linux_v2(4120);
    linux_v2.text(0, "OOOM").be32(4, 2).text(8, "/srv/long").be64(4108, 1 << 20).be32(4116, 512);
    auto info = inspect(linux_v2);
    CHECK(info.virtual_size == 1 << 20);
    CHECK(info.backing->path == "/srv/long");

    Image padded(4132);
    padded.text(0, "OOOM").be32(4, 3).be64(16, 1 << 20).be32(24, 512).be32(28, 4096);
    padded.text(36, "/srv/padded");
    info = inspect(padded);
    CHECK(info.virtual_size == 1 << 20);
    CHECK(info.backing->path == "/srv/padded");

    CHECK(has(inspect(Image(64).text(0, "OOOM").be32(4, 9)), ImageIssue::unsupported_version));
}

TEST_CASE("VMDK: parent, text, stream", "[image]")
{
    auto info = healthy(vmdk_sample());
    CHECK(info.variant == "monolithicSparse");
    CHECK(info.cluster_size == 65536);
    CHECK(info.backing == ImageReference{"base disk.vmdk", "vmdk", true, ""});
    CHECK(info.uuid == "1b2c");
    CHECK(info.extents.empty());

    info = healthy(vmdk_text_sample());
    CHECK(info.variant == "twoGbMaxExtentFlat");
    CHECK(info.extents == std::vector<std::string>{"disk one-f001.vmdk", "disk one-f002.vmdk"});
    CHECK(info.data_file == ImageReference{"disk one-f001.vmdk", "raw", true, ""});
    CHECK_FALSE(info.backing.has_value());

    info = healthy(vmdk_stream_sample());
    CHECK(info.variant == "streamOptimized");
    CHECK(info.compression == "zlib");
    info = inspect(vmdk_stream_sample().image, 16384);
    CHECK(has(info, ImageIssue::truncated)); // no footer where it must be
    CHECK(info.virtual_size == 1 << 30);     // the descriptor tells it as well
}

TEST_CASE("VMDK: an uncleanly closed disk and one that a text transfer broke", "[image]")
{
    auto image = vmdk_sample().image;
    CHECK(has(inspect(image.u8(72, 1), 65536), ImageIssue::marked_dirty));
    CHECK(has(inspect(image.text(73, "\n \n\n"), 65536), ImageIssue::malformed));
}

TEST_CASE("VMDK: ESX sparse extents", "[image]")
{
    Image image(512);
    image.text(0, "COWD").le32(4, 1).le32(12, 2048).le32(16, 1).le32(20, 4).le32(24, 1);
    const auto info = inspect(image, 8192);
    CHECK(info.format == ImageFormat::vmdk);
    CHECK(info.variant == "vmfsSparse");
    CHECK(info.virtual_size == 1 << 20);
}

TEST_CASE("VMDK: what QEMU follows is told, wherever it stands", "[image]")
{
    const auto sparse = [](const std::string& text) {
        auto image = vmdk_sample().image;
        image.data.resize(512);
        return image.text(512, "# Disk DescriptorFile\nversion=1\n" + text).resize(16384);
    };
    const std::string flat = "createType=\"monolithicFlat\"\nRW 16 FLAT \"/etc/shadow\" 0\n";
    const ImageReference shadow{"/etc/shadow", "raw", true, ""};
    // Without a capacity the data lies where the text says; its length in the header is not asked.
    for (const unsigned length : {20, 0, 1}) {
        auto image = sparse("#" + std::string(600, ' ') + '\n' + flat);
        const auto info = inspect(image.le64(12, 0).le64(36, length), 65536);
        CHECK(info.extents == std::vector<std::string>{"/etc/shadow"});
        CHECK(info.data_file == shadow);
        CHECK(info.virtual_size == 8192);
    }
    CHECK(inspect(sparse(flat), 65536).extents.empty()); // with one it lies in the file itself
    const std::string text = "# Disk DescriptorFile\nversion=1\n";
    for (const auto* blank : {"\f", "\v", " \v\t", "\r\f"})
        CHECK(inspect(text + blank + flat.substr(flat.find("RW"))).data_file == shadow);

    // QEMU takes the first 511 bytes of a name, and opens what they say.
    const auto named = [&](std::size_t length) {
        return inspect(text + "createType=\"vmfs\"\nRW 16 VMFS \"/" + std::string(length - 1, 'x') +
                       "\"\n");
    };
    CHECK_FALSE(has(named(511), ImageIssue::malformed));
    CHECK(has(named(512), ImageIssue::malformed));

    const ImageReference parent{"/etc/x", "vmdk", true, ""};
    const std::string hint = "parentFileNameHint=\"/etc/x\"\n";
    for (const auto& odd : std::vector<std::string>{
             "# " + hint, "a=b " + hint, hint + "parentFileNameHint=\"base.vmdk\"\n",
             "RW 16 ZERO " + hint, "parentFileNameHint:'/etc/x\"\n"}) {
        INFO(odd);
        auto info = inspect(sparse(odd), 65536);
        CHECK(info.backing == parent);
        CHECK(has(info, ImageIssue::malformed));
        info = inspect(text + odd + flat);
        CHECK(info.backing == parent);
        CHECK(has(info, ImageIssue::malformed));
    }
    auto info = inspect(sparse(hint).le64(28, 0), 65536); // no descriptor, says the header
    CHECK(info.backing == parent);
    CHECK(has(info, ImageIssue::malformed));
    Image cowd(512);
    cowd.text(0, "COWD").le32(4, 1).le32(12, 2048).le32(16, 1).le32(20, 4).le32(24, 1);
    CHECK(inspect(cowd.text(512, hint), 8192).backing == parent);
    // Where QEMU does not look for it, it would read zeros instead of what the parent has.
    info = inspect(sparse("#" + std::string(12000, ' ') + '\n' + hint).le64(36, 40), 65536);
    CHECK(info.backing == parent);
    CHECK(has(info, ImageIssue::malformed));
    CHECK(inspect(sparse(hint + "createType=\"monolithicSparse\"\n"), 65536).findings.empty());
}

TEST_CASE("VMDK: text that only begins like a descriptor", "[image]")
{
    auto info = inspect("# Disk DescriptorFile\nThis page explains the format.\n");
    CHECK(info.format == ImageFormat::vmdk);
    CHECK(info.virtual_size == 0);
    CHECK(has(info, ImageIssue::malformed));
    CHECK(inspect("# a shell script\nversion=1\necho $version\n").format == ImageFormat::raw);
    CHECK(inspect("# made by hand\nversion=1\ncreateType=\"vmfs\"\nRW 8 VMFS \"a-flat.vmdk\"\n")
              .virtual_size == 4096);
    CHECK(inspect("#\n\n \n").format == ImageFormat::raw);
    CHECK(inspect("version=1").format == ImageFormat::raw);
}

TEST_CASE("VMDK: hostile descriptors stay bounded", "[image]")
{
    std::string text = "# Disk DescriptorFile\nversion=1\ncreateType=\"custom\"\n";
    for (int i = 0; i < 3000; ++i)
        text += "RW 8 SPARSE \"x\"\n";
    auto info = inspect(text);
    CHECK(info.extents.size() == 256);
    CHECK(has(info, ImageIssue::limit_exceeded));
    CHECK(info.virtual_size == 3000 * 8 * 512);

    text.resize(1 << 20, '\n');
    CHECK(has(inspect(text), ImageIssue::limit_exceeded));

    info = inspect("# Disk DescriptorFile\nversion=1\ncreateType=\"x\"\n"
                   "RW 18446744073709551615 FLAT \"a\" 0\nRW 18446744073709551615 FLAT \"b\"\n"
                   "RW 99999999999999999999 FLAT \"c\"\nRW -1 FLAT \"d\"\nRW 1 FLAT noquotes\nRW\n"
                   "RW 1 FLAT \"\xff\"\nparentFileNameHint=\"\x01\"\nparentCID=12345678\n");
    CHECK(info.virtual_size == 0);
    REQUIRE(info.backing.has_value());
    CHECK(info.backing->path.empty());
    CHECK(info.findings.size() >= 6);
}

TEST_CASE("VDI: a differencing disk names its parent by identity", "[image]")
{
    const auto info = healthy(vdi_sample());
    CHECK(info.variant == "differencing");
    CHECK(info.version == "1.1");
    CHECK(info.cluster_size == 1 << 20);
    CHECK(info.uuid == "44434241-4645-4847-494a-4b4c4d4e4f50");
    CHECK(info.backing == ImageReference{"", "vdi", true, "64636261-6665-6867-696a-6b6c6d6e6f70"});
    auto image = vdi_sample().image;
    CHECK(inspect(image.le64(368, (1ULL << 30) + 1), 2 << 20).virtual_size == 0);
    CHECK(has(inspect(image.le32(68, 1), 2 << 20), ImageIssue::unsupported_version));
}

TEST_CASE("VHD: fixed disks of odd sizes, with footers of 512 and 511 bytes", "[image]")
{
    const auto sample = vpc_fixed_sample();
    auto info = healthy(sample);
    CHECK(info.variant == "fixed");
    CHECK(info.uuid == "30313233-3435-3637-3839-616263646566");
    info = inspect(std::string_view(sample.image.data).substr(0, sample.size - 1));
    CHECK(info.format == ImageFormat::vpc);
    CHECK(info.virtual_size == 8192);
    CHECK(info.findings.empty());

    Image empty; // the footer alone
    empty.text(0, sample.image.data.substr(8192)).be64(40, 0).be64(48, 0);
    seal_vhd(empty, 0, 512, 64);
    CHECK(inspect(empty).variant == "fixed");

    auto broken = sample.image;
    CHECK(has(inspect(broken.u8(8192 + 100, 1)), ImageIssue::malformed));
    CHECK(has(inspect(std::string_view(sample.image.data).substr(4096)), ImageIssue::truncated));
}

TEST_CASE("VHD: the size is the current one, or the geometry's for programs that meant that",
          "[image]")
{
    const auto size_of = [](std::string_view creator, std::uint64_t original, std::uint64_t current,
                            unsigned cylinders, unsigned heads, unsigned sectors) {
        auto image = vpc_fixed_sample().image;
        image.text(8192 + 28, creator).be64(8192 + 40, original).be64(8192 + 48, current);
        image.be16(8192 + 56, cylinders).u8(8192 + 58, heads).u8(8192 + 59, sectors);
        return inspect(image).virtual_size;
    };
    constexpr std::uint64_t geometry = 100 * 4 * 17 * 512;
    for (const auto* creator : {"win ", "d2v ", "tap\0", "CTXS", "qem2", "vbox", "wa\0\0"})
        CHECK(size_of({creator, 4}, 1024, 8192, 100, 4, 17) == 8192);
    for (const auto* creator : {"vpc ", "qemu"})
        CHECK(size_of(creator, 1024, 8192, 100, 4, 17) == geometry);
    CHECK(size_of("vpc ", 1024, 8192, 65535, 16, 255) == 8192);
    CHECK(size_of("win ", 1024, UINT64_MAX, 100, 4, 17) == 0);
}

TEST_CASE("VHD: the parent of a differencing disk", "[image]")
{
    const auto sample = vpc_differencing_sample();
    auto info = healthy(sample);
    CHECK(info.variant == "differencing");
    CHECK(info.cluster_size == 2 << 20);
    CHECK(info.backing ==
          ImageReference{".\\parent.vhd", "vpc", true, "66656463-6261-3938-3736-353433323130"});
    auto image = sample.image; // without locators the name is all there is
    image.text(1088, std::string(48, '\0'));
    seal_vhd(image, 512, 1024, 36);
    CHECK(inspect(image, sample.size).backing->path == "parent.vhd");
    image.text(1088, "W2ku").be32(1096, 0xffffffff).be64(1104, UINT64_MAX);
    CHECK(has(inspect(image, sample.size), ImageIssue::malformed));
}

TEST_CASE("VHD: a dynamic disk that lost the copy of its footer", "[image]")
{
    const auto sample = vpc_differencing_sample();
    auto image = sample.image;
    const auto footer = image.data.substr(0, 512);
    image.resize(sample.size).text(sample.size - 512, footer).text(0, std::string(512, '\0'));
    const auto info = inspect(image);
    CHECK(info.format == ImageFormat::vpc);
    CHECK(info.virtual_size == sample.virtual_size);
    CHECK(has(info, ImageIssue::malformed));
}

TEST_CASE("VHDX: a differencing disk", "[image]")
{
    const auto sample = vhdx_sample();
    const auto info = healthy(sample);
    CHECK(info.variant == "differencing");
    CHECK(info.version == "1");
    CHECK(info.cluster_size == 1 << 20);
    CHECK(info.uuid == "33323130-3534-3736-3839-616263646566");
    CHECK(info.backing == ImageReference{"..\\base\\a.vhdx!", "vhdx", true, "{id}"});
}

TEST_CASE("VHDX: damage to one copy is survived, a log to replay is told", "[image]")
{
    const auto sample = vhdx_sample();
    auto image = sample.image;
    image.text(64 << 10, "xxxx").le64((192 << 10) + 64, 4 << 20);
    CHECK(inspect(image, sample.size).findings.empty());
    CHECK(inspect(image, sample.size).virtual_size == sample.virtual_size);
    image.text((128 << 10) + 48, "log");
    seal_vhdx(image, 128 << 10, 4096);
    CHECK(has(inspect(image, sample.size), ImageIssue::marked_dirty));
    image.text(128 << 10, "xxxx");
    CHECK(has(inspect(image, sample.size), ImageIssue::malformed));
    image.text(256 << 10, "xxxx");
    CHECK(inspect(image, sample.size).virtual_size == 0);
    // A size above the format's 64 TiB
    auto huge = sample.image;
    huge.le64((1 << 20) + (64 << 10) + 32, (64ULL << 40) + 512);
    CHECK(inspect(huge, sample.size).virtual_size == 0);
}

TEST_CASE("Parallels: in use, and the half of the size that the old format uses", "[image]")
{
    auto image = parallels_sample().image;
    image.le32(40, 0xffffffff).le32(44, 0x746f6e59);
    const auto info = inspect(image, 65536);
    CHECK(info.virtual_size == parallels_sample().virtual_size);
    CHECK(info.cluster_size == 63 * 512);
    CHECK(has(info, ImageIssue::marked_dirty));
    CHECK(inspect(ploop_sample().image.le64(36, UINT64_MAX), 1 << 20).virtual_size == 0);
}

TEST_CASE("Bochs: both versions, three subtypes", "[image]")
{
    auto image = bochs_sample().image;
    CHECK(healthy(bochs_sample()).variant == "growing");
    CHECK(healthy(bochs_sample()).version == "2");
    image.le32(64, 0x10000).le64(84, 1 << 29).text(48, "Undoable");
    const auto info = inspect(image, 65536);
    CHECK(info.virtual_size == 1 << 29);
    CHECK(info.variant == "undoable");
    CHECK(has(inspect(image.text(48, "Sideways"), 65536), ImageIssue::unsupported_version));
}

TEST_CASE("ISO 9660: hybrid, cut off, and a file just too short for one", "[image]")
{
    const auto sample = iso_sample();
    auto image = sample.image;
    image.text(0, "\xeb\x63\x90").text(510, "\x55\xaa");
    CHECK(inspect(image, sample.size).format == ImageFormat::iso);
    CHECK(has(inspect(image, 38912), ImageIssue::truncated));
    CHECK(inspect(image, 38912).virtual_size == 38912);
    CHECK(inspect(std::string_view(image.data).substr(0, 32773)).format == ImageFormat::raw);
    CHECK(inspect(std::string_view(image.data).substr(0, 32774)).format == ImageFormat::iso);
}

TEST_CASE("disks with partition tables, and files of nothing much, are raw", "[image]")
{
    Image mbr(65536);
    mbr.text(0, "\xfa\xb8").text(510, "\x55\xaa").u8(450, 0x83).le32(454, 2048).le32(458, 1000);
    Image gpt = mbr;
    gpt.u8(450, 0xee).text(512, "EFI PART").text(65536 - 512, "EFI PART");
    for (const auto& image : {mbr, gpt}) {
        const auto info = inspect(image, 10 << 20);
        CHECK(info == ImageInfo{.virtual_size = 10 << 20});
    }
    CHECK(inspect("") == ImageInfo{});
    for (const std::string_view bytes : {"Q", "QFI", "QFI\xfa",
                                         "\x7f"
                                         "ELF",
                                         "cone", "koly", "LUKS"})
        CHECK(inspect(bytes) == ImageInfo{.virtual_size = bytes.size()});
}

TEST_CASE("names of formats and issues are those of the XML and of the enumerators", "[image]")
{
    CHECK(to_string(ImageFormat::vpc) == "vpc");
    CHECK(to_string(ImageFormat::dir) == "dir");
    CHECK(to_string(ImageFormat::luks) == "luks");
    CHECK(to_string(ImageFormat::parallels) == "parallels");
    CHECK(to_string(ImageIssue::unsupported_version) == "unsupported_version");
    CHECK(to_string(ImageIssue::limit_exceeded) == "limit_exceeded");
}

TEST_CASE("the JSON view leaves out what is absent", "[image]")
{
    CHECK(to_json(ImageInfo{}) == R"({"format":"raw","virtual_size":0})");
    const auto json = to_json(inspect(qcow2_v2_sample().image, 0x4000));
    CHECK(json == R"({"format":"qcow2","version":"2","virtual_size":8388608,"cluster_size":4096,)"
                  R"("compat":"0.10","backing":{"path":"base.img","format_declared":false},)"
                  R"("compression":"zlib","refcount_bits":16})");
    CHECK(to_json(inspect(luks1_sample().image, 3 << 20)).find(R"("ivgen":{"name":"plain64"})") !=
          std::string::npos);
    CHECK(to_json(inspect("QFI\xfb")).find(R"("findings":[{"issue":"truncated")") !=
          std::string::npos);
}
