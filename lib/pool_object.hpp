// SPDX-License-Identifier: LGPL-2.1-or-later
// PoolObject: what one Context knows of one pool; Context::Impl: what it knows of all of them.
#pragma once

#include "backend.hpp"
#include "change.hpp"
#include "directory_news.hpp"
#include "event_log.hpp"
#include "patience.hpp"
#include "pool_lock.hpp"
#include "process_runner.hpp"
#include "state_store.hpp"
#include "system_root.hpp"
#include "table_news.hpp"

#include <shared_mutex>

namespace storage::inline v1 {

/** A pool as the files on disk describe it. Replaced as a whole, so that readers copy a pointer. */
struct PoolFiles {
    std::shared_ptr<const PoolDef> persistent{};  ///< null: transient
    std::shared_ptr<const StartRecord> started{}; ///< null: not started
    bool autostart{};
    FileStamp config_stamp{};
    FileStamp record_stamp{};

    const PoolDef& current() const { return started ? started->definition : *persistent; }
    bool exists() const { return persistent || started; }
};

/** What this process wrote and need not read again; null: not written. */
struct WrittenFiles {
    std::shared_ptr<const PoolDef> persistent{};
    std::shared_ptr<const StartRecord> started{};
};

/** Whether storage can stop answering: a server, a file system in user space. */
enum class Steadiness : std::uint8_t { unknown, steady, may_hang };

struct PoolObject {
    PoolObject(std::weak_ptr<Context::Impl> owner, std::string pool_uuid, std::string pool_name)
        : context(std::move(owner)), uuid(std::move(pool_uuid)), name(std::move(pool_name))
    {
    }

    const std::weak_ptr<Context::Impl> context;
    const std::string uuid;
    const std::string name;

    /** What the files say; never null. exists() is false once the pool is gone. */
    std::shared_ptr<const PoolFiles> files() const;
    void set_files(std::shared_ptr<const PoolFiles> files);

    /** The backend for the definition in force. */
    std::shared_ptr<Backend> backend(const Host& host);

    const std::shared_ptr<LeftCalls> left_calls{std::make_shared<LeftCalls>()};
    std::atomic<Steadiness> steadiness{Steadiness::unknown}; ///< as long as it is started

    std::mutex refresh_mutex{}; ///< one refresh at a time; readers never take it
    std::mutex finding_mutex{}; ///< one at a time finds what others made, so that all know it after

    // The volumes. Replaced whole by refresh(); single volumes change under the lock.
    mutable std::shared_mutex table_mutex{};
    std::shared_ptr<VolumeTable> table{}; ///< null: not read yet
    TableNews news{};

private:
    mutable std::mutex files_mutex_{};
    std::shared_ptr<const PoolFiles> files_{std::make_shared<PoolFiles>()};
    std::shared_ptr<Backend> backend_{};
    std::shared_ptr<const PoolFiles> backend_files_{}; ///< the files that backend_ was made for
};

using PoolPointer = std::shared_ptr<PoolObject>;
class PoolWatches;

/** Who did what an event tells. */
enum class Doer : bool { this_context, another };

struct Context::Impl : std::enable_shared_from_this<Context::Impl> {
    explicit Impl(ContextOptions context_options);

    ContextOptions options;
    Log log;
    SystemRoot system;
    ProcessRunner runner;
    Host host;
    StateStore store;
    Journal journal;
    LockDirectory locks;
    EventLog events;
    DirectoryNews directory_news{};

    /** How thoroughly synchronise() looks for changes by others. */
    enum class Look : bool {
        quick, ///< basin's own processes: a memory read
        full,  ///< also files changed by hand or by libvirt: a few stat calls
    };
    /** Brings the registry up to date with the disk. */
    void synchronise(Look look);
    /** After our own write, under the registry lock: takes over one pool's files without a scan. */
    void reload_pool(const std::string& name, const WrittenFiles& written = {});

