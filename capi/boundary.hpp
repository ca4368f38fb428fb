// SPDX-License-Identifier: LGPL-2.1-or-later
// The border between C and C++: the only try/catch, the checks of what comes in, and the memory of
// what goes out.
#pragma once

#include <basin/basin.h>
#include <basin/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace storage::capi {

/** Puts a new error object into *error, if wanted, and returns the code. */
int fail(basin_error** error, const Error& cause) noexcept;
/** Makes an error object; without memory a static one. Never null. */
basin_error* make_error(const Error& cause) noexcept;
/** The same of an exception that is no Error. */
int fail_unexpected(basin_error** error, const char* what) noexcept;
/** Hands out the static error object: allocates nothing. */
int out_of_memory(basin_error** error) noexcept;

/** Runs body and turns whatever it throws into a code and, if wanted, a basin_error. */
template <typename Body>
int guard(basin_error** error, Body&& body)
{
    if (error)
        *error = nullptr;
    try {
        body();
        return BASIN_OK;
    } catch (const Error& e) {
        return fail(error, e);
    } catch (const std::bad_alloc&) {
        return out_of_memory(error);
    } catch (const std::exception& e) {
        return fail_unexpected(error, e.what());
    } catch (abi::__forced_unwind&) {
        throw; // pthread_cancel: swallowing it would terminate the host
    } catch (...) {
        return fail_unexpected(error, "unknown exception");
    }
}

/** The same for functions that return a value and no code. */
template <typename Value, typename Body>
Value value_or(Value fallback, Body&& body)
{
    try {
        return body();
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        return fallback;
    }
}

/** What a pointer points to. @throws Error invalid_argument  NULL */
template <typename T>
T& required(T* pointer, const char* name)
{
    if (!pointer)
        throw Error(ErrorCode::invalid_argument, std::string(name) + ": NULL is not allowed here");
    return *pointer;
}

inline std::string_view required_text(const char* text, const char* name)
{
    return {&required(text, name)};
}

inline std::string_view text_or_empty(const char* text)
{
    return text ? std::string_view(text) : std::string_view();
}

/** What a callback of the application returned instead of BASIN_OK, as an error of the call. */
Error callback_error(std::int64_t code, const std::string& what);

inline std::chrono::milliseconds time_span(std::uint64_t milliseconds)
{
    return std::chrono::milliseconds(static_cast<std::int64_t>(
        std::min<std::uint64_t>(milliseconds, std::numeric_limits<std::int64_t>::max())));
}

/** @throws Error invalid_argument  a bit beyond the known ones is set */
void reject_unknown_flags(std::uint32_t flags, std::uint32_t known);

/**
 * Reads a structure of any age: an older program's is shorter, a newer one's longer. What it lacks
 * stays as in `defaults`; what this library does not know is for reject_unknown_members().
 * @throws Error invalid_argument  it is shorter than it ever was
 */
template <typename Record>
Record read_record(const Record& given, const Record& defaults, std::size_t first_size,
                   const std::string& name)
{
    if (given.struct_size < first_size)
        throw Error(ErrorCode::invalid_argument,
                    name + ".struct_size: " + std::to_string(given.struct_size) + " is too small",
                    "set the structure up with its _INIT macro");
    Record record = defaults;
    std::memcpy(&record, &given, std::min<std::size_t>(given.struct_size, sizeof(record)));
    return record;
}

/** @throws Error invalid_argument  `reserved` or a member that this library does not know is set */
template <typename Record>
void reject_unknown_members(const Record& given, const std::string& name)
{
    const auto* const bytes = reinterpret_cast<const unsigned char*>(&given);
    for (std::size_t i = sizeof(given); i < given.struct_size; ++i)
        if (bytes[i] != 0)
            throw Error(ErrorCode::invalid_argument,
                        name + ": a member is set that basin " BASIN_VERSION_STRING
                               " does not know",
                        "load the library that belongs to the header");
    if (given.reserved != 0)
        throw Error(ErrorCode::invalid_argument, name + ".reserved: is not 0");
}

/** @throws Error invalid_argument  the number is not one of first to last */
template <typename Enum>
Enum choice(std::uint32_t value, const char* name, Enum first, Enum last)
{
    if (value < static_cast<std::uint32_t>(first) || value > static_cast<std::uint32_t>(last))
        throw Error(ErrorCode::invalid_argument,
                    std::string(name) + ": " + std::to_string(value) + " is not a valid value");
    return static_cast<Enum>(value);
}

/** Memory for the caller. @throws std::bad_alloc */
void* allocate(std::size_t size);
/** A copy that basin_free() frees. */
char* copy_text(std::string_view text);
/** A copy that basin_string_list_free() frees. */
char** copy_texts(const std::vector<std::string>& texts);

/** Joins JSON values to a JSON array. */
template <typename Values>
std::string json_array(const Values& values)
{
    std::string result = "[";
    for (const auto& value : values) {
        if (result.size() > 1)
            result += ',';
        result += to_json(value);
    }
    return result + ']';
}

} // namespace storage::capi
