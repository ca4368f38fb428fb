// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_attributes.hpp"
#include "job_impl.hpp"
#include "owner_access.hpp"
#include "owner_rights.hpp"
#include "step_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

// ---- state files ------------------------------------------------------------------------------

Durability durability_of(const StepRun& run)
{
    return run.argument("durable") == "yes" ? Durability::durable : Durability::volatile_file;
}

constexpr std::size_t state_file_limit = std::size_t{4} << 20;

void keep_old_content(StepRun& run)
{
    if (auto old = read_small_file(run.argument("path"), state_file_limit)) {
        run.remember("old", std::move(*old));
        run.remember("existed", "yes");
    }
}

void restore_old_content(StepRun& run)
{
    if (run.evidence("existed") == "yes")
        replace_file(run.argument("path"), run.evidence("old"), 0600, durability_of(run));
}

void apply_write_file(StepRun& run)
{
    const auto& path = run.argument("path");
    keep_old_content(run);
    // On record before the name exists: a kill right after the rename must not hide whose file it
    // is.
    const auto remember = [&](int fd) { run.remember("identity", identity_of(fd, path)); };
    try {
        replace_file(path, run.argument("content"), 0600, durability_of(run), remember);
    } catch (const Error& error) {
        if (error.os_error() != ENOENT)
            throw;
        make_directories(parent_directory(path), 0700);
        replace_file(path, run.argument("content"), 0600, durability_of(run), remember);
    }
}

void undo_write_file(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto& identity = run.evidence("identity");
    if (identity.empty() || file_identity(path) != identity)
        return;
    if (run.evidence("existed") == "yes")
        restore_old_content(run);
    else if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        throw system_error(errno, "cannot remove '" + path + "'");
}

void apply_remove_file(StepRun& run)
{
    const auto& path = run.argument("path");
    if (run.argument("dangling") == "yes" && ::access(path.c_str(), F_OK) == 0)
        return; // what it leads to was made anew, and it with that
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode))
        keep_old_content(run);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        throw system_error(errno, "cannot remove '" + path + "'");
    if (durability_of(run) == Durability::durable)
        sync_directory(parent_directory(path));
}

void undo_remove_file(StepRun& run)
{
    if (file_identity(run.argument("path")).empty())
        restore_old_content(run);
}

