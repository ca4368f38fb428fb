// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type "logical" on LVM itself, in the lab's machine, through the C++ API.
#include "logical_lab.hpp"
#include "logical_stage.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;
using namespace logical_lab;

TEST_CASE("logical: a group is built, found, used, and deleted", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab_run("mkfs.ext4 -q -F /dev/vdb");
    auto pool = lab.context->define_pool(lab.definition());
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { pool.build(); }) == ErrorCode::already_exists);
    CHECK(output_of("pvs --noheadings") == ""); // the first disk was not made one, either
    pool.build(BuildMode::overwrite);
    CHECK(output_of("vgs --noheadings --separator : -o vg_name,vg_tags,pv_count") == "labvg::2");
    pool.build(); // is there: nothing to do
    CHECK(error_code([&] { pool.build(BuildMode::no_overwrite); }) == ErrorCode::already_exists);
    pool.build(BuildMode::overwrite);

    const auto sources = lab.context->find_pool_sources("logical", {});
    REQUIRE(sources.size() == 1);
    CHECK(sources[0].name == "labvg");
    CHECK(sources[0].devices.size() == 2);

    pool.start();
    CHECK(pool.is_active());
    auto info = pool.info();
    CHECK(info.state == PoolState::running);
    CHECK(info.capacity == 254 * 4 * mib);
    CHECK(info.available == info.capacity);
    CHECK(info.details.at("extent_size") == "4194304");
    CHECK(pool.volume_count() == 0);

    auto made = pool.create_volume(volume("a", 10 * mib));
    CHECK(made.path() == "/dev/labvg/a");
    CHECK(made.key() == lv("a", "lv_uuid"));
    CHECK(made.identity() == made.key());
    CHECK(made.info().capacity == 12 * mib);
    CHECK(made.info().type == VolumeType::block);
    CHECK(lv("a", "lv_tags") == "");
    CHECK(pool.info().allocation == 12 * mib);
    CHECK(error_code([&] { pool.create_volume(volume("a", mib)); }) == ErrorCode::already_exists);
    const auto def = made.definition();
    REQUIRE(def.extents.size() == 1);
    CHECK(def.extents[0].end - def.extents[0].start == 12 * mib);
    CHECK_FALSE(def.target.provisioning);

    // Another pool on the same group is refused.
    auto second = lab.definition(false);
    second.name = "other";
    CHECK(error_code([&] { lab.context->define_pool(second); }) == ErrorCode::already_exists);

    pool.stop();
    CHECK_FALSE(pool.is_active());
    CHECK(lv("a", "lv_active") == ""); // made while the pool was running, which began with nothing
    pool.start();
    CHECK(lv("a", "lv_active") == "active");
    CHECK(pool.volume_names() == std::vector<std::string>{"a"});
    pool.stop();

    CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::busy);
    CHECK(all_lvs() == "a");
    pool.delete_storage(BlockerKind::volume);
    CHECK(output_of("vgs --noheadings; pvs --noheadings") == "");
}

TEST_CASE("logical: an existing group is used as it is, stop leaves what start found", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab_run("vgcreate -q labvg /dev/vda && lvcreate -qq -y -n on -l1 labvg && "
            "lvcreate -qq -y -n off -l1 -an labvg && lvcreate -qq -y -n skip -l1 -ky labvg && "
            "lvchange -an labvg/off labvg/skip");
    auto pool = lab.context->define_pool(lab.definition(false));
    pool.start();
    CHECK(lv("off", "lv_active") == "active");
    CHECK(pool.volume_names() == std::vector<std::string>{"off", "on", "skip"});
    CHECK(has_diagnostic(pool, "skip", DiagnosticReason::inactive));
    CHECK_FALSE(has_diagnostic(pool, "off", DiagnosticReason::inactive));
    CHECK(pool.info().state == PoolState::running);
    CHECK(error_code([&] { pool.find_volume("skip").wipe(); }) == ErrorCode::invalid_state);

    // What is open cannot be taken away, and nothing is.
    {
        const auto fd = open_file("/dev/labvg/off", O_RDONLY);
        CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    }
    CHECK(pool.is_active());
    pool.stop();
    CHECK(lv("on", "lv_active") == "active");
    CHECK(lv("off", "lv_active") == "");

    // An exported group is for another host.
    lab_run("vgchange -q -an labvg && vgexport -q labvg");
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::invalid_state);
    CHECK_FALSE(pool.is_active());
    lab_run("vgimport -q labvg");

    // A group on other devices than the definition's is another one.
    lab.context->find_pool("lvm").undefine();
    auto def = lab.definition();
    def.source.devices = {{.path = lab_disk('b')}};
    auto other = lab.context->define_pool(def);
    CHECK(error_code([&] { other.start(); }) == ErrorCode::invalid_state);
}

