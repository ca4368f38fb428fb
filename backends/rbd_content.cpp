// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_content.hpp"

#include "image/wipe.hpp"
#include "job_impl.hpp"

#include <algorithm>
#include <sys/random.h>

namespace storage::inline v1 {
namespace {

/** An object's usual size: one request goes to one place. */
constexpr std::size_t request_size = std::size_t{4} << 20;
constexpr std::size_t requests_at_once = 8;
/** rbd_discard() returns an int. */
constexpr std::uint64_t discard_piece = std::uint64_t{1} << 30;

int add_extent(std::uint64_t offset, std::size_t length, int exists, void* self) noexcept
{
    auto& extents = *static_cast<std::vector<Extent>*>(self);
    if (!exists || length == 0)
        return 0;
    try {
        if (!extents.empty() && extents.back().end == offset)
            extents.back().end += length;
        else
            extents.push_back({offset, offset + length});
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
    return 0;
}

} // namespace

RbdContent::RbdContent(const PoolDef& def, const Host& host, std::string_view name,
                       RbdImage::Mode mode, State state, Job* job)
    : use_(def, host, job), image_(use_.shared(), name, mode), state_(state),
      length_(image_.info().size), data_end_(length_)
{
}

RbdContent::~RbdContent()
{
    abandon();
}

void RbdContent::abandon() noexcept
{
    for (auto& request : pending_) { // their buffers are in use until then
        image_.library().rbd_aio_wait_for_complete(request.completion);
        image_.library().rbd_aio_release(request.completion);
    }
    pending_.clear();
}

std::vector<std::byte> RbdContent::take_buffer()
{
    std::vector<std::byte> result;
    if (spare_.empty()) {
        result.reserve(request_size);
    } else {
        result = std::move(spare_.back());
        spare_.pop_back();
    }
    return result;
}

/** For the next request: a new vector is filled with zeros first. */
void RbdContent::keep_buffer(Request request)
{
    if (request.data.capacity() != 0)
        spare_.push_back(std::move(request.data));
}

void RbdContent::submit(Request request)
{
    const auto& library = image_.library();
    image_.check(library.rbd_aio_create_completion(nullptr, nullptr, &request.completion),
                 "cannot prepare a request");
    auto* data = reinterpret_cast<char*>(request.data.data());
    const auto code = request.is_read
                          ? library.rbd_aio_read(image_.get(), request.at, request.data.size(),
                                                 data, request.completion)
                          : library.rbd_aio_write(image_.get(), request.at, request.data.size(),
                                                  data, request.completion);
    if (code < 0) {
        library.rbd_aio_release(request.completion);
        image_.check(code, "cannot send a request");
    }
    pending_.push_back(std::move(request));
}

RbdContent::Request RbdContent::take_first()
{
    const auto& library = image_.library();
    auto request = std::move(pending_.front());
    pending_.pop_front();
    library.rbd_aio_wait_for_complete(request.completion);
    const auto result = library.rbd_aio_get_return_value(request.completion);
    library.rbd_aio_release(request.completion);
    image_.check(result, std::string(request.is_read ? "cannot read" : "cannot write") + " at " +
                             std::to_string(request.at));
    if (request.is_read && static_cast<std::uint64_t>(result) < request.data.size())
        throw Error(ErrorCode::invalid_state,
                    "'" + image_.path() + "' became shorter while it was read",
                    "read it when nobody changes its size");
    return request;
}

std::span<const std::byte> RbdContent::read(std::uint64_t at, std::size_t most)
{
    const auto holds = [&](const Request& request) {
        return at >= request.at && at - request.at < request.data.size();
    };
    if (!holds(current_)) {
        keep_buffer(std::exchange(current_, {}));
        while (!pending_.empty() && !holds(pending_.front()))
            keep_buffer(take_first());
        auto next = pending_.empty() ? at : pending_.back().at + pending_.back().data.size();
        const auto end = std::max(std::min(data_end_, length_), at + 1);
        while (pending_.size() < requests_at_once && (next < end || pending_.empty())) {
            const auto size = std::min<std::uint64_t>(request_size - next % request_size,
                                                      std::max(end, at + most) - next);
            Request request{.at = next, .data = take_buffer(), .is_read = true};
            request.data.resize(static_cast<std::size_t>(std::min(size, length_ - next)));
            submit(std::move(request));
            next += size;
        }
        current_ = take_first();
    }
    const auto rest = std::span<const std::byte>(current_.data)
                          .subspan(static_cast<std::size_t>(at - current_.at));
    return rest.first(std::min(most, rest.size()));
}

void RbdContent::find_extents()
{
    // Whole objects: known from the object map where there is one. A clone's parent counts.
    image_.check(image_.library().rbd_diff_iterate2(image_.get(), nullptr, 0, length_, 1, 1,
                                                    add_extent, &extents_),
                 "cannot ask where it has data");
    std::sort(extents_.begin(), extents_.end(),
              [](const Extent& a, const Extent& b) { return a.start < b.start; });
    known_ = true;
}

Extent RbdContent::next_data(std::uint64_t start, std::uint64_t end)
{
    if (!known_)
        find_extents();
    const auto found =
        std::upper_bound(extents_.begin(), extents_.end(), start,
                         [](std::uint64_t at, const Extent& extent) { return at < extent.end; });
    if (found == extents_.end() || found->start >= end)
        return {end, end};
    const Extent result{std::max(found->start, start), std::min(found->end, end)};
    data_end_ = result.end;
    return result;
}

void RbdContent::send_collected()
{
    if (collected_.data.empty())
        return;
    if (pending_.size() >= requests_at_once)
        keep_buffer(take_first());
    submit(std::exchange(collected_, {}));
}

void RbdContent::write(std::uint64_t at, std::span<const std::byte> data)
{
    current_ = {};
    while (!data.empty()) {
        if (collected_.at + collected_.data.size() != at)
            send_collected();
        if (collected_.data.empty()) {
            collected_ = {.at = at, .data = take_buffer()};
            collected_.data.clear();
        }
        const auto size = std::min<std::uint64_t>(data.size(), request_size - at % request_size);
        const auto piece = data.first(static_cast<std::size_t>(size));
        collected_.data.insert(collected_.data.end(), piece.begin(), piece.end());
        at += size;
        data = data.subspan(piece.size());
        if (at % request_size == 0)
            send_collected();
    }
}

void RbdContent::zero(std::uint64_t at, std::uint64_t length)
{
    if (state_ == State::fresh)
        return;
    discard(at, length);
}

void RbdContent::discard(std::uint64_t at, std::uint64_t length)
{
    send_collected();
    while (length > 0) {
        const auto size = std::min(length, discard_piece);
        image_.check(image_.library().rbd_discard(image_.get(), at, size), "cannot clear it");
        at += size;
        length -= size;
    }
}

void RbdContent::flush()
{
    send_collected();
    while (!pending_.empty())
        keep_buffer(take_first());
    image_.check(image_.library().rbd_flush(image_.get()), "cannot flush it");
}

// ---- wiping ------------------------------------------------------------------------------------

namespace {

void fill_random(std::span<std::byte> data)
{
    while (!data.empty()) {
        const auto n = ::getrandom(data.data(), std::min<std::size_t>(data.size(), 1 << 20), 0);
        if (n > 0)
            data = data.subspan(static_cast<std::size_t>(n));
    }
}

/** A pattern goes on from the volume's start, whatever is written where. */
void fill_pattern(std::span<std::byte> data, std::uint64_t at, const WipePass& pass)
{
    for (std::size_t i = 0; i != data.size(); ++i)
        data[i] = std::byte{pass.pattern[(at + i) % pass.length]};
}

class Wiping {
public:
    Wiping(RbdContent& content, Job* job) : content_(content), job_(job)
    {
        for (std::uint64_t at = 0; at < content.length();) {
            const auto extent = content.next_data(at, content.length());
            if (extent.start < extent.end)
                extents_.push_back(extent);
            at = extent.end;
        }
        for (const auto& extent : extents_)
            size_ += extent.end - extent.start;
    }

