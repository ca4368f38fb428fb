// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_encryption.hpp"

#include "job_impl.hpp"
#include "volume_content.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace storage::inline v1 {

namespace {

constexpr const char* metadata_key = ".basin.luks"; // "VERSION BYTES"

int luks_version(const Encryption& encryption)
{
    return encryption.format == "luks2" ? 2 : 1;
}

/** That of version 2 is 16 MiB, that of version 1 below 4 MiB. */
std::uint64_t least_header(const Encryption& encryption)
{
    return std::uint64_t{luks_version(encryption) == 2 ? 16u : 4u} << 20;
}

/** librbd's names for it; the same structure for both versions (rbd/librbd.h). */
int rbd_format(const Encryption& encryption)
{
    return encryption.format == "luks2" ? rbd_format_luks2 : rbd_format_luks1;
}

RbdLuksOptions luks_options(const Encryption& encryption, const Secret& secret)
{
    const bool small = encryption.cipher && encryption.cipher->size == 128;
    return {.algorithm = small ? rbd_algorithm_aes128 : rbd_algorithm_aes256,
            .passphrase = secret.bytes().data(),
            .passphrase_size = secret.bytes().size()};
}

/** How large an image has to be for a header and the capacity: librbd begins the content where a
 * stripe begins. */
std::uint64_t whole_size(const RbdImage& image, const Encryption& wanted, std::uint64_t capacity)
{
    std::uint64_t count = 0;
    image.check(image.library().rbd_get_stripe_count(image.get(), &count),
                "cannot ask for its stripes");
    const auto stripe = image.info().obj_size * std::max<std::uint64_t>(count, 1);
    const auto header = (least_header(wanted) + stripe - 1) / stripe * stripe;
    return header + std::min(capacity, INT64_MAX - header);
}

void resize(const RbdImage& image, std::uint64_t size, Job* job)
{
    RbdJob progress{.job = job};
    image.check(image.library().rbd_resize2(image.get(), size, true, RbdJob::report, &progress),
                "cannot make its size " + std::to_string(size) + " bytes");
}

/** What is left for the content, as librbd finds out by opening it. */
std::uint64_t capacity_of(const std::shared_ptr<RbdConnection>& connection, const RbdFormat& format,
                          const RbdLuksOptions& options)
{
    const RbdImage image(connection, format.image, RbdImage::Mode::read);
    image.check(image.library().rbd_encryption_load(image.get(), rbd_format(format.encryption),
                                                    &options, sizeof options),
                "cannot open its encryption");
    return image.info().size;
}

} // namespace

RbdEncryption image_encryption(const RbdImage& image)
{
    std::array<char, 64> text{};
    auto length = text.size();
    const auto code =
        image.library().rbd_metadata_get(image.get(), metadata_key, text.data(), &length);
    if (code == -ENOENT || code == -ERANGE) // so long is none of ours
        return {};
    image.check(code, "cannot ask how it is encrypted");
    RbdEncryption found;
    const char* const end = text.data() + std::min(length, text.size());
    const auto version = std::from_chars(text.data(), end, found.version);
    if (version.ec != std::errc() || version.ptr == end || *version.ptr != ' ' ||
        std::from_chars(version.ptr + 1, end, found.header).ec != std::errc() ||
        (found.version != 1 && found.version != 2) || found.header > image.info().size)
        return {};
    return found;
}

std::optional<Encryption> described_encryption(const RbdEncryption& encryption)
{
    if (encryption.version == 0)
        return std::nullopt;
    return Encryption{.format = encryption.version == 2 ? "luks2" : "luks"};
}

void forget_encryption(const RbdImage& image)
{
    const auto code = image.library().rbd_metadata_remove(image.get(), metadata_key);
    if (code != -ENOENT)
        image.check(code, "cannot forget its encryption");
}

void check_encryption(const RbdLibrary& library, const Encryption& wanted, const std::string& path)
{
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::not_supported, "'" + path + "': " + what, remedy);
    };
    if (!library.rbd_encryption_format || !library.rbd_encryption_load)
        refuse("this librbd cannot encrypt images", "install that of Ceph 16 or later");
    if (wanted.format != "luks" && wanted.format != "luks2")
        refuse("encryption format '" + wanted.format + "' is not librbd's",
               "use 'luks' or 'luks2'");
    if (const auto& cipher = wanted.cipher;
        cipher && (cipher->name != "aes" || (cipher->size != 128 && cipher->size != 256) ||
                   (!cipher->mode.empty() && cipher->mode != "xts") ||
                   (!cipher->hash.empty() && cipher->hash != "sha256")))
        refuse("librbd encrypts with aes of 128 or 256 bits, xts and sha256 alone",
               "leave the cipher out");
    if (const auto& ivgen = wanted.ivgen;
        ivgen && (ivgen->name != "plain64" || !ivgen->hash.empty()))
        refuse("librbd has initial vectors of kind 'plain64' alone", "leave ivgen out");
    if (wanted.secrets.size() != 1)
        throw Error(ErrorCode::invalid_argument,
                    "'" + path + "': encryption needs exactly one secret, not " +
                        std::to_string(wanted.secrets.size()),
                    "name it by uuid or usage");
}

std::uint64_t encrypted_size(const Encryption& wanted, std::uint64_t capacity)
{
    const auto header = least_header(wanted);
    return header + std::min(capacity, INT64_MAX - header);
}

void format_image(const RbdFormat& format, const Host& host, Job* job)
{
    const RbdUse use(format.pool, host, job);
    const auto path = use->path_of(format.name);
    const auto secret = secret_of(format.encryption, format.pool.name, format.name, path, host);
    const auto options = luks_options(format.encryption, secret);
    const auto& library = use.library();
    enter_phase(job, "encrypting", 0);
    {
        const RbdImage image(use.shared(), format.image, RbdImage::Mode::write);
        const auto needed = whole_size(image, format.encryption, format.capacity);
        if (needed > image.info().size)
            resize(image, needed, job);
        image.check(library.rbd_encryption_format(image.get(), rbd_format(format.encryption),
                                                  &options, sizeof options),
                    "cannot encrypt it");
    }
    check(job, "encrypting '" + path + "'");
    const auto usable = capacity_of(use.shared(), format, options);
    const RbdImage image(use.shared(), format.image, RbdImage::Mode::write);
    const auto size = image.info().size;
    if (usable > size)
        throw Error(ErrorCode::internal, "'" + path + "': an encrypted image without a header");
    const auto header = size - usable;
    if (usable != format.capacity)
        resize(image, header + format.capacity, job);
    const auto note =
        std::to_string(luks_version(format.encryption)) + ' ' + std::to_string(header);
    image.check(library.rbd_metadata_set(image.get(), metadata_key, note.c_str()),
                "cannot keep how it is encrypted");
}

} // namespace storage::inline v1
