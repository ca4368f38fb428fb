// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_creation.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "owner_access.hpp"
#include "rbd_content.hpp"
#include "rbd_encryption.hpp"
#include "rbd_images.hpp"
#include "rbd_locks.hpp"
#include "rbd_steps.hpp"
#include "transfer.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr CreateFlags allocation_flags =
    CreateFlags::prealloc_metadata | CreateFlags::prealloc_falloc | CreateFlags::prealloc_full;

class Planner {
public:
    Planner(const PoolDef& pool, const RbdRequest& request, const Host& host)
        : pool_(pool), request_(request), host_(host), def_(request.def),
          path_(pool.source.name + '/' + def_.name)
    {
    }

    void list(Change& change)
    {
        check_definition();
        if (!def_.backing.empty())
            return list_clone(change);
        if (request_.upload && def_.capacity == 0)
            def_.capacity = upload_length();
        if (request_.upload)
            check_upload(path_, *request_.upload, *request_.transfer, def_.capacity);
        if (def_.capacity == 0)
            refuse(ErrorCode::invalid_argument, "a capacity of 0", "give the capacity");
        if (def_.target.encryption)
            return list_encrypted(change);
        if (!request_.source && !request_.upload) {
            change.add(create_image_step(pool_, def_.name, def_.capacity, host_));
            return;
        }
        require_new();
        const auto temporary = temporary_name();
        change.add(begin_image_step(pool_, temporary, def_.name, def_.capacity));
        change.add(fill_image_step(pool_, temporary, def_.name, "rbd_aio_write", "fill it",
                                   request_.source ? copy(temporary) : receive(temporary)));
        change.add(publish_image_step(pool_, temporary, def_.name));
        change.commit_here();
    }

private:
    [[noreturn]] void refuse(ErrorCode code, const std::string& what,
                             const std::string& remedy) const
    {
        throw Error(code, "'" + path_ + "': " + what, remedy);
    }

    void check_definition() const
    {
        if (has(request_.flags, allocation_flags))
            refuse(ErrorCode::not_supported, "an image gets its space when it is written to",
                   "leave the flag out");
        if (has(request_.flags, CreateFlags::reflink))
            refuse(ErrorCode::not_supported, "images share blocks as clones only",
                   "make a linked clone");
        if (def_.name.find('@') != std::string::npos)
            refuse(ErrorCode::invalid_argument, "a name with '@' would mean a snapshot",
                   "choose another name");
    }

    void list_encrypted(Change& change)
    {
        const auto& wanted = *def_.target.encryption;
        if (request_.source || request_.upload)
            refuse(ErrorCode::not_supported, "only an empty image can be encrypted",
                   "make it without content, and write to it through its encryption");
        check_encryption(rbd_library(), wanted, path_);
        require_new();
        const auto temporary = temporary_name();
        change.add(
            begin_image_step(pool_, temporary, def_.name, encrypted_size(wanted, def_.capacity)));
        change.add(fill_image_step(pool_, temporary, def_.name, "rbd_encryption_format",
                                   "encrypt it (" + wanted.format + "), with room for " +
                                       std::to_string(def_.capacity) + " bytes",
                                   [format = RbdFormat{.pool = pool_,
                                                       .image = temporary,
                                                       .name = def_.name,
                                                       .capacity = def_.capacity,
                                                       .encryption = wanted},
                                    &host = host_](const FileWork& work) {
                                       format_image(format, host, work.job);
                                       return true;
                                   }));
        change.add(publish_image_step(pool_, temporary, def_.name));
        change.commit_here();
    }

    /** Before much is copied in vain. */
    void require_new() const
    {
        const RbdUse use(pool_, host_);
        RbdHandle handle{};
        const auto code = RbdImage::try_open(*use, def_.name, handle);
        if (code == -ENOENT)
            return;
        use->check(code, "cannot look at '" + path_ + "'");
        close_image(use.library(), handle);
        refuse(ErrorCode::already_exists, "it exists", "choose another name");
    }

    std::uint64_t upload_length() const
    {
        const auto& options = *request_.transfer;
        if (options.expected_length)
            return *options.expected_length;
        if (options.length != 0)
            return options.length;
        struct stat info {};
        const int fd = request_.upload->fd;
        if (fd >= 0 && ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
            const auto position = ::lseek(fd, 0, SEEK_CUR);
            return static_cast<std::uint64_t>(
                std::max<std::int64_t>(info.st_size - std::max<std::int64_t>(position, 0), 0));
        }
        refuse(ErrorCode::invalid_argument,
               "how large the volume shall be is not known before the upload", "give the capacity");
    }

    FileFunction receive(const std::string& temporary) const
    {
        return [pool = pool_, &host = host_, temporary, source = *request_.upload,
                options = *request_.transfer](const FileWork& work) {
            RbdContent content(pool, host, temporary, RbdImage::Mode::write,
                               RbdContent::State::fresh, work.job);
            receive_content(source, options, content, work.path, work.job);
            return true;
        };
    }

