// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-limits: times the bare loops, and the start of programs.
#include "limits.hpp"
#include "measure.hpp"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <numeric>
#include <random>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace bench;

/** A volatile sink, so that the compiler keeps what is measured. */
volatile std::uint64_t sink;

int refresh(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    const auto time = [&](const ScanOptions& options) {
        return seconds([&] { sink = scan(dir, options); });
    };
    report("first_1", time({.read_header = true}));
    report("first_2", time({.read_header = true, .threads = 2}));
    report("first_skip_holes", time({.read_header = true, .skip_holes = true}));
    report("again", time({}));
    const auto volumes = list_directory(dir);
    report("list", seconds([&] { sink = std::vector<ListedVolume>(volumes).size(); }));
    return 0;
}

int cold(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    const auto one = [&](const std::string& name, const ScanOptions& options) {
        drop_caches();
        report(name, seconds([&] { sink = scan(dir, options); }));
        report(name + "_cache", static_cast<double>(cached_bytes(dir)));
    };
    one("cold", {.read_header = true});
    one("cold_random", {.read_header = true, .random_access = true});
    one("cold_skip_holes", {.read_header = true, .skip_holes = true, .random_access = true});
    return 0;
}

/** Mean seconds of one of the calls of `body(i)` over all indices in random order. */
template <typename Body>
double per_call(std::size_t count, Body&& body)
{
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), std::minstd_rand(1));
    const double total = seconds([&] {
        for (const auto i : order)
            body(i);
    });
    return total / static_cast<double>(count);
}

int micro(const Arguments& arguments)
{
    const auto volumes = list_directory(arguments.text("dir"));
    std::vector<double> copies;
    for (int i = 0; i < 9; ++i)
        copies.push_back(seconds([&] { sink = std::vector<ListedVolume>(volumes).size(); }));
    report("list", median(copies));
    Index index;
    for (std::size_t i = 0; i < volumes.size(); ++i)
        index.emplace(volumes[i].path, i);
    report("lookup", per_call(volumes.size(),
                              [&](std::size_t i) { sink = index.find(volumes[i].path)->second; }));
    report("info",
           per_call(volumes.size(), [&](std::size_t i) { sink = volume_info(volumes[i].path); }));
    report("xml",
           per_call(volumes.size(), [&](std::size_t i) { sink = volume_xml(volumes[i]).size(); }));
    return 0;
}

int pools(const Arguments& arguments)
{
    const auto root = arguments.text("dir");
    const auto others = arguments.number("others", 10);
    const auto samples = arguments.number("samples", 50);
    const auto config = root + "/etc";
    const auto run = root + "/run";
    std::filesystem::create_directories(config);
    std::filesystem::create_directories(run);
    for (std::uint64_t i = 0; i < others; ++i)
        define_pool(config, "other-" + std::to_string(i));
    std::vector<double> times[4];
    for (std::uint64_t i = 0; i < samples; ++i) {
        const auto name = "pool-" + std::to_string(i);
        times[0].push_back(seconds([&] { define_pool(config, name); }));
        times[1].push_back(seconds([&] { start_pool(run, name); }));
        times[2].push_back(seconds([&] { stop_pool(run, name); }));
        times[3].push_back(seconds([&] { undefine_pool(config, name); }));
    }
    report("define", median(times[0]));
    report("start", median(times[1]));
    report("stop", median(times[2]));
    report("undefine", median(times[3]));
    return 0;
}

/** Prints the names of a directory's files as a listing program must: looks at each of them. */
int print_names(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    scan(dir, {.read_header = true, .skip_holes = true});
    auto volumes = list_directory(dir);
    std::sort(volumes.begin(), volumes.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const auto& volume : volumes)
        std::printf(" %s   %s\n", volume.name.c_str(), volume.path.c_str());
    return 0;
}

/** Times a program from its start to its end, its output thrown away. */
int spawn(const Arguments& arguments)
{
    std::vector<std::string> words(arguments.words().begin() + 1, arguments.words().end());
    if (words.empty())
        throw std::runtime_error("which program?");
    std::vector<char*> argv;
    for (auto& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    std::vector<double> times;
    for (std::uint64_t i = 0; i < arguments.number("samples", 5); ++i) {
        int status = 0;
        times.push_back(seconds([&] {
            pid_t pid = 0;
            if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0 ||
                waitpid(pid, &status, 0) != pid)
                status = -1;
        }));
        if (status != 0)
            throw std::runtime_error("'" + words[0] + "' failed");
    }
    posix_spawn_file_actions_destroy(&actions);
    report("spawn", median(times));
    return 0;
}

int run(const Arguments& arguments)
{
    const std::string work = arguments.words().empty() ? "" : arguments.words()[0];
    if (work == "refresh")
        return refresh(arguments);
    if (work == "cold")
        return cold(arguments);
    if (work == "micro")
        return micro(arguments);
    if (work == "pools")
        return pools(arguments);
    if (work == "print-names")
        return print_names(arguments);
    if (work == "spawn")
        return spawn(arguments);
    throw std::runtime_error("usage: bench-limits refresh|cold|micro|pools|print-names dir=DIR, or "
                             "bench-limits spawn [samples=N] -- PROGRAM [ARGUMENT...]");
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
