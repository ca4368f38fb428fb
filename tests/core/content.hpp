// SPDX-License-Identifier: LGPL-2.1-or-later
// For tests of what volumes contain.
#pragma once

#include "file_io.hpp"
#include "scratch.hpp"

#include <algorithm>
#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace content {

constexpr std::uint64_t mib = 1 << 20;

inline storage::VolumeDef volume_def(const std::string& name, const std::string& format,
                                     std::uint64_t capacity = 4 * mib)
{
    auto def = raw_volume(name, capacity);
    def.target.format = format;
    return def;
}

inline bool have(const char* tool)
{
    return std::system((std::string("command -v ") + tool + " >/dev/null 2>&1").c_str()) == 0;
}

/** Bytes that do not repeat soon. */
inline std::string pattern(std::size_t size, unsigned seed = 1)
{
    std::string text(size, '\0');
    std::uint64_t state = seed;
    for (auto& c : text) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        c = static_cast<char>(state >> 56);
    }
    return text;
}

inline std::string first_fact(const storage::Job& job, const std::string& name)
{
    const auto facts = job.facts();
    const auto found = facts.find(name);
    return found == facts.end() ? std::string() : found->second;
}

/** A pipe that gives some bytes and ends. */
class Giver {
public:
    /** @param flags  O_DIRECT: each write is a packet */
    explicit Giver(std::string bytes, int flags = 0, std::size_t most = SIZE_MAX)
    {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | flags) == 0);
        read_end_ = ends[0];
        writer_ = std::thread([text = std::move(bytes), fd = ends[1], most] {
            sigset_t broken_pipe; // the reader may have had enough
            ::sigemptyset(&broken_pipe);
            ::sigaddset(&broken_pipe, SIGPIPE);
            ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
            for (std::size_t done = 0; done < text.size();) {
                const auto n = ::write(fd, text.data() + done, std::min(most, text.size() - done));
                if (n <= 0)
                    break;
                done += static_cast<std::size_t>(n);
            }
            ::close(fd);
        });
    }
    ~Giver()
    {
        ::close(read_end_);
        writer_.join();
    }
    int fd() const { return read_end_; }

private:
    int read_end_{};
    std::thread writer_{};
};

inline int open_for_reading(const std::string& path)
{
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

} // namespace content
