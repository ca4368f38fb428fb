// SPDX-License-Identifier: LGPL-2.1-or-later
// Content in and out of volumes: by descriptor or by callback.
#include "handles.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

constexpr std::uint32_t volume_flags = BASIN_TRANSFER_SPARSE | BASIN_TRANSFER_DIGEST;
constexpr std::uint32_t upload_flags = volume_flags | BASIN_TRANSFER_RESUMABLE;
static_assert((upload_flags & definition_flags) == 0, "one parameter has them all");

constexpr std::size_t first_transfer_size =
    offsetof(basin_transfer, expected_sha256) + sizeof(const char*);

ReadCallback reader(std::shared_ptr<const Closure<basin_read_callback>> callback)
{
    return [callback = std::move(callback)](std::span<std::byte> buffer, std::uint64_t& hole) {
        void* const start = buffer.data();
        std::uint64_t zeros = 0;
        const std::int64_t given = (*callback)(start, buffer.size(), &zeros);
        if (given < 0)
            throw callback_error(given, "upload");
        if (static_cast<std::uint64_t>(given) > buffer.size() || (given > 0 && zeros > 0))
            throw Error(ErrorCode::invalid_argument,
                        "upload: the application's callback gave " + std::to_string(given) +
                            " bytes and a hole of " + std::to_string(zeros) +
                            " where there was room for " + std::to_string(buffer.size()),
                        "give as many bytes as fit, or a hole, not both");
        hole = zeros;
        return static_cast<std::size_t>(given);
    };
}

WriteCallback writer(std::shared_ptr<const Closure<basin_write_callback>> callback)
{
    return [callback = std::move(callback)](std::span<const std::byte> data, std::uint64_t hole) {
        const void* const start = data.data();
        if (const int code = (*callback)(start, data.size(), hole); code != BASIN_OK)
            throw callback_error(code, "download");
    };
}

/** A basin_transfer that was read; from here on every user_data is freed, whatever happens. */
class Transfer {
public:
    Transfer(const basin_transfer* given, const char* name)
        : name_(name), given_(required(given, name)),
          record_(read_record(given_, defaults, first_transfer_size, name_)), read_(record_.read),
          write_(record_.write)
    {
    }

    TransferOptions options(std::uint32_t flags) const
    {
        reject_unknown_members(given_, name_);
        TransferOptions options{.offset = record_.offset,
                                .length = record_.length,
                                .sparse = (flags & BASIN_TRANSFER_SPARSE) != 0,
                                .expected_sha256 =
                                    std::string(text_or_empty(record_.expected_sha256)),
                                .digest = (flags & BASIN_TRANSFER_DIGEST) != 0,
                                .resumable = (flags & BASIN_TRANSFER_RESUMABLE) != 0,
                                .allowed = allowed(flags)};
        if (record_.has_expected_length != 0)
            options.expected_length = record_.expected_length;
        return options;
    }
    UploadSource source() { return end<UploadSource>(read_, reader, write_, ".read"); }
    DownloadTarget target() { return end<DownloadTarget>(write_, writer, read_, ".write"); }

private:
    static constexpr basin_transfer defaults = BASIN_TRANSFER_INIT;

    /** The one end that was given: the descriptor or the callback. */
    template <typename End, typename Wanted, typename Make, typename Other>
    End end(Closure<Wanted>& wanted, Make make, const Closure<Other>& other, const char* member)
    {
        if (other || (record_.fd >= 0) == static_cast<bool>(wanted))
            throw Error(ErrorCode::invalid_argument,
                        name_ + ": give either fd, or -1 as fd and " + (member + 1));
        if (wanted)
            return End(make(wanted.share(wanted)));
        return End(record_.fd);
    }

    std::string name_;
    const basin_transfer& given_;
    basin_transfer record_;
    Closure<basin_read_callback> read_;
    Closure<basin_write_callback> write_;
};