    PoolPointer find(std::string_view name) const;
    PoolPointer find_uuid(std::string_view uuid) const;
    std::vector<PoolPointer> all() const
    {
        return all_where([](const PoolFiles&) { return true; });
    }
    /** The pools whose files satisfy a predicate that must not block. */
    template <typename Predicate>
    std::vector<PoolPointer> all_where(Predicate&& wanted) const
    {
        const std::shared_lock lock(registry_mutex_);
        std::vector<PoolPointer> pools;
        for (const auto& [name, pool] : registry_.by_name)
            if (wanted(*pool->files()))
                pools.push_back(pool);
        return pools;
    }

    /** What tells a definition's source from others. Asks the storage, so not under a lock. */
    std::vector<std::string> source_identities(const PoolDef& def) const;
    /** Learns the sources of pools that are not known yet; of those whose storage does not answer,
     * another time. */
    void index_sources() const;
    /** @throws Error already_exists  another pool has the name, uuid or source */
    void refuse_conflicts(const PoolDef& def, std::span<const std::string> identities) const;

    ChangeHost change_host(Job* job) const
    {
        return {.journal = journal, .host = host, .job = job};
    }
    void require_writable(std::string_view what) const;
    /** @throws Error not_found */
    Secret ask_secret(const SecretRequest& request) const;
    void emit(EventKind kind, const PoolObject& pool, const std::string& volume = {},
              Doer doer = Doer::this_context) noexcept;
    LoggedEvent make_event(EventKind kind, const PoolObject& pool, const std::string& volume = {},
                           Doer doer = Doer::this_context) const;
    Timestamp now() const;

    /** Keeps a pool from being stopped by others. The caller has its life cycle locked. */
    void hold(const std::string& pool_uuid);
    bool holds(const std::string& pool_uuid);
    void let_go(const std::string& pool_uuid) noexcept;
    /** "process 123", another context that holds the pool; "" for nobody. */
    std::string other_holder(const std::string& pool_uuid);

    // The locks of LockDirectory, for changes: what a killed process left half-done there is
    // brought to its end first, or nothing would be known of what a later recovery undoes.
    HeldLock lock_pool(const std::string& uuid, const std::string& name, std::string_view operation,
                       Job* job, VolumeUse use = VolumeUse::change);
    HeldLock lock_volume(const VolumeLock& wanted, std::string_view operation, Job* job);
    std::pair<HeldLock, HeldLock> lock_volumes(const VolumeLock& first, const VolumeLock& second,
                                               std::string_view operation, Job* job);

    /** Brings to its end what killed processes left half-done there.
     * @return why something cannot be now; "" where nothing is left */
    std::string settle(const ChangePlace& place);

    /** The calls that make a pool of that name and were left behind, as a thread that was left has
     * them. */
    std::shared_ptr<LeftCalls> calls_for_new(const std::string& name);

    enum class Thoroughness : bool { changes, leftovers_too };
    std::vector<RecoveryResult> recover(Thoroughness thoroughness, Job* job);
    RecoveryHost recovery_host();
    std::mutex recovered_mutex{};
    std::vector<RecoveryResult> recovered_at_opening{}; ///< until somebody asks for it

    // Events for the application.
    int event_fd();
    std::optional<Event> next_event();

private:
    struct Registry {
        std::map<std::string, PoolPointer, std::less<>> by_name{};
        std::map<std::string, PoolPointer, std::less<>> by_uuid{};
    };

    std::optional<RecoveryResult> recover_patiently(std::shared_ptr<JournalEntry> entry,
                                                    Eagerness eagerness, Job* job);
    template <typename Lock>
    auto lock_settled(std::span<const ChangePlace> places, Lock&& lock);

    void scan();
    void read_pool(const std::string& name, const StoredFile* config, const StoredFile* record,
                   bool autostart, const WrittenFiles& written = {});
    void drop(const PoolPointer& pool);
    void apply_events();

    mutable std::shared_mutex registry_mutex_{};
    Registry registry_{};

    const std::shared_ptr<LeftCalls> recovery_calls_{std::make_shared<LeftCalls>()};
    std::mutex new_calls_mutex_{};
    std::map<std::string, std::shared_ptr<LeftCalls>> new_calls_{};

    std::mutex holds_mutex_{};
    std::map<std::string, HeldLock, std::less<>> holds_{}; ///< by uuid

