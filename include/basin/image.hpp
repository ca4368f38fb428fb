// SPDX-License-Identifier: LGPL-2.1-or-later
// What an image file's header says: read natively, from one descriptor, without trusting it.
#pragma once

#include <basin/definition.hpp>

namespace storage::inline v1 {

/** The image formats that basin recognises. to_string() gives the name that the XML uses. */
enum class ImageFormat : std::uint8_t {
    raw,       ///< nothing else matched
    dir,       ///< a directory, not an image
    bochs,     ///< Bochs growing disk
    cloop,     ///< compressed loop
    cow,       ///< User Mode Linux
    dmg,       ///< Apple disk image
    iso,       ///< ISO 9660
    vpc,       ///< VHD: dynamic, fixed, differencing
    vdi,       ///< VirtualBox
    vhdx,      ///< Hyper-V
    ploop,     ///< Virtuozzo ploop (Parallels expandable image, "WithouFreSpacExt")
    parallels, ///< Parallels expandable image, old ("WithoutFreeSpace")
    qcow,      ///< qcow version 1
    qcow2,     ///< qcow versions 2 and 3
    qed,
    vmdk, ///< sparse, stream-optimised, or a text descriptor
    luks, ///< a LUKS1 or LUKS2 container; libvirt calls it raw with encryption
};

/** The format's XML name. `luks` and `parallels` print as themselves. Never fails. */
BASIN_API std::string_view to_string(ImageFormat format) noexcept;

/** What is wrong with an image, or what about it a caller should think about before using it. */
enum class ImageIssue : std::uint8_t {
    truncated,           ///< the file ends before what its header describes
    malformed,           ///< a header field contradicts the format's specification
    unsupported_version, ///< a version or incompatible feature that basin does not know
    marked_dirty,        ///< not closed cleanly
    marked_corrupt,      ///< its own corrupt flag is set
    limit_exceeded, ///< a size beyond what basin is willing to read; what follows is not described
};

BASIN_API std::string_view to_string(ImageIssue issue) noexcept;

/** One finding, with the field and value in words. */
struct ImageFinding {
    ImageIssue issue{};
    std::string message{};
    bool operator==(const ImageFinding&) const = default;
};

/** A reference from an image to another file. Never followed by the inspector. */
struct ImageReference {
    std::string path{};     ///< the string in the header, as it is; "" where it is no text that can
                            ///< be passed on (see findings) or where the header has only `uuid`
    std::string format{};   ///< declared format; "" when undeclared
    bool format_declared{}; ///< the header names the format, or the format allows no other
    std::string uuid{};     ///< the identity that the other image must have; "" where none is given
    bool operator==(const ImageReference&) const = default;
};

/**
 * What an image's header says. Sizes are the header's claims, checked for sense but not for truth.
 *
 * All strings are valid UTF-8 without control characters. A number that cannot be true (a virtual
 * size that the format or off_t cannot express, a cluster size that the format does not allow) is
 * a finding, and its member stays 0.
 */
struct ImageInfo {
    ImageFormat format{ImageFormat::raw};
    std::string
        variant{}; ///< "fixed", "dynamic", "differencing", "monolithicSparse", "streamOptimized" …
    std::string version{}; ///< the format's own version, such as "2" or "3"; "" where it has none
    std::uint64_t virtual_size{}; ///< bytes that a guest sees; the file's size for raw and iso; 0
                                  ///< where the header does not tell (detached LUKS header)
    std::uint64_t cluster_size{}; ///< allocation unit in bytes; 0 where the format has none
    std::string compat{};         ///< qcow2: "0.10" or "1.1"
    std::optional<ImageReference> backing{}; ///< the image below
    std::optional<ImageReference>
        data_file{};                    ///< qcow2 external data file; vmdk flat extents: the first
    bool data_file_raw{};               ///< the data file alone is the content
    std::vector<std::string> extents{}; ///< other files that hold the data (vmdk), as written
    std::optional<Encryption> encryption{}; ///< format qcow, luks or luks2; the cipher's size is
                                            ///< that of one key: aes-xts with 512 bits has 256
    std::vector<std::string> features{};    ///< lazy_refcounts, extended_l2, data_file
    std::string compression{};              ///< "zlib", "zstd", "" where the format has none
    std::uint32_t refcount_bits{};          ///< qcow2
    std::uint32_t snapshot_count{};         ///< internal snapshots
    std::uint64_t payload_offset{};         ///< LUKS: where the data begins
    std::string uuid{};                     ///< where the format has one
    std::vector<ImageFinding> findings{};   ///< empty for a healthy image
    bool operator==(const ImageInfo&) const = default;
};

/**
 * Reads the header of the file behind a descriptor and nothing else: no other file is opened, no
 * program is run, no byte is written, the descriptor's offset does not move.
 *
 * A damaged or hostile header is not an error: it is described in `findings` and the rest of the
 * file is treated as what can still be believed. Reads at most 1 MiB and keeps at most 256 KiB,
 * whatever the header claims.
 * @param fd  open for reading; a regular file or a block device. Not closed.
 * @throws Error io  a read failed; invalid_argument  not a file or block device; timed_out  its
 * server or device has not answered for 30 seconds; a thread goes on waiting for it
 * @note Thread-safe. Blocks on the storage. @since 0.1
 */
BASIN_API ImageInfo inspect_image(int fd);

BASIN_API std::string to_json(const ImageInfo& info);

} // namespace storage::inline v1
