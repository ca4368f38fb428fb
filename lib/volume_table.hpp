// SPDX-License-Identifier: LGPL-2.1-or-later
// VolumeTable: the volumes of one pool in memory, compact, found by name, key and path.
#pragma once

#include <basin/image.hpp>
#include <basin/volume.hpp>

#include <functional>
#include <memory>
#include <span>

namespace storage::inline v1 {

/** What is known of every volume, in fixed size. */
struct VolumeFacts {
    std::uint64_t capacity{};
    std::uint64_t allocation{};
    std::uint64_t physical{};
    // Tells whether the file is still the one that was inspected.
    std::uint64_t device{};
    std::uint64_t inode{};
    std::int64_t modified_ns{};
    std::int64_t changed_ns{};
    ImageFormat format{ImageFormat::raw};
    VolumeType type{VolumeType::file};
    bool fresh{}; ///< changed so shortly before it was read that an equal timestamp proves nothing
};

/** One volume as a backend reports it. */
struct VolumeRecord {
    std::string name{};
    std::string key{};  ///< empty: the path
    std::string path{}; ///< empty: the table's prefix + name
    VolumeFacts facts{};
    std::shared_ptr<const ImageInfo> image{}; ///< only where the header says more than facts do
};

} // namespace storage::inline v1
