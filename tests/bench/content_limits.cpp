// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-content-limits: the work on volumes' content with system calls alone, as durable as
// basin's; with by=tool it is qemu-img's and cp's.
#include "content.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace bench;

constexpr std::size_t buffer_size = std::size_t{1} << 20;

off_t length_of(int fd)
{
    const auto length = ::lseek(fd, 0, SEEK_END);
    check_call(length >= 0, "lseek");
    return length;
}

void copy_range(int from, off64_t from_at, int to, off64_t to_at, std::uint64_t size)
{
    while (size > 0) {
        const auto n = ::copy_file_range(from, &from_at, to, &to_at, size, 0);
        check_call(n > 0, "copy_file_range");
        size -= static_cast<std::uint64_t>(n);
    }
}

/** From where `from` stands to its end, to the beginning of `to`. */
void copy_through_memory(int from, int to)
{
    std::vector<char> buffer(buffer_size);
    for (off_t at = 0;;) {
        const auto n = ::pread(from, buffer.data(), buffer.size(), at);
        check_call(n >= 0, "pread");
        if (n == 0)
            return;
        check_call(::pwrite(to, buffer.data(), static_cast<std::size_t>(n), at) == n, "pwrite");
        at += n;
    }
}

class Bare final : public Contestant {
public:
    explicit Bare(const Arguments& arguments)
        : dir_(arguments.text("dir")), how_(arguments.text("by", "")),
          directory_(dir_, O_RDONLY | O_DIRECTORY)
    {
    }

    bool create(const std::string& name, const std::string& format, std::uint64_t capacity) override
    {
        const File file(dir_, O_TMPFILE | O_RDWR, 0600);
        if (format == "qcow2")
            write_qcow2(file.fd(), capacity);
        else
            check_call(::ftruncate(file.fd(), static_cast<off_t>(capacity)) == 0, "ftruncate");
        publish(file.fd(), name);
        return true;
    }
    void remove(const std::string& name) override
    {
        check_call(::unlinkat(directory_.fd(), name.c_str(), 0) == 0, name);
    }
    bool clone(const std::string& source, const std::string& name) override
    {
        const File from(dir_ + '/' + source, O_RDONLY);
        const File to(dir_, O_TMPFILE | O_RDWR, 0600);
        if (how_ == "reflink")
            check_call(::ioctl(to.fd(), FICLONE, from.fd()) == 0, "FICLONE");
        else
            copy_data(from.fd(), to.fd());
        publish(to.fd(), name);
        return true;
    }
    bool upload(const std::string& name, int from) override
    {
        const File to(dir_ + '/' + name, O_RDWR);
        if (how_ == "memory")
            copy_through_memory(from, to.fd());
        else
            copy_range(from, 0, to.fd(), 0, static_cast<std::uint64_t>(length_of(from)));
        check_call(::fsync(to.fd()) == 0, "fsync");
        return true;
    }
    bool download(const std::string& name, int to) override
    {
        const File from(dir_ + '/' + name, O_RDONLY);
        if (how_ == "memory")
            copy_through_memory(from.fd(), to);
        else
            copy_range(from.fd(), 0, to, 0, static_cast<std::uint64_t>(length_of(from.fd())));
        return true;
    }
    bool wipe(const std::string& name) override
    {
        const File file(dir_ + '/' + name, O_RDWR);
        const auto length = length_of(file.fd());
        if (how_ == "zero-range") {
            check_call(::fallocate(file.fd(), FALLOC_FL_ZERO_RANGE, 0, length) == 0, "fallocate");
        } else {
            const std::vector<char> zeros(buffer_size);
            for (off_t at = 0; at < length; at += static_cast<off_t>(zeros.size()))
                check_call(::pwrite(file.fd(), zeros.data(),
                                    std::min(zeros.size(), static_cast<std::size_t>(length - at)),
                                    at) > 0,
                           "pwrite");
        }
        check_call(::fsync(file.fd()) == 0, "fsync");
        return true;
    }

private:
    /** What the four pieces of an empty image are: see QEMU's docs/interop/qcow2.txt. */
    static void write_qcow2(int fd, std::uint64_t capacity)
    {
        constexpr std::uint64_t cluster = 65536;
        const auto l2_covers = cluster * (cluster / 8);
        const auto l1_entries = (capacity + l2_covers - 1) / l2_covers;
        std::vector<unsigned char> header(104);
        const auto put = [](unsigned char* at, std::uint64_t value, int bytes) {
            for (int i = 0; i < bytes; ++i)
                at[i] = static_cast<unsigned char>(value >> (8 * (bytes - 1 - i)));
        };
        put(&header[0], 0x514649fb, 4);
        put(&header[4], 3, 4);
        put(&header[20], 16, 4);
        put(&header[24], capacity, 8);
        put(&header[36], l1_entries, 4);
        put(&header[40], 3 * cluster, 8);
        put(&header[48], cluster, 8);
        put(&header[56], 1, 4);
        put(&header[96], 4, 4);
        put(&header[100], 104, 4);
        unsigned char table[8];
        put(table, 2 * cluster, 8);
        unsigned char counts[8];
        for (int i = 0; i < 4; ++i)
            put(counts + 2 * i, 1, 2);
        check_call(::ftruncate(fd, 4 * cluster) == 0, "ftruncate");
        check_call(::pwrite(fd, header.data(), header.size(), 0) > 0, "pwrite");
        check_call(::pwrite(fd, table, sizeof table, cluster) > 0, "pwrite");
        check_call(::pwrite(fd, counts, sizeof counts, 2 * cluster) > 0, "pwrite");
    }

