// SPDX-License-Identifier: LGPL-2.1-or-later
// DirectoryNews: which files of pools' directories anybody made or wrote since they were last
// looked at.
#pragma once

#include "file_io.hpp"
#include "state_store.hpp"

#include <map>
#include <mutex>
#include <set>

namespace storage::inline v1 {

/**
 * Tells by inotify(7) what would otherwise take a look at a whole directory. What appears in it is
 * told before the system call that made it returns; of other hosts and of file servers nothing is.
 * @note Thread-safe.
 */
class DirectoryNews {
public:
    /**
     * The names of what appeared in the directory of a started pool, or was written and closed,
     * since the last call for this start, by whomever.
     * @return nothing where that is not known, as at the first call: look at all; what comes after
     * this call is told by the next one
     */
    std::optional<std::set<std::string>> take(const std::shared_ptr<const StartRecord>& start);
    /** What was taken was not looked at: the next call does not know. */
    void forget(const std::shared_ptr<const StartRecord>& start);

private:
    struct Directory {
        std::weak_ptr<const StartRecord> start{};
        std::set<std::string> names{};
        bool incomplete{}; ///< more happened than is known by name
    };
    void read();
    void leave_stopped();
    Directory* find(const std::shared_ptr<const StartRecord>& start);

    std::mutex mutex_{};
    UniqueFd inotify_{};
    ::pid_t process_{}; ///< whose it is: a forked one would take away what the other waits for
    std::map<int, Directory> directories_{}; ///< by watch descriptor
};

} // namespace storage::inline v1
