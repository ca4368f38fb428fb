/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes based on others: the chain, the dependents, and who is in the way of a change. */
#include "fixture.h"

static char base_path[128];
static char overlay_xml[512];

static basin_volume* create(basin_pool* pool, const char* xml)
{
    basin_volume* volume = NULL;

    if (!EXPECT_OK(basin_pool_create_volume(pool, xml, 0, NULL, &volume, &error)))
        exit(99);
    return volume;
}

static void test_names(void)
{
    EXPECT_TEXT(basin_chain_state_name(BASIN_CHAIN_OK), "ok");
    EXPECT_TEXT(basin_chain_state_name(BASIN_CHAIN_TOO_DEEP), "too_deep");
    EXPECT_TEXT(basin_chain_state_name(BASIN_CHAIN_TOO_DEEP + 1), "unknown");
}

static void test_chain(basin_volume* overlay)
{
    basin_chain_link** links = NULL;
    size_t count = 0;
    char* text = NULL;

    EXPECT_OK(basin_volume_list_chain(overlay, 0, &links, &count, &error));
    if (EXPECT(count == 2 && links[2] == NULL)) {
        EXPECT(links[0]->struct_size == sizeof(*links[0]) && links[0]->state == BASIN_CHAIN_OK);
        EXPECT_TEXT(links[0]->volume_name, "overlay");
        EXPECT_TEXT(links[0]->format, "qcow2");
        EXPECT(links[1]->state == BASIN_CHAIN_OK && links[1]->format_declared == 1);
        EXPECT_TEXT(links[1]->reference, base_path);
        EXPECT_TEXT(links[1]->path, base_path);
        EXPECT_TEXT(links[1]->pool_name, "vms");
        EXPECT_TEXT(links[1]->volume_name, "base");
    }
    basin_chain_link_list_free(links);
    EXPECT_OK(basin_volume_get_chain_json(overlay, 0, &text, &error));
    EXPECT(text[0] == '[' && strstr(text, "\"volume_name\":\"base\"") != NULL);
    basin_free(text);
    EXPECT_OK(basin_volume_get_xml(overlay, BASIN_VOLUME_CHAIN, &text, &error));
    EXPECT(strstr(text, "<backingStore>") != NULL && strstr(text, base_path) != NULL);
    basin_free(text);
    EXPECT_OK(basin_volume_get_json(overlay, BASIN_VOLUME_CHAIN, &text, &error));
    EXPECT(strstr(text, base_path) != NULL);
    basin_free(text);
}

static void test_dependents(basin_volume* base, basin_volume* overlay)
{
    basin_volume** volumes = NULL;
    size_t count = 0;

    EXPECT_OK(basin_volume_list_dependents(base, 0, &volumes, &count, &error));
    if (EXPECT(count == 1 && volumes[1] == NULL))
        EXPECT_TEXT(basin_volume_name(volumes[0]), "overlay");
    basin_volume_list_free(volumes);
    EXPECT_OK(basin_volume_list_dependents(overlay, 0, &volumes, &count, &error));
    EXPECT(count == 0 && volumes[0] == NULL);
    basin_volume_list_free(volumes);
}

static void test_blockers(basin_volume* base)
{
    basin_blocker** blockers = NULL;
    size_t count = 0;
    char* json = NULL;
    int code;

    EXPECT_OK(basin_volume_list_blockers(base, 0, &blockers, &count, &error));
    if (EXPECT(count == 1 && blockers[1] == NULL)) {
        EXPECT(blockers[0]->kind_bit == BASIN_BLOCKER_BACKING_IMAGE);
        EXPECT_TEXT(blockers[0]->kind, "backing_image");
        EXPECT(strstr(blockers[0]->message, "overlay") != NULL);
    }
    basin_blocker_list_free(blockers);
    EXPECT_OK(basin_volume_get_blockers_json(base, 0, &json, &error));
    EXPECT(strstr(json, "\"kind\":\"backing_image\"") != NULL);
    basin_free(json);

    /* Each change is refused, and tells why; another kind that is allowed does not help. */
    code = basin_volume_delete(base, BASIN_ALLOW_OPEN, NULL, &error);
    EXPECT(strstr(basin_error_detail(error), "overlay") != NULL);
    EXPECT_CODE(code, BASIN_E_BUSY);
    EXPECT_CODE(basin_volume_rename(base, "other", 0, NULL, &error), BASIN_E_BUSY);
    EXPECT_CODE(basin_volume_wipe(base, BASIN_WIPE_ZERO, BASIN_ALLOW_HOLDER, NULL, &error),
                BASIN_E_BUSY);
    EXPECT_CODE(basin_volume_resize(base, 2 << 20, BASIN_ALLOW_SNAPSHOT, NULL, &error),
                BASIN_E_BUSY);
    EXPECT_OK(basin_volume_resize(base, 2 << 20, BASIN_ALLOW_BACKING_IMAGE, NULL, &error));
    EXPECT_OK(basin_volume_delete(
        base, BASIN_ALLOW_BACKING_IMAGE | BASIN_ALLOW_LOOP_DEVICE | BASIN_ALLOW_MOUNTED, NULL,
        &error));
}

