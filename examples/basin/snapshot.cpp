// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs for the saved states inside volumes.
#include "shared.hpp"

#include <array>
#include <ctime>

namespace command {

namespace {

using storage::Snapshot;

constexpr std::string_view group = "Snapshots of volumes";

std::string date(const storage::Timestamp& time)
{
    const std::time_t seconds = time.seconds;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S +0000", &parts);
    return text.data();
}

JsonObject snapshot_json(const Snapshot& snapshot)
{
    JsonObject created;
    created.integer("seconds", snapshot.created.seconds)
        .number("nanoseconds", snapshot.created.nanoseconds);
    JsonObject object;
    object.text("name", snapshot.name).text("id", snapshot.id);
    object.raw("created", created.str()).number("size", snapshot.size);
    object.boolean("protected", snapshot.is_protected);
    return object;
}

void snapshot_list(Call& call)
{
    const auto snapshots = call.volume().snapshots();
    if (!call.json() && call.given("name")) {
        for (const auto& snapshot : snapshots)
            call.print(printable(snapshot.name) + '\n');
        return;
    }
    Table table({"Name", "Id", "Created", "Size"});
    std::vector<std::string> values;
    for (const auto& snapshot : snapshots) {
        table.add({snapshot.name, snapshot.id, date(snapshot.created), pretty_size(snapshot.size)});
        values.push_back(snapshot_json(snapshot).str());
    }
    call.table(table, values);
}

template <typename Body>
void change_snapshot(Call& call, const std::string& outcome, Body&& body)
{
    auto volume = call.volume();
    const auto name = call.text("snapshot");
    auto details = identity(volume).text("snapshot", name);
    if (call.change([&](Job* job) { body(volume, name, job); }))
        call.done("Snapshot " + name + " of vol " + volume.name() + ' ' + outcome, details);
}

void snapshot_create(Call& call)
{
    change_snapshot(call, "created", [](Volume& volume, const std::string& name, Job* job) {
        volume.create_snapshot(name, job);
    });
}

void snapshot_delete(Call& call)
{
    change_snapshot(call, "deleted", [](Volume& volume, const std::string& name, Job* job) {
        volume.delete_snapshot(name, job);
    });
}

void snapshot_revert(Call& call)
{
    change_snapshot(call, "reverted to", [](Volume& volume, const std::string& name, Job* job) {
        volume.revert_snapshot(name, job);
    });
}

void snapshot_protect(Call& call)
{
    const bool on = !call.given("off");
    change_snapshot(call, on ? "protected" : "not protected any more",
                    [on](Volume& volume, const std::string& name, Job* job) {
                        volume.protect_snapshot(name, on, job);
                    });
}

} // namespace

std::vector<Verb> snapshot_verbs()
{
    const Option name{
        .name = "snapshot", .takes = Takes::text, .help = "name of the snapshot", .required = true};
    const Option existing{.name = "snapshot",
                          .takes = Takes::snapshot,
                          .help = "name of the snapshot",
                          .required = true};
    return {
        {"vol-snapshot-list",
         group,
         "List the snapshots of a volume",
         "basin vol-snapshot-list disk.qcow2 --pool vms",
         {volume_option, optional_pool_option, {.name = "name", .help = "print names only"}},
         snapshot_list},
        {"vol-snapshot-create",
         group,
         "Save the state of a volume",
         "basin vol-snapshot-create disk.qcow2 before-upgrade --pool vms",
         {volume_option, name, optional_pool_option, expect_option},
         snapshot_create},
        {"vol-snapshot-delete",
         group,
         "Forget a saved state",
         "basin vol-snapshot-delete disk.qcow2 before-upgrade --pool vms",
         {volume_option, existing, optional_pool_option, expect_option},
         snapshot_delete},
        {"vol-snapshot-revert",
         group,
         "Bring a volume back to a saved state",
         "basin vol-snapshot-revert disk.qcow2 before-upgrade --pool vms",
         {volume_option, existing, optional_pool_option, expect_option},
         snapshot_revert},
        {"vol-snapshot-protect",
         group,
         "Keep a saved state from being deleted",
         "basin vol-snapshot-protect disk golden --pool ceph",
         {volume_option,
          existing,
          optional_pool_option,
          {.name = "off", .help = "let it be deleted again"},
          expect_option},
         snapshot_protect},
    };
}

} // namespace command
