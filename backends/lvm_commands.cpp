// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lvm_commands.hpp"

#include "names.hpp"

#include <algorithm>

namespace storage::inline v1 {
namespace {

// LVM 2.03.16 wants "GROUP/VOLUME" with the ending of a hidden part, such as "_tmeta", below 126
// characters, and dm-ioctl.h "GROUP-VOLUME-tpool", each hyphen of the names doubled, below 128.
// Where only the ending does not fit, lvcreate gives up half-way and leaves parts behind.
constexpr std::size_t mapper_name_limit = 118; // of both names, hyphens doubled
constexpr std::size_t name_limit = 127;        // NAME_LEN of LVM

constexpr std::string_view reserved_starts[] = {"snapshot", "pvmove"};
// lvm(8), and those that LVM 2.03.16 refuses besides.
constexpr std::string_view reserved_parts[] = {
    "_cdata",   "_cmeta",  "_corig", "_cpool", "_cvol",  "_imeta", "_iorig",   "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig"};

bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '_' || c == '.' || c == '-';
}

std::string name_problem(std::string_view name)
{
    if (name.empty())
        return "is empty";
    if (name.front() == '-')
        return "begins with '-'";
    if (name == "." || name == "..")
        return "is reserved";
    if (!std::all_of(name.begin(), name.end(), is_name_character))
        return "has characters other than a-z A-Z 0-9 + _ . -";
    if (name.size() > name_limit)
        return "is longer than " + std::to_string(name_limit) + " characters";
    return {};
}

std::size_t mapper_length(std::string_view name)
{
    return name.size() + static_cast<std::size_t>(std::count(name.begin(), name.end(), '-'));
}

/** A command that changes something. Ended half-way it can leave devices suspended, on which every
 * program waits that uses them; so it goes on without us. */
Command change_command(std::string_view verb)
{
    auto command = lvm_command(verb);
    command.dies_with_us = false;
    command.killable = false;
    command.arguments.emplace_back("--yes");
    return command;
}

void add(Command& command, std::initializer_list<std::string> arguments)
{
    command.arguments.insert(command.arguments.end(), arguments);
}

std::string lv_path(const std::string& group, const std::string& name)
{
    const auto problem = lv_name_problem(name, checked_group_name(group));
    if (!problem.empty())
        throw Error(ErrorCode::invalid_argument, "logical volume " + shown(name) + ' ' + problem);
    return group + '/' + name;
}

/** In a selection, see lvmreport(7). Uuids and tags have no character that ends a string there. */
std::string quoted_word(const std::string& word)
{
    if (word.empty() || !std::all_of(word.begin(), word.end(), is_name_character))
        throw Error(ErrorCode::internal, "lvm: " + shown(word) + " is no uuid or tag");
    return '"' + word + '"';
}

Command create_command(const NewLv& lv, const char* type)
{
    lv_path(lv.group, lv.name);
    auto command = change_command("lvcreate");
    add(command, {"--type", type, "--name", lv.name});
    if (!lv.tag.empty())
        add(command, {"--addtag", lv.tag});
    return command;
}

void add_stripes(Command& command, const NewLv& lv)
{
    if (lv.stripes > 1)
        add(command, {"--stripes", std::to_string(lv.stripes)});
}

Command selecting(const char* verb, const std::string& group, const std::string& selection)
{
    auto command = change_command(verb);
    add(command, {"--select", selection});
    add_operands(command, {checked_group_name(group)});
    return command;
}

std::string is_uuid(const LvIdentity& lv)
{
    return "lv_uuid=" + quoted_word(lv.uuid);
}

std::string has_tag(const char* kind, const std::string& tag)
{
    return kind + ("_tags={" + quoted_word(tag)) + '}';
}

Command activation(const char* how, const std::string& group, std::span<const std::string> uuids)
{
    auto command = change_command("lvchange");
    std::string selection;
    for (const auto& uuid : uuids)
        selection += (selection.empty() ? "" : " || ") + is_uuid({group, uuid});
    add(command, {"--activate", how, "--ignoreactivationskip", "--select", selection});
    add_operands(command, {checked_group_name(group)});
    return command;
}

} // namespace

