/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Callbacks: free_user_data runs exactly once, also when the call that took the callback fails. */
#include "fixture.h"

struct counts {
    int called;
    int freed;
};

static void count_free(void* user_data)
{
    ++((struct counts*)user_data)->freed;
}

static void count_log(void* user_data, uint32_t level, const char* line)
{
    (void)level;
    EXPECT(strchr(line, '\n') == NULL);
    EXPECT(((struct counts*)user_data)->freed == 0);
    ++((struct counts*)user_data)->called;
}

static int count_secret(void* user_data, const basin_secret_request* request,
                        basin_secret_reply* reply)
{
    (void)request;
    ++((struct counts*)user_data)->called;
    return basin_secret_reply_set(reply, "secret", 6, 0, NULL);
}

static void count_progress(void* user_data, const basin_progress* progress)
{
    EXPECT(progress->struct_size == sizeof(*progress) && progress->phase != NULL);
    EXPECT(((struct counts*)user_data)->freed == 0);
    ++((struct counts*)user_data)->called;
}

static struct counts log_counts;
static struct counts secret_counts;

static basin_context_options options_with_callbacks(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;

    memset(&log_counts, 0, sizeof(log_counts));
    memset(&secret_counts, 0, sizeof(secret_counts));
    options.root = fixture_root;
    options.log.fn = count_log;
    options.log.user_data = &log_counts;
    options.log.free_user_data = count_free;
    options.secrets.fn = count_secret;
    options.secrets.user_data = &secret_counts;
    options.secrets.free_user_data = count_free;
    return options;
}

static void expect_freed(int times)
{
    EXPECT(log_counts.freed == times);
    EXPECT(secret_counts.freed == times);
}

static void test_context(void)
{
    basin_context_options options = options_with_callbacks();
    basin_context* context = NULL;
    basin_pool* pool = NULL;

    EXPECT_OK(basin_context_new(&options, 0, &context, &error));
    expect_freed(0);
    /* A lenient reading tells the log what it ignored. */
    EXPECT_OK(basin_context_define_pool(
        context,
        "<pool type='dir'><name>odd</name><target><path>/nowhere</path></target><odd/></pool>", 0,
        NULL, &pool, &error));
    EXPECT(log_counts.called > 0);
    /* The pool keeps the context open. */
    basin_context_free(context);
    expect_freed(0);
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    basin_pool_free(pool);
    expect_freed(1);
}

static void test_failing_context(void)
{
    basin_context_options options = options_with_callbacks();
    basin_context* context = NULL;

    EXPECT_CODE(basin_context_new(&options, 1 << 30, &context, &error), BASIN_E_INVALID_ARGUMENT);
    expect_freed(1);
    options = options_with_callbacks();
    EXPECT_CODE(basin_context_new(&options, 0, NULL, &error), BASIN_E_INVALID_ARGUMENT);
    expect_freed(1);
    options = options_with_callbacks();
    options.reserved = 1;
    EXPECT_CODE(basin_context_new(&options, 0, &context, &error), BASIN_E_INVALID_ARGUMENT);
    expect_freed(1);
    options = options_with_callbacks();
    options.root = "/dev/null/below";
    EXPECT(basin_context_new(&options, 0, &context, &error) != BASIN_OK);
    basin_error_free(error);
    error = NULL;
    expect_freed(1);
    EXPECT(context == NULL);
}

/** user_data can be freed without there being a function to call. */
static void test_without_function(void)
{
    basin_context_options options = options_with_callbacks();
    basin_context* context = NULL;

    options.log.fn = NULL;
    options.secrets.fn = NULL;
    EXPECT_OK(basin_context_new(&options, 0, &context, &error));
    expect_freed(1);
    basin_context_free(context);
    expect_freed(1);
}

