// SPDX-License-Identifier: LGPL-2.1-or-later
// LVM itself, in the lab's machine: what its programs do with basin's commands, what they print.
// With BASIN_TRANSCRIPTS=DIRECTORY the answers are kept there, for the tests that run anywhere.
#include "lab.hpp"
#include "lvm_commands.hpp"
#include "lvm_report.hpp"
#include "process_runner.hpp"
#include "recording_runner.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

using namespace storage;

namespace {

constexpr const char* version = "lvm2 2.03.16, Debian 12";

std::string transcript(const std::string& name)
{
    const char* directory = ::getenv("BASIN_TRANSCRIPTS");
    return directory ? directory + ("/lvm/" + name) : std::string();
}

/** A new one each time, in the form that LVM wants. */
std::string uuid()
{
    static int number = 0;
    std::string digits = std::to_string(++number);
    return "abcdef-0123-4567-89ab-cdef-ABCD-" + std::string(6 - digits.size(), 'x') + digits;
}

struct Lvm {
    ProcessRunner real{};

    Lvm()
    {
        run({.program = "modprobe",
             .arguments = {"-a", "dm-mod", "dm-snapshot", "dm-thin-pool", "dm-raid"}});
    }
    ~Lvm()
    {
        run({.program = "vgremove",
             .arguments = {"--yes", "--force", "labvg", "othervg"},
             .accepted = {0, lvm_failed}});
        run({.program = "pvremove",
             .arguments = {"--yes", "--force", "--force", "/dev/vda", "/dev/vdb", "/dev/vdc"},
             .accepted = {0, lvm_failed}});
    }
    CommandResult run(const Command& command) { return real.run(command, nullptr); }

    NewLv lv(const std::string& name, std::uint64_t extents)
    {
        return {.group = "labvg",
                .name = name,
                .tag = "basin_1122334455667788",
                .extents = extents,
                .extent_size = 4 << 20};
    }
    void make_groups()
    {
        for (const auto* device : {"/dev/vda", "/dev/vdb", "/dev/vdc"})
            run(create_pv(device, uuid(), true));
        run(create_group("labvg", "basin_8877665544332211", {"/dev/vda", "/dev/vdb"}));
    }
    LvmGroup read() { return read_lvm_group(real, "labvg", nullptr); }
    LvmLv read(const std::string& name)
    {
        const auto group = read();
        const auto* found = group.find(name);
        REQUIRE(found);
        return *found;
    }
};

} // namespace

TEST_CASE("lvm: reports of every kind of group", "[.][lab]")
{
    if (!in_lab()) {
        WARN("skipped: not in the lab's machine");
        return;
    }
    Lvm lvm;
    lvm.make_groups();
    {
        RecordingRunner recorder(lvm.real, transcript("empty-group"), version);
        const auto group = read_lvm_group(recorder, "labvg", nullptr);
        CHECK(group.lvs.empty());
        CHECK(group.free == group.size);
        CHECK(group.pvs.size() == 2);
    }
    {
        RecordingRunner recorder(lvm.real, transcript("groups"), version);
        const auto groups = read_lvm_groups(recorder, nullptr);
        CHECK(groups.size() == 1);
    }
    {
        RecordingRunner recorder(lvm.real, transcript("no-group"), version);
        CHECK_FALSE(find_lvm_group(recorder, "gone", nullptr));
    }
    auto striped = lvm.lv("striped", 16);
    striped.stripes = 2;
    for (const auto& command :
         {create_thick(lvm.lv("linear", 16)), create_thick(striped),
          create_classic_snapshot(lvm.lv("snap", 4), "linear"),
          create_thin_pool(lvm.lv("pool", 24), 1), create_thin(lvm.lv("thin", 256), "pool"),
          create_thin_snapshot(lvm.lv("thinsnap", 0), "thin"),
          create_thick(lvm.lv("od+d.na-me_", 1)), create_thick(lvm.lv("segments", 1)),
          create_thick(lvm.lv("between", 1)), extend_lv("labvg", "segments", 3)})
        lvm.run(command);
    const auto by_hand = [&](std::vector<std::string> arguments) {
        lvm.run({.program = "lvm", .arguments = std::move(arguments)});
    };
    by_hand({"lvcreate", "--yes", "--type", "raid1", "-m1", "-n", "mirror", "-l", "8", "labvg"});
    by_hand({"lvcreate", "--yes", "--type", "snapshot", "-V", "128M", "-l", "8", "-n", "sparse",
             "labvg"});
    by_hand({"lvcreate", "--yes", "--type", "thin", "-n", "skipped", "labvg/thin"});
    lvm.run(untag_lv("labvg", "basin_1122334455667788"));
    by_hand({"lvchange", "--addtag", "another", "--addtag", "other", "labvg/linear"});
    by_hand({"lvchange", "-an", "labvg/segments"});
    {
        RecordingRunner recorder(lvm.real, transcript("all-kinds"), version);
        const int open = ::open("/dev/labvg/striped", O_RDONLY | O_CLOEXEC);
        const auto group = read_lvm_group(recorder, "labvg", nullptr);
        ::close(open);
        CHECK(group.lvs.size() == 12);
        CHECK(group.find("striped")->open);
        CHECK_FALSE(group.find("linear")->open);
        CHECK_FALSE(group.find("segments")->active);
        CHECK(group.find("segments")->segments.size() == 2);
        CHECK(group.find("skipped")->skip_activation);
        CHECK(group.find("sparse")->has_hidden_origin());
    }
    lvm.run({.program = "lvm", .arguments = {"vgchange", "-an", "labvg"}});
    {
        RecordingRunner recorder(lvm.real, transcript("inactive"), version);
        const auto group = read_lvm_group(recorder, "labvg", nullptr);
        CHECK(std::none_of(group.lvs.begin(), group.lvs.end(),
                           [](const auto& lv) { return lv.active; }));
    }
    // As if the second device were not there.
    std::ofstream("/etc/lvm/lvmlocal.conf")
        << "devices { global_filter=[\"a|^/dev/vda$|\", \"r|.*|\"] }\n";
    {
        RecordingRunner recorder(lvm.real, transcript("missing-device"), version);
        const auto group = read_lvm_group(recorder, "labvg", nullptr);
        CHECK(group.missing_pvs == 1);
        CHECK(group.find("striped")->is_partial());
        CHECK_FALSE(group.find("linear")->is_partial());
    }
    {
        RecordingRunner recorder(lvm.real, transcript("activation-without-device"), version);
        CHECK_THROWS_WITH(recorder.run(activate_group("labvg"), nullptr),
                          Catch::Contains("Refusing activation of partial LV"));
        CHECK(read_lvm_group(recorder, "labvg", nullptr).find("linear")->active);
    }
    ::unlink("/etc/lvm/lvmlocal.conf");
    CHECK(lvm.read().missing_pvs == 0);
}

