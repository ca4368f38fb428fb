// SPDX-License-Identifier: LGPL-2.1-or-later
// StateStore: where definitions, autostart links and records of started pools lie on disk, in
// libvirt's layout, and how to tell cheaply that something there changed.
#pragma once

#include "change.hpp"

#include <basin/context.hpp>

namespace storage::inline v1 {

/** Tells one state of a file or directory from the next. */
struct FileStamp {
    std::uint64_t inode{};
    std::uint64_t size{};
    std::int64_t modified_ns{};
    std::int64_t changed_ns{};
    bool operator==(const FileStamp&) const = default;
};

/** A file of the store and its stamp. */
struct StoredFile {
    std::string pool_name{};
    FileStamp stamp{};
};

/** What start() puts on record. */
struct StartRecord {
    PoolDef definition{};   ///< as it was at the start
    std::string boot_id{};  ///< the record counts for this boot only
    std::string identity{}; ///< Presence::identity after the start
    std::string note{};     ///< what Backend::start() wants to be told at the stop
    bool by_hold{};         ///< the last one that releases it stops it
};

class StateStore {
public:
    explicit StateStore(const ContextOptions& options);

    const std::string& config_dir() const { return config_dir_; }
    const std::string& state_dir() const { return state_dir_; }
    const std::string& run_dir() const { return run_dir_; }
    std::string journal_dir() const { return state_dir_ + "/journal"; }
    std::string lock_dir() const { return run_dir_ + "/lock"; }
    std::string event_log() const { return run_dir_ + "/events"; }
    std::string autostart_dir() const { return config_dir_ + "/autostart"; }
    std::string records_dir() const { return run_dir_ + "/pools"; }

    std::string config_path(std::string_view pool) const;
    std::string autostart_path(std::string_view pool) const;
    std::string record_path(std::string_view pool) const;

    /** Stamps of the three directories; zero where one does not exist. */
    struct Stamps {
        FileStamp config{};
        FileStamp autostart{};
        FileStamp records{};
        bool operator==(const Stamps&) const = default;
    };
    Stamps stamps() const;
    static FileStamp stamp(const std::string& path);

    std::vector<StoredFile> config_files() const;
    std::vector<StoredFile> record_files() const;
    /** The pools whose link in autostart/ leads to their definition. */
    std::vector<std::string> autostart_links() const;

    /** @throws Error  unreadable, not well-formed, or of another name than its file */
    PoolDef read_config(const std::string& pool) const;
    /** Nothing when there is none, or one from before the last boot. */
    std::optional<StartRecord> read_record(const std::string& pool) const;

    Step write_config_step(const PoolDef& def) const;
    Step remove_config_step(const std::string& pool) const;
    /** The record's identity is asked for when the step runs, for only then the pool is there, and
     * filled in. */
    Step write_record_step(std::shared_ptr<StartRecord> record,
                           std::function<std::string()> identity) const;
    Step remove_record_step(const std::string& pool) const;
    Step autostart_step(const std::string& pool, bool on) const;

    /** Removes temporary files that killed writers of definitions left. The caller holds the
     * registry lock. */
    void remove_leftovers() const noexcept;

private:
    std::string config_dir_;
    std::string state_dir_;
    std::string run_dir_;
    std::string boot_id_;
};

} // namespace storage::inline v1
