// SPDX-License-Identifier: LGPL-2.1-or-later
// Mode, owner, label, copy-on-write and allocation of an open file. `path` is for error texts.
#pragma once

#include <basin/job.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace storage::inline v1 {

void set_mode(int fd, std::uint32_t mode, const std::string& path);
/** Changes owner and group where they differ; an unprivileged user may only name what is so
 * already. */
void set_owner(int fd, std::optional<std::uint32_t> owner, std::optional<std::uint32_t> group,
               const std::string& path);
void set_label(int fd, const std::string& label, const std::string& path);
/** btrfs keeps the flag for new, empty files only. @param required  fail where the file system has
 * no such switch */
void set_copy_on_write(int fd, bool on, bool required, const std::string& path);
/** Refuses the switch for a new file `path` in a directory whose file system has none. */
void require_copy_on_write_switch(const std::string& directory, const std::string& path);
/**
 * Refuses what cannot fit before any of it takes the place of what others write. What is free is at
 * most what can be had: the rest shows when it is taken.
 * @param at  a path on the file system that it is for
 * @throws Error no_space
 */
void require_free_space(const std::string& at, std::uint64_t bytes, const std::string& path);
/** Allocates the first `length` bytes, whose content stays: by fallocate(2), else by writing it
 * once more; shows progress. Does nothing where the file system has not as much free, and throws
 * no_space.
 * @param fd  open for reading and writing */
void allocate_range(int fd, std::uint64_t length, const std::string& path, Job* job);
/** Writes zeros to [start, end); shows progress. */
void fill_with_zeros(int fd, std::uint64_t start, std::uint64_t end, const std::string& path,
                     Job* job);
/** Allocates [start, end) behind the end of a file, whose length stays where fallocate(2) works. */
void allocate_behind(int fd, std::uint64_t start, std::uint64_t end, const std::string& path,
                     Job* job);

} // namespace storage::inline v1