static void test_progress(void)
{
    struct counts first = {0, 0};
    struct counts second = {0, 0};
    struct counts refused = {0, 0};
    basin_progress_callback callback = {count_progress, &first, count_free};
    basin_job* job = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_job_set_progress_callback(job, &callback, 0, &error));
    EXPECT(first.freed == 0);
    callback.user_data = &refused;
    EXPECT_CODE(basin_job_set_progress_callback(job, &callback, 1 << 30, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(refused.freed == 1 && first.freed == 0);
    EXPECT_CODE(basin_job_set_progress_callback(NULL, &callback, 0, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(refused.freed == 2);
    callback.user_data = &second;
    EXPECT_OK(basin_job_set_progress_callback(job, &callback, 0, &error));
    EXPECT(first.freed == 1 && second.freed == 0);
    EXPECT_OK(basin_job_set_progress_callback(job, NULL, 0, &error));
    EXPECT(second.freed == 1);
    EXPECT_OK(basin_job_set_progress_callback(job, &callback, 0, &error));
    basin_job_free(job);
    EXPECT(second.freed == 2 && first.freed == 1);
}

/** A call that creates something reports progress to the job's callback. */
static void test_progress_is_reported(void)
{
    struct counts counts = {0, 0};
    basin_progress_callback callback = {count_progress, &counts, NULL};
    basin_context* context = fixture_context();
    basin_pool* pool = fixture_pool(context);
    basin_volume* volume = NULL;
    basin_progress* progress = NULL;
    basin_job* job = NULL;

    EXPECT_OK(basin_job_new(0, &job, &error));
    EXPECT_OK(basin_job_set_progress_callback(job, &callback, 0, &error));
    EXPECT_OK(basin_pool_create_volume(
        pool, "<volume><name>full</name><capacity unit='MiB'>2</capacity></volume>", 0, job,
        &volume, &error));
    EXPECT(counts.called > 0);
    EXPECT_OK(basin_job_get_progress(job, 0, &progress, &error));
    EXPECT(progress->struct_size == sizeof(*progress) && progress->done <= progress->total);
    basin_progress_free(progress);
    basin_job_free(job);
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(context);
}

static int64_t give_nothing(void* user_data, void* buffer, size_t size, uint64_t* hole)
{
    (void)buffer;
    (void)size;
    EXPECT(*hole == 0);
    ++((struct counts*)user_data)->called;
    return 0;
}

static int take_nothing(void* user_data, const void* data, size_t size, uint64_t hole)
{
    (void)data;
    (void)size;
    (void)hole;
    ++((struct counts*)user_data)->called;
    return BASIN_E_CANCELLED;
}

/** Both ends' user_data, freed when the function returns; it fails before it calls either. */
static void test_failing_transfers(void)
{
    basin_context* context = fixture_context();
    basin_pool* pool = NULL;
    basin_volume* volume;
    basin_volume* made = NULL;
    struct counts reads = {0, 0};
    struct counts writes = {0, 0};
    basin_transfer transfer = BASIN_TRANSFER_INIT;
    uint64_t bytes = 77;

    EXPECT_OK(basin_context_find_pool(context, "vms", 0, &pool, &error));
    volume = fixture_volume(pool, "a");
    transfer.read.fn = give_nothing;
    transfer.read.user_data = &reads;
    transfer.read.free_user_data = count_free;
    transfer.write.fn = take_nothing;
    transfer.write.user_data = &writes;
    transfer.write.free_user_data = count_free;
    EXPECT_CODE(basin_volume_upload_from(NULL, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 1 && writes.freed == 1);
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 1 << 30, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 2 && writes.freed == 2);
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, NULL, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 3 && writes.freed == 3);
    /* Only one end is wanted. */
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 4 && writes.freed == 4);
    EXPECT_CODE(basin_volume_download_to(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 5 && writes.freed == 5);
    EXPECT_CODE(basin_pool_upload_volume(pool, "<volume", &transfer, 0, NULL, &made, &error),
                BASIN_E_INVALID_XML);
    EXPECT(reads.freed == 6 && writes.freed == 6);
    transfer.write.fn = NULL;
    transfer.fd = 0;
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 7 && writes.freed == 7);
    /* A structure that is too small has nothing to free. */
    transfer.struct_size = 8;
    EXPECT_CODE(basin_volume_download_to(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(reads.freed == 7 && writes.freed == 7);
    EXPECT(reads.called == 0 && writes.called == 0 && bytes == 77 && made == NULL);
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(context);
}

int main(void)
{
    fixture_open();
    test_context();
    test_failing_context();
    test_without_function();
    test_progress();
    test_progress_is_reported();
    test_failing_transfers();
    return failures();
}
