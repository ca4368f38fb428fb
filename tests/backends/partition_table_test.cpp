// SPDX-License-Identifier: LGPL-2.1-or-later
// The client of basin-partition against scripted answers and the real helper on image files.
#include "partition_table.hpp"

#include "disk_steps.hpp"
#include "file_io.hpp"
#include "process_runner.hpp"
#include "processes.hpp"
#include "scratch.hpp"
#include "scripted_runner.hpp"
#include "system_root.hpp"
#include "table_signature.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <thread>

using namespace storage;
using namespace std::string_literals;

namespace {

const PartitionProgram::Disk sda{
    .path = "/dev/sda", .device_number = "8:0", .format = "gpt", .disk_id = "11-22"};

const std::string read_sda =
    "$ /helpers/basin-partition\n"
    "< {\"operation\":\"read\",\"device\":\"/dev/sda\",\"device_number\":\"8:0\","
    "\"table\":\"gpt\",\"disk_id\":\"11-22\"}\n";

const std::string sda1 = R"({"number":1,"path":"/dev/sda1","kind":"primary","start":1048576,)"
                         R"("length":10485760,"format":"linux","type":"0fc63daf","guid":"ab-cd",)"
                         R"("name":"","flags":[]})";

PartitionTable read_scripted(const std::string& answer)
{
    ScriptedRunner runner(read_sda + answer);
    return PartitionProgram(runner, "/helpers").read(sda, nullptr);
}

ErrorCode read_error(const std::string& answer, std::string* message = nullptr)
{
    try {
        read_scripted(answer);
    } catch (const Error& error) {
        if (message)
            *message = error.what();
        return error.code();
    }
    return ErrorCode{};
}

/** A directory whose basin-partition is a script of ours. */
void write_helper(const TemporaryDirectory& directory, const std::string& script)
{
    directory.write("basin-partition", "#!/bin/sh\n" + script + '\n');
    REQUIRE(::chmod((directory / "basin-partition").c_str(), 0700) == 0);
}

ErrorCode helper_error(const std::string& script, Job* job = nullptr)
{
    const TemporaryDirectory directory;
    write_helper(directory, script);
    ProcessRunner runner;
    const PartitionProgram program(runner, directory.path());
    return error_code([&] { program.read(sda, job); });
}

/** A table on an image file, with the real helper; null where that is not built. */
struct ImageDisk {
    static std::unique_ptr<ImageDisk> make(const std::string& format)
    {
        if (::access(BASIN_TEST_HELPERS "/basin-partition", X_OK) != 0) {
            WARN("skipped: basin-partition is not built");
            return nullptr;
        }
        return std::make_unique<ImageDisk>(format);
    }
    explicit ImageDisk(const std::string& format)
    {
        disk.path = directory / "disk";
        const auto fd = open_file(disk.path, O_RDWR | O_CREAT, 0600);
        REQUIRE(::ftruncate(fd.get(), 64 << 20) == 0);
        program.label(disk, format, true, nullptr);
        disk.format = format;
        disk.device_number = "0:0"; // a file's
        disk.disk_id = read().disk_id;
    }

    PartitionTable read() const { return program.read(disk, nullptr); }
    Partition make(std::uint64_t size, const std::string& format = "linux") const
    {
        return program.create(disk, {.size = size, .format = format}, -1, nullptr);
    }
    /** Undoes the making of a partition as if the process had been killed in it. */
    void undo(const PartitionProgram::Disk& recorded, const Partition& planned,
              Arguments evidence) const
    {
        undo(create_partition_step(recorded, planned, planned.length, "linux"),
             std::move(evidence));
    }
    void undo(const Step& step, Arguments evidence) const
    {
        StepRun run(step.arguments, evidence, nullptr, 0, host);
        step.action->undo(run);
    }

    TemporaryDirectory directory{};
    SystemRoot system{};
    Log log{};
    mutable ProcessRunner runner{};
    Host host{
        .system = system, .log = log, .runner = runner, .helper_directory = BASIN_TEST_HELPERS};
    PartitionProgram program{runner, BASIN_TEST_HELPERS};
    PartitionProgram::Disk disk{};
};

constexpr std::uint64_t MiB = 1 << 20;

} // namespace

