// SPDX-License-Identifier: LGPL-2.1-or-later
// Where images lead: formats that nobody declares, and what is said of a reference that is not
// followed.
#include "content.hpp"

using namespace storage;
using namespace content;

namespace {

/** All that the call's error says; "" where it throws none. */
template <typename Call>
std::string words_of(Call&& call)
{
    try {
        call();
    } catch (const Error& error) {
        return std::string(error.what()) + "; " + error.remedy();
    }
    return {};
}

class Images {
public:
    /** Made by qemu-img, that asks nobody. */
    Volume make(const std::string& name, const std::string& options)
    {
        REQUIRE(std::system(("cd '" + (scratch.directory / "pool") + "' && qemu-img create -q -u " +
                             options + ' ' + name + " 1M")
                                .c_str()) == 0);
        return pool.find_volume(name);
    }
    Volume copy(const Volume& source, const std::string& format = "raw")
    {
        return pool.create_volume_from(volume_def("copy", format, 0), source);
    }

    Scratch scratch{};
    Context context{scratch.options()};
    Pool pool = scratch.running_pool(context);
};

} // namespace

TEST_CASE("no new image leaves the format of a raw one below it to be guessed", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& pool = images.pool;
    const auto base = pool.create_volume(raw_volume("base", mib));
    pool.create_volume(volume_def("image", "qcow2", mib));
    const auto on = [&](const std::string& name, const std::string& format,
                        const std::string& below, const std::string& below_format) {
        auto def = volume_def(name, format, mib);
        def.backing = {{.path = below, .format = below_format}};
        return def;
    };
    for (const auto* below_format : {"raw", ""})
        CHECK(error_code([&] { pool.create_volume(on("no", "qcow", "base", below_format)); }) ==
              ErrorCode::not_supported);
    CHECK(error_code([&] {
              pool.create_volume_from(volume_def("no", "qcow", 0), base, CreateFlags::linked);
          }) == ErrorCode::not_supported);
    const auto qcow2 = pool.create_volume(on("qcow2", "qcow2", "base", "raw"));
    CHECK(error_code([&] { pool.create_volume_from(on("no", "qcow", "base", "raw"), qcow2); }) ==
          ErrorCode::not_supported);
    CHECK_FALSE(images.scratch.directory.exists("pool/no"));

    // What has its own header cannot be forged by who writes into it; it is told all the same.
    const auto qcow = pool.create_volume(on("qcow", "qcow", "image", "qcow2"));
    CHECK_FALSE(qcow.definition().backing.at(0).format_declared);
    auto converted = qcow.definition();
    converted.name = "no";
    converted.target.format = "qcow2";
    CHECK(error_code([&] { pool.create_volume_from(converted, qcow); }) ==
          ErrorCode::not_supported); // on top of the same, said to be raw
    CHECK_FALSE(images.scratch.directory.exists("pool/no"));
    const auto qed = pool.create_volume(on("qed", "qed", "base", "raw"));
    CHECK(qed.definition().backing.at(0).format_declared);
    CHECK(qed.definition().backing.at(0).format == "raw");
    // A copy of the bytes of one that is there is no more than that is.
    const auto old = images.make("old", "-f qcow -b base -F raw");
    auto def = old.definition();
    def.name = "copy";
    CHECK_FALSE(pool.create_volume_from(def, old).definition().backing.at(0).format_declared);
}

