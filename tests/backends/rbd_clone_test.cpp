// SPDX-License-Identifier: LGPL-2.1-or-later
// Clones and copies of RBD images.
#include "rbd_stage.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

using namespace storage;

namespace {

RBD_CASE("clones and copies")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto other = stage.pool("other", "other");
    const auto data = pattern(6 * mib);
    auto golden = pool.create_volume(raw_volume("golden", 16 * mib));
    golden.upload(source_of(data));
    const auto whole = content(golden);

    Job job;
    auto linked =
        pool.create_volume_from(raw_volume("linked", 0), golden, CreateFlags::linked, &job);
    CHECK(job.facts().at("method") == "linked");
    CHECK((content(linked) == whole));
    CHECK((content(linked, {.sparse = true}) == whole));
    REQUIRE(linked.definition().backing.size() == 1);
    CHECK(linked.definition().backing[0].path == "rbd/golden");
    CHECK(golden.snapshots().empty()); // nothing of the way it was made is left to be seen
    CHECK(golden.dependents().size() == 1);

    auto far = other.create_volume_from(raw_volume("far", 20 * mib), golden, CreateFlags::linked);
    CHECK(far.info().capacity == 20 * mib);
    CHECK((content(far, {.length = 16 * mib}) == whole));
    CHECK(far.definition().backing[0].path == "rbd/golden");

    auto further = other.create_volume_from(raw_volume("further", 0), far, CreateFlags::linked);
    const auto chain = further.chain();
    REQUIRE(chain.size() == 3);
    CHECK(chain[0] == ChainLink{.reference = "other/further",
                                .format = "raw",
                                .pool_name = "other",
                                .volume_name = "further"});
    CHECK(chain[1] == ChainLink{.reference = "other/far",
                                .format = "raw",
                                .pool_name = "other",
                                .volume_name = "far"});
    CHECK(chain[2].volume_name == "golden");
    CHECK(chain[2].state == ChainState::ok);
    CHECK(further.definition().backing.size() == 1);
    const auto backing = further.definition(BackingDepth::chain).backing;
    REQUIRE(backing.size() == 2);
    CHECK(backing[0].path == "other/far");
    CHECK(backing[1].path == "rbd/golden");
    pool.stop();
    CHECK(further.chain().at(2) ==
          ChainLink{.reference = "rbd/golden", .format = "raw", .state = ChainState::network});
    pool.start();
    further.delete_storage();

    const auto blockers = golden.blockers();
    CHECK(std::count_if(blockers.begin(), blockers.end(), [](const Blocker& blocker) {
              return blocker.message.find("other/far") != std::string::npos;
          }) == 1);
    CHECK(error_code([&] { golden.delete_storage(); }) == ErrorCode::busy);
    CHECK(error_code([&] { golden.delete_storage(BlockerKind::backing_image); }) ==
          ErrorCode::busy);
    golden.create_snapshot("while clones exist");
    golden.delete_snapshot("while clones exist");

    Job copying;
    auto copy = other.create_volume_from(raw_volume("copy", 0), golden, {}, &copying);
    CHECK(copying.facts().at("method") == "sparse_copy");
    CHECK((content(copy) == whole));
    CHECK(copy.info().allocation == 8 * mib);
    CHECK(copy.definition().backing.empty());

    linked.delete_storage();
    far.delete_storage();
    golden.delete_storage();
    CHECK((content(copy) == whole));

