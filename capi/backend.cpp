// SPDX-License-Identifier: LGPL-2.1-or-later
// Pool types.
#include "records.hpp"

#include <basin/backend.hpp>

using namespace storage;
using namespace storage::capi;

namespace {

// The numbers of the two headers are the same by declaration order; the ends prove it.
static_assert(static_cast<unsigned>(Capability::protect_snapshots) ==
              BASIN_CAPABILITY_PROTECT_SNAPSHOTS);
static_assert(1u << static_cast<unsigned>(SourceField::protocol) == BASIN_SOURCE_PROTOCOL);
static_assert(static_cast<unsigned>(TargetPath::none) == BASIN_TARGET_PATH_NONE);
static_assert(static_cast<unsigned>(VolumeType::ploop) == BASIN_VOLUME_PLOOP);

const BackendInfo& known_backend(std::string_view type)
{
    if (const auto* const info = find_backend(type))
        return *info;
    throw Error(ErrorCode::not_found, "pool type '" + std::string(type) + "': not known",
                "basin_backend_list() lists the types");
}

std::uint32_t bits(const SourceFields& fields)
{
    std::uint32_t result = 0;
    for (unsigned bit = 0; bit <= static_cast<unsigned>(SourceField::protocol); ++bit)
        if (fields.has(static_cast<SourceField>(bit)))
            result |= 1u << bit;
    return result;
}

std::uint32_t option_bits(const BackendInfo& info)
{
    std::uint32_t result = 0;
    if (info.copy_on_write_option)
        result |= BASIN_OPTION_COPY_ON_WRITE;
    if (info.mount_options)
        result |= BASIN_OPTION_MOUNT;
    if (info.config_options)
        result |= BASIN_OPTION_CONFIG;
    if (info.refresh_option)
        result |= BASIN_OPTION_REFRESH;
    if (info.provisioning)
        result |= BASIN_OPTION_PROVISIONING;
    if (info.names_volumes)
        result |= BASIN_OPTION_NAMES_VOLUMES;
    return result;
}

std::vector<std::string_view> copy(std::span<const std::string_view> values)
{
    return {values.begin(), values.end()};
}

Form<basin_backend_info> form(const BackendInfo& info)
{
    Form<basin_backend_info> result;
    result.record.available = info.available;
    result.record.capabilities = info.capabilities.bits();
    result.record.volume_type = static_cast<std::uint32_t>(info.volume_type);
    result.record.target_path = static_cast<std::uint32_t>(info.target_path);
    result.record.source_required = bits(info.source_required);
    result.record.source_accepted = bits(info.source_accepted);
    result.record.source_name_defaults_to_pool_name = info.source_name_defaults_to_pool_name;
    result.record.options = option_bits(info);
    result.texts = {{{&basin_backend_info::type, info.type},
                     {&basin_backend_info::summary, info.summary},
                     {&basin_backend_info::unavailable_reason, info.unavailable_reason},
                     {&basin_backend_info::target_prefix, info.target_prefix},
                     {&basin_backend_info::source_dir_default, info.source_dir_default}}};
    result.lists = {{&basin_backend_info::source_formats, copy(info.source_formats)},
                    {&basin_backend_info::protocol_formats, copy(info.protocol_formats)},
                    {&basin_backend_info::volume_formats, copy(info.volume_formats)},
                    {&basin_backend_info::creatable_formats, copy(info.creatable_formats)},
                    {&basin_backend_info::tools, copy(info.tools)},
                    {&basin_backend_info::libraries, copy(info.libraries)}};
    return result;
}

} // namespace

const char* basin_capability_name(uint32_t capability)
{
    return capability < capability_count ? to_string(static_cast<Capability>(capability)).data()
                                         : "unknown";
}

int basin_backend_list(uint32_t flags, char*** types, size_t* count, basin_error** error)
{
    return guard(error, [&] {
        auto& out = required(types, "types");
        auto& size = required(count, "count");
        reject_unknown_flags(flags, 0);
        std::vector<std::string> names;
        for (const auto& info : backends())
            names.emplace_back(info.type);
        out = copy_texts(names);
        size = names.size();
    });
}

int basin_backend_get_info(const char* type, uint32_t flags, basin_backend_info** info,
                           basin_error** error)
{
    return guard(error, [&] {
        const auto name = required_text(type, "type");
        auto& out = required(info, "info");
        reject_unknown_flags(flags, 0);
        out = make_record(form(known_backend(name)));
    });
}

int basin_backend_get_json(const char* type, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto name = required_text(type, "type");
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(to_json(known_backend(name)));
    });
}

void basin_backend_info_free(basin_backend_info* info)
{
    std::free(info);
}

int basin_backend_get_capabilities_xml(uint32_t flags, char** xml, basin_error** error)
{
    return guard(error, [&] {
        auto& out = required(xml, "xml");
        reject_unknown_flags(flags, 0);
        out = copy_text(format_capabilities());
    });
}
