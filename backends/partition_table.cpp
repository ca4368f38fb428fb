// SPDX-License-Identifier: LGPL-2.1-or-later
#include "partition_table.hpp"

#include "job_impl.hpp"
#include "names.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

namespace storage::inline v1 {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t answer_limit = std::size_t{1} << 20;
constexpr std::size_t list_limit = 1024;
/** For one look at, or change of, a few sectors; a disk may have to spin up and try again. */
constexpr std::chrono::milliseconds time_limit = std::chrono::minutes(2);

[[noreturn]] void senseless(const std::string& what)
{
    throw Error(ErrorCode::parse_failed, "basin-partition: " + what,
                "the helper program and the library must be of the same version");
}

const Json& member(const Json& object, const char* name)
{
    const auto found = object.find(name);
    if (found == object.end())
        senseless(std::string("its answer has no '") + name + "'");
    return *found;
}

std::string text(const Json& object, const char* name)
{
    const auto& value = member(object, name);
    if (!value.is_string() || value.get_ref<const std::string&>().size() > 4096)
        senseless(std::string("'") + name + "' is no text");
    return value.get<std::string>();
}

std::uint64_t bytes(const Json& object, const char* name)
{
    const auto& value = member(object, name);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT64_MAX)
        senseless(std::string("'") + name + "' is no size");
    return value.get<std::uint64_t>();
}

const Json& list(const Json& object, const char* name)
{
    const auto& value = member(object, name);
    if (!value.is_array() || value.size() > list_limit)
        senseless(std::string("'") + name + "' is no list");
    return value;
}

Partition read_partition(const Json& json)
{
    Partition partition{
        .number = static_cast<int>(std::min<std::uint64_t>(bytes(json, "number"), list_limit)),
        .path = text(json, "path"),
        .kind = text(json, "kind"),
        .format = text(json, "format"),
        .type = text(json, "type"),
        .guid = text(json, "guid"),
        .label = text(json, "name"),
        .start = bytes(json, "start"),
        .length = bytes(json, "length")};
    if (partition.number < 1 || !partition.path.starts_with('/') || partition.name().empty() ||
        control_character(partition.path))
        senseless("a partition without number or path");
    return partition;
}

ErrorCode code_of(const std::string& name)
{
    for (int value = -1; value >= static_cast<int>(ErrorCode::internal); --value)
        if (const auto code = static_cast<ErrorCode>(value); to_string(code) == name)
            return code;
    senseless("error code '" + name.substr(0, 64) + "'");
}

Json request_for(const char* operation, const PartitionProgram::Disk& disk, Job* job)
{
    Json request = {{"operation", operation}, {"device", disk.path}};
    if (!disk.device_number.empty())
        request["device_number"] = disk.device_number;
    if (!disk.format.empty())
        request["table"] = disk.format;
    if (!disk.disk_id.empty())
        request["disk_id"] = disk.disk_id;
    if (disk.part_separator)
        request["part_separator"] = true;
    if (job && job->wait().count() > 0)
        request["patience"] = job->wait().count();
    return request;
}

void add(Json& request, const NewPartition& wanted)
{
    request["size"] = wanted.size;
    request["format"] = wanted.format;
    if (!wanted.label.empty())
        request["name"] = wanted.label;
    if (wanted.number != 0)
        request["number"] = wanted.number;
    if (wanted.start)
        request["start"] = *wanted.start;
}

void add(Json& request, const Partition& partition)
{
    request["number"] = partition.number;
    request["start"] = partition.start;
    request["length"] = partition.length;
    if (!partition.guid.empty())
        request["guid"] = partition.guid;
}

Json ask(CommandRunner& runner, const std::string& program, Json request, Job* job, int mark = -1)
{
    Command command{.program = program};
    if (mark >= 0)
        request["mark"] = pass_descriptor(command, mark);
    command.input = request.dump() + '\n';
    command.output_limit = answer_limit;
    command.limit = time_limit;
    // Half a table is worse than a few more seconds. Not for ever: a disk may hang.
    command.dies_with_us = false;
    command.end_patience = std::chrono::seconds(10);
    const auto result = runner.run(command, job);
    const auto answer = Json::parse(result.output, nullptr, false);
    if (!answer.is_object())
        senseless("its answer is no JSON object");
    const auto error = answer.find("error");
    if (error == answer.end())
        return answer;
    if (!error->is_object())
        senseless("'error' is no object");
    const auto remedy = error->contains("remedy") ? text(*error, "remedy") : std::string();
    throw Error(code_of(text(*error, "code")), text(*error, "message"), remedy);
}

} // namespace

