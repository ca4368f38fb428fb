// SPDX-License-Identifier: LGPL-2.1-or-later
// Damage of every kind to every format: nothing crashes, and no size is made up.
#include "samples.hpp"
#include "utf8.hpp"

#include "image/inspection.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace image_test;

namespace {

/** One file for all variants of a sample: a new one for each would cost most of the time. */
class Scratch {
public:
    Scratch(const Sample& sample) : fd_(::memfd_create("image", MFD_CLOEXEC)), size_(sample.size)
    {
        REQUIRE(fd_ >= 0);
        REQUIRE(::ftruncate(fd_, static_cast<off_t>(size_)) == 0);
        write(0, sample.image.data);
    }
    ~Scratch() { ::close(fd_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    void write(std::size_t offset, std::string_view bytes)
    {
        if (::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) < 0)
            FAIL("pwrite");
    }
    void truncate(std::uint64_t size)
    {
        if (::ftruncate(fd_, static_cast<off_t>(size)) != 0)
            FAIL("ftruncate");
    }
    ImageInfo inspect() const { return storage::inspect_image(fd_); }

private:
    int fd_;
    std::uint64_t size_;
};

bool is_clean(const std::string& text)
{
    return text.size() <= 4096 && storage::is_plain_text(text);
}

bool is_clean(const std::optional<storage::ImageReference>& reference)
{
    return !reference ||
           (is_clean(reference->path) && is_clean(reference->format) && is_clean(reference->uuid));
}

bool is_clean(const std::optional<storage::Encryption>& encryption)
{
    if (!encryption || !encryption->cipher)
        return true;
    const auto& cipher = *encryption->cipher;
    return is_clean(cipher.name) && is_clean(cipher.mode) && is_clean(cipher.hash) &&
           (!encryption->ivgen ||
            (is_clean(encryption->ivgen->name) && is_clean(encryption->ivgen->hash)));
}

/** What must hold of any answer about any bytes. */
bool believable(const ImageInfo& info)
{
    return info.virtual_size <= INT64_MAX && info.findings.size() <= 65 &&
           info.extents.size() <= 256 && info.cluster_size <= std::uint64_t{1} << 41 &&
           info.snapshot_count <= 65536 && is_clean(info.uuid) && is_clean(info.variant) &&
           is_clean(info.version) && is_clean(info.backing) && is_clean(info.data_file) &&
           is_clean(info.encryption) &&
           std::all_of(info.extents.begin(), info.extents.end(),
                       [](const auto& extent) { return is_clean(extent); }) &&
           std::all_of(info.findings.begin(), info.findings.end(), [](const auto& finding) {
               return !finding.message.empty() && storage::is_plain_text(finding.message);
           });
}

/** The bytes of a sample that are worth damaging: those that are not zero, and their neighbours. */
std::vector<std::size_t> interesting(const std::string& bytes)
{
    std::vector<std::size_t> offsets;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (i < 128 || bytes[i] != 0 || bytes[i - 1] != 0 || bytes[i - 8] != 0)
            offsets.push_back(i);
    return offsets;
}

} // namespace

TEST_CASE("a header may end after any byte", "[damage]")
{
    for (const auto& sample : all_samples()) {
        INFO(sample.name);
        Scratch scratch(sample);
        const auto& bytes = sample.image.data;
        std::size_t last = bytes.size();
        for (std::size_t length = bytes.size(); length-- > 0;) {
            // In long runs of zeros one length is as good as another.
            if (length > 1024 && length % 509 != 0 && bytes[length] == 0 && bytes[length - 1] == 0)
                continue;
            scratch.truncate(length);
            last = length;
            const auto info = scratch.inspect();
            INFO(length << " bytes: " << findings(info));
            REQUIRE(believable(info));
            if (info.format == ImageFormat::raw)
                REQUIRE(info == ImageInfo{.virtual_size = length});
        }
        CHECK(last == 0);
    }
}

TEST_CASE("a qcow2 version 3 header of 8 to 103 bytes is cut off, not fatal", "[damage]")
{
    const auto bytes = qcow2_sample().image.data;
    for (std::size_t length = 4; length < 104; ++length) {
        const auto info = inspect(std::string_view(bytes).substr(0, length));
        INFO(length);
        CHECK(info.format == ImageFormat::qcow2);
        CHECK(has(info, ImageIssue::truncated));
        CHECK(info.virtual_size == 0);
    }
}

TEST_CASE("any byte may be 0x00, 0xff, or have its top bit flipped", "[damage]")
{
    for (const auto& sample : all_samples()) {
        INFO(sample.name);
        Scratch scratch(sample);
        const auto& bytes = sample.image.data;
        for (const auto offset : interesting(bytes)) {
            for (const int value : {0x00, 0xff, bytes[offset] ^ 0x80}) {
                scratch.write(offset, std::string(1, static_cast<char>(value)));
                const auto info = scratch.inspect();
                INFO("byte " << offset << " is " << value << ": " << findings(info));
                REQUIRE(believable(info));
            }
            scratch.write(offset, {&bytes[offset], 1});
        }
        CHECK(scratch.inspect().virtual_size == sample.virtual_size);
    }
}

TEST_CASE("any eight bytes may be an extreme number", "[damage]")
{
    const std::string extremes[] = {std::string(8, '\xff'),
                                    std::string("\x80\0\0\0\0\0\0\0", 8),
                                    std::string("\0\0\0\0\0\0\0\x80", 8),
                                    std::string("\x7f\xff\xff\xff\xff\xff\xff\xff", 8),
                                    std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8),
                                    std::string("\xff\xff\xff\xff\xff\xff\xfe\0", 8)};
    for (const auto& sample : all_samples()) {
        INFO(sample.name);
        Scratch scratch(sample);
        const auto& bytes = sample.image.data;
        for (const auto offset : interesting(bytes)) {
            if (offset + 8 > bytes.size())
                continue;
            for (const auto& extreme : extremes) {
                scratch.write(offset, extreme);
                const auto info = scratch.inspect();
                INFO("at byte " << offset << ": " << findings(info));
                REQUIRE(believable(info));
            }
            scratch.write(offset, std::string_view(bytes).substr(offset, 8));
        }
    }
}

