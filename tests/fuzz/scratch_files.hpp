// SPDX-License-Identifier: LGPL-2.1-or-later
// A directory in memory for targets whose input is a file.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

class ScratchFiles {
public:
    ScratchFiles() { path_ = ::mkdtemp(path_.data()); }
    ~ScratchFiles()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchFiles(const ScratchFiles&) = delete;
    ScratchFiles& operator=(const ScratchFiles&) = delete;

    const std::string& path() const { return path_; }
    void write(const std::string& name, std::string_view content) const
    {
        const std::filesystem::path file(path_ + '/' + name);
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
    }

private:
    std::string path_{"/dev/shm/basin-fuzz-XXXXXX"};
};
