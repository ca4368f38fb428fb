// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type rbd through the whole library: the same on a simulated and on a real cluster.
#include "canary.hpp"
#include "file_io.hpp"
#include "rbd_stage.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;

std::string pattern(std::size_t size, unsigned seed = 1)
{
    std::string text(size, '\0');
    for (auto& c : text)
        c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
    return text;
}

std::string content(const Volume& volume, const TransferOptions& options = {})
{
    std::string result;
    volume.download(DownloadTarget([&](std::span<const std::byte> data, std::uint64_t hole) {
                        result.append(reinterpret_cast<const char*>(data.data()), data.size());
                        result.append(static_cast<std::size_t>(hole), '\0');
                    }),
                    options);
    return result;
}

UploadSource source_of(const std::string& text)
{
    return UploadSource(
        [&text, at = std::size_t{0}](std::span<std::byte> buffer, std::uint64_t&) mutable {
            const auto size = std::min(buffer.size(), text.size() - at);
            std::copy_n(text.data() + at, size, reinterpret_cast<char*>(buffer.data()));
            at += size;
            return size;
        });
}

std::vector<std::string> names(const Pool& pool)
{
    return pool.volume_names();
}

RBD_CASE("the life of a volume")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    CHECK(pool.is_active());
    auto volume = pool.create_volume(raw_volume("a", 64 * mib));
    CHECK(volume.key() == "rbd/a");
    CHECK(volume.path() == "rbd/a");
    CHECK(names(pool) == std::vector<std::string>{"a"});
    CHECK(pool.volume_count() == 1);
    const auto def = volume.definition();
    CHECK(def.type == VolumeType::network);
    CHECK(def.capacity == 64 * mib);
    CHECK(def.allocation == 0);
    CHECK(def.target.format == "raw");
    CHECK(volume.info().capacity == 64 * mib);
    CHECK(stage.context->find_volume_by_path("rbd/a").name() == "a");
    CHECK(stage.context->find_volume_by_path("rbd:rbd/a").name() == "a");
    CHECK(stage.context->find_volume_by_key("rbd/a").name() == "a");
    CHECK(error_code([&] { stage.context->find_volume_by_path("/rbd/a"); }) ==
          ErrorCode::not_found);
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { pool.create_volume(raw_volume("b@c")); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { pool.create_volume(raw_volume("c"), CreateFlags::prealloc_full); }) ==
          ErrorCode::not_supported);

    volume.resize(128 * mib);
    CHECK(volume.info().capacity == 128 * mib);
    CHECK(error_code([&] { volume.resize(mib); }) == ErrorCode::invalid_argument);
    volume.resize(32 * mib, ResizeFlags::shrink);
    CHECK(volume.info().capacity == 32 * mib);

    const auto identity = volume.identity();
    auto other = pool.create_volume(raw_volume("other"));
    CHECK(error_code([&] { volume.rename("other"); }) == ErrorCode::already_exists);
    volume.rename("b");
    CHECK(volume.identity() == identity);
    CHECK(names(pool) == std::vector<std::string>{"b", "other"});
    volume.delete_storage();
    CHECK(error_code([&] { volume.info(); }) == ErrorCode::not_found);
    CHECK(names(pool) == std::vector<std::string>{"other"});
    pool.stop();
    CHECK_FALSE(pool.is_active());
}

