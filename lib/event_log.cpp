// SPDX-License-Identifier: LGPL-2.1-or-later
#include "event_log.hpp"

#include "signal_guard.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

constexpr std::uint64_t ring_magic = 0x31676f4c6e697342; // "BsinLog1"
constexpr std::size_t slot_count = 4096;
constexpr std::size_t name_size = 256;

// The lock is held for microseconds, unless its holder was stopped (SIGSTOP, a frozen container).
constexpr std::chrono::seconds lock_patience{1};
constexpr std::chrono::microseconds shortest_pause{20};
constexpr std::chrono::microseconds longest_pause{1000};

struct Header {
    std::uint64_t magic;
    std::uint64_t newest;
};

struct Slot {
    std::uint64_t sequence;
    std::uint64_t writer;
    std::int64_t seconds;
    std::uint32_t nanoseconds;
    std::uint8_t kind;
    std::uint8_t name_was_cut;
    std::uint16_t reserved;
    char pool_uuid[40];
    char pool_name[name_size];
    char volume_name[name_size];
};

constexpr std::size_t slots_offset = 64; // the header has a cache line of its own
constexpr std::size_t file_size = slots_offset + slot_count * sizeof(Slot);

off_t slot_offset(std::uint64_t sequence)
{
    return static_cast<off_t>(slots_offset + (sequence % slot_count) * sizeof(Slot));
}

template <std::size_t N>
void put(char (&field)[N], std::string_view text)
{
    std::memcpy(field, text.data(), std::min(text.size(), N - 1));
}

template <std::size_t N>
std::string get(const char (&field)[N])
{
    return std::string(field, ::strnlen(field, N));
}

Slot encode(const LoggedEvent& event, std::uint64_t sequence, std::uint64_t writer)
{
    Slot slot{};
    slot.sequence = sequence;
    slot.writer = writer;
    slot.seconds = event.time.seconds;
    slot.nanoseconds = event.time.nanoseconds;
    slot.kind = static_cast<std::uint8_t>(event.kind);
    slot.name_was_cut = event.volume_name.size() >= name_size;
    put(slot.pool_uuid, event.pool_uuid);
    put(slot.pool_name, event.pool_name);
    put(slot.volume_name, event.volume_name);
    return slot;
}

LoggedEvent decode(const Slot& slot)
{
    return {.sequence = slot.sequence,
            .writer = slot.writer,
            .kind = static_cast<EventKind>(
                std::min<std::uint8_t>(slot.kind, static_cast<std::uint8_t>(EventKind::overflow))),
            .time = {slot.seconds, slot.nanoseconds},
            .pool_name = get(slot.pool_name),
            .pool_uuid = get(slot.pool_uuid),
            .volume_name = get(slot.volume_name),
            .name_was_cut = slot.name_was_cut != 0};
}

} // namespace

struct EventLog::Mapping {
    UniqueFd fd{};
    dev_t device{};
    ino_t inode{};
    void* memory{MAP_FAILED};
    int write_error{}; ///< why it is open for reading only

    Mapping() = default;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping()
    {
        if (memory != MAP_FAILED)
            ::munmap(memory, slots_offset);
    }

    const std::atomic<std::uint64_t>* counter() const
    {
        static_assert(sizeof(std::atomic<std::uint64_t>) == sizeof(std::uint64_t) &&
                      std::atomic<std::uint64_t>::is_always_lock_free);
        return static_cast<const std::atomic<std::uint64_t>*>(memory) + 1; // Header::newest
    }
};

EventLog::~EventLog() = default;

void EventLog::attach()
{
    struct stat info {};
    const bool exists = ::stat(path_.c_str(), &info) == 0;
    const std::lock_guard lock(mutex_);
    if (!exists || (mapping_ && mapping_->device == info.st_dev && mapping_->inode == info.st_ino))
        return; // a mapping of a removed file still tells the truth about its past
    auto fresh = std::make_shared<Mapping>();
    fresh->fd = UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fresh->fd) {
        fresh->write_error = errno;
        fresh->fd = UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    }
    Header header{};
    if (!fresh->fd || ::fstat(fresh->fd.get(), &info) != 0 ||
        info.st_size < static_cast<off_t>(file_size) ||
        ::pread(fresh->fd.get(), &header, sizeof header, 0) !=
            static_cast<ssize_t>(sizeof header) ||
        header.magic != ring_magic)
        return; // being made by another process; looked at again at the next call
    fresh->device = info.st_dev;
    fresh->inode = info.st_ino;
    fresh->memory = ::mmap(nullptr, slots_offset, PROT_READ, MAP_SHARED, fresh->fd.get(), 0);
    if (fresh->memory == MAP_FAILED)
        throw system_error(errno, "cannot map '" + path_ + "'");
    if (mapping_)
        retired_.push_back(mapping_);
    mapping_ = fresh;
    counter_.store(fresh->counter(), std::memory_order_release);
}

