// SPDX-License-Identifier: LGPL-2.1-or-later
// What a definition can ask of a qcow2 volume beyond size and backing image: width of reference
// counts, external data file. qemu-img says whether it became that.
#include "cheap_passphrases.hpp"
#include "mounts.hpp"
#include "scratch.hpp"

#include <basin/context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sys/stat.h>

using namespace storage;

namespace {

constexpr std::uint64_t mib = 1 << 20;

VolumeDef qcow2(const std::string& name, std::uint64_t capacity = 4 * mib)
{
    auto def = raw_volume(name, capacity);
    def.target.format = "qcow2";
    return def;
}

ContextOptions with_secret(Scratch& scratch)
{
    auto options = scratch.options();
    options.secrets = [](const SecretRequest&) { return std::optional(Secret("the pass phrase")); };
    return options;
}

bool have_tools()
{
    if (succeeds("command -v qemu-img && command -v qemu-io"))
        return true;
    WARN("skipped: needs qemu-img and qemu-io");
    return false;
}

bool exists(const Pool& pool, const std::string& name)
{
    return error_code([&] { pool.find_volume(name); }) != ErrorCode::not_found;
}

} // namespace

TEST_CASE("a qcow2 volume has reference counts of the width that was asked for", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const std::uint32_t bits : {0, 1, 8, 16, 64}) {
        auto def = qcow2("v" + std::to_string(bits));
        def.target.refcount_bits = bits;
        const auto volume = pool.create_volume(def);
        CHECK(volume.inspect().refcount_bits == (bits ? bits : 16));
        CHECK(volume.definition().target.refcount_bits == (bits == 16 ? 0 : bits));
        CHECK(succeeds("qemu-img check " + volume.path()));
        CHECK(succeeds("qemu-img info " + volume.path() +
                       " | grep -q 'refcount bits: " + std::to_string(bits ? bits : 16) + "$'"));
    }
    auto def = qcow2("x");
    def.target.refcount_bits = 12;
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::invalid_argument);
    def.target.refcount_bits = 8;
    def.target.compat = "0.10";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
    def = raw_volume("x");
    def.target.refcount_bits = 16;
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);

    def = qcow2("copy");
    def.target.refcount_bits = 64;
    const auto copy = pool.create_volume_from(def, pool.find_volume("v8"));
    CHECK(copy.inspect().refcount_bits == 64);
    CHECK_FALSE(exists(pool, "x"));
}

TEST_CASE("a qcow2 volume keeps its data in the raw volume that was named", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto data = pool.create_volume(raw_volume("data", 4 * mib, 0));
    auto def = qcow2("image");
    def.target.data_file = DataFile{.path = data.path()};

    SECTION("hidden in it")
    {
        const auto image = pool.create_volume(def);
        CHECK((image.definition().target.data_file == DataFile{.path = data.path()}));
        REQUIRE(succeeds("qemu-io -f qcow2 -c 'write -P 7 1M 64k' " + image.path()));
        CHECK(succeeds("qemu-img check " + image.path()));
        CHECK(data.info().allocation >= 64 * 1024);
        CHECK(image.info().allocation < mib);
    }
    SECTION("as it is")
    {
        REQUIRE(succeeds("qemu-io -f raw -c 'write -P 5 2M 64k' " + data.path()));
        def.target.data_file->raw = true;
        const auto image = pool.create_volume(def);
        CHECK((image.definition().target.data_file == DataFile{.path = data.path(), .raw = true}));
        CHECK(succeeds("qemu-io -f qcow2 -c 'read -P 5 2M 64k' " + image.path()));
        CHECK(succeeds("qemu-img compare -f qcow2 -F raw " + image.path() + ' ' + data.path()));
        CHECK(succeeds("qemu-img check " + image.path()));
    }
    CHECK(data.dependents().size() == 1);
    CHECK(error_code([&] { data.delete_storage(); }) == ErrorCode::busy);
    // What describes it makes another one like it, beside it.
    auto other = pool.create_volume(raw_volume("data2", 4 * mib, 0));
    auto again = parse_volume(pool.find_volume("image").xml(), "dir", VolumePurpose::create);
    again.name = "image2";
    CHECK(error_code([&] { pool.create_volume(again); }) == ErrorCode::busy);
    again.target.data_file->path = other.path();
    CHECK(pool.create_volume(again).definition().target.data_file->path == other.path());
    // A copy stands alone.
    const auto copy = pool.create_volume_from(qcow2("copy"), pool.find_volume("image"));
    CHECK_FALSE(copy.inspect().data_file);
    CHECK(succeeds("qemu-img compare -f qcow2 -F qcow2 " + copy.path() + ' ' +
                   pool.find_volume("image").path()));
}

