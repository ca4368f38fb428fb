// SPDX-License-Identifier: LGPL-2.1-or-later
// Prints a table of the documentation, in Markdown, from what the registry says of each pool type.
#include <basin/backend.hpp>

#include <algorithm>
#include <iostream>

namespace {

using namespace storage;

/** A pool type without a single capability is read and written as XML and no more. */
bool is_implemented(const BackendInfo& info)
{
    return info.capabilities.bits() != 0;
}

std::string join(std::span<const std::string_view> words)
{
    std::string result;
    for (const auto word : words) {
        if (!result.empty())
            result += ", ";
        result += word;
    }
    return result;
}

std::string fields(const SourceFields& set)
{
    constexpr std::pair<SourceField, std::string_view> names[] = {
        {SourceField::host, "host"}, {SourceField::device, "device"},
        {SourceField::dir, "dir"},   {SourceField::adapter, "adapter"},
        {SourceField::name, "name"}, {SourceField::initiator, "initiator"},
        {SourceField::auth, "auth"}, {SourceField::protocol, "protocol"}};
    std::vector<std::string_view> present;
    for (const auto& [field, name] : names)
        if (set.has(field))
            present.push_back(name);
    return join(present);
}

std::string_view volume_type(VolumeType type)
{
    switch (type) {
    case VolumeType::file: return "files";
    case VolumeType::block: return "block devices";
    case VolumeType::dir: return "directories";
    case VolumeType::network: return "network objects";
    case VolumeType::netdir: return "network directories";
    case VolumeType::ploop: return "ploop images";
    }
    return "";
}

std::string target(const BackendInfo& info)
{
    switch (info.target_path) {
    case TargetPath::required: return "given";
    case TargetPath::fixed: return "below `" + std::string(info.target_prefix) + '`';
    case TargetPath::none: return "none";
    }
    return "";
}

void print_overview()
{
    std::cout << "| type | volumes are | in this version |\n|---|---|---|\n";
    for (const auto& info : backends())
        std::cout << "| `" << info.type << "` | " << info.summary << " | "
                  << (is_implemented(info) ? "works" : "its XML is read and written") << " |\n";
}

void print_capabilities()
{
    std::cout << "| capability |";
    std::string rule = "|---|";
    for (const auto& info : backends()) {
        std::cout << ' ' << info.type << " |";
        rule += "---|";
    }
    std::cout << '\n' << rule << '\n';
    for (unsigned i = 0; i < capability_count; ++i) {
        const auto capability = static_cast<Capability>(i);
        std::cout << "| `" << to_string(capability) << "` |";
        for (const auto& info : backends())
            std::cout << (info.capabilities.has(capability) ? " ✓ |" : "  |");
        std::cout << '\n';
    }
}

/** Long lists that several types share are printed once. */
std::string volume_formats(const BackendInfo& info)
{
    const auto& first = backends().front();
    const bool same = std::ranges::equal(info.volume_formats, first.volume_formats);
    return same && info.type != first.type ? "as " + std::string(first.type)
                                           : join(info.volume_formats);
}

void print_definitions()
{
    std::cout << "| type | volumes | source needs | source may have | target path "
                 "| source formats | volume formats | of these created | programs | libraries |\n"
                 "|---|---|---|---|---|---|---|---|---|---|\n";
    for (const auto& info : backends())
        std::cout << "| " << info.type << " | " << volume_type(info.volume_type) << " | "
                  << fields(info.source_required) << " | " << fields(info.source_accepted) << " | "
                  << target(info) << " | " << join(info.source_formats) << " | "
                  << volume_formats(info) << " | " << join(info.creatable_formats) << " | "
                  << join(info.tools) << " | " << join(info.libraries) << " |\n";
}

} // namespace

int main(int argc, char** argv)
{
    const std::string_view wanted = argc == 2 ? argv[1] : "";
    if (wanted == "overview")
        print_overview();
    else if (wanted == "capabilities")
        print_capabilities();
    else if (wanted == "definitions")
        print_definitions();
    else {
        std::cerr << "usage: backend-tables overview|capabilities|definitions\n";
        return 2;
    }
}
