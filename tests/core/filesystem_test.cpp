// SPDX-License-Identifier: LGPL-2.1-or-later
// What depends on the file system below a dir pool: btrfs, one without unnamed files, labels.
#include "content.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace storage;

namespace {

/** A file system in a file, mounted for as long as it lives; mounted() is false where that cannot
 * be. */
class MountedImage {
public:
    MountedImage(const Scratch& scratch, const std::string& make, const std::string& mount,
                 std::string unmount)
        : target_(scratch.directory / "mnt"), unmount_(std::move(unmount))
    {
        const auto image = scratch.directory / "image";
        std::ofstream(image).close();
        mounted_ = ::truncate(image.c_str(), 128 << 20) == 0 &&
                   ::mkdir(target_.c_str(), 0755) == 0 && run(make + ' ' + image) &&
                   run(mount + ' ' + image + ' ' + target_) && is_mount_point();
    }
    ~MountedImage()
    {
        if (mounted_)
            run(unmount_ + ' ' + target_);
    }
    MountedImage(const MountedImage&) = delete;
    MountedImage& operator=(const MountedImage&) = delete;

    bool mounted() const { return mounted_; }

private:
    static bool run(const std::string& command)
    {
        return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
    }
    /** fuse2fs(1) of e2fsprogs 1.47 reports success also where it could not mount. */
    bool is_mount_point() const
    {
        struct stat inside {};
        struct stat outside {};
        return ::stat(target_.c_str(), &inside) == 0 &&
               ::stat((target_ + "/..").c_str(), &outside) == 0 && inside.st_dev != outside.st_dev;
    }

    std::string target_;
    std::string unmount_;
    bool mounted_{};
};

bool has_nocow(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    int flags = 0;
    const bool known = ::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    ::close(fd);
    return known && (flags & FS_NOCOW_FL);
}

PoolDef pool_on_mount(const Scratch& scratch, const std::string& name)
{
    auto def = scratch.dir_pool(name);
    def.target.path = scratch.directory / ("mnt/" + name);
    return def;
}

} // namespace

TEST_CASE("on btrfs a pool switches copy-on-write off unless told otherwise", "[filesystem]")
{
    Scratch scratch;
    const MountedImage btrfs(scratch, "mkfs.btrfs -q", "mount -o loop", "umount");
    if (!btrfs.mounted()) {
        WARN("skipped: needs root, mkfs.btrfs and a kernel with loop devices and btrfs");
        return;
    }
    Context context(scratch.options());
    auto usual = context.define_pool(pool_on_mount(scratch, "usual"));
    usual.build();
    CHECK(has_nocow(scratch.directory / "mnt/usual"));

    auto def = pool_on_mount(scratch, "cow");
    def.copy_on_write = true;
    auto cow = context.define_pool(def);
    cow.build();
    CHECK_FALSE(has_nocow(scratch.directory / "mnt/cow"));
    cow.start();

    auto volume = raw_volume("nocow");
    volume.target.nocow = true;
    CHECK(has_nocow(cow.create_volume(volume).path()));
    auto source = cow.create_volume(raw_volume("plain", 1 << 20, 1 << 20));
    CHECK_FALSE(has_nocow(source.path()));
    if (content::have("qemu-img")) { // it makes a file that has content when it is seen
        auto image = content::volume_def("nocow.vdi", "vdi");
        image.target.nocow = true;
        CHECK(has_nocow(cow.create_volume(image).path()));
        image = content::volume_def("nocow.qcow2", "qcow2", 0);
        image.target.nocow = true;
        CHECK(has_nocow(cow.create_volume_from(image, source).path()));
        CHECK_FALSE(has_nocow(cow.create_volume(content::volume_def("cow.vdi", "vdi")).path()));
    }

    Job job;
    cow.create_volume_from(raw_volume("shared", 0), source, CreateFlags::reflink, &job);
    CHECK(job.progress().phase.find("reflink") != std::string::npos);
    CHECK(scratch.directory.read("mnt/cow/shared") == scratch.directory.read("mnt/cow/plain"));

    // Both have copy-on-write or none of them.
    auto other = raw_volume("other", 0);
    other.target.nocow = true;
    std::string message;
    try {
        cow.create_volume_from(other, source, CreateFlags::reflink);
    } catch (const Error& error) {
        message = error.what();
    }
    CHECK(message.find("only the target is without copy-on-write") != message.npos);
    cow.create_volume_from(other, source);
    CHECK(scratch.directory.read("mnt/cow/other") == scratch.directory.read("mnt/cow/plain"));
}

