// SPDX-License-Identifier: LGPL-2.1-or-later
// The least that each piece of work can cost: only the system calls or copies that it needs.
#include "limits.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <stdexcept>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace bench {
namespace {

void check(bool good, const std::string& what)
{
    if (!good)
        throw std::runtime_error(what + ": " + std::strerror(errno));
}

class Descriptor {
public:
    Descriptor(int dir, const char* path, int flags, mode_t mode = 0)
        : fd_(openat(dir, path, flags | O_CLOEXEC, mode))
    {
        check(fd_ >= 0, path);
    }
    ~Descriptor() { close(fd_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

/** The names of a directory, one after the other, each with its NUL. */
struct Names {
    std::vector<char> bytes{};
    std::vector<std::size_t> starts{};
    const char* operator[](std::size_t i) const { return bytes.data() + starts[i]; }
};

Names read_names(int dir)
{
    Names names;
    std::vector<char> buffer(256 << 10);
    for (;;) {
        const auto length = getdents64(dir, buffer.data(), buffer.size());
        check(length >= 0, "getdents64");
        if (length == 0)
            return names;
        for (ssize_t at = 0; at < length;) {
            const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
            at += entry->d_reclen;
            const std::string_view name = entry->d_name;
            if (name == "." || name == "..")
                continue;
            names.starts.push_back(names.bytes.size());
            names.bytes.insert(names.bytes.end(), name.data(), name.data() + name.size() + 1);
        }
    }
}

std::uint64_t scan_one(int dir, const char* name, const ScanOptions& options)
{
    struct statx st;
    if (statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) != 0 || !S_ISREG(st.stx_mode))
        return 0;
    if (!options.read_header || (options.skip_holes && st.stx_blocks == 0))
        return 1;
    const Descriptor file(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (options.random_access)
        posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM);
    std::array<char, 4096> header;
    check(pread(file.get(), header.data(), header.size(), 0) >= 0, name);
    return 1;
}

void write_record(const std::string& dir, const std::string& name, bool durable)
{
    const Descriptor directory(AT_FDCWD, dir.c_str(), O_RDONLY | O_DIRECTORY);
    const std::string temporary = "." + name + ".new";
    const std::string final_name = name + ".xml";
    {
        const std::array<char, 600> content{};
        const Descriptor file(directory.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL,
                              0600);
        check(write(file.get(), content.data(), content.size()) ==
                  static_cast<ssize_t>(content.size()),
              temporary);
        if (durable)
            check(fsync(file.get()) == 0, temporary);
    }
    check(renameat(directory.get(), temporary.c_str(), directory.get(), final_name.c_str()) == 0,
          final_name);
    if (durable)
        check(fsync(directory.get()) == 0, dir);
}

void remove_record(const std::string& dir, const std::string& name, bool durable)
{
    const Descriptor directory(AT_FDCWD, dir.c_str(), O_RDONLY | O_DIRECTORY);
    check(unlinkat(directory.get(), (name + ".xml").c_str(), 0) == 0, name);
    if (durable)
        check(fsync(directory.get()) == 0, dir);
}

} // namespace

std::uint64_t scan(const std::string& dir, const ScanOptions& options)
{
    const Descriptor directory(AT_FDCWD, dir.c_str(), O_RDONLY | O_DIRECTORY);
    const auto names = read_names(directory.get());
    std::atomic<std::size_t> next{0};
    std::atomic<std::uint64_t> found{0};
    const auto work = [&] {
        constexpr std::size_t batch = 128;
        for (std::size_t begin; (begin = next.fetch_add(batch)) < names.starts.size();) {
            const auto end = std::min(begin + batch, names.starts.size());
            std::uint64_t count = 0;
            for (auto i = begin; i < end; ++i)
                count += scan_one(directory.get(), names[i], options);
            found += count;
        }
    };
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < options.threads; ++i)
        others.emplace_back(work);
    work();
    others.clear();
    return found;
}

std::vector<ListedVolume> list_directory(const std::string& dir)
{
    const Descriptor directory(AT_FDCWD, dir.c_str(), O_RDONLY | O_DIRECTORY);
    const auto names = read_names(directory.get());
    std::vector<ListedVolume> list(names.starts.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
        list[i].name = names[i];
        list[i].path = dir + '/' + names[i];
        list[i].key = list[i].path;
    }
    return list;
}

std::uint64_t volume_info(const std::string& path)
{
    struct statx st;
    check(statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &st) == 0, path);
    return st.stx_blocks * 512;
}

std::string volume_xml(const ListedVolume& volume)
{
    struct statx st;
    check(statx(AT_FDCWD, volume.path.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &st) == 0,
          volume.path);
    char text[1024];
    const auto timestamp = [](const statx_timestamp& time) {
        char number[40];
        std::snprintf(number, sizeof number, "%lld.%09u", static_cast<long long>(time.tv_sec),
                      time.tv_nsec);
        return std::string(number);
    };
    const int length = std::snprintf(
        text, sizeof text,
        "<volume type='file'>\n  <name>%s</name>\n  <key>%s</key>\n"
        "  <capacity unit='bytes'>%llu</capacity>\n  <allocation unit='bytes'>%llu</allocation>\n"
        "  <physical unit='bytes'>%llu</physical>\n  <target>\n    <path>%s</path>\n"
        "    <format type='raw'/>\n    <permissions>\n      <mode>0%o</mode>\n"
        "      <owner>%u</owner>\n      <group>%u</group>\n    </permissions>\n    <timestamps>\n"
        "      <atime>%s</atime>\n      <mtime>%s</mtime>\n      <ctime>%s</ctime>\n"
        "      <btime>%s</btime>\n    </timestamps>\n  </target>\n</volume>\n",
        volume.name.c_str(), volume.key.c_str(), static_cast<unsigned long long>(st.stx_size),
        static_cast<unsigned long long>(st.stx_blocks) * 512,
        static_cast<unsigned long long>(st.stx_size), volume.path.c_str(), st.stx_mode & 0777u,
        st.stx_uid, st.stx_gid, timestamp(st.stx_atime).c_str(), timestamp(st.stx_mtime).c_str(),
        timestamp(st.stx_ctime).c_str(), timestamp(st.stx_btime).c_str());
    return {text, static_cast<std::size_t>(length)};
}

void define_pool(const std::string& config_dir, const std::string& name)
{
    write_record(config_dir, name, true);
}

void start_pool(const std::string& run_dir, const std::string& name)
{
    write_record(run_dir, name, false);
}

void stop_pool(const std::string& run_dir, const std::string& name)
{
    remove_record(run_dir, name, false);
}

void undefine_pool(const std::string& config_dir, const std::string& name)
{
    remove_record(config_dir, name, true);
}

} // namespace bench
