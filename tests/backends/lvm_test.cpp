// SPDX-License-Identifier: LGPL-2.1-or-later
// LVM: what its reports are read as, hostile ones included, and the arguments of its programs.
#include "lvm_commands.hpp"
#include "lvm_report.hpp"
#include "scripted_runner.hpp"

#include <nlohmann/json.hpp>

using namespace storage;
using Json = nlohmann::json;

namespace {

constexpr std::uint64_t mib = 1 << 20;

ScriptedRunner transcript(const std::string& name)
{
    return ScriptedRunner::load(BASIN_TRANSCRIPTS "/lvm/" + name);
}

LvmGroup read(const std::string& name)
{
    auto runner = transcript(name);
    auto group = read_lvm_group(runner, "labvg", nullptr);
    return group;
}

const LvmLv& at(const LvmGroup& group, const std::string& name)
{
    const auto* lv = group.find(name);
    REQUIRE(lv);
    return *lv;
}

/** A report of one group, to be made wrong. */
Json report()
{
    return Json::parse(R"json({"report": [{
        "vg": [{"vg_name":"g", "vg_uuid":"gu", "vg_attr":"wz--n-", "vg_size":"400", "vg_free":"100",
                "vg_extent_size":"100", "vg_missing_pv_count":"0"}],
        "pv": [{"pv_name":"/dev/a", "pv_uuid":"pu", "pv_size":"400", "pv_free":"100",
                "pv_missing":"", "pv_allocatable":"allocatable"}],
        "lv": [{"lv_name":"v", "lv_uuid":"u", "lv_size":"300", "lv_attr":"-wi-a-----", "origin":"",
                "origin_size":"", "pool_lv":"", "lv_metadata_size":"", "data_percent":"",
                "metadata_percent":"", "lv_tags":"", "lv_layout":"linear", "lv_role":"public",
                "lv_time":"5", "lv_active":"active", "lv_device_open":"",
                "lv_skip_activation":"", "lv_health_status":""}],
        "pvseg": [],
        "seg": [{"lv_uuid":"u", "segtype":"linear", "stripes":"1", "seg_start":"0",
                 "seg_size":"300", "chunk_size":"0", "devices":"/dev/a(0)"}]}]})json");
}

ErrorCode code_of(const std::function<void()>& call, const std::string& words = "")
{
    try {
        call();
    } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains(words));
        CHECK(std::string(error.what()).find('\n') == std::string::npos);
        return error.code();
    }
    FAIL("no error");
    return {};
}

void refused(const Json& json, const std::string& words)
{
    CHECK(code_of([&] { parse_lvm_report(json.dump()); }, words) == ErrorCode::parse_failed);
}

LvmLv parsed(const char* field, const char* value)
{
    auto json = report();
    json["report"][0]["lv"][0][field] = value;
    return parse_lvm_report(json.dump()).at(0).lvs.at(0);
}

LvmSegment parsed_segment(const char* field, const char* value)
{
    auto json = report();
    json["report"][0]["seg"][0][field] = value;
    return parse_lvm_report(json.dump()).at(0).lvs.at(0).segments.at(0);
}

const NewLv example{
    .group = "vg", .name = "lv", .tag = "basin_ab", .extents = 5, .extent_size = 4 * mib};

} // namespace

TEST_CASE("lvm: an empty group, one that is not there, groups and devices")
{
    auto runner = transcript("empty-group");
    const auto group = read_lvm_group(runner, "labvg", nullptr);
    CHECK(group.name == "labvg");
    CHECK(group.size == 254 * 4 * mib);
    CHECK(group.free == group.size);
    CHECK(group.extent_size == 4 * mib);
    CHECK(group.lvs.empty());
    CHECK(group.missing_pvs == 0);
    CHECK_FALSE(group.is_exported());
    REQUIRE(group.pvs.size() == 2);
    CHECK(group.pvs[0].path == "/dev/vda");
    CHECK(group.pvs[1].free == 127 * 4 * mib);
    CHECK_FALSE(group.pvs[0].missing);

    auto no_group = transcript("no-group");
    CHECK_FALSE(find_lvm_group(no_group, "gone", nullptr));
    auto all_groups = transcript("groups");
    const auto groups = read_lvm_groups(all_groups, nullptr);
    REQUIRE(groups.size() == 1); // /dev/vdc is in none
    CHECK(groups[0] == group);
}

