// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_listing.hpp"

#include "file_io.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// readdir(3) asks for 32 KiB at a time and copies each record.
constexpr std::size_t block_length = 128 * 1024;
constexpr std::size_t longest_record = 4096;

static_assert(offsetof(dirent64, d_name) == offsetof(dirent64, d_type) + 1);

bool is_own_or_dots(std::string_view name)
{
    return name == "." || name == ".." || name.starts_with(temporary_prefix);
}

} // namespace

unsigned char DirectoryListing::Entry::type() const noexcept
{
    return static_cast<unsigned char>(name[-1]);
}

DirectoryListing::DirectoryListing(int fd, const std::string& path)
{
    std::size_t used = block_length;
    for (;;) {
        if (block_length - used < longest_record) {
            blocks_.push_back(std::make_unique_for_overwrite<char[]>(block_length));
            used = 0;
        }
        char* to = blocks_.back().get() + used;
        const auto got = ::syscall(SYS_getdents64, fd, to, block_length - used);
        if (got == 0)
            break;
        if (got < 0) {
            if (errno == EINTR)
                continue;
            throw system_error(errno, "directory '" + path + "'");
        }
        take(to, static_cast<std::size_t>(got));
        // Records begin at multiples of eight bytes.
        used += (static_cast<std::size_t>(got) + 7) & ~std::size_t{7};
    }
}

void DirectoryListing::take(const char* records, std::size_t length)
{
    for (std::size_t at = 0; at < length;) {
        const auto* record = reinterpret_cast<const dirent64*>(records + at);
        if (record->d_name[0] != '.' || !is_own_or_dots(record->d_name))
            entries_.push_back({record->d_ino, record->d_name});
        at += record->d_reclen;
    }
}

void DirectoryListing::sort_by_inode()
{
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.inode < b.inode; });
}

} // namespace storage::inline v1
