/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions without a context, pool types, sizes, the schema. */
#include "fixture.h"

static const char volume_xml[] =
    "<volume><name>a</name><capacity unit='GiB'>1</capacity><target><format type='qcow2'/>"
    "</target></volume>";

/** XML to JSON to XML: nothing is lost. */
static void test_round_trip(void)
{
    char* xml = NULL;
    char* json = NULL;
    char* again = NULL;

    EXPECT_OK(basin_pool_definition_to_xml(fixture_xml, 0, &xml, &error));
    EXPECT_OK(basin_pool_definition_to_json(xml, BASIN_DEFINITION_STRICT, &json, &error));
    EXPECT(json[0] == '{');
    EXPECT_OK(basin_pool_definition_to_xml(json, BASIN_DEFINITION_JSON, &again, &error));
    EXPECT_TEXT(xml, again);
    basin_free(xml);
    basin_free(json);
    basin_free(again);

    EXPECT_OK(
        basin_volume_definition_to_xml(volume_xml, "dir", BASIN_PURPOSE_CREATE, 0, &xml, &error));
    EXPECT_OK(
        basin_volume_definition_to_json(xml, "dir", BASIN_PURPOSE_DESCRIBE, 0, &json, &error));
    EXPECT(strstr(json, "qcow2") != NULL);
    EXPECT_OK(basin_volume_definition_to_xml(json, "dir", BASIN_PURPOSE_DESCRIBE,
                                             BASIN_DEFINITION_JSON, &again, &error));
    EXPECT_TEXT(xml, again);
    basin_free(xml);
    basin_free(json);
    basin_free(again);
}

