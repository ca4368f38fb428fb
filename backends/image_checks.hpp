// SPDX-License-Identifier: LGPL-2.1-or-later
// What is asked of an image before a program reads it, and after one made it.
#pragma once

#include <basin/definition.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace storage::inline v1 {

/** @throws Error invalid_argument  an image of the format cannot have the capacity */
void check_capacity(std::string_view format, std::uint64_t capacity, const std::string& path);

/**
 * Looks at what a program made at a path.
 * @param path  as it shall be named in an error
 * @throws Error command_failed  it is damaged or has another capacity, rounded up to 512 bytes
 */
void check_made(const std::string& made, std::string_view format, std::uint64_t capacity,
                const std::string& path);

/** Refuses an image that has lost data, for a program would read them as zeros.
 * @throws Error invalid_state */
void require_sound(const std::string& path);

/** Whether what a definition puts a copy on is what the source is on. */
bool is_same_backing(const BackingStore& wanted, const std::string& directory,
                     const BackingStore& present);

/** Whether an image's reference to the one below means the same file from another directory. */
bool means_the_same(const std::string& reference, const std::string& from, const std::string& to);

/** A source's sizes, to be compared: a program does not tell that they changed while it read. */
struct SourceSize {
    std::uint64_t length{};
    std::uint64_t capacity{}; ///< of an image
    bool operator==(const SourceSize&) const = default;
};
SourceSize source_size(const VolumeDef& volume);

} // namespace storage::inline v1
