// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-content-basin: the work on volumes' content through basin's API, and the memory it takes.
#include "content.hpp"

#include <basin/context.hpp>

#include <fcntl.h>
#include <fstream>
#include <malloc.h>
#include <stdexcept>
#include <unistd.h>

namespace {

using namespace bench;

class Basin final : public Contestant {
public:
    explicit Basin(const Arguments& arguments)
        : context_({.root = arguments.text("root")}),
          pool_(context_.define_pool(
              {.type = "dir", .name = "bench", .target = {.path = arguments.text("dir")}}))
    {
        pool_.start();
        pool_.volume_count();
    }
    ~Basin() override
    {
        pool_.stop();
        pool_.undefine();
    }

    bool create(const std::string& name, const std::string& format, std::uint64_t capacity) override
    {
        pool_.create_volume(definition(name, format, capacity));
        return true;
    }
    void remove(const std::string& name) override { pool_.find_volume(name).delete_storage(); }
    bool clone(const std::string& source, const std::string& name) override
    {
        pool_.create_volume_from(definition(name, "raw", 0), pool_.find_volume(source));
        return true;
    }
    bool convert(const std::string& source, const std::string& name)
    {
        pool_.create_volume_from(definition(name, "qcow2", 0), pool_.find_volume(source));
        return true;
    }
    bool upload(const std::string& name, int from) override
    {
        pool_.find_volume(name).upload(from);
        return true;
    }
    bool upload_by_callback(const std::string& name, int from) override
    {
        pool_.find_volume(name).upload(
            storage::ReadCallback([from](std::span<std::byte> buffer, std::uint64_t&) {
                const auto n = ::read(from, buffer.data(), buffer.size());
                check_call(n >= 0, "read");
                return static_cast<std::size_t>(n);
            }));
        return true;
    }
    bool download(const std::string& name, int to) override
    {
        pool_.find_volume(name).download(to);
        return true;
    }
    bool download_by_callback(const std::string& name, int to) override
    {
        pool_.find_volume(name).download(
            storage::WriteCallback([to](std::span<const std::byte> data, std::uint64_t) {
                const auto n = ::write(to, data.data(), data.size());
                check_call(n == static_cast<ssize_t>(data.size()), "write");
            }));
        return true;
    }
    bool wipe(const std::string& name) override
    {
        pool_.find_volume(name).wipe();
        return true;
    }

private:
    static storage::VolumeDef definition(const std::string& name, const std::string& format,
                                         std::uint64_t capacity)
    {
        return {.name = name, .capacity = capacity, .allocation = 0, .target = {.format = format}};
    }

    storage::Context context_;
    storage::Pool pool_;
};

/** A line such as "VmHWM:     1234 kB" of /proc/self/status, in bytes. */
double status_bytes(const std::string& key)
{
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;)
        if (word == key + ':') {
            double kibibytes = 0;
            file >> kibibytes;
            return kibibytes * 1024;
        }
    throw std::runtime_error("/proc/self/status has no " + key);
}

/** By how much the resident memory grows at most while `body` runs. */
template <typename Body>
double peak_growth(Body&& body)
{
    ::malloc_trim(0); // what earlier work left would hide what this needs
    std::ofstream("/proc/self/clear_refs") << 5 << std::flush; // proc(5): resets VmHWM
    const auto before = status_bytes("VmRSS");
    body();
    return status_bytes("VmHWM") - before;
}

/** Everything that copies, with a volume of size= bytes of which data= are data. */
int memory(const Arguments& arguments)
{
    const auto dir = arguments.text("dir");
    const auto path = dir + "/source";
    make_volume_file(path, arguments.number("size", 64 << 20), arguments.number("data", 16 << 20));
    make_volume_file(dir + "/out", 0, 0);
    Basin basin(arguments);
    const auto one = [&](const std::string& name, auto&& body) { report(name, peak_growth(body)); };
    one("clone", [&] { basin.clone("source", "copy"); });
    {
        const File file(path, O_RDONLY);
        one("upload", [&] { basin.upload("copy", file.fd()); });
        ::lseek(file.fd(), 0, SEEK_SET);
        one("upload_callback", [&] { basin.upload_by_callback("copy", file.fd()); });
    }
    {
        const File file(dir + "/out", O_RDWR);
        one("download", [&] { basin.download("source", file.fd()); });
        check_call(::ftruncate(file.fd(), 0) == 0 && ::lseek(file.fd(), 0, SEEK_SET) == 0, "out");
        one("download_callback", [&] { basin.download_by_callback("source", file.fd()); });
        check_call(::ftruncate(file.fd(), 0) == 0, "out");
    }
    basin.remove("copy");
    one("convert", [&] { basin.convert("source", "copy"); });
    basin.remove("copy");
    one("wipe", [&] { basin.wipe("source"); });
    basin.remove("source");
    ::unlink((dir + "/out").c_str());
    return 0;
}

int run(const Arguments& arguments)
{
    if (!arguments.words().empty() && arguments.words()[0] == "memory")
        return memory(arguments);
    return run_content(arguments, [](const Arguments& given) -> std::unique_ptr<Contestant> {
        return std::make_unique<Basin>(given);
    });
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
