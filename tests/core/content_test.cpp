// SPDX-License-Identifier: LGPL-2.1-or-later
// What volumes contain: created, copied, transferred, resized, wiped; by image format.
#include "file_io.hpp"
#include "scratch.hpp"

#include <algorithm>
#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;

VolumeDef volume_def(const std::string& name, const std::string& format,
                     std::uint64_t capacity = 4 * mib)
{
    auto def = raw_volume(name, capacity);
    def.target.format = format;
    return def;
}

bool have(const char* tool)
{
    return std::system((std::string("command -v ") + tool + " >/dev/null 2>&1").c_str()) == 0;
}

/** Bytes that do not repeat soon. */
std::string pattern(std::size_t size, unsigned seed = 1)
{
    std::string text(size, '\0');
    std::uint64_t state = seed;
    for (auto& c : text) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        c = static_cast<char>(state >> 56);
    }
    return text;
}

std::string first_fact(const Job& job, const std::string& name)
{
    const auto facts = job.facts();
    const auto found = facts.find(name);
    return found == facts.end() ? std::string() : found->second;
}

/** A pipe that gives some bytes and ends. */
class Giver {
public:
    explicit Giver(std::string bytes)
    {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        read_end_ = ends[0];
        writer_ = std::thread([text = std::move(bytes), fd = ends[1]] {
            sigset_t broken_pipe; // the reader may have had enough
            ::sigemptyset(&broken_pipe);
            ::sigaddset(&broken_pipe, SIGPIPE);
            ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
            for (std::size_t done = 0; done < text.size();) {
                const auto n = ::write(fd, text.data() + done, text.size() - done);
                if (n <= 0)
                    break;
                done += static_cast<std::size_t>(n);
            }
            ::close(fd);
        });
    }
    ~Giver()
    {
        ::close(read_end_);
        writer_.join();
    }
    int fd() const { return read_end_; }

private:
    int read_end_{};
    std::thread writer_{};
};

int open_for_reading(const std::string& path)
{
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

} // namespace

TEST_CASE("every creatable format is created and recognised", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const auto format : find_backend("dir")->creatable_formats) {
        const std::string name =
            "v," + std::string(format) + "=1"; // what an option list would trip over
        INFO(format);
        auto def = volume_def(name, std::string(format), 64 * mib);
        auto volume = pool.create_volume(def);
        if (format == "dir")
            continue;
        const auto info = volume.inspect();
        CHECK(to_string(info.format) == (format == "vhd"         ? "vpc"
                                         : format == "parallels" ? "ploop" // its name today
                                                                 : format));
        CHECK(volume.info().capacity == 64 * mib);
        CHECK(info.findings.empty());
        CHECK((volume.definition().target.permissions.mode == 0600u));
    }
    CHECK(pool.volume_count() == find_backend("dir")->creatable_formats.size());
}

TEST_CASE("a volume's own description describes a copy of it", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const auto format : find_backend("dir")->creatable_formats) {
        if (format == "dir")
            continue;
        INFO(format);
        const std::string name(format);
        const auto volume = pool.create_volume(volume_def(name, name, 2 * mib));
        auto def = volume.definition();
        def.name = name + "-copy";
        CHECK(pool.create_volume_from(def, volume).inspect() == volume.inspect());
        for (const auto& said : {name, def.target.format}) {
            auto up = volume_def(name + "-up", said, 0);
            auto uploaded = pool.upload_volume(up, open_for_reading(volume.path()));
            CHECK(uploaded.inspect() == volume.inspect());
            uploaded.delete_storage();
        }
        def.name = name + "-like";
        const auto like = pool.create_volume(
            parse_volume(format_volume(def, "dir"), "dir", VolumePurpose::create));
        CHECK(like.definition().target.format == volume.definition().target.format);
        CHECK(like.info().capacity == 2 * mib);
    }
}

TEST_CASE("a copy of an image with a data file has its data in itself", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pool.create_volume(raw_volume("data", mib));
    auto def = volume_def("image", "qcow2", mib);
    def.target.data_file = DataFile{.path = data.path(), .raw = true};
    const auto image = pool.create_volume(def);
    scratch.directory.write("pool/data", pattern(mib));
    auto same = image.definition();
    same.name = "copy";
    const auto copy = pool.create_volume_from(same, image);
    CHECK_FALSE(copy.inspect().data_file);
    pool.create_volume_from(volume_def("back", "raw", 0), copy);
    CHECK((scratch.directory.read("pool/back") == pattern(mib)));
}

