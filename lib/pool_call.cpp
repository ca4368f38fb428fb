// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_call.hpp"

#include "calling_thread.hpp"
#include "file_io.hpp"

#include <fcntl.h>

namespace storage::inline v1 {

namespace {

/** A descriptor of our own; the caller's where there can be none, so that its use says why. */
struct OwnFd {
    explicit OwnFd(int given) : fd(given >= 0 ? ::fcntl(given, F_DUPFD_CLOEXEC, 3) : -1) {}
    UniqueFd fd;
    int or_else(int given) const { return fd ? fd.get() : given; }
};

// The callbacks stay the caller's: they are only called while it waits, and what they hold must not
// go away later, on a thread that was left.
struct OwnSource {
    explicit OwnSource(const UploadSource& given) : own(given.fd), source(given)
    {
        source.fd = own.or_else(given.fd);
        if (given.read)
            source.read = [read = &given.read](std::span<std::byte> buffer, std::uint64_t& hole) {
                std::size_t count = 0;
                on_calling_thread([&] { count = (*read)(buffer, hole); });
                return count;
            };
    }
    OwnFd own;
    UploadSource source;
};

struct OwnTarget {
    explicit OwnTarget(const DownloadTarget& given) : own(given.fd), target(given)
    {
        target.fd = own.or_else(given.fd);
        if (given.write)
            target.write = [write = &given.write](std::span<const std::byte> data,
                                                  std::uint64_t hole) {
                on_calling_thread([&] { (*write)(data, hole); });
            };
    }
    OwnFd own;
    DownloadTarget target;
};

} // namespace

std::shared_ptr<const UploadSource> kept(const UploadSource& source)
{
    const auto own = std::make_shared<OwnSource>(source);
    return {own, &own->source};
}

std::shared_ptr<const DownloadTarget> kept(const DownloadTarget& target)
{
    const auto own = std::make_shared<OwnTarget>(target);
    return {own, &own->target};
}

Deadline look_limit(const PoolObject& pool, std::chrono::milliseconds most)
{
    const auto context = pool.context.lock();
    const auto limit = std::chrono::steady_clock::now() +
                       within_clock(std::min(most, context ? context->options.look_timeout : most));
    const auto* job = current_job(); // of the call that looks
    const auto deadline = job ? job->deadline() : std::nullopt;
    return deadline ? std::min(limit, *deadline) : limit;
}

void learn_steadiness(PoolObject& pool) noexcept
{
    const auto context = pool.context.lock();
    if (pool.steadiness != Steadiness::unknown || !context || !pool.files()->started)
        return;
    try {
        pool.steadiness =
            pool.backend(context->host)->may_hang() ? Steadiness::may_hang : Steadiness::steady;
    } catch (const std::exception&) { // is asked again
    }
}

} // namespace storage::inline v1
