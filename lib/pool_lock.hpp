// SPDX-License-Identifier: LGPL-2.1-or-later
// Locks that hold between threads and processes alike, and vanish with whoever dies holding one.
#pragma once

#include "lock_descriptor.hpp"

#include <basin/job.hpp>

#include <string>
#include <vector>

namespace storage::inline v1 {

/**
 * A lock held. Every lock is an open-file-description lock (fcntl(2), F_OFD_SETLK) on a descriptor
 * of its own, so that two threads exclude each other exactly as two processes do.
 */
class HeldLock {
public:
    HeldLock() = default;
    explicit HeldLock(UniqueFd fd) : fd_(std::move(fd)) {}
    HeldLock(HeldLock&&) noexcept = default;
    HeldLock& operator=(HeldLock&&) = delete;
    /** Unlocks before it closes, and lets inotify tell it: others may have the descriptor for
     * longer, as programs' supervisors and a child that the host forked meanwhile do. */
    ~HeldLock();
    int fd() const { return fd_.get(); }

private:
    LockDescriptor fd_{};
};

/** What a volume is locked for: any number may read it at once. */
enum class VolumeUse : bool { change, read };

/** Which volume is locked, and what for. */
struct VolumeLock {
    const std::string& pool_uuid;
    const std::string& pool_name;
    std::string_view volume;
    VolumeUse use{VolumeUse::change};
};

/** The locks below one run-time directory. */
class LockDirectory {
public:
    explicit LockDirectory(std::string path) : path_(std::move(path)) {}

    /** Guards the set of definitions and started pools. Held for microseconds; waited for. */
    HeldLock lock_registry(Job* job) const;
    /** Keeps words to one holder each: what a pool that is about to be will be. Waited for.
     * @param object  whose they are to be */
    HeldLock lock_claims(const std::vector<std::string>& claims, const std::string& object,
                         std::string_view operation, Job* job) const;

    /**
     * Guards one pool's life cycle against everything that goes on in it.
     * @throws Error busy  naming the holder, once the job's wait has passed
     */
    HeldLock lock_pool(const std::string& uuid, const std::string& name, std::string_view operation,
                       Job* job, VolumeUse use = VolumeUse::change) const;
    /** Marks the pool as held, beside all other locks; any number may. */
    HeldLock hold(const std::string& uuid) const;
    /** "process 123", one that holds the pool; "" for nobody. @param mine  does not count; or null
     */
    std::string other_holder(const std::string& uuid, const HeldLock* mine) const;

    /** Guards one volume; volumes of one pool do not wait for each other, life-cycle changes wait
     * for all. */
    HeldLock lock_volume(const VolumeLock& wanted, std::string_view operation, Job* job) const;
    /** Two at once, each in the order that holds for all: nobody who has one of them waits for
     * somebody who has the other. */
    std::pair<HeldLock, HeldLock> lock_volumes(const VolumeLock& first, const VolumeLock& second,
                                               std::string_view operation, Job* job) const;
    /** Who keeps the volume from being locked so now, in words; "" for nobody. */
    std::string volume_holder(const VolumeLock& wanted) const;

    /** Its attributes change whenever a lock is given back; when who has one dies it is closed. */
    std::string lock_file(const std::string& uuid) const { return path_ + '/' + uuid; }
    /** Forgets the lock file of a pool that is gone. The caller holds the pool's lock. */
    void forget(const std::string& uuid) const noexcept;

private:
    UniqueFd open(const std::string& name) const;
    std::string path_;
};

} // namespace storage::inline v1
