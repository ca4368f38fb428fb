// SPDX-License-Identifier: LGPL-2.1-or-later
// fault-fs BACKING MOUNTPOINT BOARD RECORD: shows the directory BACKING as a FUSE file system. Its
// calls fail, never return or are slow as the file BOARD says, and what changes it is written to
// the file RECORD in the order in which it happened. Ends when it is unmounted.
#define FUSE_USE_VERSION 31
#include "fault_fs.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>

namespace {

std::string backing;
FaultBoard* board;
int record_fd = -1;
std::mutex order; ///< what happens and its record are one

std::string real(const char* path)
{
    return backing + path;
}

/** Waits as long as the board says so. @return a negative errno, or 0 */
int faulty(FsCall call)
{
    if (const auto ms = board->delay(call).load())
        std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    if (board->of(call) == FaultBoard::hang) {
        ++board->hanging;
        while (board->of(call) == FaultBoard::hang)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        --board->hanging;
    }
    return -board->of(call).load();
}

int outcome(long result)
{
    return result < 0 ? -errno : static_cast<int>(result);
}

std::uint64_t inode_of(int fd)
{
    struct stat info {};
    return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

std::uint64_t inode_of(const char* path)
{
    struct stat info {};
    return ::lstat(real(path).c_str(), &info) == 0 ? info.st_ino : 0;
}

void record(WriteHead head, std::string_view path, std::string_view other = {},
            std::string_view data = {})
{
    head.path = static_cast<std::uint32_t>(path.size());
    head.other = static_cast<std::uint32_t>(other.size());
    head.data = static_cast<std::uint32_t>(data.size());
    const auto piece = [](std::string_view bytes) {
        return iovec{const_cast<char*>(bytes.data()), bytes.size()};
    };
    const iovec pieces[] = {{&head, sizeof head}, piece(path), piece(other), piece(data)};
    const auto size = sizeof head + path.size() + other.size() + data.size();
    if (::writev(record_fd, pieces, 4) != static_cast<ssize_t>(size)) {
        std::perror("fault-fs: the record cannot be written");
        ::_exit(1);
    }
}

/** Does what changes something, and puts it on record when it worked. */
template <typename Work, typename Tell>
int change(FsCall call, Work&& work, Tell&& tell)
{
    if (const int error = faulty(call))
        return error;
    const std::lock_guard lock(order);
    const int result = outcome(work());
    if (result >= 0)
        tell(result);
    return result;
}

int fd_of(const fuse_file_info* info)
{
    return static_cast<int>(info->fh);
}

int fs_getattr(const char* path, struct stat* info, fuse_file_info* file)
{
    if (const int error = faulty(FsCall::look))
        return error;
    return outcome(file ? ::fstat(fd_of(file), info) : ::lstat(real(path).c_str(), info));
}

int fs_readlink(const char* path, char* buffer, std::size_t size)
{
    const auto n = ::readlink(real(path).c_str(), buffer, size - 1);
    if (n < 0)
        return -errno;
    buffer[n] = '\0';
    return 0;
}

int fs_mkdir(const char* path, mode_t mode)
{
    return change(
        FsCall::name, [&] { return ::mkdir(real(path).c_str(), mode); },
        [&](int) { record({.kind = WriteKind::make_dir, .inode = inode_of(path)}, path); });
}

int fs_unlink(const char* path)
{
    return change(
        FsCall::name, [&] { return ::unlink(real(path).c_str()); },
        [&](int) { record({.kind = WriteKind::unlink}, path); });
}

int fs_rmdir(const char* path)
{
    return change(
        FsCall::name, [&] { return ::rmdir(real(path).c_str()); },
        [&](int) { record({.kind = WriteKind::remove_dir}, path); });
}

int fs_symlink(const char* target, const char* path)
{
    return change(
        FsCall::name, [&] { return ::symlink(target, real(path).c_str()); },
        [&](int) { record({.kind = WriteKind::symlink, .inode = inode_of(path)}, path, target); });
}

int fs_rename(const char* from, const char* to, unsigned flags)
{
    return change(
        FsCall::name,
        [&] {
            return ::renameat2(AT_FDCWD, real(from).c_str(), AT_FDCWD, real(to).c_str(), flags);
        },
        [&](int) { record({.kind = WriteKind::rename, .a = flags}, from, to); });
}

int fs_link(const char* from, const char* to)
{
    return change(
        FsCall::name, [&] { return ::link(real(from).c_str(), real(to).c_str()); },
        [&](int) { record({.kind = WriteKind::link, .inode = inode_of(to)}, to); });
}

int fs_chmod(const char* path, mode_t mode, fuse_file_info*)
{
    return outcome(::chmod(real(path).c_str(), mode));
}

int fs_chown(const char* path, uid_t uid, gid_t gid, fuse_file_info*)
{
    return outcome(::lchown(real(path).c_str(), uid, gid));
}

int fs_utimens(const char* path, const timespec times[2], fuse_file_info*)
{
    return outcome(::utimensat(AT_FDCWD, real(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int fs_truncate(const char* path, off_t size, fuse_file_info*)
{
    return change(
        FsCall::resize, [&] { return ::truncate(real(path).c_str(), size); },
        [&](int) {
            record({.kind = WriteKind::set_size,
                    .inode = inode_of(path),
                    .a = static_cast<std::uint64_t>(size)},
                   {});
        });
}

int fs_open(const char* path, fuse_file_info* info)
{
    if (const int error = faulty(FsCall::open))
        return error;
    // O_TRUNC and O_APPEND are the kernel's business: it sends truncate() and offsets.
    const int flags = (info->flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR;
    const int fd = ::open(real(path).c_str(), flags | O_CLOEXEC);
    info->fh = static_cast<std::uint64_t>(fd);
    return fd < 0 ? -errno : 0;
}

int fs_create(const char* path, mode_t mode, fuse_file_info* info)
{
    const int result = change(
        FsCall::name,
        [&] { return ::open(real(path).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode); },
        [&](int fd) { record({.kind = WriteKind::create, .inode = inode_of(fd)}, path); });
    info->fh = static_cast<std::uint64_t>(result);
    return result < 0 ? result : 0;
}

int fs_read(const char*, char* buffer, std::size_t size, off_t offset, fuse_file_info* info)
{
    if (const int error = faulty(FsCall::read))
        return error;
    return outcome(::pread(fd_of(info), buffer, size, offset));
}

int fs_write(const char*, const char* data, std::size_t size, off_t offset, fuse_file_info* info)
{
    return change(
        FsCall::write, [&] { return ::pwrite(fd_of(info), data, size, offset); },
        [&](int written) {
            record({.kind = WriteKind::write,
                    .inode = inode_of(fd_of(info)),
                    .a = static_cast<std::uint64_t>(offset)},
                   {}, {}, {data, static_cast<std::size_t>(written)});
        });
}

int fs_statfs(const char*, struct statvfs* info)
{
    if (const int error = faulty(FsCall::statfs))
        return error;
    return outcome(::statvfs(backing.c_str(), info));
}

int fs_release(const char*, fuse_file_info* info)
{
    return outcome(::close(fd_of(info)));
}

int fs_fsync(const char*, int, fuse_file_info* info)
{
    return change(
        FsCall::sync, [] { return 0; }, // of a test's own: not flushed for real
        [&](int) { record({.kind = WriteKind::sync, .inode = inode_of(fd_of(info))}, {}); });
}

int fs_fsyncdir(const char* path, int, fuse_file_info*)
{
    return change(
        FsCall::sync, [] { return 0; }, [&](int) { record({.kind = WriteKind::sync_dir}, path); });
}

int fs_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*,
               fuse_readdir_flags)
{
    if (const int error = faulty(FsCall::list))
        return error;
    DIR* const directory = ::opendir(real(path).c_str());
    if (!directory)
        return -errno;
    while (const auto* entry = ::readdir(directory))
        fill(buffer, entry->d_name, nullptr, 0, fuse_fill_dir_flags{});
    ::closedir(directory);
    return 0;
}

int fs_fallocate(const char*, int mode, off_t offset, off_t length, fuse_file_info* info)
{
    const auto size_of = [&] {
        struct stat file {};
        ::fstat(fd_of(info), &file);
        return static_cast<std::uint64_t>(file.st_size);
    };
    return change(
        FsCall::resize, [&] { return ::fallocate(fd_of(info), mode, offset, length); },
        [&](int) {
            const auto inode = inode_of(fd_of(info));
            if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
                record({.kind = WriteKind::hole,
                        .inode = inode,
                        .a = static_cast<std::uint64_t>(offset),
                        .b = static_cast<std::uint64_t>(length)},
                       {});
            record({.kind = WriteKind::set_size, .inode = inode, .a = size_of()}, {});
        });
}

off_t fs_lseek(const char*, off_t offset, int whence, fuse_file_info* info)
{
    const auto result = ::lseek(fd_of(info), offset, whence);
    return result < 0 ? -errno : result;
}

void* fs_init(fuse_conn_info*, fuse_config* config)
{
    config->use_ino = 1;
    config->entry_timeout = 0; // each call comes here, not only the first
    config->attr_timeout = 0;
    config->negative_timeout = 0;
    config->hard_remove = 1;
    return nullptr;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 5) {
        std::fputs("usage: fault-fs BACKING MOUNTPOINT BOARD RECORD\n", stderr);
        return 2;
    }
    backing = argv[1];
    const int board_fd = ::open(argv[3], O_RDWR | O_CLOEXEC);
    void* const mapped =
        ::mmap(nullptr, sizeof(FaultBoard), PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
    record_fd = ::open(argv[4], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (mapped == MAP_FAILED || record_fd < 0) {
        std::perror("fault-fs");
        return 1;
    }
    board = static_cast<FaultBoard*>(mapped);
    ::umask(0);

    fuse_operations calls{};
    calls.getattr = fs_getattr;
    calls.readlink = fs_readlink;
    calls.mkdir = fs_mkdir;
    calls.unlink = fs_unlink;
    calls.rmdir = fs_rmdir;
    calls.symlink = fs_symlink;
    calls.rename = fs_rename;
    calls.link = fs_link;
    calls.chmod = fs_chmod;
    calls.chown = fs_chown;
    calls.utimens = fs_utimens;
    calls.truncate = fs_truncate;
    calls.open = fs_open;
    calls.create = fs_create;
    calls.read = fs_read;
    calls.write = fs_write;
    calls.statfs = fs_statfs;
    calls.release = fs_release;
    calls.fsync = fs_fsync;
    calls.fsyncdir = fs_fsyncdir;
    calls.readdir = fs_readdir;
    calls.fallocate = fs_fallocate;
    calls.lseek = fs_lseek;
    calls.init = fs_init;

    std::string foreground = "-f",
                many = "-omax_threads=200,max_idle_threads=10,default_permissions";
    char* arguments[] = {argv[0], argv[2], foreground.data(), many.data(), nullptr};
    return fuse_main(4, arguments, &calls, nullptr);
}
