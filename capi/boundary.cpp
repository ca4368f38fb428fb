// SPDX-License-Identifier: LGPL-2.1-or-later
#include "boundary.hpp"

#include <array>
#include <cstdio>

namespace storage::capi {

void reject_unknown_flags(std::uint32_t flags, std::uint32_t known)
{
    const std::uint32_t unknown = flags & ~known;
    if (unknown == 0)
        return;
    std::string bits;
    for (unsigned bit = 0; bit < 32; ++bit)
        if ((unknown >> bit & 1) != 0)
            bits += (bits.empty() ? "" : ", ") + std::string("1 << ") + std::to_string(bit);
    throw Error(ErrorCode::invalid_argument, "flags: this function does not know " + bits,
                "leave the bit out; basin.h lists the flags of each function");
}

Error callback_error(std::int64_t code, const std::string& what)
{
    const bool known = code >= BASIN_E_INTERNAL && code < BASIN_OK;
    return Error(known ? static_cast<ErrorCode>(code) : ErrorCode::internal,
                 what + ": the application's callback answered with code " + std::to_string(code));
}

void* allocate(std::size_t size)
{
    void* const memory = std::malloc(size);
    if (!memory)
        throw std::bad_alloc();
    return memory;
}

char* copy_text(std::string_view text)
{
    char* const copy = static_cast<char*>(allocate(text.size() + 1));
    text.copy(copy, text.size());
    copy[text.size()] = '\0';
    return copy;
}

char** copy_texts(const std::vector<std::string>& texts)
{
    std::size_t size = (texts.size() + 1) * sizeof(char*);
    for (const auto& text : texts)
        size += text.size() + 1;
    char** const list = static_cast<char**>(allocate(size));
    char* next = reinterpret_cast<char*>(list + texts.size() + 1);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        list[i] = next;
        std::memcpy(next, texts[i].c_str(), texts[i].size() + 1);
        next += texts[i].size() + 1;
    }
    list[texts.size()] = nullptr;
    return list;
}

} // namespace storage::capi
