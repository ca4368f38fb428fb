// SPDX-License-Identifier: LGPL-2.1-or-later
// The virtual machine of tests/lab, where test cases tagged [.][lab] have disks of their own.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

/** Whether this is the machine. Elsewhere a disk of the same name is somebody's. */
inline bool in_lab()
{
    const char* mark = std::getenv("LAB_VM");
    std::string line;
    std::getline(std::ifstream("/proc/cmdline"), line);
    return mark && std::string(mark) == "1" && std::filesystem::exists("/lab/ctl/job") &&
           line.find("basin.lab") != std::string::npos;
}

/** The path of disk 'a', 'b' …, which may be wiped. Throws outside the machine. */
inline std::string lab_disk(char letter)
{
    const auto path = std::string("/dev/vd") + letter;
    if (!in_lab() || !std::filesystem::exists(path))
        throw std::runtime_error(path + " is not the lab's");
    return path;
}

/** Runs a shell command in the machine; throws if it fails. */
inline void lab_run(const std::string& command)
{
    if (!in_lab())
        throw std::runtime_error("not inside the lab: " + command);
    if (std::system(command.c_str()) != 0)
        throw std::runtime_error("failed: " + command);
}