TEST_CASE("lvm: every kind of volume")
{
    const auto group = read("all-kinds");
    CHECK(group.lvs.size() == 12);

    const auto& linear = at(group, "linear");
    CHECK(linear.size == 64 * mib);
    CHECK(linear.visible_size() == 64 * mib);
    CHECK(linear.active);
    CHECK_FALSE(linear.open);
    CHECK(linear.is_classic_origin());
    CHECK_FALSE(linear.is_classic_snapshot());
    CHECK_FALSE(linear.is_thin());
    CHECK(linear.tags == std::vector<std::string>{"another", "other"});
    CHECK(linear.created > 1700000000);
    REQUIRE(linear.segments.size() == 1);
    CHECK(linear.segments[0].type == "linear");
    REQUIRE(linear.segments[0].areas.size() == 1);
    CHECK(linear.segments[0].areas[0].device == "/dev/vda");
    CHECK(group.find_uuid(linear.uuid) == &linear);
    CHECK_FALSE(group.find("line"));
    CHECK_FALSE(group.find_uuid("line"));

    const auto& striped = at(group, "striped");
    CHECK(striped.open);
    REQUIRE(striped.segments.size() == 1);
    CHECK(striped.segments[0].stripes == 2);
    CHECK(striped.segments[0].areas.size() == 2);
    CHECK(striped.segments[0].areas[1].device == "/dev/vdb");

    const auto& snapshot = at(group, "snap");
    CHECK(snapshot.is_classic_snapshot());
    CHECK(snapshot.origin == "linear");
    CHECK_FALSE(snapshot.has_hidden_origin());
    CHECK(snapshot.size == 16 * mib);
    CHECK(snapshot.visible_size() == 64 * mib);
    CHECK(snapshot.data_usage == 0u);
    CHECK_FALSE(snapshot.is_invalid());

    const auto& pool = at(group, "pool");
    CHECK(pool.is_thin_pool());
    CHECK_FALSE(pool.is_thin());
    CHECK(pool.metadata_size == 4 * mib);
    CHECK(pool.data_usage == 0u);
    CHECK(pool.metadata_usage.value() > 1000);
    CHECK(pool.metadata_usage.value() < 2000);
    REQUIRE(pool.segments.size() == 1);
    CHECK(pool.segments[0].chunk_size == 65536);
    CHECK(group.thin_pools() == std::vector<const LvmLv*>{&pool});

    const auto& thin = at(group, "thin");
    CHECK(thin.is_thin());
    CHECK_FALSE(thin.is_thin_pool());
    CHECK(thin.pool == "pool");
    CHECK(thin.size == 1024 * mib);
    REQUIRE(thin.segments.size() == 1);
    CHECK(thin.segments[0].areas.empty());
    const auto& thin_snapshot = at(group, "thinsnap");
    CHECK(thin_snapshot.origin == "thin");
    CHECK(thin_snapshot.active);
    CHECK_FALSE(thin_snapshot.is_classic_snapshot());
    CHECK(at(group, "skipped").skip_activation);
    CHECK_FALSE(at(group, "skipped").active);
    CHECK_FALSE(at(group, "skipped").open);

    const auto& sparse = at(group, "sparse");
    CHECK(sparse.has_hidden_origin());
    CHECK(sparse.visible_size() == 128 * mib);

    const auto& mirror = at(group, "mirror");
    CHECK(mirror.layout == std::vector<std::string>{"raid", "raid1"});
    CHECK(mirror.segments.at(0).areas.at(1).device == "mirror_rimage_1");

    const auto& segments = at(group, "segments");
    REQUIRE(segments.segments.size() == 2);
    CHECK(segments.segments[0].start == 0);
    CHECK(segments.segments[1].start == 4 * mib);
    CHECK(segments.segments[1].size == 8 * mib);
    CHECK(at(group, "od+d.na-me_").size == 4 * mib);
}

TEST_CASE("lvm: inactive volumes are reported, without what only the kernel knows")
{
    const auto group = read("inactive");
    CHECK(group.lvs.size() == 12);
    for (const auto& lv : group.lvs) {
        CHECK_FALSE(lv.active);
        CHECK_FALSE(lv.data_usage);
        CHECK_FALSE(lv.open);
    }
}

