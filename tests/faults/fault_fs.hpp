// SPDX-License-Identifier: LGPL-2.1-or-later
// What the program fault-fs and the tests that mount it share: the board on which faults are
// ordered, and the record of what was written in which order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

/** The calls that can be made to fail, by what the caller does. */
enum class FsCall : unsigned {
    statfs,
    list, ///< of a directory
    look, ///< stat(2), and each component of a path
    open,
    read,
    write,
    resize,
    sync,
    name, ///< create, rename, remove
    count
};

/** In a file that both map. */
struct FaultBoard {
    static constexpr int hang = -1;

    std::array<std::atomic<int>, static_cast<unsigned>(FsCall::count)>
        fault{}; ///< 0: works; hang; an errno
    std::array<std::atomic<unsigned>, static_cast<unsigned>(FsCall::count)> delay_ms{};
    std::atomic<unsigned> hanging{}; ///< requests that are not answered now

    std::atomic<int>& of(FsCall call) { return fault[static_cast<unsigned>(call)]; }
    std::atomic<unsigned>& delay(FsCall call) { return delay_ms[static_cast<unsigned>(call)]; }
};

enum class WriteKind : std::uint32_t {
    create,     ///< path
    make_dir,   ///< path
    symlink,    ///< path; other: what it leads to
    link,       ///< path: the new name; inode: of the file
    unlink,     ///< path
    remove_dir, ///< path
    rename,     ///< path: the old name; other: the new one; a: flags
    write,      ///< inode; a: offset; data
    set_size,   ///< inode; a: size
    hole,       ///< inode; a: offset; b: length
    sync,       ///< inode
    sync_dir,   ///< path
};

/** Before the bytes of path, other and data. Paths begin with '/', the root of the mount. */
struct WriteHead {
    WriteKind kind{};
    std::uint32_t path{};
    std::uint32_t other{};
    std::uint32_t data{};
    std::uint64_t inode{};
    std::uint64_t a{};
    std::uint64_t b{};
};
