// SPDX-License-Identifier: LGPL-2.1-or-later
// RecordingRunner: runs commands for real and writes down what was said, as a transcript
// (tests/README.md has its form).
#pragma once

#include "command.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

class RecordingRunner final : public storage::CommandRunner {
public:
    /** @param path  "": writes nothing down. @param comment  which version of the tool it is */
    RecordingRunner(storage::CommandRunner& real, const std::string& path,
                    const std::string& comment)
        : real_(real)
    {
        if (path.empty())
            return;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        file_.open(path, std::ios::binary | std::ios::trunc);
        if (!file_)
            throw std::runtime_error("cannot write " + path);
        file_ << "# " << comment << '\n';
    }

    void comment(const std::string& text) { file_ << "# " << text << '\n'; }

    storage::CommandResult run(const storage::Command& command, storage::Job* job) override
    {
        file_ << "$ " << quoted(command) << '\n';
        lines('<', command.input);
        auto all = command;
        for (int status = 0; status != 256; ++status)
            all.accepted.push_back(status);
        auto result = real_.run(all, job);
        lines('>', result.output);
        lines('!', result.errors);
        file_ << "? " << result.exit_status << '\n' << std::flush;
        if (std::find(command.accepted.begin(), command.accepted.end(), result.exit_status) ==
            command.accepted.end())
            throw exit_error(command, result);
        return result;
    }

private:
    void lines(char mark, const std::string& text)
    {
        std::istringstream stream(text);
        for (std::string line; std::getline(stream, line);)
            file_ << mark << (line.empty() ? "" : " ") << line << '\n';
    }

    storage::CommandRunner& real_;
    std::ofstream file_{};
};