std::string Partition::name() const
{
    return path.substr(path.rfind('/') + 1);
}

std::string Partition::identity(const std::string& disk_id) const
{
    if (!guid.empty())
        return "partition:" + guid;
    return "partition:" + disk_id + ':' + std::to_string(start) + ':' + std::to_string(length);
}

const Partition* PartitionTable::find(std::string_view name) const
{
    const auto found = std::find_if(partitions.begin(), partitions.end(),
                                    [&](const Partition& each) { return each.name() == name; });
    return found == partitions.end() ? nullptr : &*found;
}

PartitionTable PartitionProgram::read(const Disk& disk, Job* job) const
{
    const auto answer = ask(runner_, program_, request_for("read", disk, job), job);
    PartitionTable table{.format = text(answer, "table"),
                         .disk_id = text(answer, "disk_id"),
                         .size = bytes(answer, "size")};
    if (answer.contains("warnings"))
        for (const auto& each : list(answer, "warnings"))
            if (each.is_string())
                table.warnings.push_back(each.get<std::string>());
    if (table.format.empty())
        return table;
    for (const auto& each : list(answer, "partitions"))
        table.partitions.push_back(read_partition(each));
    for (const auto& each : list(answer, "free"))
        table.free.push_back({.start = bytes(each, "start"),
                              .length = bytes(each, "length"),
                              .logical = text(each, "kind") == "logical"});
    return table;
}

Partition PartitionProgram::plan(const Disk& disk, const NewPartition& wanted, Job* job) const
{
    auto request = request_for("create", disk, job);
    add(request, wanted);
    request["plan"] = true;
    return read_partition(member(ask(runner_, program_, request, job), "partition"));
}

void PartitionProgram::plan_remove(const Disk& disk, const Partition& partition, Job* job) const
{
    auto request = request_for("delete", disk, job);
    add(request, partition);
    request["plan"] = true;
    ask(runner_, program_, request, job);
}

Partition PartitionProgram::plan_resize(const Disk& disk, const Partition& partition,
                                        std::uint64_t size, Job* job) const
{
    auto request = request_for("resize", disk, job);
    add(request, partition);
    request["size"] = size;
    request["plan"] = true;
    return read_partition(member(ask(runner_, program_, request, job), "partition"));
}

Partition PartitionProgram::create(const Disk& disk, const NewPartition& wanted, int mark,
                                   Job* job) const
{
    auto request = request_for("create", disk, job);
    add(request, wanted);
    return read_partition(member(ask(runner_, program_, request, job, mark), "partition"));
}

void PartitionProgram::remove(const Disk& disk, const Partition& partition, Job* job) const
{
    auto request = request_for("delete", disk, job);
    add(request, partition);
    ask(runner_, program_, request, job);
}

void PartitionProgram::rename(const Disk& disk, const Partition& partition,
                              const std::string& label, Job* job) const
{
    auto request = request_for("rename", disk, job);
    add(request, partition);
    request["name"] = label;
    ask(runner_, program_, request, job);
}

Partition PartitionProgram::resize(const Disk& disk, const Partition& partition, std::uint64_t size,
                                   Job* job) const
{
    auto request = request_for("resize", disk, job);
    add(request, partition);
    request["size"] = size;
    return read_partition(member(ask(runner_, program_, request, job), "partition"));
}

void PartitionProgram::label(const Disk& disk, const std::string& format, bool overwrite,
                             Job* job) const
{
    auto request = request_for("label", disk, job);
    request["table"] = format;
    if (!overwrite)
        request["keep"] = true;
    ask(runner_, program_, request, job);
}

void PartitionProgram::clear(const Disk& disk, Job* job) const
{
    ask(runner_, program_, request_for("clear", disk, job), job);
}

void PartitionProgram::sync(const Disk& disk, Job* job) const
{
    ask(runner_, program_, request_for("sync", disk, job), job);
}

std::vector<std::string> PartitionProgram::call(const std::string& operation,
                                                const std::string& device) const
{
    return {program_, operation, device};
}

} // namespace storage::inline v1
