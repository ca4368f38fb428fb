// SPDX-License-Identifier: LGPL-2.1-or-later
#include "backing_chain.hpp"

#include "file_description.hpp"
#include "names.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace storage::inline v1 {

namespace {

using nlohmann::json;

template <std::size_t Count>
bool is_one_of(const std::array<std::string_view, Count>& words, std::string_view word)
{
    return std::find(words.begin(), words.end(), word) != words.end();
}

// The names of qemu's block drivers.
constexpr std::array<std::string_view, 3> file_drivers{"file", "host_device", "host_cdrom"};
constexpr std::array<std::string_view, 13> format_drivers{
    "raw",  "qcow",      "qcow2", "qed",   "vmdk", "vdi", "vpc",
    "vhdx", "parallels", "bochs", "cloop", "dmg",  "luks"};
constexpr std::array<std::string_view, 4> filter_drivers{"throttle", "copy-on-read", "preallocate",
                                                         "snapshot-access"};
// Their options that bring in no other node; beside "driver", and one of "filename" and "file".
constexpr std::array<std::string_view, 14> harmless_options{
    "node-name",   "read-only", "auto-read-only", "discard",       "detect-zeroes",
    "force-share", "cache",     "cache.direct",   "aio",           "cache.no-flush",
    "locking",     "offset",    "size",           "throttle-group"};

bool has_protocol(std::string_view reference)
{
    const auto at = reference.find_first_of(":/");
    return at != reference.npos && reference[at] == ':';
}

/** A file's name without qemu's prefix for local files; nothing where another protocol is named. */
std::optional<std::string_view> local_name(std::string_view name)
{
    for (const auto driver : file_drivers)
        if (name.starts_with(driver) && name.substr(driver.size()).starts_with(':'))
            return name.substr(driver.size() + 1);
    return has_protocol(name) ? std::nullopt : std::optional(name);
}

BackingTarget local_target(std::string_view name, std::string_view directory)
{
    if (name.empty() || control_character(name))
        return {};
    BackingTarget target;
    if (!name.starts_with('/'))
        target.path.append(directory).append(directory.ends_with('/') ? "" : "/");
    target.path += name;
    return target;
}

/** Of a name that begins at the working directory of whoever opens it. */
BackingTarget working_target(std::string_view name, std::string_view directory)
{
    auto target = local_target(name, directory);
    if (!name.starts_with('/'))
        target.beside.swap(target.path);
    return target;
}

std::optional<std::string_view> text_member(const json& options, const std::string& key)
{
    const auto member = options.find(key);
    if (member == options.end() || !member->is_string())
        return std::nullopt;
    return std::string_view(member->get_ref<const std::string&>());
}

/** Whether the options whose keys begin with the prefix are of one node above one other, or above a
 * file. */
bool is_one_line(const json& options, const std::string& prefix)
{
    bool filename = false;
    bool file = false;
    bool inner = false;
    for (const auto& [key, value] : options.items()) {
        if (!key.starts_with(prefix))
            continue; // the level above has looked at it
        const auto name = std::string_view(key).substr(prefix.size());
        if (name == "filename")
            filename = true;
        else if (name == "file")
            file = true;
        else if (name.starts_with("file."))
            inner = true;
        else if (name != "driver" && !is_one_of(harmless_options, name))
            return false;
    }
    return filename + file + inner == 1;
}

/**
 * What the options whose keys begin with the prefix mean: one node of qemu's graph.
 * @param imposed  instead of the driver that they name, unless empty
 */
BackingTarget target_of_options(const json& options, const std::string& prefix,
                                std::string_view directory, std::string_view imposed,
                                unsigned depth)
{
    if (!options.is_object() || depth == 0 || !is_one_line(options, prefix))
        return {};
    const auto driver =
        imposed.empty() ? text_member(options, prefix + "driver") : std::optional(imposed);
    const auto filename = text_member(options, prefix + "filename");
    if (driver && is_one_of(file_drivers, *driver))
        return filename ? working_target(*filename, directory) : BackingTarget();
    const bool is_format = driver && is_one_of(format_drivers, *driver);
    if (driver && !is_format && !is_one_of(filter_drivers, *driver))
        return {};

    BackingTarget target;
    if (filename) {
        if (const auto local = local_name(*filename))
            target = working_target(*local, directory);
    } else if (const auto file = options.find(prefix + "file"); file != options.end()) {
        target = target_of_options(*file, "", directory, {}, depth - 1); // a text: another node
    } else {
        target = target_of_options(options, prefix + "file.", directory, {}, depth - 1);
    }
    if (!is_format)
        return target;
    if (!target.format.empty() && target.format != "raw")
        return {};
    if (target.is_local())
        target.format = *driver;
    return target;
}

BackingTarget target_of_json(std::string_view text, std::string_view directory,
                             std::string_view declared)
{
    constexpr std::size_t longest = 4096; // qcow2 stores at most 1023 bytes
    constexpr unsigned deepest = 8;
    if (text.size() > longest)
        return {};
    return target_of_options(json::parse(text, nullptr, false), "", directory, declared, deepest);
}

std::string directory_of(std::string_view path)
{
    return std::string(path.substr(0, path.rfind('/') + 1));
}

/** Asks for no news from a server, mounts nothing, and does not follow a link. */
int look_at(const std::string& path, struct ::statx& status)
{
    constexpr int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    return ::statx(AT_FDCWD, path.c_str(), flags, STATX_INO, &status) == 0 ? 0 : errno;
}

bool is_nothing(int os_error)
{
    return os_error == ENOENT || os_error == ENOTDIR;
}

bool same(const struct ::statx& a, const struct ::statx& b)
{
    return a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor &&
           a.stx_ino == b.stx_ino;
}

/** The normalised path, unless a ".." after a symbolic link leads elsewhere than it says. */
std::string plain_path(const std::string& path)
{
    auto plain = normalised_path(path);
    if (plain == path)
        return plain;
    struct ::statx meant, written;
    const int a = look_at(path, meant);
    const int b = look_at(plain, written);
    const bool agree = a == 0 && b == 0 ? same(meant, written) : is_nothing(a) == is_nothing(b);
    return agree ? plain : path;
}

/** Whether qemu would take the file as it is. These are not looked into: a guest writes them. */
bool is_plain(std::string_view declared)
{
    return declared == "raw" || is_one_of(file_drivers, declared);
}

/** Whether a header is what the image above says. */
bool is_format(std::string_view declared, ImageFormat found)
{
    return declared == to_string(found) || (declared == "parallels" && found == ImageFormat::ploop);
}

std::string_view declared_format(const ImageReference& reference)
{
    return reference.format_declared ? std::string_view(reference.format) : std::string_view();
}

class ChainWalk {
public:
    explicit ChainWalk(const ChainLookup& lookup) : lookup_(lookup) {}