TransferOptions plain_options(std::uint64_t offset, std::uint64_t length, std::uint32_t flags)
{
    return {.offset = offset,
            .length = length,
            .sparse = (flags & BASIN_TRANSFER_SPARSE) != 0,
            .digest = (flags & BASIN_TRANSFER_DIGEST) != 0,
            .allowed = allowed(flags)};
}

} // namespace

int basin_volume_upload(basin_volume* volume, int fd, uint64_t offset, uint64_t length,
                        uint32_t flags, basin_job* job, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(volume, "volume").cpp;
        reject_unknown_flags(flags, volume_flags | allow_flags);
        target.upload(fd, plain_options(offset, length, flags), job_or_null(job));
    });
}

int basin_volume_download(basin_volume* volume, int fd, uint64_t offset, uint64_t length,
                          uint32_t flags, basin_job* job, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(volume, "volume").cpp;
        reject_unknown_flags(flags, volume_flags);
        source.download(fd, plain_options(offset, length, flags), job_or_null(job));
    });
}

int basin_volume_upload_from(basin_volume* volume, const basin_transfer* source, uint32_t flags,
                             basin_job* job, uint64_t* bytes, basin_error** error)
{
    return guard(error, [&] {
        Transfer transfer(source, "source");
        auto& target = required(volume, "volume").cpp;
        auto& out = required(bytes, "bytes");
        reject_unknown_flags(flags, volume_flags | allow_flags);
        const auto options = transfer.options(flags);
        out = target.upload(transfer.source(), options, job_or_null(job));
    });
}

int basin_volume_download_to(basin_volume* volume, const basin_transfer* target, uint32_t flags,
                             basin_job* job, uint64_t* bytes, basin_error** error)
{
    return guard(error, [&] {
        Transfer transfer(target, "target");
        const auto& source = required(volume, "volume").cpp;
        auto& out = required(bytes, "bytes");
        reject_unknown_flags(flags, volume_flags);
        const auto options = transfer.options(flags);
        out = source.download(transfer.target(), options, job_or_null(job));
    });
}

int basin_pool_upload_volume(basin_pool* pool, const char* definition, const basin_transfer* source,
                             uint32_t flags, basin_job* job, basin_volume** volume,
                             basin_error** error)
{
    return guard(error, [&] {
        Transfer transfer(source, "source");
        auto& target = required(pool, "pool");
        const auto text = required_text(definition, "definition");
        auto& out = required(volume, "volume");
        reject_unknown_flags(flags, definition_flags | upload_flags);
        const auto options = transfer.options(flags);
        const auto def = read_volume(text, target.type, VolumePurpose::create_from, flags,
                                     warn(*target.context));
        out = new basin_volume{target.context, target.cpp.upload_volume(def, transfer.source(),
                                                                        options, job_or_null(job))};
    });
}

int basin_pool_get_partial_upload(basin_pool* pool, const char* name, uint32_t flags, int* found,
                                  uint64_t* bytes, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        const std::string text(required_text(name, "name"));
        auto& exists = required(found, "found");
        auto& size = required(bytes, "bytes");
        reject_unknown_flags(flags, 0);
        const auto arrived = source.partial_upload(text);
        exists = arrived.has_value();
        size = arrived.value_or(0);
    });
}

int basin_pool_get_upload_identity(basin_pool* pool, const char* name, uint32_t flags,
                                   char** identity, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(pool, "pool").cpp;
        const std::string text(required_text(name, "name"));
        auto& out = required(identity, "identity");
        reject_unknown_flags(flags, 0);
        out = copy_text(source.upload_identity(text));
    });
}

int basin_pool_discard_upload(basin_pool* pool, const char* name, uint32_t flags, basin_job* job,
                              basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(pool, "pool").cpp;
        const std::string text(required_text(name, "name"));
        reject_unknown_flags(flags, 0);
        target.discard_upload(text, job_or_null(job));
    });
}
