// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_lock.hpp"

#include "job_impl.hpp"
#include "owner_rights.hpp"
#include "signal_guard.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <thread>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// Byte 0 is the pool's life cycle, the rest belongs to volumes by the hash of their name.
constexpr off_t pool_byte = 0;
constexpr off_t first_volume_byte = 1;
// Above them a byte for each process that holds the pool; fcntl(2) gives no owner of such a lock.
constexpr off_t first_holder_byte = off_t{3} << 61;
constexpr off_t most_processes = off_t{1} << 32;
// Above these, for each of the bytes below, one for each process that has it locked.
constexpr off_t first_user_byte = first_holder_byte + most_processes;
constexpr off_t most_used_bytes = off_t{1} << 28; // beyond, they share

// Behind the lock there is text: what it was taken for last. One line for the pool, and lines that
// volumes share by hash; a reader checks whose line it is.
constexpr std::size_t note_size = 192;
constexpr std::size_t volume_notes = 63;

off_t volume_byte(std::string_view name)
{
    return first_volume_byte + static_cast<off_t>(std::hash<std::string_view>{}(name) >> 2);
}

std::size_t slot_of(off_t byte)
{
    return byte == pool_byte ? 0 : 1 + static_cast<std::size_t>(byte) % volume_notes;
}

off_t first_user_of(off_t byte)
{
    return first_user_byte + byte % most_used_bytes * most_processes;
}

bool try_lock(int fd, short kind, off_t start)
{
    struct flock request {};
    request.l_type = kind;
    request.l_whence = SEEK_SET;
    request.l_start = start;
    request.l_len = 1;
    if (::fcntl(fd, F_OFD_SETLK, &request) == 0)
        return true;
    if (errno == EAGAIN || errno == EACCES)
        return false;
    throw system_error(errno, "cannot lock");
}

void unlock(int fd, off_t start)
{
    struct flock request {};
    request.l_type = F_UNLCK;
    request.l_whence = SEEK_SET;
    request.l_start = start;
    request.l_len = 1;
    ::fcntl(fd, F_OFD_SETLK, &request);
}

/** Where another descriptor has a lock in that range that excludes one of this kind. */
std::optional<off_t> find_lock(int fd, off_t start, off_t length, short kind = F_WRLCK)
{
    struct flock request {};
    request.l_type = kind;
    request.l_whence = SEEK_SET;
    request.l_start = start;
    request.l_len = length;
    if (::fcntl(fd, F_OFD_GETLK, &request) != 0)
        throw system_error(errno, "cannot ask for locks");
    if (request.l_type == F_UNLCK)
        return std::nullopt;
    return request.l_start;
}

using Note = std::array<char, note_size>;

Note make_note(std::string_view operation, std::string_view object)
{
    Note note{};
    const auto text =
        std::to_string(::getpid()) + ' ' + std::string(operation) + ' ' + std::string(object);
    std::memcpy(note.data(), text.data(), std::min(text.size(), note.size() - 1));
    return note;
}

void write_note(int fd, std::size_t slot, const Note& note)
{
    const SignalGuard no_signal(SIGXFSZ);
    // Only for the error text of whoever finds the lock taken; a failure changes nothing.
    [[maybe_unused]] const auto written =
        ::pwrite(fd, note.data(), note.size(), static_cast<off_t>(slot * note_size));
}

std::string read_note(int fd, std::size_t slot)
{
    std::array<char, note_size> note{};
    const auto n = ::pread(fd, note.data(), note.size() - 1, static_cast<off_t>(slot * note_size));
    return n > 0 ? std::string(note.data()) : std::string();
}

/** "process 123 (pool-build)", from a note about this very object; otherwise less. */
std::string describe_holder(const std::string& note, std::string_view object)
{
    const auto first = note.find(' ');
    const auto second = first == std::string::npos ? first : note.find(' ', first + 1);
    if (second == std::string::npos)
        return "another operation";
    const auto noted = std::string_view(note).substr(second + 1);
    if (!object.empty() && noted != object.substr(0, noted.size()))
        return "another operation";
    return "process " + note.substr(0, first) + " (" + note.substr(first + 1, second - first - 1) +
           ")";
}