TEST_CASE("a copy that is said to be on its source's backing image is on it", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    const auto content = [&](const Volume& volume) {
        pool.create_volume_from(volume_def("content", "raw", 0), volume);
        auto text = scratch.directory.read("pool/content");
        pool.find_volume("content").delete_storage();
        return text;
    };
    Job job;
    const auto copy = [&](Pool& to, const Volume& source, const std::string& name, auto&& change) {
        auto def = source.definition();
        def.name = name;
        change(def);
        return to.create_volume_from(def, source, {}, &job);
    };
    const auto same = [](VolumeDef&) {};
    for (const std::string format : {"qcow2", "qed", "qcow"}) {
        INFO(format);
        const auto base = pool.create_volume(volume_def("base-" + format, "raw", 4 * mib));
        scratch.directory.write("pool/base-" + format, pattern(4 * mib));
        auto def = volume_def(format, format, 4 * mib);
        def.backing = {{.path = "base-" + format, .format = "raw"}};
        const auto top = pool.create_volume(def);
        // What it has of its own, zeros among it.
        REQUIRE(std::system(("qemu-io -f " + format + " -c 'write -P 7 0 1M' -c 'write -z 1M 1M' " +
                             top.path() + " > /dev/null")
                                .c_str()) == 0);
        const auto shown = content(top);
        CHECK((shown.substr(0, mib) == std::string(mib, 7)));

        const auto beside = copy(pool, top, format + "-beside", same);
        CHECK(first_fact(job, "method") != "qemu-img");
        CHECK(beside.inspect().backing->path == "base-" + format);
        CHECK((content(beside) == shown));

        const auto away = copy(other, top, format + "-away", same);
        CHECK(first_fact(job, "method") == "qemu-img");
        CHECK(away.inspect().backing->path == base.path());
        CHECK(away.info().allocation < 3 * mib);
        CHECK((content(away) == shown));
        copy(other, away, format + "-again", same);
        CHECK(first_fact(job, "method") != "qemu-img");

        const auto larger =
            copy(pool, top, format + "-larger", [](VolumeDef& d) { d.capacity = 6 * mib; });
        CHECK(larger.definition().backing.size() == 1);
        CHECK((content(larger) == shown + std::string(2 * mib, '\0')));

        const auto flat =
            copy(other, top, format + "-flat", [](VolumeDef& d) { d.backing.clear(); });
        CHECK(flat.definition().backing.empty());
        CHECK((content(flat) == shown));
        CHECK(error_code([&] {
                  copy(pool, top, format + "-else",
                       [&](VolumeDef& d) { d.backing[0].path = top.path(); });
              }) == ErrorCode::not_supported);
    }
    // Behind the end of a source that is smaller than what it is on, that would be seen.
    auto def = volume_def("small", "qcow2", mib);
    def.backing = {{.path = pool.find_volume("base-qcow2").path(), .format = "raw"}};
    const auto small = pool.create_volume(def);
    CHECK(error_code([&] {
              copy(pool, small, "grown", [](VolumeDef& d) { d.capacity = 2 * mib; });
          }) == ErrorCode::not_supported);
    CHECK((content(copy(pool, small, "kept", same)) == pattern(4 * mib).substr(0, mib)));
}

TEST_CASE("an image is made with the capacity that was asked for, or not at all", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto create = [&](const std::string& format, std::uint64_t capacity) {
        INFO(format << ' ' << capacity);
        return error_code([&] { pool.create_volume(volume_def("image", format, capacity)); });
    };
    constexpr std::uint64_t most = INT64_MAX;
    for (const auto* format : {"qcow", "qed", "vdi", "vpc", "vhd", "vhdx", "ploop", "parallels"})
        CHECK(create(format, most) == ErrorCode::invalid_argument);
    CHECK(create("qcow", std::uint64_t{7} << 60) == ErrorCode::invalid_argument);
    CHECK(create("qcow", 0) == ErrorCode::invalid_argument);
    CHECK(create("vmdk", 0) == ErrorCode::invalid_argument);
    CHECK(create("vmdk", most) == ErrorCode::command_failed);
    CHECK(scratch.directory.count("pool") == 0);
    CHECK(create("vpc", 2040 * 1024 * mib) == ErrorCode{});
    CHECK(pool.find_volume("image").info().capacity == 2040 * 1024 * mib);
}

TEST_CASE("a damaged image is neither copied nor resized", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    pool.create_volume(volume_def("image", "qcow2"));
    scratch.directory.write("pool/image", scratch.directory.read("pool/image").substr(0, 65536));
    auto image = pool.find_volume("image");
    REQUIRE_FALSE(image.inspect().findings.empty());
    for (const auto* format : {"qcow2", "raw"})
        CHECK(error_code([&] { pool.create_volume_from(volume_def("copy", format, 0), image); }) ==
              ErrorCode::invalid_state);
    CHECK(error_code([&] { image.resize(8 * mib); }) == ErrorCode::invalid_state);
    CHECK(scratch.directory.count("pool") == 1);
}

TEST_CASE("an image whose data lie in other files is not wiped", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    REQUIRE(std::system(("qemu-img create -q -f vmdk -o subformat=monolithicFlat '" +
                         scratch.directory / "pool/flat.vmdk" + "' 1M")
                            .c_str()) == 0);
    REQUIRE(std::system(("qemu-img create -q -f qcow2 -o data_file='" +
                         scratch.directory / "pool/data" + "' '" +
                         scratch.directory / "pool/image" + "' 1M")
                            .c_str()) == 0);
    pool.refresh();
    for (const std::string name : {"flat.vmdk", "image"}) {
        const auto before = scratch.directory.read("pool/" + name);
        CHECK(error_code([&] { pool.find_volume(name).wipe(); }) == ErrorCode::not_supported);
        CHECK((scratch.directory.read("pool/" + name) == before));
    }
}

