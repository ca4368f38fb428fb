// SPDX-License-Identifier: LGPL-2.1-or-later
// Journal: one file for each change under way that is not atomic, locked while its process lives.
#pragma once

#include "lock_descriptor.hpp"

#include <chrono>
#include <vector>

namespace storage::inline v1 {

/** A change's journal file, open and locked. Lines of JSON; the first one describes the change. */
class JournalEntry {
public:
    JournalEntry(UniqueFd fd, std::string path, Durability durability = Durability::durable)
        : fd_(std::move(fd)), path_(std::move(path)), durability_(durability)
    {
    }
    JournalEntry(JournalEntry&&) noexcept = default;
    JournalEntry& operator=(JournalEntry&&) = delete;
    ~JournalEntry();

    /** Adds a line; on the disk when it returns, unless the entry is volatile. */
    void append(const std::string& line);
    std::string read() const;
    /** Locks an entry of abandoned() until it is over. False where somebody else did, or it is over
     * already. */
    bool take();
    /** The user who made it. */
    unsigned owner() const;
    /** Says why it is left for later; its age begins anew. */
    void put_off(const std::string& line, bool first) noexcept;
    /** Since the last line. */
    std::chrono::seconds age() const noexcept;
    /** The change is over: removes the file. */
    void remove() noexcept;
    const std::string& path() const { return path_; }

private:
    LockDescriptor fd_;
    std::string path_;
    Durability durability_;
};

class Journal {
public:
    explicit Journal(std::string directory) : directory_(std::move(directory)) {}

    JournalEntry open_entry(const std::string& first_line,
                            Durability durability = Durability::durable) const;
    /** The entries whose process is gone, not locked: who deals with one takes it. Waits up to a
     * second for programs that a process which was killed has left. */
    std::vector<JournalEntry> abandoned() const;
    /** Keeps an entry that cannot be understood out of the way, under another name. */
    void set_aside(JournalEntry& entry) const noexcept;

private:
    std::string directory_;
};

} // namespace storage::inline v1