void apply_make_link(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto directory = parent_directory(path);
    make_directories(directory, 0700);
    const auto temporary = directory + '/' + temporary_name();
    if (::symlink(run.argument("target").c_str(), temporary.c_str()) != 0)
        throw system_error(errno, "cannot make link '" + temporary + "'");
    try {
        run.remember("identity", file_identity(temporary));
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            throw system_error(errno, "cannot make link '" + path + "'");
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    sync_directory(directory);
}

void undo_make_link(StepRun& run)
{
    const auto& identity = run.evidence("identity");
    if (!identity.empty() && file_identity(run.argument("path")) == identity)
        ::unlink(run.argument("path").c_str());
}

// ---- directories ------------------------------------------------------------------------------

/** The components of path below the part that exists: first the top one that is missing. */
struct MissingPart {
    std::string parent{};             ///< exists
    std::vector<std::string> names{}; ///< to be made, top first
};

MissingPart missing_part(const std::string& path)
{
    MissingPart part{.parent = path};
    while (::access(part.parent.c_str(), F_OK) != 0 && part.parent.size() > 1) {
        if (errno != ENOENT)
            throw system_error(errno, "cannot look at '" + part.parent + "'");
        const auto name = part.parent.substr(part.parent.rfind('/') + 1);
        if (name == "..") // of what is not there yet, and of the temporary directory another one
            throw Error(ErrorCode::invalid_argument,
                        "directory '" + path + "': '..' leads back from what does not exist",
                        "write the path without it");
        if (!name.empty() && name != ".")
            part.names.insert(part.names.begin(), name);
        part.parent = parent_directory(part.parent);
    }
    return part;
}

std::string tree_path(const std::string& top, const std::vector<std::string>& names,
                      std::size_t depth)
{
    auto path = top;
    for (std::size_t i = 1; i < depth; ++i)
        path += '/' + names[i];
    return path;
}

/** Removes empty directories from the leaf up to top, which must be the one of that identity. */
bool remove_tree(const std::string& top, const std::vector<std::string>& names,
                 const std::string& identity)
{
    if (identity.empty() || file_identity(top) != identity)
        return false;
    for (auto depth = names.size(); depth > 0; --depth) {
        const auto path = tree_path(top, names, depth);
        if (::rmdir(path.c_str()) != 0 && errno != ENOENT)
            throw system_error(errno, "cannot remove directory '" + path + "'");
    }
    return true;
}

void rename_new(const std::string& from, const std::string& to)
{
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
        return;
    // Some file systems (NFS, older FUSE) do not know the flag; a plain rename of a directory
    // fails over anything but an empty directory.
    if (errno != EINVAL || ::rename(from.c_str(), to.c_str()) != 0)
        throw system_error(errno, "cannot make directory '" + to + "'");
}

/** A directory that was made just now: no link to another one. */
UniqueFd open_made(int parent, const std::string& name, const std::string& path)
{
    UniqueFd fd;
    do
        fd = UniqueFd(
            ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    while (!fd && errno == EINTR);
    if (!fd)
        throw system_error(errno, "cannot open a directory of '" + path + "' that was just made");
    require_new_directory(fd.get(), false, path);
    return fd;
}

void apply_make_tree(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto part = missing_part(path);
    if (part.names.empty())
        throw Error(ErrorCode::already_exists, "directory '" + path + "' exists");
    const auto temporary = join(part.parent, temporary_name());
    run.declare("parent", part.parent);
    run.declare("temporary", temporary);
    // Parents as mkdir -p makes them: open to all but for the umask. The last one gets its mode
    // when it has its owner, and until then nobody else may look into it: who did could go on.
    const auto mode_at = [&](std::size_t depth) -> mode_t {
        return depth == part.names.size() && number_argument(run, "mode") ? 0700 : 0777;
    };
    if (make_directory_at(AT_FDCWD, temporary, mode_at(1)) != 0)
        throw system_error(errno, "cannot make a directory in '" + part.parent + "'");
    // Who may write the parent could put a link there, and another directory get the attributes.
    auto directory = open_made(AT_FDCWD, temporary, path);
    run.declare("identity", identity_of(directory.get(), temporary));
    for (std::size_t depth = 2; depth <= part.names.size(); ++depth) {
        const auto& name = part.names[depth - 1];
        if (make_directory_at(directory.get(), name, mode_at(depth)) != 0)
            throw system_error(errno, "cannot make directory '" + path + "'");
        auto next = open_made(directory.get(), name, path);
        if (::fsync(directory.get()) != 0 && errno != EINVAL) // see sync_directory()
            throw system_error(errno, "cannot flush a directory above '" + path + "'");
        directory = std::move(next);
    }
    set_cow_argument(directory.get(), run, path);
    set_attributes(directory.get(), run, path);
    rename_new(temporary, join(part.parent, part.names.front()));
    sync_directory(part.parent);
}

void undo_make_tree(StepRun& run)
{
    const auto& temporary = run.evidence("temporary");
    if (temporary.empty())
        return;
    // The names are those between the parent and the path.
    const auto& parent = run.evidence("parent");
    std::vector<std::string> names;
    std::string rest = run.argument("path").substr(parent == "/" ? 1 : parent.size() + 1);
    for (std::size_t start = 0; start <= rest.size();) {
        const auto end = std::min(rest.find('/', start), rest.size());
        if (const auto name = rest.substr(start, end - start); !name.empty() && name != ".")
            names.push_back(name);
        start = end + 1;
    }
    const auto& identity = run.evidence("identity");
    if (identity.empty()) { // killed between mkdir and its record: empty, and nobody else uses that
                            // name
        if (::rmdir(temporary.c_str()) != 0 && !is_nothing_there(temporary) &&
            !is_not_what_was_made(errno))
            throw system_error(errno, "cannot remove directory '" + temporary + "'");
        return;
    }
    if (!remove_tree(temporary, names, identity))
        remove_tree(join(parent, names.front()), names, identity);
}

void apply_set_attributes(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto directory = open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat info {};
    if (::fstat(directory.get(), &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    if (!S_ISDIR(info.st_mode))
        throw system_error(ENOTDIR, "cannot open '" + path + "'");
    run.declare("old", std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino) + ' ' +
                           std::to_string(info.st_mode & 07777) + ' ' +
                           std::to_string(info.st_uid) + ' ' + std::to_string(info.st_gid));
    set_cow_argument(directory.get(), run, path);
    set_attributes(directory.get(), run, path);
}

void undo_set_attributes(StepRun& run)
{
    const auto& old = run.evidence("old");
    unsigned long long device{}, inode{};
    unsigned mode{}, owner{}, group{};
    if (std::sscanf(old.c_str(), "%llu:%llu %u %u %u", &device, &inode, &mode, &owner, &group) != 5)
        return;
    const auto& path = run.argument("path");
    const auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
    struct stat info {};
    if (::fstat(directory.get(), &info) != 0 || info.st_dev != device || info.st_ino != inode)
        return;
    // Nothing where nothing was changed: who may not do the one may not do the other.
    const bool is_given_away = info.st_uid != owner || info.st_gid != group;
    if (is_given_away)
        set_owner(directory.get(), owner, group, path);
    if (is_given_away || (info.st_mode & 07777) != mode) // chown(2) takes the set-id bits away
        set_mode(directory.get(), mode, path);
}

constexpr const char* delete_first =
    "delete its volumes first; basin never deletes files that it was not asked to";

Error not_empty(const std::string& path, const std::string& remedy)
{
    return Error(ErrorCode::busy, "directory '" + path + "' is not empty", remedy, {}, ENOTEMPTY);
}

void apply_remove_directory(StepRun& run)
{
    const auto& path = run.argument("path");
    if (::rmdir(path.c_str()) == 0) {
        sync_directory(parent_directory(path));
        return;
    }
    if (errno == ENOTEMPTY || errno == EEXIST)
        throw not_empty(path, delete_first);
    throw system_error(errno, "cannot remove directory '" + path + "'");
}

constexpr std::array actions{
    Action{"write_file", apply_write_file, undo_write_file, true},
    Action{"remove_file", apply_remove_file, undo_remove_file, true},
    Action{"make_link", apply_make_link, undo_make_link, true},
    Action{"make_tree", apply_make_tree, undo_make_tree, false},
    Action{"set_attributes", apply_set_attributes, undo_set_attributes, false},
    Action{"remove_directory", apply_remove_directory, nullptr, true},
};

} // namespace

std::span<const Action> file_actions()
{
    return actions;
}

Step write_file_step(const std::string& path, std::string content, bool durable,
                     std::string summary)
{
    return make_step(
        "write_file",
        {{"path", path}, {"content", std::move(content)}, {"durable", durable ? "yes" : "no"}},
        {.call = {"rename", path}, .summary = std::move(summary), .undo = "put the old file back"});
}

Step remove_file_step(const std::string& path, bool durable, std::string summary)
{
    return make_step(
        "remove_file", {{"path", path}, {"durable", durable ? "yes" : "no"}},
        {.call = {"unlink", path}, .summary = std::move(summary), .undo = "put the file back"});
}

Step make_link_step(const std::string& path, const std::string& target, std::string summary)
{
    return make_step("make_link", {{"path", path}, {"target", target}},
                     {.call = {"symlink", target, path},
                      .summary = std::move(summary),
                      .undo = "remove the link"});
}

Step make_tree_step(const std::string& path, const Attributes& attributes)
{
    static_cast<void>(missing_part(path)); // refuses what cannot be made
    auto arguments = attribute_arguments(attributes);
    arguments["path"] = path;
    return make_step(
        "make_tree", std::move(arguments),
        {.call = {"mkdir", path},
         .summary = "make directory '" + path + "' and its missing parents" + describe(attributes),
         .undo = "remove the directories that were made"});
}

Step set_attributes_step(const std::string& path, const Attributes& attributes)
{
    auto arguments = attribute_arguments(attributes);
    arguments["path"] = path;
    return make_step(
        "set_attributes", std::move(arguments),
        {.call = attribute_calls(path, attributes),
         .summary = "set attributes of directory '" + path + "'" + describe(attributes),
         .undo = "restore mode, owner and group"});
}

void require_empty_directory(const std::string& path, const std::string& remedy)
{
    std::error_code problem;
    if (std::filesystem::is_directory(path, problem) && !std::filesystem::is_empty(path, problem) &&
        !problem)
        throw not_empty(path, remedy);
}

Step remove_directory_step(const std::string& path)
{
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0)
        throw system_error(errno, "cannot remove directory '" + path + "'");
    require_empty_directory(path, delete_first);
    return make_step("remove_directory", {{"path", path}},
                     {.call = {"rmdir", path},
                      .summary = "remove the empty directory '" + path + "'",
                      .destructive = true});
}

} // namespace storage::inline v1
