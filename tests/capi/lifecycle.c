/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a dir pool and its volumes through the C ABI. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static uint64_t capabilities;

/** Expects a call to work if the pool type says so, and not_supported otherwise. */
#define EXPECT_CAPABILITY(call, capability)                                                        \
    EXPECT_CODE(call, capabilities >> (capability)&1 ? BASIN_OK : BASIN_E_NOT_SUPPORTED)

static void test_define(basin_context* context)
{
    basin_pool* pool = NULL;
    basin_pool* again = NULL;
    basin_pool_info* info = NULL;
    int flag = -1;
    char* xml = NULL;

    EXPECT_OK(basin_context_define_pool(context, fixture_xml, 0, NULL, &pool, &error));
    EXPECT_TEXT(basin_pool_name(pool), "vms");
    EXPECT_TEXT(basin_pool_type(pool), "dir");
    EXPECT(strlen(basin_pool_uuid(pool)) == 36);
    EXPECT_OK(basin_pool_is_active(pool, 0, &flag, &error));
    EXPECT(flag == 0);
    EXPECT_OK(basin_pool_is_persistent(pool, 0, &flag, &error));
    EXPECT(flag == 1);

    EXPECT_OK(basin_pool_get_info(pool, 0, &info, &error));
    EXPECT(info->struct_size == sizeof(*info));
    EXPECT(info->state == BASIN_POOL_INACTIVE);
    EXPECT(info->persistent == 1);
    EXPECT_TEXT(info->reason, "");
    basin_pool_info_free(info);

    EXPECT_OK(basin_pool_get_xml(pool, BASIN_POOL_NEXT, &xml, &error));
    EXPECT(strstr(xml, fixture_target) != NULL);
    basin_free(xml);

    EXPECT_OK(basin_context_find_pool(context, "vms", 0, &again, &error));
    EXPECT(basin_pool_equal(pool, again) == 1);
    basin_pool_free(again);
    EXPECT_OK(basin_context_find_pool_by_uuid(context, basin_pool_uuid(pool), 0, &again, &error));
    EXPECT(basin_pool_equal(pool, again) == 1);
    basin_pool_free(again);
    EXPECT_OK(basin_pool_copy(pool, 0, &again, &error));
    EXPECT(basin_pool_equal(pool, again) == 1);
    EXPECT_TEXT(basin_pool_name(again), "vms");
    basin_pool_free(again);
    EXPECT_CODE(basin_context_find_pool(context, "other", 0, &again, &error), BASIN_E_NOT_FOUND);
    basin_pool_free(pool);
}

static void test_list(basin_context* context)
{
    const char* dir[] = {"dir"};
    const char* fs[] = {"fs", "netfs"};
    basin_pool** pools = NULL;
    size_t count = 99;

    EXPECT_OK(basin_context_list_pools(context, NULL, 0, 0, &pools, &count, &error));
    EXPECT(count == 1 && pools[1] == NULL);
    EXPECT_TEXT(basin_pool_name(pools[0]), "vms");
    basin_pool_list_free(pools);
    EXPECT_OK(basin_context_list_pools(context, dir, 1, BASIN_LIST_INACTIVE | BASIN_LIST_PERSISTENT,
                                       &pools, &count, &error));
    EXPECT(count == 1);
    basin_pool_list_free(pools);
    EXPECT_OK(basin_context_list_pools(context, NULL, 0, BASIN_LIST_ACTIVE | BASIN_LIST_INACTIVE,
                                       &pools, &count, &error));
    EXPECT(count == 1);
    basin_pool_list_free(pools);
    EXPECT_OK(
        basin_context_list_pools(context, NULL, 0, BASIN_LIST_ACTIVE, &pools, &count, &error));
    EXPECT(count == 0 && pools[0] == NULL);
    basin_pool_list_free(pools);
    EXPECT_OK(basin_context_list_pools(context, fs, 2, 0, &pools, &count, &error));
    EXPECT(count == 0);
    basin_pool_list_free(pools);
}

