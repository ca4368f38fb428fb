// SPDX-License-Identifier: LGPL-2.1-or-later
// What tests of processes look at: is one gone, are any left, is anything left open.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>

/** Generous: a test that needs it all has failed anyway. */
inline constexpr std::chrono::milliseconds test_patience{20000};

/** Whether the condition comes true within that time. */
template <typename Condition>
bool comes_true(Condition&& condition, std::chrono::milliseconds patience = test_patience)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

inline void await_file(const std::string& path)
{
    if (!comes_true([&] { return std::filesystem::exists(path); }))
        throw std::runtime_error(path + " does not appear");
}

/** Whether the process ends; a zombie has ended, whoever has yet to reap it. */
inline bool is_gone(pid_t pid, std::chrono::milliseconds patience = test_patience)
{
    return comes_true(
        [&] {
            if (::kill(pid, 0) != 0 && errno == ESRCH)
                return true;
            std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
            std::string stat;
            std::getline(file, stat);
            const auto end = stat.rfind(')');
            return end != stat.npos && stat.compare(end, 3, ") Z") == 0;
        },
        patience);
}

/** Whether this process has no child of any kind, running or zombie. */
inline bool no_children()
{
    return ::waitpid(-1, nullptr, WNOHANG | __WALL) == -1 && errno == ECHILD;
}

inline std::set<std::string> open_descriptors()
{
    std::set<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        result.insert(entry.path().filename().string());
    return result;
}

/** How many pieces of memory nobody may touch there are: the guards of stacks. */
inline std::size_t stack_mappings()
{
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);)
        count += line.find(" ---p ") != line.npos;
    return count;
}