RBD_CASE("content")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto data = pattern(9 * mib + 12345);
    auto volume = pool.create_volume(raw_volume("a", 32 * mib));
    CHECK(volume.upload(source_of(data)) == data.size());
    CHECK(content(volume) == data + std::string(32 * mib - data.size(), '\0'));
    CHECK(content(volume, {.sparse = true}) == content(volume));
    CHECK(content(volume, {.offset = 5 * mib, .length = 100}) == data.substr(5 * mib, 100));
    CHECK(volume.info().allocation == 12 * mib); // three objects

    volume.upload(source_of(std::string(3 * mib, '\0')), {.offset = mib, .sparse = true});
    auto expected = data;
    std::fill_n(expected.begin() + mib, 3 * mib, '\0');
    CHECK(content(volume, {.length = data.size()}) == expected);

    CHECK(error_code([&] { volume.upload(source_of(data), {.offset = 30 * mib}); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { content(volume, {.offset = 33 * mib}); }) ==
          ErrorCode::invalid_argument);
    Job job;
    volume.download(DownloadTarget([](auto, auto) {}), {.sparse = true, .digest = true}, &job);
    Job again;
    volume.download(DownloadTarget([](auto, auto) {}), {.digest = true}, &again);
    CHECK(job.facts() == again.facts());
    CHECK(job.facts().at("sha256").size() == 64);

    volume.wipe(WipeAlgorithm::dod);
    CHECK(content(volume, {.length = 100}) == std::string(100, '\xff'));
    volume.wipe(WipeAlgorithm::zero);
    CHECK(content(volume) == std::string(32 * mib, '\0'));
    volume.upload(source_of(data));
    volume.wipe(WipeAlgorithm::trim);
    CHECK(content(volume) == std::string(32 * mib, '\0'));
    CHECK(volume.info().allocation == 0);
}

RBD_CASE("an upload as a new volume, and files on both sides")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto data = pattern(5 * mib + 3);
    stage.scratch.directory.write("data", data);
    const auto in = open_file(stage.scratch.directory / "data", O_RDONLY);
    auto volume = pool.upload_volume(raw_volume("up", 0), UploadSource(in.get()), {.sparse = true});
    CHECK(volume.info().capacity == data.size());
    const auto out = open_file(stage.scratch.directory / "out", O_RDWR | O_CREAT, 0600);
    volume.download(DownloadTarget(out.get()), {.sparse = true});
    CHECK(*read_small_file(stage.scratch.directory / "out", 10 * mib) == data);
    // Nothing of one that is wrong stays.
    CHECK(error_code([&] { pool.upload_volume(raw_volume("bad", mib), source_of(data)); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] {
              pool.upload_volume(raw_volume("bad", 8 * mib), source_of(data),
                                 {.expected_sha256 = std::string(64, '0')});
          }) == ErrorCode::io);
    CHECK(names(pool) == std::vector<std::string>{"up"});
}

RBD_CASE("snapshots")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    const auto before = pattern(mib, 1);
    const auto after = pattern(mib, 2);
    volume.upload(source_of(before));
    CHECK(volume.create_snapshot("one").name == "one");
    CHECK(error_code([&] { volume.create_snapshot("one"); }) == ErrorCode::already_exists);
    volume.upload(source_of(after));
    volume.create_snapshot("two");
    const auto listed = volume.snapshots();
    REQUIRE(listed.size() == 2);
    CHECK(listed[0].name == "one");
    CHECK(listed[1].name == "two");
    CHECK(listed[0].size == 8 * mib);
    CHECK(listed[0].created.seconds > 1'500'000'000);
    volume.revert_snapshot("one");
    CHECK(content(volume, {.length = mib}) == before);
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    volume.delete_snapshot("two");
    CHECK(error_code([&] { volume.delete_snapshot("two"); }) == ErrorCode::not_found);
    volume.delete_storage(BlockerKind::snapshot);
    CHECK(names(pool).empty());
}

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
    CHECK(content(linked) == whole);
    CHECK(content(linked, {.sparse = true}) == whole);
    REQUIRE(linked.definition().backing.size() == 1);
    CHECK(linked.definition().backing[0].path == "rbd/golden");
    CHECK(golden.snapshots().empty()); // nothing of the way it was made is left to be seen
    CHECK(golden.dependents().size() == 1);

    auto far = other.create_volume_from(raw_volume("far", 20 * mib), golden, CreateFlags::linked);
    CHECK(far.info().capacity == 20 * mib);
    CHECK(content(far, {.length = 16 * mib}) == whole);
    CHECK(far.definition().backing[0].path == "rbd/golden");

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
    CHECK(content(copy) == whole);
    CHECK(copy.info().allocation == 8 * mib);
    CHECK(copy.definition().backing.empty());

    linked.delete_storage();
    far.delete_storage();
    golden.delete_storage();
    CHECK(content(copy) == whole);

    // To files and back.
    auto files = stage.scratch.running_pool(*stage.context, "files");
    auto file = files.create_volume_from(raw_volume("file", 0), copy);
    CHECK(content(file) == whole);
    CHECK(file.info().allocation < 16 * mib);
    auto back = pool.create_volume_from(raw_volume("back", 0), file);
    CHECK(content(back) == whole);
    CHECK(back.info().allocation == 8 * mib);
    auto qcow2 = raw_volume("image", 0);
    qcow2.target.format = "qcow2";
    CHECK(error_code([&] { files.create_volume_from(qcow2, copy); }) == ErrorCode::not_supported);
    CHECK(error_code([&] {
              pool.create_volume_from(raw_volume("x", 0), file, CreateFlags::linked);
          }) == ErrorCode::not_supported);
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
    CHECK(content(far) == before);

    Job job;
    std::uint64_t told = 0;
    job.set_progress_callback([&](const Progress& progress) { told = progress.total; });
    far.flatten(&job);
    CHECK(told == 16);
    CHECK(far.definition().backing.empty());
    CHECK(content(far) == before);
    CHECK(golden.dependents().empty());
    golden.delete_storage();
    CHECK(content(far) == before);
    far.revert_snapshot("kept");
    CHECK(content(far) == before);
    CHECK(error_code([&] { far.flatten(); }) == ErrorCode::invalid_state);
}

