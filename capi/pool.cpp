// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools.
#include "handles.hpp"
#include "records.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

static_assert(static_cast<unsigned>(PoolState::inaccessible) == BASIN_POOL_INACCESSIBLE);
static_assert(static_cast<unsigned>(DiagnosticReason::incomplete) == BASIN_DIAGNOSTIC_INCOMPLETE);
static_assert(static_cast<unsigned>(CreateFlags::prealloc_metadata) ==
              BASIN_VOLUME_CREATE_PREALLOC_METADATA);
static_assert(static_cast<unsigned>(CreateFlags::reflink) == BASIN_VOLUME_CREATE_REFLINK);
static_assert(static_cast<unsigned>(CreateFlags::prealloc_falloc) ==
              BASIN_VOLUME_CREATE_PREALLOC_FALLOC);
static_assert(static_cast<unsigned>(CreateFlags::prealloc_full) ==
              BASIN_VOLUME_CREATE_PREALLOC_FULL);
static_assert(static_cast<unsigned>(CreateFlags::linked) == BASIN_VOLUME_CREATE_LINKED);
static_assert(static_cast<unsigned>(CreateFlags::digest) == BASIN_VOLUME_CREATE_DIGEST);

constexpr std::uint32_t prealloc_flags = BASIN_VOLUME_CREATE_PREALLOC_METADATA |
                                         BASIN_VOLUME_CREATE_PREALLOC_FALLOC |
                                         BASIN_VOLUME_CREATE_PREALLOC_FULL;
constexpr std::uint32_t copy_flags = prealloc_flags | BASIN_VOLUME_CREATE_REFLINK |
                                     BASIN_VOLUME_CREATE_LINKED | BASIN_VOLUME_CREATE_DIGEST;
static_assert((copy_flags & definition_flags) == 0, "one parameter has them all");

Which which_of(std::uint32_t flags)
{
    return (flags & BASIN_POOL_NEXT) != 0 ? Which::next : Which::current;
}

CreateFlags create_flags(std::uint32_t flags)
{
    return static_cast<CreateFlags>(flags & copy_flags);
}

/** @param details  "" or JSON; must outlive the result */
Form<basin_pool_info> form(const PoolInfo& info, const std::string& details)
{
    Form<basin_pool_info> result;
    result.record.state = static_cast<std::uint32_t>(info.state);
    result.record.capacity = info.capacity;
    result.record.allocation = info.allocation;
    result.record.available = info.available;
    result.record.persistent = info.persistent;
    result.record.autostart = info.autostart;
    result.texts[0] = {&basin_pool_info::reason, info.reason};
    if (!details.empty())
        result.texts[1] = {&basin_pool_info::details, details};
    return result;
}

Form<basin_volume_entry> form(const VolumeEntry& entry)
{
    Form<basin_volume_entry> result;
    result.texts[0] = {&basin_volume_entry::name, entry.name};
    result.texts[1] = {&basin_volume_entry::key, entry.key};
    result.texts[2] = {&basin_volume_entry::path, entry.path};
    return result;
}

Form<basin_diagnostic> form(const Diagnostic& diagnostic)
{
    Form<basin_diagnostic> result;
    result.record.reason = static_cast<std::uint32_t>(diagnostic.reason);
    result.texts[0] = {&basin_diagnostic::name, diagnostic.name};
    result.texts[1] = {&basin_diagnostic::message, diagnostic.message};
    return result;
}

/** The operations without inputs differ in the call alone. */
template <typename Operation>
int run(basin_pool* pool, std::uint32_t flags, basin_job* job, basin_error** error,
        Operation operation)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, 0);
        (target.*operation)(job_or_null(job));
    });
}

template <typename Value, typename Get>
int get(basin_pool* pool, std::uint32_t flags, Value* value, const char* name, basin_error** error,
        Get query)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(value, name);
        reject_unknown_flags(flags, 0);
        out = (source.*query)();
    });
}

} // namespace

const char* basin_pool_state_name(uint32_t state)
{
    return state <= BASIN_POOL_INACCESSIBLE ? to_string(static_cast<PoolState>(state)).data()
                                            : "unknown";
}

const char* basin_diagnostic_reason_name(uint32_t reason)
{
    return reason <= BASIN_DIAGNOSTIC_INCOMPLETE
               ? to_string(static_cast<DiagnosticReason>(reason)).data()
               : "unknown";
}

