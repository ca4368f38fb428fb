// SPDX-License-Identifier: LGPL-2.1-or-later
// The data set: directories full of images that every contestant reads.
#pragma once

#include <cstdint>
#include <string>

namespace bench {

/** The name of image number `index` of a mixed corpus; 15 characters at most. */
std::string image_name(std::uint64_t index);

/**
 * Fills a new directory with images: of ten, seven are sparse raw files of 1 GiB without a block,
 * two are qcow2, and one is one of vmdk, vdi, vpc, qed, luks, raw with data, iso in turn. qemu-img
 * makes one of each, the rest are copies without the zero pages; a format that it cannot make is
 * left out with a message.
 */
void make_mixed_corpus(const std::string& dir, std::uint64_t count);

/** Fills a new directory with empty files of the same names. */
void make_empty_corpus(const std::string& dir, std::uint64_t count);

} // namespace bench
