// SPDX-License-Identifier: LGPL-2.1-or-later
// The JSON of what basin reports: numbers, events, steps, diagnostics, pool types, errors.
#include <basin/access.hpp>
#include <basin/backend.hpp>
#include <basin/error.hpp>
#include <basin/event.hpp>
#include <basin/job.hpp>
#include <basin/pool.hpp>

#include <nlohmann/json.hpp>

namespace storage::inline v1 {
namespace {

using Json = nlohmann::ordered_json;

/** What the system answers may hold any byte; a report must not fail over it. */
std::string print(const Json& json)
{
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/** Adds a text unless it is empty. */
void put(Json& object, const char* name, std::string_view text)
{
    if (!text.empty())
        object[name] = text;
}

Json words(std::span<const std::string_view> list)
{
    Json array = Json::array();
    for (const auto word : list)
        array.push_back(word);
    return array;
}

constexpr std::string_view volume_types[] = {"file", "block", "dir", "network", "netdir", "ploop"};

Json source_fields(const SourceFields& set)
{
    constexpr std::string_view names[] = {"host", "device",    "dir",  "adapter",
                                          "name", "initiator", "auth", "protocol"};
    Json array = Json::array();
    for (std::size_t i = 0; i < std::size(names); ++i)
        if (set.has(static_cast<SourceField>(i)))
            array.push_back(names[i]);
    return array;
}

Json capabilities(const Capabilities& set)
{
    Json array = Json::array();
    for (unsigned i = 0; i < capability_count; ++i)
        if (const auto capability = static_cast<Capability>(i); set.has(capability))
            array.push_back(to_string(capability));
    return array;
}

} // namespace

std::string to_json(const PoolInfo& info)
{
    Json json{{"state", to_string(info.state)}};
    put(json, "reason", info.reason);
    json["capacity"] = info.capacity;
    json["allocation"] = info.allocation;
    json["available"] = info.available;
    json["persistent"] = info.persistent;
    json["autostart"] = info.autostart;
    if (!info.details.empty())
        json["details"] = info.details;
    return print(json);
}

std::string to_json(const std::map<std::string, std::string>& facts)
{
    return print(Json(facts));
}

std::string to_json(const VolumeInfo& info)
{
    return print({{"type", volume_types[static_cast<std::size_t>(info.type)]},
                  {"capacity", info.capacity},
                  {"allocation", info.allocation},
                  {"physical", info.physical}});
}

std::string to_json(const Diagnostic& diagnostic)
{
    return print({{"name", diagnostic.name},
                  {"reason", to_string(diagnostic.reason)},
                  {"message", diagnostic.message}});
}

std::string to_json(const Blocker& blocker)
{
    return print(
        {{"kind", to_string(blocker.kind)}, {"message", blocker.message}, {"pid", blocker.pid}});
}

std::string to_json(const ChainLink& link)
{
    Json json{{"reference", link.reference}};
    put(json, "path", link.path);
    put(json, "format", link.format);
    json["format_declared"] = link.format_declared;
    put(json, "pool_name", link.pool_name);
    put(json, "volume_name", link.volume_name);
    json["state"] = to_string(link.state);
    return print(json);
}

std::string to_json(const AccessExplanation& explanation)
{
    Json json{{"allowed", explanation.allowed}};
    put(json, "component", explanation.component);
    put(json, "rule", explanation.rule);
    put(json, "remedy", explanation.remedy);
    return print(json);
}

std::string to_json(const StepRecord& step)
{
    Json json{{"kind", step.kind}, {"call", step.call}, {"summary", step.summary}};
    json["destructive"] = step.destructive;
    put(json, "undo", step.undo);
    return print(json);
}

std::string to_json(const Event& event)
{
    Json json{{"sequence", event.sequence}, {"kind", to_string(event.kind)}};
    json["time"] = {{"seconds", event.time.seconds}, {"nanoseconds", event.time.nanoseconds}};
    put(json, "pool_name", event.pool_name);
    put(json, "pool_uuid", event.pool_uuid);
    put(json, "volume_name", event.volume_name);
    json["from_other_process"] = event.from_other_process;
    return print(json);
}

std::string to_json(const BackendInfo& info)
{
    constexpr std::string_view target_paths[] = {"required", "fixed", "none"};
    Json json{{"type", info.type}, {"summary", info.summary}, {"available", info.available}};
    put(json, "unavailable_reason", info.unavailable_reason);
    json["capabilities"] = capabilities(info.capabilities);
    json["volume_type"] = volume_types[static_cast<std::size_t>(info.volume_type)];
    json["source_required"] = source_fields(info.source_required);
    json["source_accepted"] = source_fields(info.source_accepted);
    json["source_name_defaults_to_pool_name"] = info.source_name_defaults_to_pool_name;
    put(json, "source_dir_default", info.source_dir_default);
    json["target_path"] = target_paths[static_cast<std::size_t>(info.target_path)];
    put(json, "target_prefix", info.target_prefix);
    json["copy_on_write_option"] = info.copy_on_write_option;
    json["mount_options"] = info.mount_options;
    json["config_options"] = info.config_options;
    json["refresh_option"] = info.refresh_option;
    json["provisioning"] = info.provisioning;
    json["names_volumes"] = info.names_volumes;
    json["protocol_formats"] = words(info.protocol_formats);
    json["source_formats"] = words(info.source_formats);
    json["volume_formats"] = words(info.volume_formats);
    json["creatable_formats"] = words(info.creatable_formats);
    json["tools"] = words(info.tools);
    json["libraries"] = words(info.libraries);
    return print(json);
}

std::string to_json(const Error& error)
{
    Json json{{"code", to_string(error.code())},
              {"number", static_cast<int>(error.code())},
              {"message", error.what()}};
    put(json, "remedy", error.remedy());
    put(json, "detail", error.detail());
    if (error.os_error() != 0)
        json["os_error"] = error.os_error();
    json["retryable"] = error.retryable();
    return print(json);
}

} // namespace storage::inline v1
