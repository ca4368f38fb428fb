// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-starts: what the start of a program costs a process that has much memory. It uses the
// inside of basin, whose ProcessRunner has no public face.
#include "measure.hpp"

#include "process_runner.hpp"

#include <stdexcept>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace bench;

constexpr const char* program = "/bin/true";

void by_fork()
{
    const auto pid = ::fork();
    if (pid == 0) {
        ::execl(program, program, nullptr);
        ::_exit(127);
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, 0) != pid || status != 0)
        throw std::runtime_error("fork failed");
}

/** Memory as a program has it that allocates in small pieces. */
void fill(std::uint64_t bytes)
{
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("no memory");
    ::madvise(memory, bytes, MADV_NOHUGEPAGE);
    for (std::uint64_t at = 0; at < bytes; at += 4096)
        static_cast<volatile char*>(memory)[at] = 1;
}

int run(const Arguments& arguments)
{
    storage::ProcessRunner runner;
    const auto measure = [&](const std::string& size) {
        // One after the other: a fork leaves pages to be copied and caches full of page tables.
        std::vector<double> runs;
        std::vector<double> forks;
        const auto samples = arguments.number("samples", 9);
        for (std::uint64_t i = 0; i < 11 * samples; ++i)
            runs.push_back(seconds([&] { runner.run({.program = program}, nullptr); }));
        for (std::uint64_t i = 0; i < samples; ++i)
            forks.push_back(seconds(by_fork));
        report("fork_" + size, median(forks));
        report("runner_" + size, median(runs));
    };
    fill(arguments.number("small", std::uint64_t{10} << 20));
    measure("small");
    fill(arguments.number("large", std::uint64_t{10} << 30));
    measure("large");
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
