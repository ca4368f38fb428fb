// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type logical: what they do with LVM, played back; what they refuse; what they find.
#include "logical_stage.hpp"
#include "scripted_runner.hpp"

#include "lvm_commands.hpp"
#include "lvm_report.hpp"

#include <array>
#include <fstream>
#include <set>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;

void play(const std::string& name, const std::function<void(LogicalStage&)>& scene)
{
    auto lvm = ScriptedRunner::load(BASIN_TRANSCRIPTS "/logical/" + name);
    LogicalStage stage(lvm);
    scene(stage);
    CHECK(lvm.finished());
}

/** A backend that is asked one thing of a group as recorded. */
class Asked {
public:
    explicit Asked(const std::string& group)
        : lvm_(ScriptedRunner::load(BASIN_TRANSCRIPTS "/lvm/" + group)), stage_(lvm_)
    {
    }
    LogicalStage& operator*() { return stage_; }
    LogicalStage* operator->() { return &stage_; }

    /** What a creation is answered, and what it would run. */
    ErrorCode create(VolumeDef def, std::string& words)
    {
        Job job;
        job.set_dry_run(true);
        try {
            Change change("test");
            (*stage_).create_volume(def, nullptr, CreateFlags::none, change);
            Scratch scratch;
            const SystemRoot system;
            const Log log;
            change.execute({.journal = Journal(scratch.directory / "j"),
                            .host = {.system = system, .log = log, .runner = lvm_},
                            .job = &job});
        } catch (const Error& error) {
            words = std::string(error.what()) + " | " + error.remedy();
            return error.code();
        }
        words.clear();
        for (const auto& step : job.plan())
            words += step.summary + '\n';
        return {};
    }

private:
    ScriptedRunner lvm_;
    LogicalStage stage_;
};

VolumeDef wanted(std::uint64_t capacity, std::optional<std::uint64_t> allocation = {},
                 std::optional<Provisioning> provisioning = {})
{
    VolumeDef def{.name = "new", .capacity = capacity, .allocation = allocation};
    def.target.provisioning = std::move(provisioning);
    return def;
}

/** What LVM printed of a group as recorded. */
std::string report_of(const std::string& group)
{
    std::ifstream file(BASIN_TRANSCRIPTS "/lvm/" + group);
    std::string text;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("> "))
            text += line.substr(2) + '\n';
    return text;
}

/** The same, with another value of one volume's field. */
std::string with(std::string report, const std::string& lv, const std::string& field,
                 const std::string& value)
{
    const auto line = report.find("\"lv_name\":\"" + lv + '"');
    const auto key = '"' + field + "\":\"";
    const auto at = report.find(key, line) + key.size();
    REQUIRE(at < report.find('\n', line));
    return report.replace(at, report.find('"', at) - at, value);
}

/** Says always the same of a group, until a command changes that, and writes down what is run. */
class ToldGroup final : public CommandRunner {
public:
    explicit ToldGroup(std::string text) : report(std::move(text)) {}

    CommandResult run(const Command& command, Job*) override
    {
        if (command.arguments.at(0) == "fullreport")
            return {0, report, ""};
        ran += quoted(command) + '\n';
        return {answer ? answer(command) : 0, "", ""};
    }

    std::string report;
    std::string ran{};
    std::function<int(const Command&)> answer{}; ///< the exit status; without it, that of success
};

bool has_word(const Command& command, const std::string& word)
{
    const auto& words = command.arguments;
    return std::find(words.begin(), words.end(), word) != words.end();
}

} // namespace

TEST_CASE("logical: the life of a thin pool, by transcript")
{
    play("thin-pool", thin_pool_life);
}

TEST_CASE("logical: snapshots, thin and classic, by transcript")
{
    play("snapshots", snapshots_life);
}

TEST_CASE("logical: the life of a pool on a group that was there, by transcript")
{
    play("pool", pool_life);
}

