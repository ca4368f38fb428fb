// SPDX-License-Identifier: LGPL-2.1-or-later
// Context: the root object. Any number of them live in one process and share nothing but the disk.
#pragma once

#include <basin/backend.hpp>
#include <basin/event.hpp>
#include <basin/pool.hpp>
#include <basin/secret.hpp>

#include <chrono>

namespace storage::inline v1 {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/** Called with one line without line break, on the thread of the call that has something to say. */
using LogCallback = std::function<void(LogLevel, std::string_view)>;

/** Where a Context keeps its files and whom it asks. Every member has a working default. */
struct ContextOptions {
    /**
     * A private directory for everything: configuration in ROOT/etc, state in ROOT/var, run-time
     * files in ROOT/run. Empty: the system's places, /etc/basin/storage, /var/lib/basin/storage and
     * /run/basin/storage for root, $XDG_CONFIG_HOME/basin/storage, $XDG_STATE_HOME/basin/storage
     * and $XDG_RUNTIME_DIR/basin/storage for others.
     */
    std::string root{};
    std::string config_dir{}; ///< NAME.xml and autostart/, libvirt's layout; overrides the above
    std::string state_dir{};  ///< journal of unfinished changes; overrides the above
    std::string run_dir{};    ///< records of started pools, locks, events; emptied by a reboot;
                              ///< overrides the above; for the pools of one config_dir only
    bool read_only{};         ///< refuse every change with permission_denied
    bool recover{true};       ///< false: opening leaves alone what killed processes left half-done
    /**
     * Events also tell what other programs than basin do to the volumes of active pools whose type
     * has Capability::watch, unless they are on a server or a file system in user space, which tell
     * nothing: the descriptor of event_fd() follows their directories (inotify(7): one watch each),
     * and next_event() looks at what changed. What a program writes is told when it closes the
     * volume. Pools are read when they are first followed. A directory that is moved, unmounted or
     * removed is a pool_changed, and so is its return, which next_event() finds out when it looks.
     */
    bool watch{};
    /**
     * How long a call that takes no Job waits for storage that does not answer: lookups, lists,
     * infos, chains. Then it throws timed_out, and the pool is inaccessible. More than 0. A Pool's
     * info() has an answer all the same, and waits no longer than 5 s.
     */
    std::chrono::milliseconds look_timeout{30'000};
    LogCallback log{};
    SecretCallback secrets{};
    std::string helper_directory{}; ///< basin's own helper programs; default: as installed
    std::string system_root{}; ///< prefix of every read of /proc, /sys, /dev and /etc; for tests
    std::function<Timestamp()> clock{}; ///< wall clock; for tests
};

/** Which pools to list; a group without a bit set does not filter. */
struct PoolFilter {
    std::optional<bool> active{}; ///< Pool::is_active()
    std::optional<bool> persistent{};
    std::optional<bool> autostart{};
    std::vector<std::string> types{};
};

/** What became of one pool in autostart(). */
struct AutostartResult {
    std::string pool_name{};
    bool started{}; ///< false: was active before, or failed
    std::optional<Error> error{};
};

/** What recover() did about one change that a dead process left behind. */
struct RecoveryResult {
    std::string operation{}; ///< e.g. "pool-build vms"; "": its journal makes no sense, see message
    bool finished{};         ///< true: completed; false: undone
    std::string message{};
    bool pending{}; ///< neither yet: what it needs does not answer. The next recovery tries again
};

/**
 * The pools of one configuration directory.
 *
 * Several processes may open the same directories at once: each sees the others' changes at its
 * next call. Opening finishes or undoes what a killed process left half-done. It starts nothing,
 * creates no thread, installs no handler, and needs no directory to exist beforehand.
 * @note Thread-safe; movable, not copyable.
 */
class BASIN_API Context {
public:
    /** @throws Error permission_denied, io, invalid_argument */
    explicit Context(ContextOptions options = {});
    ~Context();
    Context(Context&&) noexcept;
    Context& operator=(Context&&) noexcept;

    /**
     * Stores a persistent definition, or replaces the one with the same name and uuid; an active
     * pool goes on with its old one until it stops.
     * @throws Error already_exists  name, uuid or source is that of another pool; invalid_xml;
     * invalid_argument  the name begins with ".basin-", as basin's own files do; io
     */
    Pool define_pool(const PoolDef& def, Job* job = nullptr);
    /** Starts a pool without storing its definition: it is gone when it stops. */
    Pool create_pool(const PoolDef& def, BuildMode build = BuildMode::none, Job* job = nullptr);

    std::vector<Pool> pools(const PoolFilter& filter = {}) const;
    /** @throws Error not_found */
    Pool find_pool(std::string_view name) const;
    Pool find_pool_by_uuid(std::string_view uuid) const;
    /** The active pool whose target is this path, however the path is spelt. */
    Pool find_pool_by_target_path(std::string_view path) const;
    Volume find_volume_by_key(std::string_view key) const;
    Volume find_volume_by_path(std::string_view path) const;

    /** Looks for sources that a pool of this type could be made of. @capability find_sources */
    std::vector<PoolSource> find_pool_sources(std::string_view type, const PoolSource& where = {},
                                              Job* job = nullptr);

    /** Starts each pool marked so, independently of the others. A pool whose definition cannot be
     * read has a result, too. Throws only what concerns all. */
    std::vector<AutostartResult> autostart(Job* job = nullptr);

    /** Finishes or undoes what killed processes left half-done. The constructor does it too, and so
     * does each change of a pool or volume that such a process was changing; the next call tells of
     * that as well. What needs a server that does not answer, a secret that is not there, or a file
     * system that is not mounted, read-only or full, stays pending: this call tries it each time,
     * the constructor once a minute and not for long. Other users' changes are left to them. A dry
     * run tells the job what would be finished or undone, with the summary alone.
     * @param job  with a deadline, what has not come to its end by then is pending; without a job,
     * storage that may hang is waited for half a minute */
    std::vector<RecoveryResult> recover(Job* job = nullptr);

    /**
     * Returns a descriptor that polls readable when next_event() may have something. Owned by the
     * Context; made at the first call. Events are kept from this call on.
     */
    int event_fd();
    /** The next event, or nothing. Never waits for one. Also picks up what other processes did;
     * with ContextOptions::watch it looks at volumes for that. */
    std::optional<Event> next_event();

    const std::string& config_dir() const noexcept;
    const std::string& state_dir() const noexcept;
    const std::string& run_dir() const noexcept;

    struct BASIN_LOCAL Impl;

private:
    std::shared_ptr<Impl> impl_;
};

} // namespace storage::inline v1
