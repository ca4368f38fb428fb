// SPDX-License-Identifier: LGPL-2.1-or-later
// The names of image formats and issues.
#include <basin/image.hpp>

namespace storage::inline v1 {

std::string_view to_string(ImageFormat format) noexcept
{
    switch (format) {
    case ImageFormat::raw: return "raw";
    case ImageFormat::dir: return "dir";
    case ImageFormat::bochs: return "bochs";
    case ImageFormat::cloop: return "cloop";
    case ImageFormat::cow: return "cow";
    case ImageFormat::dmg: return "dmg";
    case ImageFormat::iso: return "iso";
    case ImageFormat::vpc: return "vpc";
    case ImageFormat::vdi: return "vdi";
    case ImageFormat::vhdx: return "vhdx";
    case ImageFormat::ploop: return "ploop";
    case ImageFormat::parallels: return "parallels";
    case ImageFormat::qcow: return "qcow";
    case ImageFormat::qcow2: return "qcow2";
    case ImageFormat::qed: return "qed";
    case ImageFormat::vmdk: return "vmdk";
    case ImageFormat::luks: return "luks";
    }
    return "unknown";
}

std::string_view to_string(ImageIssue issue) noexcept
{
    switch (issue) {
    case ImageIssue::truncated: return "truncated";
    case ImageIssue::malformed: return "malformed";
    case ImageIssue::unsupported_version: return "unsupported_version";
    case ImageIssue::marked_dirty: return "marked_dirty";
    case ImageIssue::marked_corrupt: return "marked_corrupt";
    case ImageIssue::limit_exceeded: return "limit_exceeded";
    }
    return "unknown";
}

} // namespace storage::inline v1
