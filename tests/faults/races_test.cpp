// SPDX-License-Identifier: LGPL-2.1-or-later
// Somebody else may write the pool's directory, and exchanges what is there while calls go on: no
// call reads or changes what lies outside, and a call that is told which volume it means changes no
// other one.
#include "aftermath.hpp"
#include "meanwhile.hpp"
#include "mounts.hpp"
#include "tracing.hpp"

#include <iostream>

using namespace storage;

namespace {

const std::string volume_content = noise(300000);
const std::string secret_content = noise(500000, 7);

/** Now shorter than a call's look, now longer than a call. */
void rest()
{
    static thread_local unsigned turn = 0;
    ::usleep(20u << (turn++ % 7));
}

/** A pool with a volume "a" and, beside the pool, a file that is nobody's business. */
struct Stage {
    Scratch scratch{};
    Context context{scratch.options()};
    Pool pool{scratch.running_pool(context)};
    std::string a{scratch.target() + "/a"};
    std::string secret{scratch.directory / "secret"};
    std::string other{scratch.directory / "other"};
    int done{};
    int refused{};

    Stage()
    {
        scratch.directory.write("pool/a", volume_content);
        scratch.directory.write("secret", secret_content);
        REQUIRE(::chmod(secret.c_str(), 0600) == 0);
        pool.refresh();
    }

    /** a becomes what `other` is, and back. */
    void exchange() const
    {
        ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
    }

    void attempt(const char* what, const std::function<void()>& call)
    {
        const auto error = error_of(call);
        INFO(what << ": " << error.what());
        CHECK(error.code() != ErrorCode::internal);
        ++(error.code() == ErrorCode{} ? done : refused);
    }

    void try_all(Volume volume)
    {
        scratch.directory.write("content", volume_content);
        for (int i = 0; i < 60; ++i) {
            attempt("upload", [&] {
                const OpenFile file(scratch.directory / "content");
                volume.upload(file.fd());
            });
            attempt("wipe", [&] { volume.wipe(WipeAlgorithm::random); });
            attempt("grow", [&] {
                volume.resize(600000 + static_cast<std::uint64_t>(i), ResizeFlags::none);
            });
            attempt("shrink", [&] { volume.resize(300000, ResizeFlags::shrink); });
            attempt("rename", [&] { Volume(volume).rename("b"); });
            const auto b = scratch.target() + "/b";
            if (::renameat2(AT_FDCWD, b.c_str(), AT_FDCWD, a.c_str(), RENAME_NOREPLACE) == 0)
                pool.refresh();
        }
    }

