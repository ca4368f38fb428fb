// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps on volumes that are files, directories or block devices of this host.
#pragma once

#include "file_steps.hpp"

namespace storage::inline v1 {

/** The directory that volumes are entries of. */
struct PoolDirectory {
    PoolDirectory(std::string its_path, std::string its_place = {})
        : path(std::move(its_path)), place(std::move(its_place))
    {
    }
    std::string path;
    /** Nothing is made in it unless it is this directory, by place_text(); "": any. */
    std::string place;
};

/** A step on what is in such a directory, of which it finds nothing elsewhere. A program that it
 * runs opens the file by its path once more. @param place  PoolDirectory::place */
Step within(Step step, const std::string& place);

/** A new volume: what it is in words, and what fills the empty file. */
struct NewContent {
    std::string summary{};           ///< "raw file … of 5 bytes"
    FileFunction fill{};             ///< null: stays empty
    std::vector<std::string> call{}; ///< what fills it, for StepRecord::call, under its final path
};

/** Makes a file that appears under its name when it is whole. */
Step create_file_step(const PoolDirectory& directory, const std::string& name, NewContent content,
                      const Attributes& attributes);
/** The same where a program makes the file: it is given a path in a directory that nobody else may
 * enter, and the file keeps its name when it moves. */
Step create_by_tool_step(const PoolDirectory& directory, const std::string& name,
                         NewContent content, const Attributes& attributes);
/** Makes a directory that is a volume. */
Step create_directory_step(const PoolDirectory& directory, const std::string& name,
                           const Attributes& attributes);

/**
 * Lists two steps: one receives into a hidden file that stays when it fails half-way, to be gone on
 * with; the other gives that very file its name and attributes.
 */
void list_resumable_upload(const PoolDirectory& directory, const std::string& name,
                           NewContent content, const Attributes& attributes, Change& change);
/** Forgets what such an upload received, if it is still the file of that identity. */
Step discard_step(const std::string& directory, const std::string& name,
                  const std::string& identity);
/** The hidden file of such an upload. @throws Error invalid_argument  the name is too long */
std::string partial_path(const std::string& directory, const std::string& name);

/** Removes a file, link or empty directory, if it is still the one of that identity. */
Step remove_volume_step(const std::string& directory, const std::string& name,
                        const std::string& identity, bool is_directory);
/** Renames an entry, if it is still the one of that identity; never over another one. */
Step rename_volume_step(const std::string& directory, const std::string& name,
                        const std::string& new_name, const std::string& identity);

/** Sets a file's length, one call that happens or not. @param allocate  what is added */
Step resize_file_step(const std::string& path, std::uint64_t capacity, bool allocate);
/** Opens an existing file or device, links followed, and changes its content. */
Step change_file_step(const std::string& path, std::vector<std::string> call, std::string summary,
                      FileFunction change);
/** Runs a program on an existing file. */
Step run_tool_step(const std::string& path, std::vector<std::string> call, std::string summary,
                   FileFunction run);
/** Runs one that changes the snapshots of a qcow2 image, which is set right where that one was
 * killed. @param pool_name  for whoever is asked for the secret of an encrypted one */
Step change_snapshots_step(const VolumeDef& volume, const std::string& pool_name,
                           std::vector<std::string> call, std::string summary, FileFunction run);

} // namespace storage::inline v1
