// SPDX-License-Identifier: LGPL-2.1-or-later
#include "disk_steps.hpp"

#include "device_probe.hpp"
#include "file_io.hpp"
#include "numbers.hpp"
#include "step_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

PartitionProgram program_of(const StepRun& run)
{
    return PartitionProgram(run.host().runner, run.host().helper_directory);
}

PartitionProgram::Disk disk_of(const StepRun& run)
{
    return {.path = run.argument("device"),
            .device_number = run.argument("device_number"),
            .format = run.argument("table"),
            .disk_id = run.argument("disk_id"),
            .part_separator = run.argument("part_separator") == "yes"};
}

std::uint64_t number_of(const StepRun& run, std::string_view name)
{
    return to_integer<std::uint64_t>(run.argument(name)).value_or(0);
}

Partition partition_of(const StepRun& run)
{
    return {.number = static_cast<int>(number_of(run, "number")),
            .path = run.argument("path"),
            .kind = {},
            .format = {},
            .type = {},
            .guid = run.argument("guid"),
            .label = run.argument("label"),
            .start = number_of(run, "start"),
            .length = number_of(run, "length")};
}

void apply_label(StepRun& run)
{
    const auto disk = disk_of(run);
    // Again, because time has passed since the steps were listed.
    const bool overwrite = run.argument("overwrite") == "yes";
    if (!overwrite)
        require_empty_device(disk.path);
    program_of(run).label(disk, run.argument("format"), overwrite, run.job());
}

void apply_clear(StepRun& run)
{
    program_of(run).clear(disk_of(run), run.job());
}

void apply_sync(StepRun& run)
{
    program_of(run).sync(disk_of(run), run.job());
}

/** Whether the helper surely left nothing: it answered, and its answer was no. */
bool is_refusal(ErrorCode code)
{
    constexpr std::array certain{ErrorCode::invalid_argument,
                                 ErrorCode::invalid_state,
                                 ErrorCode::not_found,
                                 ErrorCode::not_supported,
                                 ErrorCode::already_exists,
                                 ErrorCode::no_space,
                                 ErrorCode::busy,
                                 ErrorCode::permission_denied,
                                 ErrorCode::unavailable};
    return std::find(certain.begin(), certain.end(), code) != certain.end();
}

void apply_create(StepRun& run)
{
    const auto planned = partition_of(run);
    const UniqueFd mark(::memfd_create("begun", MFD_CLOEXEC));
    if (!mark)
        throw system_error(errno, "cannot make a file in memory");
    // The place was free when it was planned, and the helper takes no other one. What is found
    // there after a kill is this partition if it has the label, which it keeps until its GUID is on
    // record. Tables without names have nothing to go by: where the helper was killed as well, or
    // had waited for the disk, it may be one of the same place and length that another program
    // made.
    run.declare("begun", "yes");
    Partition made;
    try {
        made = program_of(run).create(disk_of(run),
                                      {.size = number_of(run, "size"),
                                       .format = run.argument("format"),
                                       .label = planned.label,
                                       .number = planned.number,
                                       .start = planned.start},
                                      mark.get(), run.job());
    } catch (const Error& error) {
        if (is_refusal(error.code()) || ::lseek(mark.get(), 0, SEEK_END) == 0)
            run.remember("begun", "no");
        throw;
    }
    run.remember("guid", made.guid);
    if (!planned.label.empty())
        program_of(run).rename(disk_of(run), made, "", run.job());
    if (made.path != planned.path || made.length != planned.length)
        throw Error(ErrorCode::internal, "the new partition is '" + made.path + "' of " +
                                             std::to_string(made.length) + " bytes, planned was '" +
                                             planned.path + "' of " +
                                             std::to_string(planned.length));
}

void undo_create(StepRun& run)
{
    if (run.evidence("begun") != "yes")
        return;
    const auto planned = partition_of(run);
    const auto& guid = run.evidence("guid");
    auto disk = disk_of(run);
    // A disk may have another number once the host has been started again; the table's own identity
    // tells it better, where it has one.
    if (!disk.disk_id.empty())
        disk.device_number.clear();
    const auto program = program_of(run);
    // Takes the lock: a helper that outlived the killed process has finished then, or sees that
    // nobody listens and does nothing.
    program.sync(disk, run.job());
    // Not by its number: the deletion of another logical partition changes it.
    for (const auto& partition : program.read(disk, run.job()).partitions)
        if (partition.start == planned.start && partition.length == planned.length &&
            (guid.empty() ? planned.label.empty() || planned.label == partition.label
                          : guid == partition.guid))
            program.remove(disk, partition, run.job());
}

