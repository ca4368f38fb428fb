// SPDX-License-Identifier: LGPL-2.1-or-later
// A directory of a test's own, removed with all that is in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

class TemporaryDirectory {
public:
    TemporaryDirectory()
    {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "basin-test-XXXXXX").string();
        if (!::mkdtemp(pattern.data()))
            throw std::runtime_error("mkdtemp");
        path_ = pattern;
    }
    ~TemporaryDirectory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + '/' + name; }

    void write(const std::string& name, const std::string& content) const
    {
        std::ofstream(path_ + '/' + name, std::ios::binary) << content;
    }
    std::string read(const std::string& name) const
    {
        std::ostringstream content;
        content << std::ifstream(path_ + '/' + name, std::ios::binary).rdbuf();
        return std::move(content).str();
    }
    bool exists(const std::string& name) const
    {
        return std::filesystem::exists(std::filesystem::symlink_status(path_ + '/' + name));
    }
    std::size_t count(const std::string& name = ".") const
    {
        std::size_t n = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator(path_ + '/' + name))
            ++n;
        return n;
    }

private:
    std::string path_;
};
