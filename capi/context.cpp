// SPDX-License-Identifier: LGPL-2.1-or-later
// Contexts: options and callbacks, pools and lookups.
#include "handles.hpp"
#include "records.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

static_assert(static_cast<unsigned>(LogLevel::error) == BASIN_LOG_ERROR);
static_assert(static_cast<unsigned>(SecretUsage::iscsi) == BASIN_SECRET_ISCSI);
static_assert(static_cast<unsigned>(BuildMode::overwrite) == BASIN_BUILD_OVERWRITE);

constexpr std::size_t first_options_size =
    offsetof(basin_context_options, secrets) + sizeof(basin_secret_callback);

LogCallback log_callback(Closure<basin_log_callback>& closure)
{
    if (!closure)
        return {};
    return [shared = closure.share(closure)](LogLevel level, std::string_view line) {
        (*shared)(static_cast<std::uint32_t>(level), std::string(line).c_str());
    };
}

std::optional<Secret> ask(const Closure<basin_secret_callback>& callback,
                          const SecretRequest& request)
{
    basin_secret_request record{};
    record.struct_size = sizeof(record);
    record.usage_type = static_cast<std::uint32_t>(request.usage);
    record.uuid = request.reference.uuid.c_str();
    record.usage = request.reference.usage.c_str();
    record.pool_name = request.pool_name.c_str();
    record.volume_name = request.volume_name.c_str();
    basin_secret_reply reply;
    const basin_secret_request* const question = &record;
    const int code = callback(question, &reply);
    if (code != BASIN_OK)
        throw callback_error(code, "secret for pool '" + request.pool_name + '\'');
    return std::move(reply.secret);
}

SecretCallback secret_callback(Closure<basin_secret_callback>& closure)
{
    if (!closure)
        return {};
    return [shared = closure.share(closure)](const SecretRequest& request) {
        return ask(*shared, request);
    };
}

/** Asks the application first, then the directory. */
SecretCallback with_directory(SecretCallback application, std::string_view path)
{
    if (path.empty())
        return application;
    return [application = std::move(application),
            directory = secret_directory(std::string(path))](const SecretRequest& request) {
        auto answer = application ? application(request) : std::nullopt;
        return answer ? std::move(answer) : directory(request);
    };
}

std::optional<bool> either(std::uint32_t flags, std::uint32_t yes, std::uint32_t no)
{
    const bool has_yes = (flags & yes) != 0;
    const bool has_no = (flags & no) != 0;
    return has_yes == has_no ? std::nullopt : std::optional(has_yes);
}

PoolFilter filter_of(const char* const* types, std::size_t count, std::uint32_t flags)
{
    PoolFilter filter{.active = either(flags, BASIN_LIST_ACTIVE, BASIN_LIST_INACTIVE),
                      .persistent = either(flags, BASIN_LIST_PERSISTENT, BASIN_LIST_TRANSIENT),
                      .autostart = either(flags, BASIN_LIST_AUTOSTART, BASIN_LIST_NO_AUTOSTART),
                      .types = {}};
    if (count > 0)
        required(types, "types");
    for (std::size_t i = 0; i < count; ++i)
        filter.types.emplace_back(required_text(types[i], "types"));
    return filter;
}

basin_pool* handle(const basin_context& context, Pool pool)
{
    return new basin_pool(context.state, std::move(pool));
}

basin_volume* handle(const basin_context& context, Volume volume)
{
    return new basin_volume{context.state, std::move(volume)};
}

/** The lookups differ in the call alone. */
template <typename Handle, typename Find>
int look_up(basin_context* context, const char* key, const char* key_name, std::uint32_t flags,
            Handle** found, const char* found_name, basin_error** error, Find find)
{
    return guard(error, [&] {
        const auto& source = required(context, "context");
        const auto text = required_text(key, key_name);
        auto& out = required(found, found_name);
        reject_unknown_flags(flags, 0);
        out = handle(source, find(source.state->cpp, text));
    });
}

} // namespace

int basin_secret_reply_set(basin_secret_reply* reply, const void* bytes, size_t length,
                           uint32_t flags, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(reply, "reply");
        if (length > 0)
            required(static_cast<const char*>(bytes), "bytes");
        reject_unknown_flags(flags, 0);
        target.secret.emplace(std::string_view(static_cast<const char*>(bytes), length));
    });
}