    void check_secret() const
    {
        CHECK((scratch.directory.read("secret") == secret_content));
        struct stat info {};
        REQUIRE(::lstat(secret.c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0600);
        CHECK(S_ISREG(info.st_mode));
    }
};

} // namespace

TEST_CASE("what takes the place of a volume is not changed by who means the volume",
          "[faults][races]")
{
    const std::pair<const char*, int (*)(const char*, const char*)> tricks[] = {
        {"a link to elsewhere", ::symlink}, {"another file's second name", ::link}};
    for (const auto& [what, make] : tricks) {
        INFO(what);
        Stage stage;
        REQUIRE(make(stage.secret.c_str(), stage.other.c_str()) == 0);
        const auto volume = stage.pool.find_volume("a");
        const auto meant = volume.expecting(volume.identity());
        {
            const Meanwhile meanwhile([&] {
                stage.exchange();
                rest();
            });
            stage.try_all(meant);
        }
        stage.check_secret();
        std::cout << "# " << what << ": " << stage.done << " calls done, " << stage.refused
                  << " refused\n";
    }
}

TEST_CASE("who may write above a pool's directory cannot have another one changed",
          "[faults][races]")
{
    Stage stage;
    const auto& directory = stage.scratch.directory;
    std::filesystem::create_directory(directory / "victim");
    const auto link = directory / "link", target = stage.scratch.target();
    std::filesystem::create_directory_symlink(directory / "victim", link);
    for (const auto* name : {"a", ".basin-upload-new"})
        directory.write("victim/" + std::string(name), secret_content);
    const auto is_whole = [&](const char* name) {
        return directory.read("victim/" + std::string(name)) == secret_content;
    };
    directory.write("content", volume_content);
    std::string read;
    {
        const Meanwhile meanwhile([&] {
            ::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE);
            rest();
        });
        for (int i = 0; i < 400; ++i) {
            // Where the pool shows at the moment its volumes are made anew.
            stage.attempt("make", [&] { stage.pool.create_volume(raw_volume("a", 300000)); });
            stage.attempt("read", [&] {
                stage.pool.find_volume("a").download(
                    WriteCallback([&](std::span<const std::byte> data, std::uint64_t) {
                        read.append(reinterpret_cast<const char*>(data.data()),
                                    std::min<std::size_t>(data.size(), 100));
                    }));
            });
            stage.attempt("write", [&] {
                const OpenFile file(directory / "content");
                stage.pool.find_volume("a").upload(file.fd());
            });
            stage.attempt("copy", [&] {
                stage.pool.create_volume_from(raw_volume("c", 0), stage.pool.find_volume("a"));
            });
            for (const auto* place : {"pool/c", "link/c"})
                if (directory.exists(place))
                    CHECK_FALSE((directory.read(place) == secret_content));
            stage.attempt("delete", [&] { stage.pool.find_volume("c").delete_storage(); });
            stage.attempt("grow", [&] { stage.pool.find_volume("a").resize(700000); });
            stage.attempt("shrink",
                          [&] { stage.pool.find_volume("a").resize(300000, ResizeFlags::shrink); });
            stage.attempt("wipe", [&] { stage.pool.find_volume("a").wipe(WipeAlgorithm::random); });
            stage.attempt("discard", [&] { stage.pool.discard_upload("new"); });
            stage.attempt("rename", [&] { stage.pool.find_volume("a").rename("b"); });
            stage.attempt("delete", [&] { stage.pool.find_volume("b").delete_storage(); });
            stage.attempt("delete", [&] { stage.pool.find_volume("a").delete_storage(); });
            REQUIRE(is_whole("a"));
            REQUIRE(is_whole(".basin-upload-new"));
        }
    }
    CHECK(stage.done > 0);
    CHECK(stage.refused > 0); // else nobody was in the way
    CHECK(directory.count("victim") == 2);
    CHECK(read.find(secret_content.substr(0, 100)) == read.npos);
    std::cout << "# " << stage.done << " calls done, " << stage.refused << " refused\n";
}

TEST_CASE("a link in place of a directory that is made gives no other one its attributes",
          "[faults][races]")
{
    for (const std::string below : {"", "/leaf"}) {
        Scratch scratch;
        const auto victim = scratch.directory / "victim";
        std::filesystem::create_directories(victim + "/leaf");
        Context context(scratch.options());
        auto def = scratch.dir_pool();
        def.target.path += below;
        def.target.permissions.mode = 0700;
        context.define_pool(def);
        bool swapped = false;
        const auto result = trace(
            [&] {
                Context own(scratch.options());
                mark();
                return error_code([&] { own.find_pool("pool").build(); }) == ErrorCode{} ? 0 : 1;
            },
            true,
            [&](const TracedCall&) -> Fate {
                for (const auto& path : leftovers(scratch.directory.path()))
                    if (!swapped && path.find("/root/") == std::string::npos) {
                        std::filesystem::rename(path, path + ".away");
                        std::filesystem::create_directory_symlink(victim, path);
                        swapped = true;
                    }
                return {};
            });
        CHECK(swapped);
        CHECK(result.status == 1);
        using std::filesystem::perms;
        for (const auto& directory : {victim, victim + "/leaf"})
            CHECK((std::filesystem::status(directory).permissions() & perms::others_exec) !=
                  perms::none);
    }
}

