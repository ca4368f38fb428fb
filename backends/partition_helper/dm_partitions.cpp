// SPDX-License-Identifier: GPL-3.0-or-later
#include "dm_partitions.hpp"
#include "protocol.hpp"

#include <libdevmapper.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>

namespace partition_helper {
namespace {

namespace fs = std::filesystem;

using Task = std::unique_ptr<dm_task, decltype(&dm_task_destroy)>;

constexpr std::uint64_t unit = 512; // of every number that device-mapper takes and gives

std::string line_in(const fs::path& path)
{
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/** The number that the text is, or 0. */
int number_of(std::string_view text)
{
    int number = 0;
    const auto end = text.data() + text.size();
    const bool whole = std::from_chars(text.data(), end, number).ptr == end;
    return whole && number > 0 && number <= static_cast<int>(partition_limit) ? number : 0;
}

Task make_task(int type, const std::string& name)
{
    Task task(dm_task_create(type), dm_task_destroy);
    if (!task || !dm_task_set_name(task.get(), name.c_str()))
        throw Refusal("no_memory", "out of memory");
    return task;
}

void run(const Task& task, const std::string& what)
{
    if (!dm_task_run(task.get()))
        throw system_refusal(dm_task_get_errno(task.get()), what);
}

/** Also waits until udev has made, or taken away, the node. */
void run_and_settle(const Task& task, const std::string& what)
{
    std::uint32_t cookie = 0;
    if (!dm_task_set_cookie(task.get(), &cookie, 0))
        throw Refusal("io", what + ": no semaphore for udev");
    const bool done = dm_task_run(task.get()) != 0;
    const int error = dm_task_get_errno(task.get());
    dm_udev_wait(cookie);
    if (!done)
        throw system_refusal(error, what);
}

void add_table(const Task& task, const std::string& device_number, const Extent& extent)
{
    const auto target = device_number + ' ' + std::to_string(extent.start / unit);
    if (!dm_task_add_target(task.get(), 0, extent.length / unit, "linear", target.c_str()))
        throw Refusal("no_memory", "out of memory");
}

void be_silent(int, const char*, int, int, const char*, ...) {}

} // namespace

DmPartitions::DmPartitions(const std::string& directory, std::string device_number, bool always_p)
    : directory_(directory), device_number_(std::move(device_number)), always_p_(always_p),
      name_(line_in(directory + "/dm/name")), uuid_(line_in(directory + "/dm/uuid"))
{
    dm_log_with_errno_init(be_silent);
}

void DmPartitions::open_control()
{
    char version[64];
    dm_driver_version(version, sizeof version); // keeps it open
}

/** What is linear, lies on this disk alone, and has a UUID, or for lack of one a name, that says
 * its number. A logical volume "disk1-data" on the disk "disk" is no partition. */
std::map<int, DmPartitions::Partition> DmPartitions::find() const
{
    std::map<int, Partition> result;
    std::error_code error;
    for (const auto& holder : fs::directory_iterator(directory_ + "/holders", error)) {
        const auto name = line_in(holder.path() / "dm/name");
        const auto uuid = line_in(holder.path() / "dm/uuid");
        int number = 0;
        if (uuid.starts_with("part"))
            number = number_of(std::string_view(uuid).substr(4, uuid.find('-') - 4));
        else if (uuid.empty() && name.starts_with(name_)) {
            auto rest = std::string_view(name).substr(name_.size());
            for (const std::string_view separator : {"-part", "p"})
                if (rest.starts_with(separator)) {
                    rest.remove_prefix(separator.size());
                    break;
                }
            number = number_of(rest);
        }
        if (number == 0)
            continue;
        const auto task = make_task(DM_DEVICE_TABLE, name);
        run(task, "cannot look at '/dev/mapper/" + name + "'");
        std::uint64_t start = 0, length = 0;
        char* type = nullptr;
        char* parameters = nullptr;
        const bool more =
            dm_get_next_target(task.get(), nullptr, &start, &length, &type, &parameters) != nullptr;
        const std::string_view where = parameters ? parameters : "";
        if (more || !type || std::string_view(type) != "linear" ||
            !where.starts_with(device_number_ + ' '))
            continue;
        std::uint64_t offset = 0;
        std::from_chars(where.data() + device_number_.size() + 1, where.data() + where.size(),
                        offset);
        result[number] = {.name = name,
                          .extent = {.start = offset * unit, .length = length * unit}};
    }
    return result;
}

std::map<int, Extent> DmPartitions::partitions() const
{
    std::map<int, Extent> result;
    for (const auto& [number, partition] : find())
        result[number] = partition.extent;
    return result;
}

std::string DmPartitions::name_for(int number, const std::map<int, Partition>& known) const
{
    const auto wanted = std::to_string(number);
    if (const auto same = known.find(number); same != known.end())
        return same->second.name;
    for (const auto& [other, partition] : known)
        if (const auto suffix = std::to_string(other); partition.name.ends_with(suffix))
            return partition.name.substr(0, partition.name.size() - suffix.size()) + wanted;
    const bool digit = !name_.empty() && std::isdigit(static_cast<unsigned char>(name_.back()));
    return name_ + (digit || always_p_ ? "p" : "") + wanted;
}

std::string DmPartitions::node(int number) const
{
    return "/dev/mapper/" + name_for(number, find());
}

void DmPartitions::add(int number, const Extent& extent) const
{
    const auto name = name_for(number, find());
    const auto task = make_task(DM_DEVICE_CREATE, name);
    if (!uuid_.empty() &&
        !dm_task_set_uuid(task.get(), ("part" + std::to_string(number) + '-' + uuid_).c_str()))
        throw Refusal("no_memory", "out of memory");
    add_table(task, device_number_, extent);
    run_and_settle(task, "cannot make '/dev/mapper/" + name + "'");
}

void DmPartitions::remove(int number) const
{
    const auto known = find();
    const auto found = known.find(number);
    if (found == known.end())
        return;
    const auto task = make_task(DM_DEVICE_REMOVE, found->second.name);
    run_and_settle(task, "cannot remove '/dev/mapper/" + found->second.name + "'");
}

void DmPartitions::resize(int number, const Extent& extent) const
{
    const auto name = name_for(number, find());
    const auto what = "cannot resize '/dev/mapper/" + name + "'";
    const auto load = make_task(DM_DEVICE_RELOAD, name);
    add_table(load, device_number_, extent);
    run(load, what);
    run_and_settle(make_task(DM_DEVICE_RESUME, name), what);
}

} // namespace partition_helper