TEST_CASE("logical: a refresh runs one program, whatever the group has")
{
    Asked asked("all-kinds");
    const auto volumes = asked->volumes(); // the transcript has one command
    CHECK(volumes.size() == 12);
    const auto& linear = volumes.at("linear");
    CHECK(linear.path == "/dev/labvg/linear");
    CHECK(linear.key.size() == 38);
    CHECK(linear.facts.type == VolumeType::block);
    CHECK(linear.facts.capacity == 64 * mib);
    CHECK(volumes.at("snap").facts.capacity == 64 * mib);
    CHECK(volumes.at("snap").facts.allocation == 16 * mib);
    CHECK(volumes.at("sparse").facts.capacity == 128 * mib);
    CHECK(volumes.at("thin").facts.capacity == 1024 * mib);
    CHECK(volumes.at("thin").facts.allocation == 0);
    std::set<std::string> inactive;
    for (const auto& diagnostic : asked->diagnostics) {
        CHECK(diagnostic.reason == DiagnosticReason::inactive);
        inactive.insert(diagnostic.name);
    }
    CHECK(inactive == std::set<std::string>{"segments", "skipped"});
}

TEST_CASE("logical: a missing device is told, and which volumes it takes along")
{
    Asked asked("missing-device");
    const auto health = (**asked).health();
    CHECK(health.state == PoolState::degraded);
    CHECK_THAT(health.reason, Catch::Contains("1 of 2 devices"));
}

TEST_CASE("logical: a device that came back after the group was changed without it")
{
    std::ifstream file(BASIN_TRANSCRIPTS "/lvm/missing-device");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string unknown = "\"pv_name\":\"[unknown]\"";
    REQUIRE(text.find(unknown) != text.npos);
    text.replace(text.find(unknown), unknown.size(), "\"pv_name\":\"/dev/vdb\"");
    ScriptedRunner lvm(text + text + text);
    LogicalStage stage(lvm);
    CHECK_THAT(stage->health().reason,
               Catch::Contains("1 of 2 devices") && Catch::EndsWith("or were when it was changed"));
    stage.volumes();
    REQUIRE_FALSE(stage.diagnostics.empty());
    CHECK(stage.diagnostics[0].name == "/dev/vdb");
    CHECK_THAT(stage.diagnostics[0].message, Catch::Contains("is back"));
    std::string remedy;
    try {
        Change rename("test");
        stage->rename_volume("linear", "other", rename);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_state);
        remedy = error.remedy();
    }
    CHECK_THAT(remedy, Catch::EndsWith("vgextend --restoremissing labvg /dev/vdb"));
}

TEST_CASE("logical: a volume that is open for a moment is not in use")
{
    std::ifstream file(BASIN_TRANSCRIPTS "/lvm/all-kinds");
    const std::string open{std::istreambuf_iterator<char>(file), {}};
    const std::string word = "\"lv_device_open\":\"open\"";
    const auto line = open.find("\"lv_name\":\"striped\"");
    const auto at = open.find(word, line);
    REQUIRE(at < open.find('\n', line));
    const auto closed = std::string(open).replace(at, word.size(), "\"lv_device_open\":\"\"");
    const auto uuid = open.substr(open.find("\"lv_uuid\":\"", line) + 11, 38) + '\n';
    const auto stop = [&](const std::string& transcript) {
        ScriptedRunner lvm(transcript);
        LogicalStage stage(lvm);
        return error_code([&] {
            Change change("test");
            stage->stop(uuid, change);
        });
    };
    CHECK(stop(closed) == ErrorCode{});
    CHECK(stop(open + open + closed) == ErrorCode{});
    std::string stays;
    for (int i = 0; i != 9; ++i)
        stays += open;
    CHECK(stop(stays) == ErrorCode::busy);
}

