// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that change and delete volumes.
#include "shared.hpp"

#include <array>

namespace command {

namespace {

using storage::ResizeFlags;
using storage::WipeAlgorithm;

constexpr std::string_view group = "Changing volumes";

void vol_delete(Call& call)
{
    const auto allowed = allowed_blockers(call);
    change_volume(call, "deleted",
                  [&](Volume& volume, Job* job) { volume.delete_storage(allowed, job); });
}

void vol_resize(Call& call)
{
    auto flags = ResizeFlags::none;
    if (call.given("allocate"))
        flags = flags | ResizeFlags::allocate;
    if (call.given("delta"))
        flags = flags | ResizeFlags::delta;
    if (call.given("shrink"))
        flags = flags | ResizeFlags::shrink;
    auto wanted = call.text("capacity");
    if (wanted.starts_with('-')) { // virsh's other way to say what is taken away
        if (!call.given("shrink"))
            throw UsageError("capacity '" + wanted + "' takes something away",
                             "say --shrink as well, if what lies behind may be lost");
        flags = flags | ResizeFlags::delta;
        wanted.erase(0, 1);
    }
    const auto capacity = call.size("capacity", wanted);
    const auto allowed = allowed_blockers(call);
    auto volume = call.volume();
    if (call.change([&](Job* job) { volume.resize(capacity, flags, allowed, job); }))
        call.done("Size of volume '" + volume.name() + "' successfully changed " +
                      (has(flags, ResizeFlags::delta) ? "by " : "to ") + wanted,
                  identity(volume));
}

void vol_rename(Call& call)
{
    const auto name = call.text("newname");
    const auto allowed = allowed_blockers(call);
    auto volume = call.volume();
    const auto before = volume.name();
    if (call.change([&](Job* job) { volume.rename(name, allowed, job); }))
        call.done("Vol " + before + " renamed to " + name, identity(volume));
}

void vol_refresh(Call& call)
{
    auto volume = call.volume();
    if (call.dry_run()) {
        call.change([](Job*) {});
        return;
    }
    volume.refresh(&call.job());
    call.done("Vol " + volume.name() + " refreshed", identity(volume));
}

constexpr std::array<std::pair<std::string_view, WipeAlgorithm>, 10> algorithms{{
    {"zero", WipeAlgorithm::zero},
    {"nnsa", WipeAlgorithm::nnsa},
    {"dod", WipeAlgorithm::dod},
    {"bsi", WipeAlgorithm::bsi},
    {"gutmann", WipeAlgorithm::gutmann},
    {"schneier", WipeAlgorithm::schneier},
    {"pfitzner7", WipeAlgorithm::pfitzner7},
    {"pfitzner33", WipeAlgorithm::pfitzner33},
    {"random", WipeAlgorithm::random},
    {"trim", WipeAlgorithm::trim},
}};

WipeAlgorithm read_algorithm(const Call& call)
{
    if (!call.given("algorithm"))
        return WipeAlgorithm::zero;
    const auto wanted = call.text("algorithm");
    std::string known;
    for (const auto& [name, algorithm] : algorithms) {
        if (name == wanted)
            return algorithm;
        known += ' ' + std::string(name);
    }
    throw UsageError("algorithm '" + wanted + "' is not known", "use one of:" + known);
}

void vol_wipe(Call& call)
{
    const auto algorithm = read_algorithm(call);
    const auto allowed = allowed_blockers(call);
    change_volume(call, "wiped",
                  [&](Volume& volume, Job* job) { volume.wipe(algorithm, allowed, job); });
}

void vol_flatten(Call& call)
{
    change_volume(call, "flattened", [](Volume& volume, Job* job) { volume.flatten(job); });
}

void print_metadata(Call& call, const std::map<std::string, std::string>& entries)
{
    Table table({"Key", "Value"});
    std::vector<std::string> values;
    for (const auto& [key, value] : entries) {
        table.add({key, value});
        values.push_back(JsonObject().text("key", key).text("value", value).str());
    }
    call.table(table, values);
}

void vol_metadata(Call& call)
{
    const bool changes = call.given("value") || call.given("remove");
    if (changes && !call.given("key"))
        throw UsageError("--value and --remove need --key", "say which key is meant");
    if (call.given("value") && call.given("remove"))
        throw UsageError("--value and --remove exclude each other", "use one of them");
    if (call.given("expect") && !changes)
        throw UsageError("--expect is for a change", "leave it out, or give --value or --remove");
    auto volume = call.volume();
    if (!call.given("key"))
        return print_metadata(call, volume.metadata());
    const auto key = call.text("key");
    if (!changes) {
        auto entries = volume.metadata();
        std::erase_if(entries, [&](const auto& entry) { return entry.first != key; });
        return print_metadata(call, entries);
    }
    const bool removes = call.given("remove");
    const auto value = removes ? std::string() : call.text("value");
    if (call.change([&](Job* job) {
            removes ? volume.remove_metadata(key, job) : volume.set_metadata(key, value, job);
        }))
        call.done("Key " + key + " of vol " + volume.name() + (removes ? " removed" : " set"),
                  identity(volume).text("key", key));
}

} // namespace

std::vector<Verb> volume_change_verbs()
{
    return {
        {"vol-delete",
         group,
         "Delete a volume",
         "basin vol-delete disk.img --pool vms",
         {volume_option,
          optional_pool_option,
          {.name = "delete-snapshots", .help = "with its snapshots, as --allow snapshot"},
          allow_option,
          expect_option},
         vol_delete},
        {"vol-resize",
         group,
         "Change the capacity of a volume that nobody uses",
         "basin vol-resize disk.img 20G --pool vms",
         {volume_option,
          {.name = "capacity",
           .takes = Takes::size,
           .help = "new capacity, or change of it",
           .required = true},
          optional_pool_option,
          {.name = "allocate", .help = "allocate what is added"},
          {.name = "delta", .help = "capacity is what is added, or with --shrink taken away"},
          {.name = "shrink", .help = "allow the volume to become smaller"},
          allow_option,
          expect_option},
         vol_resize},
        {"vol-rename",
         group,
         "Rename a volume",
         "basin vol-rename disk.img root.img --pool vms",
         {volume_option,
          {.name = "newname", .takes = Takes::text, .help = "new name", .required = true},
          optional_pool_option,
          allow_option,
          expect_option},
         vol_rename},
        {"vol-refresh",
         group,
         "Read one volume again",
         "basin vol-refresh disk.img --pool vms",
         {volume_option, optional_pool_option},
         vol_refresh},
        {"vol-flatten",
         group,
         "Make a volume independent of what it is based on",
         "basin vol-flatten clone.qcow2 --pool vms",
         {volume_option, optional_pool_option, expect_option},
         vol_flatten},
        {"vol-metadata",
         group,
         "Show or change the keys and values kept with a volume",
         "basin vol-metadata disk --pool ceph --key owner --value alice",
         {volume_option,
          optional_pool_option,
          {.name = "key", .takes = Takes::text, .help = "this one only"},
          {.name = "value",
           .takes = Takes::text,
           .help = "new value of the key",
           .may_be_empty = true},
          {.name = "remove", .help = "remove the key"},
          expect_option},
         vol_metadata},
        {"vol-wipe",
         group,
         "Overwrite the content of a volume",
         "basin vol-wipe disk.img --pool vms",
         {volume_option,
          optional_pool_option,
          {.name = "algorithm", .takes = Takes::wipe_algorithm, .help = "how (default zero)"},
          allow_option,
          expect_option},
         vol_wipe},
    };
}

} // namespace command