int basin_pool_copy(const basin_pool* pool, uint32_t flags, basin_pool** copy, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool");
        auto& out = required(copy, "copy");
        reject_unknown_flags(flags, 0);
        out = new basin_pool(source);
    });
}

void basin_pool_free(basin_pool* pool)
{
    delete pool;
}

void basin_pool_list_free(basin_pool** list)
{
    HandleListFree<basin_pool>()(list);
}

int basin_pool_equal(const basin_pool* a, const basin_pool* b)
{
    return a && b && a->cpp == b->cpp;
}

const char* basin_pool_name(const basin_pool* pool)
{
    return pool ? pool->name.c_str() : "";
}

const char* basin_pool_uuid(const basin_pool* pool)
{
    return pool ? pool->uuid.c_str() : "";
}

const char* basin_pool_type(const basin_pool* pool)
{
    return pool ? pool->type.c_str() : "";
}

int basin_pool_get_xml(basin_pool* pool, uint32_t flags, char** xml, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(xml, "xml");
        reject_unknown_flags(flags, BASIN_POOL_NEXT);
        out = copy_text(source.xml(which_of(flags)));
    });
}

int basin_pool_get_json(basin_pool* pool, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, BASIN_POOL_NEXT);
        out = copy_text(to_json(source.definition(which_of(flags))));
    });
}

int basin_pool_get_identity(basin_pool* pool, uint32_t flags, char** identity, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(identity, "identity");
        reject_unknown_flags(flags, 0);
        out = copy_text(source.identity());
    });
}

int basin_pool_expect(basin_pool* pool, const char* identity, uint32_t flags, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool");
        const auto text = required_text(identity, "identity");
        reject_unknown_flags(flags, 0);
        target.cpp = target.cpp.expecting(std::string(text));
    });
}

int basin_pool_get_info(basin_pool* pool, uint32_t flags, basin_pool_info** info,
                        basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(info, "info");
        reject_unknown_flags(flags, 0);
        const auto now = source.info();
        const auto details = now.details.empty() ? std::string() : to_json(now.details);
        out = make_record(form(now, details));
    });
}

int basin_pool_get_info_json(basin_pool* pool, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(to_json(source.info()));
    });
}

void basin_pool_info_free(basin_pool_info* info)
{
    std::free(info);
}

int basin_pool_is_active(basin_pool* pool, uint32_t flags, int* active, basin_error** error)
{
    return get(pool, flags, active, "active", error, &Pool::is_active);
}

int basin_pool_is_persistent(basin_pool* pool, uint32_t flags, int* persistent, basin_error** error)
{
    return get(pool, flags, persistent, "persistent", error, &Pool::is_persistent);
}

int basin_pool_get_autostart(basin_pool* pool, uint32_t flags, int* autostart, basin_error** error)
{
    return get(pool, flags, autostart, "autostart", error, &Pool::autostart);
}

int basin_pool_set_autostart(basin_pool* pool, int autostart, uint32_t flags, basin_job* job,
                             basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, 0);
        target.set_autostart(autostart != 0, job_or_null(job));
    });
}

int basin_pool_build(basin_pool* pool, uint32_t mode, uint32_t flags, basin_job* job,
                     basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, 0);
        target.build(choice(mode, "mode", BuildMode::keep, BuildMode::overwrite), job_or_null(job));
    });
}

int basin_pool_start(basin_pool* pool, uint32_t build, uint32_t flags, basin_job* job,
                     basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, 0);
        target.start(choice(build, "build", BuildMode::none, BuildMode::overwrite),
                     job_or_null(job));
    });
}

int basin_pool_stop(basin_pool* pool, uint32_t flags, basin_job* job, basin_error** error)
{
    return run(pool, flags, job, error, &Pool::stop);
}

int basin_pool_hold(basin_pool* pool, uint32_t build, uint32_t flags, basin_job* job,
                    basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, 0);
        target.hold(choice(build, "build", BuildMode::none, BuildMode::overwrite),
                    job_or_null(job));
    });
}

int basin_pool_release(basin_pool* pool, uint32_t flags, basin_job* job, int* stopped,
                       basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, 0);
        const bool was_stopped = target.release(job_or_null(job));
        if (stopped)
            *stopped = was_stopped;
    });
}

