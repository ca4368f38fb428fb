// SPDX-License-Identifier: LGPL-2.1-or-later
// Which volume is meant: by name in one pool, by key or path in all pools of a context.
#pragma once

#include "pool_object.hpp"

namespace storage::inline v1 {

/** Whether a volume of that name is there, be it in the table or on the storage alone. */
bool find_volume_name(PoolAccess& access, std::string_view name);

/** In the active pools. The context must be synchronised. */
std::optional<Volume> volume_with_key(Context::Impl& context, std::string_view key);
std::optional<Volume> volume_with_path(Context::Impl& context, std::string_view path);

/** Whether a volume's path in one pool means the same in the other. May ask their clusters. */
bool has_same_paths(PoolAccess& access, PoolAccess& other);

/** The volume at this path, and what the headers of images say that it is based on. */
std::vector<ChainLink> image_chain(Context::Impl& context, const Volume& volume,
                                   const std::string& path);

/** What the storage itself bases a volume on, nearest first, whatever its content: a clone's
 * parents in a cluster, a snapshot's origin. Ends at what no active pool has. */
std::vector<ChainLink> origins_of(Volume volume);

/** What a volume of another pool refers to in a directory. */
struct Reference {
    Volume from;
    std::string to;
};
/** The references into a pool's directory from volumes of all other active pools. */
std::vector<Reference> references_into(PoolAccess& access);

/**
 * The first file that an image's header says its data is in, and that no active pool has. A program
 * that works on the image would open it, whoever wrote the header.
 * @param path  of the image
 */
std::optional<UntrustedReference> foreign_data(Context::Impl& context, const std::string& path,
                                               const ImageInfo& header);

/** The same of the volume and all that it is based on; also an image below whose format nobody
 * declares and which refers to others itself, because a guest may have written that. */
std::optional<UntrustedReference> untrusted_reference(Context::Impl& context, const Volume& volume);

/** A symbolic link stands for what it leads to, or for itself. */
enum class Links : bool { followed, themselves };

/** The volumes of the active pools that refer to the file or image at this path of a pool's. */
std::vector<Volume> dependents_of(PoolAccess& access, const std::string& path,
                                  Links links = Links::followed);

} // namespace storage::inline v1
