/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events in a main loop: one descriptor for poll(2), also for what other contexts do. */
#include "fixture.h"

#include <fcntl.h>
#include <poll.h>

static int readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};

    return poll(&poll_fd, 1, timeout_ms) == 1 && (poll_fd.revents & POLLIN) != 0;
}

/** Waits for the next event. */
static basin_event* next(basin_context* context, int fd)
{
    basin_event* event = NULL;

    for (int round = 0; round < 100 && !event; ++round) {
        EXPECT_OK(basin_context_next_event(context, 0, &event, &error));
        if (!event)
            readable(fd, 100);
    }
    EXPECT(event != NULL);
    return event;
}

static void expect_event(basin_context* context, int fd, uint32_t kind, const char* pool,
                         const char* volume, uint32_t from_other, uint64_t* sequence)
{
    basin_event* event = next(context, fd);
    char* json = NULL;

    if (!event)
        return;
    EXPECT(event->struct_size == sizeof(*event));
    EXPECT_TEXT(basin_event_kind_name(event->kind), basin_event_kind_name(kind));
    EXPECT_TEXT(event->pool_name, pool);
    EXPECT_TEXT(event->volume_name, volume);
    EXPECT(strlen(event->pool_uuid) == 36);
    EXPECT(event->from_other_process == from_other);
    EXPECT(event->sequence == ++*sequence);
    EXPECT(event->seconds > 0 && event->nanoseconds < 1000000000);
    EXPECT_OK(basin_event_to_json(event, 0, &json, &error));
    EXPECT(json[0] == '{' && strstr(json, basin_event_kind_name(kind)) != NULL);
    basin_free(json);
    basin_event_free(event);
}

int main(void)
{
    basin_context* context;
    basin_context* other;
    basin_pool* pool = NULL;
    basin_pool* same = NULL;
    basin_volume* volume;
    basin_event* event = NULL;
    uint64_t sequence = 0;
    int fd = -1;
    int again = -1;

    fixture_open();
    context = fixture_context();
    EXPECT_OK(basin_context_event_fd(context, 0, &fd, &error));
    EXPECT_OK(basin_context_event_fd(context, 0, &again, &error));
    EXPECT(fd >= 0 && fd == again);
    EXPECT((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    EXPECT(!readable(fd, 0));
    EXPECT_OK(basin_context_next_event(context, 0, &event, &error));
    EXPECT(event == NULL);

    EXPECT_OK(basin_context_define_pool(context, fixture_xml, 0, NULL, &pool, &error));
    EXPECT(readable(fd, 0));
    expect_event(context, fd, BASIN_EVENT_POOL_DEFINED, "vms", "", 0, &sequence);
    EXPECT_OK(basin_pool_build(pool, BASIN_BUILD_KEEP, 0, NULL, &error));
    expect_event(context, fd, BASIN_EVENT_POOL_BUILT, "vms", "", 0, &sequence);
    EXPECT_OK(basin_pool_start(pool, BASIN_BUILD_NONE, 0, NULL, &error));
    expect_event(context, fd, BASIN_EVENT_POOL_STARTED, "vms", "", 0, &sequence);
    volume = fixture_volume(pool, "a");
    expect_event(context, fd, BASIN_EVENT_VOLUME_CREATED, "vms", "a", 0, &sequence);
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    expect_event(context, fd, BASIN_EVENT_VOLUME_DELETED, "vms", "a", 0, &sequence);
    basin_volume_free(volume);
    EXPECT_OK(basin_pool_refresh(pool, 0, NULL, &error));
    expect_event(context, fd, BASIN_EVENT_POOL_REFRESHED, "vms", "", 0, &sequence);
    EXPECT_OK(basin_context_next_event(context, 0, &event, &error));
    EXPECT(event == NULL);
    EXPECT(!readable(fd, 0));

    /* Another context stands for another process: they share nothing but the disk. */
    other = fixture_context();
    EXPECT_OK(basin_context_find_pool(other, "vms", 0, &same, &error));
    EXPECT_OK(basin_pool_stop(same, 0, NULL, &error));
    EXPECT(readable(fd, 5000));
    expect_event(context, fd, BASIN_EVENT_POOL_STOPPED, "vms", "", 1, &sequence);
    EXPECT_OK(basin_pool_undefine(same, 0, NULL, &error));
    expect_event(context, fd, BASIN_EVENT_POOL_UNDEFINED, "vms", "", 1, &sequence);

    basin_pool_free(same);
    basin_pool_free(pool);
    basin_context_free(other);
    basin_context_free(context);
    EXPECT(fcntl(fd, F_GETFD) == -1);
    return failures();
}
