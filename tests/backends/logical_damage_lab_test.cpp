// SPDX-License-Identifier: LGPL-2.1-or-later
// Volume groups that are not as they should be, in the lab's machine: full, not whole, not this
// host's, of one name; what basin says of them, and that it does nothing to them.
#include "logical_lab.hpp"
#include "logical_stage.hpp"

using namespace storage;
using namespace logical_lab;

namespace {

Error error_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    return {ErrorCode{}, "no error"};
}

/** Typed, with what it is about; and no advice that costs data. */
void check_refusal(const Error& error, ErrorCode code, const std::string& about)
{
    CHECK(error.code() == code);
    CHECK_THAT(error.what(), Catch::Contains("'labvg") && Catch::Contains(about));
    CHECK_FALSE(error.remedy().empty());
    for (const auto* destructive : {"removemissing", "force", "vgremove", "pvcreate"})
        CHECK_THAT(error.remedy(), !Catch::Contains(destructive));
}

/** LVM's metadata of all groups, also of those that it leaves out of its reports. */
std::string all_groups()
{
    return output_of("vgs --foreign --noheadings -o vg_uuid,vg_name,vg_seqno,lv_count 2>&1");
}

class CountingRunner final : public CommandRunner {
public:
    CommandResult run(const Command& command, Job* job) override
    {
        ++calls;
        return real_.run(command, job);
    }
    int calls{};

private:
    ProcessRunner real_{};
};

} // namespace

TEST_CASE("logical: a full thin pool", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    make_thin_pool(pool, 16 * mib);
    lab_run("lvchange -qq --errorwhenfull y labvg/tp");
    auto made = pool.create_volume(volume("t", 100 * mib, thin()));
    ReadCallback endless = [left = 64 * mib](std::span<std::byte> buffer,
                                             std::uint64_t&) mutable -> std::size_t {
        const auto n = std::min<std::uint64_t>(left, buffer.size());
        std::fill_n(buffer.begin(), n, std::byte{7});
        left -= n;
        return n;
    };
    // To the writer the kernel says EIO.
    for (const auto& error :
         {error_of([&] { made.upload(endless); }), error_of([&] { made.wipe(); })}) {
        CHECK(error.code() == ErrorCode::no_space);
        CHECK_THAT(error.what(), Catch::Contains("'/dev/labvg/t': thin pool 'tp' is full"));
        CHECK_THAT(error.remedy(), Catch::Contains("make the thin pool larger"));
    }
    CHECK(pool.info().details.at("thin_pool.tp.data_percent") == "100.00");
    CHECK(error_code([&] { pool.create_volume(volume("u", mib, thin())); }) == ErrorCode::no_space);
    CHECK(error_code([&] { made.create_snapshot("s"); }) == ErrorCode::no_space);
    pool.refresh();
    CHECK(pool.info().state == PoolState::degraded);
    CHECK(has_diagnostic(pool, "tp", DiagnosticReason::incomplete));
    pool.find_volume("tp").resize(64 * mib);
    pool.create_volume(volume("u", mib, thin()));
    CHECK(pool.info().state == PoolState::running);
}

