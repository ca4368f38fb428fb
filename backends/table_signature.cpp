// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table_signature.hpp"

#include "file_io.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <linux/fs.h>
#include <optional>
#include <sys/ioctl.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

using namespace std::string_view_literals;

bool has(std::string_view start, std::size_t at, std::string_view bytes)
{
    return start.size() >= at + bytes.size() && start.substr(at, bytes.size()) == bytes;
}

unsigned byte(std::string_view start, std::size_t at)
{
    return static_cast<unsigned char>(start[at]);
}

/** A GUID as UEFI stores it: the first three groups are little-endian. */
std::string guid_text(std::string_view bytes)
{
    constexpr std::array order{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    std::string text;
    for (std::size_t i = 0; i < order.size(); ++i) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x",
                      byte(bytes, static_cast<std::size_t>(order[i])));
        text += digits;
        if (i == 3 || i == 5 || i == 7 || i == 9)
            text += '-';
    }
    return text;
}

std::string dos_id(std::string_view start)
{
    char text[9];
    std::snprintf(text, sizeof text, "%02x%02x%02x%02x", byte(start, 443), byte(start, 442),
                  byte(start, 441), byte(start, 440));
    return text == "00000000"sv ? std::string() : text;
}

/** What ends in the same two bytes as a dos table: boot sectors of FAT and NTFS. */
bool is_boot_sector(std::string_view start)
{
    if (has(start, 0x36, "FAT") || has(start, 0x52, "FAT32") || has(start, 3, "NTFS"))
        return true;
    for (std::size_t entry = 446; entry < 510; entry += 16)
        if ((byte(start, entry) & 0x7f) != 0) // neither inactive (00) nor active (80)
            return true;
    return false;
}

/** A dos table that says "this is gpt" to what does not know gpt: UEFI specification, 5.2.3. */
bool is_protective(std::string_view start)
{
    for (std::size_t entry = 446; entry < 510; entry += 16)
        if (byte(start, entry + 4) == 0xee && has(start, entry + 8, "\x01\0\0\0"sv))
            return true;
    return false;
}

/** The same where there is a header too: the kernel, libblkid and libparted go by the type. */
bool admits_gpt(std::string_view start)
{
    for (std::size_t entry = 446; entry < 510; entry += 16)
        if (byte(start, entry + 4) == 0xee)
            return true;
    return false;
}

std::optional<TableSignature> gpt_header(std::string_view start)
{
    for (const std::size_t sector_size : {512, 4096})
        if (has(start, sector_size, "EFI PART") && start.size() >= sector_size + 72)
            return TableSignature{.format = "gpt",
                                  .disk_id = guid_text(start.substr(sector_size + 56, 16))};
    return std::nullopt;
}

} // namespace

// The order matters: a gpt disk has a protective dos table, and any of them may have boot code.
TableSignature table_signature(std::string_view start)
{
    constexpr std::size_t lvm_sectors = 4; // pvck(8): the label is in one of the first four
    for (std::size_t sector = 0; sector < lvm_sectors; ++sector)
        if (has(start, sector * 512, "LABELONE") && has(start, sector * 512 + 24, "LVM2 001"))
            return {.format = "lvm2"};
    const bool has_mark = has(start, 510, "\x55\xaa"sv);
    const auto header = gpt_header(start);
    if (header && has_mark && admits_gpt(start))
        return *header;
    if (has(start, 0, "\x0b\xe5\xa9\x41"sv))
        return {.format = "dvh"};
    if (has(start, 0, "ER"))
        return {.format = "mac"};
    if (has(start, 64, "\x57\x45\x56\x82"sv))
        return {.format = "bsd"};
    if (has(start, 508, "\xda\xbe"sv))
        return {.format = "sun"};
    if (!has_mark)
        return header ? TableSignature{.format = "gpt", .is_damaged = true} : TableSignature();
    if (has(start, 4, "IPL1"))
        return {.format = "pc98"};
    if (is_boot_sector(start))
        return {};
    if (is_protective(start))
        return {.format = "gpt", .is_damaged = true};
    // With a header it is what was written over a gpt, and left that where it was.
    return {.format = "dos", .disk_id = dos_id(start)};
}

TableSignature table_signature(int fd, const std::string& path)
{
    std::array<char, signature_size> start{};
    const auto length = ::pread(fd, start.data(), start.size(), 0);
    if (length < 0)
        throw system_error(errno, "cannot read '" + path + "'");
    const std::string_view seen(start.data(), static_cast<std::size_t>(length));
    auto signature = table_signature(seen);
    // The header lies in the second sector, whatever the size of that is: who made the table on the
    // same bytes with other sectors counted in those, and nobody finds it here.
    int size = 0;
    if (signature.format == "gpt" && !signature.is_damaged && ::ioctl(fd, BLKSSZGET, &size) == 0 &&
        !has(seen, static_cast<std::size_t>(size), "EFI PART")) {
        signature.is_damaged = true;
        signature.other_sector_size = size == 512 ? 4096 : 512;
    }
    return signature;
}

} // namespace storage::inline v1
