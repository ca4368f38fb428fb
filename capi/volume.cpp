// SPDX-License-Identifier: LGPL-2.1-or-later
// Volumes and image files.
#include "handles.hpp"
#include "records.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

static_assert(static_cast<unsigned>(ResizeFlags::allocate) == BASIN_RESIZE_ALLOCATE);
static_assert(static_cast<unsigned>(ResizeFlags::delta) == BASIN_RESIZE_DELTA);
static_assert(static_cast<unsigned>(ResizeFlags::shrink) == BASIN_RESIZE_SHRINK);
static_assert(static_cast<unsigned>(WipeAlgorithm::trim) == BASIN_WIPE_TRIM);
static_assert(static_cast<unsigned>(ChainState::too_deep) == BASIN_CHAIN_TOO_DEEP);

constexpr bool same(BlockerKind kind, std::uint32_t bit, std::uint32_t allow)
{
    const auto number = static_cast<std::uint32_t>(kind);
    return number == bit && (allow == 0 || number << allow_shift == allow);
}
static_assert(same(BlockerKind::open, BASIN_BLOCKER_OPEN, BASIN_ALLOW_OPEN));
static_assert(same(BlockerKind::backing_image, BASIN_BLOCKER_BACKING_IMAGE,
                   BASIN_ALLOW_BACKING_IMAGE));
static_assert(same(BlockerKind::loop_device, BASIN_BLOCKER_LOOP_DEVICE, BASIN_ALLOW_LOOP_DEVICE));
static_assert(same(BlockerKind::mounted, BASIN_BLOCKER_MOUNTED, BASIN_ALLOW_MOUNTED));
static_assert(same(BlockerKind::job, BASIN_BLOCKER_JOB, 0)); // cannot be allowed
static_assert(same(BlockerKind::snapshot, BASIN_BLOCKER_SNAPSHOT, BASIN_ALLOW_SNAPSHOT));
static_assert(same(BlockerKind::holder, BASIN_BLOCKER_HOLDER, BASIN_ALLOW_HOLDER));
static_assert(same(BlockerKind::volume, BASIN_BLOCKER_VOLUME, BASIN_ALLOW_VOLUME));

BackingDepth depth_of(std::uint32_t flags)
{
    return (flags & BASIN_VOLUME_CHAIN) != 0 ? BackingDepth::chain : BackingDepth::direct;
}

Form<basin_volume_info> form(const VolumeInfo& info)
{
    Form<basin_volume_info> result;
    result.record.type = static_cast<std::uint32_t>(info.type);
    result.record.capacity = info.capacity;
    result.record.allocation = info.allocation;
    result.record.physical = info.physical;
    return result;
}

Form<basin_chain_link> form(const ChainLink& link)
{
    Form<basin_chain_link> result;
    result.record.state = static_cast<std::uint32_t>(link.state);
    result.record.format_declared = link.format_declared;
    result.texts[0] = {&basin_chain_link::reference, link.reference};
    result.texts[1] = {&basin_chain_link::path, link.path};
    result.texts[2] = {&basin_chain_link::format, link.format};
    result.texts[3] = {&basin_chain_link::pool_name, link.pool_name};
    result.texts[4] = {&basin_chain_link::volume_name, link.volume_name};
    return result;
}

Form<basin_snapshot> form(const Snapshot& snapshot)
{
    Form<basin_snapshot> result;
    result.record.seconds = snapshot.created.seconds;
    result.record.nanoseconds = snapshot.created.nanoseconds;
    result.record.size = snapshot.size;
    result.texts[0] = {&basin_snapshot::name, snapshot.name};
    result.texts[1] = {&basin_snapshot::id, snapshot.id};
    result.record.is_protected = snapshot.is_protected;
    return result;
}

/** The getters of a text differ in the call alone. */
template <typename Query>
int get_text(basin_volume* volume, std::uint32_t flags, char** text, const char* name,
             basin_error** error, Query query, std::uint32_t known_flags = 0)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(text, name);
        reject_unknown_flags(flags, known_flags);
        out = copy_text(query(source));
    });
}

/** The operations on one volume differ in the call alone. */
template <typename Operation>
int run(basin_volume* volume, std::uint32_t flags, basin_error** error, Operation operation,
        std::uint32_t known_flags = 0)
{
    return guard(error, [&] {
        auto& target = required(volume, "volume").cpp;
        reject_unknown_flags(flags, known_flags);
        operation(target);
    });
}

} // namespace

int basin_volume_copy(const basin_volume* volume, uint32_t flags, basin_volume** copy,
                      basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume");
        auto& out = required(copy, "copy");
        reject_unknown_flags(flags, 0);
        out = new basin_volume(source);
    });
}

