// SPDX-License-Identifier: LGPL-2.1-or-later
// The snapshot table and growing in place, against qemu-img and against damage made by hand.
#include "image/qcow2_create.hpp"
#include "image/qcow2_resize.hpp"
#include "image/qcow2_snapshots.hpp"

#include "file_io.hpp"
#include "support.hpp"

#include <basin/error.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace image_test;
using nlohmann::json;
using storage::Error;
using storage::ErrorCode;

namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t gib = 1024 * mib;

std::vector<storage::Snapshot> snapshots_of(const std::string& path)
{
    const auto fd = storage::open_file(path, O_RDONLY);
    return storage::read_qcow2_snapshots(fd.get(), path);
}

std::vector<storage::Snapshot> snapshots_of(const TempDir& dir, const Image& image)
{
    write_file(dir.path("image"), image.data);
    return snapshots_of(dir.path("image"));
}

bool grow(const std::string& path, std::uint64_t capacity)
{
    const auto fd = storage::open_file(path, O_RDWR);
    return storage::grow_qcow2(fd.get(), capacity, path);
}

void make(const std::string& path, const storage::Qcow2Options& options)
{
    const auto fd = storage::open_file(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    storage::write_qcow2(fd.get(), -1, options, path, nullptr);
}

void check_image(const std::string& path)
{
    const auto check = json::parse(run("qemu-img check --output=json " + path));
    CHECK(check.at("check-errors") == 0);
    CHECK_FALSE(check.contains("corruptions"));
    CHECK_FALSE(check.contains("leaks"));
}

json info_of(const std::string& path)
{
    auto info = json::parse(run("qemu-img info --output=json " + path));
    info.erase("filename");
    info.erase("actual-size");
    return info;
}

/** Clusters of 512 bytes, the table at 1024: one snapshot with all of the extra data. */
Image snapshot_image()
{
    Image image(4096);
    image.text(0, "QFI\xfb").be32(4, 3).be32(20, 9).be64(24, 5 * mib);
    image.be32(60, 1).be64(64, 1024).be32(100, 112);
    image.be16(1024 + 12, 1).be16(1024 + 14, 4).be32(1024 + 16, 1700000000).be32(1024 + 20, 999);
    image.be32(1024 + 36, 16).be64(1024 + 48, 3 * mib).text(1024 + 56, "7name");
    return image;
}

void check_damage(const Image& image, const std::string& word)
{
    const TempDir dir;
    INFO(word);
    try {
        snapshots_of(dir, image);
        FAIL("no error");
    } catch (const Error& error) {
        INFO(error.what());
        CHECK(error.code() == ErrorCode::parse_failed);
        CHECK(std::string(error.what()).find(word) != std::string::npos);
    }
}

} // namespace

TEST_CASE("qcow2 snapshots: what qemu-img made is read as it describes it")
{
    if (!have_tool("qemu-img"))
        return;
    const TempDir dir;
    const auto path = dir.path("image");
    const std::vector<std::string> names = {"first", "with blanks", "\xc3\xbcml\xc3\xa4ut", "4",
                                            std::string(200, 'n')};
    for (const std::string options : {"compat=0.10", "compat=1.1", "compat=1.1,cluster_size=512",
                                      "compat=1.1,extended_l2=on"}) {
        INFO(options);
        run("qemu-img create -q -f qcow2 -o " + options + " " + path + " 10M");
        CHECK(snapshots_of(path).empty());
        for (const auto& name : names)
            run("qemu-img snapshot -c '" + name + "' " + path);
        run("qemu-img snapshot -d first " + path);
        const bool sized = options != "compat=0.10";
        if (sized) { // of another size than the snapshots; 0.10 cannot
            run("qemu-img resize -q " + path + " 20M");
            run("qemu-img snapshot -c last " + path);
        }

        const auto found = snapshots_of(path);
        const auto told = info_of(path).at("snapshots");
        REQUIRE(found.size() == told.size());
        REQUIRE(found.size() == names.size() - 1 + (sized ? 1 : 0));
        for (std::size_t i = 0; i < found.size(); ++i) {
            CHECK(found[i].name == told[i].at("name").get<std::string>());
            CHECK(found[i].id == told[i].at("id").get<std::string>());
            CHECK(found[i].created.seconds == told[i].at("date-sec").get<std::int64_t>());
            CHECK(found[i].created.nanoseconds == told[i].at("date-nsec").get<std::uint32_t>());
            CHECK(found[i].size == (found[i].name == "last" ? 20 * mib : 10 * mib));
        }
    }
}

