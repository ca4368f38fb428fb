/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Misuse is an error, not a crash: NULL and unknown flags everywhere, and nothing happens. */
#include "fixture.h"

enum { UNKNOWN = 1 << 30 };

/** Expects the call to be refused as invalid, with a message that contains a word. */
#define REFUSED(call, word) refused(call, word, #call, __LINE__)

static void refused(int code, const char* word, const char* what, int line)
{
    if (!strstr(basin_error_message(error), word)) {
        fprintf(stderr, "%d: '%s' lacks '%s'\n", line, basin_error_message(error), word);
        ++expect_failures;
    }
    expect_code(code, BASIN_E_INVALID_ARGUMENT, what, __FILE__, line);
}

static basin_context* context;
static basin_pool* pool;
static basin_volume* volume;
static basin_job* job;

/* Outputs that must stay as they are. */
static char* text;
static char** texts;
static size_t count = 77;
static int number = 77;
static uint64_t big = 77;
static basin_pool* new_pool;
static basin_pool** pools;
static basin_volume* new_volume;
static basin_volume** volumes;
static basin_job* new_job;
static basin_context* new_context;
static basin_backend_info* backend;
static basin_pool_info* pool_info;
static basin_volume_info* volume_info;
static basin_progress* progress;
static basin_step** steps;
static basin_event* event;
static basin_autostart_result** autostarted;
static basin_recovery_result** recovered;
static basin_diagnostic** diagnostics;
static basin_blocker** blockers;
static basin_volume_entry** entries;
static basin_snapshot* snapshot;
static basin_snapshot** snapshots;
static basin_metadata** metadata;
static basin_chain_link** links;
static basin_access_explanation* explanation;
static basin_transfer transfer = BASIN_TRANSFER_INIT;

static const char volume_xml[] = "<volume><name>x</name><capacity>1</capacity></volume>";

