// SPDX-License-Identifier: LGPL-2.1-or-later
// Canary: a secret whose every appearance outside of this process' memory is noticed.
#pragma once

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

/**
 * While it is watched, a thread reads the arguments and the environment of all processes, again and
 * again. What must not have it afterwards is shown to it: directories, logs, error texts.
 */
class Canary {
public:
    /** Not in the program's own text, and not at once in memory that it shares with its arguments.
     */
    Canary() : passphrase_("canary-" + std::to_string(std::random_device()()) + "-of-tests") {}
    ~Canary() { stop(); }
    Canary(const Canary&) = delete;
    Canary& operator=(const Canary&) = delete;

    const std::string& passphrase() const { return passphrase_; }

    template <typename Body>
    void watch(Body&& body)
    {
        over_ = false;
        thread_ = std::thread([this] {
            do
                look_at_processes();
            while (!over_);
        });
        try {
            body();
        } catch (...) {
            stop();
            throw;
        }
        stop();
    }

    void look_into(const std::filesystem::path& directory)
    {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
            look_at_text(entry.path().string(), "name of " + entry.path().string());
            if (entry.is_regular_file())
                look_at_file(entry.path());
        }
    }

    void look_at_text(const std::string& text, const std::string& where)
    {
        if (text.find(passphrase_) != text.npos)
            add(where);
    }

    /** How often all processes were looked at: a watch that saw nothing proves nothing. */
    std::size_t rounds() const { return rounds_; }

    /** Where it was seen; sorted, each once. */
    std::vector<std::string> sightings() const
    {
        const std::lock_guard lock(mutex_);
        return {sightings_.begin(), sightings_.end()};
    }

private:
    void stop()
    {
        over_ = true;
        if (thread_.joinable())
            thread_.join();
    }

    void add(const std::string& where)
    {
        const std::lock_guard lock(mutex_);
        sightings_.insert(where);
    }

    void look_at_processes()
    {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
            const auto name = entry.path().filename().string();
            if (name.find_first_not_of("0123456789") != name.npos)
                continue;
            for (const auto* file : {"cmdline", "environ"}) {
                std::ifstream stream(entry.path() / file, std::ios::binary);
                std::ostringstream text;
                text << stream.rdbuf(); // which forgives a process that ends meanwhile
                look_at_text(text.str(), std::string(file) + " of a process");
            }
        }
        ++rounds_;
    }

    void look_at_file(const std::filesystem::path& path)
    {
        std::ifstream stream(path, std::ios::binary);
        std::string window;
        std::string block(1 << 20, '\0');
        while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) ||
               stream.gcount() > 0) {
            window.append(block, 0, static_cast<std::size_t>(stream.gcount()));
            look_at_text(window, path.string());
            window.erase(0, window.size() - std::min(window.size(), passphrase_.size()));
        }
    }

    std::string passphrase_;
    std::atomic<bool> over_{true};
    std::atomic<std::size_t> rounds_{0};
    mutable std::mutex mutex_{};
    std::set<std::string> sightings_{};
    std::thread thread_{};
};
