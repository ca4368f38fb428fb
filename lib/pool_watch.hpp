// SPDX-License-Identifier: LGPL-2.1-or-later
// PoolWatches: what programs other than basin do to the volumes of active pools, by inotify(7).
#pragma once

#include "pool_object.hpp"

#include <set>
#include <sys/inotify.h>

namespace storage::inline v1 {

class PoolWatches {
public:
    /** @param inotify  outlives this */
    explicit PoolWatches(int inotify) : inotify_(inotify) {}

    /** Follows all active pools of types that can be watched, and reads those that are new: with
     * that is compared what comes later. Asks their storage. */
    void follow(Context::Impl& context);
    /** Takes note of what the descriptor said. */
    void take(const ::inotify_event& event);
    /** Looks at what is noted, and tells what changed; but not what a basin process is about to
     * tell, or has told. */
    void tell(Context::Impl& context);

private:
    struct Watched {
        PoolPointer pool{};
        std::shared_ptr<const StartRecord> start{};
        std::set<std::string> names{};  ///< that something happened to
        std::set<std::string> locked{}; ///< the same, to be looked at when they are unlocked
        int lock_file{-1};              ///< its watch, while there are any
        bool all{};                     ///< more happened than is known by name
        bool moved{};                   ///< the directory itself
        bool gone{};                    ///< the directory itself
        bool unsure{};                  ///< what became of the directory was not heard
    };

    bool is_followed(const PoolPointer& pool) const;
    void begin(const PoolPointer& pool);
    void end(std::pair<const int, Watched>& entry);
    bool is_changing(const LockDirectory& locks, Watched& watched, const std::string& name);
    void look_at(Context::Impl& context, Watched& watched, const std::string& name);
    void look_for_lost(Context::Impl& context);

    int inotify_;
    std::vector<Watched> lost_{};      ///< whose directory was gone, and may be there again
    std::map<int, Watched> watched_{}; ///< by watch descriptor
};

} // namespace storage::inline v1
