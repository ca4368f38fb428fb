// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that carry the content of volumes in and out.
#include "shared.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace command {

namespace {

using storage::TransferOptions;
using storage::VolumeDef;

constexpr std::string_view group = "Content of volumes";

[[noreturn]] void fail(const std::string& path, int error)
{
    const auto code = error == ENOENT   ? ErrorCode::not_found
                      : error == EACCES ? ErrorCode::permission_denied
                      : error == ENOSPC ? ErrorCode::no_space
                                        : ErrorCode::io;
    throw Error(code, "file '" + path + "': " + std::strerror(error),
                "check the path and its rights", {}, error);
}

/** A file of the user's, open; "-" is what the process was started with. */
class File {
public:
    File(const std::string& path, int flags, int standard)
        : path_(path),
          fd_(path == "-" ? standard : ::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0666)),
          own_(path != "-")
    {
        if (fd_ < 0)
            fail(path_, errno);
        if (!own_)
            require_standard(flags & O_ACCMODE);
    }
    ~File()
    {
        if (own_)
            ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }
    void empty()
    {
        struct stat status {};
        if (::fstat(fd_, &status) < 0 || (S_ISREG(status.st_mode) && ::ftruncate(fd_, 0) < 0))
            fail(path_, errno);
    }
    /** Network file systems report a failed write only here. */
    void close()
    {
        if (std::exchange(own_, false) && ::close(fd_) < 0)
            fail(path_, errno);
    }

private:
    void require_standard(int access) const
    {
        const int mode = ::fcntl(fd_, F_GETFL) & O_ACCMODE;
        if (mode == access || mode == O_RDWR)
            return;
        const std::string use =
            access == O_RDONLY ? "input is not open for reading" : "output is not open for writing";
        throw Error(ErrorCode::io, "file '-': standard " + use,
                    "redirect it, or give the path of a file", {}, EBADF);
    }

    std::string path_;
    int fd_;
    bool own_;
};

TransferOptions transfer_of(const Call& call)
{
    TransferOptions options{.offset = call.given("offset") ? call.size("offset") : 0,
                            .length = call.given("length") ? call.size("length") : 0,
                            .sparse = call.given("sparse"),
                            .expected_sha256 = call.text("sha256"),
                            .digest = call.given("digest"),
                            .resumable = call.given("resume")};
    if (call.given("expect-length"))
        options.expected_length = call.size("expect-length");
    return options;
}

[[noreturn]] void too_short(const std::string& path, std::uint64_t bytes)
{
    throw Error(ErrorCode::invalid_argument,
                "file '" + path + "' is shorter than the " + std::to_string(bytes) +
                    " bytes that arrived already",
                "give the same file as before, or begin anew after 'basin vol-upload-discard'");
}

/** Passes over what arrived already; a pipe is read for that. */
void skip(const Call& call, int fd, const std::string& path, std::uint64_t bytes)
{
    struct stat status {};
    if (::fstat(fd, &status) < 0)
        fail(path, errno);
    if (S_ISREG(status.st_mode)) {
        if (static_cast<std::uint64_t>(status.st_size) < bytes)
            too_short(path, bytes);
        if (::lseek(fd, static_cast<off_t>(bytes), SEEK_SET) < 0)
            fail(path, errno);
        return;
    }
    std::array<char, 64 * 1024> block;
    for (auto left = bytes; left > 0;) {
        if (call.interrupted())
            throw Error(ErrorCode::cancelled, "cancelled while skipping what arrived already");
        const auto got = ::read(fd, block.data(), std::min<std::uint64_t>(left, block.size()));
        if (got == 0)
            too_short(path, bytes);
        if (got < 0 && errno != EINTR)
            fail(path, errno);
        left -= static_cast<std::uint64_t>(std::max<ssize_t>(got, 0));
    }
}

/** Where --expect says which unfinished upload is meant. */
Pool expected_pool(Call& call)
{
    const auto pool = call.pool();
    return call.given("expect") ? pool.expecting(call.text("expect")) : pool;
}

void upload_new(Call& call)
{
    if (!call.given("pool"))
        throw UsageError("--create needs --pool", "name the pool that the volume is to be in");
    auto pool = expected_pool(call);
    const auto path = call.text("file");
    VolumeDef def;
    def.name = call.text("vol");
    def.capacity = call.given("capacity") ? call.size("capacity") : 0;
    def.target.format = call.text("format");
    if (call.given("allow"))
        throw UsageError("--allow is for what exists", "leave it out with --create");
    if (call.given("expect") && !call.given("resume"))
        throw UsageError("--expect is for what exists", "leave it out, or add --resume");
    auto options = transfer_of(call);
    const File file(path, O_RDONLY, STDIN_FILENO);
    if (options.resumable && !call.given("offset")) {
        options.offset = pool.partial_upload(def.name).value_or(0);
        if (!call.dry_run())
            skip(call, file.fd(), path, options.offset);
    }
    std::optional<Volume> volume;
    if (call.change([&](Job* job) { volume = pool.upload_volume(def, file.fd(), options, job); }))
        call.done("Vol " + def.name + " created from " + path, identity(*volume));
}

