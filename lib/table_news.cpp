// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table_news.hpp"

#include <algorithm>
#include <utility>

namespace storage::inline v1 {

void TableNews::changed(const std::string& name)
{
    names_[name] = ++now_;
    if (refreshing_)
        missed_.insert(name);
}

bool TableNews::want_some(Moment until) const
{
    return (want_all() && reload_ <= until) ||
           std::any_of(names_.begin(), names_.end(),
                       [&](const auto& news) { return news.second <= until; });
}

void TableNews::settle(const std::string& name, Moment learned)
{
    const auto found = names_.find(name);
    if (found != names_.end() && found->second == learned)
        names_.erase(found);
}

TableNews::Moment TableNews::begin_refresh()
{
    missed_.clear();
    refreshing_ = true;
    return ++now_;
}

void TableNews::refresh_failed()
{
    missed_.clear();
    refreshing_ = false;
}

void TableNews::refreshed(Moment begun)
{
    names_.clear(); // who asked before it began is served by it; who asked later wants these, too
    for (const auto& name : std::exchange(missed_, {}))
        names_.emplace(name, begun);
    refreshing_ = false;
    read_ = begun;
}

TableNews::Moment TableNews::begin_look()
{
    ++looks_;
    return ++now_;
}

bool TableNews::end_look(const std::string& name, Moment begun)
{
    if (refreshing_)
        missed_.insert(name);
    auto& told = told_[name];
    const bool latest = told < begun && read_ < begun;
    if (latest)
        told = begun;
    abandon_look();
    return latest;
}

void TableNews::abandon_look()
{
    if (--looks_ == 0)
        told_.clear();
}

void TableNews::clear()
{
    names_.clear();
    missed_.clear();
    read_ = now_;
}

} // namespace storage::inline v1
