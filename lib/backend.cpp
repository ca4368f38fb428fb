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
void Backend::start(Change&) {}
void Backend::stop(Change&) {}
void Backend::remove(Change&)
{
    missing("delete_pool");
}
void Backend::create_volume(const VolumeDef&, const VolumeRecord*, CreateFlags, Change&)
{
    missing("create_volume");
}
void Backend::delete_volume(std::string_view, Change&)
{
    missing("delete_volume");
}

} // namespace storage::inline v1