TEST_CASE("lvm: the report is the same whatever lvm.conf says", "[.][lab]")
{
    if (!in_lab()) {
        WARN("skipped: not in the lab's machine");
        return;
    }
    Lvm lvm;
    lvm.make_groups();
    lvm.run(create_thick(lvm.lv("one", 2)));
    lvm.run(create_thick(lvm.lv("between", 1)));
    lvm.run(extend_lv("labvg", "one", 5));
    auto before = lvm.read();
    std::ofstream("/etc/lvm/lvmlocal.conf")
        << "report { time_format=\"%Y\" list_item_separator=\";\" compact_output=1\n"
           "binary_values_as_numeric=1 columns_as_rows=1 prefixes=1 quoted=0 headings=0 aligned=0\n"
           "buffered=0 two_word_unknown_device=1 mark_hidden_devices=0 output_format=\"basic\"\n"
           "separator=\"#\" lvs_cols_full=\"lv_name\" segs_sort_full=\"-seg_start\" }\n"
           "log { report_command_log=1 verbose=1 prefix=\"###\" command_names=1 }\n"
           "global { units=\"g\" suffix=1 si_unit_consistency=0 }\n";
    auto after = lvm.read();
    ::unlink("/etc/lvm/lvmlocal.conf");
    CHECK(after == before);
}