static void test_start(basin_context* context, basin_pool* pool)
{
    basin_pool* found = NULL;
    basin_pool_info* info = NULL;
    struct stat status;

    EXPECT_CODE(basin_pool_stop(pool, 0, NULL, &error), BASIN_E_INVALID_STATE);
    EXPECT_OK(basin_pool_build(pool, BASIN_BUILD_KEEP, 0, NULL, &error));
    EXPECT(stat(fixture_target, &status) == 0 && S_ISDIR(status.st_mode));
    EXPECT_OK(basin_pool_start(pool, BASIN_BUILD_NONE, 0, NULL, &error));
    EXPECT_CODE(basin_pool_start(pool, BASIN_BUILD_NONE, 0, NULL, &error), BASIN_E_INVALID_STATE);
    EXPECT_CODE(basin_pool_undefine(pool, 0, NULL, &error), BASIN_E_INVALID_STATE);

    EXPECT_OK(basin_pool_get_info(pool, 0, &info, &error));
    EXPECT(info->state == BASIN_POOL_RUNNING);
    EXPECT(info->capacity >= info->available && info->capacity > 0);
    basin_pool_info_free(info);

    EXPECT_OK(basin_context_find_pool_by_target_path(context, fixture_target, 0, &found, &error));
    EXPECT(basin_pool_equal(pool, found) == 1);
    basin_pool_free(found);
}

static void test_autostart(basin_context* context, basin_pool* pool)
{
    int stopped = -1;
    basin_autostart_result** results = NULL;
    size_t count = 0;
    int flag = -1;

    EXPECT_OK(basin_pool_set_autostart(pool, 1, 0, NULL, &error));
    EXPECT_OK(basin_pool_get_autostart(pool, 0, &flag, &error));
    EXPECT(flag == 1);
    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_OK(basin_context_autostart(context, 0, NULL, &results, &count, &error));
    if (EXPECT(count == 1)) {
        EXPECT_TEXT(results[0]->pool_name, "vms");
        EXPECT(results[0]->started == 1);
        EXPECT(results[0]->error == NULL);
    }
    basin_autostart_result_list_free(results);

    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_OK(basin_pool_delete(pool, 0, NULL, &error));
    EXPECT_OK(basin_context_autostart(context, 0, NULL, &results, &count, &error));
    if (EXPECT(count == 1) && EXPECT(results[0]->error != NULL))
        EXPECT(strstr(basin_error_message(results[0]->error), "vms") != NULL);
    basin_autostart_result_list_free(results);

    EXPECT_OK(basin_pool_set_autostart(pool, 0, 0, NULL, &error));
    EXPECT_CODE(basin_pool_release(pool, 0, NULL, &stopped, &error), BASIN_E_INVALID_STATE);
    EXPECT_OK(basin_pool_hold(pool, BASIN_BUILD_KEEP, 0, NULL, &error));
    EXPECT_OK(basin_pool_hold(pool, BASIN_BUILD_KEEP, 0, NULL, &error));
    EXPECT_OK(basin_pool_release(pool, 0, NULL, &stopped, &error));
    EXPECT(stopped == 1);
    EXPECT_OK(basin_pool_start(pool, BASIN_BUILD_KEEP, 0, NULL, &error));
    EXPECT_OK(basin_pool_hold(pool, BASIN_BUILD_NONE, 0, NULL, &error));
    EXPECT_OK(basin_pool_release(pool, 0, NULL, &stopped, &error));
    EXPECT(stopped == 0);
}

