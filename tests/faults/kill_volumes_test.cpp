// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death during calls that change volumes: each is whole or absent, has its old or its new
// name and size, and the pool's directory holds nothing else.
#include "cheap_passphrases.hpp"
#include "killing.hpp"
#include "mounts.hpp"

#include <thread>

using namespace storage;

namespace {

const std::string source_content = noise(200000) + std::string(300000, '\0') + noise(100000, 2);

void make_running(Scratch& scratch, Context& context)
{
    scratch.running_pool(context);
}

/** A pool with one volume of that content. */
Prepare with_file(const std::string& name, const std::string& content)
{
    return [=](Scratch& scratch, Context& context) {
        auto pool = scratch.running_pool(context);
        scratch.directory.write("pool/" + name, content);
        pool.refresh();
    };
}

/** Whether the pool shows the volume; it and the directory have to agree. */
bool shows(Scratch& scratch, Context& context, const std::string& name, std::size_t others = 0)
{
    auto pool = context.find_pool("pool");
    pool.refresh();
    const bool exists = scratch.directory.exists("pool/" + name);
    CHECK(pool.volume_count() == others + (exists ? 1 : 0));
    CHECK(pool.diagnostics().empty());
    return exists;
}

bool is_healthy(const std::string& path, const std::string& what_qemu_may_say = "0")
{
    return !have("qemu-img") || std::system(("qemu-img check -q -f qcow2 '" + path +
                                             "' >/dev/null 2>&1; s=$?; [ $s = 0 ] " +
                                             "|| [ $s = " + what_qemu_may_say + " ]")
                                                .c_str()) == 0;
}

} // namespace

TEST_CASE("killed while creating a raw volume: it is whole or absent", "[faults]")
{
    for (const bool named_only : {false, true})
        for (const std::uint64_t allocation : {std::uint64_t{0}, mib}) {
            if (named_only && !calls_can_fail)
                continue;
            INFO("allocation " << allocation << ", named only " << named_only);
            kill_everywhere(
                make_running,
                [&](Scratch&, Context& context) {
                    context.find_pool("pool").create_volume(raw_volume("a", mib, allocation));
                },
                [&](Scratch& scratch, Context& context) {
                    if (!shows(scratch, context, "a")) {
                        CHECK(occupied(scratch.target()) == 0);
                        return false;
                    }
                    const auto info = context.find_pool("pool").find_volume("a").info();
                    CHECK(info.capacity == mib);
                    CHECK(info.allocation >= allocation);
                    return true;
                },
                {.named_only = named_only, .every_call = true});
        }
}

TEST_CASE("killed while creating a qcow2 image: it is whole or absent", "[faults]")
{
    kill_everywhere(
        make_running,
        [&](Scratch&, Context& context) {
            context.find_pool("pool").create_volume(volume_def("a", "qcow2", 8 * mib),
                                                    CreateFlags::prealloc_metadata);
        },
        [&](Scratch& scratch, Context& context) {
            if (!shows(scratch, context, "a"))
                return false;
            const auto volume = context.find_pool("pool").find_volume("a");
            CHECK(volume.info().capacity == 8 * mib);
            CHECK(volume.inspect().findings.empty());
            CHECK(is_healthy(volume.path()));
            return true;
        });
}

TEST_CASE("killed while creating a directory volume: it is there with its mode or absent",
          "[faults]")
{
    auto def = volume_def("d", "dir", 0);
    def.target.permissions.mode = 0751;
    kill_everywhere(
        make_running,
        [&](Scratch&, Context& context) { context.find_pool("pool").create_volume(def); },
        [](Scratch& scratch, Context& context) {
            if (!shows(scratch, context, "d"))
                return false;
            CHECK(std::filesystem::status(scratch.target() + "/d").permissions() ==
                  static_cast<std::filesystem::perms>(0751));
            return true;
        });
}

TEST_CASE("killed while cloning bytes: the copy is whole or absent", "[faults]")
{
    for (const auto flags : {CreateFlags::none, CreateFlags::digest})
        for (const bool named_only : {false, true}) {
            if (named_only && !calls_can_fail)
                continue;
            INFO("digest " << (flags == CreateFlags::digest) << ", named only " << named_only);
            kill_everywhere(
                with_file("source", source_content),
                [&](Scratch&, Context& context) {
                    auto pool = context.find_pool("pool");
                    pool.create_volume_from(raw_volume("copy", 0), pool.find_volume("source"),
                                            flags);
                },
                [&](Scratch& scratch, Context& context) {
                    if (!shows(scratch, context, "copy", 1)) {
                        CHECK(occupied(scratch.target()) < 700000);
                        return false;
                    }
                    CHECK(scratch.directory.read("pool/copy") == source_content);
                    return true;
                },
                {.named_only = named_only});
        }
}

