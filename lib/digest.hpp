// SPDX-License-Identifier: LGPL-2.1-or-later
// SHA-256 of any amount of data.
#pragma once

#include "dynamic_library.hpp"
#include "file_io.hpp"

#include <optional>
#include <span>

namespace storage::inline v1 {

/** By OpenSSL's libcrypto, which uses what the CPU has for it, or where that is missing by the
 * kernel's crypto API. */
class Sha256 {
public:
    enum class Provider : std::uint8_t { any, libcrypto, kernel };

    /** @throws Error unavailable */
    explicit Sha256(Provider provider = Provider::any);
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(std::string_view bytes);
    void update(std::span<const std::byte> bytes)
    {
        update(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    /** The same as that many zero bytes. */
    void update_zeros(std::uint64_t length);
    /** The digest in 64 lower-case digits. The last call. */
    std::string hex();

private:
    void use_library();
    void use_kernel();

    std::optional<DynamicLibrary> library_{};
    int (*update_)(void*, const void*, std::size_t){};
    int (*final_)(unsigned char*, void*){};
    alignas(16) unsigned char state_[256]{}; ///< SHA256_CTX, which has 112 bytes
    UniqueFd kernel_{};
};

} // namespace storage::inline v1
