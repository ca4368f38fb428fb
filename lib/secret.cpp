// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/secret.hpp>

#include <cstring>

namespace storage::inline v1 {

namespace {

void overwrite(std::vector<char>& bytes) noexcept
{
    if (!bytes.empty()) // an empty vector has no address to give
        explicit_bzero(bytes.data(), bytes.size());
}

} // namespace

Secret::Secret(std::string_view bytes)
    : storage_(bytes.begin(), bytes.end()), bytes_(storage_.data(), storage_.size())
{
}
Secret::Secret(const Secret& other) : Secret(other.bytes_) {}

Secret::Secret(Secret&& other) noexcept
    : storage_(std::move(other.storage_)), bytes_(storage_.data(), storage_.size())
{
    other.bytes_ = {};
}

Secret& Secret::operator=(const Secret& other)
{
    if (this != &other)
        *this = Secret(other.bytes_);
    return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept
{
    if (this != &other) {
        overwrite(storage_);
        storage_ = std::move(other.storage_);
        bytes_ = {storage_.data(), storage_.size()};
        other.bytes_ = {};
    }
    return *this;
}

Secret::~Secret()
{
    overwrite(storage_);
}

} // namespace storage::inline v1