static void test_static(void)
{
    basin_event sample;

    memset(&sample, 0, sizeof(sample));
    REFUSED(basin_backend_list(0, NULL, &count, &error), "types");
    REFUSED(basin_backend_list(0, &texts, NULL, &error), "count");
    REFUSED(basin_backend_list(UNKNOWN, &texts, &count, &error), "flags");
    REFUSED(basin_backend_get_info(NULL, 0, &backend, &error), "type");
    REFUSED(basin_backend_get_info("dir", 0, NULL, &error), "info");
    REFUSED(basin_backend_get_info("dir", UNKNOWN, &backend, &error), "flags");
    REFUSED(basin_backend_get_json(NULL, 0, &text, &error), "type");
    REFUSED(basin_backend_get_json("dir", 0, NULL, &error), "json");
    REFUSED(basin_backend_get_json("dir", UNKNOWN, &text, &error), "flags");
    REFUSED(basin_backend_get_capabilities_xml(0, NULL, &error), "xml");
    REFUSED(basin_backend_get_capabilities_xml(UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_definition_check(NULL, 0, &texts, &count, &error), "definition");
    REFUSED(basin_pool_definition_check(fixture_xml, 0, NULL, &count, &error), "ignored");
    REFUSED(basin_pool_definition_check(fixture_xml, 0, &texts, NULL, &error), "count");
    REFUSED(
        basin_pool_definition_check(fixture_xml, BASIN_DEFINITION_STRICT, &texts, &count, &error),
        "flags");
    REFUSED(basin_pool_definition_to_xml(NULL, 0, &text, &error), "definition");
    REFUSED(basin_pool_definition_to_xml(fixture_xml, 0, NULL, &error), "xml");
    REFUSED(basin_pool_definition_to_xml(fixture_xml, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_definition_to_json(NULL, 0, &text, &error), "definition");
    REFUSED(basin_pool_definition_to_json(fixture_xml, 0, NULL, &error), "json");
    REFUSED(basin_pool_definition_to_json(fixture_xml, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_definition_check(NULL, "dir", 0, 0, &texts, &count, &error), "definition");
    REFUSED(basin_volume_definition_check(volume_xml, NULL, 0, 0, &texts, &count, &error),
            "pool_type");
    REFUSED(basin_volume_definition_check(volume_xml, "dir", 3, 0, &texts, &count, &error),
            "purpose");
    REFUSED(basin_volume_definition_check(volume_xml, "dir", 0, UNKNOWN, &texts, &count, &error),
            "flags");
    REFUSED(basin_volume_definition_to_xml(volume_xml, "dir", 0, 0, NULL, &error), "xml");
    REFUSED(basin_volume_definition_to_xml(volume_xml, "dir", 3, 0, &text, &error), "purpose");
    REFUSED(basin_volume_definition_to_xml(volume_xml, "dir", 0, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_definition_to_json(volume_xml, NULL, 0, 0, &text, &error), "pool_type");
    REFUSED(basin_volume_definition_to_json(volume_xml, "dir", 0, 0, NULL, &error), "json");
    REFUSED(basin_volume_definition_to_json(volume_xml, "dir", 0, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_parse_size(NULL, NULL, 0, &big, &error), "number");
    REFUSED(basin_parse_size("1", NULL, 0, NULL, &error), "bytes");
    REFUSED(basin_parse_size("1", NULL, UNKNOWN, &big, &error), "flags");
    REFUSED(basin_json_schema(0, NULL, &error), "schema");
    REFUSED(basin_json_schema(UNKNOWN, &text, &error), "flags");
    REFUSED(basin_event_to_json(NULL, 0, &text, &error), "event");
    REFUSED(basin_event_to_json(&sample, 0, &text, &error), "struct_size");
    sample.struct_size = sizeof(sample);
    sample.kind = 1000;
    REFUSED(basin_event_to_json(&sample, 0, &text, &error), "kind");
    REFUSED(basin_event_to_json(&sample, 0, NULL, &error), "json");
    REFUSED(basin_event_to_json(&sample, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_image_inspect(0, 0, NULL, &error), "json");
    REFUSED(basin_image_inspect(0, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_secret_reply_set(NULL, "x", 1, 0, &error), "reply");
}

static void test_job(void)
{
    basin_progress_callback callback = {NULL, NULL, NULL};

    REFUSED(basin_job_new(0, NULL, &error), "job");
    REFUSED(basin_job_new(UNKNOWN, &new_job, &error), "flags");
    REFUSED(basin_job_set_timeout(NULL, 1, 0, &error), "job");
    REFUSED(basin_job_set_timeout(job, 1, UNKNOWN, &error), "flags");
    REFUSED(basin_job_set_wait(NULL, 1, 0, &error), "job");
    REFUSED(basin_job_set_wait(job, 1, UNKNOWN, &error), "flags");
    REFUSED(basin_job_set_dry_run(NULL, 1, 0, &error), "job");
    REFUSED(basin_job_set_dry_run(job, 1, UNKNOWN, &error), "flags");
    REFUSED(basin_job_set_progress_callback(NULL, &callback, 0, &error), "job");
    REFUSED(basin_job_set_progress_callback(job, &callback, UNKNOWN, &error), "flags");
    REFUSED(basin_job_get_progress(NULL, 0, &progress, &error), "job");
    REFUSED(basin_job_get_progress(job, 0, NULL, &error), "progress");
    REFUSED(basin_job_get_progress(job, UNKNOWN, &progress, &error), "flags");
    REFUSED(basin_job_list_plan(NULL, 0, &steps, &count, &error), "job");
    REFUSED(basin_job_list_plan(job, 0, NULL, &count, &error), "steps");
    REFUSED(basin_job_list_plan(job, 0, &steps, NULL, &error), "count");
    REFUSED(basin_job_list_plan(job, UNKNOWN, &steps, &count, &error), "flags");
    REFUSED(basin_job_list_trace(NULL, 0, &steps, &count, &error), "job");
    REFUSED(basin_job_list_trace(job, 0, NULL, &count, &error), "steps");
    REFUSED(basin_job_list_trace(job, UNKNOWN, &steps, &count, &error), "flags");
    REFUSED(basin_job_get_plan_json(NULL, 0, &text, &error), "job");
    REFUSED(basin_job_get_plan_json(job, 0, NULL, &error), "json");
    REFUSED(basin_job_get_plan_json(job, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_job_get_trace_json(NULL, 0, &text, &error), "job");
    REFUSED(basin_job_get_trace_json(job, 0, NULL, &error), "json");
    REFUSED(basin_job_get_trace_json(job, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_job_get_fact(NULL, "method", 0, &text, &error), "job");
    REFUSED(basin_job_get_fact(job, NULL, 0, &text, &error), "name");
    REFUSED(basin_job_get_fact(job, "method", 0, NULL, &error), "value");
    REFUSED(basin_job_get_fact(job, "method", UNKNOWN, &text, &error), "flags");
    REFUSED(basin_job_get_facts_json(NULL, 0, &text, &error), "job");
    REFUSED(basin_job_get_facts_json(job, 0, NULL, &error), "json");
    REFUSED(basin_job_get_facts_json(job, UNKNOWN, &text, &error), "flags");
    EXPECT(basin_job_time_left(job) == -1 && basin_job_wait(job) == 0);
    EXPECT(basin_job_is_dry_run(job) == 0);

    basin_job_cancel(NULL);
    EXPECT(basin_job_is_cancelled(NULL) == 0 && basin_job_is_dry_run(NULL) == 0);
    EXPECT(basin_job_time_left(NULL) == -1 && basin_job_wait(NULL) == 0);
}

static void test_context(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    const char* null_type[] = {NULL};

    REFUSED(basin_context_new(NULL, 0, NULL, &error), "context");
    REFUSED(basin_context_new(NULL, UNKNOWN, &new_context, &error), "flags");
    options.struct_size = 8;
    REFUSED(basin_context_new(&options, 0, &new_context, &error), "struct_size");
    options.struct_size = sizeof(options);
    options.reserved = 1;
    REFUSED(basin_context_new(&options, 0, &new_context, &error), "reserved");
    REFUSED(basin_context_define_pool(NULL, fixture_xml, 0, NULL, &new_pool, &error), "context");
    REFUSED(basin_context_define_pool(context, NULL, 0, NULL, &new_pool, &error), "definition");
    REFUSED(basin_context_define_pool(context, fixture_xml, 0, NULL, NULL, &error), "pool");
    REFUSED(basin_context_define_pool(context, fixture_xml, UNKNOWN, NULL, &new_pool, &error),
            "flags");
    REFUSED(basin_context_create_pool(NULL, fixture_xml, 0, 0, NULL, &new_pool, &error), "context");
    REFUSED(basin_context_create_pool(context, NULL, 0, 0, NULL, &new_pool, &error), "definition");
    REFUSED(basin_context_create_pool(context, fixture_xml, 4, 0, NULL, &new_pool, &error),
            "build");
    REFUSED(basin_context_create_pool(context, fixture_xml, 0, 0, NULL, NULL, &error), "pool");
    REFUSED(basin_context_create_pool(context, fixture_xml, 0, UNKNOWN, NULL, &new_pool, &error),
            "flags");
    REFUSED(basin_context_list_pools(NULL, NULL, 0, 0, &pools, &count, &error), "context");
    REFUSED(basin_context_list_pools(context, NULL, 1, 0, &pools, &count, &error), "types");
    REFUSED(basin_context_list_pools(context, null_type, 1, 0, &pools, &count, &error), "types");
    REFUSED(basin_context_list_pools(context, NULL, 0, 0, NULL, &count, &error), "pools");
    REFUSED(basin_context_list_pools(context, NULL, 0, 0, &pools, NULL, &error), "count");
    REFUSED(basin_context_list_pools(context, NULL, 0, 1 << 6, &pools, &count, &error), "1 << 6");
    REFUSED(basin_context_find_pool(NULL, "vms", 0, &new_pool, &error), "context");
    REFUSED(basin_context_find_pool(context, NULL, 0, &new_pool, &error), "name");
    REFUSED(basin_context_find_pool(context, "vms", 0, NULL, &error), "pool");
    REFUSED(basin_context_find_pool(context, "vms", UNKNOWN, &new_pool, &error), "flags");
    REFUSED(basin_context_find_pool_by_uuid(NULL, "", 0, &new_pool, &error), "context");
    REFUSED(basin_context_find_pool_by_uuid(context, NULL, 0, &new_pool, &error), "uuid");
    REFUSED(basin_context_find_pool_by_uuid(context, "", UNKNOWN, &new_pool, &error), "flags");
    REFUSED(basin_context_find_pool_by_target_path(NULL, "/", 0, &new_pool, &error), "context");
    REFUSED(basin_context_find_pool_by_target_path(context, NULL, 0, &new_pool, &error), "path");
    REFUSED(basin_context_find_pool_by_target_path(context, "/", UNKNOWN, &new_pool, &error),
            "flags");
    REFUSED(basin_context_find_volume_by_key(NULL, "k", 0, &new_volume, &error), "context");
    REFUSED(basin_context_find_volume_by_key(context, NULL, 0, &new_volume, &error), "key");
    REFUSED(basin_context_find_volume_by_key(context, "k", 0, NULL, &error), "volume");
    REFUSED(basin_context_find_volume_by_key(context, "k", UNKNOWN, &new_volume, &error), "flags");
    REFUSED(basin_context_find_volume_by_path(NULL, "/", 0, &new_volume, &error), "context");
    REFUSED(basin_context_find_volume_by_path(context, NULL, 0, &new_volume, &error), "path");
    REFUSED(basin_context_find_volume_by_path(context, "/", UNKNOWN, &new_volume, &error), "flags");
    REFUSED(basin_context_find_pool_sources(NULL, "dir", NULL, 0, NULL, &text, &error), "context");
    REFUSED(basin_context_find_pool_sources(context, NULL, NULL, 0, NULL, &text, &error), "type");
    REFUSED(basin_context_find_pool_sources(context, "dir", NULL, 0, NULL, NULL, &error), "xml");
    REFUSED(basin_context_find_pool_sources(context, "dir", NULL, UNKNOWN, NULL, &text, &error),
            "flags");
    REFUSED(basin_context_autostart(NULL, 0, NULL, &autostarted, &count, &error), "context");
    REFUSED(basin_context_autostart(context, 0, NULL, NULL, &count, &error), "results");
    REFUSED(basin_context_autostart(context, UNKNOWN, NULL, &autostarted, &count, &error), "flags");
    REFUSED(basin_context_recover(NULL, 0, &recovered, &count, &error), "context");
    REFUSED(basin_context_recover(context, 0, NULL, &count, &error), "results");
    REFUSED(basin_context_recover(context, UNKNOWN, &recovered, &count, &error), "flags");
    REFUSED(basin_context_list_recovery_plan(NULL, 0, &steps, &count, &error), "context");
    REFUSED(basin_context_list_recovery_plan(context, 0, NULL, &count, &error), "steps");
    REFUSED(basin_context_list_recovery_plan(context, 0, &steps, NULL, &error), "count");
    REFUSED(basin_context_list_recovery_plan(context, UNKNOWN, &steps, &count, &error), "flags");
    REFUSED(basin_context_event_fd(NULL, 0, &number, &error), "context");
    REFUSED(basin_context_event_fd(context, 0, NULL, &error), "fd");
    REFUSED(basin_context_event_fd(context, UNKNOWN, &number, &error), "flags");
    REFUSED(basin_context_next_event(NULL, 0, &event, &error), "context");
    REFUSED(basin_context_next_event(context, 0, NULL, &error), "event");
    REFUSED(basin_context_next_event(context, UNKNOWN, &event, &error), "flags");
}

static void test_pool(void)
{
    REFUSED(basin_pool_copy(NULL, 0, &new_pool, &error), "pool");
    REFUSED(basin_pool_copy(pool, 0, NULL, &error), "copy");
    REFUSED(basin_pool_copy(pool, UNKNOWN, &new_pool, &error), "flags");
    REFUSED(basin_pool_get_xml(NULL, 0, &text, &error), "pool");
    REFUSED(basin_pool_get_xml(pool, 0, NULL, &error), "xml");
    REFUSED(basin_pool_get_xml(pool, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_get_json(NULL, 0, &text, &error), "pool");
    REFUSED(basin_pool_get_json(pool, 0, NULL, &error), "json");
    REFUSED(basin_pool_get_json(pool, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_get_info(NULL, 0, &pool_info, &error), "pool");
    REFUSED(basin_pool_get_info(pool, 0, NULL, &error), "info");
    REFUSED(basin_pool_get_info(pool, UNKNOWN, &pool_info, &error), "flags");
    REFUSED(basin_pool_get_info_json(NULL, 0, &text, &error), "pool");
    REFUSED(basin_pool_get_info_json(pool, 0, NULL, &error), "json");
    REFUSED(basin_pool_get_info_json(pool, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_is_active(NULL, 0, &number, &error), "pool");
    REFUSED(basin_pool_is_active(pool, 0, NULL, &error), "active");
    REFUSED(basin_pool_is_active(pool, UNKNOWN, &number, &error), "flags");
    REFUSED(basin_pool_is_persistent(NULL, 0, &number, &error), "pool");
    REFUSED(basin_pool_is_persistent(pool, 0, NULL, &error), "persistent");
    REFUSED(basin_pool_is_persistent(pool, UNKNOWN, &number, &error), "flags");
    REFUSED(basin_pool_get_autostart(NULL, 0, &number, &error), "pool");
    REFUSED(basin_pool_get_autostart(pool, 0, NULL, &error), "autostart");
    REFUSED(basin_pool_get_autostart(pool, UNKNOWN, &number, &error), "flags");
    REFUSED(basin_pool_set_autostart(NULL, 1, 0, NULL, &error), "pool");
    REFUSED(basin_pool_set_autostart(pool, 1, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_build(NULL, BASIN_BUILD_KEEP, 0, NULL, &error), "pool");
    REFUSED(basin_pool_build(pool, BASIN_BUILD_NONE, 0, NULL, &error), "mode");
    REFUSED(basin_pool_build(pool, BASIN_BUILD_KEEP, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_start(NULL, 0, 0, NULL, &error), "pool");
    REFUSED(basin_pool_start(pool, 4, 0, NULL, &error), "build");
    REFUSED(basin_pool_start(pool, 0, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_hold(NULL, 0, 0, NULL, &error), "pool");
    REFUSED(basin_pool_hold(pool, 4, 0, NULL, &error), "build");
    REFUSED(basin_pool_hold(pool, 0, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_release(NULL, 0, NULL, NULL, &error), "pool");
    REFUSED(basin_pool_release(pool, UNKNOWN, NULL, NULL, &error), "flags");
    REFUSED(basin_pool_stop(NULL, 0, NULL, &error), "pool");
    REFUSED(basin_pool_stop(pool, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_undefine(NULL, 0, NULL, &error), "pool");
    REFUSED(basin_pool_undefine(pool, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_delete(NULL, 0, NULL, &error), "pool");
    REFUSED(basin_pool_delete(pool, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_get_identity(NULL, 0, &text, &error), "pool");
    REFUSED(basin_pool_get_identity(pool, 0, NULL, &error), "identity");
    REFUSED(basin_pool_get_identity(pool, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_expect(NULL, "x", 0, &error), "pool");
    REFUSED(basin_pool_expect(pool, NULL, 0, &error), "identity");
    REFUSED(basin_pool_expect(pool, "", 0, &error), "identity");
    REFUSED(basin_pool_expect(pool, "x", UNKNOWN, &error), "flags");
    REFUSED(basin_pool_refresh(NULL, 0, NULL, &error), "pool");
    REFUSED(basin_pool_refresh(pool, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_pool_list_volumes(NULL, 0, &volumes, &count, &error), "pool");
    REFUSED(basin_pool_list_volumes(pool, 0, NULL, &count, &error), "volumes");
    REFUSED(basin_pool_list_volumes(pool, 0, &volumes, NULL, &error), "count");
    REFUSED(basin_pool_list_volumes(pool, UNKNOWN, &volumes, &count, &error), "flags");
    REFUSED(basin_pool_list_volume_entries(NULL, 0, &entries, &count, &error), "pool");
    REFUSED(basin_pool_list_volume_entries(pool, 0, NULL, &count, &error), "entries");
    REFUSED(basin_pool_list_volume_entries(pool, UNKNOWN, &entries, &count, &error), "flags");
    REFUSED(basin_pool_list_volume_names(NULL, 0, &texts, &count, &error), "pool");
    REFUSED(basin_pool_list_volume_names(pool, 0, NULL, &count, &error), "names");
    REFUSED(basin_pool_list_volume_names(pool, UNKNOWN, &texts, &count, &error), "flags");
    REFUSED(basin_pool_count_volumes(NULL, 0, &big, &error), "pool");
    REFUSED(basin_pool_count_volumes(pool, 0, NULL, &error), "count");
    REFUSED(basin_pool_count_volumes(pool, UNKNOWN, &big, &error), "flags");
    REFUSED(basin_pool_list_diagnostics(NULL, 0, &diagnostics, &count, &error), "pool");
    REFUSED(basin_pool_list_diagnostics(pool, 0, NULL, &count, &error), "diagnostics");
    REFUSED(basin_pool_list_diagnostics(pool, UNKNOWN, &diagnostics, &count, &error), "flags");
    REFUSED(basin_pool_get_diagnostics_json(NULL, 0, &text, &error), "pool");
    REFUSED(basin_pool_get_diagnostics_json(pool, 0, NULL, &error), "json");
    REFUSED(basin_pool_get_diagnostics_json(pool, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_find_volume(NULL, "a", 0, &new_volume, &error), "pool");
    REFUSED(basin_pool_find_volume(pool, NULL, 0, &new_volume, &error), "name");
    REFUSED(basin_pool_find_volume(pool, "a", 0, NULL, &error), "volume");
    REFUSED(basin_pool_find_volume(pool, "a", UNKNOWN, &new_volume, &error), "flags");
    REFUSED(basin_pool_create_volume(NULL, volume_xml, 0, NULL, &new_volume, &error), "pool");
    REFUSED(basin_pool_create_volume(pool, NULL, 0, NULL, &new_volume, &error), "definition");
    REFUSED(basin_pool_create_volume(pool, volume_xml, 0, NULL, NULL, &error), "volume");
    REFUSED(basin_pool_create_volume(pool, volume_xml, BASIN_VOLUME_CREATE_REFLINK, NULL,
                                     &new_volume, &error),
            "1 << 1");
    REFUSED(basin_pool_create_volume_from(NULL, volume_xml, volume, 0, NULL, &new_volume, &error),
            "pool");
    REFUSED(basin_pool_create_volume_from(pool, NULL, volume, 0, NULL, &new_volume, &error),
            "definition");
    REFUSED(basin_pool_create_volume_from(pool, volume_xml, NULL, 0, NULL, &new_volume, &error),
            "source");
    REFUSED(basin_pool_create_volume_from(pool, volume_xml, volume, 0, NULL, NULL, &error),
            "volume");
    REFUSED(
        basin_pool_create_volume_from(pool, volume_xml, volume, UNKNOWN, NULL, &new_volume, &error),
        "flags");
    REFUSED(basin_pool_list_blockers(NULL, 0, &blockers, &count, &error), "pool");
    REFUSED(basin_pool_list_blockers(pool, 0, NULL, &count, &error), "blockers");
    REFUSED(basin_pool_list_blockers(pool, UNKNOWN, &blockers, &count, &error), "flags");
    REFUSED(basin_pool_get_blockers_json(NULL, 0, &text, &error), "pool");
    REFUSED(basin_pool_get_blockers_json(pool, 0, NULL, &error), "json");
    REFUSED(basin_pool_get_blockers_json(pool, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_create_volume(pool, volume_xml, BASIN_VOLUME_CREATE_LINKED, NULL,
                                     &new_volume, &error),
            "1 << 4");
    REFUSED(basin_pool_create_volume(pool, volume_xml, BASIN_VOLUME_CREATE_DIGEST, NULL,
                                     &new_volume, &error),
            "1 << 5");
    REFUSED(
        basin_pool_create_volume_from(pool, volume_xml, volume, 1 << 6, NULL, &new_volume, &error),
        "1 << 6");
}

static void test_transfer(void)
{
    const uint32_t whole = sizeof(transfer);
    struct {
        basin_transfer known;
        uint64_t unknown;
    } newer = {BASIN_TRANSFER_INIT, 1};

    transfer.fd = 0;
    REFUSED(basin_pool_upload_volume(NULL, volume_xml, &transfer, 0, NULL, &new_volume, &error),
            "pool");
    REFUSED(basin_pool_upload_volume(pool, NULL, &transfer, 0, NULL, &new_volume, &error),
            "definition");
    REFUSED(basin_pool_upload_volume(pool, volume_xml, NULL, 0, NULL, &new_volume, &error),
            "source");
    REFUSED(basin_pool_upload_volume(pool, volume_xml, &transfer, 0, NULL, NULL, &error), "volume");
    REFUSED(
        basin_pool_upload_volume(pool, volume_xml, &transfer, UNKNOWN, NULL, &new_volume, &error),
        "flags");
    REFUSED(basin_pool_get_partial_upload(NULL, "a", 0, &number, &big, &error), "pool");
    REFUSED(basin_pool_get_partial_upload(pool, NULL, 0, &number, &big, &error), "name");
    REFUSED(basin_pool_get_partial_upload(pool, "a", 0, NULL, &big, &error), "found");
    REFUSED(basin_pool_get_partial_upload(pool, "a", 0, &number, NULL, &error), "bytes");
    REFUSED(basin_pool_get_partial_upload(pool, "a", UNKNOWN, &number, &big, &error), "flags");
    REFUSED(basin_pool_get_upload_identity(NULL, "a", 0, &text, &error), "pool");
    REFUSED(basin_pool_get_upload_identity(pool, NULL, 0, &text, &error), "name");
    REFUSED(basin_pool_get_upload_identity(pool, "a", 0, NULL, &error), "identity");
    REFUSED(basin_pool_get_upload_identity(pool, "a", UNKNOWN, &text, &error), "flags");
    REFUSED(basin_pool_discard_upload(NULL, "a", 0, NULL, &error), "pool");
    REFUSED(basin_pool_discard_upload(pool, NULL, 0, NULL, &error), "name");
    REFUSED(basin_pool_discard_upload(pool, "a", UNKNOWN, NULL, &error), "flags");

    REFUSED(basin_volume_upload_from(NULL, &transfer, 0, NULL, &big, &error), "volume");
    REFUSED(basin_volume_upload_from(volume, NULL, 0, NULL, &big, &error), "source");
    REFUSED(basin_volume_upload_from(volume, &transfer, 0, NULL, NULL, &error), "bytes");
    REFUSED(basin_volume_upload_from(volume, &transfer, UNKNOWN, NULL, &big, &error), "flags");
    REFUSED(
        basin_volume_upload_from(volume, &transfer, BASIN_TRANSFER_RESUMABLE, NULL, &big, &error),
        "1 << 2");
    REFUSED(basin_volume_download_to(NULL, &transfer, 0, NULL, &big, &error), "volume");
    REFUSED(basin_volume_download_to(volume, NULL, 0, NULL, &big, &error), "target");
    REFUSED(basin_volume_download_to(volume, &transfer, 0, NULL, NULL, &error), "bytes");
    REFUSED(basin_volume_download_to(volume, &transfer, UNKNOWN, NULL, &big, &error), "flags");

    transfer.fd = -1;
    REFUSED(basin_volume_upload_from(volume, &transfer, 0, NULL, &big, &error), "read");
    REFUSED(basin_volume_download_to(volume, &transfer, 0, NULL, &big, &error), "write");
    transfer.reserved = 1;
    REFUSED(basin_volume_upload_from(volume, &transfer, 0, NULL, &big, &error), "reserved");
    transfer.reserved = 0;
    for (transfer.struct_size = 0; transfer.struct_size < whole; ++transfer.struct_size)
        REFUSED(basin_volume_upload_from(volume, &transfer, 0, NULL, &big, &error), "struct_size");
    newer.known.struct_size = sizeof(newer);
    REFUSED(basin_volume_download_to(volume, &newer.known, 0, NULL, &big, &error), "know");
    newer.unknown = 0;
    REFUSED(basin_volume_download_to(volume, &newer.known, 0, NULL, &big, &error), "write");
}

static void test_access(void)
{
    const uint32_t groups[] = {1};

    REFUSED(basin_explain_access(NULL, 0, 0, groups, 1, 1, 0, &explanation, &error), "path");
    REFUSED(basin_explain_access("/", 0, 0, NULL, 1, 1, 0, &explanation, &error), "groups");
    REFUSED(basin_explain_access("/", 0, 0, groups, 1, 0, 0, &explanation, &error), "mode");
    REFUSED(basin_explain_access("/", 0, 0, groups, 1, 8, 0, &explanation, &error), "mode");
    REFUSED(basin_explain_access("/", 0, 0, groups, 1, 1, UNKNOWN, &explanation, &error), "flags");
    REFUSED(basin_explain_access("/", 0, 0, groups, 1, 1, 0, NULL, &error), "explanation");
    REFUSED(basin_explain_access_json(NULL, 0, 0, groups, 1, 1, 0, &text, &error), "path");
    REFUSED(basin_explain_access_json("/", 0, 0, groups, 1, 9, 0, &text, &error), "mode");
    REFUSED(basin_explain_access_json("/", 0, 0, groups, 1, 1, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_explain_access_json("/", 0, 0, groups, 1, 1, 0, NULL, &error), "json");
}

static void test_volume(void)
{
    REFUSED(basin_volume_copy(NULL, 0, &new_volume, &error), "volume");
    REFUSED(basin_volume_copy(volume, 0, NULL, &error), "copy");
    REFUSED(basin_volume_copy(volume, UNKNOWN, &new_volume, &error), "flags");
    REFUSED(basin_volume_get_key(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_key(volume, 0, NULL, &error), "key");
    REFUSED(basin_volume_get_key(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_get_path(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_path(volume, 0, NULL, &error), "path");
    REFUSED(basin_volume_get_path(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_get_pool(NULL, 0, &new_pool, &error), "volume");
    REFUSED(basin_volume_get_pool(volume, 0, NULL, &error), "pool");
    REFUSED(basin_volume_get_pool(volume, UNKNOWN, &new_pool, &error), "flags");
    REFUSED(basin_volume_get_identity(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_identity(volume, 0, NULL, &error), "identity");
    REFUSED(basin_volume_get_identity(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_expect(NULL, "x", 0, &error), "volume");
    REFUSED(basin_volume_expect(volume, NULL, 0, &error), "identity");
    REFUSED(basin_volume_expect(volume, "", 0, &error), "identity");
    REFUSED(basin_volume_expect(volume, "x", UNKNOWN, &error), "flags");
    REFUSED(basin_volume_get_xml(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_xml(volume, 0, NULL, &error), "xml");
    REFUSED(basin_volume_get_xml(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_get_json(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_json(volume, 0, NULL, &error), "json");
    REFUSED(basin_volume_get_json(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_get_info(NULL, 0, &volume_info, &error), "volume");
    REFUSED(basin_volume_get_info(volume, 0, NULL, &error), "info");
    REFUSED(basin_volume_get_info(volume, UNKNOWN, &volume_info, &error), "flags");
    REFUSED(basin_volume_get_info_json(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_info_json(volume, 0, NULL, &error), "json");
    REFUSED(basin_volume_get_info_json(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_inspect(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_inspect(volume, 0, NULL, &error), "json");
    REFUSED(basin_volume_inspect(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_refresh(NULL, 0, NULL, &error), "volume");
    REFUSED(basin_volume_refresh(volume, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_delete(NULL, 0, NULL, &error), "volume");
    REFUSED(basin_volume_delete(volume, UNKNOWN, NULL, &error), "flags");
    /* A job cannot be allowed. */
    REFUSED(basin_volume_delete(volume, BASIN_BLOCKER_JOB << 16, NULL, &error), "1 << 20");
    REFUSED(basin_volume_resize(NULL, 1, 0, NULL, &error), "volume");
    REFUSED(basin_volume_resize(volume, 1, 1 << 3, NULL, &error), "1 << 3");
    REFUSED(basin_volume_rename(NULL, "n", 0, NULL, &error), "volume");
    REFUSED(basin_volume_rename(volume, NULL, 0, NULL, &error), "new_name");
    REFUSED(basin_volume_rename(volume, "n", UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_wipe(NULL, 0, 0, NULL, &error), "volume");
    REFUSED(basin_volume_wipe(volume, BASIN_WIPE_TRIM + 1, 0, NULL, &error), "algorithm");
    REFUSED(basin_volume_wipe(volume, 0, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_upload(NULL, 0, 0, 0, 0, NULL, &error), "volume");
    REFUSED(basin_volume_upload(volume, 0, 0, 0, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_download(NULL, 1, 0, 0, 0, NULL, &error), "volume");
    REFUSED(basin_volume_download(volume, 1, 0, 0, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_list_snapshots(NULL, 0, &snapshots, &count, &error), "volume");
    REFUSED(basin_volume_list_snapshots(volume, 0, NULL, &count, &error), "snapshots");
    REFUSED(basin_volume_list_snapshots(volume, UNKNOWN, &snapshots, &count, &error), "flags");
    REFUSED(basin_volume_create_snapshot(NULL, "s", 0, NULL, &snapshot, &error), "volume");
    REFUSED(basin_volume_create_snapshot(volume, NULL, 0, NULL, &snapshot, &error), "name");
    REFUSED(basin_volume_create_snapshot(volume, "s", 0, NULL, NULL, &error), "snapshot");
    REFUSED(basin_volume_create_snapshot(volume, "s", UNKNOWN, NULL, &snapshot, &error), "flags");
    REFUSED(basin_volume_delete_snapshot(NULL, "s", 0, NULL, &error), "volume");
    REFUSED(basin_volume_delete_snapshot(volume, NULL, 0, NULL, &error), "name");
    REFUSED(basin_volume_delete_snapshot(volume, "s", UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_protect_snapshot(NULL, "s", 1, 0, NULL, &error), "volume");
    REFUSED(basin_volume_protect_snapshot(volume, NULL, 1, 0, NULL, &error), "name");
    REFUSED(basin_volume_protect_snapshot(volume, "s", 1, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_list_metadata(NULL, 0, &metadata, &count, &error), "volume");
    REFUSED(basin_volume_list_metadata(volume, 0, NULL, &count, &error), "entries");
    REFUSED(basin_volume_list_metadata(volume, 0, &metadata, NULL, &error), "count");
    REFUSED(basin_volume_list_metadata(volume, UNKNOWN, &metadata, &count, &error), "flags");
    REFUSED(basin_volume_set_metadata(NULL, "k", "v", 0, NULL, &error), "volume");
    REFUSED(basin_volume_set_metadata(volume, NULL, "v", 0, NULL, &error), "key");
    REFUSED(basin_volume_set_metadata(volume, "k", NULL, 0, NULL, &error), "value");
    REFUSED(basin_volume_set_metadata(volume, "k", "v", UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_remove_metadata(NULL, "k", 0, NULL, &error), "volume");
    REFUSED(basin_volume_remove_metadata(volume, NULL, 0, NULL, &error), "key");
    REFUSED(basin_volume_remove_metadata(volume, "k", UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_flatten(NULL, 0, NULL, &error), "volume");
    REFUSED(basin_volume_flatten(volume, UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_revert_snapshot(NULL, "s", 0, NULL, &error), "volume");
    REFUSED(basin_volume_revert_snapshot(volume, NULL, 0, NULL, &error), "name");
    REFUSED(basin_volume_revert_snapshot(volume, "s", UNKNOWN, NULL, &error), "flags");
    REFUSED(basin_volume_list_blockers(NULL, 0, &blockers, &count, &error), "volume");
    REFUSED(basin_volume_list_blockers(volume, 0, NULL, &count, &error), "blockers");
    REFUSED(basin_volume_list_blockers(volume, UNKNOWN, &blockers, &count, &error), "flags");
    REFUSED(basin_volume_get_blockers_json(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_blockers_json(volume, 0, NULL, &error), "json");
    REFUSED(basin_volume_get_blockers_json(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_list_chain(NULL, 0, &links, &count, &error), "volume");
    REFUSED(basin_volume_list_chain(volume, 0, NULL, &count, &error), "links");
    REFUSED(basin_volume_list_chain(volume, 0, &links, NULL, &error), "count");
    REFUSED(basin_volume_list_chain(volume, UNKNOWN, &links, &count, &error), "flags");
    REFUSED(basin_volume_get_chain_json(NULL, 0, &text, &error), "volume");
    REFUSED(basin_volume_get_chain_json(volume, 0, NULL, &error), "json");
    REFUSED(basin_volume_get_chain_json(volume, UNKNOWN, &text, &error), "flags");
    REFUSED(basin_volume_list_dependents(NULL, 0, &volumes, &count, &error), "volume");
    REFUSED(basin_volume_list_dependents(volume, 0, NULL, &count, &error), "volumes");
    REFUSED(basin_volume_list_dependents(volume, 0, &volumes, NULL, &error), "count");
    REFUSED(basin_volume_list_dependents(volume, UNKNOWN, &volumes, &count, &error), "flags");
}

static void test_getters_and_frees_take_null(void)
{
    EXPECT_TEXT(basin_context_config_dir(NULL), "");
    EXPECT_TEXT(basin_context_state_dir(NULL), "");
    EXPECT_TEXT(basin_context_run_dir(NULL), "");
    EXPECT_TEXT(basin_pool_name(NULL), "");
    EXPECT_TEXT(basin_pool_uuid(NULL), "");
    EXPECT_TEXT(basin_pool_type(NULL), "");
    EXPECT_TEXT(basin_volume_name(NULL), "");
    EXPECT(basin_pool_equal(NULL, NULL) == 0 && basin_pool_equal(pool, NULL) == 0);

    basin_free(NULL);
    basin_string_list_free(NULL);
    basin_error_free(NULL);
    basin_backend_info_free(NULL);
    basin_job_free(NULL);
    basin_progress_free(NULL);
    basin_step_list_free(NULL);
    basin_event_free(NULL);
    basin_context_free(NULL);
    basin_autostart_result_list_free(NULL);
    basin_recovery_result_list_free(NULL);
    basin_pool_free(NULL);
    basin_pool_list_free(NULL);
    basin_pool_info_free(NULL);
    basin_volume_entry_list_free(NULL);
    basin_diagnostic_list_free(NULL);
    basin_blocker_list_free(NULL);
    basin_chain_link_list_free(NULL);
    basin_access_explanation_free(NULL);
    basin_volume_free(NULL);
    basin_volume_list_free(NULL);
    basin_volume_info_free(NULL);
    basin_snapshot_list_free(NULL);
    basin_metadata_list_free(NULL);
    basin_snapshot_free(NULL);
}

static void test_nothing_happened(void)
{
    basin_volume** found = NULL;
    size_t length = 0;
    int active = 0;

    EXPECT(!text && !texts && !new_pool && !pools && !new_volume && !volumes && !new_job);
    EXPECT(!new_context && !backend && !pool_info && !volume_info && !progress && !steps);
    EXPECT(!event && !autostarted && !recovered && !diagnostics && !blockers && !entries);
    EXPECT(!links && !explanation);
    EXPECT(!snapshot && !snapshots && !metadata && count == 77 && number == 77 && big == 77);
    EXPECT_OK(basin_pool_is_active(pool, 0, &active, &error));
    EXPECT(active == 1);
    EXPECT_OK(basin_pool_list_volumes(pool, 0, &found, &length, &error));
    EXPECT(length == 1);
    basin_volume_list_free(found);
    /* The error object is optional. */
    EXPECT(basin_pool_stop(NULL, 0, NULL, NULL) == BASIN_E_INVALID_ARGUMENT);
}

int main(void)
{
    fixture_open();
    context = fixture_context();
    pool = fixture_pool(context);
    volume = fixture_volume(pool, "a");
    EXPECT_OK(basin_job_new(0, &job, &error));

    test_static();
    test_job();
    test_context();
    test_pool();
    test_volume();
    test_transfer();
    test_access();
    test_getters_and_frees_take_null();
    test_nothing_happened();

    basin_job_free(job);
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(context);
    return failures();
}
