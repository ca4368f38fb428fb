/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Out of memory at every single allocation of a call: an error that needs none itself. */
#include "fixture.h"

#include <errno.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static long allowed = -1; /* allocations until the first refusal; -1: no limit */
static long asked;

#ifndef SANITIZED
/* This program's malloc() is everybody's, also the library's operator new. */
extern void* __libc_malloc(size_t size);

void* malloc(size_t size)
{
    ++asked;
    if (allowed >= 0 && asked > allowed) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}
#endif

static basin_context* context;
static basin_pool* pool;

static int find(basin_error** failure)
{
    basin_pool* found = NULL;
    const int code = basin_context_find_pool(context, "vms", 0, &found, failure);

    basin_pool_free(found);
    return code;
}

static int get_xml(basin_error** failure)
{
    char* xml = NULL;
    const int code = basin_pool_get_xml(pool, 0, &xml, failure);

    basin_free(xml);
    return code;
}

static int list_pools(basin_error** failure)
{
    basin_pool** pools = NULL;
    size_t count = 0;
    const int code = basin_context_list_pools(context, NULL, 0, 0, &pools, &count, failure);

    basin_pool_list_free(pools);
    return code;
}

static int list_entries(basin_error** failure)
{
    basin_volume_entry** entries = NULL;
    size_t count = 0;
    const int code = basin_pool_list_volume_entries(pool, 0, &entries, &count, failure);

    basin_volume_entry_list_free(entries);
    return code;
}

static int describe_backend(basin_error** failure)
{
    basin_backend_info* info = NULL;
    const int code = basin_backend_get_info("dir", 0, &info, failure);

    basin_backend_info_free(info);
    return code;
}

static int open_and_close(basin_error** failure)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* opened = NULL;
    int code;

    options.root = fixture_root;
    code = basin_context_new(&options, 0, &opened, failure);
    basin_context_free(opened);
    return code;
}

static int freed;

static void count_free(void* user_data)
{
    (void)user_data;
    ++freed;
}

static int64_t give_nothing(void* user_data, void* buffer, size_t size, uint64_t* hole)
{
    (void)user_data;
    (void)buffer;
    (void)size;
    (void)hole;
    return 0;
}

/** The callback's user_data is freed whatever happens. */
static int read_transfer(basin_error** failure)
{
    basin_transfer transfer = BASIN_TRANSFER_INIT;
    basin_volume* made = NULL;
    int code;

    freed = 0;
    transfer.read.fn = give_nothing;
    transfer.read.free_user_data = count_free;
    code = basin_pool_upload_volume(pool, "<volume>", &transfer, 0, NULL, &made, failure);
    EXPECT(freed == 1 && made == NULL);
    if (code == BASIN_E_INVALID_XML) { /* enough memory to see that */
        basin_error_free(*failure);
        *failure = NULL;
        return BASIN_OK;
    }
    return code;
}

static int facts(basin_error** failure)
{
    basin_job* job = NULL;
    char* json = NULL;
    int code = basin_job_new(0, &job, failure);

    if (code == BASIN_OK)
        code = basin_job_get_facts_json(job, 0, &json, failure);
    basin_free(json);
    basin_job_free(job);
    return code;
}

/** Refuses the first, the second ... allocation and all later ones, until the call needs no more.
 */
static void starve(const char* name, int (*call)(basin_error**))
{
    long limit;

    for (limit = 0; limit < 100000; ++limit) {
        basin_error* failure = NULL;
        int code;

        asked = 0;
        allowed = limit;
        code = call(&failure);
        allowed = -1;
        if (code == BASIN_OK)
            break;
        if (!EXPECT(code == BASIN_E_NO_MEMORY && basin_error_code(failure) == code))
            fprintf(stderr, "%s, allocation %ld: %s: %s\n", name, limit, basin_error_name(code),
                    basin_error_message(failure));
        EXPECT_TEXT(basin_error_message(failure), "out of memory");
        basin_error_free(failure);
    }
    EXPECT(limit > 0 && limit < 100000);
}

int main(void)
{
#ifdef SANITIZED
    fprintf(stderr, "skipped: the sanitizer owns malloc()\n");
    return 77;
#endif
    fixture_open();
    context = fixture_context();
    pool = fixture_pool(context);
    basin_volume_free(fixture_volume(pool, "a"));
    starve("find", find);
    starve("get_xml", get_xml);
    starve("list_pools", list_pools);
    starve("list_entries", list_entries);
    starve("describe_backend", describe_backend);
    starve("open_and_close", open_and_close);
    starve("read_transfer", read_transfer);
    starve("facts", facts);
    basin_pool_free(pool);
    basin_context_free(context);
    return failures();
}
