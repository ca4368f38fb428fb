// SPDX-License-Identifier: LGPL-2.1-or-later
// What the files that define actions share.
#pragma once

#include "change.hpp"
#include "file_steps.hpp"

#include <span>
#include <sys/stat.h>

namespace storage::inline v1 {

std::span<const Action> file_actions();
std::span<const Action> volume_actions();
std::span<const Action> content_actions();

/** "major:minor:inode:birth", of the device; birth in nanoseconds, 0 where the file system does not
 * say: an inode's number is soon another file's. */
std::string identity_text(const struct ::statx& status);
/** The same without the birth: of a directory that an export may show without one. */
std::string place_text(const struct ::statx& status);

/** Refuses another directory than the pool's: its file system was unmounted, or mounted over, or
 * who may write above it has exchanged it. @param wanted  of place_text(); "": any */
void require_place(int directory, const std::string& wanted, const std::string& path);

/** Asked when a removal has failed: whether there is nothing of that name. A read-only file system
 * says that it is one before it looks. Leaves errno as it is. */
bool is_nothing_there(const std::string& path);

/** Of an open file. @param path  for an error */
std::string identity_of(int fd, const std::string& path);
/** Of what a path leads to, links followed. */
std::string target_identity(const std::string& path);
/** Whether a step may go on with what has this identity, links followed: Change::expect(). */
bool is_expected(const StepRun& run, const std::string& identity);
/** Another process was faster. */
Error replaced(const std::string& path);
/**
 * Who may write the parent of a directory that was made just now can put another one of ours in its
 * place before it is opened; that one has something in it, or others may put something in.
 * @param fd  just opened
 * @param is_private  it was made for this process alone
 * @throws Error busy
 */
void require_new_directory(int fd, bool is_private, const std::string& path);
/** Whether rmdir() of a directory that was made, and in which nothing was, failed with this because
 * something else has its name. */
bool is_not_what_was_made(int os_error);
std::string join(const std::string& directory, const std::string& name);

/** Attributes as arguments of a step, and back onto an open file. */
Arguments attribute_arguments(const Attributes& attributes);
/** Nothing where there is no such argument. */
std::optional<std::uint32_t> number_argument(const StepRun& run, std::string_view name);
void set_attributes(int fd, const StepRun& run, const std::string& path);
void set_cow_argument(int fd, const StepRun& run, const std::string& path);
/** For the summary: ", mode 0600, owner 0". */
std::string describe(const Attributes& attributes);
/** StepRecord::call of set_attributes(). */
std::vector<std::string> attribute_calls(const std::string& path, const Attributes& attributes);

Step make_step(std::string_view action, Arguments arguments, StepRecord record);

} // namespace storage::inline v1