RBD_CASE("what other clients do is seen")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    for (const auto* name : {"a", "b", "c"})
        pool.create_volume(raw_volume(name, 8 * mib));
    pool.refresh();
    RbdStage elsewhere(peer);
    auto same = elsewhere.pool();
    same.find_volume("a").resize(16 * mib);
    same.find_volume("b").delete_storage();
    same.create_volume(raw_volume("b", 24 * mib)); // another one of that name
    same.find_volume("c").rename("d");
    pool.refresh();
    CHECK(names(pool) == std::vector<std::string>{"a", "b", "d"});
    CHECK(pool.find_volume("a").info().capacity == 16 * mib);
    CHECK(pool.find_volume("b").info().capacity == 24 * mib);
    CHECK(pool.volume_count() == 3);
    CHECK(pool.diagnostics().empty());
}

RBD_CASE("what is wrong with the definition")
{
    RbdStage stage(peer);
    const auto code = [&](const PoolDef& def) {
        Job job;
        job.set_timeout(std::chrono::seconds(2));
        return error_code([&] {
            auto pool = stage.context->define_pool(def);
            try {
                pool.start(BuildMode::none, &job);
            } catch (const Error&) {
                pool.undefine();
                throw;
            }
        });
    };
    CHECK(code(stage.definition("x", "no such pool")) == ErrorCode::not_found);
    auto def = stage.definition("x");
    def.source.hosts = {{.name = "127.0.0.1", .port = 1}};
    CHECK(code(def) == ErrorCode::timed_out);
    def = stage.definition("x");
    def.source.auth.reset();
    CHECK(code(def) == ErrorCode::permission_denied);
    def = stage.definition("x");
    def.source.auth->secret.uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd88";
    CHECK(code(def) == ErrorCode::not_found);
    def = stage.definition("x");
    def.config_options = {{.name = "no_such_option", .value = "1"}};
    CHECK(code(def) == ErrorCode::invalid_argument);
    stage.given_key = peer.fake ? "AQBhbm90aGVyIG9uZQ==" : RbdPeer::read("reader.key");
    CHECK(code(stage.definition("x")) == ErrorCode::permission_denied);
    stage.given_key = peer.key;
    CHECK(code(stage.definition("x")) == ErrorCode{});
}

std::string base64(const std::string& bytes)
{
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    std::uint32_t group = 0;
    int bits = 0;
    for (const unsigned char c : bytes) {
        group = group << 8 | c;
        for (bits += 8; bits >= 6; bits -= 6)
            text += digits[group >> (bits - 6) & 63];
    }
    if (bits > 0)
        text += digits[group << (6 - bits) & 63];
    return text + std::string((4 - text.size() % 4) % 4, '=');
}

