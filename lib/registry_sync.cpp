// SPDX-License-Identifier: LGPL-2.1-or-later
// How a Context keeps its picture of the pools equal to the files on disk.
#include "pool_call.hpp"

#include <algorithm>
#include <functional>
#include <set>

namespace storage::inline v1 {

namespace {

/**
 * Kernels before 6.13 stamp files once a tick (4 ms at 250 Hz). A directory changed so shortly
 * before it was read may have changed again since under the same stamp.
 */
constexpr std::int64_t tick_ns = 20000000;

std::int64_t wall_clock_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * std::int64_t{1000000000} + now.tv_nsec;
}

std::int64_t newest_of(const StateStore::Stamps& stamps)
{
    return std::max(
        {stamps.config.modified_ns, stamps.autostart.modified_ns, stamps.records.modified_ns});
}

bool is_volume_event(EventKind kind)
{
    return kind == EventKind::volume_created || kind == EventKind::volume_changed ||
           kind == EventKind::volume_deleted;
}

} // namespace

void Context::Impl::synchronise(Look look)
{
    if (look == Look::quick && scanned_.load(std::memory_order_acquire) &&
        events.newest() == synchronised_.load(std::memory_order_acquire))
        return;
    const std::lock_guard lock(synchronise_mutex_);
    if (look == Look::full || !scanned_)
        events.attach();
    apply_events();
    if (look == Look::quick && scanned_)
        return;
    const auto stamps = store.stamps();
    const bool settled = wall_clock_ns() - newest_of(stamps) > tick_ns;
    if (scanned_ && !unread_ && stamps == stamps_ && (stamps_settled_ || !settled))
        return;
    scan();
    stamps_ = stamps; // taken before the scan: what came during it is seen by the next look
    stamps_settled_ = settled;
    scanned_.store(true, std::memory_order_release);
}

void Context::Impl::apply_events()
{
    auto cursor = synchronised_.load();
    bool rescan = false;
    for (std::vector<LoggedEvent> batch;; batch.clear()) {
        if (!events.read_after(cursor, batch)) {
            rescan = true;
            for (const auto& pool : all()) {
                const std::unique_lock writing(pool->table_mutex);
                pool->news.everything_changed();
            }
        }
        if (batch.empty())
            break;
        for (const auto& event : batch) {
            if ((event.writer & ~EventLog::foreign) == events.writer())
                continue;
            if (event.kind == EventKind::overflow) { // more changed in that pool than was told
                if (const auto pool = find_uuid(event.pool_uuid)) {
                    const std::unique_lock writing(pool->table_mutex);
                    pool->news.everything_changed();
                }
            }
            if (!is_volume_event(event.kind)) {
                rescan = rescan || event.kind != EventKind::pool_refreshed;
                continue;
            }
            if (const auto pool = find_uuid(event.pool_uuid)) {
                const std::unique_lock writing(pool->table_mutex);
                if (!pool->table && !pool->news.refreshing())
                    continue;
                constexpr std::size_t most_names = 1000; // beyond, reading all again is cheaper
                if (event.name_was_cut || pool->news.names().size() >= most_names)
                    pool->news.everything_changed();
                else
                    pool->news.changed(event.volume_name);
            }
        }
    }
    if (rescan && scanned_) {
        stamps_ = store.stamps();
        stamps_settled_ = false;
        scan();
    }
    synchronised_.store(cursor, std::memory_order_release);
}

void Context::Impl::scan()
{
    unread_ = false;
    const auto configs = store.config_files();
    const auto records = store.record_files();
    const auto links = store.autostart_links();
    const std::set<std::string> autostarted(links.begin(), links.end());

    std::map<std::string, std::pair<const StoredFile*, const StoredFile*>> found;
    for (const auto& file : configs)
        found[file.pool_name].first = &file;
    for (const auto& file : records)
        found[file.pool_name].second = &file;

    for (const auto& pool : all())
        if (!found.contains(pool->name))
            drop(pool);
    for (const auto& [name, files] : found)
        read_pool(name, files.first, files.second, autostarted.contains(name));
}

