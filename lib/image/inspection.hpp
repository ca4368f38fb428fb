// SPDX-License-Identifier: LGPL-2.1-or-later
// Inspection: what the inspectors of the formats share while they describe one image.
#pragma once

#include "image/probe.hpp"

namespace storage::inline v1::image {

/** One image being described. */
struct Inspection {
    ImageSource& source;
    ImageInfo& info;

    void find(ImageIssue issue, std::string message);

    /** Reports what does not fit into the file. @return whether [offset, offset + length) does */
    bool within_file(std::string_view what, std::uint64_t offset, std::uint64_t length);

    /** Whether the head reaches length bytes, as far as the format's header does; else a finding.
     */
    bool has_header(std::uint64_t length);

    /**
     * Takes the guest's size from a header. A size above the limit cannot be true: it becomes a
     * finding and virtual_size stays 0.
     */
    void set_virtual_size(std::uint64_t bytes, std::uint64_t limit = max_virtual_size);

    /** The text, or a finding and "" where it is no text that XML and JSON could carry. */
    std::string take_text(std::string_view what, std::string_view text);

    /** Text at an offset of the file; "" and a finding where it is too long, outside or no text. */
    std::string text_at(std::string_view what, std::uint64_t offset, std::uint64_t length,
                        std::uint64_t max_length);

    /** A reference whose format nothing declares; its path as text_at() gives it. */
    ImageReference reference(std::string_view what, std::uint64_t offset, std::uint64_t length,
                             std::uint64_t max_length);

    static constexpr std::uint64_t max_virtual_size = 0x7fffffffffffffff; // off_t
};

/** UTF-16 as UTF-8, up to the first NUL; unpaired surrogates become U+FFFD. */
std::string utf16_text(Bytes bytes, bool big_endian);

/** 16 bytes as xxxxxxxx-xxxx-…; "" where all are zero. Microsoft's GUIDs swap the first three
 * groups. */
std::string uuid_text(Bytes bytes, bool microsoft);

/** For messages: in decimal. */
inline std::string number(std::uint64_t value)
{
    return std::to_string(value);
}

// One per format: called when the format's magic matched; fills in info, never throws but Error io.
void inspect_bochs(Inspection& image);
void inspect_cloop(Inspection& image);
void inspect_cow(Inspection& image);
void inspect_luks(Inspection& image);
void inspect_parallels(Inspection& image); // both formats
void inspect_qcow(Inspection& image);
void inspect_qcow2(Inspection& image); // hands version 1 to inspect_qcow()
void inspect_qed(Inspection& image);
void inspect_vdi(Inspection& image);
void inspect_vhdx(Inspection& image);
void inspect_vmdk(Inspection& image);
void inspect_vmdk_descriptor(Inspection& image);
void inspect_vpc(Inspection& image);

// Formats that only show further in the file, at the offset where their signature was found.
void inspect_dmg(Inspection& image, std::uint64_t offset);
void inspect_iso(Inspection& image, std::uint64_t offset);
void inspect_vpc_footer(Inspection& image, std::uint64_t offset);

/** Whether a file is a VMDK descriptor: a text file, so there is no magic to compare. */
bool is_vmdk_descriptor(Bytes head);

inline constexpr std::string_view luks_magic{"LUKS\xba\xbe"};
inline constexpr std::uint64_t luks1_length = 592; // with its eight key slots

/** The encryption that a LUKS1 header describes, as the XML names it. */
std::optional<Encryption> luks1_encryption(Inspection& image, Bytes header);

} // namespace storage::inline v1::image
