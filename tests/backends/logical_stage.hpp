// SPDX-License-Identifier: LGPL-2.1-or-later
// A logical pool's backend on its own, with what LVM says recorded in the lab or played back; and
// what is done with it in both places.
#pragma once

#include "backends.hpp"
#include "job_impl.hpp"
#include "lvm_steps.hpp"
#include "recording_runner.hpp"
#include "scratch.hpp"
#include "system_root.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <regex>

/** Random tags of new volumes are replaced by numbered ones on their way to another runner. */
class NumberedTags final : public storage::CommandRunner {
public:
    explicit NumberedTags(storage::CommandRunner& next) : next_(next) {}

    storage::CommandResult run(const storage::Command& command, storage::Job* job) override
    {
        auto given = command;
        for (auto& word : given.arguments)
            word = replaced(word, true);
        auto result = next_.run(given, job);
        result.output = replaced(result.output, false);
        return result;
    }

private:
    std::string replaced(std::string text, bool to_number)
    {
        static const std::regex tag("basin_[0-9a-f]{16}");
        std::string result;
        for (std::smatch match; std::regex_search(text, match, tag); text = match.suffix()) {
            result += match.prefix().str() + partner(match.str(), to_number);
        }
        return result + text;
    }
    std::string partner(const std::string& tag, bool to_number)
    {
        for (std::size_t i = 0; i != random_.size(); ++i)
            if (to_number ? random_[i] == tag : number(i) == tag)
                return to_number ? number(i) : random_[i];
        if (!to_number)
            return tag;
        random_.push_back(tag);
        return number(random_.size() - 1);
    }
    static std::string number(std::size_t i)
    {
        auto digits = std::to_string(i + 1);
        return "basin_" + std::string(16 - digits.size(), '0') + digits;
    }

    storage::CommandRunner& next_;
    std::vector<std::string> random_{};
};

class LogicalStage {
public:
    explicit LogicalStage(storage::CommandRunner& lvm) : tags_(lvm)
    {
        backend_ = storage::logical_backend.open(
            {.type = "logical", .name = "lvm", .source = {.name = "labvg"}}, host_);
    }

    storage::Backend& operator*() { return *backend_; }
    storage::Backend* operator->() { return backend_.get(); }

    /** Carries a change out, or says why not. */
    template <typename List>
    storage::ErrorCode change(List&& list)
    {
        using namespace storage;
        return error_code([&] {
            Change change("test");
            list(change);
            change.execute({.journal = journal_, .host = host_});
        });
    }
    std::map<std::string, storage::VolumeRecord> volumes()
    {
        storage::VolumeTable table;
        backend_->refresh(nullptr, table, nullptr);
        diagnostics = table.diagnostics();
        std::map<std::string, storage::VolumeRecord> result;
        for (const auto& name : table.names())
            result.emplace(name, *table.find(name));
        return result;
    }
    std::string names()
    {
        std::string result;
        for (const auto& name : backend_->names(nullptr))
            result += (result.empty() ? "" : " ") + name;
        return result;
    }
    std::vector<storage::Diagnostic> diagnostics{};

private:
    Scratch scratch_{};
    storage::SystemRoot system_{scratch_.directory / "system"}; // no devices in there
    storage::Log log_{};
    NumberedTags tags_;
    storage::Host host_{.system = system_, .log = log_, .runner = tags_};
    storage::Journal journal_{scratch_.directory / "journal"};
    std::unique_ptr<storage::Backend> backend_{};
};

