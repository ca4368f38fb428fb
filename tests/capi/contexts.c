/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Contexts: several in one process, options of any age, read-only, handles that outlive them. */
#include "fixture.h"

#include <errno.h>
#include <sys/stat.h>

static void test_two_contexts(void)
{
    basin_context* one = fixture_context();
    basin_context* two = fixture_context();
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* stranger = NULL;
    basin_pool* pool = NULL;
    basin_pool* seen = NULL;
    char other_root[128];
    int active = 0;

    snprintf(other_root, sizeof(other_root), "%s/other", fixture_root);
    options.root = other_root;
    EXPECT_OK(basin_context_new(&options, 0, &stranger, &error));
    pool = fixture_pool(one);

    /* The same directories: what one does, the other sees at its next call. */
    EXPECT_OK(basin_context_find_pool(two, "vms", 0, &seen, &error));
    EXPECT_TEXT(basin_pool_uuid(seen), basin_pool_uuid(pool));
    EXPECT_OK(basin_pool_is_active(seen, 0, &active, &error));
    EXPECT(active == 1);
    EXPECT_OK(basin_pool_stop(seen, 0, NULL, &error));
    EXPECT_OK(basin_pool_is_active(pool, 0, &active, &error));
    EXPECT(active == 0);
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    EXPECT_CODE(basin_pool_is_active(seen, 0, &active, &error), BASIN_E_NOT_FOUND);
    basin_pool_free(seen);
    basin_pool_free(pool);

    /* Other directories: nothing in common. */
    EXPECT_CODE(basin_context_find_pool(stranger, "vms", 0, &pool, &error), BASIN_E_NOT_FOUND);
    basin_context_free(stranger);
    basin_context_free(one);
    basin_context_free(two);
}

static void test_handles_outlive_their_context(void)
{
    basin_context* context = fixture_context();
    basin_pool* pool = fixture_pool(context);
    basin_volume* volume = fixture_volume(pool, "a");
    char* path = NULL;

    basin_context_free(context);
    basin_pool_free(pool);
    EXPECT_OK(basin_volume_get_path(volume, 0, &path, &error));
    basin_free(path);
    EXPECT_OK(basin_volume_get_pool(volume, 0, &pool, &error));
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    basin_volume_free(volume);
    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    basin_pool_free(pool);
}

static void test_read_only(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = fixture_context();
    basin_context* reader = NULL;
    basin_pool* pool = fixture_pool(context);
    basin_pool* seen = NULL;
    char* xml = NULL;

    options.root = fixture_root;
    EXPECT_OK(basin_context_new(&options, BASIN_CONTEXT_READ_ONLY, &reader, &error));
    EXPECT_OK(basin_context_find_pool(reader, "vms", 0, &seen, &error));
    EXPECT_OK(basin_pool_get_xml(seen, 0, &xml, &error));
    basin_free(xml);
    EXPECT_CODE(basin_pool_stop(seen, 0, NULL, &error), BASIN_E_PERMISSION_DENIED);
    EXPECT_CODE(basin_pool_set_autostart(seen, 1, 0, NULL, &error), BASIN_E_PERMISSION_DENIED);
    basin_pool_free(seen);
    basin_context_free(reader);
    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    basin_pool_free(pool);
    basin_context_free(context);
}

/** A program that was compiled later passes a longer structure. */
static void test_options_of_a_newer_program(void)
{
    struct {
        basin_context_options known;
        const char* unknown;
    } options;
    basin_context* context = NULL;

    memset(&options, 0, sizeof(options));
    options.known.struct_size = sizeof(options);
    options.known.root = fixture_root;
    EXPECT_OK(basin_context_new(&options.known, 0, &context, &error));
    EXPECT(strncmp(basin_context_run_dir(context), fixture_root, strlen(fixture_root)) == 0);
    basin_context_free(context);
    options.unknown = "something that this library cannot do";
    EXPECT_CODE(basin_context_new(&options.known, 0, &context, &error), BASIN_E_INVALID_ARGUMENT);
}