    std::vector<ChainLink> run(const ChainVolume& first)
    {
        ChainLink link{.reference = first.path,
                       .path = first.path.starts_with('/') ? first.path : ""};
        link.pool_name = first.pool_name;
        link.volume_name = first.volume_name;
        const auto header = first.inspect();
        link.format = to_string(header.format);
        if (!link.path.empty())
            seen(link.path);
        links_.push_back(std::move(link));
        auto next = header.backing;
        while (next)
            next = add(*next);
        return std::move(links_);
    }

private:
    /** Adds the image that the last one is based on. @return what that one is based on */
    std::optional<ImageReference> add(const ImageReference& reference)
    {
        const auto target = resolve_reference(reference.path, directory_of(links_.back().path),
                                              declared_format(reference));
        ChainLink link{.reference = reference.path};
        link.format = reference.format_declared ? reference.format : target.format;
        link.format_declared = !link.format.empty();
        if (!target.is_local())
            return end(std::move(link), ChainState::network);
        link.path = plain_path(target.path);
        if (links_.size() == chain_limit)
            return end(std::move(link), ChainState::too_deep);
        const auto volume = lookup_(link.path);
        if (volume) {
            link.pool_name = volume->pool_name;
            link.volume_name = volume->volume_name;
            if (seen(link.path))
                return end(std::move(link), ChainState::cycle);
        }
        struct ::statx status;
        if (is_nothing(look_at(link.path, status)))
            return end(std::move(link), ChainState::missing);
        if (!volume)
            return end(std::move(link), ChainState::outside);
        if (is_plain(link.format))
            return end(std::move(link), ChainState::ok);
        return read(std::move(link), *volume);
    }

    std::optional<ImageReference> read(ChainLink link, const ChainVolume& volume)
    {
        try {
            auto header = volume.inspect();
            if (link.format_declared && !is_format(link.format, header.format))
                return end(std::move(link), ChainState::unreadable);
            if (!link.format_declared)
                link.format = to_string(header.format);
            links_.push_back(std::move(link));
            return std::move(header.backing);
        } catch (const Error& error) {
            return end(std::move(link), error.code() == ErrorCode::not_found
                                            ? ChainState::missing
                                            : ChainState::unreadable);
        }
    }

