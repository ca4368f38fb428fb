// SPDX-License-Identifier: LGPL-2.1-or-later
// TableNews: what is known to have changed since a pool's table of volumes was read.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace storage::inline v1 {

/**
 * What is known to have changed since a pool's table was read. Everything has a number in the order
 * in which it was learned, so that looks that overtake each other do no harm: what was learned
 * after a look began is not settled by it.
 */
class TableNews {
public:
    using Moment = std::uint64_t;

    /** One volume changed. */
    void changed(const std::string& name);
    /** More changed than is known by name. */
    void everything_changed() { reload_ = ++now_; }
    bool want_all() const { return reload_ > read_; }
    bool want_some() const { return want_all() || !names_.empty(); }
    /** Of what was learned until then. */
    bool want_some(Moment until) const;
    Moment now() const { return now_; }
    /** The volumes that changed, and when that was learned. */
    const std::map<std::string, Moment>& names() const { return names_; }
    /** The volume was looked at since then. */
    void settle(const std::string& name, Moment learned);

    Moment begin_refresh();
    /** @return whether one is under way */
    bool refreshing() const { return refreshing_; }
    void refresh_failed();
    void refreshed(Moment begun);

    Moment begin_look();
    /** Takes note of the outcome. @return whether no look or refresh that began later has told
     * already */
    bool end_look(const std::string& name, Moment begun);
    /** The look had no outcome. */
    void abandon_look();

    void clear();

private:
    Moment now_{0}, reload_{0}, read_{0};
    std::map<std::string, Moment> names_{};
    std::set<std::string> missed_{}; ///< changed while a refresh may have passed them by
    bool refreshing_{};
    unsigned looks_{0};
    std::map<std::string, Moment> told_{}; ///< when the look began that told last; while any looks
};

} // namespace storage::inline v1