TEST_CASE("clones of every kind have the same content, and the job tells how", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    auto source = pool.create_volume(raw_volume("source", 8 * mib));
    const auto data = pattern(2 * mib) + std::string(6 * mib, '\0');
    scratch.directory.write("pool/source", data);
    source.refresh();
    Job job;

    auto image = other.create_volume_from(volume_def("image", "qcow2", 0), source,
                                          CreateFlags::digest, &job);
    CHECK(first_fact(job, "method") == "qemu-img");
    CHECK(first_fact(job, "sha256").size() == 64);
    CHECK(image.info().capacity == 8 * mib);
    CHECK(image.inspect().format == ImageFormat::qcow2);

    auto same = other.create_volume_from(volume_def("same", "qcow2", 0), image, {}, &job);
    CHECK(first_fact(job, "method") != "qemu-img");
    CHECK((scratch.directory.read("other/same") == scratch.directory.read("other/image")));

    auto larger = pool.create_volume_from(volume_def("larger", "qcow2", 16 * mib), image, {}, &job);
    CHECK(first_fact(job, "method") == "qemu-img");
    CHECK(larger.info().capacity == 16 * mib);

    pool.create_volume_from(volume_def("back", "raw", 0), image, {}, &job);
    CHECK((scratch.directory.read("pool/back") == data));

    CHECK(error_code([&] {
              pool.create_volume_from(volume_def("shared", "raw", 0), image, CreateFlags::reflink);
          }) == ErrorCode::not_supported);

    auto linked =
        pool.create_volume_from(volume_def("linked", "raw", 0), image, CreateFlags::linked, &job);
    REQUIRE(linked.definition().backing.size() == 1);
    CHECK(linked.definition().backing[0].format == "qcow2");
    CHECK(linked.info().capacity == 8 * mib);
    CHECK(linked.info().allocation < mib);
    REQUIRE(image.dependents().size() == 1);
    CHECK(image.dependents()[0].name() == "linked");
    CHECK(error_code([&] { image.delete_storage(); }) == ErrorCode::busy);
    CHECK(image.blockers().at(0).kind == BlockerKind::backing_image);
    REQUIRE(other.blockers().size() == 1);
    CHECK(other.blockers()[0].message.find("'linked'") != std::string::npos);
    CHECK(pool.blockers().empty());

    // A copy of what is based on something else stands on its own.
    pool.create_volume_from(volume_def("flat", "qcow2", 0), linked, {}, &job);
    CHECK(first_fact(job, "method") == "qemu-img");
    CHECK(pool.find_volume("flat").definition().backing.empty());

    const auto chain = linked.chain();
    REQUIRE(chain.size() == 2);
    CHECK(chain[1].state == ChainState::ok);
    CHECK(chain[1].pool_name == "other");
    image.delete_storage(BlockerKind::backing_image);
    CHECK(linked.chain().at(1).state == ChainState::missing);
}

TEST_CASE("a volume does not lead to files that no pool has", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("secret", pattern(mib));
    auto def = volume_def("trap", "qcow2", mib);
    def.backing = {{.path = scratch.directory / "secret", .format = "raw"}};
    auto trap = pool.create_volume(def); // who defines it may name it
    CHECK(trap.chain().at(1).state == ChainState::outside);
    CHECK(error_code([&] { pool.create_volume_from(volume_def("copy", "raw", 0), trap); }) ==
          ErrorCode::not_supported);
    CHECK_FALSE(scratch.directory.exists("pool/copy"));
    // A reference may bring in more than the file that it names.
    pool.create_volume(volume_def("base", "qcow2", mib));
    const auto base = scratch.directory / "pool/base";
    const auto json = "json:{\"driver\":\"qcow2\",\"file.filename\":\"" + base +
                      "\",\"backing.filename\":\"" + (scratch.directory / "secret") + "\"}";
    REQUIRE(std::system(("qemu-img create -q -u -f qcow2 -F qcow2 -b '" + json + "' " +
                         (scratch.directory / "pool/more") + " 1M")
                            .c_str()) == 0);
    auto more = pool.find_volume("more");
    CHECK(more.chain().at(1).state == ChainState::network);
    CHECK(error_code([&] { pool.create_volume_from(volume_def("copy", "raw", 0), more); }) ==
          ErrorCode::not_supported);
    CHECK_FALSE(scratch.directory.exists("pool/copy"));
    // An upload of the same image is refused unless the reference is asked for.
    const int fd = open_for_reading(trap.path());
    CHECK(error_code([&] { pool.upload_volume(volume_def("up", "qcow2", 0), fd); }) ==
          ErrorCode::invalid_argument);
    CHECK_FALSE(scratch.directory.exists("pool/up"));
    auto allowed = volume_def("up", "qcow2", 0);
    allowed.backing = def.backing;
    allowed.backing[0].format = "qcow2"; // the image says raw
    ::lseek(fd, 0, SEEK_SET);
    CHECK(error_code([&] { pool.upload_volume(allowed, fd); }) == ErrorCode::invalid_argument);
    allowed.backing = def.backing;
    ::lseek(fd, 0, SEEK_SET);
    pool.upload_volume(allowed, fd);
    CHECK(pool.find_volume("up").info().capacity == mib);
    ::close(fd);
}

TEST_CASE("a program is not let loose on data files that no pool has", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto secret = scratch.directory / "secret";
    scratch.directory.write("secret", pattern(mib));
    const auto make = [&](const std::string& name, const std::string& data) {
        const auto path = scratch.directory / "pool/" + name;
        REQUIRE(std::system(("qemu-img create -q -f qcow2 -o data_file=" + data +
                             ",data_file_raw=on " + path + " 2M")
                                .c_str()) == 0);
        return context.find_pool("pool").find_volume(name);
    };
    auto trap = make("trap", scratch.directory / "other");
    // As if the header had been written by who cannot read the file.
    REQUIRE(std::system(
                ("qemu-img amend -f qcow2 -o data_file=" + secret + ' ' + trap.path()).c_str()) ==
            0);
    scratch.directory.write("secret", pattern(mib));
    REQUIRE(trap.inspect().data_file);
    REQUIRE(trap.inspect().data_file->path == secret);
    CHECK(error_code([&] { pool.create_volume_from(volume_def("copy", "raw", 0), trap); }) ==
          ErrorCode::not_supported);
    CHECK_FALSE(scratch.directory.exists("pool/copy"));
    CHECK(error_code([&] { trap.resize(4 * mib); }) == ErrorCode::not_supported);
    CHECK(error_code([&] { trap.create_snapshot("s"); }) == ErrorCode::not_supported);
    CHECK((scratch.directory.read("secret") == pattern(mib)));

    // A VMDK descriptor is text that anybody can write.
    scratch.directory.write("pool/vmdk", "# Disk DescriptorFile\nversion=1\nCID=12345678\n"
                                         "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
                                         "RW 2048 FLAT \"" +
                                             secret + "\" 0\n");
    auto text = pool.find_volume("vmdk");
    REQUIRE(text.inspect().format == ImageFormat::vmdk);
    CHECK(error_code([&] { pool.create_volume_from(volume_def("copy", "raw", 0), text); }) ==
          ErrorCode::not_supported);
    CHECK_FALSE(scratch.directory.exists("pool/copy"));

    // Both files in the pool are what the pool's owner put there.
    auto both = make("both", scratch.directory / "pool/both.data");
    pool.refresh();
    pool.create_volume_from(volume_def("copy", "raw", 0), both);
    CHECK(pool.find_volume("copy").info().capacity == 2 * mib);
}

