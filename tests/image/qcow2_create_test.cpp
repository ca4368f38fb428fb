// SPDX-License-Identifier: LGPL-2.1-or-later
// write_qcow2() beside `qemu-img create` with the same options: either both refuse, or QEMU finds
// the same in both images.
#include "image/qcow2_create.hpp"

#include "file_io.hpp"
#include "support.hpp"

#include <basin/error.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

using namespace image_test;
using nlohmann::json;
using storage::Error;
using storage::ErrorCode;
using storage::Preallocation;
using storage::Qcow2Options;

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t gib = 1024 * mib;
constexpr const char* modes[] = {"off", "metadata", "falloc", "full"};

constexpr Preallocation all_modes[] = {Preallocation::off, Preallocation::metadata,
                                       Preallocation::falloc, Preallocation::full};

std::uint64_t cluster_size_of(const Qcow2Options& options)
{
    return options.cluster_size != 0 ? options.cluster_size : 64 * kib;
}

std::string option_text(const Qcow2Options& options)
{
    std::string text =
        std::string("preallocation=") + modes[static_cast<int>(options.preallocation)];
    if (!options.compat.empty())
        text += ",compat=" + options.compat;
    if (options.cluster_size != 0)
        text += ",cluster_size=" + std::to_string(options.cluster_size);
    if (options.extended_l2)
        text += ",extended_l2=on";
    if (options.lazy_refcounts)
        text += ",lazy_refcounts=on";
    if (options.refcount_bits != 0)
        text += ",refcount_bits=" + std::to_string(options.refcount_bits);
    if (!options.backing_path.empty())
        text += ",backing_file=" + options.backing_path;
    if (!options.backing_format.empty())
        text += ",backing_fmt=" + options.backing_format;
    if (!options.data_file.empty())
        text += ",data_file=theirs.raw";
    if (options.data_file_raw)
        text += ",data_file_raw=on";
    return text;
}

/** A directory with images of ours and of qemu-img's. */
class Workshop {
public:
    /** Runs a command there; its exit status does not matter. */
    std::string shell(const std::string& command) const
    {
        return run("cd " + dir_.path("") + " && { " + command + "; }");
    }

    std::string path(std::string_view name) const { return dir_.path(name); }

    bool make_theirs(const Qcow2Options& options) const
    {
        const auto status =
            shell("rm -f theirs.*; qemu-img create -q -f qcow2 -o " + option_text(options) +
                  " theirs.qcow2 " + std::to_string(options.capacity) + " >answer 2>&1; echo $?");
        return status == "0\n";
    }

    bool make_ours(const Qcow2Options& options) const
    {
        const auto file = fresh("ours.qcow2");
        const auto data = options.data_file.empty() ? storage::UniqueFd() : fresh("ours.raw");
        try {
            storage::write_qcow2(file.get(), data.get(), options, "ours.qcow2", nullptr);
            return true;
        } catch (const Error& error) {
            INFO(error.what());
            CHECK((error.code() == ErrorCode::invalid_argument ||
                   error.code() == ErrorCode::not_supported));
            CHECK(std::string(error.what()).find("'ours.qcow2': ") == 0);
            CHECK_FALSE(error.remedy().empty());
            struct stat info {};
            REQUIRE(::fstat(file.get(), &info) == 0);
            CHECK(info.st_size == 0); // refused before anything was done
            return false;
        }
    }

