// SPDX-License-Identifier: LGPL-2.1-or-later
// What is made is looked at behind every system call: it is never more open than was asked for.
#include "aftermath.hpp"
#include "tracing.hpp"

#include <basin/context.hpp>
#include <sys/stat.h>

using namespace storage;

namespace {

/** What group and others may do with anything below a directory. */
mode_t open_to_others(const std::string& directory)
{
    mode_t open = 0;
    std::error_code gone; // meanwhile
    for (std::filesystem::recursive_directory_iterator entry(directory, gone), end;
         !gone && entry != end; entry.increment(gone)) {
        struct stat info {};
        if (::lstat(entry->path().c_str(), &info) == 0 && !S_ISLNK(info.st_mode))
            open |= info.st_mode & 077;
    }
    return open;
}

int make_all(Scratch& scratch)
{
    ::umask(0);
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.target.permissions.mode = 0700;
    auto pool = context.define_pool(def);
    pool.build();
    pool.start();
    auto raw = pool.create_volume(raw_volume("raw", 8192, 8192));
    pool.create_volume(volume_def("image", "qcow2", mib));
    pool.create_volume_from(raw_volume("copy", 0), raw);
    auto directory = raw_volume("directory");
    directory.target.format = "dir";
    directory.target.permissions.mode = 0700;
    pool.create_volume(directory);
    const OpenFile source(scratch.directory / "content");
    pool.upload_volume(raw_volume("sent", 0), source.fd());
    const OpenFile again(scratch.directory / "content");
    pool.upload_volume(raw_volume("resumed", 0), again.fd(), {.resumable = true});
    raw.rename("renamed");
    pool.set_autostart(true);
    return 0;
}

} // namespace

TEST_CASE("nothing that is made is more open than was asked for, not for an instant", "[faults]")
{
    Scratch scratch;
    scratch.directory.write("content", noise(10000));
    REQUIRE(::chmod((scratch.directory / "content").c_str(), 0600) == 0);
    mode_t open = 0;
    int calls = 0;
    const auto result = trace([&] { return make_all(scratch); }, false,
                              [&](const TracedCall& call) -> Fate {
                                  ++calls;
                                  if (changes_something(call))
                                      open |= open_to_others(scratch.directory.path());
                                  return {};
                              });
    CHECK(result.status == 0);
    CHECK(calls > 100);
    CHECK(open == 0);
    CHECK(scratch.directory.exists("pool/resumed"));
}