TEST_CASE("elsewhere asking for a copy-on-write switch or a reflink is an error", "[filesystem]")
{
    Scratch scratch;
    Context context(scratch.options());
    auto pool = scratch.running_pool(context);
    auto source = pool.create_volume(raw_volume("source"));
    if (error_code([&] {
            pool.create_volume_from(raw_volume("shared"), source, CreateFlags::reflink);
        }) == ErrorCode{}) {
        WARN("skipped: the temporary directory is on a file system with reflinks");
        return;
    }
    CHECK_FALSE(scratch.directory.exists("pool/shared"));
    auto volume = raw_volume("nocow");
    volume.target.nocow = true;
    CHECK(error_code([&] { pool.create_volume(volume); }) == ErrorCode::not_supported);
    CHECK(scratch.directory.count("pool") == 1);
}

TEST_CASE("where the file system has no unnamed files a volume still appears whole", "[filesystem]")
{
    Scratch scratch;
    const MountedImage fuse(scratch,
                            "mkfs.ext4 -q -E root_owner=" + std::to_string(::getuid()) + ":" +
                                std::to_string(::getgid()),
                            "fuse2fs -o fakeroot", "fusermount3 -u");
    if (!fuse.mounted()) {
        WARN("skipped: needs mkfs.ext4, fuse2fs and a kernel with FUSE");
        return;
    }
    const auto directory = scratch.directory / "mnt";
    CHECK(::open(directory.c_str(), O_TMPFILE | O_RDWR, 0600) < 0); // what this case is about
    Context context(scratch.options());
    auto pool = context.define_pool(pool_on_mount(scratch, "p"));
    pool.build();
    pool.start();
    auto volume = pool.create_volume(raw_volume("a", 1 << 20, 4096));
    CHECK(volume.info().capacity == 1 << 20);
    CHECK(error_code([&] { pool.create_volume(raw_volume("a")); }) == ErrorCode::already_exists);
    CHECK(scratch.directory.count("mnt/p") == 1); // no temporary name is left
    CHECK(scratch.directory.count("root/var/journal") == 0);
    volume.delete_storage();
    CHECK(pool.volume_count() == 0);
}

TEST_CASE(
    "a pool whose file system is unmounted behind its back writes nothing below the mount point",
    "[filesystem]")
{
    Scratch scratch;
    auto image =
        std::make_unique<MountedImage>(scratch, "mkfs.ext4 -q", "mount -o loop", "umount -l");
    if (!image->mounted()) {
        WARN("skipped: needs root, mkfs.ext4 and loop devices");
        return;
    }
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.target.path = scratch.directory / "mnt";
    auto pool = context.define_pool(def);
    pool.start();
    pool.create_volume(raw_volume("a"));
    CHECK(pool.volume_count() > 0);
    image.reset();
    CHECK(pool.info().state == PoolState::inaccessible);
    CHECK(error_code([&] { pool.create_volume(raw_volume("b")); }) == ErrorCode::invalid_state);
    CHECK(scratch.directory.count("mnt") == 0);
}

TEST_CASE("a security label is set on what is made", "[filesystem]")
{
    Scratch scratch;
    const auto probe = scratch.directory / "probe";
    scratch.directory.write("probe", "");
    const std::string label = "system_u:object_r:virt_image_t:s0";
    if (::setxattr(probe.c_str(), "security.selinux", label.c_str(), label.size() + 1, 0) != 0) {
        WARN("skipped: needs root and a file system with security labels");
        return;
    }
    Context context(scratch.options());
    auto def = scratch.dir_pool();
    def.target.permissions.label = label;
    auto pool = context.define_pool(def);
    pool.build();
    pool.start();
    auto volume = raw_volume("a");
    volume.target.permissions.label = label;
    const auto made = pool.create_volume(volume);
    for (const auto& path : {scratch.target(), made.path()}) {
        std::string value(128, '\0');
        const auto length =
            ::getxattr(path.c_str(), "security.selinux", value.data(), value.size());
        REQUIRE(length > 0);
        CHECK(std::string(value.c_str()) == label);
    }
    CHECK(made.definition().target.permissions.label == label);
}