void basin_volume_free(basin_volume* volume)
{
    delete volume;
}

void basin_volume_list_free(basin_volume** list)
{
    HandleListFree<basin_volume>()(list);
}

const char* basin_volume_name(const basin_volume* volume)
{
    return volume ? volume->name.c_str() : "";
}

int basin_volume_get_key(basin_volume* volume, uint32_t flags, char** key, basin_error** error)
{
    return get_text(volume, flags, key, "key", error,
                    [](const Volume& source) { return source.key(); });
}

int basin_volume_get_path(basin_volume* volume, uint32_t flags, char** path, basin_error** error)
{
    return get_text(volume, flags, path, "path", error,
                    [](const Volume& source) { return source.path(); });
}

int basin_volume_get_pool(basin_volume* volume, uint32_t flags, basin_pool** pool,
                          basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume");
        auto& out = required(pool, "pool");
        reject_unknown_flags(flags, 0);
        out = new basin_pool(source.context, source.cpp.pool());
    });
}

int basin_volume_get_identity(basin_volume* volume, uint32_t flags, char** identity,
                              basin_error** error)
{
    return get_text(volume, flags, identity, "identity", error,
                    [](const Volume& source) { return source.identity(); });
}

int basin_volume_expect(basin_volume* volume, const char* identity, uint32_t flags,
                        basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(volume, "volume");
        const auto text = required_text(identity, "identity");
        reject_unknown_flags(flags, 0);
        target.cpp = target.cpp.expecting(std::string(text));
    });
}

int basin_volume_get_xml(basin_volume* volume, uint32_t flags, char** xml, basin_error** error)
{
    return get_text(
        volume, flags, xml, "xml", error,
        [&](const Volume& source) { return source.xml(depth_of(flags)); }, BASIN_VOLUME_CHAIN);
}

int basin_volume_get_json(basin_volume* volume, uint32_t flags, char** json, basin_error** error)
{
    return get_text(
        volume, flags, json, "json", error,
        [&](const Volume& source) { return to_json(source.definition(depth_of(flags))); },
        BASIN_VOLUME_CHAIN);
}

int basin_volume_get_info(basin_volume* volume, uint32_t flags, basin_volume_info** info,
                          basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(info, "info");
        reject_unknown_flags(flags, 0);
        out = make_record(form(source.info()));
    });
}

int basin_volume_get_info_json(basin_volume* volume, uint32_t flags, char** json,
                               basin_error** error)
{
    return get_text(volume, flags, json, "json", error,
                    [](const Volume& source) { return to_json(source.info()); });
}

void basin_volume_info_free(basin_volume_info* info)
{
    std::free(info);
}

int basin_volume_inspect(basin_volume* volume, uint32_t flags, char** json, basin_error** error)
{
    return get_text(volume, flags, json, "json", error,
                    [](const Volume& source) { return to_json(source.inspect()); });
}

int basin_image_inspect(int fd, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(to_json(inspect_image(fd)));
    });
}

int basin_volume_refresh(basin_volume* volume, uint32_t flags, basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) { target.refresh(job_or_null(job)); });
}

int basin_volume_delete(basin_volume* volume, uint32_t flags, basin_job* job, basin_error** error)
{
    return run(
        volume, flags, error,
        [&](Volume& target) { target.delete_storage(allowed(flags), job_or_null(job)); },
        allow_flags);
}

int basin_volume_resize(basin_volume* volume, uint64_t capacity, uint32_t flags, basin_job* job,
                        basin_error** error)
{
    constexpr std::uint32_t own = BASIN_RESIZE_ALLOCATE | BASIN_RESIZE_DELTA | BASIN_RESIZE_SHRINK;
    return run(
        volume, flags, error,
        [&](Volume& target) {
            target.resize(capacity, static_cast<ResizeFlags>(flags & own), allowed(flags),
                          job_or_null(job));
        },
        own | allow_flags);
}

int basin_volume_rename(basin_volume* volume, const char* new_name, uint32_t flags, basin_job* job,
                        basin_error** error)
{
    return run(
        volume, flags, error,
        [&](Volume& target) {
            target.rename(std::string(required_text(new_name, "new_name")), allowed(flags),
                          job_or_null(job));
            volume->name = target.name();
        },
        allow_flags);
}

int basin_volume_wipe(basin_volume* volume, uint32_t algorithm, uint32_t flags, basin_job* job,
                      basin_error** error)
{
    return run(
        volume, flags, error,
        [&](Volume& target) {
            target.wipe(choice(algorithm, "algorithm", WipeAlgorithm::zero, WipeAlgorithm::trim),
                        allowed(flags), job_or_null(job));
        },
        allow_flags);
}