TEST_CASE("qcow2 snapshots: fields, as they are and damaged")
{
    const TempDir dir;
    auto found = snapshots_of(dir, snapshot_image());
    REQUIRE(found.size() == 1);
    CHECK(found[0] == storage::Snapshot{.name = "name",
                                        .id = "7",
                                        .created = {.seconds = 1700000000, .nanoseconds = 999},
                                        .size = 3 * mib});
    // Without the disk's size: that of the image. The names follow the extra data.
    found = snapshots_of(
        dir, snapshot_image().be32(1024 + 36, 8).text(1024 + 48, std::string("8other\0\0", 8)));
    CHECK(found[0].size == 5 * mib);
    CHECK(found[0].id == "8");
    CHECK(found[0].name == "othe");
    found = snapshots_of(dir, snapshot_image().text(1024 + 57, "\xff\na\xc3"));
    CHECK(found[0].name == "\\xff\\x0aa\\xc3");
    // The second entry begins at the next multiple of 8: 56 + 5 bytes, then 64. Its names reach up
    // to the last byte of the file.
    auto two = snapshot_image().be32(60, 2);
    two.be16(1088 + 12, 1000).be16(1088 + 14, 1968).text(1088 + 40, std::string(2968, 'x'));
    CHECK(two.data.size() == 4096);
    found = snapshots_of(dir, two);
    REQUIRE(found.size() == 2);
    CHECK(found[1].id == std::string(1000, 'x'));
    CHECK(found[1].name == std::string(1968, 'x'));
    CHECK(snapshots_of(dir, snapshot_image().be32(60, 0).be64(64, 3)).empty());

    check_damage(two.be16(1088 + 14, 1969), "snapshot 1 at offset");
    check_damage(snapshot_image().be32(0, 0), "magic");
    check_damage(snapshot_image().be32(4, 1), "version");
    check_damage(snapshot_image().resize(71), "header");
    check_damage(snapshot_image().be32(20, 8), "cluster_bits 8");
    check_damage(snapshot_image().be32(20, 64), "cluster_bits 64");
    check_damage(snapshot_image().be32(60, 65537), "nb_snapshots 65537");
    check_damage(snapshot_image().be32(60, UINT32_MAX), "nb_snapshots");
    check_damage(snapshot_image().be64(64, 0), "snapshots_offset 0");
    check_damage(snapshot_image().be64(64, 1025), "snapshots_offset 1025");
    check_damage(snapshot_image().be64(64, 1 << 20), "snapshots_offset");
    check_damage(snapshot_image().be64(64, UINT64_MAX - 511), "snapshots_offset");
    check_damage(snapshot_image().be32(60, 65536), "snapshot ");
    check_damage(snapshot_image().be32(1024 + 20, 1000000000), "date_nsec");
    check_damage(snapshot_image().be32(1024 + 36, UINT32_MAX), "extra_data_size");
    check_damage(snapshot_image().be32(1024 + 36, 16 << 20), "beyond the end");
    check_damage(snapshot_image().be16(1024 + 14, UINT16_MAX), "beyond the end");

    // Long enough a file, yet more than 16 MiB of table.
    auto large = snapshot_image().be32(60, 300);
    for (std::size_t at = 1024, i = 0; i < 300; ++i, at += 40 + 65536)
        large.be32(at + 36, 65536).be16(at + 12, 0).be16(at + 14, 0).resize(at + 40 + 65536);
    check_damage(large, "16 MiB");
}

