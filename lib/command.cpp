// SPDX-License-Identifier: LGPL-2.1-or-later
// Commands in words: for errors, traces and transcripts. No secret gets in.
#include "command.hpp"

#include "file_io.hpp"
#include "names.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <strings.h>

namespace storage::inline v1 {
namespace {

constexpr std::size_t evidence_limit = 4096;
constexpr std::size_t line_limit = 400;

struct Package {
    std::string_view program;
    std::string_view package;
};

// Names of Debian 12.
constexpr Package packages[] = {
    {"btrfs", "btrfs-progs"},
    {"cryptsetup", "cryptsetup-bin"},
    {"dmsetup", "dmsetup"},
    {"dog", "sheepdog"},
    {"gluster", "glusterfs-cli"},
    {"iscsiadm", "open-iscsi"},
    {"kpartx", "kpartx"},
    {"lvchange", "lvm2"},
    {"lvcreate", "lvm2"},
    {"lvm", "lvm2"},
    {"lvremove", "lvm2"},
    {"lvs", "lvm2"},
    {"mkfs.btrfs", "btrfs-progs"},
    {"mkfs.ext2", "e2fsprogs"},
    {"mkfs.ext3", "e2fsprogs"},
    {"mkfs.ext4", "e2fsprogs"},
    {"mkfs.gfs2", "gfs2-utils"},
    {"mkfs.ocfs2", "ocfs2-tools"},
    {"mkfs.vfat", "dosfstools"},
    {"mkfs.xfs", "xfsprogs"},
    {"mount", "mount"},
    {"mount.cifs", "cifs-utils"},
    {"mount.glusterfs", "glusterfs-client"},
    {"mount.nfs", "nfs-common"},
    {"multipath", "multipath-tools"},
    {"parted", "parted"},
    {"pvcreate", "lvm2"},
    {"pvremove", "lvm2"},
    {"pvs", "lvm2"},
    {"qemu-img", "qemu-utils"},
    {"rbd", "ceph-common"},
    {"scrub", "scrub"},
    {"sfdisk", "fdisk"},
    {"showmount", "nfs-common"},
    {"udevadm", "udev"},
    {"umount", "mount"},
    {"vgchange", "lvm2"},
    {"vgcreate", "lvm2"},
    {"vgremove", "lvm2"},
    {"vgs", "lvm2"},
    {"wipefs", "util-linux"},
    {"zfs", "zfsutils-linux"},
    {"zpool", "zfsutils-linux"},
};

void replace_all(std::string& text, std::string_view what, std::string_view by)
{
    for (std::size_t at = 0; !what.empty() && (at = text.find(what, at)) != text.npos;)
        text.replace(at, what.size(), by), at += by.size();
}

/** With "***" where a secret stands, whoever put it there. */
std::string redacted(std::string text, const std::vector<Secret>& secrets)
{
    for (const auto& secret : secrets) {
        auto bytes = secret.bytes();
        while (bytes.ends_with('\n'))
            bytes.remove_suffix(1);
        replace_all(text, bytes, "***");
    }
    return text;
}

/** Valid UTF-8 without control characters but, where wanted, line breaks. */
std::string printable(std::string_view text, bool keep_lines)
{
    std::string result;
    while (!text.empty()) {
        const auto character = decode_utf8(text);
        const auto length = character.length ? character.length : 1;
        const bool control =
            character.value < 0x20 || (character.value >= 0x7F && character.value < 0xA0);
        if (!character.length)
            result += '?';
        else if (keep_lines && character.value == '\n')
            result += '\n';
        else if (control)
            result += ' ';
        else
            result += text.substr(0, length);
        text.remove_prefix(length);
    }
    return result;
}

std::string_view base_name(std::string_view path)
{
    return path.substr(path.find_last_of('/') + 1);
}

std::string_view trimmed(std::string_view line)
{
    const auto first = line.find_first_not_of(" \t\r");
    return first == line.npos ? "" : line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
}

bool is_warning(std::string_view line)
{
    return line.size() >= 7 && ::strncasecmp(line.data(), "warning", 7) == 0;
}

/** The first line of standard error that says what went wrong, without the program's name. */
std::string complaint(const Command& command, std::string_view errors)
{
    const auto prefix = std::string(base_name(command.program)) + ':';
    std::string_view warning;
    while (!errors.empty()) {
        const auto end = errors.find('\n');
        auto line = trimmed(errors.substr(0, end));
        errors.remove_prefix(end == errors.npos ? errors.size() : end + 1);
        if (line.starts_with(prefix))
            line = trimmed(line.substr(prefix.size()));
        if (line.empty())
            continue;
        if (!is_warning(line))
            return printable(line.substr(0, line_limit), false);
        if (warning.empty())
            warning = line;
    }
    return printable(warning.substr(0, line_limit), false);
}

/** What the system said, where the program ends with the C locale's words for it; else 0. */
int system_reason(std::string_view message)
{
    for (const int reason : {ENOSPC, EDQUOT, EFBIG, EROFS, EIO})
        if (message.ends_with(std::string(": ") + ::strerrordesc_np(reason)))
            return reason;
    return 0;
}

Error failure(const Command& command, const std::string& outcome, const CommandResult& result)
{
    const auto errors = redacted(result.errors, command.secrets);
    auto message = complaint(command, errors);
    while (message.ends_with('.'))
        message.pop_back();
    std::string_view last = errors;
    if (last.size() > evidence_limit)
        last.remove_prefix(last.size() - evidence_limit);
    const int reason = system_reason(message);
    return {reason ? system_error(reason, {}).code() : ErrorCode::command_failed,
            command.program + ": " + (message.empty() ? outcome : message), "",
            "command: " + quoted(command) + "\nended: " + outcome +
                "\nstderr: " + printable(last, true),
            reason};
}

std::string quoted_word(const std::string& word)
{
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "@%+=:,./_-";
    if (!word.empty() && word.find_first_not_of(plain) == word.npos)
        return word;
    std::string result = "'";
    for (const char c : word)
        result += c == '\'' ? "'\\''" : std::string(1, c);
    return result + '\'';
}

} // namespace

namespace {

std::string descriptor_path(int fd)
{
    return "/proc/self/fd/" + std::to_string(fd);
}

/** With secrets redacted. */
std::vector<std::string> arguments_of(const Command& command)
{
    std::vector<std::string> result{command.program};
    for (const auto& argument : command.arguments)
        result.push_back(redacted(argument, command.secrets));
    return result;
}

} // namespace

std::string pass_secret(Command& command, const Secret& secret)
{
    if (command.secrets.size() >= secret_limit)
        throw Error(ErrorCode::internal,
                    "more than " + std::to_string(secret_limit) + " secrets for one command");
    command.secrets.push_back(secret);
    const auto index = static_cast<int>(command.secrets.size()) - 1;
    return descriptor_path(first_secret_fd + index);
}

std::string pass_descriptor(Command& command, int fd)
{
    command.inherited.push_back(fd);
    const auto index = static_cast<int>(command.inherited.size()) - 1;
    return descriptor_path(first_inherited_fd + index);
}

std::vector<std::string> words(const Command& command)
{
    auto result = arguments_of(command);
    for (auto& word : result)
        for (int i = 0; i != static_cast<int>(command.secrets.size()); ++i)
            replace_all(word, descriptor_path(first_secret_fd + i), "***");
    return result;
}

std::vector<std::string> in_turn(const std::vector<std::vector<std::string>>& calls)
{
    std::vector<std::string> result;
    for (const auto& call : calls) {
        if (!result.empty() && !call.empty())
            result.emplace_back("&&");
        result.insert(result.end(), call.begin(), call.end());
    }
    return result;
}

std::vector<std::string> words(const std::vector<Command>& commands)
{
    std::vector<std::vector<std::string>> calls(commands.size());
    std::transform(commands.begin(), commands.end(), calls.begin(),
                   [](const Command& command) { return words(command); });
    return in_turn(calls);
}

std::string quoted(const Command& command)
{
    std::string result;
    for (const auto& word : arguments_of(command))
        result += (result.empty() ? "" : " ") + quoted_word(word);
    return result;
}

Error exit_error(const Command& command, const CommandResult& result)
{
    return failure(command, "exit status " + std::to_string(result.exit_status), result);
}

Error signal_error(const Command& command, int signal, const CommandResult& result)
{
    const char* name = ::sigabbrev_np(signal);
    return failure(command,
                   "killed by signal " + std::to_string(signal) +
                       (name ? std::string(" (SIG") + name + ")" : std::string()),
                   result);
}

Error missing_program(const std::string& program)
{
    const auto* found =
        std::find_if(std::begin(packages), std::end(packages),
                     [&](const Package& p) { return p.program == base_name(program); });
    const auto message = "program " + shown(program) + " is not installed";
    return {ErrorCode::unavailable, message,
            found == std::end(packages)
                ? "install it, or put its directory into PATH"
                : "install the Debian package '" + std::string(found->package) + "'"};
}

} // namespace storage::inline v1
