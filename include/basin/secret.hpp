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

/** What the library asks the application for. */
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

} // namespace storage::inline v1