TEST_CASE("volumes grow and shrink as asked, and not below what they have unasked", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const std::string format : {"raw", "qcow2"}) {
        INFO(format);
        auto volume = pool.create_volume(volume_def(format, format));
        volume.resize(8 * mib);
        CHECK(volume.info().capacity == 8 * mib);
        volume.resize(2 * mib, ResizeFlags::delta);
        CHECK(volume.info().capacity == 10 * mib);
        CHECK(error_code([&] { volume.resize(mib); }) == ErrorCode::invalid_argument);
        CHECK(volume.info().capacity == 10 * mib);
        volume.resize(3 * mib, ResizeFlags::delta | ResizeFlags::shrink);
        CHECK(volume.info().capacity == 7 * mib);
        volume.resize(mib, ResizeFlags::shrink);
        CHECK(volume.info().capacity == mib);
        if (format == "raw") { // qemu-img makes no qcow2 image so small
            volume.resize(100 * mib, ResizeFlags::delta | ResizeFlags::shrink);
            CHECK(volume.info().capacity == 0);
        }
        volume.resize(3 * mib, ResizeFlags::allocate);
        CHECK(volume.info().capacity == 3 * mib);
        CHECK(volume.info().allocation >= 2 * mib); // what is added
        CHECK(error_code([&] { volume.resize(UINT64_MAX, ResizeFlags::delta); }) ==
              ErrorCode::invalid_argument);
    }
    for (const std::string format : {"ploop", "vdi", "vpc", "vhdx", "vmdk", "qcow"}) {
        INFO(format);
        auto volume = pool.create_volume(volume_def(format, format));
        CHECK(error_code([&] { volume.resize(8 * mib); }) == ErrorCode::not_supported);
    }
    auto qed = pool.create_volume(volume_def("qed", "qed"));
    CHECK(error_code([&] { qed.resize(8 * mib, ResizeFlags::allocate); }) ==
          ErrorCode::not_supported);
    qed.resize(8 * mib);
    CHECK(qed.info().capacity == 8 * mib);
    // Fully allocated raw volumes shrink, too.
    auto full = raw_volume("full", 4 * mib, 4 * mib);
    auto volume = pool.create_volume(full);
    volume.resize(mib, ResizeFlags::shrink);
    CHECK(volume.info().allocation <= mib + 65536);
}

TEST_CASE("a volume is renamed in place and never over another", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    pool.create_volume(raw_volume("taken"));
    const auto identity = volume.identity();
    volume.rename("b");
    CHECK(volume.name() == "b");
    CHECK(volume.identity() == identity);
    CHECK(pool.volume_count() == 2);
    CHECK(error_code([&] { volume.rename("taken"); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { volume.rename("x/y"); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { volume.rename(".basin-x"); }) == ErrorCode::invalid_argument);
    CHECK(volume.name() == "b");
    CHECK(error_code([&] { pool.find_volume("a"); }) == ErrorCode::not_found);
}

TEST_CASE("what is open is neither deleted nor changed unasked", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("a"));
    const int fd = open_for_reading(volume.path());
    const auto blockers = volume.blockers();
    REQUIRE(blockers.size() == 1);
    CHECK(blockers[0].kind == BlockerKind::open);
    CHECK(blockers[0].pid == ::getpid());
    CHECK(pool.blockers().size() == 1);
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.resize(2 * mib); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.wipe(); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.rename("b"); }) == ErrorCode::busy);
    CHECK(error_code([&] { volume.wipe({}, BlockerKind::backing_image); }) == ErrorCode::busy);
    volume.resize(2 * mib, {}, BlockerKind::open);
    CHECK(volume.info().capacity == 2 * mib);
    ::close(fd);
    CHECK(volume.blockers().empty());
    volume.delete_storage();
}

TEST_CASE("what other programs based on a volume since the last look keeps it", "[content]")
{
    if (!have("qemu-img"))
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto other = scratch.running_pool(context, "other");
    auto base = pool.create_volume(raw_volume("base", mib));
    REQUIRE(pool.volume_count() + other.volume_count() == 1);
    const auto path = scratch.directory / "other/overlay";
    REQUIRE(std::system(("qemu-img create -q -f qcow2 -F raw -b " +
                         (scratch.directory / "pool/base") + ' ' + path)
                            .c_str()) == 0);
    CHECK(base.dependents().size() == 1);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
    const Giver pipe("x");
    CHECK(error_code([&] { base.upload(pipe.fd()); }) == ErrorCode::busy);
    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK(base.upload(pipe.fd()) == 1);
    base.delete_storage();
}