void vol_upload(Call& call)
{
    if (call.given("create"))
        return upload_new(call);
    for (const auto option : {"capacity", "format", "resume"})
        if (call.given(option))
            throw UsageError("--" + std::string(option) + " needs --create",
                             "what is written into an existing volume changes neither its size "
                             "nor its format");
    const auto path = call.text("file");
    change_volume(call, "uploaded from " + path, [&](Volume& volume, Job* job) {
        const File file(path, O_RDONLY, STDIN_FILENO);
        auto options = transfer_of(call);
        options.allowed = allowed_blockers(call);
        volume.upload(file.fd(), options, job);
    });
}

void vol_download(Call& call)
{
    const auto path = call.text("file");
    if (path == "-" && !call.dry_run())
        call.take_standard_output();
    change_volume(call, "downloaded to " + path, [&](Volume& volume, Job* job) {
        if (call.dry_run()) {
            const File nowhere("/dev/null", O_WRONLY, -1);
            volume.download(nowhere.fd(), transfer_of(call), job);
            return;
        }
        const bool existed = path == "-" || ::access(path.c_str(), F_OK) == 0;
        File file(path, O_WRONLY | O_CREAT, STDOUT_FILENO);
        try {
            if (path != "-") {
                // What was there goes only when nothing keeps the download from beginning.
                Job rehearsal;
                rehearsal.set_dry_run(true);
                volume.download(file.fd(), transfer_of(call), &rehearsal);
                file.empty();
            }
            volume.download(file.fd(), transfer_of(call), job);
            file.close();
        } catch (...) {
            if (!existed)
                ::unlink(path.c_str());
            throw;
        }
    });
}

void vol_upload_status(Call& call)
{
    const auto pool = call.pool();
    const auto name = call.text("vol");
    const auto arrived = pool.partial_upload(name);
    if (!arrived)
        throw Error(ErrorCode::not_found,
                    "pool '" + pool.name() + "': no unfinished upload of '" + name + '\'',
                    "begin one with 'basin vol-upload --create --resume'");
    if (call.json())
        return call.print(JsonObject()
                              .text("name", name)
                              .text("pool", pool.name())
                              .number("bytes", *arrived)
                              .text("identity", pool.upload_identity(name))
                              .str() +
                          '\n');
    call.print(label("Name") + printable(name) + '\n' + label("Arrived") +
               (call.given("bytes") ? std::to_string(*arrived) + " bytes" : pretty_size(*arrived)) +
               '\n' + label("Identity") + pool.upload_identity(name) + '\n');
}

void vol_upload_discard(Call& call)
{
    auto pool = expected_pool(call);
    const auto name = call.text("vol");
    if (call.change([&](Job* job) { pool.discard_upload(name, job); }))
        call.done("Unfinished upload of vol " + name + " discarded",
                  JsonObject().text("name", name).text("pool", pool.name()));
}

constexpr Option offset{
    .name = "offset", .takes = Takes::size, .help = "where in the volume to begin"};
constexpr Option length{
    .name = "length", .takes = Takes::size, .help = "how much (default: to the end)"};
constexpr Option sparse{.name = "sparse", .help = "keep holes as holes"};
constexpr Option sha256{.name = "sha256",
                        .takes = Takes::text,
                        .help = "fail unless this is the SHA-256 of the bytes",
                        .named_only = true};
constexpr Option digest{.name = "digest", .help = "print the SHA-256 of the bytes"};
constexpr Option unfinished{.name = "vol",
                            .takes = Takes::text,
                            .help = "name of the volume that the upload was to make",
                            .required = true};

} // namespace

std::vector<Verb> transfer_verbs()
{
    return {
        {"vol-upload",
         group,
         "Write a file's content into a volume, or make a volume of it",
         "basin vol-upload disk.img debian.raw --pool vms",
         {volume_option,
          {.name = "file",
           .takes = Takes::file,
           .help = "local file, - for standard input",
           .required = true},
          optional_pool_option,
          allow_option,
          expect_option,
          offset,
          length,
          sparse,
          sha256,
          {.name = "expect-length",
           .takes = Takes::size,
           .help = "fail unless exactly so many bytes come",
           .named_only = true},
          digest,
          {.name = "create", .help = "make a new volume, which appears once all is there"},
          {.name = "capacity",
           .takes = Takes::size,
           .help = "of the new volume (default: what comes)",
           .named_only = true},
          {.name = "format",
           .takes = Takes::volume_format,
           .help = "of the new volume, in which the file is",
           .named_only = true},
          {.name = "resume", .help = "go on with an upload that ended early; keep this one if so"}},
         vol_upload},
        {"vol-upload-status",
         group,
         "Show how much of an unfinished upload has arrived",
         "basin vol-upload-status debian.qcow2 vms",
         {unfinished, pool_option, {.name = "bytes", .help = "sizes in bytes"}},
         vol_upload_status},
        {"vol-upload-discard",
         group,
         "Forget an unfinished upload",
         "basin vol-upload-discard debian.qcow2 vms",
         {unfinished,
          pool_option,
          {.name = "expect",
           .takes = Takes::text,
           .help = "what vol-upload-status printed; refuse another upload",
           .named_only = true}},
         vol_upload_discard},
        {"vol-download",
         group,
         "Write a volume's content into a file",
         "basin vol-download disk.img copy.raw --pool vms",
         {volume_option,
          {.name = "file",
           .takes = Takes::file,
           .help = "local file, - for standard output",
           .required = true},
          optional_pool_option,
          offset,
          length,
          sparse,
          sha256,
          digest},
         vol_download},
    };
}

} // namespace command
