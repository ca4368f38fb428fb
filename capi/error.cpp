// SPDX-License-Identifier: LGPL-2.1-or-later
// basin_error: one immutable block of memory; and version and memory functions.
#include "boundary.hpp"

#include <cstring>

using namespace storage;
using namespace storage::capi;

struct basin_error {
    int code;
    int os_error;
    int retryable;
    // These point behind the object.
    const char* message;
    const char* remedy;
    const char* detail;
};

namespace {

// Given out when there is no memory for another; basin_error_free() knows it.
constexpr basin_error no_memory{BASIN_E_NO_MEMORY,           0, 0, "out of memory",
                                "free memory and try again", ""};

const char* append(char*& next, const char* text, std::size_t length)
{
    char* const start = next;
    std::memcpy(start, text, length);
    start[length] = '\0';
    next += length + 1;
    return start;
}

} // namespace

namespace storage::capi {

basin_error* make_error(const Error& cause) noexcept
{
    const std::size_t length = std::strlen(cause.what());
    void* const memory = std::malloc(sizeof(basin_error) + length + cause.remedy().size() +
                                     cause.detail().size() + 3);
    if (!memory)
        return const_cast<basin_error*>(&no_memory);
    char* next = static_cast<char*>(memory) + sizeof(basin_error);
    auto* const error = new (memory) basin_error{};
    error->code = static_cast<int>(cause.code());
    error->os_error = cause.os_error();
    error->retryable = cause.retryable();
    error->message = append(next, cause.what(), length);
    error->remedy = append(next, cause.remedy().data(), cause.remedy().size());
    error->detail = append(next, cause.detail().data(), cause.detail().size());
    return error;
}

int fail(basin_error** error, const Error& cause) noexcept
{
    if (error)
        *error = make_error(cause);
    return static_cast<int>(cause.code());
}

int fail_unexpected(basin_error** error, const char* what) noexcept
{
    try {
        return fail(error, Error(ErrorCode::internal, what));
    } catch (...) {
        return out_of_memory(error);
    }
}

int out_of_memory(basin_error** error) noexcept
{
    if (error)
        *error = const_cast<basin_error*>(&no_memory);
    return BASIN_E_NO_MEMORY;
}

} // namespace storage::capi

const char* basin_version_string(void)
{
    return BASIN_VERSION_STRING;
}

uint32_t basin_version_number(void)
{
    return BASIN_VERSION_NUMBER;
}

void basin_free(void* text)
{
    std::free(text);
}

void basin_string_list_free(char** list)
{
    std::free(list);
}

const char* basin_error_name(int code)
{
    return code == BASIN_OK ? "ok" : to_string(static_cast<ErrorCode>(code)).data();
}

int basin_error_code(const basin_error* error)
{
    return error ? error->code : BASIN_OK;
}

const char* basin_error_message(const basin_error* error)
{
    return error ? error->message : "";
}

const char* basin_error_remedy(const basin_error* error)
{
    return error ? error->remedy : "";
}

const char* basin_error_detail(const basin_error* error)
{
    return error ? error->detail : "";
}

int basin_error_os_error(const basin_error* error)
{
    return error ? error->os_error : 0;
}

int basin_error_retryable(const basin_error* error)
{
    return error ? error->retryable : 0;
}

char* basin_error_json(const basin_error* error)
{
    if (!error)
        return nullptr;
    return value_or<char*>(nullptr, [&] {
        return copy_text(to_json(Error(static_cast<ErrorCode>(error->code), error->message,
                                       error->remedy, error->detail, error->os_error)));
    });
}

void basin_error_free(basin_error* error)
{
    if (error != &no_memory)
        std::free(error);
}