void apply_delete(StepRun& run)
{
    program_of(run).remove(disk_of(run), partition_of(run), run.job());
}

void apply_resize(StepRun& run)
{
    program_of(run).resize(disk_of(run), partition_of(run), number_of(run, "size"), run.job());
}

Arguments disk_arguments(const PartitionProgram::Disk& disk)
{
    return {{"device", disk.path},
            {"device_number", disk.device_number},
            {"table", disk.format},
            {"disk_id", disk.disk_id},
            {"part_separator", disk.part_separator ? "yes" : "no"}};
}

Arguments partition_arguments(const PartitionProgram::Disk& disk, const Partition& partition)
{
    auto arguments = disk_arguments(disk);
    arguments["number"] = std::to_string(partition.number);
    arguments["path"] = partition.path;
    arguments["guid"] = partition.guid;
    arguments["start"] = std::to_string(partition.start);
    arguments["length"] = std::to_string(partition.length);
    return arguments;
}

std::vector<std::string> call(std::string_view operation, const std::string& device,
                              const std::string& detail = {})
{
    std::vector<std::string> words{"basin-partition", std::string(operation), device};
    if (!detail.empty())
        words.push_back(detail);
    return words;
}

std::string place(const Partition& partition)
{
    return std::to_string(partition.length) + " bytes at " + std::to_string(partition.start);
}

} // namespace

Step label_disk_step(const PartitionProgram::Disk& disk, const std::string& format, bool overwrite)
{
    auto arguments = disk_arguments(disk);
    arguments["format"] = format;
    arguments["overwrite"] = overwrite ? "yes" : "no";
    return make_step(
        "disk_label", std::move(arguments),
        {.call = call("label", disk.path, format),
         .summary = "make a partition table of type '" + format + "' on '" + disk.path + "'",
         .destructive = overwrite});
}

Step clear_disk_step(const PartitionProgram::Disk& disk)
{
    return make_step("disk_clear", disk_arguments(disk),
                     {.call = call("clear", disk.path),
                      .summary = "remove the partition table of '" + disk.path + "'",
                      .destructive = true});
}

Step sync_disk_step(const PartitionProgram::Disk& disk)
{
    return make_step("disk_sync", disk_arguments(disk),
                     {.call = call("sync", disk.path),
                      .summary = "show the partitions of '" + disk.path + "' to the kernel"});
}

Step create_partition_step(const PartitionProgram::Disk& disk, const Partition& planned,
                           std::uint64_t size, const std::string& format)
{
    auto arguments = partition_arguments(disk, planned);
    arguments["size"] = std::to_string(size);
    arguments["format"] = format;
    if (disk.format == "gpt")
        arguments["label"] = "basin-" + std::to_string(random_bits());
    return make_step("disk_create_partition", std::move(arguments),
                     {.call = call("create", disk.path, planned.name()),
                      .summary = "make " + planned.kind + " partition '" + planned.path + "' of " +
                                 place(planned) + " for '" + format + "'",
                      .undo = "delete it, if it is still the one that was made"});
}

Step delete_partition_step(const PartitionProgram::Disk& disk, const Partition& partition)
{
    return make_step("disk_delete_partition", partition_arguments(disk, partition),
                     {.call = call("delete", disk.path, partition.name()),
                      .summary = "delete partition '" + partition.path + "' of " + place(partition),
                      .destructive = true});
}

Step resize_partition_step(const PartitionProgram::Disk& disk, const Partition& partition,
                           std::uint64_t size)
{
    auto arguments = partition_arguments(disk, partition);
    arguments["size"] = std::to_string(size);
    return make_step("disk_resize_partition", std::move(arguments),
                     {.call = call("resize", disk.path, partition.name()),
                      .summary = "resize partition '" + partition.path + "' of " +
                                 place(partition) + " to " + std::to_string(size),
                      .destructive = size < partition.length});
}

// Of each the helper does all or nothing.
const Action disk_actions[6]{
    {"disk_label", apply_label, nullptr, true},
    {"disk_clear", apply_clear, nullptr, true},
    {"disk_sync", apply_sync, nullptr, true},
    {"disk_create_partition", apply_create, undo_create, false},
    {"disk_delete_partition", apply_delete, nullptr, true},
    {"disk_resize_partition", apply_resize, nullptr, true},
};

} // namespace storage::inline v1
