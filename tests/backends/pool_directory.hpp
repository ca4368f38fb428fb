// SPDX-License-Identifier: LGPL-2.1-or-later
// A directory with volumes to read, and the images to put there.
#pragma once

#include "directory_volumes.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

inline std::string be(std::uint64_t value, int bytes)
{
    std::string text;
    while (bytes-- > 0)
        text += static_cast<char>(value >> (8 * bytes) & 0xff);
    return text;
}

inline void put(std::string& image, std::size_t at, const std::string& bytes)
{
    image.replace(at, bytes.size(), bytes);
}

/** A qcow2 v3 header after docs/interop/qcow2.txt, with nothing but an empty L1 table behind it. */
inline std::string qcow2(std::uint64_t size, const std::string& backing = {},
                         const std::string& format = {})
{
    std::string image(4 * 65536, '\0');
    put(image, 0, "QFI\xfb" + be(3, 4));
    put(image, 20, be(16, 4) + be(size, 8) + be(0, 4) + be(1, 4) + be(3 * 65536, 8));
    put(image, 48, be(65536, 8) + be(1, 4));
    put(image, 96, be(4, 4) + be(104, 4));
    put(image, 65536, be(2 * 65536, 8));
    std::size_t at = 104;
    if (!format.empty()) {
        const auto padded = (format.size() + 7) / 8 * 8;
        put(image, at, be(0xe2792aca, 4) + be(format.size(), 4) + format);
        at += 8 + padded;
    }
    if (!backing.empty()) {
        put(image, 8, be(at + 8, 8) + be(backing.size(), 4));
        put(image, at + 8, backing);
    }
    return image;
}

/** The directory of a pool. */
struct PoolDirectory : TemporaryDirectory {
    storage::DirectoryVolumes volumes{path()};

    std::shared_ptr<storage::VolumeTable> refresh(const storage::VolumeTable* previous = nullptr,
                                                  storage::Job* job = nullptr) const
    {
        auto table = std::make_shared<storage::VolumeTable>(path() + '/');
        volumes.refresh(previous, *table, job);
        return table;
    }

    void sparse(const std::string& name, off_t size) const
    {
        write(name, "");
        REQUIRE(::truncate((*this / name).c_str(), size) == 0);
    }

    void link(const std::string& target, const std::string& name) const
    {
        REQUIRE(::symlink(target.c_str(), (*this / name).c_str()) == 0);
    }

    void make_node(const std::string& name, mode_t type, dev_t device = 0) const
    {
        REQUIRE(::mknod((*this / name).c_str(), type | 0600, device) == 0);
    }
};

inline std::map<std::string, storage::DiagnosticReason> reasons(const storage::VolumeTable& table)
{
    std::map<std::string, storage::DiagnosticReason> result;
    for (const auto& diagnostic : table.diagnostics()) {
        CHECK_FALSE(diagnostic.message.empty());
        result.emplace(diagnostic.name, diagnostic.reason);
    }
    CHECK(result.size() == table.diagnostics().size());
    return result;
}

inline const storage::VolumeFacts& facts_of(const storage::VolumeTable& table,
                                            const std::string& name)
{
    const auto index = table.find_index(name);
    REQUIRE(index);
    return table.facts(*index);
}

/** Timestamps of files just made prove nothing: waits until they do. */
inline void let_times_settle()
{
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
}

inline bool has_fine_times(const PoolDirectory& pool)
{
    return storage::file_system_of(pool.path(), 0).fine_times;
}

/** Runs body in a child process; returns what it returns, or 99 where it throws or crashes. */
template <typename Body>
int in_child(Body&& body)
{
    const auto child = ::fork();
    if (child == 0) {
        int result = 99;
        try {
            result = body();
        } catch (...) { // reported as 99
        }
        ::_exit(result);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