RBD_CASE("the key is nowhere to be seen")
{
    RbdStage stage(peer);
    Canary canary;
    if (peer.fake) { // the real one's key cannot be chosen
        peer.fake->key = base64(canary.passphrase());
        stage.given_key = canary.passphrase();
    }
    std::string said;
    canary.watch([&] {
        auto pool = stage.pool();
        auto volume = pool.create_volume(raw_volume("a", 8 * mib));
        Job job;
        job.set_dry_run(true);
        volume.resize(16 * mib, {}, {}, &job);
        for (const auto& step : job.plan())
            said += to_json(step);
        said += pool.xml() + volume.xml();
        stage.given_key += "x";
        pool.stop();
        try {
            pool.start();
        } catch (const Error& error) {
            said += to_json(error);
        }
    });
    CHECK(canary.rounds() > 0);
    canary.look_into(stage.scratch.directory / "root");
    canary.look_at_text(said, "plan, XML or error");
    for (const auto& line : stage.scratch.log)
        canary.look_at_text(line, "log");
    CHECK(canary.sightings().empty());
    const auto key = peer.fake ? peer.fake->key : peer.key;
    CHECK(said.find(key) == said.npos);
    for (const auto& line : stage.scratch.log)
        CHECK(line.find(key) == line.npos);
}

RBD_CASE("a key as libvirt keeps it: the bytes that the text stands for")
{
    RbdStage stage(peer);
    if (peer.fake)
        peer.fake->key = "AQBiYXNpbg==";
    std::string bytes;
    std::uint32_t group = 0;
    int bits = 0;
    for (const char c : peer.fake ? peer.fake->key : peer.key) {
        const auto digit =
            std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
                .find(c);
        if (digit == std::string_view::npos)
            break;
        group = group << 6 | static_cast<std::uint32_t>(digit);
        if ((bits += 6) >= 8)
            bytes += static_cast<char>(group >> (bits -= 8) & 0xff);
    }
    stage.given_key = bytes;
    CHECK(stage.pool().is_active());
}

RBD_CASE("a forked child opens its own connection")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    const auto child = ::fork();
    if (child == 0) {
        bool right = false;
        try {
            right = pool.volume_names() == std::vector<std::string>{"a"};
        } catch (const Error&) {
        }
        ::_exit(right ? 0 : 1);
    }
    int status = 1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(names(pool) == std::vector<std::string>{"a"});
}

RBD_CASE("a creation that was killed leaves nothing")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto child = ::fork();
    if (child == 0) {
        try { // a context of its own: as another process would have
            RbdStage& copy = stage;
            copy.open();
            copy.context->find_pool("ceph").upload_volume(
                raw_volume("half", 64 * mib),
                UploadSource([n = 0](std::span<std::byte> buffer, std::uint64_t&) mutable {
                    if (++n == 9)
                        ::_exit(7); // without a word, as if killed
                    return buffer.size();
                }));
        } catch (const Error&) {
        }
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WEXITSTATUS(status) == 7);
    const auto recovered = stage.context->recover();
    REQUIRE(recovered.size() == 1);
    CHECK_FALSE(recovered[0].finished);
    CHECK(recovered[0].message == "undone");
    CHECK(names(pool).empty());
    if (peer.fake)
        CHECK(peer.fake->image_count() == 0);
    else
        CHECK(RbdPeer::control("rbd ls rbd | grep -q . && exit 1 || exit 0"));
    CHECK(pool.create_volume(raw_volume("half", mib)).name() == "half");
}

// ---- only where faults can be made -------------------------------------------------------------

