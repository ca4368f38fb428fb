// SPDX-License-Identifier: LGPL-2.1-or-later
// Work on what volumes contain, the same for every contestant: what is timed and what is not.
#include "content.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

namespace bench {

void check_call(bool good, const std::string& what)
{
    if (!good)
        throw std::runtime_error(what + ": " + std::strerror(errno));
}

File::File(const std::string& path, int flags, mode_t mode)
    : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode))
{
    check_call(fd_ >= 0, path);
}

File::~File()
{
    ::close(fd_);
}

void make_volume_file(const std::string& path, std::uint64_t size, std::uint64_t data)
{
    const File file(path, O_RDWR | O_CREAT, 0666);
    check_call(::fchmod(file.fd(), 0666) == 0, path);
    check_call(::ftruncate(file.fd(), static_cast<off_t>(size)) == 0, path);
    std::vector<char> buffer(std::size_t{1} << 20);
    std::uint64_t state = 1;
    for (auto& byte : buffer) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<char>(state >> 56);
    }
    constexpr std::uint64_t runs = 4;
    const auto each = data / runs;
    for (std::uint64_t run = 0; run < runs; ++run)
        for (std::uint64_t done = 0; done < each;) {
            const auto some = std::min<std::uint64_t>(buffer.size(), each - done);
            const auto n = ::pwrite(file.fd(), buffer.data(), some,
                                    static_cast<off_t>(size / runs * run + done));
            check_call(n > 0, path);
            done += static_cast<std::uint64_t>(n);
        }
}

namespace {

/** What was done before has reached the disk, so that nobody pays for another's work. */
void settle(const std::string& dir)
{
    const File directory(dir, O_RDONLY | O_DIRECTORY);
    check_call(::syncfs(directory.fd()) == 0, dir);
}

std::uint64_t length_of(const std::string& path)
{
    struct stat info {};
    check_call(::stat(path.c_str(), &info) == 0, path);
    return static_cast<std::uint64_t>(info.st_size);
}

void expect_length(const std::string& path, std::uint64_t length)
{
    if (length_of(path) != length)
        throw std::runtime_error("'" + path + "' has " + std::to_string(length_of(path)) +
                                 " bytes instead of " + std::to_string(length));
}

class Work {
public:
    Work(const Arguments& arguments, MakeContestant make)
        : arguments_(arguments), make_(make), dir_(arguments.text("dir")),
          prefix_(arguments.text("prefix", "v")), samples_(arguments.number("samples", 1))
    {
    }

    void create()
    {
        const auto contestant = make_(arguments_);
        const auto format = arguments_.text("format");
        const auto capacity = arguments_.number("capacity", std::uint64_t{1} << 30);
        std::vector<double> created;
        std::vector<double> removed;
        settle(dir_);
        for (std::uint64_t i = 0; i < samples_; ++i)
            created.push_back(seconds([&] { contestant->create(name(i), format, capacity); }));
        settle(dir_);
        for (std::uint64_t i = 0; i < samples_; ++i)
            removed.push_back(seconds([&] { contestant->remove(name(i)); }));
        report("create", median(created));
        report("delete", median(removed));
    }

    void clone()
    {
        const auto contestant = make_(arguments_);
        const auto source = arguments_.text("source");
        std::vector<double> times;
        for (std::uint64_t i = 0; i < samples_; ++i) {
            settle(dir_);
            times.push_back(seconds([&] { contestant->clone(source, name(0)); }));
            expect_length(path(0), length_of(dir_ + '/' + source));
            contestant->remove(name(0));
        }
        report("clone", median(times));
    }

    void upload()
    {
        const auto contestant = make_(arguments_);
        const auto source = arguments_.text("source");
        const auto one = [&](const std::string& what,
                             const std::function<bool(const std::string&, int)>& body) {
            contestant->create(name(0), "raw", length_of(source));
            settle(dir_);
            const File file(source, O_RDONLY);
            bool done = false;
            const auto time = seconds([&] { done = body(name(0), file.fd()); });
            expect_length(path(0), length_of(source));
            contestant->remove(name(0));
            if (done)
                report(what, time);
        };
        one("fd", [&](const auto& volume, int fd) { return contestant->upload(volume, fd); });
        one("callback",
            [&](const auto& volume, int fd) { return contestant->upload_by_callback(volume, fd); });
    }

    void download()
    {
        const auto contestant = make_(arguments_);
        const auto source = arguments_.text("source");
        const auto out = arguments_.text("out");
        const auto one = [&](const std::string& what,
                             const std::function<bool(const std::string&, int)>& body) {
            ::unlink(out.c_str());
            settle(dir_);
            const File file(out, O_RDWR | O_CREAT | O_EXCL, 0600);
            bool done = false;
            const auto time = seconds([&] { done = body(source, file.fd()); });
            if (done) {
                expect_length(out, length_of(dir_ + '/' + source));
                report(what, time);
            }
            ::unlink(out.c_str());
        };
        one("fd", [&](const auto& volume, int fd) { return contestant->download(volume, fd); });
        one("callback", [&](const auto& volume, int fd) {
            return contestant->download_by_callback(volume, fd);
        });
    }

    void wipe()
    {
        const auto size = arguments_.number("size", std::uint64_t{1} << 20);
        make_volume_file(path(0), size, size);
        settle(dir_);
        const auto contestant = make_(arguments_);
        report("wipe", seconds([&] { contestant->wipe(name(0)); }));
        char first = 1;
        const File file(path(0), O_RDONLY);
        check_call(::pread(file.fd(), &first, 1, 0) == 1 && first == 0, path(0));
        ::unlink(path(0).c_str());
    }

private:
    std::string name(std::uint64_t number) const { return prefix_ + std::to_string(number); }
    std::string path(std::uint64_t number) const { return dir_ + '/' + name(number); }

    const Arguments& arguments_;
    MakeContestant make_;
    std::string dir_;
    std::string prefix_;
    std::uint64_t samples_;
};

} // namespace

int run_content(const Arguments& arguments, MakeContestant make)
{
    const std::string word = arguments.words().empty() ? "" : arguments.words()[0];
    Work work(arguments, make);
    if (word == "create")
        work.create();
    else if (word == "clone")
        work.clone();
    else if (word == "upload")
        work.upload();
    else if (word == "download")
        work.download();
    else if (word == "wipe")
        work.wipe();
    else
        throw std::runtime_error("which work: create, clone, upload, download or wipe?");
    return 0;
}

} // namespace bench