static void test_volume(basin_context* context, basin_pool* pool)
{
    basin_volume* volume = fixture_volume(pool, "a.img");
    basin_volume* found = NULL;
    basin_volume* copy = NULL;
    basin_pool* owner = NULL;
    basin_volume_info* info = NULL;
    char path[128];
    char* text = NULL;
    char* key = NULL;
    int fd;

    snprintf(path, sizeof(path), "%s/a.img", fixture_target);
    EXPECT_TEXT(basin_volume_name(volume), "a.img");
    EXPECT_OK(basin_volume_get_path(volume, 0, &text, &error));
    EXPECT_TEXT(text, path);
    basin_free(text);
    EXPECT_OK(basin_volume_get_key(volume, 0, &key, &error));
    EXPECT_OK(basin_volume_get_info(volume, 0, &info, &error));
    EXPECT(info->struct_size == sizeof(*info) && info->type == BASIN_VOLUME_FILE);
    EXPECT(info->capacity == 1024 * 1024 && info->physical == 1024 * 1024);
    EXPECT(info->allocation < info->capacity);
    basin_volume_info_free(info);
    EXPECT_OK(basin_volume_get_xml(volume, 0, &text, &error));
    EXPECT(strstr(text, "<name>a.img</name>") != NULL);
    basin_free(text);

    EXPECT_OK(basin_pool_find_volume(pool, "a.img", 0, &found, &error));
    basin_volume_free(found);
    EXPECT_OK(basin_context_find_volume_by_key(context, key, 0, &found, &error));
    EXPECT_TEXT(basin_volume_name(found), "a.img");
    basin_volume_free(found);
    EXPECT_OK(basin_context_find_volume_by_path(context, path, 0, &found, &error));
    EXPECT_OK(basin_volume_copy(found, 0, &copy, &error));
    basin_volume_free(found);
    EXPECT_OK(basin_volume_get_pool(copy, 0, &owner, &error));
    EXPECT(basin_pool_equal(owner, pool) == 1);
    basin_pool_free(owner);
    basin_volume_free(copy);

    EXPECT_OK(basin_volume_inspect(volume, 0, &text, &error));
    EXPECT(strstr(text, "raw") != NULL);
    basin_free(text);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT_OK(basin_image_inspect(fd, 0, &text, &error));
    EXPECT(strstr(text, "1048576") != NULL);
    basin_free(text);
    close(fd);
    EXPECT_OK(basin_volume_get_identity(volume, 0, &text, &error));
    EXPECT(text[0] != '\0');
    EXPECT_OK(basin_volume_expect(volume, "of another one", 0, &error));
    EXPECT_CODE(basin_volume_wipe(volume, BASIN_WIPE_ZERO, 0, NULL, &error), BASIN_E_NOT_FOUND);
    EXPECT_OK(basin_volume_expect(volume, text, 0, &error));
    EXPECT_OK(basin_volume_wipe(volume, BASIN_WIPE_ZERO, 0, NULL, &error));
    basin_free(text);
    EXPECT_OK(basin_volume_refresh(volume, 0, NULL, &error));

    EXPECT_CODE(
        basin_pool_create_volume(pool, "<volume><name>a.img</name><capacity>1</capacity></volume>",
                                 0, NULL, &found, &error),
        BASIN_E_ALREADY_EXISTS);
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    EXPECT(access(path, F_OK) != 0);
    EXPECT_CODE(basin_volume_get_info(volume, 0, &info, &error), BASIN_E_NOT_FOUND);
    basin_volume_free(volume);
    basin_free(key);
}

/** A pool type that cannot look for blockers says so; nothing blocks a fresh volume. */
static void test_blockers(basin_pool* pool)
{
    basin_volume* volume = fixture_volume(pool, "free");
    basin_blocker** of_volume = NULL;
    basin_blocker** of_pool = NULL;
    size_t volume_count = 0;
    size_t pool_count = 0;
    char* json = NULL;
    const int code = basin_volume_list_blockers(volume, 0, &of_volume, &volume_count, NULL);

    EXPECT(code == BASIN_OK || code == BASIN_E_NOT_SUPPORTED);
    EXPECT_CODE(basin_pool_list_blockers(pool, 0, &of_pool, &pool_count, &error), code);
    EXPECT(volume_count == 0);
    EXPECT(code != BASIN_OK || (of_volume[0] == NULL && of_pool[pool_count] == NULL));
    basin_blocker_list_free(of_volume);
    basin_blocker_list_free(of_pool);
    EXPECT_CODE(basin_volume_get_blockers_json(volume, 0, &json, &error), code);
    EXPECT(code != BASIN_OK || strcmp(json, "[]") == 0);
    basin_free(json);
    json = NULL;
    EXPECT_CODE(basin_pool_get_blockers_json(pool, 0, &json, &error), code);
    EXPECT(code != BASIN_OK || json[0] == '[');
    basin_free(json);
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    basin_volume_free(volume);
}