TEST_CASE("an image of a guessed format leads no program on", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& pool = images.pool;
    auto& directory = images.scratch.directory;
    directory.write("pool/victim", pattern(mib));
    // A guest of a raw disk writes a header into it that names another guest's disk.
    images.make("disk", "-f qcow2 -b victim -F raw");
    const auto raw = pool.find_volume("disk");
    const auto top = images.make("top", "-f qcow -b disk -F raw");
    REQUIRE_FALSE(top.definition().backing.at(0).format_declared);
    const auto refused = words_of([&] { images.copy(top); });
    CHECK_THAT(refused, Catch::Contains("without its format"));
    CHECK_THAT(refused, Catch::Contains("qemu-img rebase -u"));
    CHECK_THAT(words_of([&] { pool.find_volume("top").flatten(); }),
               Catch::Contains("without its format"));
    CHECK_FALSE(directory.exists("pool/copy"));
    // Nor does one that has its data elsewhere.
    images.make("disk2", "-f qcow2 -o data_file=victim2,data_file_raw=on");
    const auto top2 = images.make("top2", "-f qcow -b disk2 -F raw");
    CHECK_THAT(words_of([&] { images.copy(top2); }), Catch::Contains("without its format"));
    // Declared, it is what it is said to be.
    const auto said = images.make("said", "-f qcow2 -b disk -F raw");
    images.copy(said);
    CHECK((directory.read("pool/copy").substr(0, 4) == "QFI\xfb"));
    pool.find_volume("copy").delete_storage();
    // One that refers to nothing shows nobody anything else than its own.
    images.make("alone", "-f qcow2");
    images.copy(images.make("top3", "-f qcow -b alone -F qcow2"));
}

TEST_CASE("what is said of a reference that is not followed is of that reference", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& directory = images.scratch.directory;
    directory.write("stranger", pattern(mib));
    const auto said_of = [&](const std::string& reference, const std::string& format = "raw") {
        auto top = images.make("top", "-f qcow2 -b '" + reference + "' -F " + format);
        const auto words = words_of([&] { images.copy(top); });
        CHECK(words_of([&] { top.flatten(); }).empty() == words.empty());
        CHECK_FALSE(directory.exists("pool/copy"));
        top.delete_storage();
        return words;
    };
    CHECK_THAT(said_of(directory / "stranger"), Catch::Contains("define a pool where it lies"));
    for (const auto* reference : {"nbd://host/export", "rbd:pool/image", "http://host/a", "file:a",
                                  "json:{\"driver\":\"nbd\",\"host\":\"h\"}"}) {
        INFO(reference);
        const auto words = said_of(reference);
        CHECK_THAT(words, Catch::Contains("not certainly a file of this host"));
        CHECK_THAT(words, !Catch::Contains("define a pool"));
    }
    CHECK_THAT(said_of("gone"), Catch::Contains("where nothing is"));
    directory.write("pool/text", pattern(mib));
    CHECK_THAT(said_of("text", "qcow2"),
               Catch::Contains("cannot be read as an image of format 'qcow2'"));
    images.make("circle", "-f qcow2 -b top -F qcow2");
    const auto round = images.make("top", "-f qcow2 -b circle -F qcow2");
    CHECK_THAT(words_of([&] { images.copy(round); }), Catch::Contains("which is based on it"));
}

TEST_CASE("no change of an image leads a program to what no pool has", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& directory = images.scratch.directory;
    images.pool.create_volume(raw_volume("base", mib));
    directory.write("stranger", pattern(mib));
    for (const std::string& reference :
         {std::string("nbd://127.0.0.1:1/x"), directory / "stranger"}) {
        INFO(reference);
        auto volume = images.make("top", "-f qcow2 -b '" + reference + "' -F raw");
        const auto before = directory.read("pool/top");
        for (const auto& words : {words_of([&] { volume.resize(2 * mib); }),
                                  words_of([&] { volume.resize(mib / 2, ResizeFlags::shrink); }),
                                  words_of([&] { volume.resize(2 * mib, ResizeFlags::allocate); }),
                                  words_of([&] { volume.create_snapshot("s"); })})
            CHECK_THAT(words, Catch::Contains("refers to '" + reference));
        CHECK((directory.read("pool/top") == before));
        volume.delete_storage();
    }
    auto volume = images.make("top", "-f qcow2 -b base -F raw");
    volume.create_snapshot("s");
    volume.revert_snapshot("s");
    volume.delete_snapshot("s");
    volume.resize(2 * mib);
    CHECK(volume.info().capacity == 2 * mib);
}

