// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type rbd beside Ceph's other clients: their locks, the trash, mirrors, their files and
// variables; and images as a cluster's options make them.
#include "file_io.hpp"
#include "processes.hpp"
#include "rbd_stage.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;

namespace {

// ---- locks -------------------------------------------------------------------------------------

void lock(const RbdPeer& peer, const std::string& image)
{
    if (peer.fake)
        peer.fake->find("rbd", image)->locker = "client.4100";
    else
        REQUIRE(RbdPeer::control("rbd lock add rbd/" + image + " 'by hand'"));
}

void unlock(const RbdPeer& peer, const std::string& image)
{
    if (peer.fake)
        peer.fake->find("rbd", image)->locker.clear();
    else
        REQUIRE(RbdPeer::control("rbd lock remove rbd/" + image +
                                 " 'by hand' $($BASIN_CEPH_SCRIPT rbd lock ls rbd/" + image +
                                 " | awk '/^client/ { print $1 }')"));
}

RBD_CASE("who has locked an image is named, and not waited for")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 16 * mib));
    const auto data = pattern(mib);
    volume.upload(source_of(data));
    lock(peer, "a");
    const auto refused = [&](const std::function<void(Job&)>& call) {
        Job job;
        job.set_timeout(std::chrono::seconds(10));
        const auto error = error_of([&] { call(job); });
        CAPTURE(error.what());
        CHECK(error.code() == ErrorCode::busy);
        CHECK(says(error, "client."));
        CHECK(says(error, "has locked it as 'by hand'"));
        CHECK_FALSE(error.remedy().empty());
    };
    const auto blockers = volume.blockers();
    REQUIRE(blockers.size() == 1);
    CHECK(blockers[0].kind == BlockerKind::open);
    CHECK(blockers[0].message.find("has locked it as 'by hand'") != std::string::npos);
    for (const auto allowed : {BlockerKind::none, BlockerKind::open}) {
        refused([&](Job& job) { volume.upload(source_of(data), {.allowed = allowed}, &job); });
        refused([&](Job& job) { volume.resize(32 * mib, {}, allowed, &job); });
        refused([&](Job& job) { volume.wipe(WipeAlgorithm::zero, allowed, &job); });
        refused([&](Job& job) { volume.rename("b", allowed, &job); });
        refused([&](Job& job) { volume.delete_storage(allowed, &job); });
    }
    refused([&](Job& job) { volume.create_snapshot("s", &job); });
    refused([&](Job& job) { volume.set_metadata("k", "v", &job); });
    refused([&](Job& job) {
        pool.create_volume_from(raw_volume("b", 0), volume, CreateFlags::linked, &job);
    });
    // Reading disturbs nobody.
    CHECK((content(volume, {.length = mib}) == data));
    CHECK(
        (content(pool.create_volume_from(raw_volume("copy", 0), volume), {.length = mib}) == data));
    unlock(peer, "a");
    CHECK(volume.blockers().empty());
    volume.resize(32 * mib);
    volume.delete_storage();
    CHECK(names(pool) == std::vector<std::string>{"copy"});
}

TEST_CASE("rbd, real: locks that are shared, and images that librbd does not lock", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    REQUIRE(RbdPeer::control("rbd create rbd/plain --size 8M --image-feature layering"));
    pool.create_volume(raw_volume("shared", 8 * mib));
    REQUIRE(RbdPeer::control("rbd lock add --shared tag rbd/shared one"));
    REQUIRE(RbdPeer::control("rbd lock add rbd/plain two"));
    for (const std::string name : {"shared", "plain"}) {
        CAPTURE(name);
        const auto error = error_of([&] { pool.find_volume(name).resize(16 * mib); });
        CHECK(error.code() == ErrorCode::busy);
        CHECK(says(error, name == "shared" ? "as 'one', to share it" : "as 'two'"));
    }
    // That is not librbd's business there, and nobody waits.
    auto plain = pool.find_volume("plain");
    plain.resize(16 * mib, {}, BlockerKind::open);
    CHECK(plain.info().capacity == 16 * mib);
    for (const std::string name : {"shared one", "plain two"}) {
        const auto image = name.substr(0, name.find(' '));
        REQUIRE(RbdPeer::control("rbd lock remove rbd/" + name +
                                 " $($BASIN_CEPH_SCRIPT rbd lock ls rbd/" + image +
                                 " | awk '/^client/ { print $1 }')"));
    }
}

// ---- other clusters, other files ---------------------------------------------------------------