    /** What two commands with the same output format say of ours and of theirs. */
    std::pair<json, json> both(const std::string& command) const
    {
        const auto text = shell(command + " ours.qcow2 && echo @ && " + command + " theirs.qcow2");
        const auto middle = text.find('@');
        REQUIRE(middle != text.npos);
        return {json::parse(text.substr(0, middle)), json::parse(text.substr(middle + 1))};
    }

private:
    storage::UniqueFd fresh(std::string_view name) const
    {
        return storage::open_file(path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    }

    TempDir dir_;
};

json without_names(json info)
{
    info.erase("filename");
    info.erase("actual-size");
    auto& data = info["format-specific"]["data"];
    if (data.contains("data-file"))
        data["data-file"] = "";
    return info;
}

/**
 * The map without offsets, neighbours that are alike as one. Where clusters are allocated in
 * advance, whether QEMU looks for holes in them depends on the file's blocks: not compared.
 */
json merged(const json& map, bool with_holes)
{
    json result = json::array();
    for (auto extent : map) {
        extent.erase("offset");
        extent.erase("filename");
        if (!with_holes && extent.at("data") == true)
            extent["zero"] = false;
        if (!result.empty()) {
            auto last = result.back();
            const auto end =
                last.at("start").get<std::uint64_t>() + last.at("length").get<std::uint64_t>();
            last["start"] = extent.at("start");
            last["length"] = extent.at("length");
            if (last == extent && end == extent.at("start").get<std::uint64_t>()) {
                result.back()["length"] = result.back().at("length").get<std::uint64_t>() +
                                          extent.at("length").get<std::uint64_t>();
                continue;
            }
        }
        result.push_back(extent);
    }
    return result;
}

/** QEMU walks one L1 entry at a time: too long for the largest images of small clusters. */
bool can_be_walked(const Qcow2Options& options)
{
    const auto cluster_size = cluster_size_of(options);
    return options.capacity / (cluster_size / 8 * cluster_size) < 5000;
}

struct Count {
    int compared = 0;
    int refused = 0;
    int all() const { return compared + refused; }
};

void compare(const Workshop& shop, const Qcow2Options& options, Count& count)
{
    INFO(option_text(options) << " " << options.capacity);
    const bool theirs = shop.make_theirs(options);
    INFO(read_file(shop.path("answer")));
    const bool ours = shop.make_ours(options);
    REQUIRE(ours == theirs);
    if (!ours) {
        ++count.refused;
        return;
    }
    ++count.compared;
    const auto check = json::parse(shop.shell("qemu-img check --output=json ours.qcow2"));
    CHECK(check.at("check-errors") == 0);
    CHECK_FALSE(check.contains("corruptions"));
    CHECK_FALSE(check.contains("leaks"));
    const auto [our_info, their_info] = shop.both("qemu-img info --output=json");
    CHECK(without_names(our_info) == without_names(their_info));
    if (!can_be_walked(options))
        return;
    const auto [our_map, their_map] = shop.both("qemu-img map --output=json");
    const bool sparse = options.preallocation == Preallocation::off && !options.data_file_raw;
    CHECK(merged(our_map, sparse) == merged(their_map, sparse));
    CHECK(shop.shell("qemu-img compare ours.qcow2 theirs.qcow2") == "Images are identical.\n");
}

/** The largest capacity for the cluster size: that of an L1 table of 32 MiB. */
std::uint64_t limit_of(std::uint64_t cluster_size, bool extended_l2 = false)
{
    return cluster_size / (extended_l2 ? 16 : 8) * cluster_size * (32 * mib / 8);
}

} // namespace

TEST_CASE("qcow2 images: every cluster size, sizes up to the limit and beyond")
{
    if (!have_tool("qemu-img"))
        return;
    const Workshop shop;
    Count count;
    for (std::uint64_t cluster_size = 256; cluster_size <= 4 * mib; cluster_size *= 2)
        for (const std::string compat : {"0.10", "1.1"})
            for (const auto capacity : {std::uint64_t{0}, std::uint64_t{1000}, 3 * gib + 512,
                                        limit_of(cluster_size), limit_of(cluster_size) + 1})
                compare(shop,
                        {.capacity = capacity, .compat = compat, .cluster_size = cluster_size},
                        count);
    for (std::uint64_t cluster_size = 8 * kib; cluster_size <= 2 * mib; cluster_size *= 2)
        for (const auto past : {0, 1})
            compare(shop,
                    {.capacity = limit_of(cluster_size, true) + static_cast<unsigned>(past),
                     .cluster_size = cluster_size,
                     .extended_l2 = true},
                    count);
    for (const auto capacity : {INT64_MAX - std::uint64_t{511}, std::uint64_t{INT64_MAX}})
        compare(shop, {.capacity = capacity, .cluster_size = 2 * mib}, count);
    for (const auto cluster_size : {1, 513, 65537})
        compare(shop, {.capacity = mib, .cluster_size = static_cast<unsigned>(cluster_size)},
                count);
    CHECK(count.all() >= 160);
    CHECK(count.refused >= 40);
}