TEST_CASE("killed while cloning a qcow2 image, by bytes or linked: the clone is whole or absent",
          "[faults]")
{
    for (const auto flags : {CreateFlags::none, CreateFlags::linked})
        kill_everywhere(
            [](Scratch& scratch, Context& context) {
                scratch.running_pool(context).create_volume(volume_def("source", "qcow2", 8 * mib),
                                                            CreateFlags::prealloc_metadata);
            },
            [&](Scratch&, Context& context) {
                auto pool = context.find_pool("pool");
                pool.create_volume_from(volume_def("copy", "qcow2", 0), pool.find_volume("source"),
                                        flags);
            },
            [&](Scratch& scratch, Context& context) {
                if (!shows(scratch, context, "copy", 1))
                    return false;
                const auto volume = context.find_pool("pool").find_volume("copy");
                CHECK(volume.info().capacity == 8 * mib);
                CHECK(volume.inspect().findings.empty());
                if (flags == CreateFlags::linked)
                    CHECK(volume.chain().at(1).volume_name == "source");
                else
                    CHECK(scratch.directory.read("pool/copy") ==
                          scratch.directory.read("pool/source"));
                return true;
            });
}

TEST_CASE("killed while qemu-img converts: the image is whole or absent", "[faults]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    const auto content = noise(mib);
    kill_everywhere(
        with_file("source", content),
        [](Scratch&, Context& context) {
            auto pool = context.find_pool("pool");
            pool.create_volume_from(volume_def("image", "qcow2", 0), pool.find_volume("source"));
        },
        [&](Scratch& scratch, Context& context) {
            if (!shows(scratch, context, "image", 1)) {
                CHECK(occupied(scratch.target()) < 2 * mib);
                return false;
            }
            const auto volume = context.find_pool("pool").find_volume("image");
            CHECK(volume.info().capacity == mib);
            CHECK(std::system(("qemu-img compare -q -f raw -F qcow2 " + scratch.target() +
                               "/source " + scratch.target() + "/image")
                                  .c_str()) == 0);
            return true;
        },
        {.most = 60});
}

TEST_CASE("killed while resizing: the volume has its old or its new size", "[faults]")
{
    struct Resize {
        std::string format;
        std::uint64_t capacity;
        ResizeFlags flags;
    };
    for (const auto& resize :
         {Resize{"raw", 3 * mib, {}}, Resize{"raw", 3 * mib, ResizeFlags::allocate},
          Resize{"raw", 4096, ResizeFlags::shrink}, Resize{"qcow2", 3 * mib, {}}}) {
        const auto& format = resize.format;
        const auto capacity = resize.capacity;
        const auto flags = resize.flags;
        INFO(format << " to " << capacity);
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                auto def = volume_def("a", format, mib);
                def.allocation = format == "raw" ? mib : 0;
                scratch.running_pool(context).create_volume(def);
            },
            [&](Scratch&, Context& context) {
                context.find_pool("pool").find_volume("a").resize(capacity, flags);
            },
            [&](Scratch& scratch, Context& context) {
                REQUIRE(shows(scratch, context, "a"));
                const auto volume = context.find_pool("pool").find_volume("a");
                const auto info = volume.info();
                CHECK((info.capacity == mib || info.capacity == capacity));
                const bool is_done = info.capacity == capacity;
                if (format == "qcow2")
                    CHECK(is_healthy(volume.path()));
                else if (flags == ResizeFlags::allocate && is_done)
                    CHECK(info.allocation >= 3 * mib);
                else
                    CHECK(info.allocation <= (capacity < mib && is_done ? capacity : mib));
                return is_done;
            });
    }
}

TEST_CASE("killed while renaming: the volume has its old or its new name", "[faults]")
{
    kill_everywhere(
        with_file("old", "content"),
        [](Scratch&, Context& context) {
            context.find_pool("pool").find_volume("old").rename("new");
        },
        [](Scratch& scratch, Context& context) {
            const bool is_done =
                shows(scratch, context, "new", scratch.directory.exists("pool/old"));
            CHECK(scratch.directory.exists("pool/old") == !is_done);
            CHECK(scratch.directory.read(is_done ? "pool/new" : "pool/old") == "content");
            return is_done;
        });
}

