// SPDX-License-Identifier: LGPL-2.1-or-later
// File systems that know less than others: each call that some of them refuse is refused to a
// child, always. What it makes and changes is as elsewhere, to the byte.
#include "cheap_passphrases.hpp"
#include "killing.hpp"

using namespace storage;

namespace {

/** The error that a call ends with, or 0. */
using Refusal = int (*)(const TracedCall& call);

// ext2, vfat, NFS before 4.2
int allocates_nothing(const TracedCall& call)
{
    return call.number == SYS_fallocate ? EOPNOTSUPP : 0;
}

// vfat, NFS before 4.2
int tells_no_holes(const TracedCall& call)
{
    const bool seeks = call.number == SYS_lseek && call.arguments[2] >= SEEK_DATA;
    return seeks ? EINVAL : call.number == SYS_ioctl ? ENOTTY : 0;
}

// NFS, FUSE
int renames_plainly(const TracedCall& call)
{
    if (call.number == SYS_renameat2 && call.arguments[4] != 0)
        return EINVAL;
    return opens_unnamed(call) ? EOPNOTSUPP : 0;
}

template <int Error>
int has_no_second_names(const TracedCall& call)
{
    return call.number == SYS_linkat ? Error : renames_plainly(call);
}

int knows_nothing(const TracedCall& call)
{
    if (call.number == SYS_copy_file_range)
        return EOPNOTSUPP;
    for (const auto refuses : {allocates_nothing, tells_no_holes, has_no_second_names<EPERM>})
        if (const int error = refuses(call); error != 0)
            return error;
    return 0;
}

const std::string content =
    noise(3 * mib / 2) + std::string(mib, '\0') + noise(mib / 2, 3) + std::string(mib / 2, '\0');

VolumeDef allocated(const std::string& name, std::uint64_t capacity,
                    const std::string& format = "raw")
{
    auto def = volume_def(name, format, capacity);
    def.allocation = capacity;
    return def;
}

/** Every call; in lines, what is not as it should be. */
std::string everything(Scratch& scratch, Context& context)
{
    std::string wrong;
    const auto expect = [&](bool right, const std::string& what) {
        if (!right)
            wrong += what + '\n';
    };
    const auto has = [&](const std::string& name, const std::string& bytes) {
        expect(scratch.directory.read("pool/" + name) == bytes, "content of " + name);
    };
    const std::string zeros(mib, '\0');
    auto pool = context.find_pool("pool");
    const auto source = pool.find_volume("source");

    pool.create_volume(allocated("new", mib));
    has("new", zeros);
    pool.create_volume_from(allocated("copy", content.size()), source);
    has("copy", content);
    auto copy = pool.create_volume_from(allocated("larger", content.size() + mib), source);
    has("larger", content + zeros);
    copy.resize(content.size() + 2 * mib, ResizeFlags::allocate);
    has("larger", content + zeros + zeros);

    auto secret = allocated("secret", mib);
    secret.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "key"}}};
    expect(pool.create_volume(secret).inspect().encryption.has_value(), "encryption");
    const auto image =
        pool.create_volume(allocated("image", mib, "qcow2"), CreateFlags::prealloc_falloc)
            .inspect();
    expect(image.format == ImageFormat::qcow2 && image.findings.empty(), "image");

    const OpenFile file(scratch.directory / "pool/source");
    pool.upload_volume(volume_def("uploaded", "raw", 0), UploadSource(file.fd()),
                       {.sparse = true, .resumable = true});
    has("uploaded", content);
    const OpenFile again(scratch.directory / "pool/source");
    copy.upload(UploadSource(again.fd()), {.offset = mib, .sparse = true});
    has("larger", content.substr(0, mib) + content + zeros);
    std::string bytes;
    copy.download(WriteCallback([&](std::span<const std::byte> data, std::uint64_t hole) {
                      bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
                      bytes.append(hole, '\0');
                  }),
                  {.sparse = true});
    expect(bytes == content.substr(0, mib) + content + zeros, "download");

    copy.rename("renamed");
    has("renamed", bytes);
    auto directory = pool.create_volume(volume_def("directory", "dir", 0));
    directory.rename("directories");
    expect(scratch.directory.exists("pool/directories"), "renamed directory");
    expect(error_of([&] { directory.rename("copy"); }).code() == ErrorCode::already_exists,
           "renamed over a volume");
    has("copy", content);
    copy.wipe();
    has("renamed", std::string(bytes.size(), '\0'));
    return wrong;
}

} // namespace

TEST_CASE("a file system that knows less gets the same content", "[faults]")
{
    if (!calls_can_fail) {
        WARN("skipped: calls are made to fail on x86_64 only");
        return;
    }
    const CheapPassphrases cheap;
    const auto& [what, refusal] = GENERATE(table<std::string, Refusal>({
        {"allocation", allocates_nothing},
        {"holes", tells_no_holes},
        {"second names", has_no_second_names<EPERM>},
        {"second names, as FUSE says it", has_no_second_names<ENOSYS>},
        {"all of it", knows_nothing},
    }));
    INFO("without " << what);
    Scratch scratch;
    auto options = scratch.options();
    options.secrets = [](const SecretRequest&) { return std::optional(Secret("the pass phrase")); };
    {
        Context context(options);
        scratch.running_pool(context);
    }
    scratch.directory.write("pool/source", content);
    const auto result = trace(
        [&] {
            try {
                Context context(options);
                mark();
                const auto wrong = everything(scratch, context);
                mark();
                scratch.directory.write("said", wrong);
                return wrong.empty() ? 0 : 1;
            } catch (const std::exception& error) {
                scratch.directory.write("said", error.what());
                return 2;
            }
        },
        true, [&](const TracedCall& call) -> Fate { return {.error = refusal(call)}; });
    INFO(scratch.directory.read("said"));
    CHECK(result.status == 0);
    for (const auto& path : leftovers(scratch.directory / "pool"))
        FAIL_CHECK(path);
}