TEST_CASE("qcow2 images: every refcount width, also where refcounts need many blocks")
{
    if (!have_tool("qemu-img"))
        return;
    const Workshop shop;
    Count count;
    for (const std::uint32_t bits : {1, 2, 4, 8, 16, 32, 64})
        for (const std::uint64_t cluster_size : {512, 4096, 65536, 2 << 20})
            for (const auto mode : {Preallocation::off, Preallocation::metadata})
                compare(shop,
                        {.capacity = 2 * mib + 512,
                         .cluster_size = cluster_size,
                         .refcount_bits = bits,
                         .preallocation = mode},
                        count);
    for (const std::uint32_t bits : {3, 63, 65, 128})
        compare(shop, {.capacity = mib, .refcount_bits = bits}, count);
    // The L1 table alone needs many refcount blocks; qemu-img takes a minute with the last at 128
    // GiB.
    compare(shop, {.capacity = limit_of(512), .cluster_size = 512, .refcount_bits = 1}, count);
    compare(shop, {.capacity = limit_of(512), .cluster_size = 512, .refcount_bits = 16}, count);
    compare(shop, {.capacity = 4 * gib, .cluster_size = 512, .refcount_bits = 64}, count);
    for (const std::uint32_t bits : {1, 8, 16, 64})
        compare(shop, {.capacity = mib, .compat = "0.10", .refcount_bits = bits}, count);
    CHECK(count.all() >= 65);
    CHECK(count.refused >= 7);
}

TEST_CASE("qcow2 images: features, external data files and preallocation in all combinations")
{
    if (!have_tool("qemu-img"))
        return;
    const Workshop shop;
    Count count;
    for (const std::string compat : {"", "0.10"})
        for (const bool extended_l2 : {false, true})
            for (const bool lazy_refcounts : {false, true})
                for (const int data : {0, 1, 2, 3}) // 3: raw, yet no file
                    for (const auto mode : all_modes)
                        for (const std::uint64_t cluster_size : {8 * kib, 64 * kib})
                            compare(shop,
                                    {.capacity = 1200 * kib + (lazy_refcounts ? 0U : 100U),
                                     .compat = compat,
                                     .cluster_size = cluster_size,
                                     .extended_l2 = extended_l2,
                                     .lazy_refcounts = lazy_refcounts,
                                     .data_file = data == 1 || data == 2 ? "ours.raw" : "",
                                     .data_file_raw = data >= 2,
                                     .preallocation = mode},
                                    count);
    for (const auto mode : all_modes)
        for (const std::uint64_t capacity : {0, 1})
            compare(shop, {.capacity = capacity, .preallocation = mode}, count);
    CHECK(count.all() >= 250);
    CHECK(count.compared >= 80);
}

