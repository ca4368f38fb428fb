// SPDX-License-Identifier: LGPL-2.1-or-later
// Images that librbd encrypts.
#include "canary.hpp"
#include "file_io.hpp"
#include "rbd_stage.hpp"

#include <basin/image.hpp>
#include <fcntl.h>

using namespace storage;

namespace {

VolumeDef encrypted(const std::string& name, const std::string& format,
                    std::uint64_t capacity = 10 * mib)
{
    auto def = raw_volume(name, capacity);
    def.target.encryption = Encryption{.format = format, .secrets = {{.uuid = luks_secret_uuid}}};
    return def;
}

/** Whether cryptsetup opens the image as it is in the cluster. */
bool opens(const RbdStage& stage, const std::string& image, const std::string& passphrase)
{
    const auto file = stage.scratch.directory / "exported";
    std::filesystem::remove(file);
    REQUIRE(RbdPeer::control("rbd export --no-progress " + image + ' ' + file));
    stage.scratch.directory.write("passphrase", passphrase);
    const bool opened = std::system(("cryptsetup open --test-passphrase --key-file " +
                                     (stage.scratch.directory / "passphrase") + ' ' + file)
                                        .c_str()) == 0;
    std::filesystem::remove(stage.scratch.directory / "passphrase");
    return opened;
}

RBD_CASE("an encrypted volume")
{
    if (!rbd_library().rbd_encryption_format) {
        WARN("skipped: this librbd cannot encrypt images");
        return;
    }
    RbdStage stage(peer);
    stage.passphrase = "correct horse";
    auto pool = stage.pool();
    for (const std::string format : {"luks", "luks2"}) {
        CAPTURE(format);
        auto volume = pool.create_volume(encrypted(format, format));
        CHECK(volume.info().capacity == 10 * mib);
        const auto header = volume.info().physical - 10 * mib;
        CHECK(header >= 2 * mib);
        auto def = volume.definition();
        CHECK(def.capacity == 10 * mib);
        CHECK(def.target.format == "raw");
        REQUIRE(def.target.encryption);
        CHECK(def.target.encryption->format == format);
        CHECK(volume.metadata().empty());
        pool.refresh();
        CHECK(pool.volume_count() == (format == "luks" ? 1 : 2));
        const auto first = content(volume, {.length = 4});
        CHECK(first == "LUKS");
        if (!peer.fake) {
            CHECK(opens(stage, "rbd/" + format, "correct horse"));
            CHECK_FALSE(opens(stage, "rbd/" + format, "wrong"));
            const auto file = open_file(stage.scratch.directory / "exported", O_RDONLY);
            const auto inside = inspect_image(file.get());
            CHECK(inside.payload_offset == header);
            CHECK(inside.virtual_size == 10 * mib);
        }
        volume.resize(20 * mib);
        CHECK(volume.info().capacity == 20 * mib);
        CHECK(volume.info().physical == 20 * mib + header);
        volume.rename(format + "-renamed");
        CHECK(volume.definition().target.encryption);
        // All of the image, as it is there.
        CHECK(volume.upload(source_of(std::string(512, 'x')), {.offset = 20 * mib}) == 512);
        CHECK(error_code([&] {
                  pool.create_volume_from(raw_volume("linked", 0), volume, CreateFlags::linked);
              }) == ErrorCode::not_supported);
        auto below = raw_volume("below", 0);
        below.backing = {{.path = volume.path(), .format = "raw"}};
        CHECK(error_code([&] { pool.create_volume(below); }) == ErrorCode::not_supported);
        CHECK(error_code([&] { pool.create_volume_from(raw_volume("copy", 0), volume); }) ==
              ErrorCode::not_supported);
        volume.wipe();
        CHECK_FALSE(volume.definition().target.encryption);
        CHECK(volume.info().capacity == volume.info().physical);
        volume.rename(format);
    }
    auto strong = encrypted("strong", "luks2");
    strong.target.encryption->cipher =
        Encryption::Cipher{.name = "aes", .size = 128, .mode = "xts", .hash = "sha256"};
    CHECK(pool.create_volume(strong).info().capacity == 10 * mib);

    // Smaller than what librbd begins the content at.
    auto small = pool.create_volume(encrypted("small", "luks", mib));
    CHECK(small.info().capacity == mib);
    small.delete_storage();

    const auto refused = [&](const VolumeDef& def) {
        return error_code([&] { pool.create_volume(def); });
    };
    auto def = encrypted("no", "luks");
    def.target.encryption->cipher = Encryption::Cipher{.name = "serpent", .size = 256};
    CHECK(refused(def) == ErrorCode::not_supported);
    CHECK(refused(encrypted("no", "qcow")) == ErrorCode::not_supported);
    def = encrypted("no", "luks");
    def.target.encryption->secrets.push_back({.usage = "another"});
    CHECK(refused(def) == ErrorCode::invalid_argument);
    CHECK(error_code([&] {
              pool.upload_volume(encrypted("no", "luks"), source_of(std::string(512, 'x')));
          }) == ErrorCode::not_supported);
    stage.passphrase.clear();
    CHECK(refused(encrypted("no", "luks")) == ErrorCode::not_found);
    CHECK(pool.volume_names() == std::vector<std::string>{"luks", "luks2", "strong"});
    if (peer.fake)
        CHECK(peer.fake->image_count() == 3);
    else
        CHECK(RbdPeer::control("rbd ls rbd | grep -q basin && exit 1 || exit 0"));
}

RBD_CASE("the passphrase of a volume is nowhere to be seen")
{
    if (!rbd_library().rbd_encryption_format) {
        WARN("skipped: this librbd cannot encrypt images");
        return;
    }
    RbdStage stage(peer);
    Canary canary;
    stage.passphrase = canary.passphrase();
    auto pool = stage.pool();
    std::string said;
    canary.watch([&] {
        Job job;
        auto volume = pool.create_volume(encrypted("a", "luks2"), {}, &job);
        for (const auto& step : job.plan())
            said += to_json(step);
        said += volume.xml() + to_json(volume.definition());
    });
    CHECK(canary.rounds() > 0);
    canary.look_into(stage.scratch.directory / "root");
    canary.look_at_text(said, "plan or XML");
    for (const auto& line : stage.scratch.log)
        canary.look_at_text(line, "log");
    CHECK(canary.sightings().empty());
    if (!peer.fake)
        CHECK(opens(stage, "rbd/a", canary.passphrase()));
}

TEST_CASE("rbd, simulated: a librbd that cannot encrypt, one that fails to", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    stage.passphrase = "correct horse";
    auto pool = stage.pool();
    int failed = 0;
    for (const auto* function : {"rbd_encryption_format", "rbd_encryption_load", "rbd_resize2",
                                 "rbd_metadata_set", "rbd_rename", "rbd_create4"}) {
        CAPTURE(function);
        peer.fake->fail(function, -EIO);
        const auto code = error_code([&] { pool.create_volume(encrypted("a", "luks")); });
        peer.fake->heal();
        CHECK(code == ErrorCode::io);
        failed += code == ErrorCode::io;
        CHECK(peer.fake->image_count() == 0);
    }
    CHECK(failed == 6);
    // A guest's header makes no encrypted volume, and nonsense beside it none either.
    auto volume = pool.create_volume(raw_volume("plain", 64 * mib));
    volume.upload(source_of("LUKS\xba\xbe"));
    const std::vector<std::string> notes{"",    "3 4096",         "1",
                                         "1 x", "2 999999999999", std::string(100, '1')};
    for (const auto& note : notes) {
        peer.fake->find("rbd", "plain")->metadata[".basin.luks"] = note;
        CHECK_FALSE(volume.definition().target.encryption);
        CHECK(volume.info().capacity == 64 * mib);
    }
    peer.fake->become_old();
    try {
        pool.create_volume(encrypted("a", "luks"));
        FAIL("it was made");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_supported);
        CHECK(error.remedy().find("Ceph 16") != std::string::npos);
    }
    CHECK(pool.create_volume(raw_volume("a")).info().capacity == mib);
}

} // namespace
