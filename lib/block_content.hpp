// SPDX-License-Identifier: LGPL-2.1-or-later
// BlockContent: the bytes of a volume that has no path on this host, for transfers and copies.
#pragma once

#include "image/extents.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace storage::inline v1 {

/** Used by one thread. Ranges lie within length(). */
class BlockContent {
public:
    virtual ~BlockContent() = default;
    virtual std::uint64_t length() const = 0;
    /** @return at least 1 byte, good until the next call; transfers go forward, so it may read
     * ahead */
    virtual std::span<const std::byte> read(std::uint64_t at, std::size_t most) = 0;
    /** As next_data() of a file. */
    virtual Extent next_data(std::uint64_t start, std::uint64_t end) = 0;
    /** May return before the data is where it belongs: see flush(). */
    virtual void write(std::uint64_t at, std::span<const std::byte> data) = 0;
    /** Reads as zeros afterwards, without space of its own where that can be. */
    virtual void zero(std::uint64_t at, std::uint64_t length) = 0;
    /** All that was written is safe when it returns. */
    virtual void flush() = 0;
};

using OpenContent = std::function<std::unique_ptr<BlockContent>()>;

} // namespace storage::inline v1