    // To files and back.
    auto files = stage.scratch.running_pool(*stage.context, "files");
    auto file = files.create_volume_from(raw_volume("file", 0), copy);
    CHECK((content(file) == whole));
    CHECK(file.info().allocation < 16 * mib);
    CHECK(files.create_volume_from(raw_volume("a", 0, 12 * mib), copy).info().allocation >=
          12 * mib);
    for (const auto flag : {CreateFlags::prealloc_falloc, CreateFlags::prealloc_full}) {
        Job allocating;
        auto allocated = files.create_volume_from(raw_volume("b", 0, 0), copy, flag, &allocating);
        CHECK(allocated.info().allocation >= 16 * mib);
        CHECK((content(allocated) == whole));
        CHECK(allocating.trace().at(0).call ==
              std::vector<std::string>{"copy", copy.path(), allocated.path(), "&&", "fallocate",
                                       allocated.path(), "0", std::to_string(16 * mib), "&&",
                                       "linkat", allocated.path()});
        allocated.delete_storage();
    }
    CHECK(error_code([&] {
              files.create_volume_from(raw_volume("c", 0, 0), copy, CreateFlags::prealloc_metadata);
          }) == ErrorCode::not_supported);
    auto back = pool.create_volume_from(raw_volume("back", 0), file);
    CHECK((content(back) == whole));
    CHECK(back.info().allocation == 8 * mib);
    auto qcow2 = raw_volume("image", 0);
    qcow2.target.format = "qcow2";
    CHECK(error_code([&] { files.create_volume_from(qcow2, copy); }) == ErrorCode::not_supported);
    CHECK(error_code([&] {
              pool.create_volume_from(raw_volume("x", 0), file, CreateFlags::linked);
          }) == ErrorCode::not_supported);
}

RBD_CASE("a clone of a snapshot")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto other = stage.pool("other", "other");
    auto golden = pool.create_volume(raw_volume("golden", 8 * mib));
    golden.upload(source_of(pattern(3 * mib)));
    const auto before = content(golden);
    golden.create_snapshot("one");
    golden.create_snapshot("kept@home");
    golden.protect_snapshot("kept@home");
    golden.upload(source_of(pattern(3 * mib, 2)));
    golden.resize(16 * mib);
    const auto based_on = [](const std::string& name, const std::string& path) {
        auto def = raw_volume(name, 0);
        def.backing = {{.path = path, .format = "raw"}};
        return def;
    };
    auto near = pool.create_volume(based_on("near", "rbd/golden@one"));
    CHECK((content(near) == before));
    CHECK(near.definition().backing.at(0).path == "rbd/golden");
    auto far = other.create_volume(based_on("far", "rbd:rbd/golden@one"));
    CHECK((content(far) == before));
    // All other snapshots stay as they were, and none is added.
    auto names = [&] {
        std::string text;
        for (const auto& snapshot : golden.snapshots())
            text += snapshot.name + (snapshot.is_protected ? "! " : " ");
        return text;
    };
    CHECK(names() == "one kept@home! ");
    golden.delete_snapshot("one"); // the clones keep what they need
    CHECK(names() == "kept@home! ");
    CHECK((content(near) == before));
    CHECK((content(far) == before));

    CHECK(error_code([&] { pool.create_volume(based_on("x", "rbd/golden@none")); }) ==
          ErrorCode::not_found);
    CHECK(error_code([&] { pool.create_volume(based_on("x", "rbd/golden@")); }) ==
          ErrorCode::not_found);
    CHECK(error_code([&] { pool.create_volume(based_on("x", "rbd/none@one")); }) ==
          ErrorCode::not_found);
    CHECK((content(pool.create_volume(based_on("safe", "rbd/golden@kept@home"))) == before));
    golden.create_snapshot("two");
    auto small = based_on("x", "rbd/golden@two");
    small.capacity = 8 * mib;
    CHECK(error_code([&] { pool.create_volume(small); }) == ErrorCode::not_supported);
    small.capacity = 32 * mib;
    CHECK(pool.create_volume(small).info().capacity == 32 * mib);
}