std::string group_name_problem(std::string_view name)
{
    return name_problem(name);
}

std::string lv_name_problem(std::string_view name, std::string_view group)
{
    auto problem = name_problem(name);
    if (!problem.empty())
        return problem;
    for (const auto start : reserved_starts)
        if (name.starts_with(start))
            return "begins with '" + std::string(start) + "', which LVM reserves";
    for (const auto part : reserved_parts)
        if (name.find(part) != name.npos)
            return "contains '" + std::string(part) + "', which LVM reserves";
    if (mapper_length(name) + mapper_length(group) > mapper_name_limit)
        return "is, with the group's name and each '-' counted twice, longer than " +
               std::to_string(mapper_name_limit) + " characters";
    return {};
}

const std::string& checked_group_name(const std::string& name)
{
    const auto problem = group_name_problem(name);
    if (!problem.empty())
        throw Error(ErrorCode::invalid_argument, "volume group " + shown(name) + ' ' + problem);
    return name;
}

Command lvm_command(std::string_view verb)
{
    return {.program = "lvm", .arguments = {std::string(verb)}};
}

void add_operands(Command& command, std::initializer_list<std::string> operands)
{
    command.arguments.emplace_back("--");
    add(command, operands);
}

std::uint64_t extents_for(std::uint64_t bytes, std::uint64_t extent_size)
{
    // LVM counts extents in 32 bits.
    const auto extents = bytes / extent_size + (bytes % extent_size != 0);
    if (extents > UINT32_MAX)
        throw Error(ErrorCode::invalid_argument,
                    std::to_string(bytes) + " bytes are more extents than LVM can count",
                    "choose a smaller size");
    return extents;
}

Command create_thick(const NewLv& lv)
{
    auto command = create_command(lv, lv.stripes > 1 ? "striped" : "linear");
    add_stripes(command, lv);
    add(command, {"--extents", std::to_string(lv.extents), "--wipesignatures", "y", "--zero", "y"});
    add_operands(command, {lv.group});
    return command;
}

Command create_thin_pool(const NewLv& lv, std::uint64_t metadata_extents)
{
    auto command = create_command(lv, "thin-pool");
    add_stripes(command, lv);
    add(command, {"--extents", std::to_string(lv.extents), "--poolmetadatasize",
                  std::to_string(metadata_extents * lv.extent_size) + 'b'});
    add_operands(command, {lv.group});
    return command;
}

Command create_thin(const NewLv& lv, const std::string& pool)
{
    auto command = create_command(lv, "thin");
    add(command, {"--virtualsize", std::to_string(lv.extents * lv.extent_size) + 'b'});
    add_operands(command, {lv_path(lv.group, pool)});
    return command;
}

Command create_thin_snapshot(const NewLv& lv, const std::string& origin)
{
    auto command = create_command(lv, "thin");
    add(command, {"--setactivationskip", "n"});
    add_operands(command, {lv_path(lv.group, origin)});
    return command;
}

Command create_classic_snapshot(const NewLv& lv, const std::string& origin)
{
    auto command = create_command(lv, "snapshot");
    add(command, {"--extents", std::to_string(lv.extents)});
    add_operands(command, {lv_path(lv.group, origin)});
    return command;
}

Command remove_lv(const LvIdentity& lv)
{
    return selecting("lvremove", lv.group,
                     is_uuid(lv) + " && lv_role!={thickorigin}"
                                   " && lv_role!={extthinorigin}");
}

Command rename_lv(const std::string& group, const std::string& name, const std::string& new_name)
{
    lv_path(group, name);
    lv_path(group, new_name);
    auto command = change_command("lvrename");
    add_operands(command, {group, name, new_name});
    return command;
}