    FileFunction copy(const std::string& temporary) const
    {
        const auto& source = *request_.source;
        const auto& volume = source.volume;
        const bool plain = (volume.type == VolumeType::block || volume.target.format == "raw" ||
                            volume.target.format == "iso") &&
                           !volume.target.encryption;
        if (!plain || volume.type == VolumeType::dir)
            refuse(ErrorCode::not_supported,
                   "'" + volume.target.path +
                       "' is no plain raw volume, which is all that an "
                       "image can be a copy of",
                   "make a raw copy first");
        return [pool = pool_, &host = host_, temporary, path = volume.target.path,
                place = source.place, open = source.content,
                digest = has(request_.flags, CreateFlags::digest)](const FileWork& work) {
            RbdContent content(pool, host, temporary, RbdImage::Mode::write,
                               RbdContent::State::fresh, work.job);
            const TransferOptions options{.sparse = true, .digest = digest};
            state_fact(work.job, "method", "sparse_copy");
            state_fact(work.job, "reason", "the copy shall not depend on its source");
            if (open) {
                copy_image(*open(), path, content, work, options);
            } else {
                const auto file = open_content_in(place, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
                receive_content(file.get(), options, content, work.path, work.job);
            }
            return true;
        };
    }

    /** What has no path on this host, into an image. */
    static void copy_image(BlockContent& from, const std::string& path, BlockContent& to,
                           const FileWork& work, const TransferOptions& options)
    {
        std::uint64_t at = 0;
        const DownloadTarget target([&](std::span<const std::byte> data, std::uint64_t hole) {
            if (!data.empty())
                to.write(at, data);
            at += data.size() + hole;
        });
        const auto length = std::min(from.length(), to.length());
        send_content(from, path, length, target, options, work.job);
        to.flush();
    }

    /** The image that the backing volume's path means: "pool/image" or "pool/namespace/image". That
     * of a snapshot has "@snapshot" behind it, see split_snapshot(); no more of '/' counts there.
     */
    RbdCloneSource clone_source() const
    {
        std::string_view path = def_.backing.front().path;
        if (constexpr std::string_view scheme = "rbd:"; path.starts_with(scheme))
            path.remove_prefix(scheme.size());
        const auto first = path.find('/');
        const auto last =
            first == path.npos ? first : path.substr(0, path.find('@', first)).rfind('/');
        if (first == path.npos || first == 0 || last + 1 == path.size())
            refuse(ErrorCode::not_supported,
                   "its backing volume " + shown(path) + " is no image of a Ceph cluster",
                   "make a copy instead, or a clone where that volume is");
        RbdCloneSource source{.pool = std::string(path.substr(0, first)),
                              .image = std::string(path.substr(last + 1))};
        if (first != last)
            source.name_space = std::string(path.substr(first + 1, last - first - 1));
        return source;
    }

    /** "a@b" is image "a@b", or else snapshot "b" of image "a". Either may have more of '@'. No
     * image is opened at a snapshot that is not there: librbd 16.2 was seen to end the process on
     * one of its own threads then. */
    static void split_snapshot(const RbdUse& use, RbdCloneSource& source)
    {
        const auto exists = [&](const std::string& image) {
            RbdHandle handle{};
            if (RbdImage::try_open(*use, image, handle) < 0)
                return false;
            close_image(use.library(), handle);
            return true;
        };
        const auto whole = source.image;
        if (whole.find('@') == whole.npos || exists(whole))
            return;
        std::string lacking;
        for (auto at = whole.find('@'); at < whole.size() - 1; at = whole.find('@', at + 1)) {
            const auto image = whole.substr(0, at);
            const auto name = whole.substr(at + 1);
            if (!exists(image))
                continue;
            const auto snapshots =
                image_snapshots(RbdImage(use.shared(), image, RbdImage::Mode::read));
            if (std::any_of(snapshots.begin(), snapshots.end(),
                            [&](const Snapshot& snapshot) { return snapshot.name == name; })) {
                source.image = image;
                source.snapshot = name;
                return;
            }
            lacking = "image '" + use->path_of(image) + "' has no snapshot '" + name + '\'';
        }
        if (!lacking.empty())
            throw Error(ErrorCode::not_found, lacking, "list its snapshots to see which there are");
    }

    void list_clone(Change& change)
    {
        if (request_.upload)
            refuse(ErrorCode::invalid_argument, "a clone has its source's content",
                   "leave the backing volume out");
        auto source = clone_source();
        auto parent = pool_; // in the same cluster, with the same rights
        parent.source.name =
            source.pool + (source.name_space.empty() ? "" : '/' + source.name_space);
        std::uint64_t size = 0;
        {
            const RbdUse use(parent, host_);
            split_snapshot(use, source);
            const RbdImage image(use.shared(), source.image, RbdImage::Mode::read,
                                 source.snapshot.empty() ? nullptr : source.snapshot.c_str());
            if (image_encryption(image).version != 0 || def_.target.encryption)
                refuse(ErrorCode::not_supported,
                       "a clone cannot be encrypted, nor have an encrypted source",
                       "make an encrypted volume, and copy the content into it");
            std::uint64_t features = 0;
            image.check(image.library().rbd_get_features(image.get(), &features),
                        "cannot ask for its features");
            if (!(features & rbd_feature_layering))
                refuse(ErrorCode::not_supported,
                       "its source has not the feature 'layering', which images of format 1 "
                       "never have",
                       "make a copy instead");
            source.id = image.id();
            if (source.snapshot.empty()) // which gets one
                require_changeable(image, source.id);
            size = image.info().size;
        }
        if (def_.capacity != 0 && def_.capacity < size)
            refuse(ErrorCode::not_supported,
                   "a clone is not smaller than its source, which has " + std::to_string(size) +
                       " bytes",
                   "give that capacity, or none");
        require_new();
        const auto temporary = temporary_name();
        change.add(clone_image_step(pool_, temporary, def_.name, source));
        if (def_.capacity > size)
            change.add(extend_image_step(pool_, temporary, def_.capacity));
        change.add(publish_image_step(pool_, temporary, def_.name));
        change.commit_here();
    }

    const PoolDef& pool_;
    const RbdRequest& request_;
    const Host& host_;
    VolumeDef def_;
    std::string path_;
};

} // namespace

void plan_image(const PoolDef& pool, const RbdRequest& request, const Host& host, Change& change)
{
    Planner(pool, request, host).list(change);
}

} // namespace storage::inline v1