TEST_CASE("logical: a missing device degrades the pool and loses nothing else", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    pool.create_volume(volume("whole", 8 * mib));
    pool.create_volume(volume("half", 8 * mib, {{.stripes = 2}}));
    pool.stop();
    {
        const OnlyDisk first('a');
        pool.start();
        auto info = pool.info();
        CHECK(info.state == PoolState::degraded);
        CHECK_THAT(info.reason, Catch::Contains("1 of 2 devices"));
        CHECK(info.details.at("missing_devices") == "1");
        CHECK(info.available < info.capacity - info.allocation);
        CHECK(pool.volume_names() == std::vector<std::string>{"half", "whole"});
        CHECK(has_diagnostic(pool, "half", DiagnosticReason::incomplete));
        CHECK(has_diagnostic(pool, "half", DiagnosticReason::inactive));
        CHECK(has_diagnostic(pool, "[unknown]", DiagnosticReason::incomplete));
        CHECK_FALSE(has_diagnostic(pool, "whole", DiagnosticReason::incomplete));
        fill("/dev/labvg/whole", 'w', mib);
        CHECK(error_code([&] { pool.find_volume("half").wipe(); }) == ErrorCode::invalid_state);
        const auto before = all_groups();
        auto whole = pool.find_volume("whole");
        for (const auto& error :
             {error_of([&] { pool.create_volume(volume("more", mib)); }),
              error_of([&] { whole.create_snapshot("s"); }), error_of([&] { whole.rename("w"); }),
              error_of([&] { whole.resize(16 * mib); })}) {
            check_refusal(error, ErrorCode::invalid_state, "1 of 2 devices");
            CHECK_THAT(error.what(), Catch::Contains("uuid"));
        }
        CHECK(all_groups() == before);
    }
    CHECK(pool.info().state == PoolState::running);
    pool.stop();
    pool.start();
    CHECK(lv("half", "lv_active") == "active");
    CHECK(begin_of("/dev/labvg/whole") == "wwww");
}

TEST_CASE("logical: two groups of one name", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    std::vector<std::string> uuids;
    for (const char letter : {'a', 'b'}) {
        const OnlyDisk only(letter);
        lab_run("vgcreate -q labvg " + lab_disk(letter) + " && lvcreate -qq -y -an -Zn -n on_" +
                letter + " -l1 labvg");
        uuids.push_back(output_of("vgs --noheadings -o vg_uuid labvg"));
    }
    const auto before = all_groups();
    CHECK(lab.context->find_pool_sources("logical", {}).size() == 2);
    auto pool = lab.context->define_pool(lab.definition());
    for (const auto& error :
         {error_of([&] { pool.start(); }), error_of([&] { pool.build(BuildMode::overwrite); }),
          error_of([&] { pool.delete_storage(BlockerKind::volume); })}) {
        check_refusal(error, ErrorCode::invalid_state, uuids[0]);
        CHECK_THAT(error.what(), Catch::Contains(uuids[1]));
        CHECK_THAT(error.remedy(), Catch::Contains("vgrename"));
    }
    CHECK_FALSE(pool.is_active());
    CHECK(all_groups() == before);
    lab_run("vgrename -q " + uuids[0] + " renamed");
    pool.undefine();
    pool = lab.context->define_pool(lab.definition(false));
    pool.start();
    CHECK(pool.volume_names() == std::vector<std::string>{"on_b"});
}

TEST_CASE("logical: a group of another host", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab_run("vgcreate -q labvg /dev/vda && lvcreate -qq -y -an -Zn -n one -l1 labvg && "
            "vgchange -q -y --systemid elsewhere labvg");
    const auto before = all_groups();
    CHECK(lab.context->find_pool_sources("logical", {}).empty());
    auto pool = lab.context->define_pool(lab.definition());
    for (const auto& error :
         {error_of([&] { pool.start(); }), error_of([&] { pool.build(BuildMode::overwrite); }),
          error_of([&] { pool.delete_storage(BlockerKind::volume); })})
        check_refusal(error, ErrorCode::invalid_state, "'elsewhere'");
    CHECK_FALSE(pool.is_active());
    CHECK(all_groups() == before);
}

