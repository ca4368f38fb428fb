// SPDX-License-Identifier: LGPL-2.1-or-later
#include "backend.hpp"

namespace storage::inline v1 {

namespace {

/** A backend that announces a capability must implement it; conformance tests look for this. */
[[noreturn]] void missing(const char* what)
{
    throw Error(ErrorCode::internal,
                std::string("the backend announces '") + what + "' and does not implement it");
}

} // namespace

ImageInfo Backend::inspect(std::string_view name)
{
    throw Error(ErrorCode::not_supported,
                "volume '" + std::string(name) + "' has no image header to inspect");
}

void Backend::build(BuildMode, Change&)
{
    missing("build_pool");
}
std::string Backend::start(Change&)
{
    return {};
}
void Backend::stop(const std::string&, Change&) {}
void Backend::show(PoolDef&) {}
std::string Backend::new_name(const VolumeDef& def)
{
    return def.name;
}
void Backend::remove(Change&)
{
    missing("delete_pool");
}
std::string Backend::storage_identity()
{
    throw Error(ErrorCode::not_supported, "pools of this type are neither built nor deleted");
}
void Backend::create_volume(const VolumeDef&, const CopySource*, CreateFlags, Change&)
{
    missing("create_volume");
}
void Backend::create_uploaded(const VolumeDef&, const UploadSource&, const TransferOptions&,
                              Change&)
{
    missing("upload");
}
void Backend::discard_upload(const std::string&, Change&)
{
    missing("upload");
}
void Backend::delete_volume(std::string_view, Change&)
{
    missing("delete_volume");
}
void Backend::rename_volume(std::string_view, const std::string&, Change&)
{
    missing("rename_volume");
}
void Backend::resize_volume(const VolumeDef&, std::uint64_t, ResizeFlags, Change&)
{
    missing("grow_volume");
}
void Backend::wipe_volume(const VolumeDef&, WipeAlgorithm, Change&)
{
    missing("wipe_volume");
}
void Backend::flatten_volume(const VolumeDef&, Change&)
{
    missing("flatten_volume");
}
void Backend::upload(const VolumeDef&, const UploadSource&, const TransferOptions&, std::uint64_t&,
                     Change&)
{
    missing("upload");
}
void Backend::create_snapshot(const VolumeDef&, const std::string&, Change&)
{
    missing("snapshots");
}
void Backend::delete_snapshot(const VolumeDef&, const std::string&, Change&)
{
    missing("snapshots");
}
void Backend::revert_snapshot(const VolumeDef&, const std::string&, Change&)
{
    missing("snapshots");
}

void Backend::protect_snapshot(const VolumeDef&, const std::string&, bool, Change&)
{
    missing("protect_snapshots");
}
void Backend::set_metadata(const VolumeDef&, const std::string&, const std::optional<std::string>&,
                           Change&)
{
    missing("metadata");
}
std::map<std::string, std::string> Backend::metadata(std::string_view)
{
    missing("metadata");
}

std::uint64_t Backend::download(std::string_view, const DownloadTarget&, const TransferOptions&,
                                Job*)
{
    missing("download");
}
std::vector<Snapshot> Backend::snapshots(std::string_view)
{
    missing("snapshots");
}
OpenContent Backend::content(std::string_view)
{
    return nullptr;
}
std::optional<std::uint64_t> Backend::partial_upload(const std::string&)
{
    return std::nullopt;
}
std::string Backend::upload_identity(const std::string&)
{
    return {};
}
std::vector<Blocker> Backend::blockers(std::string_view)
{
    return {};
}

} // namespace storage::inline v1
