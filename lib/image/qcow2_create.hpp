// SPDX-License-Identifier: LGPL-2.1-or-later
// Writes new qcow2 images, in every variant that qemu-img of QEMU 7.2 makes without encryption.
#pragma once

#include "preallocation.hpp"

#include <basin/job.hpp>

#include <cstdint>
#include <string>

namespace storage::inline v1 {

struct Qcow2Options {
    std::uint64_t capacity{};      ///< in bytes; rounded up to 512
    std::string compat{};          ///< "0.10" or "1.1"; "": 1.1
    std::uint64_t cluster_size{};  ///< 0: 65536; a power of two from 512 to 2 MiB
    bool extended_l2{};            ///< subclusters; clusters of 16 KiB and more
    bool lazy_refcounts{};         ///< compat 1.1
    std::uint32_t refcount_bits{}; ///< 0: 16; a power of two up to 64
    std::string backing_path{};    ///< as it goes into the header; never without a format
    std::string backing_format{};  ///< QEMU's name of it
    std::string data_file{};       ///< external data file, as its name goes into the header
    bool data_file_raw{};          ///< the data file is a raw image of its own
    Preallocation preallocation{};
};

/**
 * Checks options against the rules of the format and the limits of QEMU, before anything is made.
 * @throws Error invalid_argument  a value that is never valid; not_supported  a combination or a
 * size that the format does not have. Names the option, the value and what is allowed.
 */
void check_qcow2(const Qcow2Options& options, const std::string& path);

/**
 * Writes an image into an empty regular file. Memory is bounded whatever the size. Flushes nothing.
 *
 * A raw data file gets its tables whatever `preallocation` says: QEMU relies on them.
 * @param data_fd  the external data file, empty: gets its size, and space or zeros as
 * `preallocation` says. -1: there is none, or the caller sees to it
 * @param job  shows progress where metadata, space or zeros are written
 * @throws Error as check_qcow2(); no_space, io, cancelled, timed_out
 */
void write_qcow2(int fd, int data_fd, const Qcow2Options& options, const std::string& path,
                 Job* job);

} // namespace storage::inline v1
