// SPDX-License-Identifier: LGPL-2.1-or-later
// The steps of volume_steps.hpp that change what is in an existing file or device.
#include "command.hpp"
#include "file_attributes.hpp"
#include "image/extents.hpp"
#include "image/probe.hpp"
#include "job_impl.hpp"
#include "log.hpp"
#include "owner_access.hpp"
#include "qemu_img.hpp"
#include "step_parts.hpp"
#include "volume_steps.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

/** Opens what the step was listed for, and nothing else. */
UniqueFd open_same(const StepRun& run, int flags)
{
    const auto& path = run.argument("path");
    auto fd = open_content_in(run.argument("place"), path, flags | O_NONBLOCK | O_NOCTTY);
    const auto identity = identity_of(fd.get(), path);
    if (identity != run.argument("identity") || !is_expected(run, identity))
        throw replaced(path);
    return fd;
}

void set_length(int fd, std::uint64_t length, const std::string& path)
{
    if (::ftruncate(fd, static_cast<off_t>(length)) != 0)
        throw system_error(errno, "cannot set the size of '" + path + "' to " +
                                      std::to_string(length) + " bytes");
}

void apply_resize_file(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto fd = open_same(run, O_RDWR);
    const auto before = content_length(fd.get(), path);
    const std::uint64_t capacity = std::stoull(run.argument("capacity"));
    if (run.argument("allocate") == "yes" && capacity > before) {
        run.declare("before", std::to_string(before));
        allocate_behind(fd.get(), before, capacity, path, run.job());
    }
    check(run.job(), "resizing '" + path + "'");
    set_length(fd.get(), capacity, path);
    if (::fsync(fd.get()) != 0)
        throw flush_error(errno, path);
}

void undo_resize_file(StepRun& run)
{
    if (run.evidence("before").empty())
        return;
    const std::uint64_t before = std::stoull(run.evidence("before"));
    const auto fd = open_same(run, O_RDWR);
    // One that has its new length is done, and may be in use already.
    if (content_length(fd.get(), run.argument("path")) < std::stoull(run.argument("capacity")))
        set_length(fd.get(), before, run.argument("path")); // frees what lies behind the end
}

void apply_change_file(StepRun& run)
{
    const auto fd = open_same(run, O_RDWR);
    run.work(fd.get(), run.argument("path"));
    if (::fsync(fd.get()) != 0)
        throw flush_error(errno, run.argument("path"));
}

void apply_run_tool(StepRun& run)
{
    open_same(run, O_RDONLY);
    run.work(-1, run.argument("path"));
}

void apply_change_snapshots(StepRun& run)
{
    open_same(run, O_RDONLY);
    run.declare("begun", "yes");
    try {
        run.work(-1, run.argument("path"));
    } catch (const Error& error) {
        const auto code = error.code();
        const bool is_killed = error.detail().find("killed by signal") != std::string::npos;
        run.remember("end", code == ErrorCode::cancelled || code == ErrorCode::timed_out ? "cut off"
                            : is_killed                                                  ? "killed"
                            : code == ErrorCode::no_space || code == ErrorCode::io       ? "full"
                                                                                         : "clean");
        throw;
    } catch (...) { // such as the program's own for a secret
        run.remember("end", "clean");
        throw;
    }
}

/** Whether it is there, and still what qemu-img was changing; of what it refers to nothing is
 * opened. */
bool can_be_set_right(const StepRun& run)
{
    try {
        const auto info = inspect_descriptor(open_same(run, O_RDONLY).get());
        return info.format == ImageFormat::qcow2 && !info.data_file;
    } catch (const Error& error) {
        if (error.os_error() == ENOENT)
            return false;
        if (error.os_error() != 0)
            throw;
        run.host().log(LogLevel::warning, // another file by now
                       std::string(error.what()) +
                           "; qemu-img was ended while it changed snapshots of the one before");
        return false;
    }
}