TEST_CASE("rbd, simulated: what each answer of Ceph becomes", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    struct Answer {
        int code;
        ErrorCode expected;
    };
    for (const auto& [code, expected] : {Answer{-ENOENT, ErrorCode::not_found},
                                         {-EEXIST, ErrorCode::already_exists},
                                         {-EBUSY, ErrorCode::busy},
                                         {-EROFS, ErrorCode::busy},
                                         {-ENOTEMPTY, ErrorCode::busy},
                                         {-EPERM, ErrorCode::permission_denied},
                                         {-EACCES, ErrorCode::permission_denied},
                                         {-ENOSPC, ErrorCode::no_space},
                                         {-EDQUOT, ErrorCode::no_space},
                                         {-ETIMEDOUT, ErrorCode::timed_out},
                                         {-ENOTCONN, ErrorCode::connection},
                                         {-EOPNOTSUPP, ErrorCode::not_supported},
                                         {-ENOSYS, ErrorCode::not_supported},
                                         {-EINVAL, ErrorCode::invalid_argument},
                                         {-EIO, ErrorCode::io}}) {
        CAPTURE(code);
        static int number = 0;
        auto pool = stage.pool("p" + std::to_string(++number));
        peer.fake->fail("rbd_remove_with_progress", code);
        auto volume = pool.create_volume(raw_volume("a"));
        try {
            volume.delete_storage();
            FAIL("it was deleted");
        } catch (const Error& error) {
            CHECK(error.code() == expected);
            CHECK(error.os_error() == -code);
        }
        volume.delete_storage();
        pool.stop();
        pool.undefine();
    }
    for (const auto& [code, expected] : {Answer{-EACCES, ErrorCode::permission_denied},
                                         {-EOPNOTSUPP, ErrorCode::permission_denied},
                                         {-ETIMEDOUT, ErrorCode::timed_out},
                                         {-EINVAL, ErrorCode::invalid_argument},
                                         {-ECONNREFUSED, ErrorCode::connection}}) {
        CAPTURE(code);
        peer.fake->fail("rados_connect", code);
        CHECK(error_code([&] { stage.pool("q"); }) == expected);
        stage.context->find_pool("q").undefine();
    }
}

TEST_CASE("rbd, simulated: a creation that fails anywhere leaves nothing", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto golden = pool.create_volume(raw_volume("golden", 16 * mib));
    const auto data = pattern(6 * mib);
    golden.upload(source_of(data));
    int failed = 0;
    for (const auto* function :
         {"rbd_create4", "rbd_open", "rbd_open_read_only", "rbd_stat", "rbd_aio_write", "rbd_flush",
          "rbd_rename", "rbd_snap_create", "rbd_clone3", "rbd_snap_remove2", "rbd_resize2",
          "rbd_get_id", "rbd_diff_iterate2", "rados_ioctx_create"})
        for (int nth = 1; nth != 4; ++nth)
            for (const int kind : {0, 1, 2}) {
                CAPTURE(function, nth, kind);
                peer.fake->fail(function, -EIO, nth);
                const auto code = error_code([&] {
                    if (kind == 0)
                        pool.create_volume(raw_volume("new", mib));
                    else if (kind == 1)
                        pool.create_volume_from(raw_volume("new", 0), golden);
                    else
                        pool.create_volume_from(raw_volume("new", 20 * mib), golden,
                                                CreateFlags::linked);
                });
                peer.fake->heal();
                CHECK((code == ErrorCode{} || code == ErrorCode::io));
                failed += code == ErrorCode::io;
                CHECK(peer.fake->image_count() == (code == ErrorCode{} ? 2 : 1));
                if (code == ErrorCode{})
                    pool.find_volume("new").delete_storage();
                stage.context->recover();
                CHECK(golden.snapshots().empty());
                CHECK(peer.fake->find("rbd", "golden")->snapshots.empty());
            }
    CHECK(failed > 15);
}

TEST_CASE("rbd, simulated: half-made images go, whole ones of the name stay", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    peer.fake->add_half_made("rbd", "a");
    pool.refresh();
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(pool.diagnostics()[0].reason == DiagnosticReason::vanished);
    CHECK(pool.volume_count() == 0);
    // As a creation finds it that is undone: the name is taken, by what cannot be opened.
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::already_exists);
    CHECK(peer.fake->image_count() == 0);
    pool.create_volume(raw_volume("a", 2 * mib));
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::already_exists);
    CHECK(pool.find_volume("a").info().capacity == 2 * mib);
}