    std::uint64_t size() const { return size_; }

    void run(const WipePass& pass, const WipePass& before)
    {
        for (const auto& extent : extents_)
            for (auto at = extent.start; at < extent.end;) {
                const auto piece = std::span(buffer_).first(static_cast<std::size_t>(
                    std::min<std::uint64_t>(buffer_.size(), extent.end - at)));
                const auto done =
                    pass.verify ? verify(at, piece.size(), before) : write(at, piece, pass);
                at += done;
                advance(job_, done);
                check(job_, "wiping '" + content_.image().path() + "'");
            }
        if (!pass.verify)
            content_.flush();
    }

private:
    std::size_t write(std::uint64_t at, std::span<std::byte> piece, const WipePass& pass)
    {
        if (pass.length == 0)
            fill_random(piece);
        else
            fill_pattern(piece, at, pass);
        content_.write(at, piece);
        return piece.size();
    }

    std::size_t verify(std::uint64_t at, std::size_t most, const WipePass& before)
    {
        const auto found = content_.read(at, most);
        for (std::size_t i = 0; i != found.size(); ++i)
            if (before.length != 0 &&
                found[i] != std::byte{before.pattern[(at + i) % before.length]})
                throw Error(ErrorCode::io, "'" + content_.image().path() +
                                               "': what was written at " + std::to_string(at + i) +
                                               " is not what is read");
        return found.size();
    }

    RbdContent& content_;
    Job* job_;
    std::vector<Extent> extents_{};
    std::uint64_t size_{};
    std::vector<std::byte> buffer_ = std::vector<std::byte>(request_size);
};

} // namespace

void wipe_image(RbdContent& content, WipeAlgorithm algorithm, Job* job)
{
    if (algorithm == WipeAlgorithm::trim) {
        enter_phase(job, "wiping", content.length());
        content.discard(0, content.length());
        content.flush();
        return;
    }
    const auto passes = wipe_passes(algorithm);
    Wiping wiping(content, job);
    enter_phase(job, "wiping", wiping.size() * passes.size());
    for (std::size_t i = 0; i != passes.size(); ++i)
        wiping.run(passes[i], passes[i == 0 ? 0 : i - 1]);
}

} // namespace storage::inline v1
