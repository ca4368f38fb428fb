// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lvm_steps.hpp"

#include "device_probe.hpp"
#include "file_io.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "numbers.hpp"
#include "step_parts.hpp"

#include <algorithm>

namespace storage::inline v1 {
namespace {

constexpr std::string_view tag_start = "basin_";

std::string snapshot_tag(const LvmLv& origin)
{
    return std::string(tag_start) + "of_" + origin.uuid;
}

// ---- lists as arguments of steps: no part has a newline ----------------------------------------

std::string joined(std::span<const std::string> parts)
{
    std::string result;
    for (const auto& part : parts)
        result += (result.empty() ? "" : "\n") + part;
    return result;
}

std::vector<std::string> split(const std::string& text)
{
    std::vector<std::string> result;
    for (std::size_t start = 0; start < text.size();) {
        const auto end = std::min(text.find('\n', start), text.size());
        result.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return result;
}

// ---- running -----------------------------------------------------------------------------------

/** Every way in which LVM says that there is no room, before it changes anything. */
bool means_no_space(std::string_view errors)
{
    for (const std::string_view words :
         {"insufficient free space", "Insufficient free space", "Insufficient suitable",
          "not enough free space", "reached threshold"})
        if (errors.find(words) != errors.npos)
            return true;
    return false;
}

bool means_in_use(std::string_view errors)
{
    for (const std::string_view words :
         {" in use", "is used by another device", "is open", "contains a filesystem in use"})
        if (errors.find(words) != errors.npos)
            return true;
    return false;
}

CommandResult run_lvm(const StepRun& run, Command command)
{
    const auto accepted = command.accepted;
    command.accepted.push_back(lvm_failed);
    auto result = run.host().runner.run(command, run.job());
    if (std::find(accepted.begin(), accepted.end(), result.exit_status) != accepted.end())
        return result;
    const auto error = exit_error(command, result);
    if (means_no_space(result.errors))
        throw Error(ErrorCode::no_space, error.what(), "free space, or add a device to the group",
                    error.detail());
    if (means_in_use(result.errors))
        throw Error(ErrorCode::busy, error.what(), "end its use first", error.detail());
    throw Error(error);
}

using UuidsCommand = Command (*)(const std::string&, std::span<const std::string>);

std::vector<Command> in_parts(const std::string& group, std::span<const std::string> uuids,
                              UuidsCommand command)
{
    std::vector<Command> commands;
    for (std::size_t at = 0; at < uuids.size(); at += uuids_at_a_time)
        commands.push_back(
            command(group, uuids.subspan(at, std::min(uuids_at_a_time, uuids.size() - at))));
    return commands;
}

void run_some(const StepRun& run, const std::string& uuids, UuidsCommand command)
{
    for (const auto& part : in_parts(run.argument("group"), split(uuids), command))
        run_lvm(run, part);
}

LvmGroup read_group(const StepRun& run)
{
    return read_lvm_group(run.host().runner, run.argument("group"), run.job());
}

/** The step's logical volume, as long as it is the one that was meant. */
LvmLv require_lv(const StepRun& run, const LvmGroup& group)
{
    const auto& name = run.argument("name");
    const auto* lv = group.find_uuid(run.argument("uuid"));
    if (!lv || lv->name != name)
        throw Error(ErrorCode::not_found,
                    "'" + group.name + '/' + name +
                        "' is not the logical volume any more that was meant",
                    "refresh the pool and look again");
    return *lv;
}

const LvmLv* find_tagged(const LvmGroup& group, const std::string& tag)
{
    const auto found = std::find_if(group.lvs.begin(), group.lvs.end(), [&](const auto& lv) {
        return std::find(lv.tags.begin(), lv.tags.end(), tag) != lv.tags.end();
    });
    return found == group.lvs.end() ? nullptr : &*found;
}

std::string full_name(const std::string& group, const LvmLv& lv)
{
    return "'" + group + '/' + lv.name + "'";
}

Command command_of(const std::string& words)
{
    const auto list = split(words);
    Command command{.program = list.at(0), .arguments = {list.begin() + 1, list.end()}};
    command.dies_with_us = false;
    command.killable = false;
    return command;
}

// ---- physical volumes and groups ---------------------------------------------------------------

/** As LVM writes them: 32 characters in groups of 6, 4, 4, 4, 4, 4, 6. */
std::string make_lvm_uuid()
{
    constexpr std::string_view letters =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::string result;
    for (const int length : {6, 4, 4, 4, 4, 4, 6}) {
        result += result.empty() ? "" : "-";
        for (int i = 0; i != length; ++i)
            result += letters[random_bits() % letters.size()];
    }
    return result;
}

bool has_label(const std::string& device, const std::string& uuid)
{
    const auto content = probe_device(device);
    return content.type == "LVM2_member" && content.uuid == uuid;
}

void apply_create_pv(StepRun& run)
{
    const auto& device = run.argument("device");
    const bool overwrite = run.argument("overwrite") == "yes";
    if (!overwrite)
        require_empty_device(device);
    run.declare("uuid", make_lvm_uuid());
    // However often --force is given, LVM takes no disk with a partition table or of a RAID.
    if (overwrite)
        clear_signatures(device, nullptr);
    run_lvm(run, create_pv(device, run.evidence("uuid"), overwrite));
}

void undo_create_pv(StepRun& run)
{
    const auto& device = run.argument("device");
    if (!run.evidence("uuid").empty() && has_label(device, run.evidence("uuid")))
        run_lvm(run, remove_pv(device));
}

void apply_remove_pv(StepRun& run)
{
    if (has_label(run.argument("device"), run.argument("uuid")))
        run_lvm(run, remove_pv(run.argument("device")));
}

void apply_create_group(StepRun& run)
{
    run_lvm(run, create_group(run.argument("group"), run.argument("tag"),
                              split(run.argument("devices"))));
}

void undo_create_group(StepRun& run)
{
    run_lvm(run, remove_tagged_group(run.argument("tag")));
}

void apply_finish_group(StepRun& run)
{
    run_lvm(run, untag_group(run.argument("group"), run.argument("tag")));
}

void apply_remove_group(StepRun& run)
{
    const auto& uuid = run.argument("uuid");
    const auto find = [&] {
        auto group = find_lvm_group(run.host().runner, run.argument("group"), run.job());
        return group && group->uuid == uuid ? std::move(group) : std::nullopt;
    };
    const auto group = find();
    if (!group)
        return;
    const auto volumes = split(run.argument("volumes"));
    for (const auto& lv : group->lvs)
        if (std::find(volumes.begin(), volumes.end(), lv.uuid) == volumes.end())
            throw Error(ErrorCode::busy,
                        full_name(group->name, lv) + " was made before the group could be removed",
                        "see whether it is of use, and try again");
    run_lvm(run, remove_group(uuid, !volumes.empty()));
    // A selection that nothing fits is no error.
    if (find())
        throw Error(ErrorCode::busy,
                    "volume group '" + group->name + "' is still there after it was removed");
}

void apply_activate_group(StepRun& run)
{
    auto command = activate_group(run.argument("group"));
    command.accepted.push_back(lvm_failed);
    const auto result = run.host().runner.run(command, run.job());
    if (result.exit_status == 0)
        return;
    // What lies on a device that is missing cannot be activated; the rest can be used.
    const auto group = read_group(run);
    for (const auto& lv : group.lvs)
        if (!lv.active && !lv.is_partial() && !lv.skip_activation && !lv.is_other_pool())
            throw exit_error(command, result);
}

void undo_activate_group(StepRun& run)
{
    run_some(run, run.argument("inactive"), deactivate_lvs);
}

void apply_deactivate(StepRun& run)
{
    run_some(run, run.argument("uuids"), deactivate_lvs);
}

void undo_deactivate(StepRun& run)
{
    run_some(run, run.argument("uuids"), activate_lvs);
}

// ---- logical volumes ---------------------------------------------------------------------------

void apply_command(StepRun& run)
{
    run_lvm(run, command_of(run.argument("command")));
}

void apply_create(StepRun& run)
{
    for (const auto* fact : {"method", "reason"})
        if (!run.argument(fact).empty())
            state_fact(run.job(), fact, run.argument(fact));
    apply_command(run);
}

void apply_finish(StepRun& run)
{
    run_lvm(run, untag_lv(run.argument("group"), run.argument("tag")));
}

std::vector<Command> removal(const LvIdentity& lv, bool is_thin_pool)
{
    if (is_thin_pool)
        return {deactivate_lvs(lv.group, std::span(&lv.uuid, 1)), remove_thin_pool(lv)};
    return {remove_lv(lv)};
}

/** Leaves it alone where something depends on it. */
void remove_found(const StepRun& run, const LvIdentity& lv, bool is_thin_pool)
{
    for (const auto& command : removal(lv, is_thin_pool))
        run_lvm(run, command);
    // A selection that nothing fits is no error.
    const auto group = read_group(run);
    if (const auto* left = group.find_uuid(lv.uuid))
        throw Error(ErrorCode::busy, "'" + group.name + '/' + left->name +
                                         "' got a snapshot before it could be removed");
}

void apply_remove(StepRun& run)
{
    if (run.argument("begins") == "yes")
        run.declare("begun", "yes"); // LVM goes on without us
    remove_found(run, {run.argument("group"), run.argument("uuid")},
                 run.argument("kind") == "thin-pool");
}

/** Not where others have put something into it, or made a snapshot of it, meanwhile. */
void undo_create(StepRun& run)
{
    const auto group = read_group(run);
    const auto* lv = find_tagged(group, run.argument("tag"));
    if (!lv)
        return;
    if (const auto inside = group.volumes_in(*lv); !inside.empty())
        throw Error(ErrorCode::busy, full_name(group.name, *inside.front()) + " is in '" +
                                         lv->name + "' meanwhile, which was not finished");
    remove_found(run, {group.name, lv->uuid}, lv->is_thin_pool());
}

void apply_rename(StepRun& run)
{
    const auto lv = require_lv(run, read_group(run));
    run_lvm(run, rename_lv(run.argument("group"), lv.name, run.argument("new_name")));
}

void undo_rename(StepRun& run)
{
    const auto group = read_group(run);
    const auto* lv = group.find_uuid(run.argument("uuid"));
    if (lv && lv->name == run.argument("new_name"))
        run_lvm(run, rename_lv(group.name, lv->name, run.argument("name")));
}

void apply_resize(StepRun& run)
{
    const auto group = read_group(run);
    const auto lv = require_lv(run, group);
    const auto extents = to_integer<std::uint64_t>(run.argument("extents")).value();
    const auto present = lv.size / group.extent_size;
    if (extents > present)
        run_lvm(run, extend_lv(group.name, lv.name, extents));
    if (extents >= present)
        return;
    auto command = reduce_lv(group.name, lv.name, extents, true);
    command.accepted.push_back(lvm_misunderstood);
    if (run_lvm(run, command).exit_status == lvm_misunderstood)
        run_lvm(run, reduce_lv(group.name, lv.name, extents, false));
}

// ---- going back to snapshots -------------------------------------------------------------------

/** Gives the copy of a snapshot that was merged its name. */
void take_place(const StepRun& run, const LvmGroup& group)
{
    const auto& tag = run.argument("tag");
    const auto* copy = find_tagged(group, tag);
    if (!copy)
        return;
    if (copy->name != run.argument("name"))
        run_lvm(run, rename_lv(group.name, copy->name, run.argument("name")));
    run_lvm(run, untag_lv(group.name, tag));
}

void apply_take_place(StepRun& run)
{
    take_place(run, read_group(run));
}

/** The copy goes, unless what it is a copy of is gone already. */
void undo_save_snapshot(StepRun& run)
{
    const auto group = read_group(run);
    if (group.find_uuid(run.argument("uuid")))
        undo_create(run);
    else
        take_place(run, group);
}

void apply_merge(StepRun& run)
{
    const auto lv = require_lv(run, read_group(run));
    run_lvm(run, merge_lv(run.argument("group"), lv.name));
}

/** Makes the classic snapshot again that was merged; not while LVM still merges it. */
void make_again(const StepRun& run, const LvmGroup& group)
{
    const auto* volume = group.find_uuid(run.argument("volume"));
    if (volume && !volume->is_merging() && !group.find(run.argument("name")))
        run_lvm(run, command_of(run.argument("command")));
}

void apply_merge_and_make_again(StepRun& run)
{
    apply_merge(run);
    const auto group = read_group(run);
    if (const auto* volume = group.find_uuid(run.argument("volume"));
        volume && volume->is_merging())
        throw Error(ErrorCode::busy,
                    full_name(group.name, *volume) +
                        " was opened before it could go back to snapshot '" + run.argument("name") +
                        "': LVM does that when it is next activated, and what is written to it "
                        "until then is lost",
                    "end its use, then stop and start the pool; make a new snapshot afterwards");
    make_again(run, group);
}

void undo_merge_and_make_again(StepRun& run)
{
    make_again(run, read_group(run));
}

std::string command_words(const Command& command)
{
    return joined(words(command));
}

} // namespace

std::string make_lvm_tag()
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result(tag_start);
    for (auto bits = random_bits(), i = std::uint64_t{0}; i != 16; ++i, bits >>= 4)
        result += digits[bits & 15];
    return result;
}

bool is_unfinished(const LvmLv& lv)
{
    return std::any_of(lv.tags.begin(), lv.tags.end(), [](std::string_view tag) {
        return tag.starts_with(tag_start) && tag.size() == tag_start.size() + 16 &&
               tag.find_first_not_of("0123456789abcdef", tag_start.size()) == tag.npos;
    });
}

bool is_snapshot_of(const LvmLv& lv, const LvmLv& origin)
{
    if (is_unfinished(lv))
        return false;
    return lv.origin == origin.name ||
           (lv.is_thin() &&
            std::find(lv.tags.begin(), lv.tags.end(), snapshot_tag(origin)) != lv.tags.end());
}

Step create_pv_step(const std::string& device, bool overwrite)
{
    return make_step("logical_create_pv",
                     {{"device", device}, {"overwrite", overwrite ? "yes" : "no"}},
                     {.call = words(create_pv(device, "UUID", overwrite)), // drawn when it runs
                      .summary = "make '" + device + "' a physical volume" +
                                 (overwrite ? ", whatever is on it" : ""),
                      .destructive = overwrite});
}

Step create_group_step(const std::string& group, const std::string& tag,
                       const std::vector<std::string>& devices)
{
    auto command = create_group(group, tag, devices);
    return make_step("logical_create_group",
                     {{"group", group}, {"tag", tag}, {"devices", joined(devices)}},
                     {.call = words(command), .summary = "make volume group '" + group + "'"});
}

Step finish_group_step(const std::string& group, const std::string& tag)
{
    return make_step(
        "logical_finish_group", {{"group", group}, {"tag", tag}},
        {.call = words(untag_group(group, tag)), .summary = "keep volume group '" + group + "'"});
}

Step remove_group_step(const LvmGroup& group)
{
    std::vector<std::string> volumes;
    for (const auto& lv : group.lvs)
        volumes.push_back(lv.uuid);
    return make_step("logical_remove_group",
                     {{"group", group.name}, {"uuid", group.uuid}, {"volumes", joined(volumes)}},
                     {.call = words(remove_group(group.uuid, !volumes.empty())),
                      .summary = "remove volume group '" + group.name + "'" +
                                 (volumes.empty() ? "" : " with all its logical volumes"),
                      .destructive = true});
}

Step remove_pv_step(const std::string& device, const std::string& uuid)
{
    return make_step("logical_remove_pv", {{"device", device}, {"uuid", uuid}},
                     {.call = words(remove_pv(device)),
                      .summary = "make '" + device + "' no physical volume any more",
                      .destructive = true});
}

Step activate_group_step(const std::string& group, std::span<const std::string> inactive)
{
    return make_step("logical_activate_group", {{"group", group}, {"inactive", joined(inactive)}},
                     {.call = words(activate_group(group)),
                      .summary = "activate the logical volumes of '" + group + "'"});
}

Step deactivate_lvs_step(const std::string& group, std::span<const std::string> uuids)
{
    return make_step("logical_deactivate", {{"group", group}, {"uuids", joined(uuids)}},
                     {.call = words(in_parts(group, uuids, deactivate_lvs)),
                      .summary = "deactivate " + std::to_string(uuids.size()) +
                                 " logical volumes of '" + group + "'"});
}

Step create_lv_step(const Command& command, const std::string& group, const std::string& tag,
                    std::string summary)
{
    return make_step("logical_create",
                     {{"command", command_words(command)}, {"group", group}, {"tag", tag}},
                     {.call = words(command), .summary = std::move(summary)});
}

Step run_lvm_step(const Command& command, std::string summary)
{
    return make_step("logical_run", {{"command", command_words(command)}},
                     {.call = words(command), .summary = std::move(summary)});
}

Step finish_lv_step(const std::string& group, const std::string& tag)
{
    return make_step(
        "logical_finish", {{"group", group}, {"tag", tag}},
        {.call = words(untag_lv(group, tag)), .summary = "show the new logical volume"});
}

Step remove_lv_step(const std::string& group, const LvmLv& lv, bool begins)
{
    return make_step("logical_remove",
                     {{"group", group},
                      {"uuid", lv.uuid},
                      {"name", lv.name},
                      {"kind", lv.is_thin_pool() ? "thin-pool" : "volume"},
                      {"begins", begins ? "yes" : "no"}},
                     {.call = words(removal({group, lv.uuid}, lv.is_thin_pool())),
                      .summary = "remove logical volume " + full_name(group, lv),
                      .destructive = true});
}

Step rename_lv_step(const std::string& group, const LvmLv& lv, const std::string& new_name)
{
    return make_step(
        "logical_rename",
        {{"group", group}, {"uuid", lv.uuid}, {"name", lv.name}, {"new_name", new_name}},
        {.call = words(rename_lv(group, lv.name, new_name)),
         .summary = "rename logical volume " + full_name(group, lv) + " to '" + new_name + "'"});
}

Step resize_lv_step(const std::string& group, const LvmLv& lv, std::uint64_t extents,
                    std::uint64_t extent_size)
{
    const bool shrinks = extents < lv.size / extent_size;
    return make_step("logical_resize",
                     {{"group", group},
                      {"uuid", lv.uuid},
                      {"name", lv.name},
                      {"extents", std::to_string(extents)}},
                     {.call = words(shrinks ? reduce_lv(group, lv.name, extents, true)
                                            : extend_lv(group, lv.name, extents)),
                      .summary = "change logical volume " + full_name(group, lv) + " from " +
                                 std::to_string(lv.size) + " to " +
                                 std::to_string(extents * extent_size) + " bytes" +
                                 (shrinks ? "; what is behind the new end is lost" : ""),
                      .destructive = shrinks});
}

void revert_thin_snapshot(const std::string& group, const LvmLv& volume, const LvmLv& snapshot,
                          Change& change)
{
    const auto tag = make_lvm_tag();
    const auto copy =
        create_thin_snapshot({.group = group, .name = tag, .tag = tag}, snapshot.name);
    const Arguments arguments{{"command", command_words(copy)},
                              {"group", group},
                              {"tag", tag},
                              {"uuid", snapshot.uuid},
                              {"name", snapshot.name}};
    change.add(make_step("logical_save_snapshot", arguments,
                         {.call = words(copy),
                          .summary = "copy snapshot " + full_name(group, snapshot) +
                                     ", which going back to it uses up"}));
    change.add(run_lvm_step(tag_snapshots(group, volume.name, snapshot_tag(volume)),
                            "mark the other snapshots of " + full_name(group, volume)));
    // While somebody has one of them open, LVM would put the merge off and say that all is well:
    // what is written to the volume until it is next activated would be lost then.
    std::vector<std::string> active;
    for (const auto* lv : {&volume, &snapshot})
        if (lv->active)
            active.push_back(lv->uuid);
    if (!active.empty())
        change.add(deactivate_lvs_step(group, active));
    change.add(make_step("logical_merge", arguments,
                         {.call = words(merge_lv(group, snapshot.name)),
                          .summary = "bring " + full_name(group, volume) +
                                     " back to the state of snapshot '" + snapshot.name + "'",
                          .destructive = true}));
    change.commit_here();
    if (volume.active)
        change.add(run_lvm_step(activate_lvs(group, std::span(&volume.uuid, 1)),
                                "activate " + full_name(group, volume) + " again"));
    change.add(
        make_step("logical_take_place", arguments,
                  {.call = words({rename_lv(group, tag, snapshot.name), untag_lv(group, tag)}),
                   .summary = "give the copy the name '" + snapshot.name + "'"}));
}

void revert_classic_snapshot(const std::string& group, const LvmLv& volume, const LvmLv& snapshot,
                             std::uint64_t extent_size, Change& change)
{
    const auto again = create_classic_snapshot(
        {.group = group, .name = snapshot.name, .extents = snapshot.size / extent_size},
        volume.name);
    change.add(make_step("logical_merge_and_make_again",
                         {{"command", command_words(again)},
                          {"group", group},
                          {"uuid", snapshot.uuid},
                          {"name", snapshot.name},
                          {"volume", volume.uuid}},
                         {.call = words({merge_lv(group, snapshot.name), again}),
                          .summary = "bring " + full_name(group, volume) +
                                     " back to the state of snapshot '" + snapshot.name +
                                     "', and make that snapshot again",
                          .destructive = true}));
}

const std::array<Action, lvm_action_count> lvm_actions{
    Action{"logical_create_pv", apply_create_pv, undo_create_pv, false},
    Action{"logical_remove_pv", apply_remove_pv, nullptr, true},
    Action{"logical_create_group", apply_create_group, undo_create_group, false},
    Action{"logical_finish_group", apply_finish_group, nullptr, true},
    Action{"logical_remove_group", apply_remove_group, nullptr, true},
    Action{"logical_activate_group", apply_activate_group, undo_activate_group, false},
    Action{"logical_deactivate", apply_deactivate, undo_deactivate, false},
    Action{"logical_create", apply_create, undo_create, false},
    Action{"logical_run", apply_command, nullptr, false},
    Action{"logical_finish", apply_finish, nullptr, true},
    Action{"logical_remove", apply_remove, nullptr, true, false, true},
    Action{"logical_rename", apply_rename, undo_rename, true},
    Action{"logical_resize", apply_resize, nullptr, true},
    Action{"logical_save_snapshot", apply_create, undo_save_snapshot, false},
    Action{"logical_merge", apply_merge, nullptr, false},
    Action{"logical_take_place", apply_take_place, nullptr, false},
    Action{"logical_merge_and_make_again", apply_merge_and_make_again, undo_merge_and_make_again,
           false},
};

} // namespace storage::inline v1
