// SPDX-License-Identifier: LGPL-2.1-or-later
// The text that describes a VMDK image: a file of its own, or a part of a sparse file.
#pragma once

#include "image/inspection.hpp"

namespace storage::inline v1::image {

/** What the text says. */
struct VmdkDescriptor {
    std::string version{};
    std::string create_type{};
    std::string uuid{};
    std::optional<ImageReference> parent{};
    std::vector<std::string> extents{};         ///< file names, as written
    std::optional<ImageReference> first_flat{}; ///< the first extent that holds plain data
    std::uint64_t sectors{};                    ///< of all extents
};

/** Reads at most 64 KiB of it; what is wrong becomes a finding. */
VmdkDescriptor read_vmdk_descriptor(Inspection& image, std::uint64_t offset, std::uint64_t length);

/**
 * QEMU finds the parent by another rule: the first text in quotes behind the key in 10 KiB at a
 * place that does not depend on the header, in whatever line, also in a comment. Where that is
 * another one than the descriptor names, which is a finding, the one that QEMU would open is told.
 * @param offset  512 in a sparse file, 0 in a text
 */
void check_vmdk_parent(Inspection& image, std::uint64_t offset);

} // namespace storage::inline v1::image