/** Killed in the middle, qemu-img leaves clusters that nobody uses, and can leave some to be
 * written in place that a snapshot has, too. */
void undo_change_snapshots(StepRun& run)
{
    using namespace std::chrono_literals;
    const auto end = run.evidence("end");
    if (run.evidence("begun").empty() || end == "clean")
        return;
    if (!can_be_set_right(run))
        return;
    QemuImage image{.path = run.argument("path"), .format = "qcow2"};
    if (const auto& volume = run.argument("encrypted_volume"); !volume.empty())
        image.secret = run.host().secret({.usage = SecretUsage::volume,
                                          .reference = {.usage = image.path},
                                          .pool_name = run.argument("pool"),
                                          .volume_name = volume});
    // Whoever cancelled does not wait until a large image is read: that is left to a recovery.
    const bool at_once = end == "cut off";
    if (at_once)
        run.remember("end", "to be set right");
    try {
        qemu_img_repair(run.host().runner, image, at_once ? 200ms : 0ms);
    } catch (const Error& error) {
        if (end != "full") // somebody may have it open: a recovery tries again
            throw Error(ErrorCode::unavailable, error.what(), "end what uses the image",
                        error.detail());
        run.host().log(LogLevel::warning, error.what());
    }
}

constexpr std::array actions{
    Action{"resize_file", apply_resize_file, undo_resize_file, true}, // likewise
    Action{"change_file", apply_change_file, nullptr, true},          // cannot be taken back
    Action{"run_tool", apply_run_tool, nullptr, true},
    Action{"change_snapshots", apply_change_snapshots, undo_change_snapshots, false},
};

} // namespace

std::span<const Action> content_actions()
{
    return actions;
}

Step resize_file_step(const std::string& path, std::uint64_t capacity, bool allocate)
{
    struct stat info {};
    const auto before =
        ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
    return make_step(
        "resize_file",
        {{"path", path},
         {"identity", target_identity(path)},
         {"capacity", std::to_string(capacity)},
         {"allocate", allocate ? "yes" : "no"}},
        {.call = in_turn({allocate && capacity > before
                              ? std::vector<std::string>{"fallocate", path, std::to_string(before),
                                                         std::to_string(capacity - before)}
                              : std::vector<std::string>(),
                          {"ftruncate", path, std::to_string(capacity)}}),
         .summary = "set the size of '" + path + "' from " + std::to_string(before) + " to " +
                    std::to_string(capacity) + " bytes" +
                    (allocate ? ", what is added allocated" : ""),
         .destructive = capacity < before});
}

Step change_file_step(const std::string& path, std::vector<std::string> call, std::string summary,
                      FileFunction change)
{
    auto step =
        make_step("change_file", {{"path", path}, {"identity", target_identity(path)}},
                  {.call = std::move(call), .summary = std::move(summary), .destructive = true});
    step.work = std::move(change);
    return step;
}

Step run_tool_step(const std::string& path, std::vector<std::string> call, std::string summary,
                   FileFunction run)
{
    auto step = make_step("run_tool", {{"path", path}, {"identity", target_identity(path)}},
                          {.call = std::move(call), .summary = std::move(summary)});
    step.work = std::move(run);
    return step;
}

Step change_snapshots_step(const VolumeDef& volume, const std::string& pool_name,
                           std::vector<std::string> call, std::string summary, FileFunction run)
{
    const auto& path = volume.target.path;
    Arguments arguments{{"path", path}, {"identity", target_identity(path)}};
    if (volume.target.encryption)
        arguments.insert({{"pool", pool_name}, {"encrypted_volume", volume.name}});
    auto step = make_step("change_snapshots", std::move(arguments),
                          {.call = std::move(call),
                           .summary = std::move(summary),
                           .undo = "set the image right where qemu-img was cut off "
                                   "(qemu-img check -r all)"});
    step.work = std::move(run);
    return step;
}

} // namespace storage::inline v1
