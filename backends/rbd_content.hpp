// SPDX-License-Identifier: LGPL-2.1-or-later
// The bytes of an image: several requests under way at once, holes known by the image's diff.
#pragma once

#include "block_content.hpp"
#include "rbd_connection.hpp"

#include <basin/volume.hpp>

#include <deque>
#include <vector>

namespace storage::inline v1 {

class RbdContent final : public BlockContent {
public:
    enum class State : bool {
        used,
        fresh, ///< just made: all of it reads as zeros already
    };
    RbdContent(const PoolDef& def, const Host& host, std::string_view name, RbdImage::Mode mode,
               State state = State::used, Job* job = nullptr);
    ~RbdContent() override;

    RbdImage& image() { return image_; }

    std::uint64_t length() const override { return length_; }
    std::span<const std::byte> read(std::uint64_t at, std::size_t most) override;
    Extent next_data(std::uint64_t start, std::uint64_t end) override;
    void write(std::uint64_t at, std::span<const std::byte> data) override;
    void zero(std::uint64_t at, std::uint64_t length) override;
    void flush() override;
    void discard(std::uint64_t at, std::uint64_t length);

private:
    struct Request {
        std::uint64_t at{};
        std::vector<std::byte> data{};
        RbdCompletion completion{};
        bool is_read{};
    };
    std::vector<std::byte> take_buffer();
    void keep_buffer(Request request);
    void submit(Request request);
    Request take_first();
    void send_collected();
    void find_extents();
    void abandon() noexcept;

    RbdUse use_;
    RbdImage image_;
    State state_;
    std::uint64_t length_;
    std::deque<Request> pending_{};
    std::vector<std::vector<std::byte>> spare_{}; ///< buffers whose memory is there already
    Request collected_{};                         ///< what is written but not yet sent
    Request current_{};                           ///< what was read last
    bool known_{};
    std::vector<Extent> extents_{};
    std::uint64_t data_end_{}; ///< up to where reading ahead makes sense
};

/** Overwrites what an image holds; what was never written stays so. Snapshots keep their own. */
void wipe_image(RbdContent& content, WipeAlgorithm algorithm, Job* job);

} // namespace storage::inline v1