TEST_CASE("qcow2 growth: header alone, as qemu-img does it")
{
    if (!have_tool("qemu-img") || !have_tool("qemu-io"))
        return;
    const TempDir dir;
    const auto ours = dir.path("ours");
    const auto theirs = dir.path("theirs");
    struct Case {
        std::string options;
        std::uint64_t before;
        std::uint64_t after;
        bool snapshot = false;
    };
    const Case cases[] = {
        {"compat=1.1", 10 * mib, 20 * mib},                  // same L1 entry
        {"compat=1.1", 10 * mib, 3 * gib},                   // six of them instead of one
        {"compat=1.1", 10 * mib, std::uint64_t{4096} * gib}, // the L1 table's cluster filled
        {"compat=0.10", 10 * mib + 512, 3 * gib + 1000},     // rounded up
        {"compat=1.1,cluster_size=512", mib, 2 * mib},       // 64 entries, as many as fit
        {"compat=1.1,cluster_size=2M", 10 * mib, 4096 * gib},
        {"compat=1.1,extended_l2=on", 10 * mib, 2048 * gib},
        {"compat=1.1", 10 * mib, 10 * gib, true},
        {"compat=1.1,lazy_refcounts=on", 10 * mib, 10 * gib},
        {"compat=1.1,preallocation=metadata", mib, 10 * gib},
        {"compat=1.1,refcount_bits=64", 10 * mib, 10 * gib},
        {"compat=1.1,compression_type=zstd", 10 * mib, 10 * gib},
    };
    for (const auto& c : cases) {
        INFO(c.options << " " << c.before << " to " << c.after);
        const auto rounded = (c.after + 511) / 512 * 512;
        run("qemu-img create -q -f qcow2 -o " + c.options + " " + ours + " " +
            std::to_string(c.before) + " && qemu-io -c 'write -P 5 100k 300k' " + ours + " && " +
            (c.snapshot ? "qemu-img snapshot -c one " + ours + " && " : "") + "cp " + ours + " " +
            theirs + " && qemu-img resize -q " + theirs + " " + std::to_string(rounded));
        REQUIRE(grow(ours, c.after));
        check_image(ours);
        CHECK(info_of(ours) == info_of(theirs));
        if (rounded <= 20 * gib)
            CHECK(run("qemu-img compare " + ours + " " + theirs) == "Images are identical.\n");
        const auto end = std::to_string(rounded - 1024);
        const auto output =
            run("qemu-io -c 'read -P 5 100k 300k' -c 'read -P 0 " + end + " 1k' -c 'write -P 6 " +
                end + " 1k' -c 'read -P 6 " + end + " 1k' " + ours);
        CHECK(output.find("verification failed") == output.npos);
        check_image(ours);
        CHECK(grow(ours, c.after)); // nothing to do
    }
}

TEST_CASE("qcow2 growth: what an earlier L1 table left does not come back")
{
    if (!have_tool("qemu-img"))
        return;
    const TempDir dir;
    const auto path = dir.path("image");
    make(path, {.capacity = 10 * mib});
    const auto l1 = std::uint64_t{3} * 65536;
    Image stale;
    stale.text(0, read_file(path));
    REQUIRE(stale.data.size() == l1 + 65536);
    for (std::size_t i = 1; i < 8192; ++i)
        stale.be64(l1 + 8 * i, 0x8000000000000000 + l1);
    write_file(path, stale.data);
    check_image(path);
    REQUIRE(grow(path, 3 * gib));
    check_image(path);
    CHECK(info_of(path).at("virtual-size") == 3 * gib);
    const auto map = json::parse(run("qemu-img map --output=json " + path));
    REQUIRE(map.size() == 1);
    CHECK(map[0].at("length") == 3 * gib);
    CHECK(map[0].at("present") == false);
    // Only what came into use was touched.
    CHECK(read_file(path).substr(l1 + 6 * 8) == stale.data.substr(l1 + 6 * 8));
}

