// SPDX-License-Identifier: LGPL-2.1-or-later
// What only a real Ceph cluster shows: daemons that do not answer, rights, addresses; and that what
// basin declares of librados and librbd is what their headers say.
#include "rbd_stage.hpp"

#include <chrono>
#include <thread>

#if BASIN_TEST_CEPH_HEADERS
#include <rados/librados.h>
#include <rbd/librbd.h>
#endif

using namespace storage;

namespace {

/** A daemon that stands still, as long as it lives. */
class Paused {
public:
    explicit Paused(std::string daemon) : daemon_(std::move(daemon))
    {
        REQUIRE(RbdPeer::control("pause " + daemon_));
    }
    ~Paused() { RbdPeer::control("resume " + daemon_); }
    Paused(const Paused&) = delete;
    Paused& operator=(const Paused&) = delete;

private:
    std::string daemon_;
};

/** Tries until it works: what stood still needs a moment. */
bool heals(const std::function<void()>& call)
{
    for (int attempt = 0; attempt != 30; ++attempt) {
        if (error_code(call) == ErrorCode{})
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return false;
}

TEST_CASE("rbd, real: an OSD that stands still costs a call its deadline", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    auto files = stage.scratch.running_pool(*stage.context, "files");
    CHECK(pool.volume_count() == 1);
    {
        const Paused osd("osd");
        Job job;
        job.set_timeout(std::chrono::seconds(2));
        const auto error = error_of([&] { pool.refresh(&job); });
        CHECK(error.code() == ErrorCode::timed_out);
        CHECK(std::string(error.what()).find(peer.monitors[0].name) != std::string::npos);
        CHECK(error.retryable());
        // Others are not kept waiting, and the pool is still known to be started.
        CHECK(files.create_volume(raw_volume("f")).name() == "f");
        CHECK(stage.context->find_volume_by_path(files.find_volume("f").path()).name() == "f");
        CHECK(pool.is_active());
        CHECK(pool.volume_entries().size() == 1); // the list of the last look
        job.set_timeout(std::chrono::seconds(2));
        CHECK(error_of([&] { volume.resize(16 * mib, {}, {}, &job); }).code() ==
              ErrorCode::timed_out);
    }
    CHECK(heals([&] { pool.refresh(); }));
    CHECK(heals([&] { volume.resize(16 * mib); }));
    stage.context->recover();
    CHECK(volume.info().capacity == 16 * mib);
}

TEST_CASE("rbd, real: a monitor that stands still", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    stage.open(); // as a program that is started now
    pool = stage.context->find_pool("ceph");
    {
        const Paused monitor("mon");
        Job job;
        job.set_timeout(std::chrono::seconds(2));
        const auto error = error_of([&] { pool.refresh(&job); });
        CHECK(error.code() == ErrorCode::timed_out);
        CHECK(std::string(error.what()).find("monitor " + peer.monitors[0].name) !=
              std::string::npos);
        CHECK(pool.is_active()); // which asks nobody
        CHECK(stage.context->pools({.active = true}).size() == 1);
    }
    CHECK(heals([&] { pool.refresh(); }));
    CHECK(pool.volume_entries().size() == 1);
}

TEST_CASE("rbd, real: the first of the monitors is dead", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto def = stage.definition();
    def.source.hosts.insert(def.source.hosts.begin(), {.name = "127.0.0.1", .port = 1});
    auto pool = stage.context->define_pool(def);
    pool.start();
    CHECK(pool.is_active());
    if (peer.monitors[0].port == 3300) { // those that libvirt's users write down
        for (const auto port : {std::optional<std::int32_t>(), std::optional<std::int32_t>(6789)}) {
            auto other = stage.definition("other", "other");
            other.source.hosts[0].port = port;
            auto second = stage.context->define_pool(other);
            second.start();
            CHECK(second.volume_names().empty());
            second.stop();
            second.undefine();
        }
    }
}

TEST_CASE("rbd, real: users with fewer rights", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage owner(peer);
    owner.pool().create_volume(raw_volume("a", 8 * mib));
    for (const std::string user : {"reader", "stranger"}) {
        CAPTURE(user);
        const auto limited = RbdPeer::real(user);
        RbdStage stage(limited);
        auto def = stage.definition();
        def.source.auth->username = user;
        auto pool = stage.context->define_pool(def);
        pool.start();
        CHECK(error_code([&] { pool.create_volume(raw_volume("b", mib)); }) ==
              ErrorCode::permission_denied);
        if (user == "reader")
            CHECK(pool.volume_entries().size() == 1);
        else
            CHECK(error_code([&] { pool.refresh(); }) == ErrorCode::permission_denied);
    }
}

TEST_CASE("rbd, real: a namespace of a pool", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    REQUIRE(RbdPeer::control("rbd namespace create rbd/space"));
    {
        RbdStage stage(peer);
        auto outside = stage.pool();
        auto inside = stage.pool("space", "rbd/space");
        auto golden = outside.create_volume(raw_volume("golden", 8 * mib));
        auto volume = inside.create_volume(raw_volume("a", 8 * mib));
        CHECK(volume.path() == "rbd/space/a");
        CHECK(outside.volume_names() == std::vector<std::string>{"golden"});
        auto near = inside.create_volume_from(raw_volume("near", 0), volume, CreateFlags::linked);
        CHECK(near.definition().backing[0].path == "rbd/space/a");
        auto far = outside.create_volume_from(raw_volume("far", 0), volume, CreateFlags::linked);
        CHECK(far.definition().backing[0].path == "rbd/space/a");
    }
    CHECK(RbdPeer::control("rbd namespace remove rbd/space"));
}

TEST_CASE("rbd, real: the pool's numbers, and its quota", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto info = pool.info();
    CHECK(info.available > 1000 * mib);
    CHECK(info.capacity == info.allocation + info.available);
    REQUIRE(RbdPeer::control("ceph osd pool set-quota rbd max_bytes 104857600"));
    CHECK(pool.info().available <= 100 * mib);
    CHECK(RbdPeer::control("ceph osd pool set-quota rbd max_bytes 0"));
}

TEST_CASE("rbd, real: who has it open is in the way", "[.][ceph]")
{
    REAL_CLUSTER(peer)
    RbdStage stage(peer);
    auto pool = stage.pool();
    auto volume = pool.create_volume(raw_volume("a", 64 * mib));
    bool refused = false;
    volume.upload(UploadSource([&, n = 0](std::span<std::byte> buffer, std::uint64_t&) mutable {
        if (++n == 1) {
            RbdStage elsewhere(peer);
            auto same = elsewhere.pool().find_volume("a");
            const auto blockers = same.blockers();
            refused = !blockers.empty() && blockers[0].kind == BlockerKind::open &&
                      error_code([&] { same.delete_storage(); }) == ErrorCode::busy;
            elsewhere.context.reset(); // leave the volume where it is
        }
        return n == 3 ? 0 : buffer.size();
    }));
    CHECK(refused);
    CHECK(volume.blockers().empty());
}

TEST_CASE("rbd, real: a monitor by its IPv6 address", "[.][ceph6]")
{
    REAL_CLUSTER(peer)
    REQUIRE(peer.monitors[0].name == "::1"); // CEPH_ADDRESS=::1 tests/lab/clusters/ceph run
    RbdStage stage(peer);
    auto pool = stage.context->define_pool(parse_pool(
        "<pool type='rbd'><name>ceph</name><source><name>rbd</name><host name='::1' port='" +
        std::to_string(peer.monitors[0].port.value()) +
        "'/><auth type='ceph' username='virt'><secret uuid='" + rbd_secret_uuid +
        "'/></auth></source></pool>"));
    pool.start();
    const auto data = pattern(5 * mib);
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    volume.upload(source_of(data));
    CHECK((content(volume, {.length = data.size()}) == data));
    CHECK(pool.definition().source.hosts[0].name == "::1");
    stage.open();
    CHECK(stage.context->find_pool("ceph").volume_names() == std::vector<std::string>{"a"});
}

#if BASIN_TEST_CEPH_HEADERS
template <typename>
struct Signature;
template <typename Result, typename... Arguments>
struct Signature<Result (*)(Arguments...)> {
    static std::vector<std::size_t> sizes()
    {
        if constexpr (std::is_void_v<Result>)
            return {0, sizeof(Arguments)...};
        else
            return {sizeof(Result), sizeof(Arguments)...};
    }
    static std::vector<bool> pointers()
    {
        return {std::is_pointer_v<Result>, std::is_pointer_v<Arguments>...};
    }
};

TEST_CASE("rbd: what is declared is what Ceph's headers say", "[rbd]")
{
#define BASIN_COMPARE(result, name, arguments)                                                     \
    {                                                                                              \
        INFO(#name);                                                                               \
        using Ours = Signature<decltype(RbdLibrary::name)>;                                        \
        using Theirs = Signature<decltype(&::name)>;                                               \
        CHECK(Ours::sizes() == Theirs::sizes());                                                   \
        CHECK(Ours::pointers() == Theirs::pointers());                                             \
    }
    BASIN_RADOS_FUNCTIONS(BASIN_COMPARE)
    BASIN_RBD_FUNCTIONS(BASIN_COMPARE)
    BASIN_RADOS_NEWER_FUNCTIONS(BASIN_COMPARE)
#define BASIN_SAME(ours, theirs, member)                                                           \
    CHECK(offsetof(ours, member) == offsetof(theirs, member));                                     \
    CHECK(sizeof(ours::member) == sizeof(theirs::member))
    CHECK(sizeof(RbdImageSpec) == sizeof(rbd_image_spec_t));
    BASIN_SAME(RbdImageSpec, rbd_image_spec_t, name);
    CHECK(sizeof(RbdLinkedImage) == sizeof(rbd_linked_image_spec_t));
    BASIN_SAME(RbdLinkedImage, rbd_linked_image_spec_t, pool_name);
    BASIN_SAME(RbdLinkedImage, rbd_linked_image_spec_t, pool_namespace);
    BASIN_SAME(RbdLinkedImage, rbd_linked_image_spec_t, image_name);
    BASIN_SAME(RbdLinkedImage, rbd_linked_image_spec_t, trash);
    CHECK(sizeof(RbdSnapSpec) == sizeof(rbd_snap_spec_t));
    BASIN_SAME(RbdSnapSpec, rbd_snap_spec_t, name);
    CHECK(sizeof(RbdSnapInfo) == sizeof(rbd_snap_info_t));
    BASIN_SAME(RbdSnapInfo, rbd_snap_info_t, size);
    BASIN_SAME(RbdSnapInfo, rbd_snap_info_t, name);
    CHECK(sizeof(RbdImageInfo) == sizeof(rbd_image_info_t));
    BASIN_SAME(RbdImageInfo, rbd_image_info_t, obj_size);
    BASIN_SAME(RbdImageInfo, rbd_image_info_t, num_objs);
    CHECK(sizeof(RbdWatcher) == sizeof(rbd_image_watcher_t));
    BASIN_SAME(RbdWatcher, rbd_image_watcher_t, id);
    BASIN_SAME(RbdWatcher, rbd_image_watcher_t, cookie);
    CHECK(rbd_option_clone_format == RBD_IMAGE_OPTION_CLONE_FORMAT);
    CHECK(rbd_feature_layering == RBD_FEATURE_LAYERING);
    CHECK(rbd_feature_fast_diff == RBD_FEATURE_FAST_DIFF);
    CHECK(rbd_flag_object_map_invalid == RBD_FLAG_OBJECT_MAP_INVALID);
    CHECK(rbd_flag_fast_diff_invalid == RBD_FLAG_FAST_DIFF_INVALID);
    CHECK(rbd_user_snapshot == RBD_SNAP_NAMESPACE_TYPE_USER);
#ifdef LIBRBD_SUPPORTS_ENCRYPTION
    BASIN_RBD_NEWER_FUNCTIONS(BASIN_COMPARE)
    CHECK(sizeof(RbdLuksOptions) == sizeof(rbd_encryption_luks2_format_options_t));
    CHECK(sizeof(RbdLuksOptions) == sizeof(rbd_encryption_luks1_format_options_t));
    BASIN_SAME(RbdLuksOptions, rbd_encryption_luks2_format_options_t, passphrase_size);
    CHECK(rbd_format_luks1 == RBD_ENCRYPTION_FORMAT_LUKS1);
    CHECK(rbd_format_luks2 == RBD_ENCRYPTION_FORMAT_LUKS2);
    CHECK(rbd_algorithm_aes128 == RBD_ENCRYPTION_ALGORITHM_AES128);
    CHECK(rbd_algorithm_aes256 == RBD_ENCRYPTION_ALGORITHM_AES256);
#endif
    CHECK(rbd_library().rbd_list2 != nullptr); // and is in the libraries
}
#endif

} // namespace
