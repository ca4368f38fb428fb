// SPDX-License-Identifier: LGPL-2.1-or-later
#include "state_store.hpp"

#include "file_steps.hpp"
#include "system_root.hpp"

#include <basin/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

using nlohmann::json;

constexpr std::string_view config_suffix = ".xml";
constexpr std::string_view record_suffix = ".json";
constexpr std::size_t definition_limit = std::size_t{1} << 20;

constexpr std::string_view config_head =
    "<!--\n"
    "WARNING: basin keeps this file and replaces it as a whole. Change the pool by\n"
    "defining it again, for example with: basin pool-edit NAME\n"
    "-->\n\n";

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value && *value == '/' ? value : "";
}

/** $XDG_…/basin/storage, or HOME/fallback/basin/storage (XDG Base Directory Specification 0.8). */
std::string user_directory(const char* variable, const char* fallback)
{
    auto base = environment(variable);
    if (base.empty()) {
        base = environment("HOME");
        if (base.empty())
            throw Error(ErrorCode::invalid_argument,
                        std::string("neither ") + variable +
                            " nor HOME names an absolute directory",
                        "set one of them, or give the context a root (basin --root)");
        base += fallback;
    }
    return base + "/basin/storage";
}

std::string user_run_directory()
{
    const auto base = environment("XDG_RUNTIME_DIR");
    // Without a session there is no directory that a reboot empties; the boot id in each record
    // keeps an old one from being believed.
    return base.empty() ? user_directory("XDG_STATE_HOME", "/.local/state") + "/run"
                        : base + "/basin/storage";
}

std::string absolute(const std::string& path)
{
    if (path.front() == '/')
        return path;
    std::unique_ptr<char, void (*)(void*)> here(::getcwd(nullptr, 0), std::free);
    if (!here)
        throw system_error(errno, "cannot find the current directory");
    return std::string(here.get()) + '/' + path;
}

std::string pick(const std::string& given, const std::string& root, const char* below_root,
                 const char* system_place, const std::function<std::string()>& user_place)
{
    if (!given.empty())
        return absolute(given);
    if (!root.empty())
        return absolute(root) + below_root;
    return ::geteuid() == 0 ? system_place : user_place();
}

std::vector<StoredFile> list_files(const std::string& directory_path, std::string_view suffix)
{
    std::vector<StoredFile> files;
    const auto directory = open_listing(directory_path);
    if (!directory) {
        if (errno == ENOENT)
            return files;
        throw system_error(errno, "cannot read directory '" + directory_path + "'");
    }
    for (;;) {
        errno = 0;
        const auto* item = ::readdir(directory.get());
        if (!item)
            break;
        const std::string_view name = item->d_name;
        if (name.size() <= suffix.size() || !name.ends_with(suffix) ||
            name.starts_with(temporary_prefix))
            continue;
        files.push_back({std::string(name.substr(0, name.size() - suffix.size())),
                         StateStore::stamp(directory_path + '/' + std::string(name))});
    }
    if (errno != 0) // a part of the list says nothing of the others
        throw system_error(errno, "cannot read directory '" + directory_path + "'");
    return files;
}

void remove_temporaries(const std::string& directory_path) noexcept
{
    const auto directory = open_listing(directory_path);
    if (!directory)
        return;
    while (const auto* item = ::readdir(directory.get()))
        if (std::string_view(item->d_name).starts_with(temporary_prefix))
            ::unlinkat(::dirfd(directory.get()), item->d_name, 0);
}

} // namespace

StateStore::StateStore(const ContextOptions& options)
    : config_dir_(pick(options.config_dir, options.root, "/etc", "/etc/basin/storage",
                       [] { return user_directory("XDG_CONFIG_HOME", "/.config"); })),
      state_dir_(pick(options.state_dir, options.root, "/var", "/var/lib/basin/storage",
                      [] { return user_directory("XDG_STATE_HOME", "/.local/state"); })),
      run_dir_(
          pick(options.run_dir, options.root, "/run", "/run/basin/storage", user_run_directory))
{
    const SystemRoot system(options.system_root);
    boot_id_ =
        read_small_file(system.path("/proc/sys/kernel/random/boot_id"), 256).value_or("unknown");
    while (!boot_id_.empty() && boot_id_.back() == '\n')
        boot_id_.pop_back();
}

std::string StateStore::config_path(std::string_view pool) const
{
    return config_dir_ + '/' + std::string(pool) + std::string(config_suffix);
}

std::string StateStore::autostart_path(std::string_view pool) const
{
    return autostart_dir() + '/' + std::string(pool) + std::string(config_suffix);
}

std::string StateStore::record_path(std::string_view pool) const
{
    return records_dir() + '/' + std::string(pool) + std::string(record_suffix);
}

