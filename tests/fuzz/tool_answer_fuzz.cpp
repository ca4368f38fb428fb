// SPDX-License-Identifier: LGPL-2.1-or-later
// What a program prints as its answer: LVM's report, what basin-partition says of a disk, what
// qemu-img says of itself and of an image that it checked. It is refused as a whole, or everything
// taken from it can be used as a name.
#include "fuzz.hpp"

#include "command.hpp"
#include "lvm_report.hpp"
#include "names.hpp"
#include "partition_table.hpp"
#include "qemu_img.hpp"

#include <set>

using namespace storage;

namespace {

class Answering final : public CommandRunner {
public:
    explicit Answering(std::string_view answer) : answer_(answer) {}
    CommandResult run(const Command&, Job*) override { return {.output = answer_}; }

private:
    std::string answer_;
};

void look_at(const std::vector<LvmGroup>& groups)
{
    for (const auto& group : groups) {
        require(group.free <= group.size && group.extent_size != 0, "a group's sizes contradict",
                group.name);
        std::set<std::string> names;
        for (const auto& lv : group.lvs) {
            require(lv.name.find('/') == lv.name.npos && !control_character(lv.name),
                    "a logical volume's name is no name", lv.name);
            require(names.insert(lv.name).second, "two logical volumes have one name", lv.name);
        }
    }
}

void look_at(const PartitionTable& table)
{
    for (const auto& partition : table.partitions) {
        require(partition.number > 0, "a partition without a number", partition.path);
        require(partition.path.starts_with('/') && !control_character(partition.path),
                "a partition's path is none", partition.path);
        require(partition.name().find('/') == std::string::npos, "a partition's name is a path",
                partition.path);
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = text_of(data, size);
    try {
        look_at(parse_lvm_report(text));
    } catch (const Error&) {
    }
    Answering runner(text);
    const PartitionProgram program(runner, "/helpers");
    const PartitionProgram::Disk disk{.path = "/dev/sda"};
    try {
        look_at(program.read(disk, nullptr));
    } catch (const Error&) {
    }
    try {
        program.plan(disk, {.size = 1 << 20, .format = "linux"}, nullptr);
    } catch (const Error&) {
    }
    try {
        qemu_img_check(runner, {.path = "/p/a", .format = "qcow2"}, true, nullptr);
    } catch (const Error&) {
    }
    try {
        const auto version = qemu_img_version(runner, nullptr);
        require(!control_character(version), "a version that is none", version);
    } catch (const Error&) {
    }
    return 0;
}