/** A group with "thick" (4 extents) and nothing else. */
inline void thin_pool_life(LogicalStage& stage)
{
    using namespace storage;
    constexpr std::uint64_t mib = 1 << 20;
    VolumeDef def{.name = "tp", .capacity = 60 * mib};
    def.target.provisioning = Provisioning{.kind = ProvisioningKind::thin_pool};
    CHECK(stage.change([&](Change& change) {
        stage->create_volume(def, nullptr, CreateFlags::none, change);
    }) == ErrorCode{});
    CHECK(stage.names() == "thick tp");
    const auto read = stage->read("tp", nullptr);
    CHECK(read.facts.capacity == 60 * mib);
    CHECK(read.key.size() == 38);
    CHECK(stage->describe("tp").target.provisioning.value().kind == ProvisioningKind::thin_pool);
    const auto sizes = stage->sizes();
    CHECK(sizes.details.at("thin_pool.tp.data_percent") == "0.00");
    CHECK(sizes.allocation == (16 + 60 + 4 + 4) * mib); // with metadata and their spare
    CHECK(stage.change([&](Change& change) { stage->rename_volume("tp", "pool", change); }) ==
          ErrorCode{});
    CHECK(stage->identity("pool") == read.key);
    CHECK(stage.change([&](Change& change) {
        stage->resize_volume({.name = "pool", .capacity = 60 * mib}, 64 * mib, ResizeFlags::none,
                             change);
    }) == ErrorCode{});
    CHECK(stage->read("pool", nullptr).facts.capacity == 64 * mib);
    CHECK(stage.change([&](Change& change) { stage->delete_volume("pool", change); }) ==
          ErrorCode{});
    CHECK(stage.names() == "thick");
    def.capacity = 2000 * mib;
    CHECK(stage.change([&](Change& change) {
        stage->create_volume(def, nullptr, CreateFlags::none, change);
    }) == ErrorCode::no_space);
}

/** A group with "thick", a thin pool "tp" and in it "thin". */
inline void snapshots_life(LogicalStage& stage)
{
    using namespace storage;
    for (const std::string name : {"thin", "thick"}) {
        const VolumeDef volume{.name = name};
        CHECK(stage->snapshots(name).empty());
        for (const std::string snapshot : {"s1", "s2"})
            CHECK(stage.change([&](Change& change) {
                stage->create_snapshot(volume, snapshot, change);
            }) == ErrorCode{});
        CHECK(stage->snapshots(name).size() == 2);
        CHECK(stage.change([&](Change& change) { stage->create_snapshot(volume, "tp", change); }) ==
              ErrorCode::already_exists);
        CHECK(stage.change([&](Change& change) { stage->revert_snapshot(volume, "s1", change); }) ==
              ErrorCode{});
        CHECK(stage->snapshots(name).size() == 2);
        CHECK(stage.change([&](Change& change) { stage->delete_snapshot(volume, "s1", change); }) ==
              ErrorCode{});
        const auto left = stage->snapshots(name);
        REQUIRE(left.size() == 1);
        CHECK(left[0].name == "s2");
        CHECK(stage.change([&](Change& change) { stage->delete_snapshot(volume, "s1", change); }) ==
              ErrorCode::not_found);
        // A classic snapshot goes with its origin, a thin one stays.
        CHECK(stage.change([&](Change& change) { stage->delete_volume(name, change); }) ==
              ErrorCode{});
        CHECK(stage.names() == (name == "thin" ? "s2 thick tp" : "tp"));
        if (name == "thin")
            CHECK(stage.change([&](Change& change) { stage->delete_volume("s2", change); }) ==
                  ErrorCode{});
    }
}

/** A group with "on", which is active, and "off", which is not. */
inline void pool_life(LogicalStage& stage)
{
    using namespace storage;
    const auto presence = stage->presence();
    CHECK(presence.state == PoolState::running);
    CHECK(presence.identity.size() == 32);
    std::string note;
    CHECK(stage.change([&](Change& change) { note = stage->start(change); }) == ErrorCode{});
    CHECK(stage.volumes().at("off").path == "/dev/labvg/off");
    CHECK(stage.diagnostics.empty());
    CHECK(stage.change([&](Change& change) { stage->stop(note, change); }) == ErrorCode{});
    CHECK(stage.volumes().size() == 2);
    REQUIRE(stage.diagnostics.size() == 1);
    CHECK(stage.diagnostics[0].name == "off");
    CHECK(stage.diagnostics[0].reason == DiagnosticReason::inactive);
    CHECK(stage->storage_blockers().size() == 2);
    CHECK(stage.change([&](Change& change) { stage->remove(change); }) == ErrorCode{});
    CHECK(stage->presence().state == PoolState::inactive);
    CHECK(stage.change([&](Change& change) { stage->start(change); }) == ErrorCode::not_found);
}