int basin_context_new(const basin_context_options* options, uint32_t flags, basin_context** context,
                      basin_error** error)
{
    return guard(error, [&] {
        constexpr basin_context_options defaults = BASIN_CONTEXT_OPTIONS_INIT;
        const auto given =
            options ? read_record(*options, defaults, first_options_size, "options") : defaults;
        // From here on every user_data is freed, whatever happens.
        Closure<basin_log_callback> log(given.log);
        Closure<basin_secret_callback> secrets(given.secrets);
        if (options)
            reject_unknown_members(*options, "options");
        auto& out = required(context, "context");
        reject_unknown_flags(flags, BASIN_CONTEXT_READ_ONLY | BASIN_CONTEXT_WATCH |
                                        BASIN_CONTEXT_NO_RECOVERY);
        ContextOptions settings;
        settings.root = text_or_empty(given.root);
        settings.config_dir = text_or_empty(given.config_dir);
        settings.state_dir = text_or_empty(given.state_dir);
        settings.run_dir = text_or_empty(given.run_dir);
        settings.helper_directory = text_or_empty(given.helper_directory);
        settings.system_root = text_or_empty(given.system_root);
        if (given.look_timeout != 0)
            settings.look_timeout = time_span(given.look_timeout);
        settings.read_only = (flags & BASIN_CONTEXT_READ_ONLY) != 0;
        settings.watch = (flags & BASIN_CONTEXT_WATCH) != 0;
        settings.recover = (flags & BASIN_CONTEXT_NO_RECOVERY) == 0;
        settings.log = log_callback(log);
        settings.secrets =
            with_directory(secret_callback(secrets), text_or_empty(given.secret_directory));
        out = new basin_context{std::make_shared<ContextState>(std::move(settings))};
    });
}

void basin_context_free(basin_context* context)
{
    delete context;
}

const char* basin_context_config_dir(const basin_context* context)
{
    return context ? context->state->cpp.config_dir().c_str() : "";
}

const char* basin_context_state_dir(const basin_context* context)
{
    return context ? context->state->cpp.state_dir().c_str() : "";
}

const char* basin_context_run_dir(const basin_context* context)
{
    return context ? context->state->cpp.run_dir().c_str() : "";
}

int basin_context_define_pool(basin_context* context, const char* definition, uint32_t flags,
                              basin_job* job, basin_pool** pool, basin_error** error)
{
    return guard(error, [&] {
        const auto& target = required(context, "context");
        const auto text = required_text(definition, "definition");
        auto& out = required(pool, "pool");
        reject_unknown_flags(flags, definition_flags);
        const auto def = read_pool(text, flags, warn(*target.state));
        out = handle(target, target.state->cpp.define_pool(def, job_or_null(job)));
    });
}

int basin_context_create_pool(basin_context* context, const char* definition, uint32_t build,
                              uint32_t flags, basin_job* job, basin_pool** pool,
                              basin_error** error)
{
    return guard(error, [&] {
        const auto& target = required(context, "context");
        const auto text = required_text(definition, "definition");
        auto& out = required(pool, "pool");
        reject_unknown_flags(flags, definition_flags);
        const auto mode = choice(build, "build", BuildMode::none, BuildMode::overwrite);
        const auto def = read_pool(text, flags, warn(*target.state));
        out = handle(target, target.state->cpp.create_pool(def, mode, job_or_null(job)));
    });
}

int basin_context_list_pools(basin_context* context, const char* const* types, size_t type_count,
                             uint32_t flags, basin_pool*** pools, size_t* count,
                             basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(context, "context").state;
        auto& out = required(pools, "pools");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, BASIN_LIST_INACTIVE | BASIN_LIST_ACTIVE |
                                        BASIN_LIST_PERSISTENT | BASIN_LIST_TRANSIENT |
                                        BASIN_LIST_AUTOSTART | BASIN_LIST_NO_AUTOSTART);
        auto found = source->cpp.pools(filter_of(types, type_count, flags));
        const auto length = found.size();
        out = make_handles<basin_pool>(source, std::move(found));
        size = length;
    });
}

