// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_object.hpp"

#include "job_impl.hpp"
#include "names.hpp"

#include <algorithm>

namespace storage::inline v1 {

std::shared_ptr<const PoolFiles> PoolObject::files() const
{
    const std::lock_guard lock(files_mutex_);
    return files_;
}

void PoolObject::set_files(std::shared_ptr<const PoolFiles> files)
{
    bool other_start = false;
    std::shared_ptr<Backend> unused; // what it has open is closed without the lock
    {
        const std::lock_guard lock(files_mutex_);
        other_start = files_->started != files->started;
        files_ = std::move(files);
        if (!files_->started)
            unused = std::move(backend_);
    }
    if (other_start) { // the volumes were those of the run before
        steadiness = Steadiness::unknown;
        std::shared_ptr<VolumeTable> old;
        const std::unique_lock lock(table_mutex);
        old.swap(table);
        news.clear();
    }
}

std::shared_ptr<Backend> PoolObject::backend(const Host& host)
{
    const std::lock_guard lock(files_mutex_);
    if (!backend_ || backend_files_ != files_) {
        if (!files_->exists())
            throw Error(ErrorCode::not_found, "pool '" + name + "' does not exist any more");
        const auto& def = files_->current();
        const auto& type = backend_type(def.type);
        if (!type.open)
            throw Error(ErrorCode::not_supported,
                        "pool '" + name + "': " + std::string(type.info.unavailable_reason));
        backend_ = type.open(def, host);
        backend_files_ = files_;
    }
    return backend_;
}

PoolAccess::PoolAccess(const PoolPointer& pointer, Context::Impl::Look look)
    : pool(pointer), context(pointer->context.lock())
{
    if (!context)
        throw Error(ErrorCode::invalid_state, "pool '" + pool->name + "': its context was closed",
                    "keep the Context as long as its pools are used");
    context->synchronise(look);
    files = pool->files();
    if (!files->exists())
        throw Error(ErrorCode::not_found, "pool '" + pool->name + "' does not exist any more");
}

const BackendInfo& PoolAccess::info() const
{
    return backend_type(def().type).info;
}

Backend& PoolAccess::backend()
{
    if (!backend_)
        backend_ = pool->backend(context->host);
    return *backend_;
}

void PoolAccess::require_started() const
{
    if (!files->started)
        throw Error(ErrorCode::invalid_state, title() + " is not active", "start it first");
}

Backend& PoolAccess::active_backend()
{
    require_started();
    auto presence = backend().presence();
    if (presence.assumed)
        presence = backend().health();
    if (presence.state == PoolState::inactive)
        throw Error(ErrorCode::invalid_state,
                    title() + " is started, but not accessible: " + presence.reason,
                    "bring the storage back, or stop the pool");
    if (presence.identity != files->started->identity)
        throw Error(ErrorCode::invalid_state,
                    title() + " is started, but its target is not the one that it was started on",
                    "bring the old one back (mount it again?), or stop and start the pool");
    backend().accept(presence);
    return backend();
}

void PoolAccess::require(Capability capability, std::string_view what) const
{
    if (!info().capabilities.has(capability))
        throw Error(ErrorCode::not_supported,
                    title() + ": pools of type '" + def().type + "' cannot " + std::string(what),
                    "see the capabilities of the pool type");
}

void PoolAccess::bring_up_to_date(bool read_all, Job* job)
{
    if (read_all) {
        refresh(job, Announce::found);
        return;
    }
    std::map<std::string, TableNews::Moment> names;
    {
        const std::shared_lock reading(pool->table_mutex);
        names = pool->news.names();
    }
    std::exception_ptr problem;
    for (const auto& [name, learned] : names) // until it is settled it is news to others, too
        try {
            update_volume(name);
            const std::unique_lock writing(pool->table_mutex);
            pool->news.settle(name, learned);
        } catch (const Error&) { // of one volume
            problem = std::current_exception();
        }
    if (problem)
        std::rethrow_exception(problem);
}

PoolAccess::Volumes PoolAccess::volumes(Job* job)
{
    std::shared_lock reading(pool->table_mutex);
    const auto asked = pool->news.now(); // what is learned later may or may not be in the answer
    for (;; reading.lock()) {
        const bool known = pool->table != nullptr;
        const bool same_start = is_of_this_start();
        if (known && same_start && !pool->news.want_some(asked))
            return {pool->table, std::move(reading)};
        const bool read_all = !known || pool->news.want_all();
        reading.unlock();
        if (!same_start) { // stopped meanwhile, and perhaps started again
            *this = PoolAccess(pool);
            require_started();
            continue;
        }
        try {
            bring_up_to_date(read_all, job);
        } catch (const Error& error) {
            if (!known || error.code() == ErrorCode::cancelled ||
                error.code() == ErrorCode::timed_out)
                throw;
            context->log(LogLevel::warning,
                         title() + ": the volumes are those of the last look: " + error.what());
            reading.lock();
            if (pool->table)
                return {pool->table, std::move(reading)};
            reading.unlock();
        }
    }
}

namespace {

/** A copy, where a refresh still reads the one that is about to change. */
std::shared_ptr<VolumeTable> copy_of(const VolumeTable& table)
{
    auto copy = std::make_shared<VolumeTable>(table.path_prefix());
    copy->reserve(table.size());
    for (VolumeTable::Index i = 0; i < table.size(); ++i)
        copy->add(table.record(i));
    for (const auto& diagnostic : table.diagnostics())
        copy->add_diagnostic(diagnostic);
    return copy;
}

bool looks_changed(const VolumeFacts& before, const VolumeFacts& after)
{
    // Allocation and times change all the time under a running guest; that is not news.
    return before.capacity != after.capacity || before.inode != after.inode ||
           before.device != after.device || before.format != after.format ||
           before.type != after.type;
}

} // namespace

bool PoolAccess::update_volume(const std::string& name)
{
    std::optional<VolumeRecord> record;
    TableNews::Moment begun{};
    {
        const std::unique_lock writing(pool->table_mutex);
        begun = pool->news.begin_look();
    }
    try {
        record = active_backend().read(name, nullptr);
    } catch (const std::exception& exception) {
        const auto* const error = dynamic_cast<const Error*>(&exception);
        if (!error || error->code() != ErrorCode::not_found) {
            const std::unique_lock writing(pool->table_mutex);
            pool->news.abandon_look();
            if (pool->table)
                pool->news.changed(name); // the next look tries again
            throw;
        }
    }
    const std::unique_lock writing(pool->table_mutex);
    const bool latest = pool->news.end_look(name, begun);
    if (pool->table && !is_of_this_start())
        pool->news.changed(name); // what was read was another table's
    else if (latest && pool->table) {
        if (pool->table.use_count() > 1)
            pool->table = copy_of(*pool->table);
        if (record)
            pool->table->upsert(*record);
        else
            pool->table->erase(name);
    }
    return record.has_value();
}

bool PoolAccess::has_snapshots_as_volumes() const
{
    return info().volume_type == VolumeType::block &&
           info().capabilities.has(Capability::snapshots);
}

void PoolAccess::update_others(std::string_view gone)
{
    {
        const std::unique_lock writing(pool->table_mutex);
        if (!pool->table)
            return;
        if (pool->table.use_count() > 1)
            pool->table = copy_of(*pool->table);
        if (!gone.empty())
            pool->table->erase(gone);
    }
    try {
        refresh(nullptr, Announce::consequences);
    } catch (const Error& error) { // the change itself worked
        const std::unique_lock writing(pool->table_mutex);
        pool->news.everything_changed();
        context->log(LogLevel::warning, error.what());
    }
}

void PoolAccess::refresh(Job* job, Announce announce)
{
    const std::lock_guard one_at_a_time(pool->refresh_mutex);
    auto& storage = active_backend();
    std::shared_ptr<VolumeTable> previous;
    TableNews::Moment begun{};
    {
        const std::unique_lock writing(pool->table_mutex);
        previous = pool->table;
        begun = pool->news.begin_refresh();
    }
    // Only files are always named by target and name.
    const bool derives_paths = info().volume_type == VolumeType::file;
    auto fresh =
        std::make_shared<VolumeTable>(derives_paths ? def().target.path + '/' : std::string());
    try {
        storage.refresh(previous.get(), *fresh, job);
    } catch (...) {
        const std::unique_lock writing(pool->table_mutex);
        pool->news.refresh_failed();
        throw;
    }

    std::vector<LoggedEvent> news;
    constexpr std::size_t most_news = 1000;
    const auto doer = announce == Announce::consequences ? Doer::this_context : Doer::another;
    const auto tell = [&](EventKind kind, std::string_view volume) {
        if (news.size() < most_news)
            news.push_back(context->make_event(kind, *pool, std::string(volume), doer));
        else if (news.size() == most_news)
            news.push_back(context->make_event(EventKind::overflow, *pool));
    };
    if (previous) {
        for (VolumeTable::Index i = 0; i < fresh->size(); ++i) {
            const auto before = previous->find_index(fresh->name(i));
            if (!before)
                tell(EventKind::volume_created, fresh->name(i));
            else if (looks_changed(previous->facts(*before), fresh->facts(i)))
                tell(EventKind::volume_changed, fresh->name(i));
        }
        if (previous->size() + news.size() != fresh->size())
            for (VolumeTable::Index i = 0; i < previous->size(); ++i)
                if (!fresh->find_index(previous->name(i)))
                    tell(EventKind::volume_deleted, previous->name(i));
    }
    if (announce == Announce::refresh)
        news.push_back(context->make_event(EventKind::pool_refreshed, *pool));
    {
        const std::unique_lock writing(pool->table_mutex);
        if (is_of_this_start()) {
            pool->news.refreshed(begun);
            pool->table = std::move(fresh);
        } else {
            pool->news.refresh_failed();
        }
    }
    previous.reset();
    try {
        context->events.append(news);
    } catch (const Error& error) { // the refresh itself worked
        context->log(LogLevel::warning, title() + ": events are lost: " + error.what());
    }
}

std::string volume_title(std::string_view volume, const PoolObject& pool)
{
    return "volume '" + std::string(volume) + "' in pool '" + pool.name + "'";
}

void check_volume_name(std::string_view name)
{
    auto problem = volume_name_problem(name);
    if (problem.empty() && name.starts_with(temporary_prefix))
        problem =
            "begins with '" + std::string(temporary_prefix) + "', which basin keeps for itself";
    if (!problem.empty())
        throw Error(ErrorCode::invalid_argument, "volume name " + shown(name) + ' ' + problem,
                    "use a name of 1 to 255 bytes in UTF-8, without '/' and control characters");
}

} // namespace storage::inline v1