TEST_CASE("lvm: a group whose device is missing tells what is lost and what can still be used")
{
    auto runner = transcript("missing-device");
    const auto group = read_lvm_group(runner, "labvg", nullptr);
    CHECK(group.missing_pvs == 1);
    REQUIRE(group.pvs.size() == 2);
    CHECK(group.pvs[1].missing);
    CHECK(group.pvs[1].path == "[unknown]");
    CHECK(at(group, "striped").is_partial());
    CHECK(at(group, "mirror").is_partial());
    CHECK_FALSE(at(group, "linear").is_partial());
    CHECK(at(group, "striped").segments.at(0).areas.at(1).device == "[unknown]");

    auto activation = transcript("activation-without-device");
    CHECK(code_of([&] { activation.run(activate_group("labvg"), nullptr); },
                  "Refusing activation of partial LV") == ErrorCode::command_failed);
    const auto after = read_lvm_group(activation, "labvg", nullptr);
    CHECK(at(after, "linear").active);
    CHECK_FALSE(at(after, "striped").active);
}

TEST_CASE("lvm: a failing program is an error, a group that is not there none")
{
    const auto command = quoted(lvm_report_command("vg"));
    ScriptedRunner missing("$ " + command +
                           "\n> {\"report\": []}\n! Volume group \"vg\" not found\n? 5");
    CHECK(code_of([&] { read_lvm_group(missing, "vg", nullptr); }, "'vg'") == ErrorCode::not_found);
    ScriptedRunner locked("$ " + command + "\n> {\"report\": []}\n!   Can't get lock for vg\n? 5");
    CHECK(code_of([&] { find_lvm_group(locked, "vg", nullptr); }, "Can't get lock") ==
          ErrorCode::command_failed);
    const std::string denied =
        "\n> {\"report\": []}\n!   /run/lock/lvm/V_vg:aux: open failed: Permission denied\n"
        "!   Can't get lock for vg\n? 5";
    ScriptedRunner user("$ " + command + denied);
    CHECK(code_of([&] { find_lvm_group(user, "vg", nullptr); }, "LVM lets this user see") ==
          ErrorCode::permission_denied);
    ScriptedRunner any("$ " + quoted(lvm_groups_command()) + denied);
    CHECK(code_of([&] { read_lvm_groups(any, nullptr); }, "LVM lets this user see") ==
          ErrorCode::permission_denied);
    ScriptedRunner silent("$ " + command + "\n? 0");
    CHECK(code_of([&] { find_lvm_group(silent, "vg", nullptr); }) == ErrorCode::parse_failed);
    ScriptedRunner not_installed("$ " + command + "\n? missing");
    CHECK(code_of([&] { find_lvm_group(not_installed, "vg", nullptr); }) == ErrorCode::unavailable);
}

TEST_CASE("lvm: a group that LVM leaves out is told from one that is not there")
{
    const auto answer = [](const std::string& errors) {
        return "$ " + quoted(lvm_report_command("vg")) + "\n> {\"report\": []}\n" + errors + "? 5";
    };
    ScriptedRunner twice(
        answer("!   WARNING: VG name vg is used by VGs aaaaaa-1 and bbbbbb-2.\n"
               "!   Fix duplicate VG names with vgrename uuid, a device filter, or system IDs.\n"
               "!   Multiple VGs found with the same name: skipping vg\n"
               "!   Use --select vg_uuid=<uuid> in place of the VG name.\n"));
    CHECK(code_of([&] { find_lvm_group(twice, "vg", nullptr); }, "'aaaaaa-1 and bbbbbb-2'") ==
          ErrorCode::invalid_state);
    const std::string foreign =
        "!   Cannot access VG vg with system ID elsewhere with unknown local system ID.\n";
    ScriptedRunner elsewhere(answer(foreign));
    CHECK(code_of([&] { find_lvm_group(elsewhere, "vg", nullptr); }, "system ID 'elsewhere'") ==
          ErrorCode::invalid_state);
    // Another group's trouble is not this one's.
    ScriptedRunner other(answer("!   Cannot access VG vg2 with system ID elsewhere with unknown.\n"
                                "!   Volume group \"vg\" not found\n"));
    CHECK_FALSE(find_lvm_group(other, "vg", nullptr));
}