static void test_bad_definitions(void)
{
    char* text = NULL;

    EXPECT_CODE(basin_pool_definition_to_xml("<pool", 0, &text, &error), BASIN_E_INVALID_XML);
    EXPECT_CODE(basin_pool_definition_to_xml("<volume/>", 0, &text, &error), BASIN_E_INVALID_XML);
    EXPECT_CODE(basin_pool_definition_to_json("{", BASIN_DEFINITION_JSON, &text, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT_CODE(
        basin_volume_definition_to_json("<volume/>", "dir", BASIN_PURPOSE_CREATE, 0, &text, &error),
        BASIN_E_INVALID_XML);
    EXPECT(text == NULL);
}

/** What JSON says is held to the rules of XML, and has the same defaults. */
static void test_json_rules(void)
{
    static const struct {
        const char* json;
        int code;
    } cases[] = {
        {"{\"name\":\"v\",\"capacity\":1}", BASIN_OK},
        {"{\"name\":\"v\",\"capacity\":18446744073709551615}", BASIN_E_INVALID_XML},
        {"{\"name\":\"\",\"capacity\":1}", BASIN_E_INVALID_XML},
        {"{\"capacity\":1}", BASIN_E_INVALID_XML},
        {"{\"name\":\"../x\",\"capacity\":1}", BASIN_E_INVALID_XML},
        {"{\"name\":\"a\\nb\",\"capacity\":1}", BASIN_E_INVALID_XML},
        {"{\"name\":\"v\",\"capacity\":1,\"target\":{\"permissions\":{\"mode\":65535}}}",
         BASIN_E_INVALID_XML},
        {"{\"name\":\"v\",\"capacity\":1,\"target\":{\"format\":\"none\"}}", BASIN_E_INVALID_XML},
        {"{\"name\":\"v\",\"capacity\":1,\"target\":{\"features\":[\"x\"]}}",
         BASIN_E_INVALID_ARGUMENT},
        {"{\"name\":\"v\",\"capacity\":-1}", BASIN_E_INVALID_ARGUMENT},
        {"{\"name\":\"v\"}", BASIN_E_INVALID_ARGUMENT},
        {"{\"name\":\"v\",\"backing\":[{\"path\":\"/b\"}]}", BASIN_OK},
        {"{\"name\":\"v\",\"backing\":[{}]}", BASIN_E_INVALID_ARGUMENT},
        {"{\"name\":\"v\",\"capacity\":1,\"target\":{\"provisioning\":{}}}",
         BASIN_E_INVALID_ARGUMENT},
        {"{\"name\":\"v\",\"capacity\":1,\"target\":{\"encryption\":{\"format\":\"luks\","
         "\"secrets\":[{\"usage\":\"u\"}],\"cipher\":{\"name\":\"aes\"}}}}",
         BASIN_E_INVALID_ARGUMENT},
        {"{\"name\":\"v\",\"capacity\":1,\"color\":1}", BASIN_E_INVALID_ARGUMENT},
        {"[]", BASIN_E_INVALID_ARGUMENT},
    };
    /* Without the number or word that is missing, another one would be taken for given. */
    static const char* const pools[] = {
        "{\"type\":\"iscsi\",\"name\":\"p\",\"target\":{\"path\":\"/dev\"},\"source\":{"
        "\"hosts\":[{\"name\":\"h\"}],\"devices\":[{\"path\":\"iqn.2013-06.com:t\"}],"
        "\"auth\":{\"username\":\"u\",\"secret\":{\"usage\":\"s\"}}}}",
        "{\"type\":\"scsi\",\"name\":\"p\",\"target\":{\"path\":\"/dev\"},"
        "\"source\":{\"adapter\":{\"name\":\"host1\",\"wwnn\":\"20000000c9831b4b\"}}}",
        "{\"type\":\"scsi\",\"name\":\"p\",\"target\":{\"path\":\"/dev\"},\"source\":{"
        "\"adapter\":{\"type\":\"scsi_host\",\"parent_address\":{\"unique_id\":1}}}}",
        "{\"type\":\"scsi\",\"name\":\"p\",\"target\":{\"path\":\"/dev\"},\"source\":{"
        "\"adapter\":{\"type\":\"scsi_host\",\"parent_address\":{\"address\":{}}}}}",
    };
    char* text = NULL;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        EXPECT_CODE(basin_volume_definition_to_xml(cases[i].json, "dir", BASIN_PURPOSE_CREATE,
                                                   BASIN_DEFINITION_JSON, &text, &error),
                    cases[i].code);
        if (cases[i].code == BASIN_OK) {
            EXPECT(strstr(text, "<format type='raw'/>") != NULL);
            basin_free(text);
        }
    }
    { /* each would be a level of XML, indented by all above it */
        static char deep[64 + 3 * 2000] = "{\"name\":\"v\",\"capacity\":1,\"backing\":[{}";

        for (int i = 1; i < 2000; ++i)
            strcat(deep, ",{}");
        strcat(deep, "]}");
        EXPECT_CODE(basin_volume_definition_to_xml(deep, "dir", BASIN_PURPOSE_CREATE,
                                                   BASIN_DEFINITION_JSON, &text, &error),
                    BASIN_E_INVALID_XML);
    }
    EXPECT_CODE(basin_pool_definition_to_xml("{\"type\":\"dir\",\"name\":\"p\"}",
                                             BASIN_DEFINITION_JSON, &text, &error),
                BASIN_E_INVALID_XML);
    for (size_t i = 0; i < sizeof pools / sizeof *pools; ++i)
        EXPECT_CODE(basin_pool_definition_to_xml(pools[i], BASIN_DEFINITION_JSON, &text, &error),
                    BASIN_E_INVALID_ARGUMENT);
    /* An allocation that is not given stays so: it follows the capacity, which may come later. */
    EXPECT_OK(basin_volume_definition_to_json("{\"name\":\"v\"}", "dir", BASIN_PURPOSE_CREATE_FROM,
                                              BASIN_DEFINITION_JSON, &text, &error));
    EXPECT(strstr(text, "allocation") == NULL);
    basin_free(text);
}

static void test_check(void)
{
    const char* odd =
        "<pool type='dir'><name>a</name><odd/><target><path>/a</path></target></pool>";
    const char* odd_volume = "<volume><name>a</name><capacity>1</capacity><odd/></volume>";
    char** ignored = NULL;
    char* text = NULL;
    size_t count = 99;

    EXPECT_OK(basin_pool_definition_check(fixture_xml, 0, &ignored, &count, &error));
    EXPECT(count == 0 && ignored[0] == NULL);
    basin_string_list_free(ignored);
    EXPECT_OK(basin_pool_definition_check(odd, 0, &ignored, &count, &error));
    if (EXPECT(count == 1 && ignored[1] == NULL))
        EXPECT(strstr(ignored[0], "odd") != NULL);
    basin_string_list_free(ignored);
    EXPECT_CODE(basin_pool_definition_to_json(odd, BASIN_DEFINITION_STRICT, &text, &error),
                BASIN_E_INVALID_XML);
    EXPECT_OK(basin_volume_definition_check(odd_volume, "dir", BASIN_PURPOSE_CREATE, 0, &ignored,
                                            &count, &error));
    EXPECT(count == 1);
    basin_string_list_free(ignored);
}

static void test_backends(void)
{
    basin_backend_info* info = NULL;
    char** types = NULL;
    char* text = NULL;
    size_t count = 0;

    EXPECT_OK(basin_backend_list(0, &types, &count, &error));
    EXPECT(count == 14 && types[14] == NULL);
    EXPECT_TEXT(types[0], "dir");
    for (size_t i = 0; i < count; ++i) {
        EXPECT_OK(basin_backend_get_info(types[i], 0, &info, &error));
        EXPECT(info->struct_size == sizeof(*info));
        EXPECT_TEXT(info->type, types[i]);
        EXPECT(info->summary[0] != '\0');
        EXPECT((info->unavailable_reason[0] == '\0') == (info->available == 1));
        EXPECT((info->source_required & ~info->source_accepted) == 0);
        for (const char* const* format = info->creatable_formats; *format; ++format)
            EXPECT(**format != '\0');
        EXPECT(info->source_formats && info->volume_formats && info->tools && info->libraries);
        EXPECT(info->protocol_formats && info->source_dir_default);
        basin_backend_info_free(info);
        EXPECT_OK(basin_backend_get_json(types[i], 0, &text, &error));
        EXPECT(text[0] == '{');
        basin_free(text);
    }
    basin_string_list_free(types);
    EXPECT_OK(basin_backend_get_info("dir", 0, &info, &error));
    EXPECT(info->available == 1 && info->volume_type == BASIN_VOLUME_FILE);
    EXPECT(info->capabilities >> BASIN_CAPABILITY_CREATE_VOLUME & 1);
    EXPECT_TEXT(info->volume_formats[0], "raw");
    basin_backend_info_free(info);
    EXPECT_OK(basin_backend_get_info("netfs", 0, &info, &error));
    EXPECT(info->source_required == (BASIN_SOURCE_HOST | BASIN_SOURCE_DIR));
    EXPECT(info->options & BASIN_OPTION_MOUNT);
    EXPECT_TEXT(info->source_formats[0], "auto");
    basin_backend_info_free(info);
    EXPECT_CODE(basin_backend_get_info("floppy", 0, &info, &error), BASIN_E_NOT_FOUND);
    EXPECT_CODE(basin_backend_get_json("floppy", 0, &text, &error), BASIN_E_NOT_FOUND);
    EXPECT_OK(basin_backend_get_capabilities_xml(0, &text, &error));
    EXPECT(strstr(text, "<storagepoolCapabilities>") != NULL);
    basin_free(text);
}

static void test_sizes_and_schema(void)
{
    uint64_t bytes = 0;
    char* schema = NULL;

    EXPECT_OK(basin_parse_size("10", NULL, 0, &bytes, &error));
    EXPECT(bytes == 10);
    EXPECT_OK(basin_parse_size("3", "GiB", 0, &bytes, &error));
    EXPECT(bytes == UINT64_C(3) << 30);
    EXPECT_CODE(basin_parse_size("16", "EiB", 0, &bytes, &error), BASIN_E_INVALID_ARGUMENT);
    EXPECT_CODE(basin_parse_size("1", "parsec", 0, &bytes, &error), BASIN_E_INVALID_ARGUMENT);
    EXPECT_OK(basin_json_schema(0, &schema, &error));
    EXPECT(strstr(schema, "2020-12") != NULL);
    basin_free(schema);
}

int main(void)
{
    fixture_open();
    test_round_trip();
    test_bad_definitions();
    test_json_rules();
    test_check();
    test_backends();
    test_sizes_and_schema();
    return failures();
}