static void test_listing(basin_pool* pool)
{
    basin_volume* b = fixture_volume(pool, "b");
    basin_volume* a = fixture_volume(pool, "a");
    basin_volume** volumes = NULL;
    basin_volume_entry** entries = NULL;
    basin_diagnostic** diagnostics = NULL;
    char** names = NULL;
    size_t count = 0;
    uint64_t total = 0;
    char path[128];

    snprintf(path, sizeof(path), "%s/pipe", fixture_target);
    EXPECT(mkfifo(path, 0600) == 0);
    EXPECT_OK(basin_pool_refresh(pool, 0, NULL, &error));

    EXPECT_OK(basin_pool_list_volumes(pool, 0, &volumes, &count, &error));
    if (EXPECT(count == 2 && volumes[2] == NULL)) {
        EXPECT_TEXT(basin_volume_name(volumes[0]), "a");
        EXPECT_TEXT(basin_volume_name(volumes[1]), "b");
    }
    basin_volume_list_free(volumes);
    EXPECT_OK(basin_pool_list_volume_entries(pool, 0, &entries, &count, &error));
    if (EXPECT(count == 2 && entries[2] == NULL)) {
        EXPECT(entries[1]->struct_size == sizeof(basin_volume_entry));
        EXPECT_TEXT(entries[1]->name, "b");
        EXPECT(strncmp(entries[1]->path, fixture_target, strlen(fixture_target)) == 0);
        EXPECT(entries[1]->key[0] != '\0');
    }
    basin_volume_entry_list_free(entries);
    EXPECT_OK(basin_pool_list_volume_names(pool, 0, &names, &count, &error));
    EXPECT(count >= 2 && names[count] == NULL);
    basin_string_list_free(names);
    EXPECT_OK(basin_pool_count_volumes(pool, 0, &total, &error));
    EXPECT(total == 2);
    EXPECT_OK(basin_pool_list_diagnostics(pool, 0, &diagnostics, &count, &error));
    if (EXPECT(count == 1)) {
        EXPECT_TEXT(diagnostics[0]->name, "pipe");
        EXPECT(diagnostics[0]->reason == BASIN_DIAGNOSTIC_FIFO);
        EXPECT(diagnostics[0]->message[0] != '\0');
    }
    basin_diagnostic_list_free(diagnostics);
    unlink(path);
    basin_volume_free(a);
    basin_volume_free(b);
}

/** What dir pools may or may not do yet: the capability and the answer must agree. */
static void test_optional(basin_context* context, basin_pool* pool)
{
    basin_volume* volume = NULL;
    basin_volume* clone = NULL;
    char* xml = NULL;
    char path[128];
    int fd;

    EXPECT_OK(basin_pool_find_volume(pool, "a", 0, &volume, &error));
    EXPECT_CAPABILITY(basin_context_find_pool_sources(context, "dir", NULL, 0, NULL, &xml, &error),
                      BASIN_CAPABILITY_FIND_SOURCES);
    basin_free(xml);
    EXPECT_CAPABILITY(basin_volume_resize(volume, 2 << 20, 0, NULL, &error),
                      BASIN_CAPABILITY_GROW_VOLUME);
    EXPECT_CAPABILITY(basin_volume_resize(volume, 1 << 20, BASIN_RESIZE_SHRINK, NULL, &error),
                      BASIN_CAPABILITY_SHRINK_VOLUME);
    EXPECT_CAPABILITY(basin_pool_create_volume_from(pool, "<volume><name>clone</name></volume>",
                                                    volume, 0, NULL, &clone, &error),
                      BASIN_CAPABILITY_CREATE_FROM);
    basin_volume_free(clone);
    EXPECT_CAPABILITY(basin_volume_wipe(volume, BASIN_WIPE_ZERO, 0, NULL, &error),
                      BASIN_CAPABILITY_WIPE_VOLUME);
    snprintf(path, sizeof(path), "%s/payload", fixture_root);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0 && write(fd, "data", 4) == 4 && lseek(fd, 0, SEEK_SET) == 0);
    EXPECT_CAPABILITY(basin_volume_upload(volume, fd, 0, 0, 0, NULL, &error),
                      BASIN_CAPABILITY_UPLOAD);
    EXPECT_CAPABILITY(basin_volume_download(volume, fd, 0, 4, 0, NULL, &error),
                      BASIN_CAPABILITY_DOWNLOAD);
    close(fd);
    if (EXPECT_CAPABILITY(basin_volume_rename(volume, "renamed", 0, NULL, &error),
                          BASIN_CAPABILITY_RENAME_VOLUME))
        EXPECT_TEXT(basin_volume_name(volume),
                    capabilities >> BASIN_CAPABILITY_RENAME_VOLUME & 1 ? "renamed" : "a");
    basin_volume_free(volume);
}

