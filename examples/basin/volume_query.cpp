// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that show volumes.
#include "shared.hpp"

#include <algorithm>
#include <array>
#include <strings.h>

namespace command {

namespace {

using storage::BackingDepth;
using storage::VolumeEntry;
using storage::VolumeInfo;
using storage::VolumeType;

constexpr std::string_view group = "Looking at volumes";

std::string type_name(VolumeType type)
{
    constexpr std::array names{"file", "block", "dir", "network", "netdir", "ploop"};
    return names.at(static_cast<std::size_t>(type));
}

JsonObject entry_json(const VolumeEntry& entry)
{
    JsonObject object;
    object.text("name", entry.name).text("key", entry.key).text("path", entry.path);
    return object;
}

std::vector<VolumeEntry> sorted_entries(const Pool& pool)
{
    auto entries = pool.volume_entries();
    std::sort(entries.begin(), entries.end(), [](const VolumeEntry& a, const VolumeEntry& b) {
        const auto order = ::strcasecmp(a.name.c_str(), b.name.c_str());
        return order != 0 ? order < 0 : a.name < b.name;
    });
    return entries;
}

void list_details(Call& call, const Pool& pool, const std::vector<VolumeEntry>& entries)
{
    Table table({"Name", "Path", "Type", "Capacity", "Allocation"});
    std::vector<std::string> values;
    for (const auto& entry : entries) {
        try {
            const auto info = pool.find_volume(entry.name).info();
            table.add({entry.name, entry.path, type_name(info.type), pretty_size(info.capacity),
                       pretty_size(info.allocation)});
            values.push_back(entry_json(entry).merge(to_json(info)).str());
        } catch (const Error& error) {
            call.warn(error.what()); // one that vanished or broke must not hide the others
        }
    }
    call.table(table, values);
}

void vol_list(Call& call)
{
    const auto pool = call.pool();
    call.exclusive({"details", "name", "path"});
    const auto entries = sorted_entries(pool);
    if (!call.json() && (call.given("name") || call.given("path"))) {
        for (const auto& entry : entries)
            call.print(printable(call.given("name") ? entry.name : entry.path) + '\n');
        return;
    }
    if (call.given("details"))
        return list_details(call, pool, entries);
    Table table({"Name", "Path"});
    std::vector<std::string> values;
    for (const auto& entry : entries) {
        if (call.json())
            values.push_back(entry_json(entry).str());
        else
            table.add({entry.name, entry.path});
    }
    call.table(table, values);
}

void vol_names(Call& call)
{
    auto names = call.pool().volume_names();
    std::sort(names.begin(), names.end());
    if (call.json())
        return call.print(json_strings(names) + '\n');
    for (const auto& name : names)
        call.print(printable(name) + '\n');
}

void vol_info(Call& call)
{
    const auto volume = call.volume();
    const auto info = volume.info();
    if (call.json())
        return call.print(JsonObject().text("name", volume.name()).merge(to_json(info)).str() +
                          '\n');
    const auto size = [&](std::uint64_t bytes) {
        return (call.given("bytes") ? std::to_string(bytes) + " bytes" : pretty_size(bytes)) + '\n';
    };
    const bool physical = call.given("physical");
    call.print(label("Name") + printable(volume.name()) + '\n' + label("Type") +
               type_name(info.type) + '\n' + label("Capacity") + size(info.capacity) +
               label(physical ? "Physical" : "Allocation") +
               size(physical ? info.physical : info.allocation));
}

void vol_dumpxml(Call& call)
{
    const auto volume = call.volume();
    const auto depth = call.given("chain") ? BackingDepth::chain : BackingDepth::direct;
    print_dump(call, volume.xml(depth), [&] { return to_json(volume.definition(depth)); });
}

void vol_key(Call& call)
{
    const auto volume = call.volume();
    const auto key = volume.key();
    call.value(key, identity(volume).text("key", key));
}

void vol_identity(Call& call)
{
    const auto volume = call.volume();
    const auto text = volume.identity();
    call.value(text, identity(volume).text("identity", text));
}

void vol_name(Call& call)
{
    const auto volume = call.volume();
    call.value(volume.name(), identity(volume));
}

void vol_path(Call& call)
{
    const auto volume = call.volume();
    const auto path = volume.path();
    call.value(path, identity(volume).text("path", path));
}

void vol_pool(Call& call)
{
    const auto pool = call.volume().pool();
    call.value(call.given("uuid") ? pool.uuid() : pool.name(), identity(pool));
}

void vol_blockers(Call& call)
{
    print_blockers(call, call.volume().blockers());
}

void vol_chain(Call& call)
{
    Table table({"Image", "Format", "Pool", "Volume", "State"});
    std::vector<std::string> values;
    for (const auto& link : call.volume().chain()) {
        const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
        table.add({link.path.empty() ? link.reference : link.path,
                   or_dash(link.format) + (link.format_declared ? "" : " (undeclared)"),
                   or_dash(link.pool_name), or_dash(link.volume_name),
                   std::string(to_string(link.state))});
        values.push_back(to_json(link));
    }
    call.table(table, values);
}

void vol_dependents(Call& call)
{
    Table table({"Name", "Pool", "Path"});
    std::vector<std::string> values;
    for (const auto& volume : call.volume().dependents()) {
        const auto path = volume.path();
        table.add({volume.name(), volume.pool().name(), path});
        values.push_back(identity(volume).text("path", path).str());
    }
    call.table(table, values);
}

} // namespace

std::vector<Verb> volume_query_verbs()
{
    const Option anywhere{.name = "vol",
                          .takes = Takes::volume,
                          .help = "key or path of the volume",
                          .required = true};
    const std::vector<Option> one_volume{volume_option, optional_pool_option};
    return {
        {"vol-list",
         group,
         "List the volumes of a pool",
         "basin vol-list vms --details",
         {pool_option,
          {.name = "details", .help = "show types and sizes"},
          {.name = "name", .help = "print names only"},
          {.name = "path", .help = "print paths only"}},
         vol_list},
        {"vol-names",
         group,
         "List names as the storage has them now, without opening a volume",
         "basin vol-names vms",
         {pool_option},
         vol_names},
        {"vol-info",
         group,
         "Show type and sizes of a volume",
         "basin vol-info disk.img --pool vms",
         {volume_option,
          optional_pool_option,
          {.name = "bytes", .help = "sizes in bytes"},
          {.name = "physical", .help = "show the length of the container, not the allocation"}},
         vol_info},
        {"vol-dumpxml",
         group,
         "Print the XML of a volume",
         "basin vol-dumpxml disk.img --pool vms",
         {volume_option,
          optional_pool_option,
          xpath_option,
          wrap_option,
          {.name = "chain", .help = "with all images that it is based on, not only the next"}},
         vol_dumpxml},
        {"vol-key", group, "Print the key of a volume", "basin vol-key disk.img --pool vms",
         one_volume, vol_key},
        {"vol-identity", group, "Print what tells this volume from another of its name",
         "basin vol-identity disk.img --pool vms", one_volume, vol_identity},
        {"vol-name",
         group,
         "Print the name of a volume",
         "basin vol-name /srv/vms/disk.img",
         {anywhere},
         vol_name},
        {"vol-path", group, "Print the path of a volume", "basin vol-path disk.img --pool vms",
         one_volume, vol_path},
        {"vol-pool",
         group,
         "Print the pool of a volume",
         "basin vol-pool /srv/vms/disk.img",
         {anywhere, {.name = "uuid", .help = "its uuid, not its name"}},
         vol_pool},
        {"vol-chain", group, "Show what a volume is based on, down to the root",
         "basin vol-chain disk.qcow2 --pool vms", one_volume, vol_chain},
        {"vol-dependents", group, "List the volumes that are based on a volume",
         "basin vol-dependents base.qcow2 --pool vms", one_volume, vol_dependents},
        {"vol-blockers", group, "Show what would stop a change of a volume now",
         "basin vol-blockers disk.img --pool vms", one_volume, vol_blockers},
    };
}

} // namespace command