TEST_CASE("random bytes after a magic make no size", "[damage]")
{
    std::uint64_t state = 88172645463325252ULL;
    const auto next = [&] {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    };
    for (const auto& sample : all_samples()) {
        INFO(sample.name);
        Scratch scratch(sample);
        const auto& bytes = sample.image.data;
        for (int round = 0; round < 200; ++round) {
            auto damaged = bytes.substr(0, 4096);
            const std::size_t first = sample.format == ImageFormat::vdi ? 72 : 8;
            for (std::size_t i = first; i < damaged.size(); ++i)
                damaged[i] = static_cast<char>(next());
            scratch.write(0, damaged);
            const auto info = scratch.inspect();
            INFO(findings(info));
            REQUIRE(believable(info));
        }
    }
}

TEST_CASE("what a header makes the inspector read is bounded", "[damage]")
{
    // Header extensions of no length, as many as a cluster of 2 MiB holds.
    Image image(2 << 20);
    image.text(0, "QFI\xfb")
        .be32(4, 3)
        .be32(20, 21)
        .be64(24, 1 << 20)
        .be32(36, 1)
        .be64(40, 2 << 20);
    image.be32(96, 4).be32(100, 104);
    for (std::size_t at = 104; at + 8 <= image.data.size(); at += 8)
        image.be32(at, 0x12345678);
    const auto info = inspect(image, 4 << 20);
    CHECK(has(info, ImageIssue::limit_exceeded));
    CHECK(info.virtual_size == 1 << 20);
}

TEST_CASE("a common image costs no read beyond its head", "[damage]")
{
    // With no descriptor to read from, any further read would fail.
    for (const auto& sample : {qcow2_sample(), qcow2_v2_sample(), qcow_sample(), qed_sample(),
                               vmdk_sample(), vdi_sample(), luks1_sample(), ploop_sample()}) {
        INFO(sample.name);
        const auto head = std::as_bytes(std::span(sample.image.data))
                              .first(std::min<std::size_t>(sample.image.data.size(), 4096));
        Image padded = sample.image;
        if (sample.name == std::string_view("qcow2"))
            padded.be32(60, 0); // no snapshots
        if (head.size() < 4096)
            padded.resize(4096);
        storage::ImageSource source(-1, sample.size,
                                    std::as_bytes(std::span(padded.data)).first(4096));
        CHECK(storage::inspect(source).virtual_size == sample.virtual_size);
        CHECK_FALSE(storage::looks_raw(source.head().span()));
    }
}

TEST_CASE("damage that QEMU refuses to open is told", "[image]")
{
    const auto damaged = [](const Sample& sample, auto change) {
        auto image = sample.image;
        change(image);
        const auto info = inspect(image, sample.size);
        INFO(sample.name << ": " << findings(info));
        CHECK(has(info, ImageIssue::malformed));
    };
    damaged(qcow2_v2_sample(), [](Image& image) { image.be64(8, 1 << 20).be32(16, 0); });
    damaged(qcow2_v2_sample(), [](Image& image) { image.be64(64, 12345); }); // of no snapshots
    damaged(qcow2_v2_sample(), [](Image& image) { image.be32(56, 0); });
    damaged(qed_sample(), [](Image& image) { image.le32(12, 1 << 16); });
    damaged(vmdk_sample(), [](Image& image) {
        image.text(512, "# Disk DescriptorFile\nversion=1\n" + std::string(512, '#'));
    });
    damaged(qcow2_sample(), [](Image& image) { // of the second snapshot, after 40 bytes
        image.resize(0x60000).be64(0x40000 + 40, 12345);
    });
    damaged(vdi_sample(), [](Image& image) { image.le32(360, 4096); });
    damaged(vdi_sample(), [](Image& image) { image.le32(76, 1); }); // dynamic, with a parent
    damaged(vdi_sample(), [](Image& image) { image.le32(340, 513); });
    damaged(parallels_sample(), [](Image& image) { image.le32(28, INT32_MAX / 513 + 1); });
    damaged(parallels_sample(), [](Image& image) { image.le64(56, 2); });
    for (unsigned at : {8, 40, 72}) // cipher, mode, hash
        damaged(luks1_sample(), [at](Image& image) { image.text(at, std::string(32, '\0')); });
    damaged(luks1_sample(), [](Image& image) { image.be32(164, 0); });
    damaged(luks1_sample(), [](Image& image) { image.be32(208 + 48 * 7, 1); });
    damaged(luks1_sample(), [](Image& image) { image.be32(252 + 48 * 3, 4001); });
    damaged(luks1_sample(), [](Image& image) { image.be32(248 + 48 * 3, 4000); });
    damaged(vhdx_sample(), [](Image& image) { // of both copies
        image.le64((192 << 10) + 64, 2 << 20).le64((256 << 10) + 64, 2 << 20);
    });

    // What lies between the tables and the first grain is cut off.
    const auto vmdk = vmdk_sample();
    CHECK(has(inspect(vmdk.image, vmdk.size - 1), ImageIssue::truncated));
}
