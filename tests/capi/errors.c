/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error objects: accessors, names of codes, names of numbers. */
#include "fixture.h"

static void test_codes(void)
{
    static const char* const names[] = {"ok",
                                        "invalid_argument",
                                        "invalid_xml",
                                        "not_found",
                                        "already_exists",
                                        "invalid_state",
                                        "not_supported",
                                        "unavailable",
                                        "busy",
                                        "no_space",
                                        "permission_denied",
                                        "io",
                                        "connection",
                                        "command_failed",
                                        "parse_failed",
                                        "timed_out",
                                        "cancelled",
                                        "no_memory",
                                        "internal"};

    for (int i = 0; i <= -BASIN_E_INTERNAL; ++i)
        EXPECT_TEXT(basin_error_name(-i), names[i]);
    EXPECT_TEXT(basin_error_name(BASIN_E_INTERNAL - 1), "unknown");
    EXPECT_TEXT(basin_error_name(1), "unknown");
}

static void test_names(void)
{
    EXPECT_TEXT(basin_capability_name(BASIN_CAPABILITY_FIND_SOURCES), "find_sources");
    EXPECT_TEXT(basin_capability_name(BASIN_CAPABILITY_CREATE_VOLUME), "create_volume");
    EXPECT_TEXT(basin_capability_name(BASIN_CAPABILITY_WATCH), "watch");
    EXPECT_TEXT(basin_capability_name(BASIN_CAPABILITY_PROTECT_SNAPSHOTS + 1), "unknown");
    EXPECT_TEXT(basin_pool_state_name(BASIN_POOL_INACTIVE), "inactive");
    EXPECT_TEXT(basin_pool_state_name(BASIN_POOL_INACCESSIBLE), "inaccessible");
    EXPECT_TEXT(basin_pool_state_name(99), "unknown");
    EXPECT_TEXT(basin_event_kind_name(BASIN_EVENT_POOL_DEFINED), "pool_defined");
    EXPECT_TEXT(basin_event_kind_name(BASIN_EVENT_OVERFLOW), "overflow");
    EXPECT_TEXT(basin_event_kind_name(99), "unknown");
    EXPECT_TEXT(basin_diagnostic_reason_name(BASIN_DIAGNOSTIC_FIFO), "fifo");
    EXPECT_TEXT(basin_diagnostic_reason_name(BASIN_DIAGNOSTIC_INACTIVE), "inactive");
    EXPECT_TEXT(basin_diagnostic_reason_name(99), "unknown");
    EXPECT_TEXT(basin_version_string(), BASIN_VERSION_STRING);
    EXPECT(basin_version_number() == BASIN_VERSION_NUMBER);
}

static void test_accessors(basin_context* context)
{
    basin_pool* pool = NULL;
    char* json;

    EXPECT(basin_context_find_pool(context, "no-such-pool", 0, &pool, &error) == BASIN_E_NOT_FOUND);
    EXPECT(basin_error_code(error) == BASIN_E_NOT_FOUND);
    EXPECT(strstr(basin_error_message(error), "no-such-pool") != NULL);
    EXPECT(strchr(basin_error_message(error), '\n') == NULL);
    EXPECT(basin_error_remedy(error) != NULL && basin_error_detail(error) != NULL);
    EXPECT(basin_error_os_error(error) == 0);
    EXPECT(basin_error_retryable(error) == 0);
    json = basin_error_json(error);
    EXPECT(json && json[0] == '{' && strstr(json, "not_found") && strstr(json, "no-such-pool"));
    basin_free(json);
    basin_error_free(error);

    /* Set to NULL by the next success. */
    EXPECT(basin_context_define_pool(context, fixture_xml, 0, NULL, &pool, &error) == BASIN_OK);
    EXPECT(error == NULL);
    basin_pool_free(pool);
}

static void test_no_error(void)
{
    EXPECT(basin_error_code(NULL) == BASIN_OK);
    EXPECT_TEXT(basin_error_message(NULL), "");
    EXPECT_TEXT(basin_error_remedy(NULL), "");
    EXPECT_TEXT(basin_error_detail(NULL), "");
    EXPECT(basin_error_os_error(NULL) == 0 && basin_error_retryable(NULL) == 0);
    EXPECT(basin_error_json(NULL) == NULL);
}

int main(void)
{
    basin_context* context;

    fixture_open();
    context = fixture_context();
    test_codes();
    test_names();
    test_accessors(context);
    test_no_error();
    basin_context_free(context);
    return failures();
}