/** Keys and values, and protected snapshots, where the type has them. */
static void test_metadata(basin_pool* pool)
{
    basin_volume* volume = fixture_volume(pool, "meta");
    basin_metadata** entries = NULL;
    size_t count = 0;

    EXPECT_CAPABILITY(basin_volume_set_metadata(volume, "owner", "alice", 0, NULL, &error),
                      BASIN_CAPABILITY_METADATA);
    if (EXPECT_CAPABILITY(basin_volume_list_metadata(volume, 0, &entries, &count, &error),
                          BASIN_CAPABILITY_METADATA) &&
        entries) {
        EXPECT(count == 1 && entries[1] == NULL);
        EXPECT(entries[0]->struct_size == sizeof(*entries[0]));
        EXPECT_TEXT(entries[0]->key, "owner");
        EXPECT_TEXT(entries[0]->value, "alice");
    }
    basin_metadata_list_free(entries);
    EXPECT_CAPABILITY(basin_volume_remove_metadata(volume, "owner", 0, NULL, &error),
                      BASIN_CAPABILITY_METADATA);
    if (!(capabilities >> BASIN_CAPABILITY_PROTECT_SNAPSHOTS & 1))
        EXPECT_CODE(basin_volume_protect_snapshot(volume, "s", 1, 0, NULL, &error),
                    BASIN_E_NOT_SUPPORTED);
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    basin_volume_free(volume);
}

