// SPDX-License-Identifier: LGPL-2.1-or-later
// DynamicLibrary: a library that is loaded when it is first needed, so that who does not need it
// does not have to have it.
#pragma once

#include <string>
#include <type_traits>

namespace storage::inline v1 {

enum class Unloading : bool {
    allowed, ///< once nobody uses it
    never,   ///< it stays: it keeps threads, exit handlers or state that refer to its code
};

/** A loaded library. Loading it again is cheap, so that nobody has to keep this object. */
class DynamicLibrary {
public:
    /**
     * @param soname   such as "libcryptsetup.so.12", or an absolute path
     * @param package  the Debian package that has it
     * @throws Error unavailable
     */
    DynamicLibrary(std::string soname, const char* package, Unloading unloading);
    ~DynamicLibrary();
    DynamicLibrary(DynamicLibrary&& other) noexcept;
    DynamicLibrary& operator=(DynamicLibrary&&) = delete;

    /** A function by its type, as in get<int(const char*)>("puts"). @throws Error unavailable */
    template <typename Function>
    Function* get(const char* name) const
    {
        static_assert(std::is_function_v<Function>);
        return reinterpret_cast<Function*>(symbol(name));
    }

    /** The same, or null where the library is too old, or too new, to have it. */
    template <typename Function>
    Function* find(const char* name) const
    {
        static_assert(std::is_function_v<Function>);
        return reinterpret_cast<Function*>(find_symbol(name));
    }

private:
    void* symbol(const char* name) const;
    void* find_symbol(const char* name) const noexcept;

    std::string soname_;
    const char* package_;
    void* handle_;
};

/** basin itself must not be unloaded under a thread that will go on in it. */
void keep_this_library() noexcept;

} // namespace storage::inline v1