TEST_CASE("a VMDK image of several files in one pool is copied", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& pool = images.pool;
    const auto data = pattern(mib);
    for (const std::string subformat : {"monolithicFlat", "twoGbMaxExtentSparse"}) {
        INFO(subformat);
        images.scratch.directory.write("data", data);
        REQUIRE(std::system(("cd '" + (images.scratch.directory / "pool") +
                             "' && qemu-img convert -f raw -O vmdk -o subformat=" + subformat +
                             " ../data " + subformat)
                                .c_str()) == 0);
        pool.refresh();
        CHECK(words_of([&] { images.copy(pool.find_volume(subformat)); }).empty());
        CHECK((images.scratch.directory.read("pool/copy") == data));
        pool.find_volume("copy").delete_storage();
        for (const auto& name : pool.volume_names())
            if (name.starts_with(subformat + "-"))
                CHECK(error_code([&] { pool.find_volume(name).delete_storage(); }) ==
                      ErrorCode::busy);
    }
}

TEST_CASE("images that name each other many times over are looked at once each", "[content]")
{
    Images images;
    std::string text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
                       "createType=\"twoGbMaxExtentFlat\"\n";
    for (char name = 'a'; name <= 'h'; ++name)
        text += std::string("RW 2048 FLAT \"") + name + "\" 0\n";
    for (char name = 'a'; name <= 'h'; ++name)
        images.scratch.directory.write(std::string("pool/") + name, text);
    images.pool.refresh();
    CHECK(images.pool.find_volume("a").definition().target.format == "vmdk");
    CHECK_FALSE(words_of([&] { images.pool.find_volume("a").delete_storage(); }).empty());
}

TEST_CASE("a VMDK image shows no file of the host, wherever it names that", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& pool = images.pool;
    auto& directory = images.scratch.directory;
    directory.write("secret", pattern(mib));
    const std::string text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n";
    // A sparse file without a capacity: grains of 2 sectors, tables of 512, the text in sector 1.
    std::string sparse("KDMV\1\0\0\0\2", 9);
    sparse.resize(512);
    sparse[20] = sparse[45] = 2;
    sparse[28] = 1;
    sparse +=
        text + "createType=\"monolithicFlat\"\nRW 2048 FLAT \"" + (directory / "secret") + "\" 0\n";
    sparse.resize(65536);
    directory.write("pool/sparse", sparse);
    directory.write("pool/outer",
                    text + "createType=\"twoGbMaxExtentSparse\"\nRW 2048 SPARSE \"sparse\"\n");
    auto old = sparse; // QEMU takes version 0 for 1
    old[4] = 0;
    directory.write("pool/old", old);
    directory.write("pool/outer2",
                    text + "createType=\"twoGbMaxExtentSparse\"\nRW 2048 SPARSE \"old\"\n");
    images.make("top", "-f qcow2 -b old -F vmdk");
    directory.write("pool/comment", text + "createType=\"twoGbMaxExtentSparse\"\n# "
                                           "parentFileNameHint=\"nbd://127.0.0.1:1/x\"\n"
                                           "RW 2048 ZERO\n");
    pool.refresh();
    const auto refused = [&](const std::string& name) {
        const auto words = words_of([&] { images.copy(pool.find_volume(name)); });
        CHECK_FALSE(directory.exists("pool/copy"));
        return words;
    };
    CHECK_THAT(refused("sparse"), Catch::Contains("secret', which no active pool has"));
    CHECK_THAT(refused("outer"), Catch::Contains("which has data in further files"));
    CHECK_THAT(refused("old"), Catch::Contains("VMDK version 0 is not known"));
    CHECK_THAT(refused("outer2"), Catch::Contains("which has data in further files"));
    CHECK_THAT(refused("top"), Catch::Contains("which is damaged: VMDK version 0 is not known"));
    CHECK_THAT(refused("comment"), Catch::Contains("QEMU would not look for the parent"));
    const Giver giver(sparse);
    CHECK_THAT(words_of([&] { pool.upload_volume(volume_def("new", "vmdk", 0), giver.fd()); }),
               Catch::Contains("keeps data in other files"));
}
