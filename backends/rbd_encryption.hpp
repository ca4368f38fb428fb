// SPDX-License-Identifier: LGPL-2.1-or-later
// Images whose content librbd encrypts (LUKS 1 and 2, Ceph 16 and later).
#pragma once

#include "host.hpp"
#include "rbd_connection.hpp"

#include <basin/definition.hpp>
#include <basin/job.hpp>

namespace storage::inline v1 {

/** What an image was made with. A guest can write any header, so it is kept beside the content, as
 * metadata that is not shown. */
struct RbdEncryption {
    int version{};          ///< of LUKS; 0: none
    std::uint64_t header{}; ///< bytes of the image before the content
};

RbdEncryption image_encryption(const RbdImage& image);
/** Nothing where it is not encrypted. */
std::optional<Encryption> described_encryption(const RbdEncryption& encryption);
/** The image does not have it any more. */
void forget_encryption(const RbdImage& image);

/** @throws Error not_supported  what librbd, or this version of it, does not do; invalid_argument
 */
void check_encryption(const RbdLibrary& library, const Encryption& wanted, const std::string& path);
/** How large to make an image that shall be encrypted, with the usual objects: format_image() mends
 * the rest. */
std::uint64_t encrypted_size(const Encryption& wanted, std::uint64_t capacity);

/** An unfinished image, to be encrypted. */
struct RbdFormat {
    PoolDef pool{};
    std::string image{}; ///< its name for now
    std::string name{};  ///< and later
    std::uint64_t capacity{};
    Encryption encryption{};
};
/** Encrypts an empty image, and gives it the size that leaves the capacity. */
void format_image(const RbdFormat& format, const Host& host, Job* job);

} // namespace storage::inline v1