TEST_CASE("logical: a VDO pool takes its volume along, and has no room to give")
{
    std::ifstream file(BASIN_TRANSCRIPTS "/lvm/all-kinds");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto alter = [&](const std::string& name, const std::string& from,
                           const std::string& to) {
        const auto line = text.find("\"lv_name\":\"" + name + '"');
        const auto at = text.find(from, line);
        REQUIRE(at < text.find('\n', line));
        text.replace(at, from.size(), to);
    };
    alter("between", "\"lv_layout\":\"linear\"", "\"lv_layout\":\"vdo,pool\"");
    alter("striped", "\"lv_layout\":\"striped\"", "\"lv_layout\":\"vdo,sparse\"");
    alter("striped", "\"pool_lv\":\"\"", "\"pool_lv\":\"between\"");
    const auto ask = [&](auto&& question) {
        ScriptedRunner lvm(text);
        LogicalStage stage(lvm);
        return question(stage);
    };
    const auto blockers = ask([](auto& stage) { return stage->blockers("between"); });
    REQUIRE(blockers.size() == 1);
    CHECK(blockers[0].kind == BlockerKind::volume);
    CHECK(blockers[0].message == "volume 'striped' would be lost");
    const auto diagnostics = ask([](auto& stage) {
        stage.volumes();
        return stage.diagnostics;
    });
    for (const auto& diagnostic : diagnostics)
        CHECK(diagnostic.name != "between");
    const auto resize = [&](const std::string& name) {
        return ask([&](auto& stage) {
            std::string words;
            try {
                Change change("test");
                stage->resize_volume({.name = name, .capacity = 64 * mib}, 4096 * mib,
                                     ResizeFlags::none, change);
            } catch (const Error& error) {
                words = std::string(to_string(error.code())) + ": " + error.what();
            }
            return words;
        });
    };
    CHECK(resize("between") ==
          "not_supported: 'labvg/between' is a vdo pool: it has no content of its own");
    CHECK(resize("striped").empty()); // more than the group has left
}

TEST_CASE("logical: what is made is said in the definition, or decided by one rule")
{
    std::string words;
    const auto ask = [&](const std::string& group, const VolumeDef& def) {
        return Asked(group).create(def, words);
    };
    using Kind = ProvisioningKind;
    CHECK(ask("empty-group", wanted(5 * mib)) == ErrorCode{});
    CHECK_THAT(words, Catch::Contains("make logical volume '/dev/labvg/new' of 8388608 bytes"));
    CHECK(ask("empty-group", wanted(5 * mib, 5 * mib)) == ErrorCode{});
    CHECK(ask("empty-group", wanted(5 * mib, 0)) == ErrorCode::not_supported);
    CHECK_THAT(words, Catch::Contains("<provisioning type='thin-pool'/>") &&
                          Catch::Contains("set the allocation to the capacity"));
    CHECK(ask("all-kinds", wanted(5 * mib, 0)) == ErrorCode{});
    CHECK_THAT(words, Catch::Contains("thin volume") && Catch::Contains("in 'pool'"));
    CHECK(ask("all-kinds", wanted(5 * mib, {}, {{.kind = Kind::thin, .pool = "thin"}})) ==
          ErrorCode::not_found);
    CHECK(ask("empty-group", wanted(1016 * mib)) == ErrorCode{});
    CHECK(ask("empty-group", wanted(1016 * mib + 1)) == ErrorCode::no_space);
    CHECK_THAT(words, Catch::Contains("1065353216 bytes left"));
    CHECK(ask("empty-group", wanted(1016 * mib, {}, {{.stripes = 2}})) == ErrorCode{});
    CHECK(ask("all-kinds", wanted(900 * mib, {}, {{.stripes = 2}})) == ErrorCode::no_space);
    CHECK(ask("empty-group", wanted(4 * mib, {}, {{.stripes = 3}})) == ErrorCode::invalid_argument);
    CHECK(ask("empty-group", wanted(1016 * mib, {}, {{.kind = Kind::thin_pool}})) ==
          ErrorCode::no_space); // the metadata need some
    CHECK(ask("empty-group", wanted(1008 * mib, {}, {{.kind = Kind::thin_pool}})) == ErrorCode{});
    CHECK(ask("empty-group", wanted(4 * mib, {}, {{.kind = Kind::snapshot}})) ==
          ErrorCode::invalid_argument);
    CHECK(ask("empty-group", wanted(4 * mib, {}, {{.pool = "tp"}})) == ErrorCode::invalid_argument);
    CHECK(ask("empty-group", wanted(0)) == ErrorCode::invalid_argument);
    CHECK(ask("empty-group", wanted(INT64_MAX)) == ErrorCode::invalid_argument);

    auto def = wanted(0, 4 * mib);
    const auto on = [&](const std::string& backing) {
        def.backing = {{.path = "/dev/labvg/" + backing}};
        return ask("all-kinds", def);
    };
    CHECK(on("linear") == ErrorCode{});
    CHECK_THAT(words, Catch::Contains("with 4194304 bytes for what changes"));
    CHECK(on("thin") == ErrorCode{});
    CHECK_THAT(words, Catch::Contains("thin volume"));
    CHECK(on("snap") == ErrorCode::not_supported);
    CHECK(on("pool") == ErrorCode::not_supported);
    CHECK(on("none") == ErrorCode::not_supported);
    def.allocation = 0;
    CHECK(on("linear") == ErrorCode::invalid_argument);
    def.capacity = 65 * mib;
    CHECK(on("linear") == ErrorCode::not_supported);
    def.capacity = 32 * mib;
    CHECK(on("thin") == ErrorCode::not_supported);
    def = wanted(4 * mib);
    def.name = "linear";
    CHECK(ask("all-kinds", def) == ErrorCode::already_exists);
    def.name = "x_tmeta";
    CHECK(ask("all-kinds", def) == ErrorCode::invalid_argument);
}