TEST_CASE("qcow2 images: backing files with data show through as in QEMU's own")
{
    if (!have_tool("qemu-img") || !have_tool("qemu-io"))
        return;
    const Workshop shop;
    shop.shell(
        "qemu-img create -q -f raw base.raw 3M && qemu-img create -q -f qcow2 base.qcow2 3M");
    for (const auto* format : {"raw", "qcow2"})
        shop.shell(std::string("qemu-io -f ") + format +
                   " -c 'write -P 7 0 70k' -c 'write -P 9 2100k 5k' base." + format);
    Count count;
    for (const std::string format : {"raw", "qcow2"})
        for (const std::uint64_t capacity : {2 * mib, 3 * mib, 5 * mib}) {
            const Qcow2Options plain{
                .capacity = capacity, .backing_path = "base." + format, .backing_format = format};
            for (const std::string compat : {"0.10", "1.1"})
                for (const std::uint64_t cluster_size : {512, 65536, 2 << 20}) {
                    auto options = plain;
                    options.compat = compat;
                    options.cluster_size = cluster_size;
                    compare(shop, options, count);
                }
            for (const bool extended_l2 : {false, true})
                for (const int data : {0, 1, 2})
                    for (const auto mode : all_modes) {
                        auto options = plain;
                        options.extended_l2 = extended_l2;
                        options.data_file = data != 0 ? "ours.raw" : "";
                        options.data_file_raw = data == 2;
                        options.preallocation = mode;
                        compare(shop, options, count);
                    }
        }
    CHECK(count.all() >= 150);
    CHECK(count.compared >= 90);
}

TEST_CASE("qcow2 images: names as long as the header's cluster has room")
{
    if (!have_tool("qemu-img"))
        return;
    const Workshop shop;
    write_file(shop.path("base"), "", mib);
    Count count;
    const auto named = [](std::size_t length) { return std::string(length - 4, '/') + "base"; };
    for (const std::string compat : {"0.10", "1.1"})
        for (const std::size_t length : {300, 375, 376, 377, 416, 417, 1000}) {
            const auto path = shop.path("").substr(0, shop.path("").size() - 1);
            const Qcow2Options options{.capacity = mib,
                                       .compat = compat,
                                       .cluster_size = length <= 417 ? 512U : 1024U,
                                       .backing_path = path + named(length - path.size()),
                                       .backing_format = "raw"};
            compare(shop, options, count);
        }
    CHECK(count.refused >= 4);
    CHECK(count.compared >= 6);

    const auto refused = [&](const Qcow2Options& options, const std::string& word) {
        try {
            storage::check_qcow2(options, "image");
            FAIL("accepted: " << word);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::invalid_argument);
            CHECK(std::string(error.what()).find(word) != std::string::npos);
        }
    };
    refused({.backing_path = std::string(1024, 'a'), .backing_format = "raw"}, "1024 bytes");
    refused({.backing_path = "base"}, "without a format");
    refused({.backing_format = "raw"}, "without a backing file");
    refused({.backing_path = "base", .backing_format = std::string(16, 'a')}, "16 bytes");
    refused({.backing_path = std::string("a\0b", 3), .backing_format = "raw"},
            "control characters");
    refused({.backing_path = "\xff", .backing_format = "raw"}, "not valid UTF-8");
    refused({.data_file = std::string(1024, 'a')}, "data file name");
    refused({.compat = "0.9"}, "'0.9'");
    refused({.preallocation = static_cast<Preallocation>(4)}, "mode 4");
}

TEST_CASE("qcow2 images: preallocation beyond what the format can count is refused")
{
    const auto refused = [](const Qcow2Options& options) {
        try {
            storage::check_qcow2(options, "image");
            return false;
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::not_supported);
            return true;
        }
    };
    // 8 MiB of refcount table: 2^20 blocks of 64 counts, each of a cluster of 512 bytes.
    Qcow2Options options{.capacity = 31 * gib,
                         .cluster_size = 512,
                         .refcount_bits = 64,
                         .preallocation = Preallocation::metadata};
    CHECK_FALSE(refused(options));
    options.capacity = 32 * gib;
    CHECK(refused(options));
    options.preallocation = Preallocation::off;
    CHECK_FALSE(refused(options));
    // Guest clusters lie below 2^56.
    options = {.capacity = (std::uint64_t{1} << 56) + 1,
               .cluster_size = 2 * mib,
               .data_file = "data",
               .data_file_raw = true};
    CHECK(refused(options));
    options.capacity -= 1;
    CHECK_FALSE(refused(options));
}