TEST_CASE("a data file that is not free, not there or not raw is refused", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto def = qcow2("image");
    const auto answer = [&](const std::string& path, bool raw = false) {
        def.target.data_file = DataFile{.path = path, .raw = raw};
        const auto code = error_code([&] { pool.create_volume(def); });
        CHECK_FALSE(exists(pool, "image"));
        return code;
    };
    CHECK(answer(scratch.directory / "pool/nothing") == ErrorCode::not_found);
    scratch.directory.write("outside", std::string(4 * mib, '\0'));
    CHECK(answer(scratch.directory / "outside") == ErrorCode::not_found);
    CHECK(answer("data") == ErrorCode::not_found);
    CHECK(answer(pool.create_volume(qcow2("q")).path()) == ErrorCode::invalid_argument);
    CHECK(answer(pool.create_volume(raw_volume("small", mib, 0)).path()) ==
          ErrorCode::invalid_argument);
    CHECK(answer(pool.create_volume(raw_volume("large", 8 * mib, 0)).path(), true) ==
          ErrorCode::invalid_argument);
    const auto full = pool.create_volume(raw_volume("full", 4 * mib, 0));
    REQUIRE(succeeds("qemu-io -f raw -c 'write -P 5 2M 64k' " + full.path()));
    CHECK(answer(full.path()) == ErrorCode::invalid_argument);
    def.target.features = {"extended_l2"};
    CHECK(answer(full.path(), true) == ErrorCode::invalid_argument); // would show zeros
    def.target.features.clear();
    const auto free = pool.create_volume(raw_volume("free", 4 * mib, 0));
    def.target.compat = "0.10";
    CHECK(answer(free.path()) == ErrorCode::not_supported);
    def.target.compat.clear();
    CHECK(error_code([&] { pool.create_volume(def, CreateFlags::prealloc_full); }) ==
          ErrorCode::invalid_argument);
    def.backing = {{.path = free.path(), .format = "raw"}};
    CHECK(answer(free.path(), true) == ErrorCode::not_supported);
    def.backing.clear();
    def.target.format = "vmdk";
    CHECK(answer(free.path()) == ErrorCode::not_supported);
    CHECK(error_code([&] {
              auto copy = qcow2("image");
              copy.target.data_file = DataFile{.path = free.path()};
              pool.create_volume_from(copy, full);
          }) == ErrorCode::not_supported);
}

TEST_CASE("an image of 0 bytes has a capacity of 0, and grows", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(qcow2("v", 0));
    CHECK(volume.info().capacity == 0);
    CHECK(volume.info().physical > 0);
    CHECK(volume.definition().capacity == 0);
    volume.resize(64 * 1024, ResizeFlags::delta);
    CHECK(volume.info().capacity == 64 * 1024);
    CHECK(succeeds("qemu-img check " + volume.path()));
}

TEST_CASE("what was cut off a qcow2 volume does not come back", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(qcow2("v"));
    REQUIRE(succeeds("qemu-io -f qcow2 -c 'write -P 7 0 4M' " + volume.path()));
    volume.create_snapshot("s"); // which keeps it
    Job job;
    volume.resize(mib + 512, ResizeFlags::shrink, BlockerKind::none, &job);
    CHECK(job.plan().at(0).call.at(1) == "convert");
    volume.resize(4 * mib);
    CHECK(succeeds("qemu-io -f qcow2 -c 'read -P 7 0 1049088' " + volume.path()));
    CHECK(succeeds("qemu-io -f qcow2 -c 'read -P 0 1049088 3145216' " + volume.path()));
    CHECK(succeeds("qemu-img check " + volume.path()));
    volume.revert_snapshot("s");
    CHECK(succeeds("qemu-io -f qcow2 -c 'read -P 7 0 4M' " + volume.path()));

    volume.delete_snapshot("s");
    volume.resize(mib, ResizeFlags::shrink, BlockerKind::none, &job);
    CHECK(job.plan().at(0).call.at(1) == "resize"); // no cluster stays in part
}