int basin_pool_undefine(basin_pool* pool, uint32_t flags, basin_job* job, basin_error** error)
{
    return run(pool, flags, job, error, &Pool::undefine);
}

int basin_pool_delete(basin_pool* pool, uint32_t flags, basin_job* job, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        reject_unknown_flags(flags, BASIN_ALLOW_VOLUME);
        target.delete_storage((flags & BASIN_ALLOW_VOLUME) != 0 ? BlockerKind::volume
                                                                : BlockerKind::none,
                              job_or_null(job));
    });
}

int basin_pool_refresh(basin_pool* pool, uint32_t flags, basin_job* job, basin_error** error)
{
    return run(pool, flags, job, error, &Pool::refresh);
}

int basin_pool_list_volumes(basin_pool* pool, uint32_t flags, basin_volume*** volumes,
                            size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool");
        auto& out = required(volumes, "volumes");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        auto found = source.cpp.volumes();
        const auto length = found.size();
        out = make_handles<basin_volume>(source.context, std::move(found));
        size = length;
    });
}

int basin_pool_list_volume_entries(basin_pool* pool, uint32_t flags, basin_volume_entry*** entries,
                                   size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(entries, "entries");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.volume_entries();
        out = make_records(found, [](const VolumeEntry& entry) { return form(entry); });
        size = found.size();
    });
}

void basin_volume_entry_list_free(basin_volume_entry** list)
{
    std::free(list);
}

int basin_pool_list_volume_names(basin_pool* pool, uint32_t flags, char*** names, size_t* count,
                                 basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(names, "names");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.volume_names();
        out = copy_texts(found);
        size = found.size();
    });
}

int basin_pool_count_volumes(basin_pool* pool, uint32_t flags, uint64_t* count, basin_error** error)
{
    return get(pool, flags, count, "count", error, &Pool::volume_count);
}

int basin_pool_list_diagnostics(basin_pool* pool, uint32_t flags, basin_diagnostic*** diagnostics,
                                size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(diagnostics, "diagnostics");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.diagnostics();
        out = make_records(found, [](const Diagnostic& diagnostic) { return form(diagnostic); });
        size = found.size();
    });
}

int basin_pool_get_diagnostics_json(basin_pool* pool, uint32_t flags, char** json,
                                    basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(json_array(source.diagnostics()));
    });
}

void basin_diagnostic_list_free(basin_diagnostic** list)
{
    std::free(list);
}

int basin_pool_find_volume(basin_pool* pool, const char* name, uint32_t flags,
                           basin_volume** volume, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool");
        const auto text = required_text(name, "name");
        auto& out = required(volume, "volume");
        reject_unknown_flags(flags, 0);
        out = new basin_volume{source.context, source.cpp.find_volume(text)};
    });
}

int basin_pool_create_volume(basin_pool* pool, const char* definition, uint32_t flags,
                             basin_job* job, basin_volume** volume, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool");
        const auto text = required_text(definition, "definition");
        auto& out = required(volume, "volume");
        reject_unknown_flags(flags, definition_flags | prealloc_flags);
        const auto def =
            read_volume(text, target.type, VolumePurpose::create, flags, warn(*target.context));
        out = new basin_volume{
            target.context, target.cpp.create_volume(def, create_flags(flags), job_or_null(job))};
    });
}

int basin_pool_create_volume_from(basin_pool* pool, const char* definition, basin_volume* source,
                                  uint32_t flags, basin_job* job, basin_volume** volume,
                                  basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool");
        const auto text = required_text(definition, "definition");
        const auto& original = required(source, "source").cpp;
        auto& out = required(volume, "volume");
        reject_unknown_flags(flags, definition_flags | copy_flags);
        const auto def = read_volume(text, target.type, VolumePurpose::create_from, flags,
                                     warn(*target.context));
        out = new basin_volume{
            target.context,
            target.cpp.create_volume_from(def, original, create_flags(flags), job_or_null(job))};
    });
}

int basin_pool_list_blockers(basin_pool* pool, uint32_t flags, basin_blocker*** blockers,
                             size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(blockers, "blockers");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto found = source.blockers();
        out = make_blockers(found);
        size = found.size();
    });
}

int basin_pool_get_blockers_json(basin_pool* pool, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(json_array(source.blockers()));
    });
}

void basin_blocker_list_free(basin_blocker** list)
{
    std::free(list);
}