TEST_CASE("rbd, simulated: an image of another cluster is no base of a clone", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto def = stage.definition("second");
    def.source.hosts[0].name = peer.fake->monitor + "7";
    auto second = stage.context->define_pool(def);
    second.start();
    // Both have an image of that path.
    auto golden = second.create_volume(raw_volume("golden", 8 * mib));
    golden.upload(source_of(pattern(mib)));
    const auto error = error_of(
        [&] { pool.create_volume_from(raw_volume("kid", 0), golden, CreateFlags::linked); });
    CHECK(error.code() == ErrorCode::not_supported);
    CHECK(says(error, "'second'"));
    CHECK(error.remedy() == "make a copy instead");
    CHECK((content(pool.create_volume_from(raw_volume("copy", 0), golden)) == content(golden)));
    second.create_volume_from(raw_volume("kid", 0), golden, CreateFlags::linked);
    // The server of this test keeps the images of both: each cluster has all.
    for (const auto& cluster : {pool, second}) {
        INFO(cluster.name());
        const auto dependents = cluster.find_volume("golden").dependents();
        REQUIRE(dependents.size() == 1);
        CHECK(dependents[0].pool().name() == cluster.name());
    }
    second.stop();
}

TEST_CASE("rbd, simulated: a chain has what other clients made, and nothing of another cluster",
          "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.refresh();
    RbdStage elsewhere(peer);
    auto same = elsewhere.pool();
    same.create_volume_from(raw_volume("kid", 0), same.create_volume(raw_volume("base", 8 * mib)),
                            CreateFlags::linked);
    const auto kid = pool.find_volume("kid");
    REQUIRE(kid.chain().size() == 2);
    CHECK(kid.chain()[1].volume_name == "base");
    CHECK(kid.chain()[1].state == ChainState::ok);

    // The path is there in another cluster, too, which stops answering.
    auto def = stage.definition("second");
    def.source.hosts[0].name = peer.fake->monitor + "7";
    auto second = stage.context->define_pool(def);
    second.start();
    second.refresh();
    auto others = stage.pool("other", "other");
    auto far = others.create_volume_from(raw_volume("far", 0), pool.find_volume("base"),
                                         CreateFlags::linked);
    pool.stop();
    peer.fake->fail("rbd_list2", -ETIMEDOUT);
    CHECK(error_code([&] { second.refresh(); }) == ErrorCode::timed_out);
    peer.fake->fail("rados_connect", -ETIMEDOUT, 0, 1000);
    const auto chain = far.chain();
    REQUIRE(chain.size() == 2);
    CHECK(chain[1] ==
          ChainLink{.reference = "rbd/base", .format = "raw", .state = ChainState::network});
    peer.fake->fail("rados_connect", 0, 0, 0);
    others.stop();
}

TEST_CASE("rbd, simulated: an image's path is that of no file", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    const auto data = pattern(mib);
    std::filesystem::create_directory(stage.scratch.directory / "rbd");
    stage.scratch.directory.write("rbd/a", data);
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(std::string(stage.scratch.directory / "."));
    const auto in = open_file("rbd/a", O_RDONLY);
    CHECK(volume.upload(UploadSource(in.get())) == data.size());
    std::filesystem::current_path(before);
    CHECK((content(volume, {.length = mib}) == data));
}

/** Whether Ceph's own command prints something. */
bool prints(const std::string& arguments, const std::string& expected)
{
    return RbdPeer::control("rbd " + arguments + " | grep -q '" + expected + "'");
}

/** Files that nobody may open. */
class Baits {
public:
    explicit Baits(const std::string& directory) : directory_(directory) {}
    ~Baits() { ::close(fd_); }
    Baits(const Baits&) = delete;
    Baits& operator=(const Baits&) = delete;

    std::string lay(const std::string& name)
    {
        auto path = directory_ + '/' + name;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path) << "[global]\nmon_host = 127.0.0.1:1\nrbd_default_order = 20\n"
                            << "[client.virt]\nkey = AQBhbm90aGVyIG9uZQ==\n";
        REQUIRE(::inotify_add_watch(fd_, path.c_str(), IN_OPEN) >= 0);
        return path;
    }
    bool are_untouched() const
    {
        std::array<char, 4096> events{};
        return ::read(fd_, events.data(), events.size()) < 0;
    }

private:
    std::string directory_;
    int fd_{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
};