/** One that is based on nothing is no clone; to make one independent needs a program. */
static void test_flatten(basin_pool* pool)
{
    basin_chain_link** links = NULL;
    basin_volume* below;
    basin_volume* above;
    char xml[512];
    size_t count = 0;
    int code;

    snprintf(xml, sizeof(xml),
             "<volume><name>above</name><capacity unit='MiB'>1</capacity>"
             "<target><format type='qcow2'/></target><backingStore><path>%s/below</path>"
             "<format type='raw'/></backingStore></volume>",
             fixture_target);
    below = create(pool, "<volume><name>below</name><capacity unit='MiB'>1</capacity></volume>");
    above = create(pool, xml);
    EXPECT_CODE(basin_volume_flatten(below, 0, NULL, &error), BASIN_E_INVALID_STATE);
    code = basin_volume_flatten(above, 0, NULL, &error);
    if (code != BASIN_OK)
        EXPECT_CODE(code, BASIN_E_UNAVAILABLE);
    EXPECT_OK(basin_volume_list_chain(above, 0, &links, &count, &error));
    EXPECT(count == (code == BASIN_OK ? 1 : 2));
    basin_chain_link_list_free(links);
    EXPECT_OK(basin_volume_delete(above, 0, NULL, &error));
    EXPECT_OK(basin_volume_delete(below, 0, NULL, &error));
    basin_volume_free(above);
    basin_volume_free(below);
}

static void test_missing(basin_volume* overlay)
{
    basin_chain_link** links = NULL;
    size_t count = 0;

    EXPECT_OK(basin_volume_list_chain(overlay, 0, &links, &count, &error));
    if (EXPECT(count == 2)) {
        EXPECT(links[1]->state == BASIN_CHAIN_MISSING);
        EXPECT_TEXT(links[1]->volume_name, "");
    }
    basin_chain_link_list_free(links);
}

int main(void)
{
    basin_context* context;
    basin_pool* pool;
    basin_volume* base;
    basin_volume* overlay;
    basin_backend_info* dir = NULL;
    uint64_t capabilities;

    test_names();
    EXPECT_OK(basin_backend_get_info("dir", 0, &dir, &error));
    capabilities = dir->capabilities;
    basin_backend_info_free(dir);
    if (!(capabilities >> BASIN_CAPABILITY_BACKING_IMAGES & 1)) {
        printf("skipped: no backing images in pools of type dir\n");
        return expect_failures ? 1 : 77;
    }
    fixture_open();
    context = fixture_context();
    pool = fixture_pool(context);
    snprintf(base_path, sizeof(base_path), "%s/base", fixture_target);
    snprintf(overlay_xml, sizeof(overlay_xml),
             "<volume><name>overlay</name><capacity unit='MiB'>1</capacity>"
             "<target><format type='qcow2'/></target><backingStore><path>%s</path>"
             "<format type='raw'/></backingStore></volume>",
             base_path);
    base = create(pool, "<volume><name>base</name><capacity unit='MiB'>1</capacity></volume>");
    overlay = create(pool, overlay_xml);
    test_chain(overlay);
    test_dependents(base, overlay);
    test_blockers(base);
    test_missing(overlay);
    test_flatten(pool);
    basin_volume_free(base);
    basin_volume_free(overlay);
    basin_pool_free(pool);
    basin_context_free(context);
    return failures();
}