TEST_CASE("what other programs write into a file that is known already counts, too", "[content]")
{
    if (!have("qemu-img"))
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto base = pool.create_volume(raw_volume("base", mib));
    const auto path = scratch.directory / "pool/overlay";
    scratch.directory.write("pool/overlay", "");
    CHECK(base.dependents().empty());
    REQUIRE(pool.volume_count() == 2);
    const auto make_overlay =
        "qemu-img create -q -f qcow2 -F raw -b " + (scratch.directory / "pool/base") + ' ' + path;
    REQUIRE(std::system(make_overlay.c_str()) == 0);
    CHECK(base.dependents().size() == 1);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);

    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK(base.dependents().empty());
    for (int i = 0; i < 20000; ++i) { // more than the kernel keeps for one reader
        const auto name = path + std::to_string(i % 2000);
        scratch.directory.write("pool/overlay" + std::to_string(i % 2000), "");
        REQUIRE(::unlink(name.c_str()) == 0);
    }
    REQUIRE(std::system(make_overlay.c_str()) == 0);
    CHECK(base.dependents().size() == 1);
    CHECK(error_code([&] { base.delete_storage(); }) == ErrorCode::busy);
}

TEST_CASE("a damaged image is deleted like any other", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    scratch.directory.write("pool/damaged",
                            std::string("QFI\xfb\0\0\0\3", 8) + std::string(65528, '\xff'));
    auto volume = pool.find_volume("damaged");
    CHECK(volume.blockers().empty());
    volume.delete_storage();
    CHECK(scratch.directory.count("pool") == 0);
}

TEST_CASE("wiping leaves nothing of the content, and holes where they were", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const std::string marker = "SENSITIVE-CONTENT";
    for (int algorithm = 0; algorithm <= static_cast<int>(WipeAlgorithm::trim); ++algorithm) {
        INFO(algorithm);
        const auto name = "v" + std::to_string(algorithm);
        auto volume = pool.create_volume(raw_volume(name, 4 * mib));
        {
            const int fd = ::open(volume.path().c_str(), O_WRONLY | O_CLOEXEC);
            for (off_t at = 0; at < off_t{128} << 10; at += static_cast<off_t>(marker.size()))
                REQUIRE(::pwrite(fd, marker.data(), marker.size(), at) > 0);
            ::close(fd);
        }
        Job job;
        volume.wipe(static_cast<WipeAlgorithm>(algorithm), {}, &job);
        CHECK(job.progress().done == job.progress().total);
        const auto content = scratch.directory.read("pool/" + name);
        CHECK(content.size() == 4 * mib);
        CHECK(content.find(marker) == std::string::npos);
        CHECK(content.find_first_not_of('\0', 1 << 20) == std::string::npos);
        CHECK(volume.info().allocation < mib);
        switch (static_cast<WipeAlgorithm>(algorithm)) {
        case WipeAlgorithm::zero:
        case WipeAlgorithm::nnsa:
        case WipeAlgorithm::trim:
            CHECK(content.find_first_not_of('\0') == std::string::npos);
            break;
        case WipeAlgorithm::dod: CHECK(static_cast<unsigned char>(content[0]) == 0xff); break;
        case WipeAlgorithm::bsi: CHECK(static_cast<unsigned char>(content[100]) == 0x7f); break;
        default: CHECK((content.substr(0, 4096) != content.substr(4096, 4096)));
        }
    }
}

TEST_CASE("wiping overwrites blocks that only read as zeros", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("v", 4 * mib, 0));
    // As a guest's disk is zeroed: the blocks stay, with what they had.
    const int fd = ::open(volume.path().c_str(), O_RDWR | O_CLOEXEC);
    const auto bytes = pattern(mib);
    REQUIRE(::pwrite(fd, bytes.data(), bytes.size(), mib) == off_t{mib});
    REQUIRE(::fsync(fd) == 0);
    const bool zeroed = ::fallocate(fd, FALLOC_FL_ZERO_RANGE, mib, mib) == 0;
    const auto unwritten = [&] {
        constexpr std::size_t most = 16;
        std::vector<std::uint64_t> buffer((sizeof(::fiemap) + most * sizeof(::fiemap_extent)) / 8);
        auto* const map = reinterpret_cast<::fiemap*>(buffer.data());
        map->fm_length = 4 * mib;
        map->fm_flags = FIEMAP_FLAG_SYNC;
        map->fm_extent_count = most;
        bool any = false;
        if (::ioctl(fd, FS_IOC_FIEMAP, map) == 0)
            for (const auto& extent : std::span(&map->fm_extents[0], map->fm_mapped_extents))
                any |= (extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0;
        return any;
    };
    if (zeroed && unwritten()) {
        volume.wipe(WipeAlgorithm::zero, BlockerKind::open); // by this test
        CHECK_FALSE(unwritten());
        CHECK(volume.info().allocation >= mib);
        CHECK(volume.info().allocation < 2 * mib);
    } else {
        WARN("skipped: the file system zeroes no range, or does not say where its blocks are");
    }
    ::close(fd);
}