TEST_CASE("rbd, real: neither files nor variables say where a pool is", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    Baits baits(stage.scratch.directory / "bait");
    const auto conf = baits.lay("ceph.conf"); // in the working directory, too
    const auto home = baits.lay(".ceph/ceph.conf");
    const auto keyring = baits.lay("keyring");
    const auto child = ::fork();
    if (child == 0) {
        std::filesystem::current_path(std::string(stage.scratch.directory / "bait"));
        ::setenv("HOME", std::string(stage.scratch.directory / "bait").c_str(), 1);
        ::setenv("CEPH_CONF", conf.c_str(), 1);
        ::setenv("CEPH_KEYRING", keyring.c_str(), 1);
        const std::string arguments = "--mon-host=127.0.0.1:1 --mon_host_override=127.0.0.1:1 "
                                      "--monmap=/nowhere --key=AQBhbm90aGVyIG9uZQ== "
                                      "--auth_client_required=none --conf=" +
                                      conf + " --keyring=" + keyring;
        ::setenv("CEPH_ARGS", arguments.c_str(), 1);
        int result = 1;
        try {
            stage.open();
            Job job;
            job.set_timeout(std::chrono::seconds(10));
            auto pool = stage.context->define_pool(stage.definition());
            pool.start(BuildMode::none, &job);
            pool.create_volume(raw_volume("a", 8 * mib), {}, &job);
            result = 0;
        } catch (const Error& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
        }
        ::_exit(result);
    }
    int status = 1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(baits.are_untouched());
    CHECK(prints("info rbd/a", "order 22"));
    stage.open();
    stage.context->find_pool("ceph").find_volume("a").delete_storage();
}

// ---- the trash ---------------------------------------------------------------------------------

TEST_CASE("rbd, real: images in the trash", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto thrown = pool.create_volume(raw_volume("a", 8 * mib));
    const auto data = pattern(mib);
    thrown.upload(source_of(data));
    const auto first = thrown.expecting(thrown.identity());
    REQUIRE(RbdPeer::control("rbd trash mv rbd/a"));
    CHECK(names(pool).empty());
    CHECK(error_code([&] { thrown.delete_storage(); }) == ErrorCode::not_found);
    pool.refresh();
    CHECK(pool.volume_count() == 0);
    CHECK(pool.diagnostics().empty());
    // Its name is free, and what gets it is another one.
    auto next = pool.create_volume(raw_volume("a", 16 * mib));
    CHECK(error_code([&] { Volume(first).delete_storage(); }) == ErrorCode::not_found);
    REQUIRE(RbdPeer::control("rbd trash restore --image back "
                             "rbd/$($BASIN_CEPH_SCRIPT rbd trash ls rbd | awk '{ print $1 }')"));
    pool.refresh();
    CHECK(names(pool) == std::vector<std::string>{"a", "back"});
    CHECK((content(pool.find_volume("back"), {.length = mib}) == data));
    CHECK(next.info().capacity == 16 * mib);
}

TEST_CASE("rbd, real: clones whose parent, or who themselves are in the trash", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 8 * mib));
    golden.upload(source_of(pattern(mib)));
    const auto whole = content(golden);
    auto kid = pool.create_volume_from(raw_volume("kid", 0), golden, CreateFlags::linked);
    const auto restore = [] {
        return RbdPeer::control("rbd trash restore "
                                "rbd/$($BASIN_CEPH_SCRIPT rbd trash ls rbd | awk '{ print $1 }')");
    };
    REQUIRE(RbdPeer::control("rbd trash mv rbd/kid"));
    const auto error = error_of([&] { golden.delete_storage(); });
    CHECK(error.code() == ErrorCode::busy);
    CHECK(says(error, "'rbd/kid (in the trash)'"));
    REQUIRE(restore());

    REQUIRE(RbdPeer::control("rbd trash mv rbd/golden"));
    auto other = pool.create_volume(raw_volume("golden", 16 * mib)); // has nothing to do with it
    pool.refresh();
    REQUIRE(kid.definition().backing.size() == 1);
    CHECK(kid.definition().backing[0].path == "rbd/golden (in the trash)");
    CHECK(other.dependents().empty());
    CHECK((content(kid) == whole));
    other.delete_storage();
    REQUIRE(restore());
    pool.refresh();
    CHECK(kid.definition().backing[0].path == "rbd/golden");
    CHECK(golden.dependents().size() == 1);
}

