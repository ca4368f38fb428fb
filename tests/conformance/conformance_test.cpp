// SPDX-License-Identifier: LGPL-2.1-or-later
// The same cases over every registered pool type: what BackendInfo says and what happens agree.
#include "fixture.hpp"
#include "lab.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <regex>
#include <unistd.h>

using namespace storage;

namespace {

/** Calls `body(info, scratch, xml)` for each type that can be used on this machine; those that need
 * the lab have cases of their own there. */
template <typename Body>
void for_each_working_type(Body&& body)
{
    for (const auto& info : backends()) {
        if (!info.available || needs_lab(info.type) != in_lab())
            continue;
        INFO(info.type);
        Scratch scratch;
        std::shared_ptr<void> source;
        std::string why_not;
        const auto xml = working_definition(info.type, scratch, source, why_not);
        if (why_not.empty())
            body(info, scratch, xml);
        else
            WARN("skipped: " << info.type << ": " << why_not);
    }
}

/** A definition that the type takes: one that names volumes itself is given no name. */
VolumeDef volume_for(const BackendInfo& info, const std::string& name)
{
    auto def = raw_volume(info.names_volumes ? std::string() : name);
    if (info.volume_type == VolumeType::block)
        def.allocation.reset(); // all of it
    return def;
}

/** Steps without what is drawn anew for each change: tags and uuids for LVM. */
std::vector<StepRecord> settled(std::vector<StepRecord> steps)
{
    static const std::regex random("basin[_.-][0-9a-f]{16}|[A-Za-z0-9]{6}(-[A-Za-z0-9]{4}){5}-"
                                   "[A-Za-z0-9]{6}");
    for (auto& step : steps)
        for (auto& word : step.call)
            word = std::regex_replace(word, random, "RANDOM");
    return steps;
}

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

void check_what_is_announced()
{
    for_each_working_type([](const BackendInfo& info, Scratch& scratch, const std::string& xml) {
        Context context(scratch.options());
        const auto can = [&](Capability capability) { return info.capabilities.has(capability); };
        const auto agrees = [&](Capability capability, auto&& call) {
            INFO(to_string(capability));
            const auto code = error_code(call);
            CHECK((code == ErrorCode::not_supported) == !can(capability));
            CHECK(code != ErrorCode::internal);
        };
        auto pool = context.define_pool(parse_pool(xml));
        agrees(Capability::build_pool, [&] { pool.build(); });
        agrees(Capability::overwrite_pool, [&] { pool.build(BuildMode::no_overwrite); });
        pool.start();
        CHECK(pool.is_active());
        agrees(Capability::names_only, [&] { static_cast<void>(pool.volume_names()); });
        std::string name;
        agrees(Capability::create_volume,
               [&] { name = pool.create_volume(volume_for(info, "a")).name(); });
        if (can(Capability::create_volume)) {
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
            if (can(Capability::thin_volume) && info.volume_type != VolumeType::block)
                CHECK(volume.info().allocation < volume.info().capacity);
            agrees(Capability::grow_volume, [&] { volume.resize(2 << 20); });
            agrees(Capability::shrink_volume, [&] { volume.resize(1 << 20, ResizeFlags::shrink); });
            agrees(Capability::snapshots, [&] { static_cast<void>(volume.snapshots()); });
            // Neither based on anything nor with a snapshot: refused for another reason.
            agrees(Capability::flatten_volume, [&] { volume.flatten(); });
            agrees(Capability::protect_snapshots, [&] { volume.protect_snapshot("none"); });
            agrees(Capability::metadata, [&] {
                volume.set_metadata("key", "value");
                CHECK(volume.metadata().at("key") == "value");
            });
            agrees(Capability::wipe_volume, [&] { volume.wipe(); });
            agrees(Capability::create_from, [&] {
                // A server's pool outlives the case.
                pool.create_volume_from(volume_for(info, "copy"), volume).delete_storage();
            });
            agrees(Capability::rename_volume, [&] { volume.rename("renamed"); });
            agrees(Capability::delete_volume, [&] { pool.find_volume(name).delete_storage(); });
            for (const auto format : info.volume_formats) {
                INFO(format);
                auto def = volume_for(info, "formatted");
                def.target.format = format;
                const auto code = error_code([&] { pool.create_volume(def).delete_storage(); });
                CHECK((code == ErrorCode::not_supported) ==
                      !has_format(info.creatable_formats, format));
            }
        }
        CHECK(error_code([&] { static_cast<void>(pool.find_volume("none")); }) ==
              ErrorCode::not_found);
        CHECK(error_code([&] { pool.start(); }) == ErrorCode::invalid_state);
        pool.stop();
        CHECK(error_code([&] { pool.stop(); }) == ErrorCode::invalid_state);
        CHECK(error_code([&] { pool.refresh(); }) == ErrorCode::invalid_state);
        CHECK(error_code([&] { static_cast<void>(pool.volumes()); }) == ErrorCode::invalid_state);
        agrees(Capability::delete_pool, [&] { pool.delete_storage(); });
        pool.undefine();
    });
}

/** Calls a changing call twice, dry and for real: what is announced is what is done. */
class PlanCheck {
public:
    PlanCheck() { dry_.set_dry_run(true); }