TEST_CASE("lvm: values of a report")
{
    CHECK(parse_lvm_report(report().dump()).at(0).lvs.at(0).created == 5);
    CHECK(parsed("data_percent", "0.00").data_usage == 0u);
    CHECK(parsed("data_percent", "12.34").data_usage == 1234u);
    CHECK(parsed("data_percent", "100.00").data_usage == 10000u);
    CHECK(parsed("data_percent", "7").data_usage == 700u);
    CHECK_FALSE(parsed("data_percent", "").data_usage);
    CHECK(parsed("lv_attr", "swi-I-s---").is_invalid());
    CHECK(parsed("lv_attr", "Owi-a-s---").is_merging());
    CHECK_FALSE(parsed("lv_device_open", "unknown").open);
    CHECK(parsed("lv_time", "").created == 0);
    CHECK(parsed("lv_health_status", "out_of_data").health == "out_of_data");

    using Areas = std::vector<LvmArea>;
    CHECK(parsed_segment("devices", "").areas.empty());
    CHECK(parsed_segment("devices", "/dev/a(0),/dev/b(18446744073709551615)").areas ==
          Areas{{"/dev/a", 0}, {"/dev/b", UINT64_MAX}});
    CHECK(parsed_segment("devices", "/dev/mapper/x(1),y(3)").areas ==
          Areas{{"/dev/mapper/x", 1}, {"y", 3}});
    CHECK(parsed_segment("devices", "/dev/a,b(7)").areas == Areas{{"/dev/a,b", 7}});
    CHECK(parsed_segment("devices", "[unknown](2)").areas == Areas{{"[unknown]", 2}});

    auto more = report(); // what later versions may add is not looked at
    more["log"] = Json::array();
    more["report"][0]["new"] = 5;
    more["report"][0]["lv"][0]["lv_new"] = Json::array();
    more["report"][0]["seg"].push_back(more["report"][0]["seg"][0]);
    more["report"][0]["seg"][1]["lv_uuid"] = "of something hidden";
    CHECK(parse_lvm_report(more.dump()) == parse_lvm_report(report().dump()));
}

TEST_CASE("lvm: a hostile or broken report is refused")
{
    refused(Json::array(), "is no object");
    refused(Json::object(), "table 'report'");
    refused({{"report", 5}}, "table 'report'");
    refused({{"report", {5}}}, "no object");
    for (const auto* table : {"vg", "pv", "lv", "seg"}) {
        auto broken = report();
        broken["report"][0][table] = "text";
        refused(broken, table);
        broken["report"][0][table] = Json::array({5});
        refused(broken, table);
    }
    for (const auto* table : {"vg", "pv", "lv", "seg"}) {
        const auto fields = report()["report"][0][table][0];
        for (const auto& [field, value] : fields.items()) {
            auto broken = report();
            broken["report"][0][table][0].erase(field);
            refused(broken, field);
            broken["report"][0][table][0][field] = 5;
            refused(broken, field);
        }
    }
    const auto with = [](const char* table, const char* field, const std::string& value) {
        auto json = report();
        json["report"][0][table][0][field] = value;
        return json;
    };
    refused(with("vg", "vg_size", "-1"), "vg_size");
    refused(with("vg", "vg_size", "18446744073709551616"), "vg_size");
    refused(with("vg", "vg_size", "5.0"), "vg_size");
    refused(with("vg", "vg_size", "50"), "contradict");
    refused(with("vg", "vg_extent_size", "0"), "contradict");
    refused(with("vg", "vg_name", ""), "vg_name");
    refused(with("lv", "lv_uuid", ""), "lv_uuid");
    refused(with("lv", "lv_attr", "-wi"), "lv_attr");
    refused(with("lv", "lv_name", "../../etc"), "lv_name");
    refused(with("lv", "lv_name", "a\nb"), "lv_name");
    refused(with("lv", "data_percent", "120.00"), "percentage");
    refused(with("lv", "data_percent", "a"), "percentage");
    refused(with("lv", "data_percent", "1.x"), "percentage");
    for (const auto* devices :
         {"/dev/a", "/dev/a()", "/dev/a(x)", "(5)", "/dev/a(5", "/dev/a(-1)", "/dev/a(0),"})
        refused(with("seg", "devices", devices), "devices");
    auto twice = report();
    twice["report"][0]["lv"].push_back(twice["report"][0]["lv"][0]);
    refused(twice, "two logical volumes");
    auto groups = report();
    groups["report"][0]["vg"].push_back(groups["report"][0]["vg"][0]);
    refused(groups, "about 2 groups");

    const auto text = report().dump();
    for (std::size_t length = 0; length != text.size(); ++length)
        CHECK(code_of([&] { parse_lvm_report(text.substr(0, length)); }) ==
              ErrorCode::parse_failed);
    CHECK(code_of([&] { parse_lvm_report(std::string(1000000, '[')); }, "deep") ==
          ErrorCode::parse_failed);
    const std::string no_end(65 << 20, ' ');
    CHECK(code_of([&] { parse_lvm_report(no_end); }, "bytes") == ErrorCode::parse_failed);
}

