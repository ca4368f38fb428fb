// SPDX-License-Identifier: LGPL-2.1-or-later
// Looks at volumes that overtake each other: what was seen last is what the table says.
#include "table_news.hpp"

#include <catch2/catch.hpp>

using storage::TableNews;

TEST_CASE("a look that a later one overtook tells nothing", "[unit]")
{
    TableNews news;
    const auto early = news.begin_look();
    const auto late = news.begin_look();
    CHECK(news.end_look("a", late));
    CHECK_FALSE(news.end_look("a", early));
    const auto next = news.begin_look();
    CHECK(news.end_look("a", next));
}

TEST_CASE("a look that a refresh overtook tells nothing", "[unit]")
{
    TableNews news;
    const auto look = news.begin_look();
    const auto refresh = news.begin_refresh();
    SECTION("that is over")
    {
        news.refreshed(refresh);
        CHECK_FALSE(news.end_look("a", look));
        CHECK_FALSE(news.want_some());
    }
    SECTION("that goes on: it will be looked at again")
    {
        CHECK(news.end_look("a", look));
        news.refreshed(refresh);
        CHECK(news.want_some());
        CHECK(news.names().contains("a"));
    }
    SECTION("that failed")
    {
        news.refresh_failed();
        CHECK(news.end_look("a", look));
    }
}

TEST_CASE("what is learned while a refresh reads is looked at once more", "[unit]")
{
    TableNews news;
    const auto asked_before = news.now();
    const auto refresh = news.begin_refresh();
    news.changed("a");
    news.refreshed(refresh);
    CHECK(news.want_some());
    CHECK(news.want_some(refresh));
    CHECK_FALSE(news.want_some(asked_before)); // who asked before is served by the refresh
    const auto look = news.begin_look();
    CHECK(news.end_look("a", look));
    news.settle("a", news.names().at("a"));
    CHECK_FALSE(news.want_some());
}