TEST_CASE("logical: a thin pool that is being made gets no volumes")
{
    ToldGroup lvm(with(report_of("all-kinds"), "pool", "lv_tags", "basin_0123456789abcdef"));
    LogicalStage stage(lvm);
    for (const std::string name : {"", "pool"}) {
        CHECK_THROWS_WITH(
            [&] {
                Change change("test");
                stage->create_volume(
                    wanted(5 * mib, 0, {{.kind = ProvisioningKind::thin, .pool = name}}), nullptr,
                    CreateFlags::none, change);
            }(),
            Catch::Contains("thin pool 'pool' is still being made"));
    }
}

TEST_CASE("logical: a new thin pool that is given up takes nothing along that others put into it")
{
    ToldGroup lvm(report_of("all-kinds"));
    lvm.answer = [&](const Command& command) {
        if (command.arguments[0] == "lvcreate")
            lvm.report = with(lvm.report, "pool", "lv_tags", "basin_0000000000000001");
        return has_word(command, "--deltag") ? lvm_failed : 0;
    };
    LogicalStage stage(lvm);
    CHECK(stage.change([&](Change& change) {
        stage->create_volume(wanted(8 * mib, {}, {{.kind = ProvisioningKind::thin_pool}}), nullptr,
                             CreateFlags::none, change);
    }) == ErrorCode::command_failed);
    CHECK_THAT(lvm.ran, !Catch::Contains("lvremove")); // there are volumes in it
}

TEST_CASE("logical: what goes together goes wholly, or not when one of it is open")
{
    ToldGroup lvm(with(report_of("all-kinds"), "thinsnap", "lv_device_open", "open"));
    LogicalStage stage(lvm);
    const auto remove = [&] {
        return stage.change([&](Change& change) { stage->delete_volume("pool", change); });
    };
    CHECK(remove() == ErrorCode::busy);
    CHECK(lvm.ran == "");

    lvm.report = report_of("all-kinds");
    int removals = 0;
    lvm.answer = [&](const Command&) {
        lvm.report = report_of("empty-group"); // has none of them
        return ++removals == 2 ? lvm_failed : 0;
    };
    CHECK(remove() == ErrorCode{}); // the next recovery removes the rest
    CHECK(removals == 2);
}

