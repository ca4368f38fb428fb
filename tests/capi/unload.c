/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dlopen() and dlclose() in a thread: the library comes, works and goes without a trace. */
#include "fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>

static const char* library;

static int entries_of(const char* path)
{
    DIR* dir = opendir(path);
    int count = 0;

    while (dir && readdir(dir))
        ++count;
    if (dir)
        closedir(dir);
    return count;
}

/* POSIX lets dlsym()'s result be a function; ISO C wants the detour. */
#define LOAD(handle, function, name) (*(void**)&(function) = dlsym(handle, name))

static void* use(void* argument)
{
    int (*context_new)(const basin_context_options*, uint32_t, basin_context**, basin_error**);
    int (*define)(basin_context*, const char*, uint32_t, basin_job*, basin_pool**, basin_error**);
    int (*start)(basin_pool*, uint32_t, uint32_t, basin_job*, basin_error**);
    int (*stop)(basin_pool*, uint32_t, basin_job*, basin_error**);
    int (*undefine)(basin_pool*, uint32_t, basin_job*, basin_error**);
    int (*find)(basin_context*, const char*, uint32_t, basin_pool**, basin_error**);
    int (*event_fd)(basin_context*, uint32_t, int*, basin_error**);
    void (*context_free)(basin_context*);
    void (*pool_free)(basin_pool*);
    void (*error_free)(basin_error*);
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;
    basin_pool* pool = NULL;
    basin_pool* missing = NULL;
    basin_error* not_found = NULL;
    int fd = -1;
    void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    (void)argument;
    if (!EXPECT(handle != NULL)) {
        fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }
    LOAD(handle, context_new, "basin_context_new");
    LOAD(handle, define, "basin_context_define_pool");
    LOAD(handle, start, "basin_pool_start");
    LOAD(handle, stop, "basin_pool_stop");
    LOAD(handle, undefine, "basin_pool_undefine");
    LOAD(handle, find, "basin_context_find_pool");
    LOAD(handle, event_fd, "basin_context_event_fd");
    LOAD(handle, context_free, "basin_context_free");
    LOAD(handle, pool_free, "basin_pool_free");
    LOAD(handle, error_free, "basin_error_free");
    options.root = fixture_root;
    EXPECT(context_new(&options, 0, &context, NULL) == BASIN_OK);
    EXPECT(event_fd(context, 0, &fd, NULL) == BASIN_OK);
    EXPECT(define(context, fixture_xml, 0, NULL, &pool, NULL) == BASIN_OK);
    EXPECT(start(pool, BASIN_BUILD_KEEP, 0, NULL, NULL) == BASIN_OK);
    EXPECT(stop(pool, 0, NULL, NULL) == BASIN_OK);
    EXPECT(undefine(pool, 0, NULL, NULL) == BASIN_OK);
    /* An exception was thrown and caught inside. */
    EXPECT(find(context, "missing", 0, &missing, &not_found) == BASIN_E_NOT_FOUND);
    error_free(not_found);
    pool_free(pool);
    context_free(context);
    EXPECT(dlclose(handle) == 0);
    return NULL;
}

int main(int argc, char** argv)
{
    int files;
    int threads;

    if (argc != 2)
        return 99;
    library = argv[1];
    fixture_open();
    files = entries_of("/proc/self/fd");
    threads = entries_of("/proc/self/task");
    for (int round = 0; round < 3; ++round) {
        pthread_t thread;

        EXPECT(pthread_create(&thread, NULL, use, NULL) == 0);
        EXPECT(pthread_join(thread, NULL) == 0);
        EXPECT(dlopen(library, RTLD_NOW | RTLD_NOLOAD) == NULL);
    }
    EXPECT(entries_of("/proc/self/fd") == files);
    EXPECT(entries_of("/proc/self/task") == threads);
    return failures();
}