TEST_CASE("a new volume lands in the pool, whatever stands at its name", "[faults][races]")
{
    Stage stage;
    const auto name = stage.scratch.target() + "/new";
    {
        const Meanwhile meanwhile([&] {
            if (::symlink(stage.secret.c_str(), name.c_str()) == 0)
                ::unlink(name.c_str());
            // A name that only the call knows is guessed from the listing.
            for (const auto& entry : std::filesystem::directory_iterator(stage.scratch.target())) {
                const auto path = entry.path().string();
                if (path.find("/.basin-") != path.npos && ::unlink(path.c_str()) == 0)
                    static_cast<void>(!::symlink(stage.secret.c_str(), path.c_str()));
            }
        });
        stage.scratch.directory.write("content", volume_content);
        for (int i = 0; i < 100; ++i) {
            stage.attempt("create", [&] {
                stage.pool.create_volume(raw_volume("new", 100000, 100000)).delete_storage();
            });
            stage.attempt("create qcow2", [&] {
                stage.pool.create_volume(volume_def("new", "qcow2", mib)).delete_storage();
            });
            stage.attempt("upload", [&] {
                const OpenFile file(stage.scratch.directory / "content");
                stage.pool.upload_volume(raw_volume("new", 0), file.fd()).delete_storage();
            });
            stage.attempt("create a directory", [&] {
                stage.pool.create_volume(volume_def("new", "dir", 0)).delete_storage();
            });
        }
    }
    stage.check_secret();
    std::cout << "# " << stage.done << " calls done, " << stage.refused << " refused\n";
    CHECK(stage.done > 0);
}

TEST_CASE("what is put in place of the directory that a program works in stays as it is",
          "[faults][races]")
{
    if (!have("qemu-img")) {
        WARN("skipped: no qemu-img");
        return;
    }
    const std::string what = GENERATE("a link", "another user's directory", "one of our own");
    const bool linked = what == "a link", foreign = what == "another user's directory";
    if (foreign && ::geteuid() != 0)
        return; // nobody else's directory can be made
    INFO(what);
    // At its first look the program has not begun; later it has made its file.
    for (const int turn : {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24}) {
        INFO("at look " << turn);
        Stage stage;
        const auto victim = stage.scratch.directory / "victim";
        std::filesystem::create_directory(victim);
        if (foreign)
            REQUIRE(::chown(victim.c_str(), 65534, 65534) == 0);
        stage.scratch.directory.write("victim/new", secret_content);
        stage.scratch.directory.write("victim/other", secret_content);
        std::string place = "victim";
        int looks = 0;
        bool swapped = false;
        trace(
            [&] {
                Context own(stage.scratch.options());
                mark();
                error_of(
                    [&] { own.find_pool("pool").create_volume(volume_def("new", "vmdk", mib)); });
                return 0;
            },
            true,
            [&](const TracedCall&) -> Fate {
                for (const auto& path : leftovers(stage.scratch.target()))
                    if (!swapped && looks++ == turn) {
                        std::filesystem::rename(path, path + ".away");
                        if (linked) {
                            std::filesystem::create_directory_symlink(victim, path);
                        } else {
                            std::filesystem::rename(victim, path);
                            place = "pool" + path.substr(path.rfind('/'));
                        }
                        swapped = true;
                    }
                return {};
            });
        Context(stage.scratch.options()).recover();
        CHECK((stage.scratch.directory.read(place + "/new") == secret_content));
        CHECK(stage.scratch.directory.count(place) == 2);
        struct stat info {};
        REQUIRE(::stat((stage.scratch.directory / place).c_str(), &info) == 0);
        CHECK(info.st_uid == (foreign ? 65534 : ::geteuid()));
        if (!swapped)
            break;
    }
}

TEST_CASE("another directory in place of one that becomes a volume keeps its attributes",
          "[faults][races]")
{
    bool swapped = true;
    for (int turn = 0; swapped && turn < 40; ++turn) {
        INFO("at look " << turn);
        Stage stage;
        const auto victim = stage.scratch.target() + "/victim";
        std::filesystem::create_directory(victim);
        stage.scratch.directory.write("pool/victim/private", secret_content);
        REQUIRE(::chmod(victim.c_str(), 0700) == 0);
        struct stat before {
        }, after{};
        REQUIRE(::stat(victim.c_str(), &before) == 0);
        int looks = 0;
        swapped = false;
        trace(
            [&] {
                Context own(stage.scratch.options());
                mark();
                auto def = volume_def("new", "dir", 0);
                def.target.permissions.mode = 0755;
                error_of([&] { own.find_pool("pool").create_volume(def); });
                return 0;
            },
            true,
            [&](const TracedCall&) -> Fate {
                for (const auto& path : leftovers(stage.scratch.target()))
                    if (!swapped && looks++ == turn)
                        swapped = ::rename(victim.c_str(), path.c_str()) == 0;
                return {};
            });
        Context(stage.scratch.options()).recover();
        // Wherever it is by now: a rename is all that the other user can do.
        for (const auto& entry : std::filesystem::directory_iterator(stage.scratch.target()))
            if (::stat(entry.path().c_str(), &after) == 0 && after.st_ino == before.st_ino)
                break;
        REQUIRE(after.st_ino == before.st_ino);
        CHECK((after.st_mode & 07777) == 0700);
    }
}