TEST_CASE("rbd, simulated: what did not change is not opened", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    for (int i = 0; i != 50; ++i)
        pool.create_volume(raw_volume("v" + std::to_string(i), 8 * mib));
    pool.refresh();
    peer.fake->forget_calls();
    pool.refresh();
    CHECK(peer.fake->calls("rbd_open_read_only") == 0);
    CHECK(peer.fake->calls("rbd_list2") == 1);
    CHECK(names(pool).size() == 50);
    CHECK(peer.fake->calls("rbd_open_read_only") == 0);
    peer.fake->find("rbd", "v7")->size = 16 * mib;
    ++peer.fake->find("rbd", "v7")->version;
    pool.refresh();
    CHECK(peer.fake->calls("rbd_open_read_only") == 1);
    // One that cannot be read does not keep the others from being listed.
    ++peer.fake->find("rbd", "v8")->version;
    peer.fake->fail("rbd_stat", -EIO);
    pool.refresh();
    CHECK(pool.volume_count() == 49);
    REQUIRE(pool.diagnostics().size() == 1);
    CHECK(pool.diagnostics()[0].name == "v8");
    CHECK(pool.diagnostics()[0].reason == DiagnosticReason::read_error);
}

TEST_CASE("rbd, simulated: one connection, given up when nothing answers", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto first = peer.fake->connections();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    volume.upload(source_of(pattern(mib)));
    pool.refresh();
    CHECK(peer.fake->connections() - first <= 1); // that of the start is closed with it
    const auto before = peer.fake->connections();
    peer.fake->fail("rbd_list2", -ETIMEDOUT);
    CHECK(error_code([&] { names(pool); }) == ErrorCode::timed_out);
    CHECK(pool.is_active());
    CHECK(names(pool).size() == 1); // heals by itself
    CHECK(peer.fake->connections() == before + 1);
    CHECK(std::find(peer.fake->options().begin(), peer.fake->options().end(),
                    "rados_osd_op_timeout=30") != peer.fake->options().end());
    Job job;
    job.set_timeout(std::chrono::seconds(3));
    pool.refresh(&job);
    CHECK(peer.fake->options().back() == "rados_osd_op_timeout=3");
}

TEST_CASE("rbd, simulated: numbers of the pool, and that there are none", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto info = pool.info();
    CHECK(info.allocation == 1000);
    CHECK(info.available == 3000);
    CHECK(info.capacity == 4000);
    peer.fake->quota = 1500;
    info = pool.info();
    CHECK(info.available == 500);
    CHECK(info.capacity == 1500);
    peer.fake->has_manager = false;
    info = pool.info();
    CHECK(info.capacity == 0);
    CHECK(info.details.at("sizes").starts_with("unknown"));
}

TEST_CASE("rbd, simulated: monitors and options as the definition has them", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto def = stage.definition();
    def.source.hosts = {{.name = "fd00::1", .port = 3300}, {.name = "fake.example"}};
    def.config_options = {{.name = "rbd_default_features", .value = "1"},
                          {.name = "client_mount_timeout", .value = "4"}};
    def.source.name = "rbd/space";
    auto pool = stage.context->define_pool(def);
    pool.start();
    const auto& options = peer.fake->options();
    const auto has = [&](const std::string& option) {
        return std::find(options.begin(), options.end(), option) != options.end();
    };
    CHECK(has("mon_host=[fd00::1]:3300,fake.example"));
    CHECK(has("rbd_default_features=1"));
    CHECK(has("client_mount_timeout=4"));
    CHECK(has("auth_client_required=cephx"));
    CHECK(peer.fake->calls("rados_conf_read_file") == 0);
    auto volume = pool.create_volume(raw_volume("a"));
    CHECK(volume.path() == "rbd/space/a");
    CHECK(peer.fake->find("rbd", "a", "space"));
    auto linked = pool.create_volume_from(raw_volume("b", 0), volume, CreateFlags::linked);
    CHECK(linked.definition().backing[0].path == "rbd/space/a");
    CHECK(stage.requests.front().usage == SecretUsage::ceph);
}

} // namespace