TEST_CASE("qcow2 growth: cases for qemu-img are left alone")
{
    const TempDir dir;
    const auto path = dir.path("image");
    const auto left_alone = [&](std::uint64_t capacity) {
        const auto before = read_file(path);
        const bool grown = grow(path, capacity);
        return !grown && read_file(path) == before;
    };
    // Makes an image of ours with other header fields.
    const auto changed = [&](auto&& change) {
        make(path, {.capacity = 10 * mib});
        Image image;
        image.text(0, read_file(path));
        change(image);
        write_file(path, image.data);
        return left_alone(20 * mib);
    };
    CHECK_FALSE(changed([](Image&) {}));
    CHECK_FALSE(changed([](Image& image) { image.be32(60, 1).be64(64, 4 * 65536); })); // snapshots
    for (const int cluster : {0, 1, 3}) // which could reach into the L1 table in cluster 3
        CHECK(changed([&](Image& image) { image.be32(60, 1).be64(64, cluster * 65536u); }));
    CHECK(changed([](Image& image) { image.be32(4, 2).be32(60, 1); }));   // the same with 0.10
    CHECK(changed([](Image& image) { image.be64(8, 200).be32(16, 4); })); // backing file
    CHECK(changed([](Image& image) { image.be32(32, 2); }));              // encryption
    for (const int bit : {0, 1, 2, 5, 63})
        CHECK(changed([&](Image& image) { image.be64(72, std::uint64_t{1} << bit); }));
    for (const int bit : {0, 1, 2})
        CHECK(changed([&](Image& image) { image.be64(88, std::uint64_t{1} << bit); }));
    CHECK(changed([](Image& image) { image.be32(112, 0x23852875).be32(116, 24); })); // bitmaps
    CHECK(changed([](Image& image) { image.be32(112, 1).be32(116, 60000); }));
    CHECK(changed([](Image& image) { image.be32(112, 1).be32(116, UINT32_MAX); }));
    CHECK(changed([](Image& image) { image.be32(20, 8); }));
    CHECK(changed([](Image& image) { image.be32(20, 64); }));
    CHECK(changed([](Image& image) { image.be32(36, 0); }));
    CHECK(changed([](Image& image) { image.be32(36, UINT32_MAX); }));
    CHECK(changed([](Image& image) { image.be64(40, 0); }));
    CHECK(changed([](Image& image) { image.be64(40, 65536 + 8); }));
    CHECK(changed([](Image& image) { image.be64(40, 65536); })); // the refcount table's cluster
    CHECK(changed([](Image& image) { image.be64(40, UINT64_MAX - 65535); }));
    CHECK(changed([](Image& image) { image.be64(40, 1 << 30); })); // beyond the end
    CHECK(changed([](Image& image) { image.be32(100, 64); }));

    make(path, {.capacity = 10 * mib});
    CHECK(left_alone(std::uint64_t{4096} * gib + 1)); // one cluster holds 8192 entries of 512 MiB
    make(path, {.capacity = 0});
    CHECK(left_alone(mib)); // no L1 table yet
}

TEST_CASE("qcow2 growth: errors, and images in use")
{
    const TempDir dir;
    const auto path = dir.path("image");
    const auto code = [&](std::uint64_t capacity) {
        try {
            grow(path, capacity);
        } catch (const Error& error) {
            return error.code();
        }
        FAIL("no error");
        return ErrorCode::internal;
    };
    make(path, {.capacity = 10 * mib});
    CHECK(code(10 * mib - 512) == ErrorCode::invalid_argument);
    CHECK(code(UINT64_MAX) == ErrorCode::invalid_argument);
    make(path, {.capacity = std::uint64_t{128} * gib, .cluster_size = 512});
    CHECK(code(std::uint64_t{128} * gib + 1) == ErrorCode::invalid_argument);
    write_file(path, "QFI\xfb");
    CHECK(code(20 * mib) == ErrorCode::parse_failed);
    write_file(path, std::string(4096, 'x'));
    CHECK(code(20 * mib) == ErrorCode::parse_failed);

    if (!have_tool("qemu-io"))
        return;
    make(path, {.capacity = 10 * mib});
    auto* pipe = ::popen(("exec qemu-io " + path + " >/dev/null 2>&1").c_str(), "we");
    REQUIRE(pipe != nullptr);
    // It holds its locks once it sleeps for the next command: wait until the file shows one.
    const auto locked = [&] {
        const auto fd = storage::open_file(path, O_RDWR);
        struct flock request {};
        request.l_type = F_WRLCK;
        request.l_whence = SEEK_SET;
        request.l_start = 101; // the permission to write
        request.l_len = 1;
        return ::fcntl(fd.get(), F_OFD_GETLK, &request) == 0 && request.l_type != F_UNLCK;
    };
    for (int i = 0; i < 1000 && !locked(); ++i)
        ::usleep(10000);
    REQUIRE(locked());
    const auto before = read_file(path);
    CHECK(code(20 * mib) == ErrorCode::busy);
    CHECK(read_file(path) == before);
    ::pclose(pipe);
    CHECK(grow(path, 20 * mib));
}