TEST_CASE("partition table: what the helper answers is read", "[disk]")
{
    const auto table = read_scripted(
        R"(> {"table":"gpt","disk_id":"11-22","alignment":1048576,"partitions":[)" + sda1 +
        R"(],"free":[{"start":11534336,"length":5,"kind":"primary"},)"
        R"({"start":9,"length":6,"kind":"logical"}],"sector_size":512,"size":1000,)"
        R"("warnings":["odd"]})"
        "\n");
    CHECK(table.format == "gpt");
    CHECK(table.disk_id == "11-22");
    CHECK(table.size == 1000);
    CHECK(table.partitions == std::vector<Partition>{{.number = 1,
                                                      .path = "/dev/sda1",
                                                      .kind = "primary",
                                                      .format = "linux",
                                                      .type = "0fc63daf",
                                                      .guid = "ab-cd",
                                                      .start = 1048576,
                                                      .length = 10485760}});
    CHECK(table.free == std::vector<FreeRegion>{{.start = 11534336, .length = 5},
                                                {.start = 9, .length = 6, .logical = true}});
    CHECK(table.warnings == std::vector<std::string>{"odd"});
    REQUIRE(table.find("sda1"));
    CHECK(table.find("sda1")->identity("11-22") == "partition:ab-cd");
    CHECK_FALSE(table.find("sda"));
    auto without_guid = *table.find("sda1");
    without_guid.guid.clear();
    CHECK(without_guid.identity("1234") == "partition:1234:1048576:10485760");

    const auto none = read_scripted("> {\"table\":\"\",\"disk_id\":\"\",\"size\":7}\n");
    CHECK(none.format.empty());
    CHECK(none.partitions.empty());
}

TEST_CASE("partition table: requests name the partition by all that is known of it", "[disk]")
{
    const std::string disk = "\"device\":\"/dev/sda\",\"device_number\":\"8:0\",\"table\":\"gpt\","
                             "\"disk_id\":\"11-22\"";
    const std::string helper = "$ /helpers/basin-partition\n";
    const std::string one =
        ",\"number\":1,\"start\":1048576,\"length\":10485760,\"guid\":\"ab-cd\"";
    ScriptedRunner runner(
        helper + "< {\"operation\":\"create\"," + disk +
        ",\"size\":5,\"format\":\"linux\",\"plan\":true}\n> {\"partition\":" + sda1 + "}\n" +
        helper + "< {\"operation\":\"create\"," + disk +
        ",\"size\":5,\"format\":\"linux\",\"number\":1,\"start\":1048576}\n> {\"partition\":" +
        sda1 + "}\n" + helper + "< {\"operation\":\"resize\"," + disk + one +
        ",\"size\":77}\n> {\"partition\":" + sda1 + "}\n" + helper +
        "< {\"operation\":\"delete\"," + disk + one + "}\n> {\"deleted\":1}\n" + helper +
        "< {\"operation\":\"label\",\"device\":\"/dev/sdb\",\"table\":\"sun\"}\n> {}\n" + helper +
        "< {\"operation\":\"clear\"," + disk + "}\n> {}\n" + helper + "< {\"operation\":\"sync\"," +
        disk + "}\n> {}\n");
    const PartitionProgram program(runner, "/helpers");
    const auto planned = program.plan(sda, {.size = 5, .format = "linux"}, nullptr);
    CHECK(planned.name() == "sda1");
    CHECK(program.create(sda, {.size = 5, .format = "linux", .number = 1, .start = planned.start},
                         -1, nullptr) == planned);
    program.resize(sda, planned, 77, nullptr);
    program.remove(sda, planned, nullptr);
    program.label({.path = "/dev/sdb"}, "sun", true, nullptr);
    program.clear(sda, nullptr);
    program.sync(sda, nullptr);
    CHECK(runner.finished());
}

TEST_CASE("partition table: each refusal comes through with its code", "[disk]")
{
    for (int value = -1; value >= static_cast<int>(ErrorCode::internal); --value) {
        const auto code = static_cast<ErrorCode>(value);
        INFO(to_string(code));
        std::string message;
        CHECK(read_error("> {\"error\":{\"code\":\"" + std::string(to_string(code)) +
                             "\",\"message\":\"because\",\"remedy\":\"mend it\"}}\n",
                         &message) == code);
        CHECK(message == "because");
    }
}

TEST_CASE("partition table: an answer that makes no sense is no table", "[disk]")
{
    const auto with = [](const std::string& partition) {
        return "> {\"table\":\"gpt\",\"disk_id\":\"\",\"size\":1,\"partitions\":[" + partition +
               "],\"free\":[]}\n";
    };
    const auto changed = [](std::string text, const std::string& from, const std::string& to) {
        return text.replace(text.find(from), from.size(), to);
    };
    CHECK(read_error(with(sda1)) == ErrorCode{});
    for (const auto& answer :
         {""s, "> \n"s, "> garbage\n"s, "> {\"table\":\n"s, "> []\n"s, "> {}\n"s,
          "> {\"table\":5,\"disk_id\":\"\",\"size\":1}\n"s,
          "> {\"table\":\"\",\"disk_id\":\"\",\"size\":-1}\n"s,
          "> {\"table\":\"\",\"disk_id\":\"\",\"size\":1e300}\n"s,
          "> {\"table\":\"gpt\",\"disk_id\":\"\",\"size\":1}\n"s, "> {\"error\":\"no\"}\n"s,
          "> {\"error\":{\"code\":\"odd\",\"message\":\"\"}}\n"s, with("5"), with("{}"),
          with(changed(sda1, "\"number\":1", "\"number\":0")),
          with(changed(sda1, "\"number\":1", "\"number\":\"1\"")),
          with(changed(sda1, "\"start\":1048576", "\"start\":18446744073709551615")),
          with(changed(sda1, "/dev/sda1", ""))}) {
        INFO(answer);
        CHECK(read_error(answer) == ErrorCode::parse_failed);
    }
}