    template <typename Call>
    void operator()(const char* what, Call&& call)
    {
        INFO(what);
        call(dry_);
        const auto planned = settled(dry_.plan());
        call(real_);
        CHECK_FALSE(planned.empty());
        CHECK(settled(real_.plan()) == planned);
        CHECK(settled(real_.trace()) == planned);
        CHECK(dry_.trace().empty());
        for (const auto& step : planned)
            CHECK_FALSE((step.summary.empty() || step.call.empty()));
    }

private:
    Job dry_{};
    Job real_{};
};

void check_plans_of_snapshots(const BackendInfo& info, Pool pool, PlanCheck& same)
{
    auto def = volume_for(info, "kept");
    if (has_format(info.creatable_formats, "qcow2"))
        def.target.format = "qcow2";
    auto volume = pool.create_volume(def);
    same("create_snapshot", [&](Job& job) { volume.create_snapshot("s", &job); });
    same("revert_snapshot", [&](Job& job) { volume.revert_snapshot("s", &job); });
    if (info.capabilities.has(Capability::protect_snapshots)) {
        same("protect_snapshot", [&](Job& job) { volume.protect_snapshot("s", true, &job); });
        same("unprotect", [&](Job& job) { volume.protect_snapshot("s", false, &job); });
    }
    same("delete_snapshot", [&](Job& job) { volume.delete_snapshot("s", &job); });
    volume.delete_storage();
}

/** @param volume  is left as it is found but for its content */
void check_plans_of_a_volume(const BackendInfo& info, Pool pool, Volume volume,
                             const std::string& file, PlanCheck& same)
{
    const auto can = [&](Capability capability) { return info.capabilities.has(capability); };
    const auto capacity = volume.info().capacity;
    const auto none = BlockerKind::none;
    if (can(Capability::grow_volume))
        same("grow", [&](Job& job) { volume.resize(2 * capacity, ResizeFlags::none, none, &job); });
    if (can(Capability::shrink_volume)) {
        same("shrink", [&](Job& job) { volume.resize(capacity, ResizeFlags::shrink, none, &job); });
        if (info.volume_type == VolumeType::file) {
            same("grow and allocate",
                 [&](Job& job) { volume.resize(2 * capacity, ResizeFlags::allocate, none, &job); });
            volume.resize(capacity, ResizeFlags::shrink);
        }
    }
    if (can(Capability::wipe_volume))
        same("wipe", [&](Job& job) { volume.wipe(WipeAlgorithm::zero, none, &job); });
    if (can(Capability::upload)) {
        const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        same("upload", [&](Job& job) {
            ::lseek(fd, 0, SEEK_SET);
            volume.upload(fd, {}, &job);
        });
        std::string name;
        same("upload_volume", [&](Job& job) {
            ::lseek(fd, 0, SEEK_SET);
            name = pool.upload_volume(volume_for(info, "sent"), fd, {}, &job).name();
        });
        pool.find_volume(name).delete_storage();
        ::lseek(fd, 0, SEEK_SET);
        const auto code = error_code([&] {
            pool.upload_volume(volume_for(info, "part"), fd,
                               {.expected_length = 1 << 20, .resumable = true});
        });
        ::close(fd);
        CHECK((code == ErrorCode::io || info.volume_type != VolumeType::file));
        if (code == ErrorCode::io) {
            same("discard_upload", [&](Job& job) { pool.discard_upload("part", &job); });
            const int whole = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
            same("upload_volume, resumable", [&](Job& job) {
                ::lseek(whole, 0, SEEK_SET);
                pool.upload_volume(volume_for(info, "part"), whole, {.resumable = true}, &job);
            });
            ::close(whole);
            pool.find_volume("part").delete_storage();
        }
    }
    if (can(Capability::create_from)) {
        std::string name;
        same("create_volume_from", [&](Job& job) {
            name = pool.create_volume_from(volume_for(info, "copy"), volume, {}, &job).name();
        });
        pool.find_volume(name).delete_storage();
    }
    if (can(Capability::flatten_volume)) {
        auto def = volume_for(info, "linked");
        if (has_format(info.creatable_formats, "qcow2"))
            def.target.format = "qcow2";
        same("linked clone",
             [&](Job& job) { pool.create_volume_from(def, volume, CreateFlags::linked, &job); });
        auto linked = pool.find_volume("linked");
        same("flatten", [&](Job& job) { linked.flatten(&job); });
        linked.delete_storage();
    }
    if (can(Capability::metadata)) {
        same("set_metadata", [&](Job& job) { volume.set_metadata("key", "value", &job); });
        same("remove_metadata", [&](Job& job) { volume.remove_metadata("key", &job); });
    }
    if (can(Capability::rename_volume)) {
        same("rename", [&](Job& job) { Volume(volume).rename("other", none, &job); });
        pool.find_volume("other").rename(volume.name());
    }
    if (can(Capability::snapshots))
        check_plans_of_snapshots(info, pool, same);
}

/** Encrypted ones have cases of their own, in plan_test.cpp. */
void check_plans_of_formats(const BackendInfo& info, Pool pool, PlanCheck& same)
{
    for (const auto format : info.creatable_formats) {
        INFO(format);
        auto def = volume_for(info, "formatted");
        def.target.format = format;
        std::string name;
        same("create_volume",
             [&](Job& job) { name = pool.create_volume(def, CreateFlags::none, &job).name(); });
        pool.find_volume(name).delete_storage();
    }
}

void check_plans()
{
    for_each_working_type([](const BackendInfo& info, Scratch& scratch, const std::string& xml) {
        Context context(scratch.options());
        PlanCheck same;
        const auto can = [&](Capability capability) { return info.capabilities.has(capability); };
        scratch.directory.write("file", std::string(70000, 'x'));
        auto def = parse_pool(xml);
        def.uuid = "6a5b0f5e-3c0a-4f4e-9d5e-0d1c2b3a4f5e";
        same("define", [&](Job& job) { context.define_pool(def, &job); });
        auto pool = context.find_pool(def.name);
        def = pool.definition();
        same("redefine", [&](Job& job) { context.define_pool(def, &job); });
        if (can(Capability::build_pool))
            same("build", [&](Job& job) { pool.build(BuildMode::keep, &job); });
        if (can(Capability::overwrite_pool))
            same("build over", [&](Job& job) { pool.build(BuildMode::overwrite, &job); });
        if (can(Capability::build_pool) || can(Capability::delete_pool))
            CHECK(pool.identity() == pool.identity());
        else
            CHECK(error_code([&] { pool.identity(); }) == ErrorCode::not_supported);
        same("set_autostart", [&](Job& job) { pool.set_autostart(true, &job); });
        same("unset_autostart", [&](Job& job) { pool.set_autostart(false, &job); });
        pool.set_autostart(true);
        same("autostart", [&](Job& job) { context.autostart(&job); });
        same("stop", [&](Job& job) { pool.stop(&job); });
        same("hold", [&](Job& job) { pool.hold(BuildMode::none, &job); });
        same("release", [&](Job& job) { pool.release(&job); });
        same("start", [&](Job& job) { pool.start(BuildMode::none, &job); });
        if (can(Capability::overwrite_pool)) {
            pool.stop();
            same("start with a build", [&](Job& job) { pool.start(BuildMode::overwrite, &job); });
            pool.stop();
            same("hold with a build", [&](Job& job) { pool.hold(BuildMode::overwrite, &job); });
            pool.release();
            pool.start();
        }
        std::string name;
        if (can(Capability::create_volume)) {
            same("create_volume", [&](Job& job) {
                name = pool.create_volume(volume_for(info, "a"), CreateFlags::none, &job).name();
            });
            check_plans_of_a_volume(info, pool, pool.find_volume(name), scratch.directory / "file",
                                    same);
            check_plans_of_formats(info, pool, same);
        }
        if (can(Capability::delete_volume))
            same("delete_storage of a volume",
                 [&](Job& job) { pool.find_volume(name).delete_storage(BlockerKind::none, &job); });
        pool.stop();
        same("undefine", [&](Job& job) { pool.undefine(&job); });
        same("create_pool", [&](Job& job) { context.create_pool(def, BuildMode::none, &job); });
        context.find_pool(def.name).stop();
        pool = context.define_pool(def);
        if (can(Capability::delete_pool))
            same("delete_storage", [&](Job& job) { pool.delete_storage(BlockerKind::none, &job); });
        pool.undefine();
    });
}

} // namespace

TEST_CASE("an available type does what it announces and refuses the rest", "[conformance]")
{
    check_what_is_announced();
}

TEST_CASE("every change announces its steps before it does them", "[conformance]")
{
    check_plans();
}

TEST_CASE("a type that needs the lab does what it announces and refuses the rest", "[.][lab]")
{
    check_what_is_announced();
}

TEST_CASE("a type that needs the lab announces its steps before it does them", "[.][lab]")
{
    check_plans();
}
