// SPDX-License-Identifier: LGPL-2.1-or-later
// ScriptedRunner: answers commands from a transcript, in order (tests/README.md has its form).
#pragma once

#include "command.hpp"
#include "job_impl.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <fstream>
#include <sstream>
#include <stdexcept>

class ScriptedRunner final : public storage::CommandRunner {
public:
    explicit ScriptedRunner(const std::string& transcript)
    {
        std::istringstream lines(transcript);
        for (std::string line; std::getline(lines, line);)
            take(line);
    }
    static ScriptedRunner load(const std::string& path)
    {
        std::ifstream file(path, std::ios::binary);
        if (!file)
            throw std::runtime_error("no transcript " + path);
        return ScriptedRunner(std::string{std::istreambuf_iterator<char>(file), {}});
    }
    ScriptedRunner(ScriptedRunner&&) = default;
    /** What was not asked for fails the test case. */
    ~ScriptedRunner() override
    {
        for (const auto& exchange : exchanges_)
            FAIL_CHECK("never run: " << exchange.command);
    }

    bool finished() const { return exchanges_.empty(); }

    storage::CommandResult run(const storage::Command& command, storage::Job* job) override
    {
        check(job, command.program);
        const auto asked = quoted(command);
        if (exchanges_.empty())
            refuse("the transcript has ended before: " + asked);
        auto exchange = std::move(exchanges_.front());
        exchanges_.pop_front();
        if (asked != exchange.command) {
            exchanges_.clear();
            refuse("run:      " + asked + "\nexpected: " + exchange.command);
        }
        check_descriptors(command);
        if (command.input != exchange.input)
            FAIL_CHECK(asked << ": was given '" << command.input << "' on standard input");
        storage::CommandResult result{exchange.status, exchange.output, exchange.errors};
        if (exchange.missing)
            throw storage::missing_program(command.program);
        if (command.on_output && !result.output.empty())
            command.on_output(result.output);
        if (exchange.signal)
            throw signal_error(command, exchange.signal, result);
        for (const int status : command.accepted)
            if (status == result.exit_status)
                return result;
        throw exit_error(command, result);
    }

private:
    struct Exchange {
        std::string command{};
        std::string input{};
        std::string output{};
        std::string errors{};
        int status{};
        int signal{};
        bool missing{};
    };

    void take(const std::string& line)
    {
        if (line.empty() || line[0] == '#')
            return;
        const auto rest = line.size() > 2 ? line.substr(2) : std::string();
        if (line[0] == '$') {
            exchanges_.push_back({});
            exchanges_.back().command = rest;
            return;
        }
        if (exchanges_.empty() || (line.size() > 1 && line[1] != ' '))
            throw std::runtime_error("transcript: " + line);
        auto& last = exchanges_.back();
        switch (line[0]) {
        case '<': last.input += rest + '\n'; break;
        case '>': last.output += rest + '\n'; break;
        case '!': last.errors += rest + '\n'; break;
        case '?':
            if (rest == "missing")
                last.missing = true;
            else if (rest.rfind("signal ", 0) == 0)
                last.signal = std::stoi(rest.substr(7));
            else
                last.status = std::stoi(rest);
            break;
        default: throw std::runtime_error("transcript: " + line);
        }
    }

    /** A descriptor that the arguments name must have been passed. */
    static void check_descriptors(const storage::Command& command)
    {
        const std::string mark = "/proc/self/fd/";
        for (const auto& argument : command.arguments)
            for (auto at = argument.find(mark); at != argument.npos;
                 at = argument.find(mark, at + 1)) {
                const auto number = std::stoul(argument.substr(at + mark.size()));
                const bool secret = number >= storage::first_secret_fd &&
                                    number - storage::first_secret_fd < command.secrets.size();
                const bool file = number >= storage::first_inherited_fd &&
                                  number - storage::first_inherited_fd < command.inherited.size();
                if (!secret && !file)
                    FAIL_CHECK("descriptor " << number << " was not passed to " << quoted(command));
            }
    }

    [[noreturn]] static void refuse(const std::string& why)
    {
        FAIL_CHECK(why);
        throw storage::Error(storage::ErrorCode::internal, why);
    }

    std::deque<Exchange> exchanges_{};
};
