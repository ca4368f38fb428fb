// SPDX-License-Identifier: LGPL-2.1-or-later
// Makes LUKS containers through libcryptsetup, in files and on block devices.
//
// No device-mapper and no privileges are needed: nothing is activated. The library is loaded at the
// first call and stays loaded, because what it uses (OpenSSL, device-mapper) cannot be unloaded.
#pragma once

#include <basin/job.hpp>
#include <basin/secret.hpp>

namespace storage::inline v1 {

struct LuksFormat {
    int version{1};           ///< 1, which QEMU can read, or 2
    std::uint64_t capacity{}; ///< bytes that a guest sees, a multiple of 512; ignored for devices
    /** Cipher and ivgen; default aes-256, xts, plain64, sha256. The size is that of one key:
     * aes-256-xts has a volume key of 512 bits. QEMU 7.2 aborts when it opens version 1 with keys
     * of 192 bits. */
    Encryption encryption{};
    /**
     * What guessing one passphrase costs. 0 measures: passphrase_cost_ms of this machine, PBKDF2
     * for version 1 and Argon2id with at most 64 MiB and one thread for version 2. Anything else
     * is that many iterations, with 32 KiB for version 2.
     */
    std::uint32_t iterations{};
};

/** Where the data begins in a container that format_luks() makes. */
std::uint64_t luks_payload_offset(int version);

/**
 * Overwrites the beginning of a file or device with a new header that the passphrase opens. A file
 * is made luks_payload_offset() + capacity bytes long; its data is not written, and is random to
 * who opens it. Takes some seconds, in which it cannot be cancelled.
 * @param fd    open for reading and writing; may have no name
 * @param name  for messages
 * @throws Error not_supported     cipher, mode or hash that this system does not have
 *               invalid_argument  version, sizes, names; an empty secret
 *               unavailable, no_space, io, cancelled, timed_out
 */
void format_luks(int fd, const std::string& name, const LuksFormat& format, const Secret& secret,
                 Job* job);
void format_luks(const std::string& path, const LuksFormat& format, const Secret& secret, Job* job);

} // namespace storage::inline v1