FileStamp StateStore::stamp(const std::string& path)
{
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        return {};
    constexpr std::int64_t second = 1000000000;
    return {.inode = info.st_ino,
            .size = static_cast<std::uint64_t>(info.st_size),
            .modified_ns = info.st_mtim.tv_sec * second + info.st_mtim.tv_nsec,
            .changed_ns = info.st_ctim.tv_sec * second + info.st_ctim.tv_nsec};
}

StateStore::Stamps StateStore::stamps() const
{
    return {.config = stamp(config_dir_),
            .autostart = stamp(autostart_dir()),
            .records = stamp(records_dir())};
}

std::vector<StoredFile> StateStore::config_files() const
{
    return list_files(config_dir_, config_suffix);
}
std::vector<StoredFile> StateStore::record_files() const
{
    return list_files(records_dir(), record_suffix);
}

std::vector<std::string> StateStore::autostart_links() const
{
    std::vector<std::string> pools;
    for (auto& file : list_files(autostart_dir(), config_suffix)) {
        // libvirt: a link counts if it leads to the pool's definition.
        const auto wanted = stamp(config_path(file.pool_name));
        if (wanted.inode != 0 && file.stamp == wanted)
            pools.push_back(std::move(file.pool_name));
    }
    return pools;
}

PoolDef StateStore::read_config(const std::string& pool) const
{
    const auto path = config_path(pool);
    const auto xml = read_small_file(path, definition_limit);
    if (!xml)
        throw Error(ErrorCode::not_found, "'" + path + "' vanished");
    auto def = parse_pool(*xml);
    if (def.name != pool)
        throw Error(ErrorCode::invalid_xml,
                    "'" + path + "' defines pool '" + def.name + "', not '" + pool + "'",
                    "name the file after the pool");
    if (def.uuid.empty())
        throw Error(ErrorCode::invalid_xml, "'" + path + "' has no <uuid>",
                    "define the pool again");
    return def;
}

std::optional<StartRecord> StateStore::read_record(const std::string& pool) const
{
    const auto text = read_small_file(record_path(pool), 2 * definition_limit);
    if (!text)
        return std::nullopt;
    const auto document = json::parse(*text, nullptr, false);
    const auto member = [&](const char* name) {
        const auto found = document.find(name);
        return found != document.end() && found->is_string() ? found->get<std::string>()
                                                             : std::string();
    };
    if (!document.is_object() || !document.contains("pool"))
        throw Error(ErrorCode::parse_failed,
                    "'" + record_path(pool) + "' is not a record of a started pool");
    StartRecord record{.definition = pool_from_json(document["pool"].dump()),
                       .boot_id = member("boot_id"),
                       .identity = member("identity"),
                       .note = member("note"),
                       .by_hold = member("by") == "hold"};
    if (record.boot_id != boot_id_)
        return std::nullopt;
    return record;
}

Step StateStore::write_config_step(const PoolDef& def) const
{
    return write_file_step(config_path(def.name), std::string(config_head) + format_pool(def), true,
                           "store the definition of pool '" + def.name + "' in '" +
                               config_path(def.name) + "'");
}

Step StateStore::remove_config_step(const std::string& pool) const
{
    return remove_file_step(config_path(pool), true,
                            "remove the definition of pool '" + pool + "'");
}

Step StateStore::write_record_step(std::shared_ptr<StartRecord> record,
                                   std::function<std::string()> identity) const
{
    record->boot_id = boot_id_;
    const auto& name = record->definition.name;
    auto step =
        write_file_step(record_path(name), {}, false, "record that pool '" + name + "' is started");
    step.prepare = [record, identity = std::move(identity)](Arguments& arguments) {
        record->identity = identity();
        arguments["content"] = json{{"boot_id", record->boot_id},
                                    {"identity", record->identity},
                                    {"note", record->note},
                                    {"by", record->by_hold ? "hold" : "start"},
                                    {"pool", json::parse(to_json(record->definition))}}
                                   .dump();
    };
    return step;
}

Step StateStore::remove_record_step(const std::string& pool) const
{
    return remove_file_step(record_path(pool), false,
                            "remove the record that pool '" + pool + "' is started");
}

Step StateStore::autostart_step(const std::string& pool, bool on) const
{
    if (on)
        return make_link_step(autostart_path(pool), config_path(pool),
                              "mark pool '" + pool + "' for autostart");
    return remove_file_step(autostart_path(pool), true,
                            "remove the autostart mark of pool '" + pool + "'");
}

void StateStore::remove_leftovers() const noexcept
{
    for (const auto& directory : {config_dir_, autostart_dir()})
        remove_temporaries(directory);
}

} // namespace storage::inline v1
