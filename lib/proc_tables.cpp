// SPDX-License-Identifier: LGPL-2.1-or-later
#include "proc_tables.hpp"

#include "file_io.hpp"
#include "numbers.hpp"
#include "system_root.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <memory>

namespace storage::inline v1 {

std::vector<std::string> lines_of(const std::string& path)
{
    constexpr std::size_t limit = 32 << 20; // 100,000 mounts
    std::vector<std::string> lines;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd)
        return lines;
    const auto text = read_fd(fd.get(), limit, path);
    for (std::size_t start = 0, end; (end = text.find('\n', start)) != text.npos; start = end + 1)
        lines.push_back(text.substr(start, end - start));
    return lines;
}

std::string_view take_word(std::string_view& line)
{
    const auto word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return word;
}

std::string unescaped(std::string_view text)
{
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto code =
            text[i] == '\\' ? to_integer<unsigned>(text.substr(i + 1, 3), 8) : std::nullopt;
        result += code && *code < 256 ? static_cast<char>(*code) : text[i];
        i += code && *code < 256 ? 3 : 0;
    }
    return result;
}

bool MountEntry::has_option(std::string_view name) const
{
    return ("," + options + ",").find("," + std::string(name) + ",") != std::string::npos;
}

std::string MountEntry::option(std::string_view name) const
{
    const auto all = "," + options;
    const auto key = "," + std::string(name) + "=";
    const auto at = all.find(key);
    if (at == all.npos)
        return {};
    const auto start = at + key.size();
    return all.substr(start, all.find(',', start) - start);
}

// 36 35 98:0 /root/in/fs /mount/point rw,noatime shared:1 - ext3 /dev/sdb rw,errors=continue
std::vector<MountEntry> mount_table(const SystemRoot& system)
{
    std::vector<MountEntry> table;
    for (const auto& line : lines_of(system.path("/proc/self/mountinfo"))) {
        std::string_view rest = line;
        MountEntry mount;
        mount.id = to_integer<std::uint64_t>(take_word(rest)).value_or(0);
        mount.parent = to_integer<std::uint64_t>(take_word(rest)).value_or(0);
        mount.device = take_word(rest);
        mount.root = unescaped(take_word(rest));
        mount.point = unescaped(take_word(rest));
        const auto own = take_word(rest);
        mount.is_read_only = own == "ro" || own.starts_with("ro,");
        while (!rest.empty() && take_word(rest) != "-") {
        }
        mount.type = take_word(rest);
        mount.source = unescaped(take_word(rest));
        mount.options = take_word(rest);
        table.push_back(std::move(mount));
    }
    return table;
}

const MountEntry* top_mount(const std::vector<MountEntry>& table, std::string_view point)
{
    const auto is_here = [&](const MountEntry& mount) { return mount.point == point; };
    const auto is_covered = [&](const MountEntry& mount) {
        return std::any_of(table.begin(), table.end(), [&](const MountEntry& other) {
            return is_here(other) && other.parent == mount.id && other.id != mount.id;
        });
    };
    const auto top = std::find_if(table.rbegin(), table.rend(), [&](const MountEntry& mount) {
        return is_here(mount) && !is_covered(mount);
    });
    return top == table.rend() ? nullptr : &*top;
}

std::optional<MountEntry> mount_at(const std::string& path, const SystemRoot& system)
{
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           std::free);
    if (!real)
        return std::nullopt;
    const auto table = mount_table(system);
    const auto* top = top_mount(table, real.get());
    return top ? std::optional(*top) : std::nullopt;
}

} // namespace storage::inline v1