RBD_CASE("a clone becomes independent")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto other = stage.pool("other", "other");
    auto golden = pool.create_volume(raw_volume("golden", 64 * mib));
    golden.upload(source_of(pattern(40 * mib)));
    const auto whole = content(golden);
    CHECK(error_code([&] { golden.flatten(); }) == ErrorCode::invalid_state);
    auto far = other.create_volume_from(raw_volume("far", 0), golden, CreateFlags::linked);
    const auto own = pattern(mib, 3);
    far.upload(source_of(own), {.offset = 5 * mib});
    far.create_snapshot("kept");
    const auto before = content(far);
    CHECK(error_code([&] { golden.delete_storage(); }) == ErrorCode::busy);

    Job dry;
    dry.set_dry_run(true);
    far.flatten(&dry);
    REQUIRE(dry.plan().size() == 1);
    CHECK(dry.plan()[0].call == std::vector<std::string>{"rbd_flatten", "other/far"});

    // Cut short, it is a clone still.
    Job hasty;
    hasty.set_progress_callback([&](const Progress& progress) {
        if (progress.phase == "flattening")
            hasty.cancel();
    });
    CHECK(error_code([&] { far.flatten(&hasty); }) == ErrorCode::cancelled);
    CHECK(far.definition().backing.size() == 1);
    CHECK((content(far) == before));

    Job job;
    std::uint64_t told = 0;
    job.set_progress_callback([&](const Progress& progress) { told = progress.total; });
    far.flatten(&job);
    CHECK(told == 16);
    CHECK(far.definition().backing.empty());
    CHECK((content(far) == before));
    CHECK(golden.dependents().empty());
    golden.delete_storage();
    CHECK((content(far) == before));
    far.revert_snapshot("kept");
    CHECK((content(far) == before));
    CHECK(error_code([&] { far.flatten(); }) == ErrorCode::invalid_state);
}

RBD_CASE("a clone of a snapshot that has '/' and '@' in its name")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 8 * mib));
    const auto data = pattern(mib);
    golden.upload(source_of(data));
    golden.create_snapshot("daily@1/2 of 3");
    golden.upload(source_of(pattern(mib, 2)));
    auto def = raw_volume("kid", 0);
    def.backing = {{.path = "rbd/golden@daily@1/2 of 3"}};
    CHECK((content(pool.create_volume(def), {.length = mib}) == data));
}

RBD_CASE("a volume goes back to a snapshot though it has clones")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 8 * mib));
    const auto first = pattern(mib);
    const auto second = pattern(mib, 2);
    golden.upload(source_of(first));
    golden.create_snapshot("first");
    golden.upload(source_of(second));
    auto kid = pool.create_volume_from(raw_volume("kid", 0), golden, CreateFlags::linked);
    golden.revert_snapshot("first");
    CHECK((content(golden, {.length = mib}) == first));
    CHECK((content(kid, {.length = mib}) == second));
}

RBD_CASE("progress is told on the thread of the call")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 32 * mib));
    golden.upload(source_of(pattern(32 * mib)));
    auto kid = pool.create_volume_from(raw_volume("kid", 0), golden, CreateFlags::linked);
    if (peer.fake)
        peer.fake->pause = std::chrono::milliseconds(40);
    Job job;
    std::atomic<int> elsewhere{0};
    std::set<std::string> midway;
    job.set_progress_callback([&, here = std::this_thread::get_id()](const Progress& progress) {
        if (std::this_thread::get_id() != here)
            ++elsewhere;
        else if (progress.done > 0 && progress.done < progress.total)
            midway.insert(progress.phase);
    });
    golden.resize(8 * mib, ResizeFlags::shrink, BlockerKind::backing_image, &job);
    CHECK(job.progress().phase == "resizing");
    CHECK(job.progress().done >= 7);
    CHECK(job.progress().total == 8);
    kid.flatten(&job);
    CHECK(job.progress().phase == "flattening");
    CHECK(job.progress().done >= 7);
    CHECK(job.progress().total == 8);
    CHECK(elsewhere == 0);
    if (peer.fake)
        CHECK(midway == std::set<std::string>{"resizing", "flattening"});
}

