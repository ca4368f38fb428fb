// SPDX-License-Identifier: LGPL-2.1-or-later
// Jobs.
#include "handles.hpp"
#include "records.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

Form<basin_progress> form(const Progress& progress)
{
    Form<basin_progress> result;
    result.record.done = progress.done;
    result.record.total = progress.total;
    result.record.rate = progress.rate;
    result.texts[0] = {&basin_progress::phase, progress.phase};
    return result;
}

void report(const Closure<basin_progress_callback>& callback, const Progress& progress)
{
    basin_progress record{};
    record.struct_size = sizeof(record);
    record.done = progress.done;
    record.total = progress.total;
    record.rate = progress.rate;
    record.phase = progress.phase.c_str();
    callback(&record);
}

void give_steps(const std::vector<StepRecord>& records, basin_step**& steps, size_t& count)
{
    steps = make_steps(records);
    count = records.size();
}

} // namespace

int basin_job_new(uint32_t flags, basin_job** job, basin_error** error)
{
    return guard(error, [&] {
        auto& out = required(job, "job");
        reject_unknown_flags(flags, 0);
        out = new basin_job;
    });
}

void basin_job_free(basin_job* job)
{
    delete job;
}

void basin_job_cancel(basin_job* job)
{
    if (job)
        job->cpp.cancel();
}

int basin_job_is_cancelled(const basin_job* job)
{
    return job && job->cpp.is_cancelled();
}

int basin_job_set_timeout(basin_job* job, uint64_t milliseconds, uint32_t flags,
                          basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(job, "job").cpp;
        reject_unknown_flags(flags, 0);
        target.set_timeout(time_span(milliseconds));
    });
}

int64_t basin_job_time_left(const basin_job* job)
{
    return value_or<int64_t>(-1, [&]() -> int64_t {
        const auto deadline =
            job ? job->cpp.deadline() : std::optional<std::chrono::steady_clock::time_point>();
        if (!deadline)
            return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            *deadline - std::chrono::steady_clock::now());
        return std::max<int64_t>(left.count(), 0);
    });
}

int basin_job_set_wait(basin_job* job, uint64_t milliseconds, uint32_t flags, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(job, "job").cpp;
        reject_unknown_flags(flags, 0);
        target.set_wait(time_span(milliseconds));
    });
}

uint64_t basin_job_wait(const basin_job* job)
{
    return value_or<uint64_t>(
        0, [&] { return job ? static_cast<uint64_t>(job->cpp.wait().count()) : 0; });
}

int basin_job_set_dry_run(basin_job* job, int dry_run, uint32_t flags, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(job, "job").cpp;
        reject_unknown_flags(flags, 0);
        target.set_dry_run(dry_run != 0);
    });
}

int basin_job_is_dry_run(const basin_job* job)
{
    return value_or(0, [&] { return job && job->cpp.is_dry_run() ? 1 : 0; });
}

int basin_job_set_progress_callback(basin_job* job, const basin_progress_callback* callback,
                                    uint32_t flags, basin_error** error)
{
    return guard(error, [&] {
        // First of all: from here on user_data is freed, whatever happens.
        Closure<basin_progress_callback> closure(callback ? *callback : basin_progress_callback{});
        auto& target = required(job, "job").cpp;
        reject_unknown_flags(flags, 0);
        if (!closure)
            return target.set_progress_callback({});
        target.set_progress_callback([shared = closure.share(closure)](const Progress& progress) {
            report(*shared, progress);
        });
    });
}

int basin_job_get_progress(const basin_job* job, uint32_t flags, basin_progress** progress,
                           basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        auto& out = required(progress, "progress");
        reject_unknown_flags(flags, 0);
        const auto now = source.progress();
        out = make_record(form(now));
    });
}

void basin_progress_free(basin_progress* progress)
{
    std::free(progress);
}

int basin_job_list_plan(const basin_job* job, uint32_t flags, basin_step*** steps, size_t* count,
                        basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        auto& out = required(steps, "steps");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        give_steps(source.plan(), out, size);
    });
}

int basin_job_list_trace(const basin_job* job, uint32_t flags, basin_step*** steps, size_t* count,
                         basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        auto& out = required(steps, "steps");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        give_steps(source.trace(), out, size);
    });
}

int basin_job_get_plan_json(const basin_job* job, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(json_array(source.plan()));
    });
}

int basin_job_get_trace_json(const basin_job* job, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(json_array(source.trace()));
    });
}

void basin_step_list_free(basin_step** list)
{
    std::free(list);
}

int basin_job_get_fact(const basin_job* job, const char* name, uint32_t flags, char** value,
                       basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        const std::string wanted(required_text(name, "name"));
        auto& out = required(value, "value");
        reject_unknown_flags(flags, 0);
        const auto facts = source.facts();
        const auto found = facts.find(wanted);
        out = found == facts.end() ? nullptr : copy_text(found->second);
    });
}

int basin_job_get_facts_json(const basin_job* job, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(job, "job").cpp;
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(to_json(source.facts()));
    });
}