void Context::Impl::reload_pool(const std::string& name, const WrittenFiles& written)
{
    const std::lock_guard lock(synchronise_mutex_);
    const StoredFile config{name, StateStore::stamp(store.config_path(name))};
    const StoredFile record{name, StateStore::stamp(store.record_path(name))};
    const bool link =
        config.stamp.inode != 0 && StateStore::stamp(store.autostart_path(name)) == config.stamp;
    read_pool(name, config.stamp.inode ? &config : nullptr, record.stamp.inode ? &record : nullptr,
              link, written);
    stamps_ = store.stamps();
    stamps_settled_ = false; // others may have changed the directories while this change went on
}

void Context::Impl::read_pool(const std::string& name, const StoredFile* config,
                              const StoredFile* record, bool autostart, const WrittenFiles& written)
{
    auto pool = find(name);
    const auto before = pool ? pool->files() : std::make_shared<const PoolFiles>();
    auto files = std::make_shared<PoolFiles>();
    files->config_stamp = config ? config->stamp : FileStamp{};
    files->record_stamp = record ? record->stamp : FileStamp{};
    files->autostart = autostart;
    if (pool && files->config_stamp == before->config_stamp &&
        files->record_stamp == before->record_stamp && autostart == before->autostart)
        return;

    // A file that cannot be read is left alone and told of; the pool's other file still counts.
    const auto attempt = [&](FileStamp& stamp, const char* what, auto&& read) {
        try {
            read();
        } catch (const Error& error) {
            if (error.code() == ErrorCode::io) { // of the moment: the next look reads it again
                stamp = {};
                unread_ = true;
            }
            log(LogLevel::error, "pool '" + name + "': " + what + " is left out: " + error.what());
        }
    };
    if (config && written.persistent)
        files->persistent = written.persistent;
    else if (config && before->persistent && files->config_stamp == before->config_stamp)
        files->persistent = before->persistent;
    else if (config)
        attempt(files->config_stamp, "its definition", [&] {
            files->persistent = std::make_shared<const PoolDef>(store.read_config(name));
        });
    if (record && written.started)
        files->started = written.started;
    else if (record && before->started && files->record_stamp == before->record_stamp)
        files->started = before->started;
    else if (record)
        attempt(files->record_stamp, "the record of its start", [&] {
            if (auto start = store.read_record(name))
                files->started = std::make_shared<const StartRecord>(std::move(*start));
        });

    if (!files->exists()) {
        if (pool)
            drop(pool);
        return;
    }
    const auto uuid = files->current().uuid;
    if (pool && pool->uuid != uuid) {
        drop(pool);
        pool = nullptr;
    }
    if (!pool) {
        if (const auto other = find_uuid(uuid)) {
            log(LogLevel::error,
                "pool '" + name + "' is left out: it has the uuid of pool '" + other->name + "'");
            return;
        }
        pool = std::make_shared<PoolObject>(weak_from_this(), uuid, name);
        const std::unique_lock lock(registry_mutex_);
        registry_.by_name[name] = pool;
        registry_.by_uuid[uuid] = pool;
    }
    pool->set_files(std::move(files));
    const std::lock_guard lock(sources_mutex_);
    sources_.unindexed.push_back(pool);
}

void Context::Impl::drop(const PoolPointer& pool)
{
    pool->set_files(std::make_shared<PoolFiles>());
    {
        const std::unique_lock lock(registry_mutex_);
        registry_.by_name.erase(pool->name);
        registry_.by_uuid.erase(pool->uuid);
    }
    const std::lock_guard lock(sources_mutex_);
    sources_.unindexed.push_back(pool);
}

PoolPointer Context::Impl::find(std::string_view name) const
{
    const std::shared_lock lock(registry_mutex_);
    const auto found = registry_.by_name.find(name);
    return found == registry_.by_name.end() ? nullptr : found->second;
}

PoolPointer Context::Impl::find_uuid(std::string_view uuid) const
{
    const std::shared_lock lock(registry_mutex_);
    const auto found = registry_.by_uuid.find(uuid);
    return found == registry_.by_uuid.end() ? nullptr : found->second;
}

