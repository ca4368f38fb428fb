// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_steps.hpp"

#include "file_attributes.hpp"
#include "image/copy.hpp"
#include "job_impl.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

std::string identity_text(const struct stat& info)
{
    return std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino);
}

} // namespace

std::string file_identity(const std::string& path)
{
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 ? identity_text(info) : std::string();
}

namespace {

std::string octal(std::uint32_t mode)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0%o", mode);
    return text.data();
}

std::string join(const std::string& directory, const std::string& name)
{
    return directory == "/" ? "/" + name : directory + '/' + name;
}

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
    const auto remember = [&](int fd) {
        struct stat info {};
        if (::fstat(fd, &info) != 0)
            throw system_error(errno, "cannot look at '" + path + "'");
        run.remember("identity", identity_text(info));
    };
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

Arguments attribute_arguments(const Attributes& attributes)
{
    Arguments arguments;
    const auto& permissions = attributes.permissions;
    if (permissions.mode)
        arguments["mode"] = std::to_string(*permissions.mode);
    if (permissions.owner)
        arguments["owner"] = std::to_string(*permissions.owner);
    if (permissions.group)
        arguments["group"] = std::to_string(*permissions.group);
    if (permissions.label)
        arguments["label"] = *permissions.label;
    if (attributes.copy_on_write)
        arguments["cow"] = *attributes.copy_on_write ? "yes" : "no";
    else if (attributes.nocow_if_possible)
        arguments["cow"] = "maybe-no";
    return arguments;
}

std::optional<std::uint32_t> number_argument(const StepRun& run, std::string_view name)
{
    const auto& text = run.argument(name);
    if (text.empty())
        return std::nullopt;
    return static_cast<std::uint32_t>(std::stoul(text));
}

void set_attributes(int fd, const StepRun& run, const std::string& path)
{
    set_owner(fd, number_argument(run, "owner"), number_argument(run, "group"), path);
    if (const auto mode = number_argument(run, "mode"))
        set_mode(fd, *mode, path);
    if (!run.argument("label").empty())
        set_label(fd, run.argument("label"), path);
}

void set_cow_argument(int fd, const StepRun& run, const std::string& path)
{
    const auto& cow = run.argument("cow");
    if (!cow.empty())
        set_copy_on_write(fd, cow == "yes", cow != "maybe-no", path);
}

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
        part.names.insert(part.names.begin(), part.parent.substr(part.parent.rfind('/') + 1));
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

void apply_make_tree(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto part = missing_part(path);
    if (part.names.empty())
        throw Error(ErrorCode::already_exists, "directory '" + path + "' exists");
    const auto temporary = join(part.parent, temporary_name());
    run.declare("parent", part.parent);
    run.declare("temporary", temporary);
    // Parents as mkdir -p makes them: open to all but for the umask.
    if (::mkdir(temporary.c_str(), 0777) != 0)
        throw system_error(errno, "cannot make a directory in '" + part.parent + "'");
    run.declare("identity", file_identity(temporary));
    for (std::size_t depth = 2; depth <= part.names.size(); ++depth) {
        const auto next = tree_path(temporary, part.names, depth);
        if (::mkdir(next.c_str(), 0777) != 0)
            throw system_error(errno, "cannot make directory '" + path + "'");
    }
    {
        const auto leaf =
            open_file(tree_path(temporary, part.names, part.names.size()), O_RDONLY | O_DIRECTORY);
        set_cow_argument(leaf.get(), run, path);
        set_attributes(leaf.get(), run, path);
    }
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
        names.push_back(rest.substr(start, end - start));
        start = end + 1;
    }
    const auto& identity = run.evidence("identity");
    if (identity.empty()) { // killed between mkdir and its record: empty, and nobody else uses that
                            // name
        if (::rmdir(temporary.c_str()) != 0 && errno != ENOENT)
            throw system_error(errno, "cannot remove directory '" + temporary + "'");
        return;
    }
    if (!remove_tree(temporary, names, identity))
        remove_tree(join(parent, names.front()), names, identity);
}

