// SPDX-License-Identifier: LGPL-2.1-or-later
// What fills a new volume that is a file: nothing, zeros, tables, a copy, a conversion, an upload.
#pragma once

#include "backend.hpp"
#include "volume_steps.hpp"

namespace storage::inline v1 {

/** A volume to be made in a directory, as far as the core has checked it. */
struct NewVolume {
    const std::string& directory;
    const VolumeDef& def;       ///< name checked, format one that can be created
    const CopySource* source{}; ///< null: empty
    CreateFlags flags{};
    const Host& host;
    const std::string& pool_name;
    bool blank{}; ///< of a device: it reads as zeros, which need not be written

    std::string path() const { return directory + '/' + def.name; }
};

/** How a new volume gets its content. */
struct ContentPlan {
    NewContent content{};
    bool by_tool{}; ///< a program makes the file: create_by_tool_step()
};

/**
 * Finds the cheapest way, having checked what the definition asks for against the format.
 * @throws Error not_supported, invalid_argument, not_found
 */
ContentPlan plan_content(const NewVolume& volume);

/** The secret of an encrypted volume, asked for now: the one that is named, else by the path. */
Secret secret_of(const Encryption& encryption, const std::string& pool_name,
                 const std::string& volume_name, const std::string& path, const Host& host);

/** By how much an encrypted raw volume is longer than its capacity. @throws Error not_supported
 * the header does not leave the size to the file */
std::uint64_t luks_header_size(const VolumeDef& volume);

} // namespace storage::inline v1