TEST_CASE("logical: a cache pool that no volume uses", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab_run("modprobe dm-cache && vgcreate -q labvg /dev/vda && "
            "lvcreate -qq -y --type cache-pool -n cp -l8 labvg");
    auto pool = lab.context->define_pool(lab.definition(false));
    Job job;
    job.set_dry_run(true);
    pool.start(BuildMode::none, &job);
    for (const auto& step : job.plan())
        CHECK_THAT(step.summary, !Catch::Contains("activate")); // LVM could not
    pool.start();
    auto cache = pool.find_volume("cp");
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(has_diagnostic(pool, "cp", DiagnosticReason::inactive));
    CHECK_THAT(pool.diagnostics()[0].message, Catch::Contains("cache pool"));
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const auto& error :
         {error_of([&] { cache.wipe(); }), error_of([&] { cache.upload(null); }),
          error_of([&] { cache.download(null); }), error_of([&] { cache.resize(64 * mib); }),
          error_of([&] { cache.create_snapshot("s"); })}) {
        CHECK(error.code() == ErrorCode::not_supported);
        CHECK_THAT(error.what(), Catch::Contains("'labvg/cp' is a cache pool"));
    }
    ::close(null);
    CHECK(error_of([&] { pool.create_volume_from(volume("copy", 0), cache); }).code() !=
          ErrorCode{});
    CHECK(all_lvs() == "cp");
    cache.rename("cp2");
    cache.delete_storage();
    CHECK(all_lvs() == "");
}

TEST_CASE("logical: a group is built over whatever is on a device", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.context->define_pool(lab.definition());
    for (const std::string on_b :
         {"echo 'label: gpt' | sfdisk -q /dev/vdb", "echo 'label: dos' | sfdisk -q /dev/vdb",
          "mkfs.btrfs -q -f /dev/vdb", "mkswap -q /dev/vdb"}) {
        INFO(on_b);
        lab_run("printf 'label: gpt\\n,10M\\n' | sfdisk -q /dev/vda && " + on_b +
                " && udevadm settle");
        CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) ==
              ErrorCode::already_exists);
        {
            const auto open = open_file("/dev/vdb", O_RDONLY);
            CHECK(error_code([&] { pool.build(BuildMode::overwrite); }) == ErrorCode::busy);
        }
        CHECK(output_of("blkid -p -o value -s PTTYPE /dev/vda") == "gpt");
        pool.build(BuildMode::overwrite);
        CHECK(output_of("vgs --noheadings -o vg_name,pv_count --separator :") == "labvg:2");
        CHECK(output_of("wipefs --noheadings --output TYPE /dev/vda /dev/vdb | sort -u") ==
              "LVM2_member");
        CHECK(::access("/dev/vda1", F_OK) != 0);
        pool.delete_storage();
    }
}

TEST_CASE("logical: 300 volumes cost as many programs as one", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab_run("vgcreate -q -s 64K labvg /dev/vda && lvcreate -qq -y -an -Zn -n v0 -l1 labvg");
    // Written as LVM's own backup, because a machine without KVM takes a minute to make so many.
    lab_run("vgcfgbackup -q -f /lab/tmp/backup labvg");
    std::ifstream file("/lab/tmp/backup");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto begin = text.find("\t\tv0 {");
    const auto end = text.find("\n\t\t}\n", begin) + 5;
    REQUIRE(end > begin);
    const auto one = text.substr(begin, end - begin);
    for (int i = 1; i != 300; ++i) {
        auto next = one;
        const auto number = std::to_string(1000 + i);
        next.replace(next.find("v0"), 2, "v" + std::to_string(i));
        next.replace(next.find("id = \"") + 6, 4, number);
        const std::string extent = "\"pv0\", ";
        next.replace(next.find(extent) + extent.size(), 1, std::to_string(i));
        text.insert(end, next);
    }
    std::ofstream("/lab/tmp/many") << text;

    std::vector<int> calls;
    for (const std::size_t count : {1, 300}) {
        if (count != 1)
            lab_run("vgcfgrestore -q -f /lab/tmp/many labvg");
        CountingRunner lvm;
        LogicalStage stage(lvm);
        CHECK(stage.volumes().size() == count);
        calls.push_back(lvm.calls);
        stage.names();
        calls.push_back(lvm.calls);
        CHECK(stage->sizes().allocation == count * 65536);
        calls.push_back(lvm.calls);
    }
    CHECK(calls == std::vector<int>{1, 2, 3, 1, 2, 3});
}
