// SPDX-License-Identifier: LGPL-2.1-or-later
#include "dynamic_library.hpp"

#include <basin/error.hpp>

#include <dlfcn.h>
#include <utility>

namespace storage::inline v1 {
namespace {

Error unavailable(const std::string& soname, const char* package, const std::string& why)
{
    return {ErrorCode::unavailable, "library '" + soname + "' cannot be used: " + why,
            std::string("install the Debian package '") + package + "'"};
}

std::string loader_error()
{
    const char* error = ::dlerror(); // of this thread (dlerror(3))
    return error ? error : "no reason given";
}

} // namespace

DynamicLibrary::DynamicLibrary(std::string soname, const char* package, Unloading unloading)
    : soname_(std::move(soname)), package_(package),
      handle_(::dlopen(soname_.c_str(),
                       RTLD_NOW | RTLD_LOCAL | (unloading == Unloading::never ? RTLD_NODELETE : 0)))
{
    if (!handle_)
        throw unavailable(soname_, package_, loader_error());
}

DynamicLibrary::DynamicLibrary(DynamicLibrary&& other) noexcept
    : soname_(std::move(other.soname_)), package_(other.package_),
      handle_(std::exchange(other.handle_, nullptr))
{
}

DynamicLibrary::~DynamicLibrary()
{
    if (handle_)
        ::dlclose(handle_);
}

void keep_this_library() noexcept
{
    ::Dl_info info{};
    if (::dladdr(reinterpret_cast<void*>(&keep_this_library), &info) != 0)
        ::dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void* DynamicLibrary::symbol(const char* name) const
{
    void* const found = find_symbol(name);
    if (!found)
        throw unavailable(soname_, package_, loader_error());
    return found;
}

void* DynamicLibrary::find_symbol(const char* name) const noexcept
{
    return ::dlsym(handle_, name);
}

} // namespace storage::inline v1
