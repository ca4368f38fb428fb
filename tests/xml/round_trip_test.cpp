// SPDX-License-Identifier: LGPL-2.1-or-later
// Random definitions survive XML and JSON unchanged; JSON that is not ours is refused.
#include "random_definition.hpp"

#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace storage;

TEST_CASE("random pools survive XML and JSON", "[xml][json]")
{
    RandomDefinition random(20261121);
    for (int i = 0; i < 3000; ++i) {
        const auto def = random.pool();
        const auto xml = format_pool(def);
        INFO(xml);
        std::string ignored;
        const auto again =
            parse_pool(xml, {.on_ignored = [&](std::string_view line) { ignored += line; }});
        REQUIRE(again == def);
        REQUIRE(ignored.empty());
        REQUIRE(format_pool(again) == xml);
        REQUIRE(pool_from_json(to_json(def)) == def);
    }
}

TEST_CASE("random volumes survive XML and JSON", "[xml][json]")
{
    RandomDefinition random(7);
    for (int i = 0; i < 3000; ++i)
        for (const auto* type : {"dir", "logical", "rbd"}) {
            const auto def = random.volume(type);
            const auto xml = format_volume(def, type);
            INFO(xml);
            REQUIRE(parse_volume(xml, type, VolumePurpose::describe, {.strict = true}) == def);
            REQUIRE(volume_from_json(to_json(def)) == def);
        }
}

TEST_CASE("a definition's JSON has the members' names and leaves out what is absent", "[json]")
{
    const PoolDef def{.type = "dir", .name = "a", .target = {.path = "/a"}};
    CHECK(to_json(def) == R"({"type":"dir","name":"a","target":{"path":"/a"}})");
    const VolumeDef volume{
        .name = "v", .type = VolumeType::file, .capacity = UINT64_MAX, .allocation = 0};
    CHECK(to_json(volume) ==
          R"({"name":"v","type":"file","capacity":18446744073709551615,"allocation":0})");
}

namespace {

std::string many_keys(int count)
{
    std::string json;
    for (int number = 0; number < count; ++number)
        json += (number ? ",\"k" : "{\"k") + std::to_string(number) + "\":1";
    return json + "}";
}

} // namespace

