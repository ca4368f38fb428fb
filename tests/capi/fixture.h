/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private root directory, and a dir pool in it, for the tests of the C ABI. */
#ifndef TESTS_CAPI_FIXTURE_H
#define TESTS_CAPI_FIXTURE_H

#include "../support/expect.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

static char fixture_root[64];
static char fixture_target[96];
static char fixture_xml[512];

static inline int fixture_remove_entry(const char* path, const struct stat* status, int type,
                                       struct FTW* where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void fixture_close(void)
{
    nftw(fixture_root, fixture_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/** Makes the root directory, which goes away at exit, and the pool's definition. */
static inline void fixture_open(void)
{
    strcpy(fixture_root, "/tmp/basin-capi-XXXXXX");
    if (!mkdtemp(fixture_root)) {
        perror(fixture_root);
        exit(99);
    }
    atexit(fixture_close);
    snprintf(fixture_target, sizeof(fixture_target), "%s/images/vms", fixture_root);
    snprintf(fixture_xml, sizeof(fixture_xml),
             "<pool type='dir'><name>vms</name><target><path>%s</path></target></pool>",
             fixture_target);
}

/** Opens a context with everything below the root directory; ends the test if that fails. */
static inline basin_context* fixture_context(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;

    options.root = fixture_root;
    if (!EXPECT_OK(basin_context_new(&options, 0, &context, &error)))
        exit(99);
    return context;
}

/** Defines and starts the pool "vms"; ends the test if that fails. */
static inline basin_pool* fixture_pool(basin_context* context)
{
    basin_pool* pool = NULL;

    if (!EXPECT_OK(basin_context_define_pool(context, fixture_xml, 0, NULL, &pool, &error)) ||
        !EXPECT_OK(basin_pool_start(pool, BASIN_BUILD_KEEP, 0, NULL, &error)))
        exit(99);
    return pool;
}

/** Creates a sparse raw volume of 1 MiB; ends the test if that fails. */
static inline basin_volume* fixture_volume(basin_pool* pool, const char* name)
{
    basin_volume* volume = NULL;
    char xml[256];

    snprintf(xml, sizeof(xml),
             "<volume><name>%s</name><capacity unit='MiB'>1</capacity>"
             "<allocation>0</allocation></volume>",
             name);
    if (!EXPECT_OK(basin_pool_create_volume(pool, xml, 0, NULL, &volume, &error)))
        exit(99);
    return volume;
}

#endif
