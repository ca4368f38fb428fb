// SPDX-License-Identifier: LGPL-2.1-or-later
// What an image's references mean, and the chain of images that they make.
#pragma once

#include <basin/image.hpp>
#include <basin/volume.hpp>

namespace storage::inline v1 {

/** The file that a reference in an image's header means. */
struct BackingTarget {
    std::string path{};   ///< absolute, as it is put together; "" where it is no local file
    std::string format{}; ///< that a json: text declares; "" where none is declared
    /** Where the path depends on the working directory of whoever opens it ("file:a", a relative
     * name in json: or of a data file): the one beside the image, which may be meant. */
    std::string beside{};

    bool is_local() const { return !path.empty(); }
    bool operator==(const BackingTarget&) const = default;
};

/**
 * Reads a reference by qemu's rules: a colon before the first slash makes a protocol, what is not
 * absolute begins at the directory of the path by which the image is named (links are not
 * followed), json: has block device options, nested or with dots. No file is looked at.
 *
 * A json: text is only understood where it opens one file, perhaps as one format: an option that
 * could bring in another file ("backing", "data-file") or a format on top of another one, which
 * would open what a guest wrote, makes it no local file.
 * @param directory  absolute, of the image that has the reference
 * @param declared   the format that the header declares beside it: qemu takes that instead of the
 * text's outermost driver
 */
BackingTarget resolve_reference(std::string_view reference, std::string_view directory,
                                std::string_view declared = {});

/** The same for a data file, which qemu opens as it is, from its working directory. */
BackingTarget resolve_data_file(std::string_view reference, std::string_view directory);

/** An absolute path without ".", "..", and needless slashes, by its text alone. */
std::string normalised_path(std::string_view path);

/**
 * All other files that an image needs, to be compared with the paths of volumes: backing image,
 * data file, extents; normalised, or the header's own words where they are no local file, and then
 * what may be meant.
 */
std::vector<std::string> references_of(std::string_view directory, const ImageInfo& header);

/** One volume of an active pool. */
struct ChainVolume {
    std::string pool_name{};
    std::string volume_name{};
    std::string path{};                   ///< normalised, where it is one of this host
    std::function<ImageInfo()> inspect{}; ///< reads its header, throws Error
};

/** Finds the volume of an active pool that has this normalised path, or nothing. */
using ChainLookup = std::function<std::optional<ChainVolume>(const std::string& path)>;

inline constexpr std::size_t chain_limit = 256;

/**
 * Follows the backing references of a volume. Reads headers of volumes only, and of those none that
 * is declared to be raw: what a guest wrote there is no header. A format that is not declared is
 * probed, as qemu does.
 * @throws Error  from inspecting the first; whatever lookup throws
 */
std::vector<ChainLink> follow_chain(const ChainVolume& first, const ChainLookup& lookup);

/**
 * What the XML says of the images below the first. At most as many as fit into XML that basin reads
 * (60). Files are asked for their owner, mode and times, and not opened.
 */
std::vector<BackingStore> backing_stores(const std::vector<ChainLink>& chain);

/** The same for one reference. @param target  what it means */
BackingStore backing_store(const ImageReference& reference, const BackingTarget& target);

} // namespace storage::inline v1
