// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry.hpp"

#include "names.hpp"
#include "xml_writer.hpp"

#include <algorithm>

namespace storage::inline v1 {
namespace {

void format_list(XmlWriter& xml, const char* element, const char* name, std::string_view fallback,
                 std::span<const std::string_view> values)
{
    xml.open(element);
    xml.open("defaultFormat").attribute("type", fallback).close();
    xml.open("enum").attribute("name", name);
    // Our lists start with the default; libvirt's start with "unknown" where they have it.
    constexpr std::string_view unknown = "unknown";
    if (contains(values, unknown))
        xml.text("value", unknown);
    for (const auto value : values)
        if (value != unknown)
            xml.text("value", value);
    xml.close();
    xml.close();
}

} // namespace

bool contains(std::span<const std::string_view> list, std::string_view word)
{
    return std::find(list.begin(), list.end(), word) != list.end();
}

std::span<const BackendInfo> backends()
{
    static const auto list = [] {
        std::vector<BackendInfo> result;
        for (const auto* type : backend_table())
            result.push_back(type->info);
        return result;
    }();
    return list;
}

const BackendInfo* find_backend(std::string_view type)
{
    for (const auto* entry : backend_table())
        if (entry->info.type == type)
            return &entry->info;
    return nullptr;
}

const BackendType& backend_type(std::string_view type)
{
    for (const auto* entry : backend_table())
        if (entry->info.type == type)
            return *entry;
    throw Error(ErrorCode::invalid_argument, "pool type " + shown(type) + " is not known",
                "use one of: " + pool_type_names());
}

std::string pool_type_names()
{
    std::string result;
    for (const auto* entry : backend_table()) {
        if (!result.empty())
            result += ", ";
        result += entry->info.type;
    }
    return result;
}

std::string format_capabilities()
{
    XmlWriter xml;
    xml.open("storagepoolCapabilities");
    for (const auto& info : backends()) {
        xml.open("pool").attribute("type", info.type);
        xml.attribute("supported", info.available ? "yes" : "no");
        if (!info.source_formats.empty())
            format_list(xml, "poolOptions", "sourceFormatType", info.source_formats.front(),
                        info.source_formats);
        // What can be created, where that is known; else what can be there.
        const auto formats =
            info.creatable_formats.empty() ? info.volume_formats : info.creatable_formats;
        if (!formats.empty())
            format_list(xml, "volOptions", "targetFormatType", info.volume_formats.front(),
                        formats);
        xml.close(true);
    }
    xml.close();
    return xml.take();
}

} // namespace storage::inline v1
