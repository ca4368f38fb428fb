// SPDX-License-Identifier: LGPL-2.1-or-later
#include "journal.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

constexpr std::string_view suffix = ".journal";
constexpr std::size_t entry_limit = std::size_t{4} << 20;
constexpr std::chrono::seconds program_patience{1};

/** Where process numbers mean what they mean here; containers may share a journal. */
std::string pid_namespace()
{
    struct stat info {};
    return std::to_string(::stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0);
}

/** Unlike any other, and says whose it is: ".basin-0123456789abcdef-4026531836-123.journal". */
std::string entry_name()
{
    return temporary_name() + '-' + pid_namespace() + '-' + std::to_string(::getpid()) +
           std::string(suffix);
}

/** Whether the process that made it is known to have ended. */
bool is_orphan(std::string_view name)
{
    name.remove_suffix(suffix.size());
    const auto owner = '-' + pid_namespace() + '-';
    const auto found = name.find(owner, temporary_prefix.size());
    if (found == name.npos)
        return false;
    name.remove_prefix(found + owner.size());
    pid_t pid{};
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    return error == std::errc() && end == name.data() + name.size() && pid > 0 &&
           ::kill(pid, 0) != 0 && errno == ESRCH;
}

/** @return whether it is ours now */
bool try_take(int fd, std::string_view name)
{
    const auto end = std::chrono::steady_clock::now() + program_patience;
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (!is_orphan(name) || std::chrono::steady_clock::now() >= end)
            return false; // alive, or a program of it still is
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

} // namespace

JournalEntry::~JournalEntry()
{
    if (fd_) // a child that the host forked shares the lock: give it back, do not just close
        ::flock(fd_.get(), LOCK_UN);
}

void JournalEntry::append(const std::string& line)
{
    write_all(fd_.get(), line + '\n', path_);
    if (durability_ == Durability::durable && ::fdatasync(fd_.get()) != 0)
        throw system_error(errno, "cannot flush '" + path_ + "'");
}

std::string JournalEntry::read() const
{
    if (::lseek(fd_.get(), 0, SEEK_SET) < 0)
        throw system_error(errno, "cannot read '" + path_ + "'");
    return read_fd(fd_.get(), entry_limit, path_);
}

void JournalEntry::put_off(const std::string& line, bool first) noexcept
{
    try {
        if (first)
            append(line);
        ::futimens(fd_.get(), nullptr);
    } catch (const Error&) { // it is tried again sooner, then
    }
}

std::chrono::seconds JournalEntry::age() const noexcept
{
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0)
        return std::chrono::seconds::max();
    return std::chrono::seconds(::time(nullptr) - info.st_mtim.tv_sec);
}

void JournalEntry::remove() noexcept
{
    ::unlink(path_.c_str());
}

JournalEntry Journal::open_entry(const std::string& first_line, Durability durability) const
{
    make_directories(directory_, 0700);
    const auto path = directory_ + '/' + entry_name();
    auto fd = open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, 0600);
    // Nobody can hold it: an entry without its first line is nothing to recover and is left alone.
    while (::flock(fd.get(), LOCK_EX) != 0)
        if (errno != EINTR)
            throw system_error(errno, "cannot lock '" + path + "'");
    JournalEntry entry(std::move(fd), path, durability);
    try {
        entry.append(first_line);
        if (durability == Durability::durable)
            sync_directory(directory_);
    } catch (...) {
        entry.remove();
        throw;
    }
    return entry;
}

std::vector<JournalEntry> Journal::abandoned() const
{
    std::vector<JournalEntry> entries;
    const auto directory = open_listing(directory_);
    if (!directory) {
        if (errno == ENOENT || errno == EACCES)
            return entries;
        throw system_error(errno, "cannot read journal directory '" + directory_ + "'");
    }
    while (const auto* item = ::readdir(directory.get())) {
        const std::string_view name = item->d_name;
        if (!name.ends_with(suffix))
            continue;
        const auto path = directory_ + '/' + std::string(name);
        UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_APPEND));
        struct stat info {};
        if (!fd || !try_take(fd.get(), name))
            continue; // finished just now, or alive
        if (::fstat(fd.get(), &info) != 0 || info.st_nlink == 0)
            continue;
        entries.emplace_back(std::move(fd), path);
    }
    return entries;
}

void Journal::set_aside(JournalEntry& entry) const noexcept
{
    ::rename(entry.path().c_str(), (entry.path() + ".unreadable").c_str());
}

} // namespace storage::inline v1
