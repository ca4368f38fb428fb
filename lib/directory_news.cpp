// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_news.hpp"

#include <array>
#include <sys/inotify.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// Not IN_MODIFY: a guest that writes is no news. Who writes an image's header closes the file.
constexpr std::uint32_t happenings = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR;
constexpr std::size_t most_names = 1000; // beyond, a look at all is cheaper

} // namespace

void DirectoryNews::read()
{
    alignas(::inotify_event) std::array<char, 16384> buffer;
    for (;;) {
        const auto length = ::read(inotify_.get(), buffer.data(), buffer.size());
        if (length <= 0)
            return;
        for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
            // inotify(7): aligned, and whole, with its name
            const auto* event = reinterpret_cast<const ::inotify_event*>(buffer.data() + at);
            at += sizeof *event + event->len;
            if (event->mask & IN_Q_OVERFLOW)
                for (auto& [descriptor, directory] : directories_)
                    directory.incomplete = true;
            const auto found = directories_.find(event->wd);
            if (found == directories_.end())
                continue;
            auto& directory = found->second;
            if (event->mask & IN_IGNORED) // gone, or not mounted any more
                directories_.erase(found);
            else if (event->len > 0 && directory.names.size() < most_names)
                directory.names.emplace(event->name); // padded with NUL
            else
                directory.incomplete = true;
        }
    }
}

void DirectoryNews::leave_stopped()
{
    for (auto entry = directories_.begin(); entry != directories_.end();)
        if (entry->second.start.expired()) {
            ::inotify_rm_watch(inotify_.get(), entry->first);
            entry = directories_.erase(entry);
        } else {
            ++entry;
        }
}

DirectoryNews::Directory* DirectoryNews::find(const std::shared_ptr<const StartRecord>& start)
{
    for (auto& [descriptor, directory] : directories_)
        if (directory.start.lock() == start)
            return &directory;
    return nullptr;
}

std::optional<std::set<std::string>>
DirectoryNews::take(const std::shared_ptr<const StartRecord>& start)
{
    const std::lock_guard lock(mutex_);
    if (!inotify_) {
        inotify_ = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        process_ = ::getpid();
    }
    if (!inotify_ || process_ != ::getpid())
        return std::nullopt;
    read();
    leave_stopped();
    if (auto* directory = find(start)) {
        auto names = std::exchange(directory->names, {});
        if (!std::exchange(directory->incomplete, false))
            return names;
        return std::nullopt;
    }
    const auto& path = start->definition.target.path;
    if (const int descriptor = ::inotify_add_watch(inotify_.get(), path.c_str(), happenings);
        descriptor >= 0)
        directories_.insert_or_assign(descriptor, Directory{.start = start});
    return std::nullopt;
}

void DirectoryNews::forget(const std::shared_ptr<const StartRecord>& start)
{
    const std::lock_guard lock(mutex_);
    if (auto* directory = find(start))
        directory->incomplete = true;
}

} // namespace storage::inline v1
