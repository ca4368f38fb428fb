// SPDX-License-Identifier: LGPL-2.1-or-later
#include "device_steps.hpp"

#include "file_attributes.hpp"
#include "job_impl.hpp"
#include "step_parts.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

bool is_block_device(const std::string& path)
{
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
}

void apply_fill_device(StepRun& run)
{
    const auto& path = run.argument("path");
    wait_for_device(path, run.job());
    const auto fd = open_file(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
    set_attributes(fd.get(), run, path);
    if (run.work(fd.get(), path) && ::fsync(fd.get()) != 0)
        throw flush_error(errno, path);
}

constexpr std::array actions{
    // What the device had before is of no use to anybody; the step before takes the device away.
    Action{"fill_device", apply_fill_device, nullptr, false},
};

} // namespace

void wait_for_device(const std::string& path, Job* job, std::chrono::milliseconds limit)
{
    using Clock = std::chrono::steady_clock;
    constexpr useconds_t pause = 5000;
    for (const auto end = Clock::now() + limit; !is_block_device(path); ::usleep(pause)) {
        check(job, "waiting for '" + path + "'");
        if (Clock::now() > end)
            throw Error(ErrorCode::not_found,
                        "'" + path + "' did not appear within " +
                            std::to_string(limit.count() / 1000) + " s",
                        "see whether udev runs, and whether this process sees the host's /dev");
    }
}

Step fill_device_step(const std::string& path, NewContent content, const Permissions& permissions)
{
    auto arguments = attribute_arguments({.permissions = permissions});
    arguments["path"] = path;
    if (content.call.empty())
        content.call = {content.fill ? "pwrite" : "stat", path};
    auto step = make_step("fill_device", std::move(arguments),
                          {.call = std::move(content.call), .summary = std::move(content.summary)});
    step.work = std::move(content.fill);
    return step;
}

std::span<const Action> device_actions()
{
    return actions;
}

} // namespace storage::inline v1