TEST_CASE("lvm: a device's name that is not UTF-8 hides no volume")
{
    auto text = report().dump();
    text.replace(text.find("/dev/a\""), 6, "/dev/\xff");
    const auto groups = parse_lvm_report(text);
    CHECK(groups.at(0).pvs.at(0).path == "/dev/?");
    CHECK(groups.at(0).lvs.size() == 1);
}

TEST_CASE("lvm: names")
{
    for (const auto* name : {"a", "+x", "...", "a.b_c-d+e", "xsnapshot", "x_vpool", "9"})
        CHECK(lv_name_problem(name, "vg").empty());
    for (const auto* name :
         {"", "-x", ".", "..", "a b", "a/b", "a:b", "a@b", "\xc3\xa4", "a\nb", "a\"b", "a'b",
          "snapshot", "snapshot1", "pvmove0", "x_tdata", "_mimage_0", "lvol0_pmspare", "x_cvol"})
        CHECK_FALSE(lv_name_problem(name, "vg").empty());
    CHECK(lv_name_problem(std::string("a\0b", 3), "vg") != "");
    CHECK(lv_name_problem(std::string(116, 'x'), "vg").empty());
    CHECK_FALSE(lv_name_problem(std::string(117, 'x'), "vg").empty());
    CHECK_FALSE(lv_name_problem(std::string(116, 'x'), "v-g").empty());
    CHECK(lv_name_problem(std::string(58, 'x') + std::string(29, '-'), "vg").empty());
    CHECK_FALSE(lv_name_problem(std::string(58, 'x') + std::string(30, '-'), "vg").empty());
    CHECK(group_name_problem("snapshot").empty());
    CHECK_FALSE(group_name_problem("a/b").empty());
    CHECK_FALSE(group_name_problem(std::string(128, 'x')).empty());

    const auto refuses = [](const std::function<void()>& call) {
        CHECK(code_of(call) == ErrorCode::invalid_argument);
    };
    auto lv = example;
    lv.name = "--config";
    refuses([&] { create_thick(lv); });
    lv = example;
    lv.group = "a b";
    refuses([&] { create_thick(lv); });
    refuses([&] { create_thin(example, "-p"); });
    refuses([&] { create_thin_snapshot(example, "a/b"); });
    refuses([&] { create_classic_snapshot(example, ""); });
    refuses([&] { rename_lv("vg", "a", "-b"); });
    refuses([&] { rename_lv("-vg", "a", "b"); });
    refuses([&] { extend_lv("vg", "x_tmeta", 1); });
    refuses([&] { reduce_lv("vg", "", 1, false); });
    refuses([&] { merge_lv("vg", "pvmove"); });
    refuses([&] { lvm_report_command("vg labvg"); });
    refuses([&] { create_group("/dev/sda", "t", {"/dev/sdb"}); });
    CHECK(code_of([] { remove_lv({"vg", "x\" || lv_name!=\""}); }) == ErrorCode::internal);
    CHECK(code_of([] { untag_lv("vg", ""); }) == ErrorCode::internal);
}

TEST_CASE("lvm: bytes as extents")
{
    CHECK(extents_for(0, 4 * mib) == 0);
    CHECK(extents_for(1, 4 * mib) == 1);
    CHECK(extents_for(4 * mib, 4 * mib) == 1);
    CHECK(extents_for(4 * mib + 1, 4 * mib) == 2);
    CHECK(extents_for(UINT32_MAX * std::uint64_t{512}, 512) == UINT32_MAX);
    CHECK(code_of([] { extents_for(UINT64_MAX, 512); }) == ErrorCode::invalid_argument);
}