Command extend_lv(const std::string& group, const std::string& name, std::uint64_t extents)
{
    auto command = change_command("lvextend");
    add(command, {"--extents", std::to_string(extents)});
    add_operands(command, {lv_path(group, name)});
    return command;
}

Command reduce_lv(const std::string& group, const std::string& name, std::uint64_t extents,
                  bool knows_file_systems)
{
    auto command = change_command("lvreduce");
    add(command, {"--force", "--extents", std::to_string(extents)});
    if (knows_file_systems)
        add(command, {"--fs", "ignore"});
    add_operands(command, {lv_path(group, name)});
    return command;
}

Command remove_thin_pool(const LvIdentity& pool)
{
    auto command = selecting("lvremove", pool.group, is_uuid(pool));
    // Without --yes it asks whether to remove the thin volumes, and finds no answer on its input.
    std::erase(command.arguments, "--yes");
    return command;
}

Command untag_lv(const std::string& group, const std::string& tag)
{
    auto command = change_command("lvchange");
    add(command, {"--deltag", tag, "--select", has_tag("lv", tag)});
    add_operands(command, {checked_group_name(group)});
    return command;
}

Command tag_snapshots(const std::string& group, const std::string& origin, const std::string& tag)
{
    lv_path(group, origin);
    auto command = change_command("lvchange");
    add(command, {"--addtag", tag, "--select",
                  "origin=" + quoted_word(origin) + " && lv_role={thinsnapshot}"});
    add_operands(command, {group});
    return command;
}

Command merge_lv(const std::string& group, const std::string& snapshot)
{
    auto command = change_command("lvconvert");
    add(command, {"--merge", "--interval", "1"});
    add_operands(command, {lv_path(group, snapshot)});
    return command;
}

Command activate_group(const std::string& group)
{
    auto command = change_command("vgchange");
    add(command, {"--activate", "ly"});
    add_operands(command, {checked_group_name(group)});
    return command;
}

Command deactivate_group(const std::string& group)
{
    auto command = change_command("vgchange");
    add(command, {"--activate", "ln"});
    add_operands(command, {checked_group_name(group)});
    return command;
}

Command activate_lvs(const std::string& group, std::span<const std::string> uuids)
{
    return activation("ly", group, uuids);
}

Command deactivate_lvs(const std::string& group, std::span<const std::string> uuids)
{
    return activation("ln", group, uuids);
}

Command create_pv(const std::string& device, const std::string& uuid, bool overwrite)
{
    auto command = change_command("pvcreate");
    // Without --yes it asks whether to wipe a signature, and finds no answer on its input.
    if (overwrite)
        add(command, {"--force", "--force"});
    else
        std::erase(command.arguments, "--yes");
    add(command, {"--uuid", uuid, "--norestorefile"});
    add_operands(command, {device});
    return command;
}

Command remove_pv(const std::string& device)
{
    auto command = change_command("pvremove");
    add_operands(command, {device});
    return command;
}

Command create_group(const std::string& group, const std::string& tag,
                     const std::vector<std::string>& devices)
{
    auto command = change_command("vgcreate");
    add(command, {"--addtag", tag});
    add_operands(command, {checked_group_name(group)});
    command.arguments.insert(command.arguments.end(), devices.begin(), devices.end());
    return command;
}

Command remove_group(const std::string& uuid, bool with_volumes)
{
    auto command = change_command("vgremove");
    // Without --yes it asks whether to remove the volumes, and finds no answer on its input.
    if (!with_volumes)
        std::erase(command.arguments, "--yes");
    add(command, {"--select", "vg_uuid=" + quoted_word(uuid)});
    return command;
}

Command remove_tagged_group(const std::string& tag)
{
    auto command = change_command("vgremove");
    std::erase(command.arguments, "--yes");
    add(command, {"--select", has_tag("vg", tag)});
    return command;
}

Command untag_group(const std::string& group, const std::string& tag)
{
    auto command = change_command("vgchange");
    add(command, {"--deltag", tag});
    add_operands(command, {checked_group_name(group)});
    return command;
}

} // namespace storage::inline v1