TEST_CASE("JSON that is not a definition is refused by pointer", "[json]")
{
    const std::pair<std::string, std::string> cases[] = {
        {"", "JSON: "},
        {"{", "JSON: "},
        {"[]", "JSON, top level: is not an object"},
        {R"({"colour":1})", "JSON, /colour: the key is not known"},
        {R"({"source":{"a/b~":1}})", "JSON, /source/a~1b~0: the key is not known"},
        {R"({"name":1})", "JSON, /name: is not a string"},
        {R"({"name":"a","name":"b"})", "key 'name' is given twice"},
        {R"({"copy_on_write":"yes"})", "JSON, /copy_on_write: is not true or false"},
        {R"({"source":{"hosts":{}}})", "JSON, /source/hosts: is not an array"},
        {R"({"source":{"hosts":[{"name":"a"},{"port":4294967296}]}})",
         "JSON, /source/hosts/1/port: is not a whole number from -2147483648 to 2147483647"},
        {R"({"target":{"permissions":{"mode":-1}}})", "JSON, /target/permissions/mode: is not"},
        {R"({"target":{"permissions":{"mode":1.5}}})", "JSON, /target/permissions/mode: is not"},
        {R"({"refresh_allocation":"x"})", "'x' is not allowed (allowed: default, capacity)"},
        {R"({"source":{"auth":{"type":"none"}}})", "(allowed: chap, ceph)"},
        {R"({"name":null})", "JSON, /name: is not a string"},
        {"{\"name\":\"\xFF\"}", "JSON: parse error at line 1"},
        {std::string(1024 * 1024 + 1, ' '), "more than the limit of 1 MiB"},
        {std::string(100'000, '['), "nested deeper than 64"},
        {many_keys(60'000), "more than 1024 keys in one object"},
        {R"({"source":)" + many_keys(1025) + "}", "more than 1024 keys in one object"},
        {many_keys(1024), "/k0: the key is not known"},
        {R"({"a":)" + std::string(70, '[') + std::string(70, ']') + "}", "nested deeper than 64"},
    };
    for (const auto& [json, message] : cases) {
        INFO(json.substr(0, 100));
        try {
            pool_from_json(json);
            FAIL("accepted");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::invalid_argument);
            CHECK_THAT(error.what(), Catch::Contains(message));
        }
    }
    CHECK_THROWS_AS(volume_from_json(R"({"name":"a","capacity":18446744073709551616})"), Error);
    CHECK_THROWS_AS(to_json(PoolDef{.type = "dir", .name = "\xFF"}), Error);
}

TEST_CASE("infos and errors have a JSON form", "[json]")
{
    CHECK(to_json(PoolInfo{.state = PoolState::degraded, .reason = "r", .capacity = 1}) ==
          R"({"state":"degraded","reason":"r","capacity":1,"allocation":0,"available":0,)"
          R"("persistent":false,"autostart":false})");
    CHECK(to_json(VolumeInfo{.type = VolumeType::block, .capacity = 1}) ==
          R"({"type":"block","capacity":1,"allocation":0,"physical":0})");
    CHECK(to_json(Diagnostic{.name = "n\xFF", .reason = DiagnosticReason::fifo, .message = "m"}) ==
          "{\"name\":\"n\uFFFD\",\"reason\":\"fifo\",\"message\":\"m\"}");
    CHECK(to_json(StepRecord{.kind = "mkdir", .call = {"mkdirat", "/a"}, .summary = "s"}) ==
          R"({"kind":"mkdir","call":["mkdirat","/a"],"summary":"s","destructive":false})");
    CHECK(to_json(Event{.sequence = 1, .kind = EventKind::pool_started, .pool_name = "p"}) ==
          R"({"sequence":1,"kind":"pool_started","time":{"seconds":0,"nanoseconds":0},)"
          R"("pool_name":"p","from_other_process":false})");
    CHECK(to_json(Error(ErrorCode::busy, "m", "retry", "d", 16)) ==
          R"({"code":"busy","number":-8,"message":"m","remedy":"retry","detail":"d",)"
          R"("os_error":16,"retryable":true})");
}

namespace {

/** The schema's word on one value: types, names, required members and enumerations. */
void check_schema(const nlohmann::json& definitions, const nlohmann::json& schema,
                  const nlohmann::json& value)
{
    if (schema.contains("$ref")) {
        const auto name = schema["$ref"].get<std::string>().substr(std::string("#/$defs/").size());
        return check_schema(definitions, definitions.at(name), value);
    }
    INFO(value);
    INFO(schema);
    if (schema.contains("enum"))
        CHECK(std::count(schema["enum"].begin(), schema["enum"].end(), value) == 1);
    const auto type = schema.value("type", "");
    CHECK((type != "integer" || value.is_number_integer()));
    CHECK((type != "string" || value.is_string()));
    CHECK((type != "boolean" || value.is_boolean()));
    if (type == "array")
        for (const auto& item : value)
            check_schema(definitions, schema.at("items"), item);
    if (type == "object") {
        for (const auto& [key, member] : value.items()) {
            INFO(key);
            REQUIRE(schema["properties"].contains(key));
            check_schema(definitions, schema["properties"][key], member);
        }
        for (const auto& key : schema.value("required", nlohmann::json::array()))
            CHECK(value.contains(key));
    }
}

} // namespace

TEST_CASE("everything printed follows the schema", "[json]")
{
    const auto schema = nlohmann::json::parse(json_schema());
    CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
    const auto& definitions = schema["$defs"];
    const auto check = [&](const char* name, const std::string& json) {
        check_schema(definitions, definitions.at(name), nlohmann::json::parse(json));
    };
    RandomDefinition random(3);
    for (int i = 0; i < 50; ++i) {
        check("pool", to_json(random.pool()));
        check("volume", to_json(random.volume("dir")));
    }
    for (const auto& info : backends())
        check("backend", to_json(info));
    check("pool_info", to_json(PoolInfo{.reason = "r"}));
    check("volume_info", to_json(VolumeInfo{}));
    check("diagnostic", to_json(Diagnostic{}));
    check("step", to_json(StepRecord{.call = {"a"}, .undo = "u"}));
    check("event", to_json(Event{.pool_name = "a", .pool_uuid = "b", .volume_name = "c"}));
    check("error", to_json(Error(ErrorCode::io, "m", "r", "d", 5)));
    check("image",
          to_json(ImageInfo{.backing = ImageReference{.path = "a", .format = "raw"},
                            .encryption = Encryption{.format = "luks"},
                            .findings = {{.issue = ImageIssue::truncated, .message = "m"}}}));
}