RBD_CASE("a clone whose parent gets another name")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 8 * mib));
    auto kid = pool.create_volume_from(raw_volume("kid", 0), golden, CreateFlags::linked);
    pool.refresh();
    CHECK(golden.dependents().size() == 1);
    RbdStage elsewhere(peer);
    elsewhere.pool().find_volume("golden").rename("gold", BlockerKind::backing_image);
    elsewhere.context.reset(); // leave the volumes where they are
    pool.refresh();
    CHECK(pool.find_volume("gold").dependents().size() == 1);
    auto other = pool.create_volume(raw_volume("golden", 8 * mib));
    pool.refresh();
    CHECK(pool.find_volume("gold").dependents().size() == 1);
    CHECK(other.dependents().empty());
    other.delete_storage();
    CHECK(kid.definition().backing.at(0).path == "rbd/gold");
}

TEST_CASE("rbd, real: a deletion during which the OSD stands still is finished", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto def = stage.definition();
    def.config_options = {{.name = "rbd_default_order", .value = "12"}, // which takes a while
                          {.name = "rbd_default_features", .value = "layering,exclusive-lock"},
                          {.name = "rados_osd_op_timeout", .value = "2"}};
    auto pool = stage.context->define_pool(def);
    pool.start();
    auto volume = pool.create_volume(raw_volume("a", 256 * mib));
    std::thread stops([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        RbdPeer::control("pause osd");
    });
    const auto code = error_code([&] { volume.delete_storage(); });
    stops.join();
    REQUIRE(RbdPeer::control("resume osd"));
    CHECK((code == ErrorCode::timed_out || code == ErrorCode{}));
    // Ceph takes the client that gave up for one that still uses the image, for half a minute.
    for (int attempt = 0; attempt != 100; ++attempt) {
        const auto recovered = stage.context->recover();
        if (std::none_of(recovered.begin(), recovered.end(),
                         [](const RecoveryResult& result) { return result.pending; }))
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    if (error_code([&] { volume.info(); }) == ErrorCode{}) // had not begun
        volume.delete_storage();
    CHECK(names(pool).empty());
    CHECK_FALSE(prints("trash ls --all rbd", "."));
}

TEST_CASE("rbd, simulated: who has the name of an image that is half deleted is listed once",
          "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    auto rest = std::make_shared<fake_ceph::Image>(*peer.fake->find("rbd", "a"));
    rest->id = "of the trash";
    rest->has_header = false;
    peer.fake->images_.push_back(rest);
    for (int i = 0; i != 2; ++i) {
        CHECK(names(pool) == std::vector<std::string>{"a"});
        pool.refresh();
        CHECK(pool.volume_count() == 1);
        CHECK(pool.diagnostics().empty());
    }
    pool.find_volume("a").delete_storage();
    peer.fake->images_.clear();
}

// ---- as the cluster's options make them ---------------------------------------------------------

TEST_CASE("rbd, real: data pool, objects, stripes and features", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    const auto allow = [](const std::string& more) {
        return RbdPeer::control(
            "ceph auth caps client.virt mon 'profile rbd' mgr 'profile rbd' osd "
            "'profile rbd pool=rbd, profile rbd pool=other" +
            more + '\'');
    };
    REQUIRE((RbdPeer::control("ceph osd pool create data 8 8") &&
             RbdPeer::control("ceph osd pool application enable data rbd") &&
             RbdPeer::control("ceph osd pool set-quota data max_bytes 1073741824") &&
             allow(", profile rbd pool=data")));
    {
        RbdStage stage(peer);
        stage.passphrase = "correct horse";
        auto def = stage.definition();
        def.config_options = {{.name = "rbd_default_data_pool", .value = "data"},
                              {.name = "rbd_default_order", .value = "23"},
                              {.name = "rbd_default_stripe_unit", .value = "65536"},
                              {.name = "rbd_default_stripe_count", .value = "4"},
                              {.name = "rbd_default_features",
                               .value = "layering,exclusive-lock,object-map,fast-diff"}};
        auto pool = stage.context->define_pool(def);
        pool.start();
        // The manager daemon counts a new pool after a while.
        CHECK(comes_true([&] {
            const auto details = pool.info().details;
            const auto found = details.find("data_pool");
            return found != details.end() && found->second == "data";
        }));
        CHECK(pool.info().available <= std::uint64_t{1} << 30);
        auto volume = pool.create_volume(raw_volume("a", 64 * mib + 12345));
        for (const auto* line :
             {"order 23", "data_pool: data",
              "features: layering, striping, exclusive-lock, object-map, fast-diff, data-pool",
              "stripe unit: 64 KiB", "stripe count: 4"}) {
            CAPTURE(line);
            CHECK(prints("info rbd/a", line));
        }
        auto expected = pattern(9 * mib + 777);
        volume.upload(source_of(expected));
        volume.upload(source_of(std::string(3 * mib + 5, '\0')), {.offset = mib, .sparse = true});
        std::fill_n(expected.begin() + mib, 3 * mib + 5, '\0');
        expected.resize(64 * mib + 12345);
        CHECK((content(volume) == expected));
        CHECK((content(volume, {.sparse = true}) == expected));
        volume.create_snapshot("s");
        auto kid =
            pool.create_volume_from(raw_volume("kid", 80 * mib), volume, CreateFlags::linked);
        auto copy = pool.create_volume_from(raw_volume("copy", 0), volume);
        volume.wipe(WipeAlgorithm::trim, BlockerKind::snapshot | BlockerKind::backing_image);
        CHECK((content(volume) == std::string(expected.size(), '\0')));
        kid.upload(source_of(std::string(100, 'x')), {.offset = 5 * mib});
        kid.flatten();
        auto changed = expected;
        std::fill_n(changed.begin() + 5 * mib, 100, 'x');
        CHECK((content(kid, {.length = expected.size()}) == changed));
        CHECK((content(copy) == expected));
        volume.revert_snapshot("s");
        CHECK((content(volume) == expected));
        if (rbd_library().rbd_encryption_format)
            for (const std::string format : {"luks", "luks2"}) {
                auto secret = raw_volume(format, mib);
                secret.target.encryption =
                    Encryption{.format = format, .secrets = {{.uuid = luks_secret_uuid}}};
                CHECK(pool.create_volume(secret).info().capacity == mib);
            }
        CHECK(RbdPeer::control("rados -p data ls | grep -q rbd_data"));
        CHECK(RbdPeer::control("rados -p rbd ls | grep -q rbd_data && exit 1 || exit 0"));
    }
    CHECK(RbdPeer::control("ceph osd pool rm data data --yes-i-really-really-mean-it"));
    CHECK(allow(""));
}

// ---- mirrors -----------------------------------------------------------------------------------

TEST_CASE("rbd, real: images of a mirror", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool("ceph", "other");
    const auto data = pattern(mib);
    REQUIRE(RbdPeer::control("rbd mirror pool enable other image"));
    for (const std::string mode : {"journal", "snapshot"}) {
        CAPTURE(mode);
        auto volume = pool.create_volume(raw_volume("a", 8 * mib));
        volume.upload(source_of(data));
        if (mode == "journal")
            REQUIRE(RbdPeer::control("rbd feature enable other/a journaling"));
        REQUIRE(RbdPeer::control("rbd mirror image enable other/a " + mode));
        // The primary one is an image as any other.
        volume.resize(16 * mib);
        volume.upload(source_of(data), {.offset = 9 * mib});
        volume.create_snapshot("s");
        REQUIRE(volume.snapshots().size() == 1); // without those of the mirror
        volume.delete_snapshot("s");
        REQUIRE(RbdPeer::control("rbd mirror image demote other/a"));
        pool.refresh();
        CHECK(pool.volume_count() == 1);
        CHECK(pool.diagnostics().empty());
        CHECK(volume.info().capacity == 16 * mib);
        CHECK(volume.snapshots().empty());
        CHECK((content(volume, {.offset = 9 * mib, .length = mib}) == data));
        for (const auto& change : {std::function<void()>([&] { volume.resize(32 * mib); }),
                                   {[&] { volume.upload(source_of(data)); }},
                                   {[&] { volume.create_snapshot("s"); }},
                                   {[&] { volume.rename("b"); }},
                                   {[&] { volume.set_metadata("k", "v"); }},
                                   {[&] { volume.wipe(); }},
                                   {[&] { volume.delete_storage(); }}}) {
            const auto error = error_of(change);
            CAPTURE(error.what(), error.remedy());
            CHECK(error.code() != ErrorCode::internal);
            CHECK((std::string(error.what()) + error.remedy()).find("mirror") != std::string::npos);
        }
        CHECK((content(volume, {.offset = 9 * mib, .length = mib}) == data));
        REQUIRE(RbdPeer::control("rbd mirror image promote other/a"));
        volume.delete_storage();
    }
    CHECK(names(pool).empty());
    CHECK(RbdPeer::control("rbd mirror pool disable other"));
}

} // namespace
