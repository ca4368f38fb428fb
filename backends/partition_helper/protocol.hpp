// SPDX-License-Identifier: GPL-3.0-or-later
// One request, one answer: what a caller asks for, and what refuses it.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace partition_helper {

/** An answer "no": a name of basin's ErrorCode, one line, and what can be done about it. */
class Refusal : public std::runtime_error {
public:
    Refusal(const char* code, const std::string& message, std::string remedy = {})
        : std::runtime_error(message), code_(code), remedy_(std::move(remedy))
    {
    }
    const char* code() const { return code_; }
    const std::string& remedy() const { return remedy_; }

private:
    const char* code_;
    std::string remedy_;
};

/** The refusal for what the system answered. */
Refusal system_refusal(int error, const std::string& message);

/** Sizes and places are bytes. */
struct Request {
    std::string operation{};
    std::string device{};
    std::string device_number{};    ///< "MAJOR:MINOR" that the device must have; "": any
    bool part_separator{};          ///< device mapper: "p" before each number
    std::uint64_t sector_size{};    ///< of an image file; 0: 512
    std::string table{};            ///< the type that it must have, or shall have; "": any
    std::uint64_t patience{10'000}; ///< milliseconds to wait for another tool's lock of the disk
    std::string disk_id{};          ///< the identity that the table must have; "": any
    bool keep{};                    ///< a new table: only where there is none
    std::string mark{}; ///< a file that gets a byte before the disk is written; "": none

    // A new partition.
    bool plan{};                            ///< only says what would be made
    std::string kind{"auto"};               ///< auto, primary, logical, extended
    std::string format{"none"};             ///< one of basin's volume formats
    std::string name{};                     ///< kept in the table, where it has names
    std::uint64_t size{};                   ///< also the new size of an existing one
    std::optional<std::uint64_t> start{};   ///< exactly there; else best fit
    std::optional<std::uint64_t> alignment; ///< else the device's

    // An existing partition: the number and all that is known of it must agree.
    int number{};                          ///< also the number that a new one must get; 0: any
    std::optional<std::uint64_t> length{}; ///< with start
    std::string guid{};
};

/** @throws Refusal invalid_argument */
Request parse_request(std::string_view text);

inline constexpr std::size_t request_limit = 64 * 1024;
/** More than any kernel shows of one disk (DISK_MAX_PARTS in linux/genhd.h). */
inline constexpr std::size_t partition_limit = 256;
inline constexpr std::uint64_t default_alignment = 1024 * 1024;

} // namespace partition_helper