void apply_set_attributes(StepRun& run)
{
    const auto& path = run.argument("path");
    const auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
    struct stat info {};
    if (::fstat(directory.get(), &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
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
    set_owner(directory.get(), owner, group, path);
    set_mode(directory.get(), mode, path);
}

void apply_remove_directory(StepRun& run)
{
    const auto& path = run.argument("path");
    if (::rmdir(path.c_str()) == 0) {
        sync_directory(parent_directory(path));
        return;
    }
    if (errno == ENOTEMPTY || errno == EEXIST)
        throw Error(ErrorCode::busy, "directory '" + path + "' is not empty",
                    "delete its volumes first; basin never deletes files that it was not asked to",
                    {}, errno);
    throw system_error(errno, "cannot remove directory '" + path + "'");
}

// ---- volumes ----------------------------------------------------------------------------------

UniqueFd open_directory(const std::string& path)
{
    return open_file(path, O_RDONLY | O_DIRECTORY);
}

Error exists_already(const std::string& directory, const std::string& name)
{
    return Error(ErrorCode::already_exists, "'" + join(directory, name) + "' exists",
                 "choose another name", {}, EEXIST);
}

/** Gives an unnamed file a name; false where it must be tried another way. */
bool link_unnamed(int fd, int directory, const char* name)
{
    const auto self = "/proc/self/fd/" + std::to_string(fd);
    // Without /proc AT_EMPTY_PATH still works for root.
    return ::linkat(AT_FDCWD, self.c_str(), directory, name, AT_SYMLINK_FOLLOW) == 0 ||
           (errno == ENOENT && ::linkat(fd, "", directory, name, AT_EMPTY_PATH) == 0);
}

/** Returns whether data was written, which must be on the disk before the name is. */
bool fill_file(int fd, StepRun& run, const std::string& path)
{
    const auto& source_path = run.argument("source");
    std::uint64_t copied = 0;
    if (!source_path.empty()) {
        const auto source = open_file(source_path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        copied = copy_content(source.get(), fd,
                              run.argument("reflink_only") == "yes" ? CopyMethod::reflink_only
                                                                    : CopyMethod::cheapest,
                              source_path, path, run.job());
    }
    const auto capacity = std::max<std::uint64_t>(std::stoull(run.argument("capacity")), copied);
    const auto allocation =
        std::min<std::uint64_t>(std::stoull(run.argument("allocation")), capacity);
    if (capacity != copied && ::ftruncate(fd, static_cast<off_t>(capacity)) != 0)
        throw system_error(errno, "cannot set the size of '" + path + "' to " +
                                      std::to_string(capacity) + " bytes");
    if (allocation > 0)
        allocate_range(fd, allocation, path, run.job());
    return copied > 0;
}

void apply_create_file(StepRun& run)
{
    const auto& directory_path = run.argument("directory");
    const auto& name = run.argument("name");
    const auto path = join(directory_path, name);
    const auto directory = open_directory(directory_path);
    struct stat info {};
    if (::fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        throw exists_already(directory_path, name); // before time is spent on allocating

    UniqueFd fd(::openat(directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0));
    std::string temporary;
    if (!fd) {
        // NFS, FUSE, vfat: no unnamed files. A temporary name, known to the journal, does instead.
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
            throw system_error(errno, "cannot create '" + path + "'");
        temporary = temporary_name();
        run.declare("temporary", temporary);
        fd = UniqueFd(::openat(directory.get(), temporary.c_str(),
                               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0));
        if (!fd)
            throw system_error(errno, "cannot create '" + path + "'");
        run.declare("identity", file_identity(join(directory_path, temporary)));
    } else if (::fstat(fd.get(), &info) == 0) {
        run.remember("identity", identity_text(info));
    }

    set_cow_argument(fd.get(), run, path); // only an empty file can change it
    const bool has_data = fill_file(fd.get(), run, path);
    set_attributes(fd.get(), run, path);
    if (has_data && ::fdatasync(fd.get()) != 0)
        throw system_error(errno, "cannot flush '" + path + "'");
    check(run.job(), "creating '" + path + "'");

    const bool linked = temporary.empty()
                            ? link_unnamed(fd.get(), directory.get(), name.c_str())
                            : ::renameat2(directory.get(), temporary.c_str(), directory.get(),
                                          name.c_str(), RENAME_NOREPLACE) == 0 ||
                                  (errno == EINVAL &&
                                   ::linkat(directory.get(), temporary.c_str(), directory.get(),
                                            name.c_str(), 0) == 0 &&
                                   ::unlinkat(directory.get(), temporary.c_str(), 0) == 0);
    if (!linked) {
        if (errno == EEXIST)
            throw exists_already(directory_path, name);
        throw system_error(errno, "cannot create '" + path + "'");
    }
    // Size and extents are metadata and were logged before the link, so one flush makes all of it
    // last.
    if (::fsync(fd.get()) != 0 || (::fsync(directory.get()) != 0 && errno != EINVAL))
        throw system_error(errno, "cannot flush '" + path + "'");
}

void remove_if_same(const std::string& path, const std::string& identity, bool is_directory)
{
    if (identity.empty() || file_identity(path) != identity)
        return;
    if ((is_directory ? ::rmdir(path.c_str()) : ::unlink(path.c_str())) != 0 && errno != ENOENT)
        throw system_error(errno, "cannot remove '" + path + "'");
}

void undo_create_file(StepRun& run)
{
    const auto& directory = run.argument("directory");
    const auto& temporary = run.evidence("temporary");
    if (!temporary.empty()) {
        const auto path = join(directory, temporary);
        // The random name was on record before the file was made: it is ours even without an
        // identity.
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            throw system_error(errno, "cannot remove '" + path + "'");
    }
    remove_if_same(join(directory, run.argument("name")), run.evidence("identity"), false);
}

void apply_create_directory(StepRun& run)
{
    const auto& directory = run.argument("directory");
    const auto& name = run.argument("name");
    const auto path = join(directory, name);
    const auto temporary = join(directory, temporary_name());
    if (!file_identity(path).empty())
        throw exists_already(directory, name);
    run.declare("temporary", temporary);
    if (::mkdir(temporary.c_str(), 0700) != 0)
        throw system_error(errno, "cannot create '" + path + "'");
    run.declare("identity", file_identity(temporary));
    {
        const auto fd = open_directory(temporary);
        set_cow_argument(fd.get(), run, path);
        set_attributes(fd.get(), run, path);
    }
    rename_new(temporary, path);
    sync_directory(directory);
}

void undo_create_directory(StepRun& run)
{
    const auto& temporary = run.evidence("temporary");
    if (!temporary.empty() && ::rmdir(temporary.c_str()) != 0 && errno != ENOENT)
        throw system_error(errno, "cannot remove directory '" + temporary + "'");
    remove_if_same(join(run.argument("directory"), run.argument("name")), run.evidence("identity"),
                   true);
}

void apply_remove_volume(StepRun& run)
{
    const auto path = join(run.argument("directory"), run.argument("name"));
    const auto& identity = run.argument("identity");
    const auto now = file_identity(path);
    if (!now.empty() && now != identity)
        throw Error(ErrorCode::busy, "'" + path + "' was replaced by another file meanwhile",
                    "look at it again, then delete it");
    const bool is_directory = run.argument("is_directory") == "yes";
    if ((is_directory ? ::rmdir(path.c_str()) : ::unlink(path.c_str())) != 0) {
        if (is_directory && (errno == ENOTEMPTY || errno == EEXIST))
            throw Error(ErrorCode::busy, "directory '" + path + "' is not empty",
                        "delete its content first", {}, errno);
        throw system_error(errno, "cannot delete '" + path + "'");
    }
}

constexpr std::array actions{
    Action{"write_file", apply_write_file, undo_write_file, true},
    Action{"remove_file", apply_remove_file, undo_remove_file, true},
    Action{"make_link", apply_make_link, undo_make_link, true},
    Action{"make_tree", apply_make_tree, undo_make_tree, false},
    Action{"set_attributes", apply_set_attributes, undo_set_attributes, false},
    Action{"remove_directory", apply_remove_directory, nullptr, true},
    Action{"create_file", apply_create_file, undo_create_file, true}, // declares what is not atomic
    Action{"create_directory", apply_create_directory, undo_create_directory, false},
    Action{"remove_volume", apply_remove_volume, nullptr, true},
};

Step make_step(std::string_view action, Arguments arguments, StepRecord record)
{
    record.kind = action;
    return {.action = find_action(action),
            .arguments = std::move(arguments),
            .record = std::move(record)};
}

std::string describe(const Attributes& attributes)
{
    std::string text;
    const auto& permissions = attributes.permissions;
    if (permissions.mode)
        text += ", mode " + octal(*permissions.mode);
    if (permissions.owner)
        text += ", owner " + std::to_string(*permissions.owner);
    if (permissions.group)
        text += ", group " + std::to_string(*permissions.group);
    if (permissions.label)
        text += ", label " + *permissions.label;
    if (attributes.copy_on_write)
        text += *attributes.copy_on_write ? ", copy-on-write" : ", no copy-on-write";
    return text;
}

} // namespace

const Action* find_action(std::string_view name)
{
    const auto found = std::find_if(actions.begin(), actions.end(),
                                    [&](const Action& a) { return a.name == name; });
    return found == actions.end() ? nullptr : &*found;
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
        {.call = {"fchmod", path},
         .summary = "set attributes of directory '" + path + "'" + describe(attributes),
         .undo = "restore mode, owner and group"});
}

Step remove_directory_step(const std::string& path)
{
    return make_step("remove_directory", {{"path", path}},
                     {.call = {"rmdir", path},
                      .summary = "remove the empty directory '" + path + "'",
                      .destructive = true});
}

Step create_file_step(const std::string& directory, const std::string& name,
                      const FileContent& content, const Attributes& attributes)
{
    auto arguments = attribute_arguments(attributes);
    arguments["directory"] = directory;
    arguments["name"] = name;
    arguments["capacity"] = std::to_string(content.capacity);
    arguments["allocation"] = std::to_string(content.allocation);
    arguments["source"] = content.source;
    arguments["reflink_only"] = content.reflink_only ? "yes" : "no";
    const auto path = join(directory, name);
    auto summary = "create raw file '" + path + "' of " + std::to_string(content.capacity) +
                   " bytes, " + std::to_string(std::min(content.allocation, content.capacity)) +
                   " of them allocated";
    if (!content.source.empty())
        summary += content.reflink_only
                       ? ", sharing the blocks of '" + content.source + "'"
                       : ", a copy of '" + content.source + "' (shared blocks where possible)";
    return make_step("create_file", std::move(arguments),
                     {.call = {"linkat", path},
                      .summary = summary + describe(attributes),
                      .undo = "remove the file"});
}

Step create_directory_step(const std::string& directory, const std::string& name,
                           const Attributes& attributes)
{
    auto arguments = attribute_arguments(attributes);
    arguments["directory"] = directory;
    arguments["name"] = name;
    return make_step(
        "create_directory", std::move(arguments),
        {.call = {"mkdir", join(directory, name)},
         .summary = "create directory '" + join(directory, name) + "'" + describe(attributes),
         .undo = "remove the directory"});
}

Step remove_volume_step(const std::string& directory, const std::string& name,
                        const std::string& identity, bool is_directory)
{
    return make_step("remove_volume",
                     {{"directory", directory},
                      {"name", name},
                      {"identity", identity},
                      {"is_directory", is_directory ? "yes" : "no"}},
                     {.call = {is_directory ? "rmdir" : "unlink", join(directory, name)},
                      .summary = "delete '" + join(directory, name) + "'",
                      .destructive = true});
}

} // namespace storage::inline v1