std::vector<std::string> Context::Impl::source_identities(const PoolDef& def) const
{
    auto* const function = backend_type(def.type).source_identities;
    return function ? function(def, system) : std::vector<std::string>();
}

void Context::Impl::note_sources(const PoolPointer& pool, std::vector<std::string> identities) const
{
    std::sort(identities.begin(), identities.end());
    identities.erase(std::unique(identities.begin(), identities.end()), identities.end());
    const std::lock_guard lock(sources_mutex_);
    auto& before = sources_.identities_of[pool->uuid];
    for (const auto& identity : before) {
        const auto [first, last] = sources_.uuid_of.equal_range(identity);
        const auto mine = std::find_if(
            first, last, [&](const auto& entry) { return entry.second == pool->uuid; });
        if (mine != last)
            sources_.uuid_of.erase(mine);
    }
    for (const auto& identity : identities)
        sources_.uuid_of.emplace(identity, pool->uuid);
    if (identities.empty())
        sources_.identities_of.erase(pool->uuid);
    else
        before = std::move(identities);
}

void Context::Impl::index_sources() const
{
    std::vector<PoolPointer> pools;
    {
        const std::lock_guard lock(sources_mutex_);
        pools.swap(sources_.unindexed);
    }
    const auto learn = [impl = shared_from_this()](const PoolPointer& pool) {
        const auto files = pool->files();
        std::vector<std::string> identities;
        const auto collect = [&](const PoolDef& def) {
            const auto found = impl->source_identities(def);
            identities.insert(identities.end(), found.begin(), found.end());
        };
        if (files->persistent)
            collect(*files->persistent);
        if (files->started)
            collect(files->started->definition);
        impl->note_sources(pool, std::move(identities));
    };
    const auto is_hung = [](const PoolPointer& pool) { return pool->left_calls->count() != 0; };
    const auto hung = std::stable_partition(pools.begin(), pools.end(), std::not_fn(is_hung));
    std::vector<PoolPointer> unanswered(hung, pools.end());
    pools.erase(hung, pools.end());
    // In one thread as long as all answer; then who does not is found out one by one.
    const auto ask = [&](const PoolPointer& storage, const std::vector<PoolPointer>& asked) {
        try {
            ask_neighbour(storage, [asked, learn] {
                for (const auto& pool : asked)
                    learn(pool);
            });
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    if (!pools.empty()) {
        const auto all = std::make_shared<PoolObject>(pools.front()->context, "", "sources");
        if (pools.size() == 1 || !ask(all, pools))
            for (const auto& pool : pools)
                if (!ask(pool, {pool}))
                    unanswered.push_back(pool);
    }
    const std::lock_guard lock(sources_mutex_);
    sources_.unindexed.insert(sources_.unindexed.end(), unanswered.begin(), unanswered.end());
}

void Context::Impl::refuse_conflicts(const PoolDef& def,
                                     std::span<const std::string> identities) const
{
    const auto same_name = find(def.name);
    if (same_name && same_name->uuid != def.uuid)
        throw Error(ErrorCode::already_exists,
                    "pool '" + def.name + "' already exists with uuid " + same_name->uuid,
                    "choose another name, or put that <uuid> into the definition to replace it");
    const auto same_uuid = find_uuid(def.uuid);
    if (same_uuid && same_uuid->name != def.name)
        throw Error(ErrorCode::already_exists,
                    "pool '" + def.name + "': uuid " + def.uuid + " is that of pool '" +
                        same_uuid->name + "'",
                    "choose another uuid, or leave <uuid> out");
    if (identities.empty())
        return;
    index_sources();
    const std::lock_guard lock(sources_mutex_);
    for (const auto& identity : identities) {
        const auto [first, last] = sources_.uuid_of.equal_range(identity);
        for (auto entry = first; entry != last; ++entry) {
            const auto other = find_uuid(entry->second);
            if (!other || other->uuid == def.uuid)
                continue;
            throw Error(ErrorCode::already_exists,
                        "pool '" + def.name + "': its source is that of pool '" + other->name +
                            "' (" + identity + ")",
                        "use pool '" + other->name + "', or undefine it first");
        }
    }
}

} // namespace storage::inline v1