    std::mutex synchronise_mutex_{};
    std::atomic<std::uint64_t> synchronised_{0}; ///< newest event that the registry knows
    std::atomic<bool> scanned_{false};
    StateStore::Stamps stamps_{};
    bool stamps_settled_{}; ///< the directories were quiet when they were scanned
    bool unread_{};         ///< the system failed to read a file, which says nothing of the file

    // Which pool is made of what; filled for the pools in `unindexed` when it is next asked.
    struct SourceIndex {
        std::multimap<std::string, std::string> uuid_of{};               ///< by identity
        std::map<std::string, std::vector<std::string>> identities_of{}; ///< by uuid
        std::vector<PoolPointer> unindexed{};
    };
    void note_sources(const PoolPointer& pool, std::vector<std::string> identities) const;
    mutable std::mutex sources_mutex_{};
    mutable SourceIndex sources_{};

    /** Reads the descriptor empty. */
    void drain_event_fd();
    /** Reads more of the log, and takes note of pools that started or stopped. */
    void read_events();

    std::mutex event_mutex_{};
    UniqueFd event_fd_{};
    std::shared_ptr<PoolWatches> watches_{}; ///< where the options ask for it
    std::uint64_t event_cursor_{0};
    std::uint64_t delivered_{0};
    std::vector<LoggedEvent> undelivered_{};
    std::size_t next_undelivered_{0};
    bool overflowed_{};
};

/** A pool handle's object and context, both alive and up to date; throws when either is gone. */
struct PoolAccess {
    explicit PoolAccess(const PoolPointer& pointer,
                        Context::Impl::Look look = Context::Impl::Look::quick);

    PoolPointer pool;
    std::shared_ptr<Context::Impl> context;
    std::shared_ptr<const PoolFiles> files;

    const PoolDef& def() const { return files->current(); }
    const BackendInfo& info() const;
    Backend& backend();
    /** @throws Error invalid_state  not started, or not there any more */
    Backend& active_backend();
    /** @throws Error invalid_state  not started; costs no system call */
    void require_started() const;
    void require(Capability capability, std::string_view what) const;
    std::string title() const { return "pool '" + pool->name + "'"; }

    /** The volumes, read if need be, with others' changes applied. Locked for reading as long as it
     * lives. */
    struct Volumes {
        std::shared_ptr<VolumeTable> table;
        std::shared_lock<std::shared_mutex> lock;
    };
    Volumes volumes(Job* job = nullptr);
    enum class Announce : std::uint8_t {
        found,        ///< a mere look: what it finds changed, another program did
        refresh,      ///< the same, and that somebody asked for a refresh
        consequences, ///< what this context's own change brought about
    };
    /** Reads all volumes again and tells what changed. */
    void refresh(Job* job, Announce announce);
    /** Takes one volume's present state into the table, if that was read. Returns whether the
     * volume exists. */
    bool update_volume(const std::string& name);
    /** Whether they are made and go as such, as those of LVM. */
    bool has_snapshots_as_volumes() const;
    /**
     * After a change of one volume with which others may have changed: partitions behind a deleted
     * one have other numbers, a snapshot may be a volume. They are read again and told.
     * @param gone  a volume that was deleted: what has its name now is new
     */
    void update_others(std::string_view gone = {});

private:
    void bring_up_to_date(bool read_all, Job* job);
    /** Whether the pool's table, which is locked, is that of the start that this call knows. */
    bool is_of_this_start() const { return pool->files()->started == files->started; }
    std::shared_ptr<Backend> backend_{};
};

/** How the library's parts make and open handles. */
struct Pool::Access {
    static Pool make(PoolPointer object) { return Pool(std::move(object)); }
    static const PoolPointer& object(const Pool& pool) { return pool.object_; }
};

struct Volume::Access {
    static Volume make(PoolPointer pool, std::string name)
    {
        return Volume(std::move(pool), std::move(name));
    }
    static const PoolPointer& pool(const Volume& volume) { return volume.pool_; }
    static const std::string& expected(const Volume& volume) { return volume.expected_; }
};

/** Refuses what cannot be a volume's name in any pool. @throws Error invalid_argument */
void check_volume_name(std::string_view name);

/** What the volume would be called in an error: "volume 'a' in pool 'vms'". */
std::string volume_title(std::string_view volume, const PoolObject& pool);

} // namespace storage::inline v1