TEST_CASE("partition table: a helper that breaks, hangs or is missing", "[disk]")
{
    CHECK(helper_error("exit 1") == ErrorCode::command_failed);
    CHECK(helper_error("kill -ABRT $$") == ErrorCode::command_failed);
    CHECK(helper_error("yes") == ErrorCode::parse_failed);
    CHECK(helper_error("echo '{'") == ErrorCode::parse_failed);
    Job hurried;
    hurried.set_timeout(std::chrono::milliseconds(50));
    CHECK(helper_error("exec sleep 1000", &hurried) == ErrorCode::timed_out);
    const TemporaryDirectory empty;
    ProcessRunner runner;
    CHECK(error_code([&] { PartitionProgram(runner, empty.path()).read(sda, nullptr); }) ==
          ErrorCode::unavailable);
}

TEST_CASE("partition table: a helper that is writing is given time to", "[disk]")
{
    const TemporaryDirectory directory;
    Job job;
    std::thread canceller([&] {
        CHECK(comes_true([&] { return directory.exists("begun"); }));
        job.cancel();
    });
    CHECK(helper_error("trap '' TERM; touch " + directory / "begun" + "; sleep 1; touch " +
                           directory / "written",
                       &job) == ErrorCode::cancelled);
    canceller.join();
    CHECK(directory.exists("written"));
}

TEST_CASE("a command's own time limit ends it without a job", "[tools]")
{
    ProcessRunner runner;
    Command command{.program = "sleep", .arguments = {"1000"}};
    command.limit = std::chrono::milliseconds(50);
    CHECK(error_code([&] { runner.run(command, nullptr); }) == ErrorCode::timed_out);
}

TEST_CASE("disk: a killed creation is undone on a disk that has another number by now", "[disk]")
{
    const auto gpt = ImageDisk::make("gpt");
    if (!gpt)
        return;
    gpt->make(MiB);
    const auto made = gpt->make(MiB);
    auto recorded = gpt->disk;
    recorded.device_number = "259:7"; // before the host was started again
    const Arguments evidence{{"begun", "yes"}, {"guid", made.guid}};
    // Another disk in its place.
    auto other = recorded;
    other.disk_id[0] = other.disk_id[0] == '0' ? '1' : '0';
    CHECK(error_code([&] { gpt->undo(other, made, evidence); }) == ErrorCode::invalid_state);
    CHECK(gpt->read().partitions.size() == 2);
    gpt->undo(recorded, made, evidence);
    CHECK(gpt->read().partitions.size() == 1);

    // A table without an identity: only the number tells its disk from others.
    const auto sun = ImageDisk::make("sun");
    const auto first = sun->make(MiB);
    recorded = sun->disk;
    recorded.device_number = "259:7";
    CHECK(error_code([&] {
              sun->undo(recorded, first, {{"begun", "yes"}});
          }) == ErrorCode::invalid_state);
    const auto count = sun->read().partitions.size();
    sun->undo(sun->disk, first, {{"begun", "yes"}});
    CHECK(sun->read().partitions.size() == count - 1);
}

TEST_CASE("disk: a killed creation whose GUID is not known goes by the label of its partition",
          "[disk]")
{
    const auto on = ImageDisk::make("gpt");
    if (!on)
        return;
    const NewPartition wanted{.size = MiB, .format = "linux"};
    const auto planned = on->program.plan(on->disk, wanted, nullptr);
    const auto step = create_partition_step(on->disk, planned, MiB, "linux");
    const Arguments begun{{"begun", "yes"}};
    const auto others = on->make(MiB); // another program's, of the same place
    on->undo(step, begun);
    REQUIRE(on->read().partitions == std::vector{others});
    on->program.remove(on->disk, others, nullptr);
    auto own = wanted;
    own.label = step.arguments.at("label");
    on->program.create(on->disk, own, -1, nullptr);
    on->undo(step, begun);
    CHECK(on->read().partitions.empty());

    // One that is whole has none.
    Arguments evidence;
    StepRun run(step.arguments, evidence, nullptr, 0, on->host);
    step.action->apply(run);
    const auto made = on->read().partitions;
    REQUIRE(made.size() == 1);
    CHECK(made[0].label.empty());
    CHECK(evidence.at("guid") == made[0].guid);
    on->undo(step, evidence);
    CHECK(on->read().partitions.empty());
}