/** Snapshots are of an image that can keep them. */
static void test_snapshots(basin_pool* pool)
{
    basin_volume* volume = NULL;
    basin_snapshot** snapshots = NULL;
    basin_snapshot* snapshot = NULL;
    basin_blocker** blockers = NULL;
    size_t count = 0;

    if (!(capabilities >> BASIN_CAPABILITY_SNAPSHOTS & 1)) {
        volume = fixture_volume(pool, "image");
        EXPECT_CODE(basin_volume_list_snapshots(volume, 0, &snapshots, &count, &error),
                    BASIN_E_NOT_SUPPORTED);
        EXPECT_CODE(basin_volume_create_snapshot(volume, "before", 0, NULL, &snapshot, &error),
                    BASIN_E_NOT_SUPPORTED);
        EXPECT_CODE(basin_volume_revert_snapshot(volume, "before", 0, NULL, &error),
                    BASIN_E_NOT_SUPPORTED);
        EXPECT_CODE(basin_volume_delete_snapshot(volume, "before", 0, NULL, &error),
                    BASIN_E_NOT_SUPPORTED);
        basin_volume_free(volume);
        return;
    }
    if (!EXPECT_OK(
            basin_pool_create_volume(pool,
                                     "<volume><name>image</name><capacity unit='MiB'>1</capacity>"
                                     "<target><format type='qcow2'/></target></volume>",
                                     0, NULL, &volume, &error)))
        return;
    if (EXPECT_OK(basin_volume_create_snapshot(volume, "before", 0, NULL, &snapshot, &error))) {
        EXPECT(snapshot->struct_size == sizeof(*snapshot) && snapshot->seconds > 0);
        EXPECT_TEXT(snapshot->name, "before");
    }
    basin_snapshot_free(snapshot);
    EXPECT_CODE(basin_volume_create_snapshot(volume, "before", 0, NULL, &snapshot, &error),
                BASIN_E_ALREADY_EXISTS);
    EXPECT_OK(basin_volume_list_snapshots(volume, 0, &snapshots, &count, &error));
    EXPECT(count == 1 && snapshots[1] == NULL && strcmp(snapshots[0]->name, "before") == 0);
    basin_snapshot_list_free(snapshots);
    EXPECT_OK(basin_volume_revert_snapshot(volume, "before", 0, NULL, &error));
    EXPECT_OK(basin_volume_delete_snapshot(volume, "before", 0, NULL, &error));
    EXPECT_CODE(basin_volume_delete_snapshot(volume, "before", 0, NULL, &error), BASIN_E_NOT_FOUND);
    EXPECT_OK(basin_volume_create_snapshot(volume, "after", 0, NULL, &snapshot, &error));
    basin_snapshot_free(snapshot);
    /* What is said to be in the way is in the way, unless it is allowed. */
    EXPECT_OK(basin_volume_list_blockers(volume, 0, &blockers, &count, &error));
    if (count > 0) {
        EXPECT(count == 1 && blockers[0]->kind_bit == BASIN_BLOCKER_SNAPSHOT);
        EXPECT_CODE(basin_volume_delete(volume, 0, NULL, &error), BASIN_E_BUSY);
    }
    basin_blocker_list_free(blockers);
    EXPECT_OK(basin_volume_delete(volume, BASIN_ALLOW_SNAPSHOT, NULL, &error));
    basin_volume_free(volume);
}

static void test_transient(basin_context* context)
{
    basin_pool* pool = NULL;
    char xml[512];
    int flag = -1;

    snprintf(xml, sizeof(xml),
             "<pool type='dir'><name>passing</name><target><path>%s/passing</path></target></pool>",
             fixture_root);
    EXPECT_OK(basin_context_create_pool(context, xml, BASIN_BUILD_KEEP, 0, NULL, &pool, &error));
    EXPECT_OK(basin_pool_is_persistent(pool, 0, &flag, &error));
    EXPECT(flag == 0);
    EXPECT_CODE(basin_pool_set_autostart(pool, 1, 0, NULL, &error), BASIN_E_INVALID_STATE);
    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_CODE(basin_pool_is_active(pool, 0, &flag, &error), BASIN_E_NOT_FOUND);
    EXPECT_TEXT(basin_pool_name(pool), "passing");
    basin_pool_free(pool);
}

static void test_end(basin_context* context, basin_pool* pool)
{
    basin_volume** volumes = NULL;
    size_t count = 0;
    char* text = NULL;

    EXPECT_OK(basin_pool_list_volumes(pool, 0, &volumes, &count, &error));
    for (size_t i = 0; i < count; ++i)
        EXPECT_OK(basin_volume_delete(volumes[i], 0, NULL, &error));
    basin_volume_list_free(volumes);
    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_CODE(basin_pool_list_volumes(pool, 0, &volumes, &count, &error), BASIN_E_INVALID_STATE);
    EXPECT_OK(basin_pool_get_identity(pool, 0, &text, &error));
    EXPECT_OK(basin_pool_expect(pool, "of other storage", 0, &error));
    EXPECT_CODE(basin_pool_delete(pool, 0, NULL, &error), BASIN_E_NOT_FOUND);
    EXPECT(access(fixture_target, F_OK) == 0);
    EXPECT_OK(basin_pool_expect(pool, text, 0, &error));
    basin_free(text);
    EXPECT_OK(basin_pool_delete(pool, 0, NULL, &error));
    EXPECT(access(fixture_target, F_OK) != 0);
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    EXPECT_CODE(basin_context_find_pool(context, "vms", 0, &pool, &error), BASIN_E_NOT_FOUND);
}

