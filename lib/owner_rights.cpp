// SPDX-License-Identifier: LGPL-2.1-or-later
#include "owner_rights.hpp"

#include "file_io.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace storage::inline v1 {
namespace {

/** The mode with the rights that its owner lacks, or 0 where none are. */
mode_t missing_rights(int fd, unsigned mode)
{
    struct stat info {};
    if (::fstat(fd, &info) != 0 || (mode & S_IRWXU & ~info.st_mode) == 0)
        return 0;
    return (info.st_mode & 07777) | (mode & S_IRWXU);
}

} // namespace

void restore_owner_rights(int fd, unsigned mode) noexcept
{
    if (const auto wanted = missing_rights(fd, mode))
        ::fchmod(fd, wanted);
}

int make_directory_at(int parent, const std::string& name, unsigned mode)
{
    if (::mkdirat(parent, name.c_str(), mode) != 0)
        return -1;
    // Without the rights its owner can open it as a place alone; and who may write the parent could
    // put a link to another directory there.
    const UniqueFd made(
        ::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (const auto wanted = made ? missing_rights(made.get(), mode) : 0)
        ::chmod(("/proc/self/fd/" + std::to_string(made.get())).c_str(), wanted);
    return 0;
}

} // namespace storage::inline v1
