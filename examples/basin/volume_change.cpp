// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that change and delete volumes, and carry their content in and out.
#include "shared.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace command {

namespace {

using storage::ResizeFlags;
using storage::WipeAlgorithm;

constexpr std::string_view group = "Changing volumes";

/** Runs a change on the volume that the command line names, and says what became of it. */
template <typename Body>
void change_volume(Call& call, const std::string& outcome, Body&& body)
{
    auto volume = call.volume();
    const auto details = identity(volume);
    if (call.change([&](Job* job) { body(volume, job); }))
        call.done("Vol " + volume.name() + ' ' + outcome, details);
}

void vol_delete(Call& call)
{
    change_volume(call, "deleted",
                  [](Volume& volume, Job* job) { volume.delete_storage({}, job); });
}

void vol_resize(Call& call)
{
    auto volume = call.volume();
    auto flags = ResizeFlags::none;
    if (call.given("allocate"))
        flags = flags | ResizeFlags::allocate;
    if (call.given("delta"))
        flags = flags | ResizeFlags::delta;
    if (call.given("shrink"))
        flags = flags | ResizeFlags::shrink;
    const auto capacity = call.size("capacity");
    if (call.change([&](Job* job) { volume.resize(capacity, flags, {}, job); }))
        call.done("Size of volume '" + volume.name() + "' successfully changed " +
                      (call.given("delta") ? "by " : "to ") + call.text("capacity"),
                  identity(volume));
}

void vol_rename(Call& call)
{
    const auto name = call.text("newname");
    change_volume(call, "renamed to " + name,
                  [&](Volume& volume, Job* job) { volume.rename(name, {}, job); });
}

void vol_refresh(Call& call)
{
    auto volume = call.volume();
    if (call.dry_run()) {
        call.change([](Job*) {});
        return;
    }
    volume.refresh(&call.job());
    call.done("Vol " + volume.name() + " refreshed", identity(volume));
}

constexpr std::array<std::pair<std::string_view, WipeAlgorithm>, 10> algorithms{{
    {"zero", WipeAlgorithm::zero},
    {"nnsa", WipeAlgorithm::nnsa},
    {"dod", WipeAlgorithm::dod},
    {"bsi", WipeAlgorithm::bsi},
    {"gutmann", WipeAlgorithm::gutmann},
    {"schneier", WipeAlgorithm::schneier},
    {"pfitzner7", WipeAlgorithm::pfitzner7},
    {"pfitzner33", WipeAlgorithm::pfitzner33},
    {"random", WipeAlgorithm::random},
    {"trim", WipeAlgorithm::trim},
}};

WipeAlgorithm read_algorithm(const Call& call)
{
    if (!call.given("algorithm"))
        return WipeAlgorithm::zero;
    const auto wanted = call.text("algorithm");
    std::string known;
    for (const auto& [name, algorithm] : algorithms) {
        if (name == wanted)
            return algorithm;
        known += ' ' + std::string(name);
    }
    throw UsageError("algorithm '" + wanted + "' is not known", "use one of:" + known);
}

void vol_wipe(Call& call)
{
    const auto algorithm = read_algorithm(call);
    change_volume(call, "wiped",
                  [&](Volume& volume, Job* job) { volume.wipe(algorithm, {}, job); });
}

/** A file of the user's, open. */
class File {
public:
    File(const std::string& path, int flags)
        : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0666))
    {
        if (fd_ < 0)
            fail(path, errno);
    }
    ~File()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }
    /** Network file systems report a failed write only here. */
    void close(const std::string& path)
    {
        if (::close(std::exchange(fd_, -1)) < 0)
            fail(path, errno);
    }

private:
    [[noreturn]] static void fail(const std::string& path, int error)
    {
        const auto code = error == ENOENT   ? ErrorCode::not_found
                          : error == EACCES ? ErrorCode::permission_denied
                          : error == ENOSPC ? ErrorCode::no_space
                                            : ErrorCode::io;
        throw Error(code, "file '" + path + "': " + std::strerror(error),
                    "check the path and its rights", {}, error);
    }
    int fd_;
};

storage::TransferOptions transfer_of(const Call& call)
{
    return {.offset = call.given("offset") ? call.size("offset") : 0,
            .length = call.given("length") ? call.size("length") : 0,
            .sparse = call.given("sparse")};
}

void vol_upload(Call& call)
{
    const auto path = call.text("file");
    change_volume(call, "uploaded from " + path, [&](Volume& volume, Job* job) {
        const File file(path, O_RDONLY);
        volume.upload(file.fd(), transfer_of(call), job);
    });
}

void vol_download(Call& call)
{
    const auto path = call.text("file");
    change_volume(call, "downloaded to " + path, [&](Volume& volume, Job* job) {
        if (call.dry_run()) {
            const File nowhere("/dev/null", O_WRONLY);
            volume.download(nowhere.fd(), transfer_of(call), job);
            return;
        }
        const bool existed = ::access(path.c_str(), F_OK) == 0;
        File file(path, O_WRONLY | O_CREAT | O_TRUNC);
        try {
            volume.download(file.fd(), transfer_of(call), job);
            file.close(path);
        } catch (...) {
            if (!existed)
                ::unlink(path.c_str());
            throw;
        }
    });
}

std::vector<Option> transfer_options()
{
    return {volume_option,
            {.name = "file", .takes = Takes::file, .help = "local file", .required = true},
            optional_pool_option,
            {.name = "offset", .takes = Takes::size, .help = "where in the volume to begin"},
            {.name = "length", .takes = Takes::size, .help = "how much (default: to the end)"},
            {.name = "sparse", .help = "keep holes as holes"}};
}

} // namespace

std::vector<Verb> volume_change_verbs()
{
    return {
        {"vol-delete",
         group,
         "Delete a volume",
         "basin vol-delete disk.img --pool vms",
         {volume_option, optional_pool_option},
         vol_delete},
        {"vol-resize",
         group,
         "Change the capacity of a volume that nobody uses",
         "basin vol-resize disk.img 20G --pool vms",
         {volume_option,
          {.name = "capacity",
           .takes = Takes::size,
           .help = "new capacity, or change of it",
           .required = true},
          optional_pool_option,
          {.name = "allocate", .help = "allocate what is added"},
          {.name = "delta", .help = "capacity is what is added, or with --shrink taken away"},
          {.name = "shrink", .help = "allow the volume to become smaller"}},
         vol_resize},
        {"vol-rename",
         group,
         "Rename a volume",
         "basin vol-rename disk.img root.img --pool vms",
         {volume_option,
          {.name = "newname", .takes = Takes::text, .help = "new name", .required = true},
          optional_pool_option},
         vol_rename},
        {"vol-refresh",
         group,
         "Read one volume again",
         "basin vol-refresh disk.img --pool vms",
         {volume_option, optional_pool_option},
         vol_refresh},
        {"vol-wipe",
         group,
         "Overwrite the content of a volume",
         "basin vol-wipe disk.img --pool vms",
         {volume_option,
          optional_pool_option,
          {.name = "algorithm", .takes = Takes::wipe_algorithm, .help = "how (default zero)"}},
         vol_wipe},
        {"vol-upload", group, "Write a file's content into a volume",
         "basin vol-upload disk.img debian.raw --pool vms", transfer_options(), vol_upload},
        {"vol-download", group, "Write a volume's content into a file",
         "basin vol-download disk.img copy.raw --pool vms", transfer_options(), vol_download},
    };
}

} // namespace command
