// SPDX-License-Identifier: LGPL-2.1-or-later
// Parallels expandable images, the old ones and those of ploop, after QEMU's
// docs/interop/parallels.
#include "image/inspection.hpp"

#include <algorithm>

namespace storage::inline v1::image {

void inspect_parallels(Inspection& image)
{
    constexpr std::uint64_t sector = 512;
    constexpr std::uint64_t header_length = 64;
    constexpr std::uint32_t max_cluster_sectors = INT32_MAX / 513; // as QEMU
    constexpr std::uint32_t max_clusters = INT32_MAX / 4;
    constexpr std::uint32_t in_use = 0x746f6e59;
    constexpr std::uint64_t extension_magic = 0xab234cef23dcea87;
    if (!image.has_header(header_length))
        return;
    const Bytes head = image.source.head();
    const auto version = head.le32(16);
    image.info.version = number(version);
    if (version != 2) {
        image.find(ImageIssue::unsupported_version,
                   "Parallels version " + number(version) + " is not known");
        return;
    }
    const auto cluster_sectors = head.le32(28);
    const auto clusters = head.le32(32);
    // The old format uses the low half only.
    const auto sectors =
        image.info.format == ImageFormat::parallels ? head.le32(36) : head.le64(36);
    if (head.le32(44) == in_use)
        image.find(ImageIssue::marked_dirty, "the image was not closed after writing");
    if (cluster_sectors == 0) {
        image.find(ImageIssue::malformed, "the cluster size is 0");
        return;
    }
    if (cluster_sectors > max_cluster_sectors) {
        image.find(ImageIssue::malformed, "clusters of " + number(cluster_sectors) +
                                              " sectors are larger than " +
                                              number(max_cluster_sectors));
        return;
    }
    if (clusters > max_clusters)
        image.find(ImageIssue::malformed, "the block table has " + number(clusters) +
                                              " entries, more than " + number(max_clusters));
    image.info.cluster_size = cluster_sectors * sector;
    image.set_virtual_size(
        multiply(sectors, sector),
        std::min(image.max_virtual_size, multiply(clusters, cluster_sectors * sector)));
    image.within_file("the block table", header_length, multiply(clusters, 4));
    const auto extension = multiply(head.le64(56), sector);
    if (extension != 0 && image.within_file("the format extension", extension, sector) &&
        image.source.view(extension, 8).le64(0) != extension_magic)
        image.find(ImageIssue::malformed, "no format extension at offset " + number(extension));
}

} // namespace storage::inline v1::image