int basin_volume_flatten(basin_volume* volume, uint32_t flags, basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) { target.flatten(job_or_null(job)); });
}

const char* basin_chain_state_name(uint32_t state)
{
    return state <= BASIN_CHAIN_TOO_DEEP ? to_string(static_cast<ChainState>(state)).data()
                                         : "unknown";
}

int basin_volume_list_chain(basin_volume* volume, uint32_t flags, basin_chain_link*** links,
                            size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(links, "links");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.chain();
        out = make_records(found, [](const ChainLink& link) { return form(link); });
        size = found.size();
    });
}

int basin_volume_get_chain_json(basin_volume* volume, uint32_t flags, char** json,
                                basin_error** error)
{
    return get_text(volume, flags, json, "json", error,
                    [](const Volume& source) { return json_array(source.chain()); });
}

void basin_chain_link_list_free(basin_chain_link** list)
{
    std::free(list);
}

int basin_volume_list_dependents(basin_volume* volume, uint32_t flags, basin_volume*** volumes,
                                 size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume");
        auto& out = required(volumes, "volumes");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        auto found = source.cpp.dependents();
        const auto length = found.size();
        out = make_handles<basin_volume>(source.context, std::move(found));
        size = length;
    });
}

int basin_volume_list_snapshots(basin_volume* volume, uint32_t flags, basin_snapshot*** snapshots,
                                size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(snapshots, "snapshots");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.snapshots();
        out = make_records(found, [](const Snapshot& snapshot) { return form(snapshot); });
        size = found.size();
    });
}

void basin_snapshot_list_free(basin_snapshot** list)
{
    std::free(list);
}

int basin_volume_create_snapshot(basin_volume* volume, const char* name, uint32_t flags,
                                 basin_job* job, basin_snapshot** snapshot, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(volume, "volume").cpp;
        const auto text = required_text(name, "name");
        auto& out = required(snapshot, "snapshot");
        reject_unknown_flags(flags, 0);
        const auto made = target.create_snapshot(std::string(text), job_or_null(job));
        out = make_record(form(made));
    });
}

void basin_snapshot_free(basin_snapshot* snapshot)
{
    std::free(snapshot);
}

int basin_volume_delete_snapshot(basin_volume* volume, const char* name, uint32_t flags,
                                 basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) {
        target.delete_snapshot(std::string(required_text(name, "name")), job_or_null(job));
    });
}

int basin_volume_revert_snapshot(basin_volume* volume, const char* name, uint32_t flags,
                                 basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) {
        target.revert_snapshot(std::string(required_text(name, "name")), job_or_null(job));
    });
}

int basin_volume_protect_snapshot(basin_volume* volume, const char* name, int on, uint32_t flags,
                                  basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) {
        target.protect_snapshot(std::string(required_text(name, "name")), on != 0,
                                job_or_null(job));
    });
}

int basin_volume_list_metadata(basin_volume* volume, uint32_t flags, basin_metadata*** entries,
                               size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(entries, "entries");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.metadata();
        out = make_records(found, [](const auto& entry) {
            Form<basin_metadata> form;
            form.texts[0] = {&basin_metadata::key, entry.first};
            form.texts[1] = {&basin_metadata::value, entry.second};
            return form;
        });
        size = found.size();
    });
}

void basin_metadata_list_free(basin_metadata** list)
{
    std::free(list);
}

int basin_volume_set_metadata(basin_volume* volume, const char* key, const char* value,
                              uint32_t flags, basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) {
        target.set_metadata(std::string(required_text(key, "key")),
                            std::string(required_text(value, "value")), job_or_null(job));
    });
}

int basin_volume_remove_metadata(basin_volume* volume, const char* key, uint32_t flags,
                                 basin_job* job, basin_error** error)
{
    return run(volume, flags, error, [&](Volume& target) {
        target.remove_metadata(std::string(required_text(key, "key")), job_or_null(job));
    });
}

int basin_volume_list_blockers(basin_volume* volume, uint32_t flags, basin_blocker*** blockers,
                               size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(blockers, "blockers");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.blockers();
        out = make_blockers(found);
        size = found.size();
    });
}

int basin_volume_get_blockers_json(basin_volume* volume, uint32_t flags, char** json,
                                   basin_error** error)
{
    return get_text(volume, flags, json, "json", error,
                    [](const Volume& source) { return json_array(source.blockers()); });
}
