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
/** What notes of how far a change is take at most, but for uncommon ones. */
constexpr off_t room_for_notes = 32 << 10;
constexpr std::chrono::seconds program_patience{1};
constexpr std::chrono::milliseconds look_patience{100}; ///< for who looks whether it is abandoned

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

/** The process that made it; 0 where that cannot be told here. */
pid_t maker_of(std::string_view name, const std::string& pid_namespace)
{
    name.remove_suffix(suffix.size());
    const auto owner = '-' + pid_namespace + '-';
    const auto found = name.find(owner, temporary_prefix.size());
    if (found == name.npos)
        return 0;
    name.remove_prefix(found + owner.size());
    pid_t pid{};
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    return error == std::errc() && end == name.data() + name.size() && pid > 0 ? pid : 0;
}

/** Whether nobody has it. Asked with a lock that those who ask share. */
bool is_abandoned(int fd, pid_t maker)
{
    const auto end = std::chrono::steady_clock::now() + program_patience;
    while (::flock(fd, LOCK_SH | LOCK_NB) != 0) {
        const bool is_orphan = maker != 0 && ::kill(maker, 0) != 0 && errno == ESRCH;
        if (!is_orphan || std::chrono::steady_clock::now() >= end)
            return false; // alive, or a program of it still is
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ::flock(fd, LOCK_UN);
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
    struct stat before {};
    if (::fstat(fd_.get(), &before) != 0)
        throw system_error(errno, "cannot look at '" + path_ + "'");
    try {
        write_all(fd_.get(), line + '\n', path_);
    } catch (const Error&) { // half a line would make nonsense of the next one
        [[maybe_unused]] const int cut = ::ftruncate(fd_.get(), before.st_size);
        throw;
    }
    if (durability_ == Durability::durable && ::fdatasync(fd_.get()) != 0)
        throw system_error(errno, "cannot flush '" + path_ + "'");
}

std::string JournalEntry::read() const
{
    if (::lseek(fd_.get(), 0, SEEK_SET) < 0)
        throw system_error(errno, "cannot read '" + path_ + "'");
    return read_fd(fd_.get(), entry_limit, path_);
}

bool JournalEntry::take()
{
    const auto end = std::chrono::steady_clock::now() + look_patience;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0 || info.st_nlink == 0)
        return false;
    // Behind the line that its writer did not finish another one would not be seen.
    const auto text = read();
    const auto whole = text.rfind('\n') + 1; // 0 where there is none
    return whole == text.size() || ::ftruncate(fd_.get(), static_cast<off_t>(whole)) == 0;
}

unsigned JournalEntry::owner() const
{
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0)
        throw system_error(errno, "cannot look at '" + path_ + "'");
    return info.st_uid;
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
    for (;;) {
        const auto path = directory_ + '/' + entry_name();
        auto fd = open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, 0600);
        while (::flock(fd.get(), LOCK_EX) != 0)
            if (errno != EINTR)
                throw system_error(errno, "cannot lock '" + path + "'");
        // Before it was locked a recovery may have come upon it, and cleared away what is empty.
        struct stat info {};
        if (::fstat(fd.get(), &info) == 0 && info.st_nlink == 0)
            continue;
        // Where the disk is full that is found out now, before anything was done, and not by a note
        // of what was. Some file systems cannot promise it.
        const auto room = static_cast<off_t>(first_line.size()) + room_for_notes;
        const int problem = ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, room) == 0 ? 0 : errno;
        JournalEntry entry(std::move(fd), path, durability);
        try {
            if (problem == ENOSPC || problem == EDQUOT)
                throw system_error(problem, "cannot write '" + path + "'");
            entry.append(first_line);
            if (durability == Durability::durable)
                sync_directory(directory_);
        } catch (...) {
            entry.remove();
            throw;
        }
        return entry;
    }
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
    const auto here = pid_namespace();
    while (const auto* item = ::readdir(directory.get())) {
        const std::string_view name = item->d_name;
        if (!name.ends_with(suffix))
            continue;
        const auto maker = maker_of(name, here);
        const auto path = directory_ + '/' + std::string(name);
        UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_APPEND | O_NONBLOCK));
        if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) // it may be abandoned
            throw system_error(errno, "cannot open '" + path + "'");
        struct stat info {};
        if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
            !is_abandoned(fd.get(), maker))
            continue; // finished just now, or alive
        entries.emplace_back(std::move(fd), path);
    }
    return entries;
}

void Journal::set_aside(JournalEntry& entry) const noexcept
{
    ::rename(entry.path().c_str(), (entry.path() + ".unreadable").c_str());
}

} // namespace storage::inline v1
