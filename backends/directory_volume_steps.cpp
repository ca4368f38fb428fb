// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_volume_steps.hpp"

#include "file_io.hpp"
#include "file_steps.hpp"

#include <cerrno>

namespace storage::inline v1 {

void list_create_steps(const std::string& directory, const VolumeDef& def,
                       const std::string& source, bool reflink_only, Change& change)
{
    Attributes attributes{.permissions = def.target.permissions};
    if (def.target.nocow)
        attributes.copy_on_write = false;
    const auto path = directory + '/' + def.name;
    if (!file_identity(path).empty())
        throw Error(ErrorCode::already_exists, "'" + path + "' exists", "choose another name");
    if (!def.target.compat.empty() || !def.target.features.empty() || def.target.cluster_size != 0)
        throw Error(ErrorCode::not_supported,
                    "'" + path + "': format '" + def.target.format +
                        "' has no compat, features or cluster size",
                    "leave them out");
    if (def.target.format == "dir") {
        if (!source.empty())
            throw Error(ErrorCode::not_supported,
                        "'" + path + "': a directory cannot be a copy of a volume",
                        "use format 'raw'");
        if (!attributes.permissions.mode)
            attributes.permissions.mode = 0755; // as libvirt's mkdir with the usual umask
        change.add(create_directory_step(directory, def.name, attributes));
        return;
    }
    if (!attributes.permissions.mode)
        attributes.permissions.mode = 0600;
    change.add(create_file_step(directory, def.name,
                                {.capacity = def.capacity,
                                 .allocation = def.allocation.value_or(def.capacity),
                                 .source = source,
                                 .reflink_only = reflink_only},
                                attributes));
}

void list_delete_steps(const std::string& directory, std::string_view name, Change& change)
{
    const auto path = directory + '/' + std::string(name);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            throw Error(ErrorCode::not_found,
                        "no volume '" + std::string(name) + "' in '" + directory + "'");
        throw system_error(errno, "cannot look at '" + path + "'");
    }
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode) && !S_ISDIR(info.st_mode))
        throw Error(ErrorCode::not_supported,
                    "'" + path + "' is a device node: basin does not delete it",
                    "remove it by hand if it is not wanted");
    change.add(remove_volume_step(directory, std::string(name), file_identity(path),
                                  S_ISDIR(info.st_mode)));
}

} // namespace storage::inline v1