    static void copy_data(int from, int to)
    {
        const auto length = length_of(from);
        check_call(::ftruncate(to, length) == 0, "ftruncate");
        for (off_t at = 0; (at = ::lseek(from, at, SEEK_DATA)) >= 0;) {
            const auto end = ::lseek(from, at, SEEK_HOLE);
            copy_range(from, at, to, at, static_cast<std::uint64_t>(end - at));
            at = end;
        }
        check_call(errno == ENXIO, "lseek");
    }

    /** Gives it its name and makes both durable. */
    void publish(int fd, const std::string& name)
    {
        const auto self = "/proc/self/fd/" + std::to_string(fd);
        check_call(
            ::linkat(AT_FDCWD, self.c_str(), directory_.fd(), name.c_str(), AT_SYMLINK_FOLLOW) == 0,
            name);
        check_call(::fsync(fd) == 0 && ::fsync(directory_.fd()) == 0, "fsync");
    }

    std::string dir_;
    std::string how_;
    File directory_;
};

/** The programs that a person would use; cp with the fsync that it leaves out. */
class Tools final : public Contestant {
public:
    explicit Tools(const Arguments& arguments) : dir_(arguments.text("dir")) {}

    bool create(const std::string& name, const std::string& format, std::uint64_t capacity) override
    {
        start({"qemu-img", "create", "-q", "-f", format, dir_ + '/' + name,
               std::to_string(capacity)});
        return true;
    }
    void remove(const std::string& name) override { ::unlink((dir_ + '/' + name).c_str()); }
    bool clone(const std::string& source, const std::string& name) override
    {
        start({"cp", dir_ + '/' + source, dir_ + '/' + name});
        const File file(dir_ + '/' + name, O_RDWR);
        check_call(::fsync(file.fd()) == 0, "fsync");
        return true;
    }

private:
    static void start(std::vector<std::string> words)
    {
        std::vector<char*> argv;
        for (auto& word : words)
            argv.push_back(word.data());
        argv.push_back(nullptr);
        pid_t pid = 0;
        int status = 0;
        if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0 ||
            ::waitpid(pid, &status, 0) != pid || status != 0)
            throw std::runtime_error("'" + words[0] + "' failed");
    }

    std::string dir_;
};

/** make path= size= data=: the files that everybody reads. */
int run(const Arguments& arguments)
{
    if (!arguments.words().empty() && arguments.words()[0] == "make") {
        make_volume_file(arguments.text("path"), arguments.number("size", 0),
                         arguments.number("data", 0));
        return 0;
    }
    return run_content(arguments, [](const Arguments& given) -> std::unique_ptr<Contestant> {
        if (given.text("by", "") == "tool")
            return std::make_unique<Tools>(given);
        return std::make_unique<Bare>(given);
    });
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
