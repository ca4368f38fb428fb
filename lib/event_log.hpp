// SPDX-License-Identifier: LGPL-2.1-or-later
// EventLog: a ring of events in a file that all processes of one run-time directory share.
// Its counter is also the generation: equal counter, nothing changed by any basin process.
#pragma once

#include "file_io.hpp"

#include <basin/event.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>

namespace storage::inline v1 {

/** One entry of the ring; `sequence` counts across processes. */
struct LoggedEvent {
    std::uint64_t sequence{};
    std::uint64_t writer{}; ///< which Context wrote it; 0 in append(): this one
    EventKind kind{};
    Timestamp time{};
    std::string pool_name{};
    std::string pool_uuid{};
    std::string volume_name{};
    bool name_was_cut{}; ///< the volume's name did not fit
};

class EventLog {
public:
    /** Set in the writer of what a Context saw another program do. */
    static constexpr std::uint64_t foreign = 1;

    EventLog(std::string path, std::uint64_t writer)
        : path_(std::move(path)), writer_(writer & ~foreign)
    {
    }
    ~EventLog();
    EventLog(const EventLog&) = delete;
    EventLog& operator=(const EventLog&) = delete;

    /** Maps the file if it exists and is not mapped yet, or was replaced. */
    void attach();

    /** The number of the newest event; 0 without a file. A memory read: no system call. */
    std::uint64_t newest() const noexcept;

    /** Makes the file if there is none, and maps it. @throws Error */
    void ensure_exists();

    /** Appends; makes the file when needed. @throws Error busy  another process has the log locked
     * and stands still */
    void append(std::span<const LoggedEvent> events);
    void append(const LoggedEvent& event) { append({&event, 1}); }

    /**
     * Reads events after `cursor` and moves it; at most 256 at once. Returns false when the ring
     * has overtaken the cursor, which then stands at the newest event.
     */
    bool read_after(std::uint64_t& cursor, std::vector<LoggedEvent>& out) const;

    std::uint64_t writer() const noexcept { return writer_; }
    const std::string& path() const noexcept { return path_; }

private:
    struct Mapping;
    void create() const;
    std::shared_ptr<const Mapping> mapping() const;

    std::string path_;
    std::uint64_t writer_;
    std::atomic<const std::atomic<std::uint64_t>*> counter_{nullptr};
    std::mutex append_mutex_{};
    mutable std::mutex mutex_{};
    std::shared_ptr<const Mapping> mapping_{};
    std::vector<std::shared_ptr<const Mapping>> retired_{}; ///< kept: newest() reads without a lock
};

} // namespace storage::inline v1