/** Who has locked the byte, in words. @param object  what it stands for */
std::string holder_of(int fd, off_t byte, std::string_view object)
{
    const auto first = first_user_of(byte);
    const auto user = find_lock(fd, first, most_processes);
    auto noted = describe_holder(read_note(fd, slot_of(byte)), object);
    if (!user) // about to say so, or gone
        return noted;
    auto process = "process " + std::to_string(*user - first);
    return noted.starts_with(process + ' ') ? noted : process; // of many readers the last one noted
}

/** Who keeps the pool from being locked: whoever has it, or one of its volumes. */
std::string pool_holder(int fd)
{
    if (!find_lock(fd, pool_byte, 1, F_RDLCK))
        if (const auto volume =
                find_lock(fd, first_volume_byte, first_holder_byte - first_volume_byte))
            return holder_of(fd, *volume, {});
    return holder_of(fd, pool_byte, {});
}

/** A lock that was just taken: by whom, and what for. */
void sign(int fd, off_t byte, const Note& note)
{
    try_lock(fd, F_RDLCK, first_user_of(byte) + ::getpid());
    write_note(fd, slot_of(byte), note);
}

/** Repeats attempt() with growing pauses until it holds, or the job's patience or time ends. */
template <typename Attempt>
bool wait_for(Attempt&& attempt, std::chrono::milliseconds patience, Job* job,
              std::string_view what)
{
    using namespace std::chrono;
    const auto end = steady_clock::now() + patience;
    auto pause = microseconds(200);
    while (!attempt()) {
        check(job, what);
        if (steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, microseconds(20000));
    }
    return true;
}

constexpr std::chrono::seconds registry_patience{30};

std::chrono::milliseconds patience_of(Job* job)
{
    return job ? job->wait() : std::chrono::milliseconds(0);
}

Error busy(const std::string& object, const std::string& holder)
{
    return Error(ErrorCode::busy, object + ": in use by " + holder,
                 "retry later, or give the job time to wait");
}

} // namespace

HeldLock::~HeldLock()
{
    struct flock request {};
    request.l_type = F_UNLCK;
    request.l_whence = SEEK_SET; // from 0 with length 0: all of it
    if (fd_) {
        ::fcntl(fd_.get(), F_OFD_SETLK, &request);
        ::futimens(fd_.get(), nullptr);
    }
}

UniqueFd LockDirectory::open(const std::string& name) const
{
    const auto file = lock_file(name);
    UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd && errno == ENOENT) {
        make_directories(path_, 0700);
        fd = open_file(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    }
    if (fd)
        restore_owner_rights(fd.get(), 0600);
    else
        throw system_error(errno, "cannot open lock file '" + file + "'",
                           "basin needs a run-time directory that this user may write");
    return fd;
}

HeldLock LockDirectory::lock_registry(Job* job) const
{
    HeldLock held(open("registry"));
    // Held only while definitions are written, so a long wait means that the holder is stopped.
    if (!wait_for([&] { return try_lock(held.fd(), F_WRLCK, pool_byte); }, registry_patience, job,
                  "waiting for the registry lock"))
        throw busy("the pool registry in '" + path_ + "'",
                   describe_holder(read_note(held.fd(), 0), {}));
    write_note(held.fd(), 0, make_note("registry", {}));
    return held;
}

HeldLock LockDirectory::lock_claims(const std::vector<std::string>& claims,
                                    const std::string& object, std::string_view operation,
                                    Job* job) const
{
    HeldLock held(open("claims"));
    std::vector<off_t> bytes;
    for (const auto& claim : claims)
        bytes.push_back(volume_byte(claim));
    std::sort(bytes.begin(), bytes.end()); // in one order for all
    const auto note = make_note(operation, object);
    for (const auto byte : bytes) {
        if (!wait_for([&] { return try_lock(held.fd(), F_WRLCK, byte); }, registry_patience, job,
                      object))
            throw busy(object, holder_of(held.fd(), byte, {}));
        sign(held.fd(), byte, note);
    }
    return held;
}

namespace {

/** The file may have been forgotten between open and lock; then the lock is on nothing. */
bool is_current(int fd)
{
    struct stat info {};
    return ::fstat(fd, &info) == 0 && info.st_nlink > 0;
}

} // namespace