TEST_CASE("lvm: commands")
{
    auto striped = example;
    striped.stripes = 3;
    const LvIdentity lv{"vg", "AbCd-12"};
    const std::vector<std::string> uuids{"A", "B"};
    const std::pair<Command, std::string> cases[] = {
        {create_thick(example), "lvm lvcreate --yes --type linear --name lv --addtag basin_ab "
                                "--extents 5 --wipesignatures y --zero y -- vg"},
        {create_thick(striped), "lvm lvcreate --yes --type striped --name lv --addtag basin_ab "
                                "--stripes 3 --extents 5 --wipesignatures y --zero y -- vg"},
        {create_thin_pool(example, 2),
         "lvm lvcreate --yes --type thin-pool --name lv --addtag basin_ab --extents 5 "
         "--poolmetadatasize 8388608b -- vg"},
        {create_thin(example, "p"), "lvm lvcreate --yes --type thin --name lv --addtag basin_ab "
                                    "--virtualsize 20971520b -- vg/p"},
        {create_thin_snapshot(example, "o"), "lvm lvcreate --yes --type thin --name lv --addtag "
                                             "basin_ab --setactivationskip n -- vg/o"},
        {create_classic_snapshot(example, "o"), "lvm lvcreate --yes --type snapshot --name lv "
                                                "--addtag basin_ab --extents 5 -- vg/o"},
        {remove_lv(lv), "lvm lvremove --yes --select 'lv_uuid=\"AbCd-12\" && "
                        "lv_role!={thickorigin} && lv_role!={extthinorigin}' -- vg"},
        {rename_lv("vg", "a", "b"), "lvm lvrename --yes -- vg a b"},
        {extend_lv("vg", "a", 7), "lvm lvextend --yes --extents 7 -- vg/a"},
        {reduce_lv("vg", "a", 7, false), "lvm lvreduce --yes --force --extents 7 -- vg/a"},
        {reduce_lv("vg", "a", 7, true),
         "lvm lvreduce --yes --force --extents 7 --fs ignore -- vg/a"},
        {remove_thin_pool(lv), "lvm lvremove --select 'lv_uuid=\"AbCd-12\"' -- vg"},
        {untag_lv("vg", "basin_ab"),
         "lvm lvchange --yes --deltag basin_ab --select 'lv_tags={\"basin_ab\"}' -- vg"},
        {activate_lvs("vg", uuids),
         "lvm lvchange --yes --activate ly --ignoreactivationskip --select "
         "'lv_uuid=\"A\" || lv_uuid=\"B\"' -- vg"},
        {deactivate_lvs("vg", uuids),
         "lvm lvchange --yes --activate ln --ignoreactivationskip --select "
         "'lv_uuid=\"A\" || lv_uuid=\"B\"' -- vg"},
        {deactivate_group("vg"), "lvm vgchange --yes --activate ln -- vg"},
        {tag_snapshots("vg", "a", "basin_of_x"),
         "lvm lvchange --yes --addtag basin_of_x --select 'origin=\"a\" && "
         "lv_role={thinsnapshot}' -- vg"},
        {merge_lv("vg", "s"), "lvm lvconvert --yes --merge --interval 1 -- vg/s"},
        {activate_group("vg"), "lvm vgchange --yes --activate ly -- vg"},
        {create_pv("/dev/x", "u-1", false), "lvm pvcreate --uuid u-1 --norestorefile -- /dev/x"},
        {create_pv("/dev/x", "u-1", true),
         "lvm pvcreate --yes --force --force --uuid u-1 --norestorefile -- /dev/x"},
        {remove_pv("/dev/x"), "lvm pvremove --yes -- /dev/x"},
        {create_group("vg", "basin_1", {"/dev/x", "/dev/y"}),
         "lvm vgcreate --yes --addtag basin_1 -- vg /dev/x /dev/y"},
        {remove_group("AbCd-12", false), "lvm vgremove --select 'vg_uuid=\"AbCd-12\"'"},
        {remove_group("AbCd-12", true), "lvm vgremove --yes --select 'vg_uuid=\"AbCd-12\"'"},
        {remove_tagged_group("basin_1"), "lvm vgremove --select 'vg_tags={\"basin_1\"}'"},
        {untag_group("vg", "basin_1"), "lvm vgchange --yes --deltag basin_1 -- vg"},
    };
    for (const auto& [command, words] : cases) {
        CHECK(quoted(command) == words);
        CHECK_FALSE(command.dies_with_us);
        CHECK_FALSE(command.killable);
        CHECK(command.input.empty());
    }
    CHECK(lvm_report_command("vg").killable);
}