TEST_CASE("logical: a thin volume takes its classic snapshots along, and no thin ones")
{
    auto report = with(report_of("all-kinds"), "snap", "origin", "thin");
    report = with(report, "thin", "lv_role", "public,origin,thinorigin,thickorigin");
    ToldGroup lvm(report);
    LogicalStage stage(lvm);
    const auto blockers = stage->blockers("thin");
    REQUIRE(blockers.size() == 1);
    CHECK_THAT(blockers[0].message, Catch::Contains("'snap'"));
    const auto other = stage->identity("thinsnap");
    static_cast<void>(stage.change([&](Change& change) { stage->delete_volume("thin", change); }));
    CHECK_THAT(lvm.ran, Catch::Contains(stage->identity("snap")) && !Catch::Contains(other));
    // With their pool both go, in this order: LVM removes none that has a snapshot.
    const auto inside = stage->blockers("pool");
    CHECK(std::count_if(inside.begin(), inside.end(), [](const auto& blocker) {
              return blocker.kind == BlockerKind::snapshot;
          }) == 1);
    const auto snap = stage->identity("snap");
    const auto thin = stage->identity("thin");
    lvm.ran.clear();
    lvm.answer = [&](const Command&) {
        lvm.report = report_of("empty-group");
        return 0;
    };
    CHECK(stage.change([&](Change& change) { stage->delete_volume("pool", change); }) ==
          ErrorCode{});
    CHECK(lvm.ran.find(snap) < lvm.ran.find(thin));
    CHECK_THAT(lvm.ran, Catch::Contains(thin));
    lvm.report = report;
    Change change("test");
    // Its own space is not enough to be written over.
    VolumeDef snapshot{.name = "snap", .capacity = 8 * mib, .allocation = 8 * mib};
    snapshot.physical = 8 * mib;
    snapshot.target.provisioning = Provisioning{.kind = ProvisioningKind::snapshot};
    CHECK_THROWS_WITH(stage->wipe_volume(snapshot, WipeAlgorithm::zero, change),
                      Catch::Contains("a snapshot with 8388608 bytes of its own"));
    snapshot.allocation = 12 * mib;
    CHECK_THROWS_WITH(stage->wipe_volume(snapshot, WipeAlgorithm::zero, change),
                      Catch::Contains("cannot open")); // there is no such device
}

TEST_CASE("logical: a thin volume takes what is based on it from outside of its pool along")
{
    auto report = with(report_of("all-kinds"), "thin", "lv_role",
                       "public,origin,thinorigin,multithinorigin,extthinorigin");
    for (const auto& [lv, origin, pool] : {std::array{"linear", "thin", "other"},
                                           {"striped", "linear", "other"},
                                           {"segments", "striped", "pool"}})
        report = with(with(report, lv, "origin", origin), lv, "pool_lv", pool);
    ToldGroup lvm(report);
    LogicalStage stage(lvm);
    std::string lost;
    for (const auto& blocker : stage->blockers("thin"))
        lost += blocker.message;
    for (const auto* lv : {"linear", "striped", "segments"})
        CHECK_THAT(lost, Catch::Contains(std::string("'") + lv + "'"));
    for (const auto* lv : {"thinsnap", "skipped"}) // of the same pool
        CHECK_THAT(lost, !Catch::Contains(std::string("'") + lv + "'"));
}

TEST_CASE("logical: a group starts without unused pools and what lies on missing devices")
{
    auto report = with(report_of("all-kinds"), "between", "lv_layout", "cache,pool");
    report = with(report, "between", "lv_attr", "Cwi---C---");
    report = with(report, "between", "lv_active", "");
    report = with(report, "segments", "lv_attr", "-wi-----p-");
    ToldGroup lvm(report);
    lvm.answer = [](const Command&) { return lvm_failed; };
    LogicalStage stage(lvm);
    CHECK(stage.change([&](Change& change) { stage->start(change); }) == ErrorCode{});
}

TEST_CASE("logical: a volume that was made since it was asked whether all may go keeps the group")
{
    ToldGroup lvm(report_of("empty-group"));
    LogicalStage stage(lvm);
    CHECK(stage->storage_blockers().empty());
    lvm.report = with(report_of("all-kinds"), "striped", "lv_device_open", "");
    CHECK(stage.change([&](Change& change) { stage->remove(change); }) == ErrorCode::busy);
    CHECK(lvm.ran == "");
}

TEST_CASE("logical: changes of size that LVM does not make are refused before it is asked")
{
    const auto ask = [&](const std::string& name, std::uint64_t capacity, ResizeFlags flags) {
        Asked asked("all-kinds");
        return asked->change([&](Change& change) {
            (**asked).resize_volume({.name = name, .capacity = UINT64_MAX}, capacity, flags,
                                    change);
            CHECK(change.empty());
        });
    };
    CHECK(ask("linear", 128 * mib, ResizeFlags::none) == ErrorCode::not_supported); // snapshots
    CHECK(ask("snap", 128 * mib, ResizeFlags::none) == ErrorCode::not_supported);
    CHECK(ask("pool", 4 * mib, ResizeFlags::shrink) == ErrorCode::not_supported);
    CHECK(ask("thin", 2048 * mib, ResizeFlags::allocate) == ErrorCode::not_supported);
    CHECK(ask("between", 2048 * mib, ResizeFlags::none) == ErrorCode::no_space);
    CHECK(ask("striped", 600 * mib, ResizeFlags::none) == ErrorCode::no_space); // one device's room
    CHECK(ask("between", 3 * mib, ResizeFlags::none) == ErrorCode{});           // rounded: as it is
    CHECK(ask("none", 3 * mib, ResizeFlags::none) == ErrorCode::not_found);
}

