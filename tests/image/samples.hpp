// SPDX-License-Identifier: LGPL-2.1-or-later
// A healthy image of each format, written byte by byte from its specification.
#pragma once

#include "support.hpp"

namespace image_test {

/** The bytes of an image up to the last one that matters, and the size of the whole file. */
struct Sample {
    const char* name;
    ImageFormat format;
    Image image;
    std::uint64_t size;
    std::uint64_t virtual_size;
};

Sample qcow_sample();
Sample qcow2_sample();    ///< version 3 with a backing file and every extension
Sample qcow2_v2_sample(); ///< with a backing file of no declared format
Sample qed_sample();
Sample cow_sample(); ///< version 2, layout of libvirt
Sample cow_v3_sample();
Sample vmdk_sample(); ///< sparse, with a parent
Sample vmdk_stream_sample();
Sample vmdk_text_sample();
Sample vdi_sample(); ///< differencing
Sample vpc_fixed_sample();
Sample vpc_differencing_sample();
Sample vhdx_sample(); ///< differencing
Sample parallels_sample();
Sample ploop_sample();
Sample bochs_sample();
Sample cloop_sample();
Sample dmg_sample();
Sample iso_sample();
Sample luks1_sample();
Sample luks2_sample();

std::vector<Sample> all_samples();

/** Writes the checksum of a VHD footer (at 64) or dynamic header (at 36) of that length. */
void seal_vhd(Image& image, std::size_t offset, std::size_t length, std::size_t checksum);

/** Writes the CRC-32C of a VHDX header (4 KiB) or region table (64 KiB). */
void seal_vhdx(Image& image, std::size_t offset, std::size_t length);

} // namespace image_test