RBD_CASE("flattening loses nothing where the object map is wrong")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 12 * mib));
    golden.upload(source_of(pattern(9 * mib)));
    auto linked = pool.create_volume_from(raw_volume("a", 0), golden, CreateFlags::linked);
    linked.upload(source_of("x"), {.offset = 5 * mib});
    // As after a crash between the entry in the map and the write.
    if (peer.fake) {
        auto& image = *peer.fake->find("rbd", "a");
        REQUIRE(image.objects.erase(1) == 1);
        image.unwritten.insert(1);
    } else {
        REQUIRE(RbdPeer::control("rados -p rbd rm $($BASIN_CEPH_SCRIPT rbd info rbd/a | sed -n "
                                 "'s/.*block_name_prefix: //p').0000000000000001"));
    }
    REQUIRE((content(linked) == content(golden)));
    linked.flatten();
    CHECK(linked.definition().backing.empty());
    CHECK((content(linked) == content(golden)));
}

TEST_CASE("rbd, real: flattening loses nothing of an image with stripes", "[.][ceph]")
{
    const auto peer = RbdPeer::real();
    if (!peer) {
        WARN("skipped: no cluster: run this by tests/lab/clusters/ceph run");
        return;
    }
    RbdStage stage(peer);
    auto def = stage.definition();
    def.config_options = {{.name = "rbd_default_stripe_unit", .value = "65536"},
                          {.name = "rbd_default_stripe_count", .value = "4"}};
    auto pool = stage.context->define_pool(def);
    pool.start();
    auto golden = pool.create_volume(raw_volume("golden", 40 * mib));
    golden.upload(source_of(pattern(40 * mib)));
    auto linked = pool.create_volume_from(raw_volume("a", 0), golden, CreateFlags::linked);
    linked.upload(source_of("x"), {.offset = 64 << 10}); // of the second object
    linked.upload(source_of("x"), {.offset = 39 * mib}); // of the third set
    for (const auto* number : {"01", "08"})
        RbdPeer::control("rados -p rbd rm $($BASIN_CEPH_SCRIPT rbd info rbd/a | sed -n "
                         "'s/.*block_name_prefix: //p').00000000000000" +
                         std::string(number));
    const auto whole = pattern(40 * mib);
    REQUIRE((content(linked) == whole));
    linked.flatten();
    CHECK((content(linked) == whole));
}

TEST_CASE("rbd, simulated: a failed clone is told and undone", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto golden = stage.pool().create_volume(raw_volume("golden", 12 * mib));
    const auto failed = [&] {
        return error_code([&] {
            stage.context->find_pool("ceph").create_volume_from(raw_volume("new", 0), golden,
                                                                CreateFlags::linked);
        });
    };
    SECTION("also where it cannot be asked whether the pool is full")
    {
        peer.fake->fail("rbd_clone3", -ENOENT);
        peer.fake->fail("rados_mon_command", -EIO);
        CHECK(failed() == ErrorCode::not_found);
        CHECK(peer.fake->calls("rados_mon_command") > 0);
    }
    SECTION("by a journal that says nothing of a snapshot, as older ones do not")
    {
        peer.fake->fail("rbd_clone3", -EIO);
        peer.fake->fail("rbd_snap_remove2", -ETIMEDOUT, 1, 2);
        CHECK(failed() == ErrorCode::io);
        CHECK(peer.fake->find("rbd", "golden")->snapshots.size() == 1);
        int notes = 0;
        for (const auto& file :
             std::filesystem::directory_iterator(stage.scratch.directory / "root/var/journal")) {
            std::ifstream old(file.path());
            std::string text;
            for (std::string line; std::getline(old, line);)
                if (line.find(R"("key":"snapshot")") == line.npos)
                    text += line + '\n';
                else
                    ++notes;
            std::ofstream(file.path()) << text;
        }
        CHECK(notes > 0);
        peer.fake->heal();
        CHECK(stage.context->recover().size() == 1);
    }
    CHECK(peer.fake->find("rbd", "golden")->snapshots.empty());
    CHECK(peer.fake->image_count() == 1);
}

} // namespace