TEST_CASE("logical: the groups of this host as sources")
{
    auto lvm = ScriptedRunner::load(BASIN_TRANSCRIPTS "/lvm/groups");
    const SystemRoot system;
    const Log log;
    const auto sources =
        logical_backend.find_sources({}, {.system = system, .log = log, .runner = lvm}, nullptr);
    REQUIRE(sources.size() == 1);
    CHECK(sources[0].name == "labvg");
    CHECK(sources[0].format == "lvm2");
    CHECK(sources[0].devices.at(1).path == "/dev/vdb");
}

TEST_CASE("logical: the list has snapshots at once, and not what went with a volume")
{
    // A program "lvm" that says what is in a file, until a volume is made or removed.
    Scratch scratch;
    const auto with_snapshot =
        with(report_of("all-kinds"), "linear", "lv_active", ""); // who uses it is not asked
    const auto without_volume = [](std::string report, const std::string& name) {
        const auto line = report.rfind('\n', report.find("\"lv_name\":\"" + name + '"'));
        return report.erase(line, report.find('\n', line + 1) - line);
    };
    const auto without = without_volume(with_snapshot, "snap");
    for (const auto* directory : {"bin", "system/dev/labvg", "system/sys/block/dm-0/dm"})
        std::filesystem::create_directories(scratch.directory / directory);
    scratch.directory.write("bin/lvm", "#!/bin/sh\ncase \"$1\" in\n"
                                       "fullreport) cat \"${0%/*}/report\";;\n"
                                       "lvcreate | lvremove) cp \"${0%/*}/next\" "
                                       "\"${0%/*}/report\";;\nesac\n");
    std::filesystem::permissions(scratch.directory / "bin/lvm", std::filesystem::perms::all);
    const auto tell = [&](const std::string& now, const std::string& next) {
        scratch.directory.write("bin/report", now);
        scratch.directory.write("bin/next", next);
    };
    const auto path = std::string(::getenv("PATH"));
    scratch.directory.write("system/sys/block/dm-0/dm/uuid",
                            "LVM-sbjXh0ltFiRInQRyLNIF7gjTAlcVGMFp6yvDeLY5Bcv7UvuC7LigI0CKo6sIoBDf");
    std::filesystem::create_symlink("../dm-0", scratch.directory / "system/dev/labvg/linear");
    ::setenv("PATH", (scratch.directory.path() + "/bin:" + path).c_str(), 1);
    auto options = scratch.options();
    options.system_root = scratch.directory / "system";
    Context context(options), other(options);
    ::setenv("PATH", path.c_str(), 1);

    tell(with_snapshot, without);
    auto pool =
        context.define_pool({.type = "logical", .name = "lvm", .source = {.name = "labvg"}});
    pool.start();
    context.event_fd();
    const auto has_snapshot = [](const Pool& asked) {
        const auto entries = asked.volume_entries();
        return std::any_of(entries.begin(), entries.end(),
                           [](const VolumeEntry& entry) { return entry.name == "snap"; });
    };
    const auto same = other.find_pool("lvm");
    CHECK(has_snapshot(pool));
    CHECK(has_snapshot(same));
    const auto is_told = [&](EventKind kind) {
        bool told = false;
        while (const auto event = context.next_event())
            told = told || (event->kind == kind && event->volume_name == "snap");
        return told;
    };
    const auto check = [&](bool exists) {
        CHECK(has_snapshot(pool) == exists);
        CHECK(has_snapshot(same) == exists);
        CHECK(is_told(exists ? EventKind::volume_created : EventKind::volume_deleted));
    };

    auto volume = pool.find_volume("linear");
    volume.delete_snapshot("snap");
    check(false);
    tell(without, with_snapshot);
    volume.create_snapshot("snap");
    check(true);
    tell(with_snapshot, without_volume(without, "linear"));
    volume.delete_storage(BlockerKind::snapshot);
    check(false);
}