TEST_CASE("killed while wiping: the volume stays with its size", "[faults]")
{
    const auto content = noise(3 * mib);
    kill_everywhere(
        with_file("a", content),
        [](Scratch&, Context& context) { context.find_pool("pool").find_volume("a").wipe(); },
        [&](Scratch& scratch, Context& context) {
            REQUIRE(shows(scratch, context, "a"));
            const auto found = scratch.directory.read("pool/a");
            CHECK(found.size() == content.size());
            return found.find_first_not_of('\0') == std::string::npos;
        });
}

TEST_CASE("killed while deleting: the volume is there or gone", "[faults]")
{
    for (const bool is_directory : {false, true})
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                scratch.running_pool(context).create_volume(
                    volume_def("a", is_directory ? "dir" : "raw", is_directory ? 0 : mib));
            },
            [](Scratch&, Context& context) {
                context.find_pool("pool").find_volume("a").delete_storage();
            },
            [](Scratch& scratch, Context& context) { return !shows(scratch, context, "a"); });
}

TEST_CASE("killed while uploading a new volume: it is whole or absent", "[faults]")
{
    const auto content = noise(2 * mib + 5);
    for (const bool digest : {false, true})
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                make_running(scratch, context);
                scratch.directory.write("file", content);
            },
            [&](Scratch& scratch, Context& context) {
                const OpenFile file(scratch.directory / "file");
                context.find_pool("pool").upload_volume(raw_volume("a", 0), file.fd(),
                                                        {.digest = digest});
            },
            [&](Scratch& scratch, Context& context) {
                if (!shows(scratch, context, "a")) {
                    CHECK(occupied(scratch.target()) == 0);
                    return false;
                }
                CHECK(scratch.directory.read("pool/a") == content);
                return true;
            });
}

TEST_CASE("killed during an upload that can be resumed: the next one goes on with what arrived",
          "[faults]")
{
    const auto content = noise(2 * mib + 5);
    const auto upload = [&](Scratch& scratch, Context& context) {
        auto pool = context.find_pool("pool");
        const auto offset = pool.partial_upload("a").value_or(0);
        const OpenFile file(scratch.directory / "file", offset);
        pool.upload_volume(raw_volume("a", 0), file.fd(),
                           {.offset = offset,
                            .expected_length = content.size(),
                            .digest = true,
                            .resumable = true});
    };
    const auto done = [&](Scratch& scratch, Context& context) {
        const auto partial = context.find_pool("pool").partial_upload("a");
        if (!shows(scratch, context, "a")) {
            if (partial)
                CHECK(scratch.directory.read("pool/.basin-upload-a") ==
                      content.substr(0, *partial));
            return false;
        }
        CHECK_FALSE(partial);
        CHECK(scratch.directory.read("pool/a") == content);
        return true;
    };
    for (const std::size_t present : {std::size_t{0}, std::size_t{mib}})
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                make_running(scratch, context);
                scratch.directory.write("file", content);
                if (present)
                    scratch.directory.write("pool/.basin-upload-a", content.substr(0, present));
            },
            upload, done, {.keeps = ".basin-upload-a"});
}

TEST_CASE("killed while forgetting an upload: it is there or gone", "[faults]")
{
    kill_everywhere(
        with_file(".basin-upload-a", "content"),
        [](Scratch&, Context& context) { context.find_pool("pool").discard_upload("a"); },
        [](Scratch& scratch, Context& context) {
            CHECK_FALSE(shows(scratch, context, "a"));
            return !context.find_pool("pool").partial_upload("a");
        },
        {.keeps = ".basin-upload-a"});
}

TEST_CASE("killed while uploading into a volume: it stays with its size", "[faults]")
{
    const auto content = noise(2 * mib);
    for (const bool sparse : {false, true})
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                with_file("a", noise(2 * mib, 7))(scratch, context);
                scratch.directory.write("file", content);
            },
            [&](Scratch& scratch, Context& context) {
                const OpenFile file(scratch.directory / "file");
                context.find_pool("pool").find_volume("a").upload(
                    file.fd(), {.sparse = sparse, .digest = sparse});
            },
            [&](Scratch& scratch, Context& context) {
                REQUIRE(shows(scratch, context, "a"));
                const auto found = scratch.directory.read("pool/a");
                CHECK(found.size() == content.size());
                return found == content;
            });
}

