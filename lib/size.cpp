// SPDX-License-Identifier: LGPL-2.1-or-later
// Sizes with units, as the XML writes them.
#include "names.hpp"
#include "numbers.hpp"

#include <basin/definition.hpp>
#include <basin/error.hpp>

namespace storage::inline v1 {
namespace {

constexpr std::uint64_t largest = INT64_MAX;

std::string lower(std::string_view text)
{
    std::string result(text);
    for (auto& c : result)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return result;
}

/** The power of `step` that the prefix letter stands for: k is 1, e is 6; 0 for no such letter. */
std::size_t exponent_of(char letter)
{
    constexpr std::string_view letters = "kmgtpe";
    const auto found = letters.find(letter);
    return found == letters.npos ? 0 : found + 1;
}

std::uint64_t factor_of(std::string_view unit)
{
    const auto name = lower(trimmed(unit));
    if (name.empty() || name == "b" || name == "byte" || name == "bytes")
        return 1;
    const auto exponent = exponent_of(name[0]);
    const auto suffix = std::string_view(name).substr(1);
    if (exponent == 0 || (!suffix.empty() && suffix != "ib" && suffix != "b"))
        throw Error(ErrorCode::invalid_argument,
                    "unit " + shown(unit) +
                        " is not known (allowed: B, bytes, K or KiB to E or EiB, KB to EB)");
    std::uint64_t factor = 1;
    for (std::size_t i = 0; i < exponent; ++i)
        factor *= suffix == "b" ? 1000 : 1024;
    return factor;
}

} // namespace

std::uint64_t parse_size(std::string_view number, std::string_view unit)
{
    auto digits = trimmed(number);
    if (unit.empty()) {
        const auto split = digits.find_first_not_of("+0123456789");
        if (split != digits.npos) {
            unit = trimmed(digits.substr(split));
            digits = trimmed(digits.substr(0, split));
            if (unit.empty() || digits.empty() || unit.find_first_of("-.,0123456789") != unit.npos)
                digits = {};
        }
    }
    if (digits.empty() || digits.find_first_not_of("+0123456789") != digits.npos)
        throw Error(ErrorCode::invalid_argument, shown(number) + " is not a whole number of bytes");
    const auto factor = factor_of(unit);
    const auto value = to_integer<std::uint64_t>(digits);
    if (!value && digits.find('+', 1) != digits.npos)
        throw Error(ErrorCode::invalid_argument, shown(number) + " is not a whole number of bytes");
    if (!value || *value > largest / factor)
        throw Error(ErrorCode::invalid_argument,
                    shown(std::string(number) + (unit.empty() ? "" : " " + std::string(unit))) +
                        " is more than the largest size of 2^63 - 1 bytes");
    return *value * factor;
}

} // namespace storage::inline v1
