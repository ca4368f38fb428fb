// SPDX-License-Identifier: LGPL-2.1-or-later
// The same cases over every registered pool type: what BackendInfo says and what happens agree.
#include "fixture.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace storage;

namespace {

bool has_format(std::span<const std::string_view> formats, std::string_view format)
{
    return std::find(formats.begin(), formats.end(), format) != formats.end();
}

} // namespace

TEST_CASE("the registry lists the fourteen types of libvirt, each described", "[conformance]")
{
    std::vector<std::string_view> types;
    for (const auto& info : backends()) {
        INFO(info.type);
        types.push_back(info.type);
        CHECK_FALSE(info.summary.empty());
        CHECK(info.available == info.unavailable_reason.empty());
        CHECK((info.available || info.capabilities == Capabilities{}));
        REQUIRE(find_backend(info.type));
        CHECK(find_backend(info.type)->type == info.type);
        for (const auto format : info.creatable_formats)
            CHECK(has_format(info.volume_formats, format));
        CHECK((info.target_path == TargetPath::fixed) == !info.target_prefix.empty());
    }
    CHECK(types == std::vector<std::string_view>{"dir", "fs", "netfs", "logical", "disk", "iscsi",
                                                 "iscsi-direct", "scsi", "mpath", "rbd", "sheepdog",
                                                 "gluster", "zfs", "vstorage"});
    CHECK(find_backend("nonsense") == nullptr);
}

TEST_CASE("a pool of every type is defined, kept on disk, shown and undefined", "[conformance]")
{
    Scratch scratch;
    for (const auto& info : backends()) {
        INFO(info.type);
        const auto xml = example_definition(info.type, scratch);
        std::string uuid;
        {
            Context context(scratch.options());
            uuid = context.define_pool(parse_pool(xml)).uuid();
        }
        Context context(scratch.options());
        auto pool = context.find_pool_by_uuid(uuid);
        CHECK(pool.type() == info.type);
        CHECK(parse_pool(pool.xml()) == pool.definition());
        CHECK(pool_from_json(to_json(pool.definition())) == pool.definition());
        CHECK_FALSE(pool.is_active());
        if (!info.available) {
            std::string why;
            try {
                pool.start();
            } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::not_supported);
                why = error.what();
            }
            CHECK(why.find(info.unavailable_reason) != std::string::npos);
            CHECK(error_code([&] { pool.build(); }) == ErrorCode::not_supported);
            CHECK(error_code([&] { pool.delete_storage(); }) == ErrorCode::not_supported);
        }
        pool.undefine();
        CHECK(context.pools().empty());
    }
}

