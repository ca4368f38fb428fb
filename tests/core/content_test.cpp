// SPDX-License-Identifier: LGPL-2.1-or-later
// What volumes contain when they are created and copied, by image format.
#include "cheap_passphrases.hpp"
#include "content.hpp"

using namespace storage;
using namespace content;

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

TEST_CASE("a copy can have its source's format where that one cannot be created", "[content]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto disc = std::string(32768, '\0') + "\1CD001\1" + pattern(6000);
    disc.resize(20 * 2048, '\0');
    scratch.directory.write("pool/cd.iso", disc);
    pool.refresh();
    const auto volume = pool.find_volume("cd.iso");
    auto def = volume.definition();
    REQUIRE(def.target.format == "iso");
    def.name = "copy.iso";
    CHECK(pool.create_volume_from(def, volume).definition().target.format == "iso");
    CHECK((scratch.directory.read("pool/copy.iso") == disc));

    CHECK(error_code([&] { pool.create_volume(volume_def("new", "iso")); }) ==
          ErrorCode::not_supported);
    const auto raw = pool.create_volume(raw_volume("raw"));
    CHECK(error_code([&] { pool.create_volume_from(volume_def("no", "iso", 0), raw); }) ==
          ErrorCode::not_supported);
    CHECK(error_code([&] { pool.create_volume_from(volume_def("no", "dmg", 0), volume); }) ==
          ErrorCode::not_supported);
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
    for (const std::string format : {"qcow2", "qed"}) {
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
    // Of qcow2 the limit depends on the clusters: 128 GiB.
    const auto source = pool.create_volume(raw_volume("source", 200 * 1024 * mib));
    auto small = volume_def("copy", "qcow2", 0);
    small.target.cluster_size = 512;
    CHECK(error_code([&] { pool.create_volume_from(small, source); }) == ErrorCode::not_supported);
    small.capacity = 200 * 1024 * mib;
    small.target.encryption = Encryption{.format = "luks", .secrets = {{.usage = "key"}}};
    CHECK(error_code([&] { pool.create_volume(small); }) == ErrorCode::not_supported);
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

TEST_CASE("encrypted volumes open with the secret that the application gave", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    const CheapPassphrases cheap;
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

TEST_CASE("all is allocated that is asked for, whatever makes the volume", "[content]")
{
    const CheapPassphrases cheap;
    Scratch scratch;
    auto options = scratch.options();
    options.secrets = [](const SecretRequest&) { return std::optional(Secret("pass phrase")); };
    Context context(options);
    auto pool = scratch.running_pool(context);
    const auto is_full = [](const Volume& volume) {
        return volume.info().allocation >= volume.info().capacity;
    };

    auto source = pool.create_volume(raw_volume("source", 8 * mib));
    const auto data = pattern(mib) + std::string(7 * mib, '\0');
    scratch.directory.write("pool/source", data);
    REQUIRE(::truncate(source.path().c_str(), mib) == 0);
    REQUIRE(::truncate(source.path().c_str(), 8 * mib) == 0);
    source.refresh();
    REQUIRE_FALSE(is_full(source));
    for (const auto flag : {CreateFlags::prealloc_falloc, CreateFlags::prealloc_full})
        for (const auto capacity : {8 * mib, 12 * mib}) {
            auto copy = pool.create_volume_from(raw_volume("copy", capacity), source, flag);
            CHECK(is_full(copy));
            CHECK((scratch.directory.read("pool/copy") ==
                   data + std::string(capacity - 8 * mib, '\0')));
            copy.delete_storage();
        }

    auto encrypted = raw_volume("encrypted", 4 * mib);
    for (const auto* format : {"luks", "luks2"}) {
        encrypted.target.encryption = Encryption{.format = format, .secrets = {{.usage = "x"}}};
        CHECK(error_code([&] { pool.create_volume(encrypted, CreateFlags::prealloc_metadata); }) ==
              ErrorCode::not_supported);
        for (const auto flag : {CreateFlags::prealloc_falloc, CreateFlags::prealloc_full}) {
            auto volume = pool.create_volume(encrypted, flag);
            CHECK(volume.info().allocation >= std::filesystem::file_size(volume.path()));
            volume.delete_storage();
        }
    }

    if (!have("qemu-img")) {
        WARN("the rest is skipped: needs qemu-img");
        return;
    }
    for (const auto* format : {"vdi", "vpc", "vhdx"}) {
        INFO(format);
        auto image = pool.create_volume(volume_def(std::string("new.") + format, format),
                                        CreateFlags::prealloc_full);
        CHECK(is_full(image));
        auto copy = pool.create_volume_from(volume_def(std::string("copy.") + format, format, 0),
                                            source, CreateFlags::prealloc_full);
        CHECK(is_full(copy));
        auto back = pool.create_volume_from(raw_volume("back", 0, 8 * mib), copy);
        CHECK(is_full(back));
        CHECK((scratch.directory.read("pool/back") == data));
        back.delete_storage();
        CHECK_FALSE(is_full(pool.create_volume_from(raw_volume("back", 0, 2 * mib), copy)));
        pool.find_volume("back").delete_storage();
    }
}

TEST_CASE("what goes wrong in making an encrypted volume is told of that volume", "[content]")
{
    const CheapPassphrases cheap;
    Scratch scratch;
    auto options = scratch.options();
    options.secrets = [](const SecretRequest& request) {
        return std::optional(Secret(request.reference.usage));
    };
    Context context(options);
    auto pool = scratch.running_pool(context);
    const auto fails = [&](VolumeDef def, const std::string& secret,
                           const std::string& cipher = "aes", std::uint32_t bits = 256,
                           const std::string& hash = "sha256") {
        def.target.encryption =
            Encryption{.format = "luks",
                       .secrets = {{.usage = secret}},
                       .cipher = Encryption::Cipher{.name = cipher, .size = bits, .hash = hash}};
        try {
            pool.create_volume(def);
        } catch (const Error& error) {
            CHECK(std::string(error.what()).find("'" + scratch.target() + '/' + def.name + "'") !=
                  std::string::npos);
            return error;
        }
        return Error(ErrorCode::internal, "it was made");
    };
    const auto raw = raw_volume("raw", mib);
    CHECK(fails(raw_volume("none", 0), "x").remedy().find(" 512 to ") != std::string::npos);
    CHECK_FALSE(fails(raw, "x", "aes", 512).remedy().empty());
    CHECK_FALSE(fails(raw, "x", "aes", 256, "sha3000").remedy().empty());
    if (!have("qemu-img")) {
        WARN("the rest is skipped: needs qemu-img");
        return;
    }
    CHECK(fails(volume_def("image", "qcow2"), "\xff").code() == ErrorCode::not_supported);
    CHECK(fails(volume_def("image", "qcow2"), "x", "rot13").code() == ErrorCode::command_failed);
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
