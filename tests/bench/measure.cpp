// SPDX-License-Identifier: LGPL-2.1-or-later
// What the benchmark programs share: arguments, clocks, caches and how a figure is reported.
#include "measure.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace bench {

Arguments::Arguments(int argc, char** argv)
{
    bool only_words = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto equals = word.find('=');
        if (!only_words && word == "--")
            only_words = true;
        else if (only_words || equals == std::string::npos)
            words_.push_back(word);
        else
            values_[word.substr(0, equals)] = word.substr(equals + 1);
    }
}

std::string Arguments::text(const std::string& key) const
{
    const auto found = values_.find(key);
    if (found == values_.end())
        throw std::runtime_error("argument " + key + "=… is missing");
    return found->second;
}

std::string Arguments::text(const std::string& key, const std::string& fallback) const
{
    const auto found = values_.find(key);
    return found == values_.end() ? fallback : found->second;
}

std::uint64_t Arguments::number(const std::string& key, std::uint64_t fallback) const
{
    const auto found = values_.find(key);
    return found == values_.end() ? fallback : std::stoull(found->second);
}

double now()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void report(const std::string& name, double value)
{
    std::printf("%s %.9g\n", name.c_str(), value);
    std::fflush(stdout);
}

double median(std::vector<double> samples)
{
    if (samples.empty())
        throw std::runtime_error("no samples");
    const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
    std::nth_element(samples.begin(), middle, samples.end());
    return *middle;
}

void limit_processors(unsigned count)
{
    cpu_set_t allowed;
    if (count == 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    cpu_set_t chosen;
    CPU_ZERO(&chosen);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && count > 0; --cpu) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &chosen);
            --count;
        }
    }
    sched_setaffinity(0, sizeof chosen, &chosen);
}

void drop_caches()
{
    sync();
    std::ofstream file("/proc/sys/vm/drop_caches");
    file << 3 << std::flush;
    if (!file)
        throw std::runtime_error("/proc/sys/vm/drop_caches cannot be written: needs root");
}

namespace {

// mincore(2) counts pages of any kernel; it walks them all, which hurts for large sparse files.
std::uint64_t count_with_mincore(int fd, std::uint64_t size)
{
    if (size == 0)
        return 0;
    void* const map = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return 0;
    const std::uint64_t page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> resident((size + page - 1) / page);
    std::uint64_t count = 0;
    if (mincore(map, size, resident.data()) == 0)
        for (const auto byte : resident)
            count += byte & 1u;
    munmap(map, size);
    return count * page;
}

std::uint64_t cached_bytes_of(int fd, std::uint64_t size)
{
    // cachestat(2) is in Linux 6.5 and later; its number is the same on all architectures.
    struct {
        std::uint64_t offset, length;
    } range{0, 0};
    struct {
        std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } answer{};
    constexpr long cachestat_number = 451;
    if (syscall(cachestat_number, fd, &range, &answer, 0) == 0)
        return answer.cached * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return count_with_mincore(fd, size);
}

} // namespace

std::uint64_t cached_bytes(const std::string& dir)
{
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(dir.c_str()), closedir);
    if (!stream)
        throw std::runtime_error("directory '" + dir + "' cannot be opened");
    std::uint64_t total = 0;
    while (const dirent* entry = readdir(stream.get())) {
        const int fd = openat(dirfd(stream.get()), entry->d_name,
                              O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st {};
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
            total += cached_bytes_of(fd, static_cast<std::uint64_t>(st.st_size));
        if (fd >= 0)
            close(fd);
    }
    return total;
}

std::uint64_t resident_bytes(long pid)
{
    const std::string name = pid == 0 ? "self" : std::to_string(pid);
    std::ifstream file("/proc/" + name + "/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    if (!(file >> size >> resident))
        throw std::runtime_error("/proc/" + name + "/statm cannot be read");
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

int guarded_main(int argc, char** argv, int (*body)(const Arguments&))
{
    try {
        return body(Arguments(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}

} // namespace bench
