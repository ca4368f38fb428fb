// SPDX-License-Identifier: LGPL-2.1-or-later
#include <catch2/catch.hpp>

#include "volume_table.hpp"

#include <map>
#include <random>
#include <thread>

using namespace storage;

namespace {

VolumeFacts facts_of(std::uint64_t number)
{
    return {.capacity = number, .allocation = number / 2, .inode = number + 1};
}

std::string numbered(std::string text, std::size_t number)
{
    return text.append(std::to_string(number));
}

/** What the table must say, kept the simple way. */
using Model = std::map<std::string, VolumeRecord>;

void check_same(const VolumeTable& table, const Model& model)
{
    REQUIRE(table.size() == model.size());
    const auto entries = table.entries();
    REQUIRE(entries.size() == model.size());
    std::size_t position = 0;
    for (const auto& [name, record] : model) {
        const auto& entry = entries[position++];
        REQUIRE(entry == VolumeEntry{name, record.key, record.path});
        REQUIRE(table.find(name) == record);
        const auto index = table.find_index(name);
        REQUIRE(index);
        REQUIRE(table.find_by_key(record.key) == index);
        REQUIRE(table.find_by_path(record.path) == index);
        REQUIRE(table.facts(*index) == record.facts);
    }
}

bool has_other_with(const Model& model, const VolumeRecord& record)
{
    return std::any_of(model.begin(), model.end(), [&](const auto& item) {
        return item.first != record.name &&
               (item.second.key == record.key || item.second.path == record.path);
    });
}

class RandomRecords {
public:
    explicit RandomRecords(std::string prefix) : prefix_(std::move(prefix)) {}

    unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
    std::string name() { return std::string(below(30), 'x') + std::to_string(below(80)); }

    VolumeRecord operator()()
    {
        VolumeRecord record{.name = name(), .facts = facts_of(below(1000))};
        record.path = prefix_.empty() ? numbered("/dev/", below(3000)) : prefix_ + record.name;
        record.key = prefix_.empty() ? numbered("key-", below(3000)) : record.path;
        for (auto count = below(4) == 0 ? below(4) : 0; count > 0; --count)
            record.references.push_back(std::string(below(40), 'r'));
        return record;
    }

private:
    std::string prefix_;
    std::mt19937 random_{12345};
};

void run_model(const std::string& prefix)
{
    VolumeTable table(prefix);
    Model model;
    RandomRecords random(prefix);
    for (int round = 0; round < 6000; ++round) {
        const auto record = random();
        const bool known = model.contains(record.name);
        const bool clashes = prefix.empty() && has_other_with(model, record);
        switch (random.below(3)) {
        case 0:
            REQUIRE(table.add(record) == (!known && !clashes));
            if (!known && !clashes)
                model.emplace(record.name, record);
            break;
        case 1:
            REQUIRE(table.upsert(record) == !clashes);
            if (!clashes)
                model.insert_or_assign(record.name, record);
            break;
        case 2: REQUIRE(table.erase(record.name) == (model.erase(record.name) == 1)); break;
        }
        if (round % 97 == 0)
            check_same(table, model);
    }
    check_same(table, model);
}

} // namespace

TEST_CASE("a table with a prefix answers as a map does", "[volume_table]")
{
    run_model("/srv/images/");
}

TEST_CASE("a table of explicit keys and paths answers as a map does", "[volume_table]")
{
    run_model("");
}

TEST_CASE("an empty table finds nothing", "[volume_table]")
{
    const VolumeTable table("/p/");
    CHECK(table.empty());
    CHECK_FALSE(table.find("a"));
    CHECK_FALSE(table.find_by_path("/p/a"));
    CHECK(table.sorted().empty());
    CHECK(table.entries().empty());
}

TEST_CASE("a derived key or path is found only below the prefix", "[volume_table]")
{
    VolumeTable table("/p/");
    CHECK(table.add("a", {}));
    CHECK(table.find_by_path("/p/a") == 0u);
    CHECK(table.find_by_key("/p/a") == 0u);
    CHECK_FALSE(table.find_by_path("a"));
    CHECK_FALSE(table.find_by_path("/p"));
    CHECK_FALSE(table.find_by_path("/q/a"));
    CHECK_FALSE(table.find_by_path("/p//a"));
}

TEST_CASE("where a record gives neither, path is the name and key the path", "[volume_table]")
{
    VolumeTable table;
    CHECK(table.add({.name = "a"}));
    CHECK(table.add({.name = "b", .path = "/dev/b"}));
    CHECK(table.find_by_path("a") == 0u);
    CHECK(table.key(1) == "/dev/b");
}

TEST_CASE("names sort by bytes, also where one begins like another", "[volume_table]")
{
    VolumeTable table("/");
    for (const auto* name : {"vm-2", "vm-10", "vm-", "vm-1", "vm-\xc3\xa4", "vm-1234567890b",
                             "vm-1234567890a", "vm-12345678"})
        CHECK(table.add(name, {}));
    CHECK(table.names() == std::vector<std::string>{"vm-", "vm-1", "vm-10", "vm-12345678",
                                                    "vm-1234567890a", "vm-1234567890b", "vm-2",
                                                    "vm-\xc3\xa4"});
}

TEST_CASE("references are visited in order without copies", "[volume_table]")
{
    VolumeTable table("/");
    const std::vector<std::string> references{"/b/base.qcow2", "", "nbd://host/x"};
    CHECK(table.add("a", {}, references));
    CHECK(table.references(0) == references);
    CHECK(table.add("b", {}));
    CHECK(table.references(1).empty());
}

TEST_CASE("a volume costs less than 150 bytes with its name", "[volume_table]")
{
    constexpr std::size_t count = 20000;
    VolumeTable table("/srv/images/");
    for (std::size_t i = 0; i < count; ++i)
        REQUIRE(table.add(numbered("volume-", i), facts_of(i)));
    CHECK(table.sorted().size() == count);
    CHECK(table.memory() / count < 250); // vectors double: up to twice what is used
    VolumeTable exact("/srv/images/");
    exact.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        REQUIRE(exact.add(numbered("volume-", i), facts_of(i)));
    CHECK(exact.memory() / count < 150);
}

TEST_CASE("changing the same volumes for ever needs no more memory", "[volume_table]")
{
    VolumeTable table;
    std::size_t highest = 0;
    for (std::size_t i = 0; i < 200000; ++i) {
        VolumeRecord record{.name = numbered("v", i % 50)};
        record.path = numbered(std::string(100, 'p'), i);
        record.key = numbered(std::string(100, 'k'), i);
        REQUIRE(table.upsert(record));
        highest = std::max(highest, table.memory());
    }
    CHECK(table.size() == 50);
    CHECK(highest < 2'000'000);
}

TEST_CASE("readers may ask for the order at the same time", "[volume_table]")
{
    VolumeTable table("/srv/");
    for (std::size_t i = 0; i < 5000; ++i)
        REQUIRE(table.add(numbered("v", i * 7919 % 5000), {}));
    std::vector<std::string> expected[3];
    {
        std::vector<std::jthread> readers;
        for (auto& names : expected)
            readers.emplace_back([&] { names = table.names(); });
    }
    CHECK(expected[0].size() == 5000);
    CHECK(std::is_sorted(expected[0].begin(), expected[0].end()));
    CHECK(expected[1] == expected[0]);
    CHECK(expected[2] == expected[0]);
}
