// SPDX-License-Identifier: LGPL-2.1-or-later
// Definitions: between XML and JSON, without a context.
#include "handles.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

static_assert(static_cast<unsigned>(VolumePurpose::describe) == BASIN_PURPOSE_DESCRIBE);

VolumePurpose purpose_of(std::uint32_t purpose)
{
    return choice(purpose, "purpose", VolumePurpose::create, VolumePurpose::describe);
}

} // namespace

namespace storage::capi {

PoolDef read_pool(std::string_view definition, std::uint32_t flags,
                  const WarningCallback& on_ignored)
{
    const ParseOptions options{.strict = (flags & BASIN_DEFINITION_STRICT) != 0,
                               .on_ignored = on_ignored};
    if ((flags & BASIN_DEFINITION_JSON) == 0)
        return parse_pool(definition, options);
    return parse_pool(format_pool(pool_from_json(definition)), options); // one set of rules
}

VolumeDef read_volume(std::string_view definition, std::string_view pool_type,
                      VolumePurpose purpose, std::uint32_t flags, const WarningCallback& on_ignored)
{
    const ParseOptions options{.strict = (flags & BASIN_DEFINITION_STRICT) != 0,
                               .on_ignored = on_ignored};
    if ((flags & BASIN_DEFINITION_JSON) == 0)
        return parse_volume(definition, pool_type, purpose, options);
    const auto given = volume_from_json(definition, purpose);
    auto def = parse_volume(format_volume(given, pool_type), pool_type, purpose, options);
    if (!given.allocation) // XML always shows one
        def.allocation.reset();
    return def;
}

WarningCallback warn(const ContextState& context)
{
    if (!context.log)
        return {};
    return [&log = context.log](std::string_view line) { log(LogLevel::warning, line); };
}

} // namespace storage::capi

int basin_pool_definition_check(const char* definition, uint32_t flags, char*** ignored,
                                size_t* count, basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(definition, "definition");
        auto& out = required(ignored, "ignored");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, BASIN_DEFINITION_JSON);
        std::vector<std::string> lines;
        read_pool(text, flags, [&](std::string_view line) { lines.emplace_back(line); });
        out = copy_texts(lines);
        size = lines.size();
    });
}

int basin_pool_definition_to_xml(const char* definition, uint32_t flags, char** xml,
                                 basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(definition, "definition");
        auto& out = required(xml, "xml");
        reject_unknown_flags(flags, definition_flags);
        out = copy_text(format_pool(read_pool(text, flags, {})));
    });
}

int basin_pool_definition_to_json(const char* definition, uint32_t flags, char** json,
                                  basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(definition, "definition");
        auto& out = required(json, "json");
        reject_unknown_flags(flags, definition_flags);
        out = copy_text(to_json(read_pool(text, flags, {})));
    });
}

int basin_volume_definition_check(const char* definition, const char* pool_type, uint32_t purpose,
                                  uint32_t flags, char*** ignored, size_t* count,
                                  basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(definition, "definition");
        const auto type = required_text(pool_type, "pool_type");
        auto& out = required(ignored, "ignored");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, BASIN_DEFINITION_JSON);
        std::vector<std::string> lines;
        read_volume(text, type, purpose_of(purpose), flags,
                    [&](std::string_view line) { lines.emplace_back(line); });
        out = copy_texts(lines);
        size = lines.size();
    });
}

int basin_volume_definition_to_xml(const char* definition, const char* pool_type, uint32_t purpose,
                                   uint32_t flags, char** xml, basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(definition, "definition");
        const auto type = required_text(pool_type, "pool_type");
        auto& out = required(xml, "xml");
        reject_unknown_flags(flags, definition_flags);
        out =
            copy_text(format_volume(read_volume(text, type, purpose_of(purpose), flags, {}), type));
    });
}

int basin_volume_definition_to_json(const char* definition, const char* pool_type, uint32_t purpose,
                                    uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(definition, "definition");
        const auto type = required_text(pool_type, "pool_type");
        auto& out = required(json, "json");
        reject_unknown_flags(flags, definition_flags);
        out = copy_text(to_json(read_volume(text, type, purpose_of(purpose), flags, {})));
    });
}

int basin_parse_size(const char* number, const char* unit, uint32_t flags, uint64_t* bytes,
                     basin_error** error)
{
    return guard(error, [&] {
        const auto text = required_text(number, "number");
        auto& out = required(bytes, "bytes");
        reject_unknown_flags(flags, 0);
        out = parse_size(text, text_or_empty(unit));
    });
}

int basin_json_schema(uint32_t flags, char** schema, basin_error** error)
{
    return guard(error, [&] {
        auto& out = required(schema, "schema");
        reject_unknown_flags(flags, 0);
        out = copy_text(json_schema());
    });
}
