// SPDX-License-Identifier: LGPL-2.1-or-later
// The Backend of every pool type whose volumes are files in a directory.
#pragma once

#include "backend.hpp"

namespace storage::inline v1 {

/** Where the directory comes from: all in which dir, fs, netfs and vstorage differ. The calls are
 * those of Backend. */
class DirectoryOrigin {
public:
    virtual ~DirectoryOrigin() = default;

    /** By what is in the way of the directory itself, nothing; else as Backend. */
    virtual Presence presence() = 0;
    virtual void build(BuildMode mode, Change& change) = 0;
    virtual std::string start(Change&) { return {}; }
    virtual void stop(const std::string&, Change&) {}
    /** Of what lies below the directory; "": nothing does. */
    virtual std::string storage_identity() { return {}; }
};

std::unique_ptr<Backend> make_directory_backend(const PoolDef& def, const Host& host,
                                                std::unique_ptr<DirectoryOrigin> origin);

/** What every such type can do, whatever the origin. */
inline constexpr Capabilities directory_capabilities{
    Capability::build_pool,    Capability::delete_pool,    Capability::create_volume,
    Capability::create_from,   Capability::delete_volume,  Capability::grow_volume,
    Capability::shrink_volume, Capability::rename_volume,  Capability::wipe_volume,
    Capability::upload,        Capability::download,       Capability::snapshots,
    Capability::thin_volume,   Capability::backing_images, Capability::encrypted_volume,
    Capability::reflink,       Capability::names_only,     Capability::watch,
    Capability::flatten_volume};

/** Makes the target directory as the definition has it, or gives it its attributes. */
void list_directory(const PoolDef& def, Change& change);

} // namespace storage::inline v1