TEST_CASE("what is allocated to a qcow2 volume that grows reads as zeros", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto def = qcow2("v");
    for (const std::uint32_t bits : {1, 16, 64}) {
        INFO(bits << " bits");
        def.target.refcount_bits = bits;
        auto volume = pool.create_volume(def);
        REQUIRE(succeeds("qemu-io -f qcow2 -c 'write -P 7 0 2M' " + volume.path()));
        {
            // What QEMU freed, and left at the end of the file.
            std::ofstream file(volume.path(), std::ios::binary | std::ios::app);
            file << std::string(3 * mib, 'x');
        }
        for (const auto capacity : {5 * mib, 32 * mib}) {
            volume.resize(capacity, ResizeFlags::allocate);
            const auto read = "qemu-io -f qcow2 -c 'read -P 7 0 2M' -c 'read -P 0 2M " +
                              std::to_string(capacity - 2 * mib) + "' " + volume.path();
            CHECK(succeeds(read));
            CHECK(succeeds("qemu-img check " + volume.path()));
            CHECK(volume.info().allocation > capacity - 2 * mib);
        }
        volume.delete_storage();
    }
    // Whether clusters are in use, an image does not know that was not closed.
    auto volume = pool.create_volume(def);
    constexpr int dirty_byte = 79;
    {
        std::fstream file(volume.path(), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(dirty_byte).put(1);
    }
    CHECK(error_code([&] { volume.resize(5 * mib, ResizeFlags::allocate); }) ==
          ErrorCode::invalid_state);
    CHECK(volume.info().capacity == 4 * mib);
    volume.resize(5 * mib);
    CHECK(volume.info().capacity == 5 * mib);
}

TEST_CASE("an encrypted qcow2 volume shrinks to a part of a cluster", "[content]")
{
    if (!have_tools())
        return;
    const CheapPassphrases cheap;
    Scratch scratch;
    Context context(with_secret(scratch));
    auto pool = scratch.running_pool(context);
    scratch.directory.write("pool/plain", std::string(2 * mib, 'x'));
    auto def = qcow2("v");
    def.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "key"}}};
    auto volume = pool.create_volume_from(def, pool.find_volume("plain"));
    volume.resize(mib + 512, ResizeFlags::shrink);
    volume.resize(2 * mib);
    pool.create_volume_from(raw_volume("copy", 0), volume);
    CHECK(scratch.directory.read("pool/copy") ==
          std::string(mib + 512, 'x') + std::string(mib - 512, '\0'));
}

TEST_CASE("a qcow2 volume has as many snapshots as its reference counts can count", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    for (const std::uint32_t bits : {1, 2}) {
        auto def = qcow2("v" + std::to_string(bits));
        def.target.refcount_bits = bits;
        auto volume = pool.create_volume(def);
        REQUIRE(succeeds("qemu-io -f qcow2 -c 'write -P 7 0 64k' " + volume.path()));
        if (bits == 2)
            for (const auto* name : {"a", "b"})
                volume.create_snapshot(name);
        CHECK(error_code([&] { volume.create_snapshot("c"); }) == ErrorCode::not_supported);
        CHECK(succeeds("qemu-img check " + volume.path())); // qemu-img would leave a leak
    }
}

TEST_CASE("a qcow2 volume with its data elsewhere has no snapshots", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    pool.create_volume(raw_volume("data", 4 * mib));
    auto def = qcow2("v");
    def.target.data_file = DataFile{.path = scratch.directory / "pool/data"};
    auto volume = pool.create_volume(def);
    Job dry;
    dry.set_dry_run(true);
    for (auto* job : {&dry, static_cast<Job*>(nullptr)})
        CHECK(error_code([&] { volume.create_snapshot("s", job); }) == ErrorCode::not_supported);
    CHECK(volume.snapshots().empty());
}

