// SPDX-License-Identifier: LGPL-2.1-or-later
// What the benchmark programs share: arguments, clocks, caches and how a figure is reported.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bench {

/** The arguments after the program's name: words, and key=value pairs; after "--" only words. */
class Arguments {
public:
    Arguments(int argc, char** argv);
    /** @throws std::runtime_error when it is not given and there is no fallback */
    std::string text(const std::string& key) const;
    std::string text(const std::string& key, const std::string& fallback) const;
    std::uint64_t number(const std::string& key, std::uint64_t fallback) const;
    const std::vector<std::string>& words() const { return words_; }

private:
    std::map<std::string, std::string> values_{};
    std::vector<std::string> words_{};
};

/** Seconds on the monotonic clock. */
double now();

/** Prints one figure as "name value"; the driver reads these lines. */
void report(const std::string& name, double value);

double median(std::vector<double> samples);

/** Seconds that one call of `body` takes. */
template <typename Body>
double seconds(Body&& body)
{
    const double start = now();
    body();
    return now() - start;
}

/** Keeps this process on the first `count` processors that it may use; 0 leaves it alone. */
void limit_processors(unsigned count);

/** Empties the page, dentry and inode caches. @throws std::runtime_error unless root */
void drop_caches();

/** Bytes of the regular files in `dir` that the page cache holds now. */
std::uint64_t cached_bytes(const std::string& dir);

/** Resident bytes of a process; 0 is this one. */
std::uint64_t resident_bytes(long pid = 0);

/** Runs `body` and turns an exception into a message and exit status 1. */
int guarded_main(int argc, char** argv, int (*body)(const Arguments&));

} // namespace bench