/* A name that no small buffer holds. */
static void test_long_name(basin_pool* pool)
{
    basin_volume* volume = fixture_volume(pool, "a volume whose name is long enough");
    const char* name = basin_volume_name(volume);
    char* identity = NULL;

    EXPECT_OK(basin_volume_get_identity(volume, 0, &identity, &error));
    EXPECT_OK(basin_volume_expect(volume, identity, 0, &error));
    EXPECT(basin_volume_name(volume) == name);
    EXPECT_TEXT(name, "a volume whose name is long enough");
    EXPECT_OK(
        basin_volume_rename(volume, "and another one that is as long as that", 0, NULL, &error));
    EXPECT_TEXT(basin_volume_name(volume), "and another one that is as long as that");
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    basin_free(identity);
    basin_volume_free(volume);
}

/* What LVM said in the laboratory, by a program in its place. */
static void test_details(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;
    basin_pool* pool = NULL;
    basin_pool_info* info = NULL;
    char *json = NULL, path[256], *old_path = getenv("PATH");
    FILE* script = NULL;
    int i = 0;

    snprintf(path, sizeof(path), "%s/lvm", fixture_root);
    script = fopen(path, "w");
    fputs("#!/bin/sh\n[ \"$1\" != fullreport ] || sed -n 's/^> //p' " BASIN_TRANSCRIPTS
          "/lvm/all-kinds\n",
          script);
    fclose(script);
    EXPECT(chmod(path, 0755) == 0);
    snprintf(path, sizeof(path), "%s:%s", fixture_root, old_path);
    old_path = strdup(old_path);
    setenv("PATH", path, 1);
    snprintf(path, sizeof(path), "%s/lvm-context", fixture_root);
    options.root = path;
    if (EXPECT_OK(basin_context_new(&options, 0, &context, &error)) &&
        EXPECT_OK(basin_context_define_pool(context,
                                            "<pool type='logical'><name>lvm</name><source>"
                                            "<name>labvg</name></source></pool>",
                                            0, NULL, &pool, &error)) &&
        EXPECT_OK(basin_pool_start(pool, BASIN_BUILD_NONE, 0, NULL, &error)))
        for (i = 0; i < 10; ++i) {
            EXPECT_OK(basin_pool_get_info(pool, 0, &info, &error));
            EXPECT_OK(basin_pool_get_info_json(pool, 0, &json, &error));
            EXPECT(info->details != NULL && strstr(info->details, "\"extent_size\":") != NULL);
            EXPECT(info->details != NULL && strstr(json, info->details) != NULL);
            basin_pool_info_free(info);
            basin_free(json);
        }
    basin_pool_free(pool);
    basin_context_free(context);
    setenv("PATH", old_path, 1);
    free(old_path);
}

int main(void)
{
    basin_context* context;
    basin_pool* pool = NULL;
    basin_backend_info* dir = NULL;

    fixture_open();
    context = fixture_context();
    EXPECT_OK(basin_backend_get_info("dir", 0, &dir, &error));
    capabilities = dir->capabilities;
    basin_backend_info_free(dir);
    EXPECT(strncmp(basin_context_config_dir(context), fixture_root, strlen(fixture_root)) == 0);
    EXPECT(strncmp(basin_context_state_dir(context), fixture_root, strlen(fixture_root)) == 0);
    EXPECT(strncmp(basin_context_run_dir(context), fixture_root, strlen(fixture_root)) == 0);

    test_details();
    test_define(context);
    test_list(context);
    if (EXPECT_OK(basin_context_find_pool(context, "vms", 0, &pool, &error))) {
        test_start(context, pool);
        test_autostart(context, pool);
        test_volume(context, pool);
        test_long_name(pool);
        test_blockers(pool);
        test_listing(pool);
        test_optional(context, pool);
        test_metadata(pool);
        test_snapshots(pool);
        test_transient(context);
        test_end(context, pool);
    }
    basin_pool_free(pool);
    basin_context_free(context);
    return failures();
}