std::uint64_t EventLog::newest() const noexcept
{
    const auto* counter = counter_.load(std::memory_order_acquire);
    return counter ? counter->load(std::memory_order_acquire) : 0;
}

std::shared_ptr<const EventLog::Mapping> EventLog::mapping() const
{
    const std::lock_guard lock(mutex_);
    return mapping_;
}

void EventLog::create() const
{
    // Made whole under another name, so that nobody ever sees half a ring.
    const auto directory = parent_directory(path_);
    make_directories(directory, 0700);
    const auto temporary = directory + '/' + temporary_name();
    const auto fd = open_file(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    const Header header{ring_magic, 0};
    const bool made =
        ::ftruncate(fd.get(), static_cast<off_t>(file_size)) == 0 &&
        ::pwrite(fd.get(), &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header);
    const int os_error = errno;
    const bool linked = made && (::link(temporary.c_str(), path_.c_str()) == 0 || errno == EEXIST);
    const int link_error = errno;
    ::unlink(temporary.c_str());
    if (!linked)
        throw system_error(made ? link_error : os_error, "cannot make '" + path_ + "'");
}

void EventLog::ensure_exists()
{
    if (mapping())
        return;
    attach();
    if (mapping())
        return;
    const SignalGuard no_signal(SIGXFSZ);
    create();
    attach();
    if (!mapping())
        throw Error(ErrorCode::io, "'" + path_ + "' is not an event log of basin",
                    "remove it while no program uses this run-time directory");
}

void EventLog::append(std::span<const LoggedEvent> events)
{
    if (events.empty())
        return;
    ensure_exists();
    const SignalGuard no_signal(SIGXFSZ);
    const auto current = mapping();
    if (current->write_error != 0)
        throw system_error(current->write_error, "cannot write '" + path_ + "'");
    const int fd = current->fd.get();
    // Across threads flock() on one descriptor does not exclude; the mutex does.
    std::unique_lock thread_lock(append_mutex_, std::defer_lock);
    const auto end = std::chrono::steady_clock::now() + lock_patience;
    for (auto pause = shortest_pause;; pause = std::min(pause * 2, longest_pause)) {
        if (thread_lock.owns_lock() || thread_lock.try_lock()) {
            if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
                break;
            if (errno != EWOULDBLOCK && errno != EINTR)
                throw system_error(errno, "cannot lock '" + path_ + "'");
        }
        if (std::chrono::steady_clock::now() >= end)
            throw Error(ErrorCode::busy, "'" + path_ + "' is locked by a process that stands still",
                        "let that process go on, or end it");
        std::this_thread::sleep_for(pause);
    }
    auto sequence = current->counter()->load(std::memory_order_acquire);
    int failed = 0;
    for (const auto& event : events) {
        const auto slot = encode(event, sequence + 1, event.writer ? event.writer : writer_);
        if (::pwrite(fd, &slot, sizeof slot, slot_offset(sequence + 1)) !=
            static_cast<ssize_t>(sizeof slot)) {
            failed = errno;
            break;
        }
        ++sequence;
    }
    // The slots first, then the counter: a reader never sees a number without its event.
    if (::pwrite(fd, &sequence, sizeof sequence, offsetof(Header, newest)) !=
        static_cast<ssize_t>(sizeof sequence))
        failed = errno;
    ::flock(fd, LOCK_UN);
    if (failed)
        throw system_error(failed, "cannot write '" + path_ + "'");
}

bool EventLog::read_after(std::uint64_t& cursor, std::vector<LoggedEvent>& out) const
{
    const auto current = mapping();
    if (!current)
        return true;
    const auto last = current->counter()->load(std::memory_order_acquire);
    if (cursor > last || last - cursor > slot_count / 2) {
        const bool lost = cursor != last;
        cursor = last;
        return !lost;
    }
    constexpr std::uint64_t batch = 256;
    const auto end = std::min(last, cursor + batch);
    while (cursor < end) {
        Slot slot{};
        if (::pread(current->fd.get(), &slot, sizeof slot, slot_offset(cursor + 1)) < 0)
            throw system_error(errno, "cannot read '" + path_ + "'");
        if (slot.sequence != cursor + 1) { // overwritten while we read, or cut off
            cursor = current->counter()->load(std::memory_order_acquire);
            return false;
        }
        out.push_back(decode(slot));
        ++cursor;
    }
    return true;
}

} // namespace storage::inline v1