TEST_CASE("a snapshot that qemu-img refuses leaves the image as it is", "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    std::filesystem::create_directory(scratch.directory / "bin");
    scratch.directory.write("bin/qemu-img", "#!/bin/sh\n"
                                            "[ $1 = snapshot ] || { : >'" +
                                                (scratch.directory / "changed") +
                                                "'; exit 0; }\n"
                                                "echo 'qemu-img: no' >&2\nexit 1\n");
    REQUIRE(::chmod((scratch.directory / "bin/qemu-img").c_str(), 0755) == 0);
    Context real(scratch.options());
    scratch.running_pool(real).create_volume(qcow2("v"));
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", ((scratch.directory / "bin:") + path).c_str(), 1);
    Context context(scratch.options());
    ::setenv("PATH", path.c_str(), 1);
    auto volume = context.find_pool("pool").find_volume("v");
    CHECK(error_code([&] { volume.create_snapshot("s"); }) == ErrorCode::command_failed);
    CHECK_FALSE(scratch.directory.exists("changed"));

    // Also where the real one refuses: an image that is marked as corrupt stays so.
    constexpr std::size_t incompatible_features = 79;
    constexpr char corrupt = 2;
    auto image = scratch.directory.read("pool/v");
    image[incompatible_features] = corrupt;
    scratch.directory.write("pool/v", image);
    auto same = real.find_pool("pool").find_volume("v");
    CHECK(error_code([&] { same.create_snapshot("s"); }) == ErrorCode::command_failed);
    CHECK(scratch.directory.read("pool/v")[incompatible_features] == corrupt);
}

TEST_CASE("a snapshot of an encrypted volume whose secret is missing leaves nothing to be done",
          "[content]")
{
    if (!have_tools())
        return;
    const CheapPassphrases cheap;
    Scratch scratch;
    Context owner(with_secret(scratch));
    auto def = qcow2("v");
    def.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "key"}}};
    scratch.running_pool(owner).create_volume(def);
    Context without(scratch.options());
    auto volume = without.find_pool("pool").find_volume("v");
    CHECK(error_code([&] { volume.create_snapshot("s"); }) == ErrorCode::not_found);
    CHECK(without.recover().empty());
    volume.delete_storage();
}

TEST_CASE("a snapshot whose name is the number of another one is the one that is meant",
          "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto volume = pool.create_volume(qcow2("v"));
    // As other programs name theirs: number 1 is "2", number 2 is "1".
    for (const auto* name : {"2", "1"}) {
        REQUIRE(succeeds(std::string("qemu-io -f qcow2 -c 'write -P ") + name + " 0 64k' " +
                         volume.path()));
        REQUIRE(succeeds(std::string("qemu-img snapshot -c ") + name + ' ' + volume.path()));
    }
    for (const auto* name : {"2", "1", "2"}) {
        INFO(name);
        volume.revert_snapshot(name);
        CHECK(succeeds(std::string("qemu-io -f qcow2 -c 'read -P ") + name + " 0 64k' " +
                       volume.path()));
    }
    volume.delete_snapshot("2");
    const auto left = volume.snapshots();
    REQUIRE(left.size() == 1);
    CHECK(left[0].name == "1");
    volume.revert_snapshot("1");
    volume.delete_snapshot("1");
    CHECK(volume.snapshots().empty());
}

TEST_CASE("what a volume is based on is not taken for raw because nobody says what it is",
          "[content]")
{
    if (!have_tools())
        return;
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    const auto base = pool.create_volume(qcow2("base"));
    const auto bytes = pool.create_volume(raw_volume("bytes", 4 * mib));
    auto def = qcow2("v");
    def.backing = {{.path = base.path()}};
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::invalid_argument);
    CHECK_FALSE(exists(pool, "v"));
    def.backing[0].format = "raw"; // then it is meant
    CHECK(pool.create_volume(def).definition().backing.at(0).format == "raw");
    def.name = "w";
    def.backing = {{.path = bytes.path()}};
    CHECK(pool.create_volume(def).definition().backing.at(0).format == "raw");
    def.name = "x";
    def.target.format = "vmdk";
    CHECK(error_code([&] { pool.create_volume(def); }) == ErrorCode::not_supported);
}
