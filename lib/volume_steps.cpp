// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_steps.hpp"

#include "command.hpp"
#include "file_attributes.hpp"
#include "job_impl.hpp"
#include "owner_access.hpp"
#include "owner_rights.hpp"
#include "step_parts.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <memory>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

Actor actor_of(const StepRun& run)
{
    return Actor(run.argument("directory"), number_argument(run, "owner"),
                 number_argument(run, "group"));
}

UniqueFd open_directory(const Actor& actor, const std::string& path)
{
    auto fd = actor.open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (!fd)
        throw system_error(errno, "cannot open '" + path + "'");
    return fd;
}

/** The directory that a step works in. */
UniqueFd open_directory(const Actor& actor, const StepRun& run)
{
    auto fd = open_directory(actor, run.argument("directory"));
    require_place(fd.get(), run.argument("place"), run.argument("directory"));
    return fd;
}

/** For a new file. One that another user made, that user alone may change. */
void set_attributes(const Actor& actor, int fd, const StepRun& run, const std::string& path)
{
    if (!actor.has_changed())
        return set_attributes(fd, run, path);
    struct stat info {};
    if (::fstat(fd, &info) == 0) // FUSE refuses even that; whose it is, is known
        set_owner(fd, number_argument(run, "owner"), number_argument(run, "group"), path);
    if (const auto mode = number_argument(run, "mode"); mode && actor.fchmod(fd, *mode) != 0)
        throw system_error(errno, "cannot set the mode of '" + path + "'");
    if (!run.argument("label").empty())
        set_label(fd, run.argument("label"), path);
}

Error exists_already(const std::string& directory, const std::string& name)
{
    return Error(ErrorCode::already_exists, "'" + join(directory, name) + "' exists",
                 "choose another name", {}, EEXIST);
}

/** Gives an unnamed file a name; false where it must be tried another way. */
bool link_unnamed(const Actor& actor, int fd, int directory, const std::string& name)
{
    const auto self = "/proc/self/fd/" + std::to_string(fd);
    // Without /proc AT_EMPTY_PATH still works for root.
    return actor.link(AT_FDCWD, self, directory, name, AT_SYMLINK_FOLLOW) == 0 ||
           (errno == ENOENT && actor.link(fd, "", directory, name, AT_EMPTY_PATH) == 0);
}

/**
 * Whether the file system logs in order and flushes the device before each commit: xfs, and ext4
 * where it has a journal (Linux, Documentation/ABI/testing/sysfs-fs-ext4: journal_task).
 */
bool logs_in_order(int fd)
{
    struct ::statfs system {};
    struct stat info {};
    if (::fstatfs(fd, &system) != 0 || ::fstat(fd, &info) != 0)
        return false;
    if (system.f_type != EXT4_SUPER_MAGIC)
        return system.f_type == XFS_SUPER_MAGIC;
    const auto device = "/sys/dev/block/" + std::to_string(::major(info.st_dev)) + ':' +
                        std::to_string(::minor(info.st_dev));
    std::array<char, PATH_MAX> target{};
    const auto length = ::readlink(device.c_str(), target.data(), target.size());
    if (length <= 0)
        return false;
    const std::string_view link(target.data(), static_cast<std::size_t>(length));
    const auto name = std::string(link.substr(link.rfind('/') + 1));
    try {
        const auto task = read_small_file("/sys/fs/ext4/" + name + "/journal_task", 64);
        return task && !task->empty() && task->front() >= '0' && task->front() <= '9';
    } catch (const Error&) {
        return false;
    }
}

/**
 * Sees to it that a name which is on the disk never has less than this file's size and data. Where
 * the log is in order, data which the device has (it need not be flushed), the extents that were
 * logged for it and the size come before any later change of a directory; elsewhere it takes a
 * flush.
 */
void settle_file(int fd, bool has_data, const std::string& path)
{
    constexpr unsigned everything =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const bool in_order = logs_in_order(fd);
    if (in_order && !has_data)
        return;
    if ((in_order ? ::sync_file_range(fd, 0, 0, everything) : ::fdatasync(fd)) != 0)
        throw flush_error(errno, path);
}

