// SPDX-License-Identifier: LGPL-2.1-or-later
// Secrets: asked for through a callback, wiped from memory after use.
#pragma once

#include <basin/definition.hpp>

#include <functional>

namespace storage::inline v1 {

/** Bytes that are overwritten when they are destroyed or assigned. Never printed by basin. */
class BASIN_API Secret {
public:
    Secret() = default;
    explicit Secret(std::string_view bytes);
    Secret(const Secret&);
    Secret(Secret&&) noexcept;
    Secret& operator=(const Secret&);
    Secret& operator=(Secret&&) noexcept;
    ~Secret();

    std::string_view bytes() const noexcept { return bytes_; }

private:
    std::vector<char> storage_{};
    std::string_view bytes_{};
};

/** What a secret is for. */
enum class SecretUsage : std::uint8_t { volume, ceph, iscsi };

/**
 * What the library asks the application for: by the definition's reference for a volume that is
 * being made. One that exists does not name its secret; then reference.usage is its path, as in
 * libvirt's secrets of volumes.
 */
struct SecretRequest {
    SecretUsage usage{};
    SecretReference reference{};
    std::string pool_name{};
    std::string volume_name{};
};

/**
 * Answers a request, or returns nothing when there is no such secret (the call then fails with
 * not_found). Called on the thread of the call that needs it.
 */
using SecretCallback = std::function<std::optional<Secret>(const SecretRequest&)>;

/**
 * Answers from a directory with one secret in each file, its bytes as they are (also a last
 * newline):
 *
 * - `UUID`, in lower case with hyphens, for references by uuid;
 * - `usage/volume/NAME`, `usage/ceph/NAME`, `usage/iscsi/NAME` for references by usage, as a file
 * or a symbolic link such as `../../UUID`. In NAME, each byte but A-Z a-z 0-9 _ - and a `.` that is
 * not the first is written as % and two upper-case hexadecimal digits: `%2Fsrv%2Fa.img`.
 *
 * Directories and files have to belong to root or the user of this process; only the owner may
 * write the directories (0700 is best) or read the files (0600). Links that lead out of the
 * directory are refused, as are files of more than 64 KiB or of none. Nothing is kept: a changed
 * file counts at the next call.
 *
 * @param path  absolute
 * @throws Error here: invalid_argument. When it is asked: permission_denied, naming the file and
 * what to do; not_found  the directory is missing; invalid_argument, io
 * @note The callback is thread-safe.
 * @since 0.1
 */
BASIN_API SecretCallback secret_directory(std::string path);

} // namespace storage::inline v1
