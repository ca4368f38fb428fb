// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type disk on loop devices, for tests.
#pragma once

#include "device_probe.hpp"
#include "file_io.hpp"
#include "mounts.hpp"
#include "scratch.hpp"

#include <basin/secret.hpp>

#include <catch2/catch.hpp>
#include <linux/blkpg.h>

namespace disk_pool {

using namespace storage;

inline constexpr std::uint64_t MiB = std::uint64_t{1} << 20;

/** A disk on a sparse file; null where there are none. */
inline std::unique_ptr<LoopDevice> make_disk(const std::string& file, std::uint64_t size,
                                             unsigned sector_size = 512)
{
    const auto fd = open_file(file, O_RDWR | O_CREAT, 0600);
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
        return nullptr;
    auto disk = std::make_unique<LoopDevice>(file, LO_FLAGS_PARTSCAN, sector_size);
    return disk->path().empty() ? nullptr : std::move(disk);
}

/** A disk of a test's own with a pool on it. */
struct DiskPool {
    explicit DiskPool(const std::string& format, std::uint64_t size = 128 * MiB,
                      unsigned sector_size = 512)
    {
        disk = make_disk(scratch.directory / "disk", size, sector_size);
        if (!disk) {
            WARN("skipped: no loop devices, which need root");
            return;
        }
        def.type = "disk";
        def.name = "pool";
        def.source.devices = {{.path = disk->path()}};
        def.source.format = format;
        def.target.path = "/dev";
        open();
    }

    ContextOptions options()
    {
        auto result = scratch.options();
        result.secrets = [](const SecretRequest&) { return Secret("correct horse"); };
        return result;
    }
    void open() { context.emplace(options()); }

    Pool running(BuildMode mode = BuildMode::no_overwrite)
    {
        auto pool = context->define_pool(def);
        pool.build(mode);
        pool.start();
        return pool;
    }

    std::string volume_name(int number) const
    {
        return disk->path().substr(5) + 'p' + std::to_string(number);
    }
    std::string node(int number) const { return "/dev/" + volume_name(number); }
    /** Everything that is on the disk. */
    std::string bytes() const { return scratch.directory.read("disk"); }

    Scratch scratch{};
    std::unique_ptr<LoopDevice> disk{};
    PoolDef def{};
    std::optional<Context> context{};
};

inline VolumeDef partition(std::uint64_t capacity, const std::string& format = {})
{
    VolumeDef def;
    def.capacity = capacity;
    def.target.format = format;
    return def;
}

inline std::string content_of(const Volume& volume, std::uint64_t length)
{
    std::string content;
    const WriteCallback collect = [&](std::span<const std::byte> bytes, std::uint64_t) {
        content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    volume.download(collect, {.length = length});
    return content;
}

/** A source that gives this text. */
inline UploadSource text_source(const std::string& text)
{
    const auto at = std::make_shared<std::size_t>(0);
    return ReadCallback([text, at](std::span<std::byte> buffer, std::uint64_t&) {
        const auto length = std::min(buffer.size(), text.size() - *at);
        std::copy_n(reinterpret_cast<const std::byte*>(text.data()) + *at, length, buffer.begin());
        *at += length;
        return length;
    });
}

inline std::string message_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return std::string(error.what()) + " / " + error.remedy();
    }
    return "no error";
}

inline void take_from_kernel(const std::string& disk, int number)
{
    const auto fd = open_file(disk, O_RDONLY);
    blkpg_partition part{};
    part.pno = number;
    blkpg_ioctl_arg argument{
        .op = BLKPG_DEL_PARTITION, .flags = 0, .datalen = sizeof part, .data = &part};
    REQUIRE(::ioctl(fd.get(), BLKPG, &argument) == 0);
}

inline bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != text.npos;
}

} // namespace disk_pool
