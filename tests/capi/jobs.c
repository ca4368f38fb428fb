/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs: dry run, plan and trace, cancel, deadline. */
#include "fixture.h"

static const char volume_xml[] = "<volume><name>a</name><capacity unit='MiB'>1</capacity></volume>";

static void test_dry_run(basin_context* context)
{
    basin_job* job = NULL;
    basin_pool* pool = NULL;
    basin_step** plan = NULL;
    basin_step** trace = NULL;
    size_t planned = 0;
    size_t done = 99;
    char* json = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_job_set_dry_run(job, 1, 0, &error));
    EXPECT(basin_job_is_dry_run(job) == 1);
    EXPECT_OK(basin_context_define_pool(context, fixture_xml, 0, job, &pool, &error));
    EXPECT_TEXT(basin_pool_name(pool), "vms");
    basin_pool_free(pool);
    EXPECT_CODE(basin_context_find_pool(context, "vms", 0, &pool, &error), BASIN_E_NOT_FOUND);

    EXPECT_OK(basin_job_list_plan(job, 0, &plan, &planned, &error));
    if (EXPECT(planned > 0)) {
        EXPECT(plan[0]->struct_size == sizeof(basin_step) && plan[planned] == NULL);
        EXPECT(plan[0]->kind[0] != '\0' && plan[0]->summary[0] != '\0');
        EXPECT(plan[0]->call != NULL && plan[0]->call[0] != NULL);
    }
    basin_step_list_free(plan);
    EXPECT_OK(basin_job_list_trace(job, 0, &trace, &done, &error));
    EXPECT(done == 0 && trace[0] == NULL);
    basin_step_list_free(trace);
    EXPECT_OK(basin_job_get_plan_json(job, 0, &json, &error));
    EXPECT(json[0] == '[' && json[1] == '{' && json[strlen(json) - 1] == ']');
    basin_free(json);
    EXPECT_OK(basin_job_get_trace_json(job, 0, &json, &error));
    EXPECT_TEXT(json, "[]");
    basin_free(json);
    basin_job_free(job);
}

static void test_plan_and_trace_agree(basin_pool* pool)
{
    basin_job* job = NULL;
    basin_volume* volume = NULL;
    char* plan = NULL;
    char* trace = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_pool_create_volume(pool, volume_xml, 0, job, &volume, &error));
    EXPECT_OK(basin_job_get_plan_json(job, 0, &plan, &error));
    EXPECT_OK(basin_job_get_trace_json(job, 0, &trace, &error));
    EXPECT_TEXT(plan, trace);
    basin_free(plan);
    basin_free(trace);
    EXPECT_OK(basin_volume_delete(volume, 0, job, &error));
    basin_volume_free(volume);
    basin_job_free(job);
}

static void test_cancel(basin_pool* pool)
{
    basin_job* job = NULL;
    basin_volume* volume = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT(basin_job_is_cancelled(job) == 0);
    basin_job_cancel(job);
    EXPECT(basin_job_is_cancelled(job) == 1);
    EXPECT_CODE(basin_pool_create_volume(pool, volume_xml, 0, job, &volume, &error),
                BASIN_E_CANCELLED);
    EXPECT(volume == NULL);
    EXPECT_CODE(basin_pool_find_volume(pool, "a", 0, &volume, &error), BASIN_E_NOT_FOUND);
    basin_job_free(job);
}

static void test_times(void)
{
    basin_job* job = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT(basin_job_time_left(job) == -1);
    EXPECT_OK(basin_job_set_timeout(job, 1000000, 0, &error));
    EXPECT(basin_job_time_left(job) > 0 && basin_job_time_left(job) <= 1000000);
    EXPECT_OK(basin_job_set_timeout(job, UINT64_MAX, 0, &error));
    EXPECT(basin_job_time_left(job) > 1000000);
    EXPECT_OK(basin_job_set_timeout(job, 0, 0, &error));
    EXPECT(basin_job_time_left(job) == -1);
    EXPECT(basin_job_wait(job) == 0);
    EXPECT_OK(basin_job_set_wait(job, 250, 0, &error));
    EXPECT(basin_job_wait(job) == 250);
    EXPECT_OK(basin_job_set_wait(job, UINT64_MAX, 0, &error));
    EXPECT(basin_job_wait(job) > 1000000);
    basin_job_free(job);
}

static void test_deadline(basin_pool* pool)
{
    basin_job* job = NULL;
    basin_volume* volume = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_job_set_timeout(job, 1, 0, &error));
    while (basin_job_time_left(job) > 0)
        usleep(1000);
    EXPECT_CODE(basin_pool_create_volume(pool, volume_xml, 0, job, &volume, &error),
                BASIN_E_TIMED_OUT);
    EXPECT(volume == NULL);
    basin_job_free(job);
}

static void test_no_facts(basin_pool* pool)
{
    basin_job* job = NULL;
    char* text = (char*)"something";

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_pool_refresh(pool, 0, job, &error));
    EXPECT_OK(basin_job_get_fact(job, "method", 0, &text, &error));
    EXPECT(text == NULL);
    EXPECT_OK(basin_job_get_facts_json(job, 0, &text, &error));
    EXPECT_TEXT(text, "{}");
    basin_free(text);
    basin_job_free(job);
}

/** A copy tells how it was made, and with BASIN_VOLUME_CREATE_DIGEST of what. */
static void test_facts_of_a_copy(basin_pool* pool)
{
    /* SHA-256 of 1 MiB of zeros. */
    const char* zeros = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58";
    basin_job* job = NULL;
    basin_volume* source = fixture_volume(pool, "original");
    basin_volume* copy = NULL;
    char* method = NULL;
    char* digest = NULL;
    char* json = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_pool_create_volume_from(pool, "<volume><name>copy</name></volume>", source,
                                            BASIN_VOLUME_CREATE_DIGEST, job, &copy, &error));
    EXPECT_OK(basin_job_get_fact(job, "method", 0, &method, &error));
    EXPECT_OK(basin_job_get_fact(job, "sha256", 0, &digest, &error));
    EXPECT_OK(basin_job_get_facts_json(job, 0, &json, &error));
    if (EXPECT(method && digest)) {
        EXPECT(method[0] != '\0' && strstr(json, method) != NULL);
        EXPECT_TEXT(digest, zeros);
        EXPECT(strstr(json, "\"sha256\":\"30e14955") != NULL);
    }
    basin_free(json);
    basin_free(method);
    basin_free(digest);
    EXPECT_OK(basin_volume_delete(copy, 0, NULL, &error));
    EXPECT_OK(basin_volume_delete(source, 0, NULL, &error));
    basin_volume_free(copy);
    basin_volume_free(source);
    basin_job_free(job);
}

int main(void)
{
    basin_context* context;
    basin_pool* pool;

    fixture_open();
    context = fixture_context();
    test_dry_run(context);
    pool = fixture_pool(context);
    test_plan_and_trace_agree(pool);
    test_cancel(pool);
    test_times();
    test_deadline(pool);
    test_no_facts(pool);
    test_facts_of_a_copy(pool);
    basin_pool_free(pool);
    basin_context_free(context);
    return failures();
}