TEST_CASE("lvm: commands do what they say", "[.][lab]")
{
    if (!in_lab()) {
        WARN("skipped: not in the lab's machine");
        return;
    }
    Lvm lvm;
    SECTION("a device with a signature is refused unless it is to be overwritten")
    {
        lvm.run({.program = "mkfs.ext4", .arguments = {"-q", "-F", "/dev/vda"}});
        CHECK_THROWS_AS(lvm.run(create_pv("/dev/vda", uuid(), false)), Error);
        lvm.run(create_pv("/dev/vda", uuid(), true));
        lvm.run(create_group("othervg", "basin_1", {"/dev/vda"}));
        CHECK_THROWS_AS(lvm.run(create_pv("/dev/vda", uuid(), false)), Error);
        lvm.run(create_pv("/dev/vda", uuid(), true)); // although it is another group's
        lvm.run(remove_pv("/dev/vda"));
    }
    SECTION("removal goes by uuid and spares what has classic snapshots")
    {
        lvm.make_groups();
        lvm.run(create_thick(lvm.lv("a", 2)));
        auto snapshot = lvm.lv("s", 1);
        snapshot.tag = "basin_0000000000000001";
        lvm.run(create_classic_snapshot(snapshot, "a"));
        const LvIdentity a{"labvg", lvm.read("a").uuid};
        lvm.run(remove_lv(a));
        CHECK(lvm.read("a").is_classic_origin());
        lvm.run(remove_lv({"labvg", lvm.read("s").uuid}));
        CHECK(lvm.read().lvs.size() == 1);
        lvm.run(rename_lv("labvg", "a", "b"));
        CHECK(lvm.read("b").uuid == a.uuid);
        lvm.run(untag_lv("labvg", "basin_1122334455667788"));
        CHECK(lvm.read("b").tags.empty());
        lvm.run(deactivate_lvs("labvg", std::span(&a.uuid, 1)));
        CHECK_FALSE(lvm.read("b").active);
        lvm.run(activate_lvs("labvg", std::span(&a.uuid, 1)));
        CHECK(lvm.read("b").active);
        lvm.run(create_thick(lvm.lv("other", 1)));
        lvm.run(remove_lv(a));
        lvm.run(remove_lv(a));
        CHECK(lvm.read().lvs.size() == 1);
    }
    SECTION("a group with volumes is not removed unless that is said")
    {
        lvm.make_groups();
        lvm.run(create_thick(lvm.lv("a", 2)));
        const auto uuid = lvm.read().uuid;
        CHECK_THROWS_AS(lvm.run(remove_group(uuid, false)), Error);
        CHECK_THROWS_AS(lvm.run(remove_tagged_group("basin_8877665544332211")), Error);
        lvm.run(remove_group(uuid, true));
        CHECK_FALSE(find_lvm_group(lvm.real, "labvg", nullptr));
    }
    SECTION("a thin pool with volumes is not removed")
    {
        lvm.make_groups();
        lvm.run(create_thin_pool(lvm.lv("p", 4), 1));
        lvm.run(create_thin(lvm.lv("t", 100), "p"));
        const LvIdentity pool{"labvg", lvm.read("p").uuid};
        const LvIdentity thin{"labvg", lvm.read("t").uuid};
        lvm.run(deactivate_lvs("labvg", std::vector{thin.uuid, pool.uuid}));
        CHECK_THROWS_AS(lvm.run(remove_thin_pool(pool)), Error);
        CHECK(lvm.read().lvs.size() == 2);
        lvm.run(remove_lv(thin));
        lvm.run(remove_thin_pool(pool));
        CHECK(lvm.read().lvs.empty());
    }
    SECTION("sizes")
    {
        lvm.make_groups();
        lvm.run(create_thick(lvm.lv("a", 2)));
        lvm.run(extend_lv("labvg", "a", 5));
        CHECK(lvm.read("a").size == 5 * 4 << 20);
        lvm.run(reduce_lv("labvg", "a", 3, false));
        CHECK(lvm.read("a").size == 3 * 4 << 20);
        lvm.run(create_thin_pool(lvm.lv("p", 4), 1));
        lvm.run(create_thin(lvm.lv("t", 100), "p"));
        CHECK(lvm.read("t").size == std::uint64_t{400} << 20);
        CHECK(lvm.read("t").pool == "p");
    }
    SECTION("going back to a snapshot keeps the volume's uuid")
    {
        lvm.make_groups();
        lvm.run(create_thick(lvm.lv("a", 2)));
        lvm.run(create_classic_snapshot(lvm.lv("s", 1), "a"));
        const auto thick = lvm.read("a").uuid;
        lvm.run(merge_lv("labvg", "s"));
        CHECK(lvm.read("a").uuid == thick);
        lvm.run(create_thin_pool(lvm.lv("p", 4), 1));
        lvm.run(create_thin(lvm.lv("t", 100), "p"));
        lvm.run(create_thin_snapshot(lvm.lv("u", 0), "t"));
        const auto thin = lvm.read("t").uuid;
        lvm.run(merge_lv("labvg", "u"));
        CHECK(lvm.read("t").uuid == thin);
        CHECK(lvm.read().lvs.size() == 3);
    }
    SECTION("every name that is let through is one that LVM takes, and no other")
    {
        lvm.make_groups();
        std::vector<std::string> names{"snapshot", "snapshotx", "pvmove0", "xsnapshot", "x_tdata_",
                                       "_tmeta",   "x_cvol",    "x_imeta", "x_cpool",   "_pmspare",
                                       "x_wcorig", "x_vpool",   ".",       "..",        "...",
                                       "-x",       "+x",        "a b",     "@t",        "_mimagex"};
        for (const auto* part : {"_cdata", "_cmeta", "_corig", "_iorig", "_mlog", "_rimage",
                                 "_rmeta", "_vdata", "_vorigin"})
            names.emplace_back(part);
        for (const auto& name : names) {
            const bool allowed = lv_name_problem(name, "labvg").empty();
            const auto result = lvm.run({.program = "lvm",
                                         .arguments = {"lvcreate", "--yes", "--type", "linear",
                                                       "--name", name, "-l1", "labvg"},
                                         .accepted = {0, lvm_misunderstood}});
            INFO(name << ": " << result.errors);
            CHECK((result.exit_status == 0) == allowed);
        }
        const std::string longest(113, 'x');
        CHECK(lv_name_problem(longest, "labvg").empty());
        CHECK_FALSE(lv_name_problem(longest + 'x', "labvg").empty());
        lvm.run(create_thin_pool(lvm.lv(longest, 2), 1));
        lvm.run(create_thin(lvm.lv("t", 2), longest));
    }
}