TEST_CASE("uploads and downloads through descriptors and callbacks carry every byte", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(mib + 12345) + std::string(mib, '\0') + pattern(5000, 2);
    scratch.directory.write("file", data);
    const auto size = data.size();
    const auto download = [&](const Volume& volume, const TransferOptions& options) {
        std::string found;
        volume.download(WriteCallback([&](std::span<const std::byte> bytes, std::uint64_t hole) {
                            found.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                            found.append(hole, '\0');
                        }),
                        options);
        return found;
    };
    for (const bool sparse : {false, true}) {
        INFO(sparse);
        auto volume = pool.create_volume(raw_volume("v" + std::to_string(sparse), size));
        const TransferOptions options{.sparse = sparse};
        const auto check = [&] {
            CHECK((download(volume, options) == data));
            CHECK((download(volume, {.offset = 1000, .length = 5000, .sparse = sparse}) ==
                   data.substr(1000, 5000)));
            volume.wipe();
        };
        const int file = open_for_reading(scratch.directory / "file");
        CHECK(volume.upload(file, options) == size);
        CHECK(::lseek(file, 0, SEEK_CUR) == static_cast<off_t>(size));
        check();
        ::close(file);
        {
            const Giver pipe(data);
            CHECK(volume.upload(pipe.fd(), options) == size);
        }
        check();
        std::size_t at = 0;
        CHECK(volume.upload(
                  ReadCallback([&](std::span<std::byte> buffer, std::uint64_t& hole) {
                      if (at == mib + 12345 && sparse) {
                          hole = mib;
                          at += mib;
                          return std::size_t{0};
                      }
                      const auto n = std::min({buffer.size(), size - at, std::size_t{777}});
                      std::memcpy(buffer.data(), data.data() + at,
                                  sparse && at < mib + 12345 ? std::min(n, mib + 12345 - at) : n);
                      const auto given =
                          sparse && at < mib + 12345 ? std::min(n, mib + 12345 - at) : n;
                      at += given;
                      return given;
                  }),
                  options) == size);
        check();
    }
    auto volume = pool.create_volume(raw_volume("target", size));
    const int file = open_for_reading(scratch.directory / "file");
    volume.upload(file);
    ::close(file);
    const auto out = scratch.directory / "out";
    const int target = ::open(out.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(volume.download(target, {.sparse = true}) == size);
    CHECK((scratch.directory.read("out") == data));
    ::close(target);
    // A reader that goes away is an error, not a signal.
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    CHECK(error_code([&] { volume.download(ends[1]); }) == ErrorCode::io);
    ::close(ends[1]);
}

TEST_CASE("the four cases of offset and length, and their limits", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(raw_volume("v", 100));
    const auto up = [&](const std::string& text, TransferOptions options) {
        const Giver pipe(text);
        return volume.upload(pipe.fd(), options);
    };
    CHECK(up(std::string(100, 'a'), {}) == 100);
    CHECK(up("bbbb", {.length = 4}) == 4);
    CHECK(up("cc", {.offset = 98}) == 2);
    CHECK(up("dd", {.offset = 50, .length = 2}) == 2);
    auto expected = std::string(100, 'a').replace(0, 4, "bbbb").replace(98, 2, "cc");
    expected.replace(50, 2, "dd");
    CHECK((scratch.directory.read("pool/v") == expected));

    CHECK(error_code([&] { up("xx", {.offset = 99}); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { up("x", {.offset = 101}); }) == ErrorCode::invalid_argument);
    CHECK(error_code([&] { up("x", {.offset = 90, .length = 11}); }) ==
          ErrorCode::invalid_argument);
    CHECK(error_code([&] { up("x", {.length = 2}); }) == ErrorCode::io); // ended early
    CHECK(error_code([&] { up("xx", {.expected_length = 3}); }) == ErrorCode::io);
    CHECK(error_code([&] { up("xxxx", {.expected_length = 3}); }) == ErrorCode::io);
    CHECK(error_code([&] { up("x", {.expected_sha256 = "12"}); }) == ErrorCode::invalid_argument);
    CHECK(volume.info().capacity == 100);
    const auto down = [&](TransferOptions options) {
        return error_code([&] {
            volume.download(WriteCallback([](std::span<const std::byte>, std::uint64_t) {}),
                            options);
        });
    };
    CHECK(down({.offset = 100}) == ErrorCode{});
    CHECK(down({.offset = 101}) == ErrorCode::invalid_argument);
    CHECK(down({.offset = 60, .length = 41}) == ErrorCode::invalid_argument);
    CHECK(down({.offset = 60, .length = UINT64_MAX}) == ErrorCode::invalid_argument);
}

TEST_CASE("an uploaded volume is there when it is whole, and can be resumed", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto data = pattern(3 * mib);
    const auto up = [&](const std::string& name, const std::string& text, TransferOptions options) {
        const Giver pipe(text);
        return error_code([&] { pool.upload_volume(raw_volume(name, 0), pipe.fd(), options); });
    };
    Job job;
    std::string digest;
    {
        const Giver pipe(data);
        pool.upload_volume(raw_volume("whole", 0), pipe.fd(), {.digest = true}, &job);
        digest = first_fact(job, "sha256");
    }
    CHECK((scratch.directory.read("pool/whole") == data));
    CHECK(digest.size() == 64);

    CHECK(up("short", data.substr(0, mib), {.expected_length = data.size()}) == ErrorCode::io);
    CHECK(up("other", pattern(mib, 7), {.expected_sha256 = digest}) == ErrorCode::io);
    CHECK(up("whole", data, {}) == ErrorCode::already_exists);
    CHECK(scratch.directory.count("pool") == 1); // nothing left behind

    const TransferOptions resumable{
        .expected_length = data.size(), .expected_sha256 = digest, .resumable = true};
    CHECK_FALSE(pool.partial_upload("r"));
    CHECK(up("r", data.substr(0, mib), resumable) == ErrorCode::io);
    REQUIRE(pool.partial_upload("r") == mib);
    pool.refresh();
    CHECK(pool.volume_count() == 1);
    auto rest = resumable;
    rest.offset = 5; // wrong
    CHECK(up("r", data.substr(5), rest) == ErrorCode::invalid_argument);
    rest.offset = mib;
    CHECK(up("r", data.substr(mib), rest) == ErrorCode{});
    CHECK((scratch.directory.read("pool/r") == data));
    CHECK_FALSE(pool.partial_upload("r"));

    CHECK(up("d", data.substr(0, 100), resumable) == ErrorCode::io);
    pool.discard_upload("d");
    CHECK_FALSE(pool.partial_upload("d"));
    CHECK(error_code([&] { pool.discard_upload("d"); }) == ErrorCode::not_found);
    CHECK(scratch.directory.count("pool") == 2);

    // A file that others cut off meanwhile.
    scratch.directory.write("source", data + std::string(8 * mib, '\0') + data);
    for (const bool sparse : {false, true}) {
        const UniqueFd source(::open((scratch.directory / "source").c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::truncate((scratch.directory / "source").c_str(), 14 * mib) == 0);
        Job cut;
        cut.set_progress_callback([&](const Progress& progress) {
            if (progress.total > 0)
                CHECK(::truncate((scratch.directory / "source").c_str(), 2 * mib) == 0);
        });
        CHECK(error_code([&] {
                  pool.upload_volume(raw_volume("cut", 0), source.get(), {.sparse = sparse}, &cut);
              }) == ErrorCode::io);
    }
    // An image is not taken for the bytes of a disk: its header could name any file of the host.
    auto header = std::string("QFI\xfb\0\0\0\3", 8) + std::string(65528, '\0');
    CHECK(up("image", header, {}) == ErrorCode::invalid_argument);
    CHECK(scratch.directory.count("pool") == 2);

    // What a callback throws leaves the call, and nothing stays.
    const auto thrower = ReadCallback([](std::span<std::byte>, std::uint64_t&) -> std::size_t {
        throw std::runtime_error("no");
    });
    CHECK_THROWS_AS(pool.upload_volume(raw_volume("t", 0), thrower), std::runtime_error);
    CHECK(scratch.directory.count("pool") == 2);
}

TEST_CASE("snapshots of qcow2 volumes are made, listed, gone back to and deleted", "[content]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(volume_def("v", "qcow2"));
    const auto io = [&](const std::string& command) {
        return std::system(
            ("qemu-io -f qcow2 -c '" + command + "' " + volume.path() + " >/dev/null").c_str());
    };
    REQUIRE(io("write -P 1 0 1M") == 0);
    const auto made = volume.create_snapshot("first state");
    CHECK(made.name == "first state");
    CHECK(made.size == 4 * mib);
    REQUIRE(io("write -P 2 0 1M") == 0);
    volume.create_snapshot("-second");
    REQUIRE(volume.snapshots().size() == 2);
    CHECK(volume.snapshots()[1].name == "-second");
    CHECK(volume.snapshots()[0].created.seconds > 1'700'000'000);
    CHECK(error_code([&] { volume.create_snapshot("-second"); }) == ErrorCode::already_exists);
    CHECK(error_code([&] { volume.revert_snapshot("third"); }) == ErrorCode::not_found);
    volume.revert_snapshot("first state");
    CHECK(io("read -P 1 0 1M") == 0);
    volume.delete_snapshot("first state");
    CHECK(volume.snapshots().size() == 1);
    // Snapshots would be lost with the volume.
    CHECK(error_code([&] { volume.delete_storage(); }) == ErrorCode::busy);
    volume.delete_storage(BlockerKind::snapshot);

    auto raw = pool.create_volume(raw_volume("raw"));
    CHECK(raw.snapshots().empty());
    CHECK(error_code([&] { raw.create_snapshot("x"); }) == ErrorCode::not_supported);
}

TEST_CASE("a linked clone is made independent, with the same content", "[content]")
{
    if (!have("qemu-img") || !have("qemu-io")) {
        WARN("skipped: needs qemu-img and qemu-io");
        return;
    }
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto golden = pool.create_volume(raw_volume("golden", 4 * mib));
    REQUIRE(std::system(
                ("qemu-io -f raw -c 'write -P 7 0 3M' " + golden.path() + " >/dev/null").c_str()) ==
            0);
    auto linked = pool.create_volume_from(volume_def("linked", "qcow2", 8 * mib), golden,
                                          CreateFlags::linked);
    const auto io = [&](const Volume& volume, const std::string& command) {
        return std::system(
                   ("qemu-io -f qcow2 -c '" + command + "' " + volume.path() + " >/dev/null")
                       .c_str()) == 0;
    };
    const auto has_all = [&](const Volume& volume) {
        return io(volume, "read -P 7 0 1M") && io(volume, "read -P 9 1M 1M") &&
               io(volume, "read -P 7 2M 1M") && io(volume, "read -P 0 3M 5M");
    };
    REQUIRE(io(linked, "write -P 9 1M 1M"));
    REQUIRE(std::system(("chmod 0640 " + linked.path()).c_str()) == 0);
    const auto identity = linked.identity();

    Job dry;
    dry.set_dry_run(true);
    linked.flatten(&dry);
    REQUIRE(dry.plan().size() == 1);
    CHECK(dry.plan()[0].call[1] == "rebase");
    CHECK(linked.definition().backing.size() == 1);
    // A snapshot inside would lose what it has of the other file.
    linked.create_snapshot("kept");
    CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::busy);
    linked.delete_snapshot("kept");
    auto above =
        pool.create_volume_from(volume_def("above", "qcow2", 0), linked, CreateFlags::linked);
    {
        const int fd = open_for_reading(linked.path());
        if (::geteuid() == 0)
            CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::busy);
        ::close(fd);
    }
    Job job;
    std::vector<Progress> seen;
    job.set_progress_callback([&](const Progress& progress) { seen.push_back(progress); });
    linked.flatten(&job);
    REQUIRE_FALSE(seen.empty());
    CHECK(seen.back().phase == "flattening");
    CHECK(linked.definition().backing.empty());
    CHECK(linked.definition().target.permissions.mode == 0640u);
    CHECK(linked.identity() == identity);
    CHECK(has_all(linked));
    CHECK(linked.info().allocation >= 3 * mib);
    CHECK(error_code([&] { linked.flatten(); }) == ErrorCode::invalid_state);
    CHECK(golden.dependents().empty());
    golden.delete_storage();
    CHECK(has_all(above)); // which is on top of it all the time
    above.flatten();
    linked.delete_storage();
    CHECK(has_all(above));

    // What no pool has is not read.
    scratch.directory.write("secret", pattern(mib));
    auto def = volume_def("trap", "qcow2", mib);
    def.backing = {{.path = scratch.directory / "secret", .format = "raw"}};
    auto trap = pool.create_volume(def);
    CHECK(error_code([&] { trap.flatten(); }) == ErrorCode::not_supported);
    CHECK(trap.definition().backing.size() == 1);
}

TEST_CASE("encrypted volumes open with the secret that the application gave", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Scratch scratch;
    auto options = scratch.options();
    std::vector<SecretRequest> requests;
    options.secrets = [&](const SecretRequest& request) -> std::optional<Secret> {
        requests.push_back(request);
        return request.reference.usage == "known" ? std::optional(Secret("the pass phrase"))
                                                  : std::nullopt;
    };
    Context context(options);
    auto pool = scratch.running_pool(context);
    for (const auto& [format, encryption] :
         {std::pair{"raw", "luks"}, {"raw", "luks2"}, {"qcow2", "luks"}}) {
        INFO(format << " " << encryption);
        auto def = volume_def(std::string(format) + encryption, format, 4 * mib);
        def.target.encryption = Encryption{.format = encryption, .secrets = {{.usage = "unknown"}}};
        CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_found);
        def.target.encryption->secrets = {{.usage = "known"}};
        requests.clear();
        auto volume = pool.create_volume(def);
        REQUIRE(requests.size() == 1);
        CHECK(requests[0].usage == SecretUsage::volume);
        CHECK(requests[0].volume_name == def.name);
        REQUIRE(volume.inspect().encryption);
        CHECK(volume.inspect().encryption->format == encryption);
    }
    CHECK(pool.volume_count() == 3);
}

TEST_CASE("clones in opposite directions between two pools do not wait for each other", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto left = scratch.running_pool(context, "left");
    auto right = scratch.running_pool(context, "right");
    const auto a = left.create_volume(raw_volume("a", 4 * mib, 4 * mib));
    const auto b = right.create_volume(raw_volume("b", 4 * mib, 4 * mib));
    constexpr int rounds = 20;
    const auto clone = [](Pool pool, const Volume& source, const std::string& name, int& made) {
        for (int i = 0; i < rounds; ++i) {
            Job job;
            job.set_wait(std::chrono::seconds(30));
            auto copy = pool.create_volume_from(raw_volume(name, 0), source, {}, &job);
            copy.delete_storage({}, &job);
            ++made;
        }
    };
    int to_right = 0;
    int to_left = 0;
    std::thread first([&] { clone(right, a, "of_a", to_right); });
    clone(left, b, "of_b", to_left);
    first.join();
    CHECK(to_left == rounds);
    CHECK(to_right == rounds);

    // While it is copied a volume may be copied again and read, but not changed.
    Job job;
    int others = 0;
    job.set_progress_callback([&](const Progress& progress) {
        if (progress.phase != "copying" || others > 0)
            return;
        CHECK(error_code([&] { a.download(WriteCallback([](auto, auto) {})); }) == ErrorCode{});
        CHECK(error_code([&] { left.create_volume_from(raw_volume("second", 0), a); }) ==
              ErrorCode{});
        CHECK(error_code([&] { Volume(a).resize(8 * mib, {}, BlockerKind::open); }) ==
              ErrorCode::busy);
        ++others;
    });
    left.create_volume_from(raw_volume("first", 0), a, {}, &job);
    CHECK(others == 1);
}

TEST_CASE("a source that changes its size while it is copied is an error", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto source = pool.create_volume(raw_volume("source", 4 * mib, 4 * mib));
    Job job;
    job.set_progress_callback([&](const Progress& progress) {
        if (progress.phase == "copying")
            REQUIRE(::truncate(source.path().c_str(), 6 * mib) == 0);
    });
    CHECK(error_code([&] { pool.create_volume_from(raw_volume("copy", 0), source, {}, &job); }) ==
          ErrorCode::invalid_state);
    CHECK_FALSE(scratch.directory.exists("pool/copy"));
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    auto size = static_cast<off_t>(3 * mib);
    job.set_progress_callback([&](const Progress& progress) {
        if (progress.phase == "converting")
            REQUIRE(::truncate(source.path().c_str(), size) == 0);
    });
    for (; size <= off_t{9} << 20; size += off_t{6} << 20) {
        CHECK(error_code([&] {
                  pool.create_volume_from(volume_def("copy", "qcow2", 0), source, {}, &job);
              }) == ErrorCode::invalid_state);
        CHECK_FALSE(scratch.directory.exists("pool/copy"));
    }
}