/** Moves a file or empty directory within a file system, over nothing. */
bool rename_over_nothing(const Actor& actor, int from_directory, const std::string& from,
                         int to_directory, const std::string& to)
{
    if (actor.rename(from_directory, from, to_directory, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL)
        return false;
    // Some file systems (NFS, older FUSE) do not know the flag.
    if (actor.link(from_directory, from, to_directory, to) == 0)
        return actor.unlink(from_directory, from) == 0;
    if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP)
        return false;
    // Nor second names (vfat, some of FUSE; no directory has them). Other users of basin are kept
    // out by the lock.
    struct stat info {};
    if (::fstatat(to_directory, to.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    return actor.rename(from_directory, from, to_directory, to, 0) == 0;
}

void flush_directory(int directory, const std::string& path)
{
    if (::fsync(directory) != 0 && errno != EINVAL) // some network and FUSE file systems
        throw flush_error(errno, path);
}

void flush_entry(int fd, int directory, const std::string& path)
{
    if (::fsync(fd) != 0)
        throw flush_error(errno, path);
    flush_directory(directory, path); // the first logged both: this finds nothing to do
}

Error cannot_create(const std::string& directory, const std::string& name)
{
    if (errno == EEXIST)
        return exists_already(directory, name);
    return system_error(errno, "cannot create '" + join(directory, name) + "'");
}

void apply_create_file(StepRun& run)
{
    const auto& directory_path = run.argument("directory");
    const auto& name = run.argument("name");
    const auto path = join(directory_path, name);
    const auto actor = actor_of(run);
    const auto directory = open_directory(actor, run);
    struct stat info {};
    if (::fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        throw exists_already(directory_path, name); // before time is spent on allocating

    // Its maker has it open anyway, and libraries open it once more (/proc/self/fd).
    constexpr mode_t for_its_maker = 0600;
    auto fd = actor.open(directory.get(), ".", O_TMPFILE | O_RDWR, for_its_maker);
    std::string temporary;
    if (!fd) {
        // NFS, FUSE, vfat: no unnamed files. A temporary name, known to the journal, does instead.
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
            throw system_error(errno, "cannot create '" + path + "'");
        temporary = temporary_name();
        run.declare("temporary", temporary);
        fd = actor.open(directory.get(), temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
                        for_its_maker);
        if (!fd)
            throw system_error(errno, "cannot create '" + path + "'");
        run.declare("identity", file_identity(join(directory_path, temporary)));
    } else {
        run.remember("identity", identity_of(fd.get(), path));
    }

    set_cow_argument(fd.get(), run, path); // only an empty file can change it
    const bool has_data = run.work(fd.get(), path);
    set_attributes(actor, fd.get(), run, path);
    settle_file(fd.get(), has_data, path);
    check(run.job(), "creating '" + path + "'");

    if (temporary.empty()
            ? !link_unnamed(actor, fd.get(), directory.get(), name)
            : !rename_over_nothing(actor, directory.get(), temporary, directory.get(), name))
        throw cannot_create(directory_path, name);
    flush_entry(fd.get(), directory.get(), path);
}

void remove_if_same(const Actor& actor, const std::string& path, const std::string& identity,
                    int flags = 0)
{
    if (identity.empty() || file_identity(path) != identity)
        return;
    if (actor.unlink(AT_FDCWD, path, flags) != 0 && errno != ENOENT)
        throw system_error(errno, "cannot remove '" + path + "'");
}

void undo_create_file(StepRun& run)
{
    const auto actor = actor_of(run);
    const auto& directory = run.argument("directory");
    const auto& temporary = run.evidence("temporary");
    if (!temporary.empty()) {
        const auto path = join(directory, temporary);
        // The random name was on record before the file was made: it is ours even without an
        // identity.
        if (actor.unlink(AT_FDCWD, path) != 0 && !is_nothing_there(path))
            throw system_error(errno, "cannot remove '" + path + "'");
    }
    remove_if_same(actor, join(directory, run.argument("name")), run.evidence("identity"));
}

/** That what was made has the name now, and nothing that had the temporary one in its place. */
void require_became(const StepRun& run, const std::string& path)
{
    if (file_identity(path) != run.evidence("identity"))
        throw replaced(path);
}

void apply_create_directory(StepRun& run)
{
    const auto& directory = run.argument("directory");
    const auto& name = run.argument("name");
    const auto path = join(directory, name);
    const auto temporary = temporary_name();
    if (!file_identity(path).empty())
        throw exists_already(directory, name);
    const auto actor = actor_of(run);
    const auto parent = open_directory(actor, run);
    run.declare("temporary", join(directory, temporary));
    if (actor.mkdir(parent.get(), temporary, 0700) != 0)
        throw system_error(errno, "cannot create '" + path + "'");
    {
        const auto fd = actor.open(parent.get(), temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!fd)
            throw system_error(errno, "cannot create '" + path + "'");
        require_new_directory(fd.get(), true, path);
        run.declare("identity", identity_of(fd.get(), path));
        set_cow_argument(fd.get(), run, path);
        set_attributes(actor, fd.get(), run, path);
    }
    if (!rename_over_nothing(actor, parent.get(), temporary, parent.get(), name))
        throw cannot_create(directory, name);
    require_became(run, path);
    flush_directory(parent.get(), directory);
}

void undo_create_directory(StepRun& run)
{
    const auto& temporary = run.evidence("temporary");
    const auto actor = actor_of(run);
    if (!temporary.empty() && actor.unlink(AT_FDCWD, temporary, AT_REMOVEDIR) != 0 &&
        !is_nothing_there(temporary) &&
        !(run.evidence("identity").empty() && is_not_what_was_made(errno)))
        throw system_error(errno, "cannot remove directory '" + temporary + "'");
    remove_if_same(actor, join(run.argument("directory"), run.argument("name")),
                   run.evidence("identity"), AT_REMOVEDIR);
}

/** Refuses another entry than the one that the step was listed for. @param now  its identity, or
 * "" where it cannot be looked at */
void require_same_entry(const StepRun& run, const std::string& path, const std::string& now)
{
    if (now != run.argument("identity") ||
        (!run.argument("expected").empty() && !is_expected(run, target_identity(path))))
        throw replaced(path);
}

void apply_remove_volume(StepRun& run)
{
    const auto path = join(run.argument("directory"), run.argument("name"));
    if (const auto now = file_identity(path); !now.empty())
        require_same_entry(run, path, now);
    const bool is_directory = run.argument("is_directory") == "yes";
    const auto actor = actor_of(run);
    const auto directory = open_directory(actor, run);
    if (actor.unlink(directory.get(), run.argument("name"), is_directory ? AT_REMOVEDIR : 0) != 0) {
        if (is_directory && (errno == ENOTEMPTY || errno == EEXIST))
            throw Error(ErrorCode::busy, "directory '" + path + "' is not empty",
                        "delete its content first", {}, errno);
        throw system_error(errno, "cannot delete '" + path + "'");
    }
}

// ---- made by a program ------------------------------------------------------------------------

/** Opens the directory that was made just now for a program to work in. Who may write the pool's
 * directory can put another one there, and a link in that. */
UniqueFd open_hidden(int parent, const std::string& hidden, const std::string& path)
{
    UniqueFd fd(::openat(parent, hidden.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0)
        throw system_error(errno, "cannot open a directory to make '" + path + "' in");
    // A file system without owners (vfat) does not let root have it, either.
    const auto can_be_given = [&](uid_t to) {
        return ::fchown(fd.get(), to, static_cast<gid_t>(-1)) == 0;
    };
    if (info.st_uid != ::geteuid() &&
        (::geteuid() != 0 || (can_be_given(0) && can_be_given(info.st_uid))))
        throw Error(ErrorCode::permission_denied,
                    "'" + path + "': the directory to make it in belongs to user " +
                        std::to_string(info.st_uid),
                    "see who else writes to the pool's directory");
    require_new_directory(fd.get(), true, path);
    return fd;
}

void apply_create_by_tool(StepRun& run)
{
    const auto& directory_path = run.argument("directory");
    const auto& name = run.argument("name");
    const auto path = join(directory_path, name);
    const Actor actor; // the program is this process' child, and no other user's
    const auto directory = open_directory(actor, run);
    if (!file_identity(path).empty())
        throw exists_already(directory_path, name);
    const auto hidden = temporary_name();
    run.declare("hidden", hidden);
    if (make_directory_at(directory.get(), hidden, 0700) != 0)
        throw system_error(errno, "cannot create '" + path + "'");
    const auto place = open_hidden(directory.get(), hidden, path);
    run.declare("hidden_identity", identity_of(place.get(), path));
    set_cow_argument(place.get(), run, path); // what is made in it is like it from the start
    const auto made = "/proc/self/fd/" + std::to_string(place.get()) + '/' + name;
    run.work(-1, made, place.get());
    const auto fd = open_file(made, O_RDWR | O_NOFOLLOW);
    set_attributes(fd.get(), run, path);
    settle_file(fd.get(), true, path);
    run.declare("identity", identity_of(fd.get(), path));
    check(run.job(), "creating '" + path + "'");
    if (!rename_over_nothing(actor, place.get(), name, directory.get(), name))
        throw cannot_create(directory_path, name);
    if (::unlinkat(directory.get(), hidden.c_str(), AT_REMOVEDIR) != 0)
        throw system_error(errno, "cannot remove '" + join(directory_path, hidden) + "'");
    flush_entry(fd.get(), directory.get(), path);
}

/**
 * Removes a directory of our own with the files in it, which one program made. What somebody put in
 * its place stays.
 * @param identity  "": killed before it was known, and before anything was made in it
 * @return false where it could not be removed
 */
bool try_remove_hidden(const std::string& path, const std::string& identity)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
            return true;
        throw system_error(errno, "cannot look at '" + path + "'");
    }
    if (!identity.empty()) {
        if (identity_of(fd.get(), path) != identity)
            return true;
        const DirectoryStream listing(::fdopendir(fd.get()), ::closedir);
        if (!listing)
            throw system_error(errno, "cannot look at '" + path + "'");
        fd.release();
        while (const auto* entry = ::readdir(listing.get()))
            if (const std::string_view name = entry->d_name; name != "." && name != "..")
                ::unlinkat(::dirfd(listing.get()), entry->d_name, 0);
    }
    return ::rmdir(path.c_str()) == 0 || is_nothing_there(path);
}

void remove_hidden(const std::string& path, const std::string& identity)
{
    // A program whose caller was killed lives on for a moment, and may make its file only now.
    for (int attempts = 100; !try_remove_hidden(path, identity); ::usleep(10000)) {
        if (identity.empty() && is_not_what_was_made(errno))
            return;
        if ((errno != ENOTEMPTY && errno != EEXIST) || --attempts == 0)
            throw system_error(errno, "cannot remove '" + path + "'");
    }
}

void undo_create_by_tool(StepRun& run)
{
    const auto& directory = run.argument("directory");
    if (!run.evidence("hidden").empty())
        remove_hidden(join(directory, run.evidence("hidden")), run.evidence("hidden_identity"));
    remove_if_same(Actor(), join(directory, run.argument("name")), run.evidence("identity"));
}

// ---- uploads that can be resumed --------------------------------------------------------------

constexpr std::string_view partial_prefix = ".basin-upload-";

/** In a directory that others may write, the name may lead to a file of theirs, or of another name.
 */
void require_ours(const Actor& actor, int fd, const std::string& path)
{
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        throw system_error(errno, "cannot look at '" + path + "'");
    if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || !actor.is_own(info.st_uid))
        throw Error(ErrorCode::permission_denied,
                    "'" + path + "' is not a file that basin left for this upload",
                    "remove it, or upload without keeping a part");
}

void apply_receive(StepRun& run)
{
    const auto& directory = run.argument("directory");
    const auto& name = run.argument("name");
    if (!file_identity(join(directory, name)).empty())
        throw exists_already(directory, name);
    const auto path = partial_path(directory, name);
    const auto partial_name = path.substr(path.rfind('/') + 1);
    const auto actor = actor_of(run);
    const auto parent = open_directory(actor, run);
    const auto fd =
        actor.open(parent.get(), partial_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (!fd)
        throw system_error(errno, "cannot open '" + path + "'");
    require_ours(actor, fd.get(), path);
    try {
        run.work(fd.get(), path);
    } catch (...) {
        struct stat info {};
        if (::fstat(fd.get(), &info) == 0 && info.st_size == 0)
            actor.unlink(parent.get(), partial_name); // nothing to go on with
        else
            ::fdatasync(fd.get()); // what is said to be kept is kept
        throw;
    }
    settle_file(fd.get(), true, path);
}

void apply_publish(StepRun& run)
{
    const auto& directory_path = run.argument("directory");
    const auto& name = run.argument("name");
    const auto path = join(directory_path, name);
    const auto partial = partial_path(directory_path, name);
    const auto partial_name = partial.substr(partial.rfind('/') + 1);
    const auto actor = actor_of(run);
    const auto directory = open_directory(actor, run);
    const auto fd = actor.open(directory.get(), partial_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (!fd)
        throw system_error(errno, "cannot open '" + partial + "'");
    require_ours(actor, fd.get(), partial);
    run.work(fd.get(), partial); // looks whether it is what was received
    set_attributes(actor, fd.get(), run, path);
    run.remember("identity", identity_of(fd.get(), path));
    if (!rename_over_nothing(actor, directory.get(), partial_name, directory.get(), name))
        throw cannot_create(directory_path, name);
    require_became(run, path);
    flush_entry(fd.get(), directory.get(), path);
}

/** Back to what can be resumed. */
void undo_publish(StepRun& run)
{
    const auto& identity = run.evidence("identity");
    const auto path = join(run.argument("directory"), run.argument("name"));
    const auto partial = partial_path(run.argument("directory"), run.argument("name"));
    if (!identity.empty() && file_identity(path) == identity &&
        !rename_over_nothing(actor_of(run), AT_FDCWD, path, AT_FDCWD, partial))
        throw system_error(errno, "cannot rename '" + path + "' back");
}

void apply_discard(StepRun& run)
{
    const auto path = partial_path(run.argument("directory"), run.argument("name"));
    if (const auto now = file_identity(path); !now.empty() && now != run.argument("identity"))
        throw replaced(path);
    const auto actor = actor_of(run);
    const auto directory = open_directory(actor, run);
    if (actor.unlink(directory.get(), path.substr(path.rfind('/') + 1)) != 0)
        throw errno == ENOENT
            ? Error(ErrorCode::not_found, "no unfinished upload of '" + run.argument("name") +
                                              "' in '" + run.argument("directory") + "'")
            : system_error(errno, "cannot remove '" + path + "'");
}

// ---- changes of what exists -------------------------------------------------------------------

void apply_rename_volume(StepRun& run)
{
    const auto& directory_path = run.argument("directory");
    const auto& name = run.argument("name");
    const auto& new_name = run.argument("new_name");
    const auto path = join(directory_path, name);
    require_same_entry(run, path, file_identity(path));
    const auto actor = actor_of(run);
    const auto directory = open_directory(actor, run);
    if (actor.rename(directory.get(), name, directory.get(), new_name, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST)
            throw exists_already(directory_path, new_name);
        if (errno != EINVAL)
            throw system_error(errno, "cannot rename '" + join(directory_path, name) + "' to '" +
                                          new_name + "'");
        // No such flag here: for a moment a file may have both names.
        run.declare("two_names", "yes");
        if (!rename_over_nothing(actor, directory.get(), name, directory.get(), new_name))
            throw cannot_create(directory_path, new_name);
    }
    flush_directory(directory.get(), directory_path);
}

void undo_rename_volume(StepRun& run)
{
    const auto& directory = run.argument("directory");
    const auto& identity = run.argument("identity");
    const auto actor = actor_of(run);
    const auto old_path = join(directory, run.argument("name"));
    const auto new_path = join(directory, run.argument("new_name"));
    const auto now = file_identity(old_path);
    if (run.evidence("two_names") == "yes" && now == identity)
        return remove_if_same(actor, new_path, identity);
    if (now.empty() && file_identity(new_path) == identity && // it could not be flushed
        !rename_over_nothing(actor, AT_FDCWD, new_path, AT_FDCWD, old_path))
        throw system_error(errno, "cannot rename '" + new_path + "' back");
}

constexpr std::array actions{
    Action{"create_file", apply_create_file, undo_create_file, true}, // declares what is not atomic
    Action{"create_by_tool", apply_create_by_tool, undo_create_by_tool, false},
    Action{"create_directory", apply_create_directory, undo_create_directory, false},
    Action{"receive", apply_receive, nullptr, true}, // what it leaves is meant to stay
    Action{"publish", apply_publish, undo_publish, true},
    Action{"discard", apply_discard, nullptr, true},
    Action{"remove_volume", apply_remove_volume, nullptr, true},
    Action{"rename_volume", apply_rename_volume, undo_rename_volume, true}, // declares the rest
};

Arguments entry_arguments(const PoolDirectory& directory, const std::string& name,
                          const Attributes& attributes = {})
{
    auto arguments = attribute_arguments(attributes);
    arguments["directory"] = directory.path;
    if (!directory.place.empty())
        arguments["place"] = directory.place;
    arguments["name"] = name;
    return arguments;
}

} // namespace

Step within(Step step, const std::string& place)
{
    if (!place.empty())
        step.arguments["place"] = place;
    return step;
}

std::span<const Action> volume_actions()
{
    return actions;
}

std::string partial_path(const std::string& directory, const std::string& name)
{
    if (partial_prefix.size() + name.size() > NAME_MAX)
        throw Error(ErrorCode::invalid_argument,
                    "volume name '" + name + "' is too long for an upload that can be resumed",
                    "use a name of at most " + std::to_string(NAME_MAX - partial_prefix.size()) +
                        " bytes");
    return join(directory, std::string(partial_prefix) + name);
}

Step create_file_step(const PoolDirectory& directory, const std::string& name, NewContent content,
                      const Attributes& attributes)
{
    auto step = make_step("create_file", entry_arguments(directory, name, attributes),
                          {.call = in_turn({content.call, {"linkat", join(directory.path, name)}}),
                           .summary = "create " + content.summary + describe(attributes),
                           .undo = "remove the file"});
    step.work = std::move(content.fill);
    return step;
}

Step create_by_tool_step(const PoolDirectory& directory, const std::string& name,
                         NewContent content, const Attributes& attributes)
{
    auto step = make_step("create_by_tool", entry_arguments(directory, name, attributes),
                          {.call = std::move(content.call),
                           .summary = "create " + content.summary + describe(attributes),
                           .undo = "remove the file"});
    step.work = std::move(content.fill);
    return step;
}

Step create_directory_step(const PoolDirectory& directory, const std::string& name,
                           const Attributes& attributes)
{
    return make_step(
        "create_directory", entry_arguments(directory, name, attributes),
        {.call = {"mkdir", join(directory.path, name)},
         .summary = "create directory '" + join(directory.path, name) + "'" + describe(attributes),
         .undo = "remove the directory"});
}

void list_resumable_upload(const PoolDirectory& directory, const std::string& name,
                           NewContent content, const Attributes& attributes, Change& change)
{
    const auto partial = partial_path(directory.path, name);
    const auto arguments = entry_arguments(directory, name, attributes);
    const auto received = std::make_shared<std::string>(); // its identity
    auto receive = make_step("receive", arguments,
                             {.call = {"write", partial},
                              .summary = "receive " + content.summary,
                              .undo = "what arrived is kept for the next attempt"});
    receive.work = [fill = std::move(content.fill), received](const FileWork& work) {
        const bool done = fill(work);
        *received = identity_of(work.fd, work.path);
        return done;
    };
    auto publish = make_step(
        "publish", arguments,
        {.call = {"renameat2", partial, join(directory.path, name)},
         .summary = "give it the name '" + join(directory.path, name) + "'" + describe(attributes),
         .undo = "give it back the name of an unfinished upload"});
    // Who may write the directory can have given that name to another file of ours meanwhile.
    publish.work = [received](const FileWork& work) {
        if (identity_of(work.fd, work.path) != *received)
            throw replaced(work.path);
        return true;
    };
    change.add(std::move(receive));
    change.add(std::move(publish));
}

Step discard_step(const std::string& directory, const std::string& name,
                  const std::string& identity)
{
    return make_step("discard", {{"directory", directory}, {"name", name}, {"identity", identity}},
                     {.call = {"unlink", partial_path(directory, name)},
                      .summary = "forget the unfinished upload of '" + name + "'",
                      .destructive = true});
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

Step rename_volume_step(const std::string& directory, const std::string& name,
                        const std::string& new_name, const std::string& identity)
{
    return make_step(
        "rename_volume",
        {{"directory", directory}, {"name", name}, {"new_name", new_name}, {"identity", identity}},
        {.call = {"renameat2", join(directory, name), join(directory, new_name)},
         .summary = "rename '" + join(directory, name) + "' to '" + new_name + "'",
         .undo = "give it its old name"});
}

} // namespace storage::inline v1