// Few points: each run tries for two seconds how much work a passphrase is worth.
TEST_CASE("killed while encrypting a new volume: it is whole or absent", "[faults]")
{
    if (!have("cryptsetup")) {
        WARN("skipped: needs cryptsetup");
        return;
    }
    const CheapPassphrases cheap;
    const auto with_secret = [](Scratch& scratch) {
        ContextOptions options = scratch.options();
        options.secrets = [](const SecretRequest&) { return Secret("correct horse"); };
        return options;
    };
    auto def = raw_volume("a", mib, mib);
    def.target.encryption =
        Encryption{.format = "luks", .secrets = {{.uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd87"}}};
    kill_everywhere(
        make_running,
        [&](Scratch& scratch, Context&) {
            Context context(with_secret(scratch));
            context.find_pool("pool").create_volume(def);
        },
        [&](Scratch& scratch, Context& context) {
            if (!shows(scratch, context, "a")) {
                CHECK(occupied(scratch.target()) == 0);
                return false;
            }
            CHECK(succeeds(
                "printf 'correct horse' | cryptsetup open --test-passphrase --key-file - " +
                scratch.target("pool/a")));
            return true;
        },
        {.most = 4});
}

TEST_CASE("killed while deleting a snapshot or going back to one: the image is sound", "[faults]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    const std::string before(64 * 1024, 'b'), after(64 * 1024, 'a');
    const auto write = [](Scratch& scratch, Context& context, const std::string& content) {
        scratch.directory.write("part", content);
        const auto image = context.find_pool("pool").find_volume("a").path();
        REQUIRE(succeeds("qemu-io -f qcow2 -c 'write -s " + (scratch.directory / "part") +
                         " 0 64k' " + image + " >/dev/null"));
    };
    const auto read = [](Scratch& scratch, const Volume& volume) {
        const auto out = scratch.directory / "out";
        REQUIRE(succeeds("qemu-img convert -U -f qcow2 -O raw " + volume.path() + ' ' + out));
        return scratch.directory.read("out").substr(0, 64 * 1024);
    };
    for (const bool reverts : {false, true})
        kill_everywhere(
            [&](Scratch& scratch, Context& context) {
                auto volume =
                    scratch.running_pool(context).create_volume(volume_def("a", "qcow2", 4 * mib));
                write(scratch, context, before);
                volume.create_snapshot("state");
                write(scratch, context, after);
            },
            [&](Scratch&, Context& context) {
                auto volume = context.find_pool("pool").find_volume("a");
                reverts ? volume.revert_snapshot("state") : volume.delete_snapshot("state");
            },
            [&](Scratch& scratch, Context& context) {
                REQUIRE(shows(scratch, context, "a"));
                const auto volume = context.find_pool("pool").find_volume("a");
                CHECK(is_healthy(volume.path(), "3"));
                const auto content = read(scratch, volume);
                CHECK((content == after || (reverts && content == before)));
                return reverts ? content == before : volume.snapshots().empty();
            },
            {.most = 30, .awaits_programs = true});
}

TEST_CASE("qemu-img killed while it changes snapshots: the image is set right", "[faults]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    // As qemu-img 7.2 leaves an image when it is killed while it goes back to a snapshot: a guest
    // would write over what the snapshot has.
    Scratch scratch;
    std::filesystem::create_directory(scratch.directory / "bin");
    scratch.directory.write(
        "bin/qemu-img",
        "#!/bin/sh\n[ $1 = snapshot ] || {\n[ ! -e '" + scratch.directory / "fails" +
            "' ] || kill -9 $$\n[ ! -e '" + scratch.directory / "slow" +
            "' ] || sleep 1\n"
            "PATH=${PATH#*:}\nexec qemu-img \"$@\"\n}\n"
            "file='" +
            scratch.target("pool/a") +
            "'\n"
            "table=$(od -An -tu1 -j44 -N4 \"$file\" | { read -r a b c d; echo $((((a * 256 + b) * "
            "256 + c) * 256 + d)); })\n"
            "printf '\\200' | dd of=\"$file\" bs=1 seek=$table conv=notrunc 2>/dev/null\n"
            ": >'" +
            scratch.directory / "damaged" +
            "'\n"
            "[ -e '" +
            scratch.directory / "waits" +
            "' ] && exec sleep 1000\n"
            "kill -9 $$\n");
    REQUIRE(::chmod((scratch.directory / "bin/qemu-img").c_str(), 0755) == 0);
    {
        Context context(scratch.options());
        auto volume = scratch.running_pool(context).create_volume(volume_def("a", "qcow2", mib));
        REQUIRE(succeeds("qemu-io -f qcow2 -c 'write 0 64k' " + volume.path() + " >/dev/null"));
        volume.create_snapshot("state");
    }
    const auto with_that_program = [&] {
        const std::string path = std::getenv("PATH");
        ::setenv("PATH", (scratch.directory / "bin:" + path).c_str(), 1);
        Context context(scratch.options());
        ::setenv("PATH", path.c_str(), 1);
        return context;
    };
    const auto revert = [&](Job* job = nullptr) {
        auto context = with_that_program();
        return error_code(
            [&] { context.find_pool("pool").find_volume("a").revert_snapshot("state", job); });
    };
    CHECK(revert() == ErrorCode::command_failed);
    CHECK(scratch.directory.exists("damaged"));
    CHECK(is_healthy(scratch.target("pool/a")));

    // Where that is killed as well, it is left to a recovery.
    scratch.directory.write("fails", "");
    CHECK(revert() == ErrorCode::command_failed);
    CHECK_FALSE(is_healthy(scratch.target("pool/a")));
    std::filesystem::remove(scratch.directory / "fails");
    Context(scratch.options()).recover();
    CHECK(is_healthy(scratch.target("pool/a")));

    // Who cancels does not wait for it; a recovery takes the time that it needs.
    std::filesystem::remove(scratch.directory / "damaged");
    scratch.directory.write("waits", "");
    scratch.directory.write("slow", "");
    Job job;
    std::thread canceller([&] {
        await_file(scratch.directory / "damaged");
        job.cancel();
    });
    const auto cancelled = revert(&job);
    canceller.join();
    CHECK(cancelled == ErrorCode::cancelled);
    CHECK_FALSE(is_healthy(scratch.target("pool/a")));
    with_that_program().recover();
    CHECK(is_healthy(scratch.target("pool/a")));
    std::filesystem::remove(scratch.directory / "slow");

    std::filesystem::remove(scratch.directory / "damaged");
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const auto child = ::fork();
    if (child == 0) {
        revert();
        ::_exit(0);
    }
    await_file(scratch.directory / "damaged");
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK_FALSE(is_healthy(scratch.target("pool/a")));
    Context context(scratch.options());
    await_orphans();
    context.recover();
    CHECK(is_healthy(scratch.target("pool/a")));
    CHECK(context.find_pool("pool").find_volume("a").snapshots().size() == 1);
}

TEST_CASE("killed while flattening: a clone still or independent, with all its content", "[faults]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    const auto read = [](Scratch& scratch, const Volume& volume) {
        const auto out = scratch.directory / "out";
        REQUIRE(succeeds("qemu-img convert -U -f qcow2 -O raw " + volume.path() + ' ' + out));
        return scratch.directory.read("out");
    };
    const std::string content(4 * mib, 'b');
    kill_everywhere(
        [&](Scratch& scratch, Context& context) {
            auto pool = scratch.running_pool(context);
            auto base = pool.create_volume(raw_volume("base", 4 * mib));
            scratch.directory.write("pool/base", content);
            pool.create_volume_from(volume_def("a", "qcow2", 0), base, CreateFlags::linked);
        },
        [](Scratch&, Context& context) { context.find_pool("pool").find_volume("a").flatten(); },
        [&](Scratch& scratch, Context& context) {
            REQUIRE(shows(scratch, context, "a", 1)); // and what it is based on
            auto volume = context.find_pool("pool").find_volume("a");
            CHECK(is_healthy(volume.path(), "3")); // 3: leaked clusters, which harm nothing
            CHECK((read(scratch, volume) == content));
            const bool done = volume.definition().backing.empty();
            if (!done) { // the next call goes on
                REQUIRE(succeeds("cp " + volume.path() + ' ' + volume.path() + "-copy"));
                auto copy = context.find_pool("pool").find_volume("a-copy");
                copy.flatten();
                CHECK(copy.definition().backing.empty());
                CHECK((read(scratch, copy) == content));
                copy.delete_storage();
            }
            return done;
        },
        {.most = 30, .awaits_programs = true});
}

TEST_CASE("killed while making a snapshot: it is there or not, and the image is sound", "[faults]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    kill_everywhere(
        [](Scratch& scratch, Context& context) {
            scratch.running_pool(context).create_volume(volume_def("a", "qcow2", 4 * mib));
        },
        [](Scratch&, Context& context) {
            context.find_pool("pool").find_volume("a").create_snapshot("state");
        },
        [](Scratch& scratch, Context& context) {
            REQUIRE(shows(scratch, context, "a"));
            const auto volume = context.find_pool("pool").find_volume("a");
            CHECK(volume.info().capacity == 4 * mib);
            CHECK(is_healthy(volume.path(), "3")); // 3: leaked clusters, which harm nothing
            const auto snapshots = volume.snapshots();
            CHECK(snapshots.size() <= 1);
            return !snapshots.empty();
        },
        {.most = 40, .awaits_programs = true});
}