TEST_CASE("logical: a volume that takes the group's place is noticed", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    pool.create_volume(volume("a", mib));
    lab_run("vgremove --yes -q labvg && vgcreate -q labvg /dev/vdb && "
            "lvcreate -qq -y -n a -l1 labvg && udevadm settle");
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(error_code([&] { pool.find_volume("a").delete_storage(); }) == ErrorCode::invalid_state);
    CHECK(all_lvs() == "a");
}

TEST_CASE("logical: what others do to volumes is seen by the next call", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    auto a = pool.create_volume(volume("a", 4 * mib)), b = pool.create_volume(volume("b", 4 * mib)),
         c = pool.create_volume(volume("c", 4 * mib));
    const auto meant = b.expecting(b.identity());
    lab_run("lvextend -qq -L 8M labvg/a && lvremove -qq -y labvg/b && "
            "lvcreate -qq -y -n b -L 12M labvg && lvrename -qq labvg c d && udevadm settle");
    CHECK(a.info().capacity == 8 * mib);
    CHECK(b.info().capacity == 12 * mib);
    CHECK(error_code([&] { Volume(meant).delete_storage(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { c.info(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { c.delete_storage(); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.create_volume(volume("d", mib)); }) == ErrorCode::already_exists);
    CHECK(lv("b", "lv_size") == "12582912");
    lab_run("vgremove --yes -qq labvg");
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(error_code([&] { a.info(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { pool.create_volume(volume("e", mib)); }) == ErrorCode::invalid_state);
}

TEST_CASE("logical: thick volumes grow, shrink, are renamed, wiped, written and read", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    auto striped = pool.create_volume(
        volume("str", 20 * mib, {{.kind = ProvisioningKind::thick, .stripes = 2}}));
    CHECK(lv("str", "segtype") == "striped");
    CHECK(striped.info().capacity == 24 * mib);
    CHECK(striped.definition().target.provisioning.value().stripes == 2);
    CHECK(striped.definition().extents.size() == 2);
    CHECK(error_code([&] { pool.create_volume(volume("s3", mib, {{.stripes = 3}})); }) ==
          ErrorCode::invalid_argument);

    auto made = pool.create_volume(volume("a", 8 * mib));
    const auto key = made.key();
    fill(made.path(), 'x', 8 * mib);
    made.resize(16 * mib);
    CHECK(made.info().capacity == 16 * mib);
    CHECK(begin_of(made.path()) == "xxxx");
    CHECK(error_code([&] { made.resize(4 * mib); }) == ErrorCode::invalid_argument);
    made.resize(4 * mib, ResizeFlags::shrink);
    CHECK(made.info().capacity == 4 * mib);
    made.resize(4 * mib); // has it already
    made.resize(mib, ResizeFlags::delta);
    CHECK(made.info().capacity == 8 * mib);
    CHECK(begin_of(made.path()) == "xxxx");
    CHECK(error_code([&] { made.resize(100000 * mib); }) == ErrorCode::no_space);
    CHECK(error_code([&] { pool.create_volume(volume("big", 2000 * mib)); }) ==
          ErrorCode::no_space);

    made.rename("b");
    CHECK(made.path() == "/dev/labvg/b");
    CHECK(made.key() == key);
    CHECK(error_code([&] { made.rename("str"); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { made.rename("x_tmeta"); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { pool.create_volume(volume("snapshot1", mib)); }) ==
          ErrorCode::invalid_argument);

    {
        const auto fd = open_file(made.path(), O_RDONLY);
        CHECK(error_code([&] { made.wipe(); }) == ErrorCode::busy);
        CHECK(error_code([&] { made.delete_storage(); }) == ErrorCode::busy);
    }
    lab_run("mkfs.ext4 -q -F /dev/labvg/b && mount /dev/labvg/b /mnt");
    CHECK(error_code([&] { made.wipe(); }) == ErrorCode::busy);
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::busy);
    lab_run("umount /mnt");
    made.wipe();
    CHECK(begin_of(made.path(), 2048) == std::string(2048, '\0'));

    lab.scratch.directory.write("data", std::string(100000, 'd'));
    const auto data = open_file(lab.scratch.directory / "data", O_RDONLY);
    CHECK(made.upload(data.get(), {.offset = 512}) == 100000);
    std::string got;
    CHECK(made.download(WriteCallback([&](std::span<const std::byte> bytes, std::uint64_t) {
                            got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                        }),
                        {.offset = 512, .length = 1000}) == 1000);
    CHECK(got == std::string(1000, 'd'));
    CHECK(error_code([&] { made.upload(data.get(), {.offset = 9 * mib}); }) ==
          ErrorCode::invalid_argument);

    // A new volume from an upload: the rest is zeros, whatever the blocks had before.
    fill(made.path(), 'z', 8 * mib);
    made.delete_storage();
    CHECK(::lseek(data.get(), 0, SEEK_SET) == 0);
    auto uploaded = pool.upload_volume({.name = "up"}, data.get());
    CHECK(uploaded.info().capacity == 4 * mib);
    CHECK(begin_of(uploaded.path(), 100000) == std::string(100000, 'd'));
    CHECK(begin_of(uploaded.path(), 4 * mib).substr(100000) == std::string(4 * mib - 100000, '\0'));
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    CHECK(error_code([&] { pool.upload_volume({.name = "p"}, ends[0]); }) ==
          ErrorCode::invalid_argument);
    ::close(ends[1]);
    CHECK(error_code([&] {
              pool.upload_volume(volume("p", mib), ends[0], {.expected_length = 5});
          }) == ErrorCode::io);
    ::close(ends[0]);
    CHECK(all_lvs() == "str\n  up");

    auto copy = pool.create_volume_from(volume("copy", 0), uploaded);
    CHECK(begin_of(copy.path(), 100000) == std::string(100000, 'd'));
    auto again = pool.create_volume_from(volume("again", 12 * mib), copy);
    CHECK(begin_of(again.path(), 12 * mib).substr(100000) == std::string(12 * mib - 100000, '\0'));
}

TEST_CASE("logical: no thin pool, no thin volume; and never a snapshot instead", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    auto def = volume("t", 100 * mib);
    def.allocation = 0;
    try {
        pool.create_volume(def);
        FAIL("made");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_supported);
        CHECK_THAT(error.remedy(), Catch::Contains("thin-pool") && Catch::Contains("allocation"));
    }
    CHECK(all_lvs() == "");
    make_thin_pool(pool);
    CHECK(pool.create_volume(def).definition().target.provisioning.value().pool == "tp");
    make_thin_pool(pool, 32 * mib, "tp2");
    def.name = "u";
    try {
        pool.create_volume(def);
        FAIL("made");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_argument);
        CHECK_THAT(error.what(), Catch::Contains("'tp', 'tp2'"));
    }
    def.target.provisioning = thin("tp2");
    CHECK(pool.create_volume(def).definition().target.provisioning.value().pool == "tp2");
    def.name = "v";
    def.target.provisioning = thin("none");
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_found);
}

TEST_CASE("logical: thin volumes, their snapshots and clones", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    auto tp = make_thin_pool(pool);
    CHECK(lv("tp", "lv_tags") == "");
    CHECK(tp.definition().target.provisioning.value().kind == ProvisioningKind::thin_pool);
    CHECK(error_code([&] { tp.wipe(); }) == ErrorCode::not_supported);

    auto base = pool.create_volume(volume("base", 200 * mib, thin()));
    CHECK(base.info().capacity == 200 * mib);
    CHECK(base.info().allocation == 0);
    CHECK(pool.info().details.at("thin_pool.tp.data_percent") == "0.00");
    fill(base.path(), '1', 4 * mib);
    base.refresh();
    CHECK(base.info().allocation > 0);
    CHECK(base.info().allocation <= 8 * mib);
    CHECK(pool.info().details.at("thin_pool.tp.data_percent") == "4.17");
    CHECK(pool.info().details.count("thin_pool.tp.metadata_percent") == 1);

    auto snapshot = base.create_snapshot("before");
    CHECK(snapshot.name == "before");
    CHECK(snapshot.id == lv("before", "lv_uuid"));
    CHECK(snapshot.created.seconds > 1700000000);
    fill(base.path(), '2', 4 * mib);
    CHECK(begin_of("/dev/labvg/before") == "1111");
    {
        const auto in_use = open_file(base.path(), O_RDWR); // a guest runs
        base.create_snapshot("second");
        CHECK(error_code([&] { base.revert_snapshot("before"); }) == ErrorCode::busy);
    }
    CHECK(error_code([&] { base.create_snapshot("second"); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { base.create_snapshot("tp"); }) == ErrorCode::already_exists);
    auto snapshots = base.snapshots();
    REQUIRE(snapshots.size() == 2);
    CHECK(snapshots[0].name == "before");
    const auto key = base.key();
    base.revert_snapshot("before");
    CHECK(begin_of(base.path()) == "1111");
    CHECK(base.key() == key);
    fill(base.path(), '3', mib);
    CHECK(begin_of("/dev/labvg/before") == "1111"); // is still there, and a snapshot still
    CHECK(base.snapshots().size() == 2);
    base.revert_snapshot("before");
    CHECK(begin_of(base.path()) == "1111");
    CHECK(begin_of("/dev/labvg/second") == "2222");
    base.delete_snapshot("second");
    CHECK(error_code([&] { base.delete_snapshot("second"); }) == ErrorCode::not_found);
    CHECK(base.snapshots().size() == 1);

    Job job;
    auto clone = pool.create_volume_from(volume("clone", 0), base, CreateFlags::none, &job);
    CHECK(job.facts().at("method") == "thin_snapshot");
    CHECK(begin_of(clone.path()) == "1111");
    CHECK(lv("clone", "pool_lv") == "tp");
    auto second = pool.create_volume_from(volume("second", 240 * mib), clone,
                                          CreateFlags::reflink | CreateFlags::digest, &job);
    CHECK(second.info().capacity == 240 * mib);
    CHECK(job.facts().at("sha256").size() == 64);
    fill(second.path(), '5', mib);
    CHECK(begin_of(clone.path()) == "1111");
    auto thick = pool.create_volume(volume("thick", 4 * mib));
    fill(thick.path(), 'k', 4 * mib);
    auto thinned = pool.create_volume_from(volume("thinned", 0, thin()), thick);
    CHECK(begin_of(thinned.path()) == "kkkk");
    CHECK(error_code([&] {
              pool.create_volume_from(volume("r", 0), thick, CreateFlags::reflink);
          }) == ErrorCode::not_supported);

    VolumeDef linked{.name = "linked"};
    linked.backing = {{.path = clone.path()}};
    auto on_top = pool.create_volume(linked);
    CHECK(begin_of(on_top.path()) == "1111");
    CHECK(on_top.info().capacity == 200 * mib);
    CHECK(on_top.definition().backing.at(0).path == clone.path());
    const auto chain = on_top.chain();
    REQUIRE(chain.size() >= 2);
    CHECK(chain[1].path == clone.path());
    CHECK(chain[1].volume_name == clone.name());
    CHECK(chain[1].state == ChainState::ok);

    // A thin origin goes without its snapshots; a pool not without its volumes.
    base.delete_storage();
    CHECK(begin_of("/dev/labvg/before") == "1111");
    CHECK(error_code([&] { tp.delete_storage(); }) == ErrorCode::busy);
    base = pool.find_volume("before");
    base.resize(300 * mib);
    CHECK(base.info().capacity == 300 * mib);
    base.resize(8 * mib, ResizeFlags::shrink);
    CHECK(base.info().capacity == 8 * mib);
    tp.resize(128 * mib);
    CHECK(tp.info().capacity == 128 * mib);
    CHECK(error_code([&] { tp.resize(64 * mib, ResizeFlags::shrink); }) ==
          ErrorCode::not_supported);
    tp.delete_storage(BlockerKind::volume);
    CHECK(all_lvs() == "thick");
}

TEST_CASE("logical: classic snapshots", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    auto base = pool.create_volume(volume("base", 16 * mib));
    fill(base.path(), '1', 16 * mib);
    {
        const auto in_use = open_file(base.path(), O_RDWR);
        base.create_snapshot("before");
    }
    fill(base.path(), '2', 16 * mib); // all of it, and the snapshot is not lost
    CHECK(begin_of("/dev/labvg/before") == "1111");
    CHECK(pool.find_volume("before").info().capacity == 16 * mib);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
    CHECK(error_code([&] { base.wipe(); }) == ErrorCode::busy);
    CHECK(error_code([&] { base.resize(32 * mib); }) == ErrorCode::not_supported);
    base.rename("renamed");
    CHECK(base.snapshots().size() == 1);
    base.rename("base");
    const auto key = base.key();
    base.revert_snapshot("before");
    CHECK(begin_of(base.path()) == "1111");
    CHECK(base.key() == key);
    CHECK(base.snapshots().size() == 1);
    fill(base.path(), '3', mib);
    base.revert_snapshot("before");
    CHECK(begin_of(base.path()) == "1111");

    VolumeDef def{.name = "small", .capacity = 16 * mib, .allocation = 4 * mib};
    def.backing = {{.path = base.path()}};
    auto small = pool.create_volume(def);
    CHECK(small.info().allocation == 4 * mib);
    CHECK(small.info().capacity == 16 * mib);
    CHECK(small.definition().target.provisioning.value().kind == ProvisioningKind::snapshot);
    def.name = "wrong";
    def.capacity = 32 * mib;
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def.capacity = 0;
    def.allocation = 2000 * mib;
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::no_space);
    def.allocation = 4 * mib;
    def.backing[0].path = "/dev/labvg/small";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def.backing[0].path = "/etc/passwd";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    // Full: its content is lost, which is said.
    fill(base.path(), '4', 16 * mib);
    pool.refresh();
    CHECK(has_diagnostic(pool, "small", DiagnosticReason::incomplete));
    CHECK(error_code([&] { base.revert_snapshot("small"); }) == ErrorCode::invalid_state);
    base.delete_snapshot("small");
    base.delete_storage(BlockerKind::snapshot);
    CHECK(all_lvs() == "");
}

TEST_CASE("logical: a volume that thin ones are based on takes nothing along unasked", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    make_thin_pool(pool);
    auto base = pool.create_volume(volume("base", 16 * mib));
    fill(base.path(), '1', mib);
    lab_run("lvchange --yes --activate n labvg/base && lvchange --yes --permission r labvg/base &&"
            "lvcreate --yes --type thin --thinpool labvg/tp --name over labvg/base");
    pool.refresh();
    auto over = pool.find_volume("over");
    over.create_snapshot("again");
    CHECK(over.definition().backing.at(0).path == base.path());

    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
    CHECK(pool.find_volume("base").blockers().size() == 2);
    CHECK(begin_of(over.path()) == "1111");
    CHECK(begin_of("/dev/labvg/again") == "1111");
    over.delete_storage();
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
    CHECK(begin_of("/dev/labvg/again") == "1111");
    base.delete_storage(BlockerKind::snapshot);
    CHECK(all_lvs() == "tp");
}

TEST_CASE("logical: encrypted volumes have the capacity that was asked for", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    for (const std::string format : {"luks", "luks2"}) {
        auto def = volume(format, 8 * mib);
        def.target.encryption = Encryption{.format = format, .secrets = {{.usage = "x"}}};
        auto made = pool.create_volume(def);
        CHECK(made.info().capacity >= 8 * mib);
        CHECK(made.info().capacity < 12 * mib);
        CHECK(made.definition().target.encryption.value().format == format);
        CHECK(made.definition().capacity == made.info().capacity);
        pool.refresh();
        CHECK(made.info().capacity < 12 * mib);
        made.resize(20 * mib);
        CHECK(made.info().capacity >= 20 * mib);
        CHECK(made.info().capacity < 24 * mib);
    }
    lab_run("cryptsetup --version > /dev/null 2>&1 || exit 0; echo -n passphrase | cryptsetup "
            "open --test-passphrase --key-file - /dev/labvg/luks2");
}

namespace {

/** Runs work in a process that is killed when the LVM command of that verb has ended. @param
 * meanwhile  what somebody else does before the next context is opened */
void killed_after(Lab& lab, const std::string& verb, const std::function<void(Context&)>& work,
                  const std::string& meanwhile = "")
{
    lab.context.reset();
    // LVM's programs are found by PATH; one that kills who started it takes their place.
    const auto bin = lab.scratch.directory / "bin";
    lab_run("mkdir -p " + bin);
    std::ofstream(bin + "/lvm") << "#!/bin/bash\n/usr/sbin/lvm \"$@\"\nstatus=$?\n"
                                << "[ \"$1\" != " << verb << " ] || [ -e " << bin
                                << "/done ] || { touch " << bin << "/done; kill -9 $(cat " << bin
                                << "/pid); }\nexit $status\n";
    lab_run("chmod 755 " + bin + "/lvm; rm -f " + bin + "/done");
    const auto child = ::fork();
    if (child == 0) {
        std::ofstream(bin + "/pid") << ::getpid();
        ::setenv("PATH", (bin + ":/usr/sbin:/usr/bin:/sbin:/bin").c_str(), 1);
        try {
            Context context(lab.scratch.options());
            work(context);
        } catch (const std::exception& error) {
            std::ofstream(bin + "/error") << error.what();
        }
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    lab_run("udevadm settle");
    if (!meanwhile.empty())
        lab_run(meanwhile);
    lab.open();
}

} // namespace

// One life, because a group with a thin pool takes long to make here: each part leaves the group as
// it found it, which the next one checks.
TEST_CASE("logical: killed between steps, nothing half-made is left", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    {
        auto pool = lab.running();
        pool.create_volume(volume("base", 8 * mib));
        make_thin_pool(pool);
        auto thin_base = pool.create_volume(volume("thin", 40 * mib, thin()));
        fill(thin_base.path(), '1', mib);
        thin_base.create_snapshot("old");
        fill(thin_base.path(), '2', mib);
    }
    const std::string before = "base\n  old\n  thin\n  tp";
    const auto pool = [&] { return lab.context->find_pool("lvm"); };
    {
        INFO("a new volume");
        killed_after(lab, "lvcreate", [](Context& context) {
            context.find_pool("lvm").create_volume(volume("new", 8 * mib));
        });
        CHECK(all_lvs() == before);
        CHECK(pool().volume_count() == 4);
    }
    {
        INFO("a new volume that another one's name has meanwhile");
        lab.context.reset();
        const auto child = ::fork();
        if (child == 0) {
            Context context(lab.scratch.options());
            ReadCallback die = [](std::span<std::byte>, std::uint64_t&) -> std::size_t {
                ::kill(::getpid(), SIGKILL);
                return 0;
            };
            context.find_pool("lvm").upload_volume(volume("new", 8 * mib), die);
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        CHECK(all_lvs().find("new") != std::string::npos);
        // It has its tag; the next look does not show it, the next context takes it away.
        lab_run("lvrename -qq labvg new elsewhere && lvcreate -qq -y -n new -l1 labvg");
        lab.open();
        CHECK(all_lvs() == "base\n  new\n  old\n  thin\n  tp");
        lab_run("lvremove -qq -y labvg/new");
    }
    {
        INFO("the end of a creation");
        killed_after(lab, "lvchange", [](Context& context) {
            context.find_pool("lvm").create_volume(volume("new", 8 * mib));
        });
        CHECK(all_lvs() == "base\n  new\n  old\n  thin\n  tp");
        pool().find_volume("new").delete_storage();
    }
    {
        INFO("a rename");
        killed_after(lab, "lvrename", [](Context& context) {
            context.find_pool("lvm").find_volume("base").rename("other");
        });
        CHECK(all_lvs() == "old\n  other\n  thin\n  tp");
        pool().find_volume("other").rename("base");
    }
    for (const std::string verb : {"lvcreate", "lvconvert", "lvrename"}) {
        INFO("going back to a thin snapshot, before and after it is used up: " << verb);
        fill("/dev/labvg/thin", '2', mib);
        killed_after(lab, verb, [](Context& context) {
            context.find_pool("lvm").find_volume("thin").revert_snapshot("old");
        });
        CHECK(all_lvs() == before);
        CHECK(begin_of("/dev/labvg/thin") == (verb == "lvcreate" ? "2222" : "1111"));
        CHECK(pool().find_volume("thin").snapshots().size() == 1);
        CHECK(begin_of("/dev/labvg/old") == "1111");
    }
    {
        INFO("going back to a classic snapshot");
        fill("/dev/labvg/base", '1', 8 * mib);
        pool().find_volume("base").create_snapshot("classic");
        fill("/dev/labvg/base", '2', 8 * mib);
        killed_after(lab, "lvconvert", [](Context& context) {
            context.find_pool("lvm").find_volume("base").revert_snapshot("classic");
        });
        CHECK(begin_of("/dev/labvg/base") == "1111");
        CHECK(begin_of("/dev/labvg/classic") == "1111");
        CHECK(pool().find_volume("base").snapshots().size() == 1);
    }
    {
        INFO("a deletion that takes others along");
        const auto others = all_lvs();
        auto here = pool();
        make_thin_pool(here, 32 * mib, "doomed");
        for (const std::string name : {"in1", "in2"})
            here.create_volume(volume(name, 8 * mib, thin("doomed")));
        killed_after(lab, "lvremove", [](Context& context) {
            context.find_pool("lvm").find_volume("doomed").delete_storage(BlockerKind::volume);
        });
        CHECK(all_lvs() == others);
    }
    {
        INFO("starting and stopping");
        pool().stop();
        CHECK(lv("base", "lv_active") == "");
        killed_after(lab, "vgchange", [](Context& context) { context.find_pool("lvm").start(); });
        CHECK(lv("base", "lv_active") == "");
        CHECK_FALSE(pool().is_active());
        pool().start();
        killed_after(lab, "lvchange", [](Context& context) { context.find_pool("lvm").stop(); });
        CHECK(lv("base", "lv_active") == "active");
        CHECK(pool().is_active());
    }
    pool().stop();
    pool().delete_storage(BlockerKind::volume);
    for (const std::string verb : {"pvcreate", "vgcreate"}) {
        INFO("building a group: " << verb);
        killed_after(lab, verb, [](Context& context) { context.find_pool("lvm").build(); });
        CHECK(output_of("vgs --noheadings; pvs --noheadings") == "");
    }
    pool().build();
    CHECK(output_of("vgs --noheadings -o vg_name,vg_tags") == "labvg");
}

namespace {

/** Has a device open from the first command on that has such an argument. */
class OpenBefore final : public CommandRunner {
public:
    OpenBefore(std::string argument, std::string path)
        : argument_(std::move(argument)), path_(std::move(path))
    {
    }
    CommandResult run(const Command& command, Job* job) override
    {
        const auto& words = command.arguments;
        if (std::find(words.begin(), words.end(), argument_) != words.end())
            fd = open_file(path_, O_RDWR);
        return real_.run(command, job);
    }

    UniqueFd fd{};

private:
    ProcessRunner real_{};
    std::string argument_;
    std::string path_;
};

} // namespace

TEST_CASE("logical: a volume that is opened when it goes back to a snapshot", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    make_thin_pool(pool);
    for (const bool is_thin : {true, false}) {
        auto base = pool.create_volume(
            volume("base", 16 * mib, is_thin ? std::optional(thin()) : std::nullopt));
        fill(base.path(), '1', 16 * mib);
        base.create_snapshot("s");
        fill(base.path(), '2', 16 * mib);
        {
            OpenBefore lvm(is_thin ? "--addtag" : "lvconvert", base.path());
            LogicalStage stage(lvm);
            CHECK(stage.change([&](Change& change) {
                stage->revert_snapshot({.name = "base"}, "s", change);
            }) == ErrorCode::busy);
        }
        CHECK(begin_of(base.path()) == "2222");
        if (is_thin) { // it is as it was
            CHECK(lv("base", "lv_active") == "active");
            CHECK(lv("s", "lv_active") == "active");
            CHECK(lv("base", "lv_attr").substr(0, 1) == "V");
            base.revert_snapshot("s");
            CHECK(begin_of(base.path()) == "1111");
            CHECK(begin_of("/dev/labvg/s") == "1111");
            pool.find_volume("s").delete_storage();
            base.delete_storage();
        }
    }
    CHECK(lv("base", "lv_attr").substr(0, 1) == "O");
}

TEST_CASE("logical: a new thin volume gets no space for zeros", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    auto pool = lab.running();
    make_thin_pool(pool);
    auto source = pool.create_volume(volume("source", 64 * mib));
    lab_run("dd if=/dev/zero of=/dev/labvg/source bs=1M count=64 status=none");
    fill(source.path(), '1', mib);
    auto copy = pool.create_volume_from(volume("copy", 0, thin()), source);
    CHECK(begin_of(copy.path()) == "1111");
    CHECK(lv("copy", "data_percent") == "1.56");
    lab.scratch.directory.write("data", std::string(mib, '2'));
    lab_run("truncate --size 64M " + (lab.scratch.directory / "data"));
    const auto data = open_file(lab.scratch.directory / "data", O_RDONLY);
    auto uploaded =
        pool.upload_volume(volume("up", 64 * mib, thin()), data.get(), {.sparse = true});
    CHECK(begin_of(uploaded.path()) == "2222");
    CHECK(lv("up", "data_percent") == "1.56");
}

TEST_CASE("logical: devices with sectors of 4096 bytes", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab.scratch.directory.write("disk", "");
    const auto disk = lab.scratch.directory / "disk";
    lab_run("modprobe loop && truncate --size 64M " + disk +
            " && losetup --sector-size 4096 "
            "/dev/loop0 " +
            disk + " && vgcreate -q labvg /dev/loop0");
    {
        auto pool = lab.context->define_pool(lab.definition(false));
        pool.start();
        lab_run("lvcreate -qq -y -n old -l1 labvg && udevadm settle");
        fill("/dev/labvg/old", 'z', 4 * mib);
        pool.refresh();
        pool.find_volume("old").delete_storage();
        lab.scratch.directory.write("data", std::string(100001, 'd'));
        const auto data = open_file(lab.scratch.directory / "data", O_RDONLY);
        auto uploaded = pool.upload_volume({.name = "up"}, data.get());
        CHECK(begin_of(uploaded.path(), 4 * mib) ==
              std::string(100001, 'd') + std::string(4 * mib - 100001, '\0'));
    }
    lab_run("vgremove --yes -q labvg && losetup --detach /dev/loop0");
}

TEST_CASE("logical: killed between steps: what others made of a new volume is theirs", "[.][lab]")
{
    ONLY_IN_LAB()
    Lab lab;
    lab.running();
    killed_after(
        lab, "lvcreate",
        [](Context& context) {
            auto pool = context.find_pool("lvm");
            make_thin_pool(pool);
        },
        "lvcreate -qq -y --type thin -n theirs -V 8M --thinpool tp labvg");
    CHECK(lv("theirs", "lv_active") == "active");
    const auto pending = lab.context->recover(); // the pool is busy
    REQUIRE(pending.size() == 1);
    CHECK(pending[0].pending);
    CHECK_THAT(pending[0].message, Catch::Contains("theirs"));
    lab_run("lvremove -qq -y labvg/theirs");
    lab.context->recover();
    CHECK(all_lvs() == "");
    killed_after(
        lab, "lvcreate",
        [](Context& context) { context.find_pool("lvm").create_volume(volume("new", 8 * mib)); },
        "lvcreate -qq -y -s -n theirs -L 8M labvg/new");
    CHECK(lv("theirs", "lv_active") == "active");
}

namespace {

void record(const std::string& name, const std::string& set_up,
            const std::function<void(LogicalStage&)>& scene)
{
    Lab lab;
    lab_run("vgcreate -q labvg /dev/vda /dev/vdb && " + set_up);
    const char* directory = ::getenv("BASIN_TRANSCRIPTS");
    ProcessRunner real;
    RecordingRunner recorder(real, directory ? directory + ("/logical/" + name) : "",
                             "lvm2 2.03.16, Debian 12");
    LogicalStage stage(recorder);
    scene(stage);
}

} // namespace

TEST_CASE("logical: what is played back elsewhere is what LVM does", "[.][lab]")
{
    ONLY_IN_LAB()
    record("thin-pool", "lvcreate -qq -y -n thick -l4 labvg", thin_pool_life);
    record(
        "snapshots",
        "lvcreate -qq -y -n thick -l4 labvg && lvcreate -qq -y --type thin-pool -n tp -l10 labvg "
        "&& lvcreate -qq -y --type thin -n thin -V40M --thinpool tp labvg",
        snapshots_life);
    record("pool",
           "lvcreate -qq -y -n on -l1 labvg && lvcreate -qq -y -n off -l1 labvg && "
           "lvchange -an labvg/off",
           pool_life);
}