TEST_CASE("disk: a killed creation of a partition that has another number by now", "[disk]")
{
    const auto on = ImageDisk::make("dos");
    if (!on)
        return;
    on->make(62 * MiB, "extended");
    const auto first = on->make(5 * MiB);
    const auto second = on->make(5 * MiB);
    const auto third = on->make(5 * MiB);
    REQUIRE(third.number == 7);
    on->program.remove(on->disk, first, nullptr);
    on->undo(on->disk, third, {{"begun", "yes"}});
    const auto left = on->read().partitions;
    REQUIRE(left.size() == 2);
    CHECK(left[1].start == second.start);
}

TEST_CASE("table signature: what the helper writes is recognised", "[disk]")
{
    const TemporaryDirectory directory;
    if (::access(BASIN_TEST_HELPERS "/basin-partition", X_OK) != 0) {
        WARN("skipped: basin-partition is not built");
        return;
    }
    ProcessRunner runner;
    const PartitionProgram program(runner, BASIN_TEST_HELPERS);
    for (const std::string format : {"dos", "gpt", "dvh", "mac", "bsd", "pc98", "sun"}) {
        INFO(format);
        const auto path = directory / format;
        const auto fd = open_file(path, O_RDWR | O_CREAT, 0600);
        REQUIRE(::ftruncate(fd.get(), 16 << 20) == 0);
        CHECK(table_signature(fd.get(), path) == TableSignature{});
        program.label({.path = path}, format, true, nullptr);
        const auto table = program.read({.path = path, .format = format}, nullptr);
        const auto signature = table_signature(fd.get(), path);
        CHECK(signature.format == format);
        CHECK(signature.disk_id == table.disk_id);
        CHECK(signature.disk_id.empty() == (format != "dos" && format != "gpt"));
        program.clear({.path = path}, nullptr);
        CHECK(table_signature(fd.get(), path) == TableSignature{});
    }
}

TEST_CASE("table signature: boot sectors, short disks and physical volumes", "[disk]")
{
    std::string sector(512, '\0');
    sector[510] = '\x55';
    sector[511] = '\xaa';
    CHECK(table_signature(sector).format == "dos");
    CHECK(table_signature(sector).disk_id.empty());
    sector[440] = '\x78';
    sector[443] = '\x12';
    CHECK(table_signature(sector).disk_id == "12000078");
    CHECK(table_signature(sector.substr(0, 511)) == TableSignature{});
    auto gpt = sector;
    gpt[450] = '\xee';
    CHECK(table_signature(gpt).format == "dos"); // of a partition that begins elsewhere
    gpt[454] = '\1';
    CHECK(table_signature(gpt) == TableSignature{.format = "gpt", .is_damaged = true});
    CHECK(table_signature("") == TableSignature{});
    auto boot = sector;
    boot.replace(0x36, 3, "FAT");
    CHECK(table_signature(boot) == TableSignature{});
    boot = sector;
    boot[446] = '\x12'; // neither active nor inactive
    CHECK(table_signature(boot) == TableSignature{});
    auto volume = sector + std::string(2048, '\0');
    volume.replace(512, 8, "LABELONE");
    volume.replace(512 + 24, 8, "LVM2 001");
    CHECK(table_signature(volume) == TableSignature{.format = "lvm2"});
    // A header that the disk ends in.
    auto cut = sector + "EFI PART";
    CHECK(table_signature(cut).format == "dos");
    for (const std::size_t sector_size : {512, 4096}) {
        auto both = gpt + std::string(8192 - 512, '\0');
        both.replace(sector_size, 8, "EFI PART");
        CHECK(table_signature(both).format == "gpt");
        CHECK_FALSE(table_signature(both).is_damaged);
        both[454] = '\0'; // as some tools write it, where there are other entries too
        CHECK(table_signature(both).format == "gpt");
        // What was written over a gpt is what everybody sees.
        both[450] = '\x83';
        CHECK(table_signature(both) == TableSignature{.format = "dos", .disk_id = "12000078"});
        both.replace(0x36, 3, "FAT");
        CHECK(table_signature(both) == TableSignature{});
        both.replace(0, 512, 512, '\0');
        CHECK(table_signature(both) == TableSignature{.format = "gpt", .is_damaged = true});
    }
}