namespace {

/** A definition that the type takes: one that names its volumes itself is given no name. */
VolumeDef volume_for(const BackendInfo& info, const std::string& name)
{
    return raw_volume(info.names_volumes ? std::string() : name);
}

/** Whether any volume can be made in that format; for some there must be others first. */
void check_formats(Pool& pool, const BackendInfo& info)
{
    for (const auto format : info.volume_formats) {
        INFO(format);
        auto def = volume_for(info, "formatted");
        def.target.format = format;
        const auto code = error_code([&] { pool.create_volume(def).delete_storage(); });
        CHECK((code == ErrorCode::not_supported) == !has_format(info.creatable_formats, format));
    }
}

void check_announcements(const BackendInfo& info)
{
    INFO(info.type);
    Scratch scratch;
    const Ground ground(info.type, scratch);
    if (!ground.missing().empty()) {
        WARN("skipped: " + ground.missing());
        return;
    }
    auto options = scratch.options();
    options.helper_directory = BASIN_TEST_HELPERS;
    Context context(options);
    const auto can = [&](Capability capability) { return info.capabilities.has(capability); };
    const auto agrees = [&](Capability capability, auto&& call) {
        INFO(to_string(capability));
        const auto code = error_code(call);
        CHECK((code == ErrorCode::not_supported) == !can(capability));
        CHECK(code != ErrorCode::internal);
    };
    auto pool = context.define_pool(parse_pool(ground.definition()));
    agrees(Capability::build_pool, [&] { pool.build(); });
    agrees(Capability::overwrite_pool, [&] { pool.build(BuildMode::no_overwrite); });
    pool.start();
    CHECK(pool.is_active());
    agrees(Capability::names_only, [&] { static_cast<void>(pool.volume_names()); });
    std::string name;
    agrees(Capability::create_volume,
           [&] { name = pool.create_volume(volume_for(info, "a")).name(); });
    if (can(Capability::create_volume)) {
        REQUIRE_FALSE(name.empty());
        CHECK((name == "a" || info.names_volumes));
        auto volume = pool.find_volume(name);
        CHECK(volume.info().type == info.volume_type);
        CHECK(volume.info().capacity >= 1 << 20);
        CHECK(volume.definition().name == name);
        CHECK(volume.definition().key == volume.key());
        CHECK_FALSE(volume.identity().empty());
        CHECK(context.find_volume_by_key(volume.key()).name() == name);
        CHECK(context.find_volume_by_path(volume.path()).name() == name);
        CHECK(error_code([&] { pool.create_volume(raw_volume(name)); }) ==
              ErrorCode::already_exists);
        if (can(Capability::thin_volume))
            CHECK(volume.info().allocation < volume.info().capacity);
        agrees(Capability::grow_volume, [&] { volume.resize(2 << 20); });
        agrees(Capability::shrink_volume, [&] { volume.resize(1 << 20, ResizeFlags::shrink); });
        agrees(Capability::snapshots, [&] { static_cast<void>(volume.snapshots()); });
        agrees(Capability::wipe_volume, [&] { volume.wipe(); });
        agrees(Capability::create_from,
               [&] { pool.create_volume_from(volume_for(info, "copy"), volume); });
        agrees(Capability::rename_volume, [&] { volume.rename("renamed"); });
        agrees(Capability::delete_volume, [&] { pool.find_volume(name).delete_storage(); });
        check_formats(pool, info);
    }
    CHECK(error_code([&] { static_cast<void>(pool.find_volume("none")); }) == ErrorCode::not_found);
    CHECK(error_code([&] { pool.start(); }) == ErrorCode::invalid_state);
    pool.stop();
    CHECK(error_code([&] { pool.stop(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { pool.refresh(); }) == ErrorCode::invalid_state);
    CHECK(error_code([&] { static_cast<void>(pool.volumes()); }) == ErrorCode::invalid_state);
    agrees(Capability::delete_pool, [&] { pool.delete_storage(); });
    pool.undefine();
}

void check_plans(const BackendInfo& info)
{
    INFO(info.type);
    Scratch scratch;
    const Ground ground(info.type, scratch);
    if (!ground.missing().empty()) {
        WARN("skipped: " + ground.missing());
        return;
    }
    auto options = scratch.options();
    options.helper_directory = BASIN_TEST_HELPERS;
    Context context(options);
    Job dry;
    dry.set_dry_run(true);
    Job real;
    const auto same = [&](auto&& call) {
        call(dry);
        const auto planned = dry.plan();
        call(real);
        CHECK_FALSE(planned.empty());
        CHECK(real.plan() == planned);
        CHECK(real.trace() == planned);
        CHECK(dry.trace().empty());
    };
    const auto def = context.define_pool(parse_pool(ground.definition())).definition();
    auto pool = context.find_pool(def.name);
    same([&](Job& job) { context.define_pool(def, &job); });
    same([&](Job& job) { pool.build(BuildMode::keep, &job); });
    same([&](Job& job) { pool.set_autostart(true, &job); });
    same([&](Job& job) { pool.start(BuildMode::none, &job); });
    std::string name;
    if (info.capabilities.has(Capability::create_volume))
        same([&](Job& job) {
            name = pool.create_volume(volume_for(info, "a"), CreateFlags::none, &job).name();
        });
    if (info.capabilities.has(Capability::delete_volume))
        same([&](Job& job) { pool.find_volume(name).delete_storage(BlockerKind::none, &job); });
    same([&](Job& job) { pool.stop(&job); });
    if (info.capabilities.has(Capability::delete_pool))
        same([&](Job& job) { pool.delete_storage(&job); });
    same([&](Job& job) { pool.undefine(&job); });
}

/** A case for each type, because some can be tried on some machines only. */
void check_type(std::string_view type, void (*check)(const BackendInfo&))
{
    const auto* info = find_backend(type);
    REQUIRE(info);
    if (info->available)
        check(*info);
    else
        WARN("skipped: " + std::string(info->unavailable_reason));
}

} // namespace

TEST_CASE("a dir pool does what it announces and refuses the rest", "[conformance]")
{
    check_type("dir", check_announcements);
}
TEST_CASE("a disk pool does what it announces and refuses the rest", "[conformance]")
{
    check_type("disk", check_announcements);
}

TEST_CASE("every change of a dir pool announces its steps before it does them", "[conformance]")
{
    check_type("dir", check_plans);
}
TEST_CASE("every change of a disk pool announces its steps before it does them", "[conformance]")
{
    check_type("disk", check_plans);
}
