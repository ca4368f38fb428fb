// SPDX-License-Identifier: LGPL-2.1-or-later
// Bytes: fields of a header that somebody else wrote, read with bounds; and arithmetic that cannot
// wrap.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace storage::inline v1::image {

/** A view of header bytes. A field that the bytes do not reach reads as 0: ask has() where that
 * matters. */
class Bytes {
public:
    constexpr Bytes() = default;
    constexpr Bytes(std::span<const std::byte> data) : data_(data) {}

    std::size_t size() const { return data_.size(); }
    bool empty() const { return data_.empty(); }
    std::span<const std::byte> span() const { return data_; }

    bool has(std::uint64_t offset, std::uint64_t length) const
    {
        return offset <= data_.size() && length <= data_.size() - offset;
    }

    /** The part from offset on, at most length bytes, shorter where these bytes end. */
    Bytes part(std::uint64_t offset,
               std::uint64_t length = std::numeric_limits<std::uint64_t>::max()) const
    {
        if (offset >= data_.size())
            return {};
        const std::uint64_t left = data_.size() - offset;
        return data_.subspan(offset, length < left ? length : left);
    }

    std::uint8_t u8(std::uint64_t offset) const { return big<std::uint8_t>(offset); }
    std::uint16_t be16(std::uint64_t offset) const { return big<std::uint16_t>(offset); }
    std::uint32_t be32(std::uint64_t offset) const { return big<std::uint32_t>(offset); }
    std::uint64_t be64(std::uint64_t offset) const { return big<std::uint64_t>(offset); }
    std::uint16_t le16(std::uint64_t offset) const { return little<std::uint16_t>(offset); }
    std::uint32_t le32(std::uint64_t offset) const { return little<std::uint32_t>(offset); }
    std::uint64_t le64(std::uint64_t offset) const { return little<std::uint64_t>(offset); }

    bool matches(std::uint64_t offset, std::string_view magic) const
    {
        return has(offset, magic.size()) &&
               std::memcmp(data_.data() + offset, magic.data(), magic.size()) == 0;
    }

    std::string_view text() const
    {
        return {reinterpret_cast<const char*>(data_.data()), data_.size()};
    }

    /** A text field of a fixed length, up to its first NUL if it has one. */
    std::string_view text(std::uint64_t offset, std::uint64_t length) const
    {
        const auto field = part(offset, length).text();
        return field.substr(0, field.find('\0'));
    }

private:
    template <typename T>
    T big(std::uint64_t offset) const
    {
        T value = 0;
        if (has(offset, sizeof(T)))
            for (std::size_t i = 0; i < sizeof(T); ++i)
                value = static_cast<T>(std::uint64_t{value} << 8 |
                                       std::to_integer<std::uint64_t>(data_[offset + i]));
        return value;
    }

    template <typename T>
    T little(std::uint64_t offset) const
    {
        T value = 0;
        if (has(offset, sizeof(T)))
            for (std::size_t i = sizeof(T); i-- > 0;)
                value = static_cast<T>(std::uint64_t{value} << 8 |
                                       std::to_integer<std::uint64_t>(data_[offset + i]));
        return value;
    }

    std::span<const std::byte> data_{};
};

/** a + b, or the largest value where that would wrap: no limit is ever that large. */
constexpr std::uint64_t add(std::uint64_t a, std::uint64_t b)
{
    std::uint64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::uint64_t>::max() : sum;
}

/** a * b, or the largest value where that would wrap. */
constexpr std::uint64_t multiply(std::uint64_t a, std::uint64_t b)
{
    std::uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<std::uint64_t>::max()
                                                  : product;
}

/** The number that all of the text is; nothing where it is none or more than 64 bits. */
inline std::optional<std::uint64_t> to_integer(std::string_view digits)
{
    std::uint64_t value = 0;
    const auto* end = digits.data() + digits.size();
    const auto result = std::from_chars(digits.data(), end, value);
    if (result.ec != std::errc{} || result.ptr != end)
        return std::nullopt;
    return value;
}

constexpr bool is_power_of_two(std::uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/** How many units of `unit` bytes hold `value` bytes. */
constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t unit)
{
    return value / unit + (value % unit != 0);
}

} // namespace storage::inline v1::image