int basin_context_find_pool(basin_context* context, const char* name, uint32_t flags,
                            basin_pool** pool, basin_error** error)
{
    return look_up(context, name, "name", flags, pool, "pool", error,
                   [](const Context& source, auto text) { return source.find_pool(text); });
}

int basin_context_find_pool_by_uuid(basin_context* context, const char* uuid, uint32_t flags,
                                    basin_pool** pool, basin_error** error)
{
    return look_up(context, uuid, "uuid", flags, pool, "pool", error,
                   [](const Context& source, auto text) { return source.find_pool_by_uuid(text); });
}

int basin_context_find_pool_by_target_path(basin_context* context, const char* path, uint32_t flags,
                                           basin_pool** pool, basin_error** error)
{
    return look_up(
        context, path, "path", flags, pool, "pool", error,
        [](const Context& source, auto text) { return source.find_pool_by_target_path(text); });
}

int basin_context_find_volume_by_key(basin_context* context, const char* key, uint32_t flags,
                                     basin_volume** volume, basin_error** error)
{
    return look_up(
        context, key, "key", flags, volume, "volume", error,
        [](const Context& source, auto text) { return source.find_volume_by_key(text); });
}

int basin_context_find_volume_by_path(basin_context* context, const char* path, uint32_t flags,
                                      basin_volume** volume, basin_error** error)
{
    return look_up(
        context, path, "path", flags, volume, "volume", error,
        [](const Context& source, auto text) { return source.find_volume_by_path(text); });
}

int basin_context_find_pool_sources(basin_context* context, const char* type, const char* source,
                                    uint32_t flags, basin_job* job, char** xml, basin_error** error)
{
    return guard(error, [&] {
        const auto& state = required(context, "context").state;
        const auto kind = required_text(type, "type");
        auto& out = required(xml, "xml");
        reject_unknown_flags(flags, 0);
        PoolSource where;
        if (source)
            where = parse_pool_source(source, kind, {.strict = false, .on_ignored = warn(*state)});
        out = copy_text(
            format_pool_sources(state->cpp.find_pool_sources(kind, where, job_or_null(job)), kind));
    });
}

int basin_context_autostart(basin_context* context, uint32_t flags, basin_job* job,
                            basin_autostart_result*** results, size_t* count, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(context, "context").state->cpp;
        auto& out = required(results, "results");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto outcome = target.autostart(job_or_null(job));
        auto** const list = make_records(outcome, [](const AutostartResult& result) {
            Form<basin_autostart_result> form;
            form.record.started = result.started;
            form.texts[0] = {&basin_autostart_result::pool_name, result.pool_name};
            return form;
        });
        for (std::size_t i = 0; i < outcome.size(); ++i)
            if (outcome[i].error)
                list[i]->error = make_error(*outcome[i].error);
        out = list;
        size = outcome.size();
    });
}

void basin_autostart_result_list_free(basin_autostart_result** list)
{
    if (!list)
        return;
    for (auto** result = list; *result; ++result)
        basin_error_free(const_cast<basin_error*>((*result)->error));
    std::free(list);
}

int basin_context_recover(basin_context* context, uint32_t flags, basin_recovery_result*** results,
                          size_t* count, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(context, "context").state->cpp;
        auto& out = required(results, "results");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        const auto outcome = target.recover();
        out = make_records(outcome, [](const RecoveryResult& result) {
            Form<basin_recovery_result> form;
            form.record.finished = result.finished;
            form.record.pending = result.pending;
            form.texts[0] = {&basin_recovery_result::operation, result.operation};
            form.texts[1] = {&basin_recovery_result::message, result.message};
            return form;
        });
        size = outcome.size();
    });
}

int basin_context_list_recovery_plan(basin_context* context, uint32_t flags, basin_step*** steps,
                                     size_t* count, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(context, "context").state->cpp;
        auto& out = required(steps, "steps");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        Job job;
        job.set_dry_run(true);
        target.recover(&job);
        const auto plan = job.plan();
        out = make_steps(plan);
        size = plan.size();
    });
}

void basin_recovery_result_list_free(basin_recovery_result** list)
{
    std::free(list);
}
