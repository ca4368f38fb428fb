// SPDX-License-Identifier: LGPL-2.1-or-later
// Which processes use a file: proc(5). A process that ends meanwhile is none.
#include "blockers.hpp"
#include "file_io.hpp"
#include "numbers.hpp"
#include "proc_tables.hpp"
#include "system_root.hpp"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr std::size_t small_file = 4096;

std::string link_text(const std::string& path)
{
    std::array<char, 4096> text;
    const auto length = ::readlink(path.c_str(), text.data(), text.size());
    return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string text_of(const std::string& path)
{
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    std::array<char, small_file> text;
    const auto length = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
    return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
}

/** What one process does with the object. */
struct Use {
    bool open{};
    bool writes{};
    bool mapped{};
    bool stands_in_it{}; // working or root directory
    std::string below{}; // the first file of a directory that it has open

    bool any() const { return open || mapped || stands_in_it; }
};

class ProcessSearch {
public:
    ProcessSearch(const BlockedObject& object, const SystemRoot& system)
        : object_(object), proc_(system.path("/proc"))
    {
        const auto self = to_integer<std::int64_t>(link_text(proc_ + "/self"));
        self_ = self.value_or(::getpid());
    }

    std::vector<Blocker> run()
    {
        std::vector<std::int64_t> pids;
        for_each_name(proc_, [&](const char* name) {
            if (const auto pid = to_integer<std::int64_t>(name))
                pids.push_back(*pid);
        });
        std::sort(pids.begin(), pids.end());
        std::vector<Blocker> found;
        for (const auto pid : pids)
            if (const auto use = use_by(proc_ + '/' + std::to_string(pid)); use.any())
                found.push_back(
                    {.kind = BlockerKind::open, .message = words(pid, use), .pid = pid});
        return found;
    }

private:
    // Not what a link says: other names, mount namespaces and roots make it useless. Nor is a
    // server asked for news of its file, which could take for ever.
    bool is_object(const std::string& path) const
    {
        struct ::statx status;
        if (::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
                    STATX_TYPE | STATX_INO, &status) != 0)
            return false;
        if (object_.is(::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino))
            return true;
        return S_ISBLK(status.stx_mode) && object_.block_devices.contains(::makedev(
                                               status.stx_rdev_major, status.stx_rdev_minor));
    }

    Use use_by(const std::string& process) const
    {
        Use use;
        const bool is_directory = S_ISDIR(object_.mode);
        for_each_name(process + "/fd", [&](const char* name) {
            const auto path = process + "/fd/" + name;
            if (is_object(path))
                add_descriptor(process, name, use);
            else if (is_directory && use.below.empty())
                add_below(process, name, link_text(path), use);
        });
        if (is_directory)
            for (const auto* name : {"/cwd", "/root"})
                if (is_object(process + name) || object_.contains(link_text(process + name)))
                    use.stands_in_it = true;
        if (!use.open)
            add_mappings(process, use);
        return use;
    }

    /** The descriptor's flags; a mere O_PATH descriptor neither reads nor writes. */
    static std::optional<unsigned> flags_of(const std::string& process, const char* descriptor)
    {
        const auto info = text_of(process + "/fdinfo/" + descriptor);
        const auto at = info.find("flags:\t"); // flags:	0100002
        if (at == info.npos)
            return 0;
        const auto flags = static_cast<unsigned>(std::strtoul(&info[at + 7], nullptr, 8));
        return flags & O_PATH ? std::nullopt : std::optional(flags);
    }

    static void add_descriptor(const std::string& process, const char* name, Use& use)
    {
        const auto flags = flags_of(process, name);
        if (!flags)
            return;
        use.open = true;
        use.writes = use.writes || (*flags & O_ACCMODE) != O_RDONLY;
    }

    void add_below(const std::string& process, const char* name, const std::string& link,
                   Use& use) const
    {
        if (!object_.contains(link) || link.ends_with(" (deleted)"))
            return;
        add_descriptor(process, name, use);
        if (use.open)
            use.below = link;
    }

    void add_mappings(const std::string& process, Use& use) const
    {
        const UniqueFd fd(::open((process + "/maps").c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
        std::string text;
        std::array<char, 32768> buffer;
        for (ssize_t length; fd && (length = ::read(fd.get(), buffer.data(), buffer.size())) > 0;) {
            text.append(buffer.data(), static_cast<std::size_t>(length));
            std::size_t start = 0;
            for (std::size_t end; (end = text.find('\n', start)) != text.npos; start = end + 1)
                add_mapping(process, std::string_view(text).substr(start, end - start), use);
            text.erase(0, start);
        }
    }

    // 7f8c865bc000-7f8c865bd000 rw-s 00000000 00:2a 11018347      /srv/a.img
    void add_mapping(const std::string& process, std::string_view line, Use& use) const
    {
        const auto range = take_word(line);
        const auto rights = take_word(line);
        take_word(line); // offset
        const auto device = take_word(line);
        const auto inode = to_integer<ino_t>(take_word(line));
        const bool below = S_ISDIR(object_.mode) && object_.contains(line);
        if (!below && (inode != object_.inode || !is_mapped(process, range, device, line)))
            return;
        use.mapped = true;
        use.writes = use.writes || rights.starts_with("rw-s");
        if (below && use.below.empty())
            use.below = line;
    }

    // Where a file system has several device numbers (btrfs) or lies on others (overlay), the one
    // in maps is not that of stat(2); map_files is for root alone.
    bool is_mapped(const std::string& process, std::string_view range, std::string_view device,
                   std::string_view path) const
    {
        const auto colon = std::min(device.find(':'), device.size() - 1);
        const auto major = to_integer<unsigned>(device.substr(0, colon), 16);
        const auto minor = to_integer<unsigned>(device.substr(colon + 1), 16);
        return (major && minor && ::makedev(*major, *minor) == object_.device) ||
               is_object((process + "/map_files/").append(range)) || path == object_.path;
    }

    std::string words(std::int64_t pid, const Use& use) const
    {
        auto name = text_of(proc_ + '/' + std::to_string(pid) + "/comm");
        while (name.ends_with('\n'))
            name.pop_back();
        auto who = "process " + std::to_string(pid) + (name.empty() ? "" : " (" + name + ")");
        if (pid == self_)
            who = "this process itself, " + std::to_string(pid) + ",";
        if (!use.open && !use.mapped)
            return who + " has its working or root directory in it";
        const auto what = use.below.empty() ? "it" : "'" + use.below + "'";
        return who + " has " + what + (use.open ? " open" : " mapped into memory") +
               (use.writes ? " for writing" : " for reading");
    }

    const BlockedObject& object_;
    std::string proc_;
    std::int64_t self_{};
};

} // namespace

bool for_each_name(const std::string& directory, const std::function<void(const char*)>& visit)
{
    const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return false;
    alignas(::dirent64) std::array<char, 8192> buffer;
    for (ssize_t length; (length = ::getdents64(fd.get(), buffer.data(), buffer.size())) > 0;)
        for (ssize_t at = 0; at < length;) {
            const auto* entry = reinterpret_cast<const ::dirent64*>(buffer.data() + at);
            if (entry->d_name[0] != '.')
                visit(entry->d_name);
            at += entry->d_reclen;
        }
    return true;
}

bool BlockedObject::contains(std::string_view other) const
{
    return other.starts_with(path) &&
           (other.size() == path.size() || path == "/" || other[path.size()] == '/');
}

std::vector<Blocker> using_processes(const BlockedObject& object, const SystemRoot& system)
{
    return ProcessSearch(object, system).run();
}

} // namespace storage::inline v1
