// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rados_library.hpp"

#include "dynamic_library.hpp"

#include <atomic>

namespace storage::inline v1 {
namespace {

std::atomic<const RbdLibrary*> replacement{nullptr};

RbdLibrary load()
{
    // They keep threads that run their code, so they are never unloaded.
    const DynamicLibrary rados("librados.so.2", "librados2", Unloading::never);
    const DynamicLibrary rbd("librbd.so.1", "librbd1", Unloading::never);
    RbdLibrary library{};
#define BASIN_FROM_RADOS(result, name, arguments) library.name = rados.get<result arguments>(#name);
#define BASIN_FROM_RBD(result, name, arguments) library.name = rbd.get<result arguments>(#name);
    BASIN_RADOS_FUNCTIONS(BASIN_FROM_RADOS)
    BASIN_RBD_FUNCTIONS(BASIN_FROM_RBD)
#define BASIN_IF_IN_RADOS(result, name, arguments)                                                 \
    library.name = rados.find<result arguments>(#name);
    BASIN_RADOS_NEWER_FUNCTIONS(BASIN_IF_IN_RADOS)
#define BASIN_IF_IN_RBD(result, name, arguments) library.name = rbd.find<result arguments>(#name);
    BASIN_RBD_NEWER_FUNCTIONS(BASIN_IF_IN_RBD)
#undef BASIN_IF_IN_RADOS
#undef BASIN_IF_IN_RBD
#undef BASIN_FROM_RADOS
#undef BASIN_FROM_RBD
    return library;
}

} // namespace

const RbdLibrary& rbd_library()
{
    if (const auto* other = replacement.load())
        return *other;
    static const RbdLibrary library = load(); // tried again where it failed
    return library;
}

void replace_rbd_library(const RbdLibrary* library)
{
    replacement = library;
}

} // namespace storage::inline v1