HeldLock LockDirectory::lock_pool(const std::string& uuid, const std::string& name,
                                  std::string_view operation, Job* job, VolumeUse use) const
{
    const auto object = "pool '" + name + "'";
    const short kind = use == VolumeUse::read ? F_RDLCK : F_WRLCK;
    for (;;) {
        HeldLock held(open(uuid));
        if (!wait_for([&] { return try_lock(held.fd(), kind, pool_byte); }, patience_of(job), job,
                      object)) {
            throw busy(object, pool_holder(held.fd()));
        }
        if (!is_current(held.fd()))
            continue;
        sign(held.fd(), pool_byte, make_note(operation, object));
        return held;
    }
}

HeldLock LockDirectory::hold(const std::string& uuid) const
{
    HeldLock held(open(uuid));
    if (!try_lock(held.fd(), F_RDLCK, first_holder_byte + ::getpid()))
        throw Error(ErrorCode::internal, "'" + lock_file(uuid) + "' is locked by a stranger");
    return held;
}

std::string LockDirectory::other_holder(const std::string& uuid, const HeldLock* mine) const
{
    UniqueFd own;
    if (!mine)
        own = open(uuid);
    const auto byte = find_lock(mine ? mine->fd() : own.get(), first_holder_byte, most_processes);
    return byte ? "process " + std::to_string(*byte - first_holder_byte) : std::string();
}

namespace {

std::string volume_object(std::string_view volume, std::string_view pool_name)
{
    return "volume '" + std::string(volume) + "' in pool '" + std::string(pool_name) + "'";
}

} // namespace

HeldLock LockDirectory::lock_volume(const VolumeLock& wanted, std::string_view operation,
                                    Job* job) const
{
    const auto object = volume_object(wanted.volume, wanted.pool_name);
    const short kind = wanted.use == VolumeUse::read ? F_RDLCK : F_WRLCK;
    const auto byte = volume_byte(wanted.volume);
    for (;;) {
        HeldLock held(open(wanted.pool_uuid));
        bool pool_is_free = false;
        const auto attempt = [&] {
            pool_is_free = try_lock(held.fd(), F_RDLCK, pool_byte);
            if (!pool_is_free)
                return false;
            if (try_lock(held.fd(), kind, byte))
                return true;
            unlock(held.fd(), pool_byte); // waiting for a volume must not keep others from the pool
            return false;
        };
        if (!wait_for(attempt, patience_of(job), job, object)) {
            if (!pool_is_free)
                throw busy("pool '" + wanted.pool_name + "'", pool_holder(held.fd()));
            throw busy(object, holder_of(held.fd(), byte, object));
        }
        if (!is_current(held.fd()))
            continue;
        sign(held.fd(), byte, make_note(operation, object));
        return held;
    }
}

std::pair<HeldLock, HeldLock> LockDirectory::lock_volumes(const VolumeLock& first,
                                                          const VolumeLock& second,
                                                          std::string_view operation,
                                                          Job* job) const
{
    const auto place = [](const VolumeLock& lock) {
        return std::pair(std::string_view(lock.pool_uuid), volume_byte(lock.volume));
    };
    const bool swapped = place(second) < place(first);
    auto one = lock_volume(swapped ? second : first, operation, job);
    auto other = lock_volume(swapped ? first : second, operation, job);
    if (swapped)
        return {std::move(other), std::move(one)};
    return {std::move(one), std::move(other)};
}

std::string LockDirectory::volume_holder(const VolumeLock& wanted) const
{
    // Not for writing: who waits for a lock to be given back (PoolWatches) is told of such closes.
    const UniqueFd fd(
        ::open(lock_file(wanted.pool_uuid).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    const auto byte = volume_byte(wanted.volume);
    const short kind = wanted.use == VolumeUse::read ? F_RDLCK : F_WRLCK;
    // Asked for, not taken: who wants it at this instant must not find it taken.
    if (!fd || !find_lock(fd.get(), byte, 1, kind))
        return {};
    return holder_of(fd.get(), byte, volume_object(wanted.volume, wanted.pool_name));
}

void LockDirectory::forget(const std::string& uuid) const noexcept
{
    ::unlink(lock_file(uuid).c_str());
}

} // namespace storage::inline v1
