// SPDX-License-Identifier: LGPL-2.1-or-later
// The data set: directories full of images that every contestant reads.
#include "corpus.hpp"

#include "measure.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <random>
#include <spawn.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace bench {
namespace {

constexpr std::uint64_t page = 4096;

struct Run {
    std::uint64_t offset{};
    std::vector<char> bytes{};
};

/** An image's content without its zero pages. */
struct Template {
    std::uint64_t size{};
    std::vector<Run> runs{};
};

[[noreturn]] void fail(const std::string& what, const std::string& path)
{
    throw std::runtime_error(what + " '" + path + "': " + std::strerror(errno));
}

bool run(const std::vector<std::string>& words)
{
    std::vector<char*> argv;
    for (const auto& word : words)
        argv.push_back(const_cast<char*>(word.c_str())); // posix_spawn(3) does not write to them
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    return error == 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

Template read_template(const std::string& path)
{
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st {};
    if (fd < 0 || fstat(fd, &st) != 0)
        fail("cannot read", path);
    Template result{.size = static_cast<std::uint64_t>(st.st_size)};
    std::vector<char> buffer(page);
    for (std::uint64_t offset = 0; offset < result.size; offset += page) {
        const auto length = pread(fd, buffer.data(), page, static_cast<off_t>(offset));
        if (length < 0)
            fail("cannot read", path);
        const auto end = buffer.begin() + length;
        if (std::any_of(buffer.begin(), end, [](char c) { return c != 0; }))
            result.runs.push_back({offset, {buffer.begin(), end}});
    }
    close(fd);
    return result;
}

std::optional<Template> make_with_qemu(const std::string& scratch, const std::string& format)
{
    const std::string path = scratch + "/template." + format;
    std::vector<std::string> words{"qemu-img", "create", "-q", "-f", format};
    if (format == "luks")
        words.insert(words.end(),
                     {"--object", "secret,id=s,data=bench", "-o", "key-secret=s,iter-time=100"});
    words.insert(words.end(), {path, "1G"});
    std::optional<Template> result;
    // Timing its key derivation fails now and then on a busy machine (7.2: "Unable to get accurate
    // CPU usage").
    bool made = false;
    for (int attempt = 0; attempt < 10 && !made; ++attempt)
        made = run(words);
    if (made)
        result = read_template(path);
    else
        std::fprintf(stderr, "corpus: qemu-img cannot make '%s'; left out\n", format.c_str());
    unlink(path.c_str());
    return result;
}

Template raw_with_data()
{
    std::minstd_rand random(1);
    std::vector<char> bytes(16 * page);
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    return {.size = 1 << 20, .runs = {{0, bytes}}};
}

// ECMA-119: volume descriptors of 2,048 bytes from sector 16 on; a primary one and the terminator.
Template iso9660()
{
    std::vector<char> bytes(page);
    const std::array<char, 7> primary{1, 'C', 'D', '0', '0', '1', 1};
    std::copy(primary.begin(), primary.end(), bytes.begin());
    bytes[80] = bytes[87] = 32;  // volume space size in blocks, both byte orders
    bytes[129] = bytes[130] = 8; // block size 2,048, both byte orders
    std::copy(primary.begin(), primary.end(), bytes.begin() + 2048);
    bytes[2048] = static_cast<char>(255);
    return {.size = 32 * 2048, .runs = {{32768, bytes}}};
}

void write_file(int dir, const std::string& name, const Template& content)
{
    const int fd = openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        fail("cannot create", name);
    for (const auto& part : content.runs)
        if (pwrite(fd, part.bytes.data(), part.bytes.size(), static_cast<off_t>(part.offset)) !=
            static_cast<ssize_t>(part.bytes.size()))
            fail("cannot write", name);
    if (content.size > 0 && ftruncate(fd, static_cast<off_t>(content.size)) != 0)
        fail("cannot extend", name);
    close(fd);
}

int make_dir(const std::string& dir)
{
    if (mkdir(dir.c_str(), 0755) != 0)
        fail("cannot make directory", dir);
    const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail("cannot open", dir);
    return fd;
}

} // namespace

std::string image_name(std::uint64_t index)
{
    return "vm-" + std::to_string(index) + ".img";
}

void make_mixed_corpus(const std::string& dir, std::uint64_t count)
{
    const int fd = make_dir(dir);
    const Template sparse{.size = std::uint64_t{1} << 30};
    const auto qcow2 = make_with_qemu(dir, "qcow2").value_or(sparse);
    std::vector<Template> others{raw_with_data(), iso9660()};
    for (const char* format : {"vmdk", "vdi", "vpc", "qed", "luks"})
        if (auto made = make_with_qemu(dir, format))
            others.push_back(std::move(*made));
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto kind = i % 10;
        const auto& content = kind < 7 ? sparse : kind < 9 ? qcow2 : others[i / 10 % others.size()];
        write_file(fd, image_name(i), content);
    }
    // Otherwise the first contestant pays for the writing back.
    syncfs(fd);
    close(fd);
}

void make_empty_corpus(const std::string& dir, std::uint64_t count)
{
    const int fd = make_dir(dir);
    for (std::uint64_t i = 0; i < count; ++i)
        write_file(fd, image_name(i), {});
    syncfs(fd);
    close(fd);
}

} // namespace bench