/** A program that was compiled earlier passes a shorter one; what lies behind it is not looked at.
 */
static void test_options_of_an_older_program(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;

    options.root = fixture_root;
    options.struct_size = offsetof(basin_context_options, secret_directory);
    memset(&options.secret_directory, 0xff, sizeof(options.secret_directory));
    EXPECT_OK(basin_context_new(&options, 0, &context, &error));
    EXPECT(strncmp(basin_context_run_dir(context), fixture_root, strlen(fixture_root)) == 0);
    basin_context_free(context);
}

static void test_single_directories(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;
    char config[128];
    char state[128];
    char run[128];

    snprintf(config, sizeof(config), "%s/a", fixture_root);
    snprintf(state, sizeof(state), "%s/b", fixture_root);
    snprintf(run, sizeof(run), "%s/c", fixture_root);
    options.config_dir = config;
    options.state_dir = state;
    options.run_dir = run;
    EXPECT_OK(basin_context_new(&options, 0, &context, &error));
    EXPECT_TEXT(basin_context_config_dir(context), config);
    EXPECT_TEXT(basin_context_state_dir(context), state);
    EXPECT_TEXT(basin_context_run_dir(context), run);
    basin_context_free(context);
}

static void test_recover_with_nothing_to_do(void)
{
    basin_context* context = fixture_context();
    basin_recovery_result** results = NULL;
    size_t count = 99;

    EXPECT_OK(basin_context_recover(context, 0, &results, &count, &error));
    EXPECT(count == 0 && results[0] == NULL);
    basin_recovery_result_list_free(results);
    basin_context_free(context);
}

static size_t recovery_plan(basin_context* context, const char* expected)
{
    basin_step** steps = NULL;
    size_t count = 99;

    EXPECT_OK(basin_context_list_recovery_plan(context, 0, &steps, &count, &error));
    if (count > 0) {
        EXPECT(strstr(steps[0]->summary, expected) != NULL);
        EXPECT(steps[0]->call != NULL && steps[0]->call[0] == NULL && steps[count] == NULL);
    }
    basin_step_list_free(steps);
    return count;
}

/** What a killed process left is there until the context is told to see to it. */
static void test_recovery_is_left_for_later(void)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;
    basin_recovery_result** results = NULL;
    size_t count = 99;
    char state[128];
    char path[192];
    FILE* journal;

    snprintf(state, sizeof(state), "%s/left", fixture_root);
    options.root = fixture_root;
    options.state_dir = state;
    EXPECT_OK(basin_context_new(&options, BASIN_CONTEXT_NO_RECOVERY, &context, &error));
    EXPECT(recovery_plan(context, "") == 0);
    basin_context_free(context);

    snprintf(path, sizeof(path), "%s/journal", state);
    EXPECT((mkdir(state, 0700) == 0 || errno == EEXIST) && mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/journal/.basin-1.journal", state);
    journal = fopen(path, "w");
    if (!EXPECT(journal != NULL))
        return;
    fputs("this is no journal\n", journal);
    fclose(journal);

    EXPECT_OK(basin_context_new(&options, BASIN_CONTEXT_NO_RECOVERY, &context, &error));
    EXPECT(recovery_plan(context, "set aside the journal") == 1);
    EXPECT(recovery_plan(context, "set aside the journal") == 1);
    EXPECT_OK(basin_context_recover(context, 0, &results, &count, &error));
    EXPECT(count == 1 && results[0]->operation[0] == '\0');
    basin_recovery_result_list_free(results);
    EXPECT(recovery_plan(context, "") == 0);
    basin_context_free(context);
}

int main(void)
{
    fixture_open();
    test_two_contexts();
    test_handles_outlive_their_context();
    test_read_only();
    test_options_of_a_newer_program();
    test_options_of_an_older_program();
    test_single_directories();
    test_recover_with_nothing_to_do();
    test_recovery_is_left_for_later();
    return failures();
}