TEST_CASE("another file in place of an unfinished upload does not become the volume",
          "[faults][races]")
{
    bool swapped = true;
    int turns = 0;
    for (int turn = 0; swapped && turn < 60; ++turn) {
        INFO("at look " << turn);
        Stage stage;
        stage.scratch.directory.write("pool/mine", secret_content);
        const auto mine = stage.scratch.target() + "/mine";
        const auto partial = stage.scratch.target() + "/.basin-upload-new";
        REQUIRE(::chmod(mine.c_str(), 0600) == 0);
        struct stat before {
        }, after{};
        REQUIRE(::stat(mine.c_str(), &before) == 0);
        stage.scratch.directory.write("content", volume_content);
        int looks = 0;
        swapped = false;
        const auto result = trace(
            [&] {
                Context own(stage.scratch.options());
                auto def = raw_volume("new", 0);
                def.target.permissions.mode = 0644;
                const OpenFile file(stage.scratch.directory / "content");
                mark();
                const auto error = error_of([&] {
                    own.find_pool("pool").upload_volume(def, file.fd(), {.resumable = true});
                });
                return error.code() == ErrorCode{} ? 0 : 1;
            },
            true,
            [&](const TracedCall&) -> Fate {
                if (!swapped && ::access(partial.c_str(), F_OK) == 0 && looks++ == turn)
                    swapped = ::rename(mine.c_str(), partial.c_str()) == 0;
                return {};
            });
        turns += swapped;
        if (result.status == 0)
            CHECK((stage.scratch.directory.read("pool/new") == volume_content));
        for (const auto& entry : std::filesystem::directory_iterator(stage.scratch.target()))
            if (::stat(entry.path().c_str(), &after) == 0 && after.st_ino == before.st_ino)
                break;
        REQUIRE(after.st_ino == before.st_ino);
        CHECK((after.st_mode & 07777) == 0600);
    }
    CHECK(turns > 0);
}

TEST_CASE("nothing is written below a file system that comes and goes", "[faults][races]")
{
    Scratch scratch;
    const auto target = scratch.target(), below = scratch.directory / "below";
    std::filesystem::create_directory(target);
    std::filesystem::create_directory(below);
    scratch.directory.write("mark", "");
    int done = 0, refused = 0;
    {
        const Mount file_system("tmpfs", below, "tmpfs");
        if (!file_system ||
            ::mount(below.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
            WARN("skipped: needs root, to mount");
            return;
        }
        Context context(scratch.options());
        auto pool = scratch.running_pool(context);
        {
            const Meanwhile meanwhile([&] {
                ::umount2(target.c_str(), MNT_DETACH);
                rest();
                ::mount(below.c_str(), target.c_str(), nullptr, MS_BIND, nullptr);
                rest();
            });
            for (int i = 0; i < 300; ++i) {
                const auto name = "v" + std::to_string(i);
                const auto error =
                    error_of([&] { pool.create_volume(raw_volume(name, 4096, 4096)); });
                INFO(error.what());
                CHECK(error.code() != ErrorCode::internal);
                ++(error.code() == ErrorCode{} ? done : refused);
            }
        }
        while (::umount2(target.c_str(), MNT_DETACH) == 0) {
        }
        CHECK(scratch.directory.count("below") >= static_cast<std::size_t>(done));
    }
    CHECK(scratch.directory.count("pool") == 0);
    std::cout << "# " << done << " volumes made, " << refused << " refused\n";
}