TEST_CASE("qcow2 images: QEMU writes to ours, and they stay without errors")
{
    if (!have_tool("qemu-img") || !have_tool("qemu-io"))
        return;
    const Workshop shop;
    int count = 0;
    const auto written = [&](Qcow2Options options) {
        INFO(option_text(options));
        options.capacity = 64 * mib;
        REQUIRE(shop.make_ours(options));
        std::string commands;
        for (const char* verb : {"write", "read"})
            for (const char* range : {"-P 1 0 5M", "-P 2 33000k 300k", "-P 3 65535k 1k"})
                commands += std::string(" -c '") + verb + " " + range + "'";
        const auto output = shop.shell("qemu-io -f qcow2" + commands + " ours.qcow2");
        CHECK(output.find("verification failed") == output.npos);
        const auto check = json::parse(shop.shell("qemu-img check --output=json ours.qcow2"));
        CHECK(check.at("check-errors") == 0);
        CHECK_FALSE(check.contains("corruptions"));
        CHECK_FALSE(check.contains("leaks"));
        CHECK(check.at("allocated-clusters") != 0);
        if (options.data_file_raw) // what the guest wrote is at the same place of the raw file
            CHECK(shop.shell("qemu-io -f raw -c 'read -P 2 33000k 300k' ours.raw")
                      .find("verification failed") == std::string::npos);
        ++count;
    };
    for (const auto mode : all_modes) {
        for (const std::uint32_t bits : {1, 16, 64})
            for (const std::uint64_t cluster_size : {512, 65536, 2 << 20})
                written(
                    {.cluster_size = cluster_size, .refcount_bits = bits, .preallocation = mode});
        written({.compat = "0.10", .preallocation = mode});
        written({.extended_l2 = true, .preallocation = mode});
        written({.lazy_refcounts = true, .preallocation = mode});
        written({.data_file = "ours.raw", .preallocation = mode});
        written({.data_file = "ours.raw", .data_file_raw = true, .preallocation = mode});
    }
    CHECK(count == 56);
}

TEST_CASE("qcow2 images: space, progress and cancellation")
{
    const TempDir dir;
    const auto made = [&](Preallocation mode, storage::Job* job) {
        const auto fd = storage::open_file(dir.path("image"), O_RDWR | O_CREAT | O_TRUNC, 0600);
        storage::write_qcow2(fd.get(), -1, {.capacity = 32 * mib, .preallocation = mode}, "image",
                             job);
        struct stat info {};
        REQUIRE(::fstat(fd.get(), &info) == 0);
        return static_cast<std::uint64_t>(info.st_blocks) * 512;
    };
    CHECK(made(Preallocation::off, nullptr) < mib);
    CHECK(made(Preallocation::metadata, nullptr) < mib);
    CHECK(made(Preallocation::falloc, nullptr) >= 32 * mib);
    CHECK(made(Preallocation::full, nullptr) >= 32 * mib);

    storage::Job job;
    std::vector<std::string> phases;
    job.set_progress_callback([&](const storage::Progress& progress) {
        if (phases.empty() || phases.back() != progress.phase)
            phases.push_back(progress.phase);
    });
    made(Preallocation::full, &job);
    CHECK(phases == std::vector<std::string>{"writing metadata", "writing zeros"});
    CHECK(job.progress().done == 32 * mib);
    CHECK(job.progress().total == 32 * mib);
    made(Preallocation::metadata, &job);
    CHECK(job.progress().done == job.progress().total);

    job.cancel();
    for (const auto mode : {Preallocation::metadata, Preallocation::falloc, Preallocation::full}) {
        try {
            made(mode, &job);
            FAIL("not cancelled");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::cancelled);
        }
    }
}