    std::nullopt_t end(ChainLink link, ChainState state)
    {
        link.state = state;
        if (link.format.empty())
            link.format = "raw";
        links_.push_back(std::move(link));
        return std::nullopt;
    }

    /** Whether the path, or the file under another name, was seen before; from now on it was. */
    bool seen(const std::string& path)
    {
        struct ::statx status;
        bool known = !paths_.insert(path).second;
        if (::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_INO,
                    &status) == 0)
            known |=
                !files_
                     .emplace(::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino)
                     .second;
        return known;
    }

    const ChainLookup& lookup_;
    std::vector<ChainLink> links_{};
    std::set<std::string> paths_{};
    std::set<std::pair<dev_t, std::uint64_t>> files_{};
};

} // namespace

BackingTarget resolve_reference(std::string_view reference, std::string_view directory,
                                std::string_view declared)
{
    if (reference.starts_with("json:"))
        return target_of_json(reference.substr(5), directory, declared);
    const auto name = local_name(reference);
    if (!name)
        return {};
    return name->size() == reference.size() ? local_target(*name, directory)
                                            : working_target(*name, directory);
}

BackingTarget resolve_data_file(std::string_view reference, std::string_view directory)
{
    if (reference.starts_with("json:")) {
        const auto target = target_of_json(reference.substr(5), directory, {});
        return target.format.empty() || target.format == "raw" ? target : BackingTarget();
    }
    const auto name = local_name(reference);
    return name ? working_target(*name, directory) : BackingTarget();
}

std::string normalised_path(std::string_view path)
{
    std::string result;
    while (!path.empty()) {
        const auto part = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(part.size() + 1, path.size()));
        if (part == "..")
            result.resize(result.empty() ? 0 : result.rfind('/'));
        else if (!part.empty() && part != ".")
            result.append("/").append(part);
    }
    return result.empty() ? "/" : result;
}

std::vector<std::string> references_of(std::string_view directory, const ImageInfo& header)
{
    std::vector<std::string> all;
    const auto add = [&](std::string text) {
        if (!text.empty() && std::find(all.begin(), all.end(), text) == all.end())
            all.push_back(std::move(text));
    };
    const auto add_target = [&](const std::string& reference, const BackingTarget& target) {
        add(target.is_local() ? normalised_path(target.path) : reference);
        if (!target.beside.empty())
            add(normalised_path(target.beside));
    };
    if (header.backing)
        add_target(header.backing->path, resolve_reference(header.backing->path, directory,
                                                           declared_format(*header.backing)));
    // VMDK's is an extent, all of which begin at the directory of the image.
    if (header.data_file && header.format != ImageFormat::vmdk)
        add_target(header.data_file->path, resolve_data_file(header.data_file->path, directory));
    for (const auto& extent : header.extents)
        add_target(extent, resolve_reference(extent, directory));
    return all;
}

std::vector<ChainLink> follow_chain(const ChainVolume& first, const ChainLookup& lookup)
{
    return ChainWalk(lookup).run(first);
}

std::vector<BackingStore> backing_stores(const std::vector<ChainLink>& chain)
{
    constexpr std::size_t most =
        60; // each is a level; the innermost has four more (xml_depth_limit)
    std::vector<BackingStore> result;
    for (std::size_t i = 1; i < chain.size() && i <= most; ++i)
        result.push_back(backing_store({.path = chain[i].reference,
                                        .format = chain[i].format,
                                        .format_declared = chain[i].format_declared},
                                       {.path = chain[i].path}));
    return result;
}

// Only asked of the system, never opened: the path is what a stranger wrote into the header.
BackingStore backing_store(const ImageReference& reference, const BackingTarget& target)
{
    BackingStore backing{.path = target.is_local() ? target.path : reference.path};
    backing.format = reference.format.empty() ? target.format : reference.format;
    backing.format_declared = reference.format_declared || !target.format.empty();
    if (backing.format.empty())
        backing.format = "raw";
    struct ::statx status;
    if (target.is_local() &&
        ::statx(AT_FDCWD, target.path.c_str(), AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
                STATX_BASIC_STATS | STATX_BTIME, &status) == 0) {
        backing.permissions = permissions_of(status, target.path);
        backing.timestamps = timestamps_of(status);
    }
    return backing;
}

} // namespace storage::inline v1
