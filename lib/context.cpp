// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calling_thread.hpp"
#include "change.hpp"
#include "job_impl.hpp"
#include "lifecycle.hpp"
#include "mounted_paths.hpp"
#include "pool_watch.hpp"
#include "volume_lookup.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sys/inotify.h>
#include <unistd.h>

namespace storage::inline v1 {

namespace {
constexpr std::string_view installed_helper_directory = BASIN_HELPER_DIRECTORY;
}

Context::Impl::Impl(ContextOptions context_options)
    : options(std::move(context_options)), log{options.log},
      system(options.system_root), host{system, log, runner,
                                        [this](const SecretRequest& request) {
                                            return ask_secret(request);
                                        },
                                        options.helper_directory.empty()
                                            ? std::string(installed_helper_directory)
                                            : options.helper_directory},
      store(options), journal(store.journal_dir()), locks(store.lock_dir()),
      events(store.event_log(), random_bits())
{
    if (options.look_timeout <= std::chrono::milliseconds(0))
        throw Error(ErrorCode::invalid_argument,
                    "look_timeout " + std::to_string(options.look_timeout.count()) +
                        " ms: a look needs time",
                    "give more than 0; milliseconds::max() waits as long as it takes");
}

namespace {

std::optional<Secret> given_secret(const SecretCallback& secrets, const SecretRequest& request)
{
    std::optional<Secret> secret;
    on_calling_thread([&] { secret = secrets(request); });
    return secret;
}

} // namespace

Secret Context::Impl::ask_secret(const SecretRequest& request) const
{
    if (options.secrets)
        if (auto secret = given_secret(options.secrets, request))
            return *std::move(secret);
    const auto& reference = request.reference;
    throw Error(ErrorCode::not_found,
                "no secret " +
                    (reference.uuid.empty() ? "for usage '" + reference.usage + "'"
                                            : "with uuid '" + reference.uuid + "'") +
                    (request.volume_name.empty() ? " for"
                                                 : " for volume '" + request.volume_name + "' in") +
                    " pool '" + request.pool_name + "'",
                "give the Context a secret callback or a directory of secrets that has it");
}

Timestamp Context::Impl::now() const
{
    if (options.clock)
        return options.clock();
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return {.seconds = time.tv_sec, .nanoseconds = static_cast<std::uint32_t>(time.tv_nsec)};
}

LoggedEvent Context::Impl::make_event(EventKind kind, const PoolObject& pool,
                                      const std::string& volume, Doer doer) const
{
    return {.writer = events.writer() | (doer == Doer::another ? EventLog::foreign : 0),
            .kind = kind,
            .time = now(),
            .pool_name = pool.name,
            .pool_uuid = pool.uuid,
            .volume_name = volume};
}

void Context::Impl::emit(EventKind kind, const PoolObject& pool, const std::string& volume,
                         Doer doer) noexcept
{
    try {
        events.append(make_event(kind, pool, volume, doer));
    } catch (
        const std::exception& error) { // what happened has happened; only the news of it is lost
        log(LogLevel::warning, "pool '" + pool.name + "': an event is lost: " + error.what());
    }
}

void Context::Impl::require_writable(std::string_view what) const
{
    if (options.read_only)
        throw Error(ErrorCode::permission_denied,
                    std::string(what) + ": this context was opened read-only");
}

void Context::Impl::hold(const std::string& pool_uuid)
{
    const std::lock_guard lock(holds_mutex_);
    if (!holds_.contains(pool_uuid))
        holds_.emplace(pool_uuid, locks.hold(pool_uuid));
}

bool Context::Impl::holds(const std::string& pool_uuid)
{
    const std::lock_guard lock(holds_mutex_);
    return holds_.contains(pool_uuid);
}

void Context::Impl::let_go(const std::string& pool_uuid) noexcept
{
    const std::lock_guard lock(holds_mutex_);
    holds_.erase(pool_uuid);
}

std::string Context::Impl::other_holder(const std::string& pool_uuid)
{
    const std::lock_guard lock(holds_mutex_);
    const auto mine = holds_.find(pool_uuid);
    return locks.other_holder(pool_uuid, mine == holds_.end() ? nullptr : &mine->second);
}

std::shared_ptr<LeftCalls> Context::Impl::calls_for_new(const std::string& name)
{
    const std::lock_guard lock(new_calls_mutex_);
    std::erase_if(new_calls_, [](const auto& entry) { return entry.second.use_count() == 1; });
    auto& calls = new_calls_[name];
    if (!calls)
        calls = std::make_shared<LeftCalls>();
    return calls;
}

int Context::Impl::event_fd()
{
    const std::lock_guard lock(event_mutex_);
    if (!event_fd_) {
        UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!fd)
            throw system_error(errno, "cannot watch for events",
                               "raise fs.inotify.max_user_instances");
        events.ensure_exists();
        if (::inotify_add_watch(fd.get(), events.path().c_str(), IN_MODIFY) < 0)
            throw system_error(errno, "cannot watch '" + events.path() + "'",
                               "raise fs.inotify.max_user_watches");
        event_cursor_ = events.newest();
        event_fd_ = std::move(fd);
        if (options.watch) {
            watches_ = std::make_shared<PoolWatches>(event_fd_.get());
            watches_->follow(*this);
        }
    }
    return event_fd_.get();
}

void Context::Impl::drain_event_fd()
{
    alignas(::inotify_event) std::array<char, 16384> buffer;
    for (;;) {
        const auto length = ::read(event_fd_.get(), buffer.data(), buffer.size());
        if (length <= 0)
            break;
        for (std::size_t at = 0; watches_ && at < static_cast<std::size_t>(length);) {
            // inotify(7): aligned, and whole, with its name
            const auto* event = reinterpret_cast<const ::inotify_event*>(buffer.data() + at);
            watches_->take(*event);
            at += sizeof *event + event->len;
        }
    }
    if (watches_)
        watches_->tell(*this);
}

void Context::Impl::read_events()
{
    if (!events.read_after(event_cursor_, undelivered_))
        overflowed_ = true; // until it is told
    const bool may_have_started =
        overflowed_ ||
        std::any_of(undelivered_.begin(), undelivered_.end(), [](const LoggedEvent& event) {
            return event.kind == EventKind::pool_started || event.kind == EventKind::pool_stopped;
        });
    if (watches_ && may_have_started)
        watches_->follow(*this);
}

std::optional<Event> Context::Impl::next_event()
{
    const std::lock_guard lock(event_mutex_);
    if (!event_fd_)
        return std::nullopt;
    if (next_undelivered_ == undelivered_.size()) {
        undelivered_.clear();
        next_undelivered_ = 0;
        read_events();
        if (undelivered_.empty() && !overflowed_) {
            // Empty the descriptor first and look once more: nothing can slip in between unseen.
            drain_event_fd();
            read_events();
        }
    }
    if (overflowed_) {
        overflowed_ = false;
        return Event{.sequence = ++delivered_, .kind = EventKind::overflow, .time = now()};
    }
    if (next_undelivered_ == undelivered_.size())
        return std::nullopt;
    auto& logged = undelivered_[next_undelivered_++];
    return Event{.sequence = ++delivered_,
                 .kind = logged.kind,
                 .time = logged.time,
                 .pool_name = std::move(logged.pool_name),
                 .pool_uuid = std::move(logged.pool_uuid),
                 .volume_name = std::move(logged.volume_name),
                 .from_other_process = logged.writer != events.writer()};
}

Context::Context(ContextOptions options) : impl_(std::make_shared<Impl>(std::move(options)))
{
    if (impl_->options.recover)
        impl_->recovered_at_opening = impl_->recover(Impl::Thoroughness::changes, nullptr);
}
Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

const std::string& Context::config_dir() const noexcept
{
    return impl_->store.config_dir();
}
const std::string& Context::state_dir() const noexcept
{
    return impl_->store.state_dir();
}
const std::string& Context::run_dir() const noexcept
{
    return impl_->store.run_dir();
}

std::vector<RecoveryResult> Context::recover(Job* job)
{
    if (is_dry_run(job)) {
        begin(job);
        plan_recovery(impl_->recovery_host(), job);
        return {};
    }
    auto more = impl_->recover(Impl::Thoroughness::leftovers_too, job);
    const std::lock_guard lock(impl_->recovered_mutex);
    auto results = std::exchange(impl_->recovered_at_opening, {});
    std::erase_if(results, [](const RecoveryResult& result) { return result.pending; });
    results.insert(results.end(), more.begin(), more.end());
    return results;
}
int Context::event_fd()
{
    return impl_->event_fd();
}
std::optional<Event> Context::next_event()
{
    return impl_->next_event();
}

namespace {

/** A call on a pool that is none yet. */
template <typename Make>
Pool made_pool(Context::Impl& context, const PoolDef& def, Job* job, Make make)
{
    const auto limit = job ? job->deadline() : std::nullopt;
    return Pool::Access::make(limit ? result_with_patience(context.calls_for_new(def.name), job,
                                                           limit, "pool '" + def.name + "'", make)
                                    : make(job));
}

} // namespace

Pool Context::define_pool(const PoolDef& def, Job* job)
{
    return made_pool(*impl_, def, job, [impl = impl_, def](Job* own) {
        return storage::define_pool(*impl, def, own);
    });
}

Pool Context::create_pool(const PoolDef& def, BuildMode build, Job* job)
{
    return made_pool(*impl_, def, job, [impl = impl_, def, build](Job* own) {
        return storage::create_pool(*impl, def, build, own);
    });
}

namespace {

Error no_such_pool(const std::string& how, std::string_view what)
{
    return Error(ErrorCode::not_found, "no pool " + how + " '" + std::string(what) + "'",
                 "list the pools to see which exist");
}

bool matches(const PoolFilter& filter, const PoolPointer& pool)
{
    const auto files = pool->files();
    if (!files->exists())
        return false;
    if (!filter.types.empty() && std::find(filter.types.begin(), filter.types.end(),
                                           files->current().type) == filter.types.end())
        return false;
    if (filter.persistent && *filter.persistent != (files->persistent != nullptr))
        return false;
    if (filter.autostart && *filter.autostart != files->autostart)
        return false;
    return !filter.active || *filter.active == (files->started != nullptr);
}

} // namespace

std::vector<Pool> Context::pools(const PoolFilter& filter) const
{
    impl_->synchronise(Impl::Look::full);
    std::vector<Pool> pools;
    for (auto& pool : impl_->all())
        if (matches(filter, pool))
            pools.push_back(Pool::Access::make(std::move(pool)));
    return pools;
}

Pool Context::find_pool(std::string_view name) const
{
    impl_->synchronise(Impl::Look::full);
    if (auto pool = impl_->find(name))
        return Pool::Access::make(std::move(pool));
    throw no_such_pool("named", name);
}

Pool Context::find_pool_by_uuid(std::string_view uuid) const
{
    impl_->synchronise(Impl::Look::full);
    std::string lower(uuid);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (auto pool = impl_->find_uuid(lower))
        return Pool::Access::make(std::move(pool));
    throw no_such_pool("with uuid", uuid);
}

namespace {

struct ActiveTarget {
    PoolPointer pool;
    std::string path;

    /** Zeros where its storage does not say. */
    std::pair<dev_t, ino_t> place() const
    {
        const auto look = [path = path] {
            struct stat status {};
            return ::stat(path.c_str(), &status) == 0 ? std::pair(status.st_dev, status.st_ino)
                                                      : std::pair<dev_t, ino_t>();
        };
        if (pool->left_calls->count() != 0)
            return {};
        if (pool->steadiness == Steadiness::steady)
            return look();
        try {
            return ask_neighbour(pool, look);
        } catch (const Error&) {
            return {};
        }
    }
};

std::vector<ActiveTarget> active_targets(const Context::Impl& context)
{
    std::vector<ActiveTarget> targets;
    for (auto& pool : context.all())
        if (const auto files = pool->files(); files->started)
            if (const auto& path = files->current().target.path; !path.empty())
                targets.push_back({std::move(pool), path});
    return targets;
}

} // namespace

Pool Context::find_pool_by_target_path(std::string_view path) const
{
    impl_->synchronise(Impl::Look::full);
    const std::string wanted(path);
    const auto targets = active_targets(*impl_);
    for (const auto& target : targets) // without asking anybody
        if (target.path == wanted)
            return Pool::Access::make(target.pool);
    const auto look = [wanted] {
        struct stat here {};
        return ::stat(wanted.c_str(), &here) == 0 ? std::pair(here.st_dev, here.st_ino)
                                                  : std::pair<dev_t, ino_t>();
    };
    const auto here =
        look_elsewhere(*impl_, MountedPaths(impl_->system), wanted, neighbour_limit, look);
    if (here && here->second != 0)
        for (const auto& target : targets)
            if (target.place() == *here)
                return Pool::Access::make(target.pool);
    throw no_such_pool("that is active has the target path", path);
}

Volume Context::find_volume_by_key(std::string_view key) const
{
    impl_->synchronise(Impl::Look::quick);
    if (auto volume = volume_with_key(*impl_, key))
        return std::move(*volume);
    throw Error(ErrorCode::not_found,
                "no volume with key '" + std::string(key) + "' in an active pool");
}

Volume Context::find_volume_by_path(std::string_view path) const
{
    impl_->synchronise(Impl::Look::quick);
    if (auto volume = volume_with_path(*impl_, path))
        return std::move(*volume);
    throw Error(ErrorCode::not_found,
                "no volume with path '" + std::string(path) + "' in an active pool");
}

std::vector<PoolSource> Context::find_pool_sources(std::string_view type, const PoolSource& where,
                                                   Job* job)
{
    const CallScope call(job);
    const auto& backend = backend_type(type);
    if (!backend.find_sources)
        throw Error(ErrorCode::not_supported,
                    "sources of pools of type '" + std::string(type) + "' cannot be discovered",
                    "write the <source> by hand");
    return backend.find_sources(where, impl_->host, job);
}

namespace {

/** Why a definition that is there is no pool. */
Error left_out(const Context::Impl& context, const std::string& name)
{
    const auto title = "pool '" + name + "'";
    try {
        const auto uuid = context.store.read_config(name).uuid;
        const auto other = context.find_uuid(uuid);
        return Error(ErrorCode::already_exists,
                     title + (other ? ": uuid " + uuid + " is that of pool '" + other->name + "'"
                                    : " was stored just now"),
                     other ? "give it a uuid of its own" : "try again");
    } catch (const Error& error) {
        return Error(error.code(), title + ": its definition is left out: " + error.what(),
                     error.remedy(), error.detail(), error.os_error());
    }
}

} // namespace

std::vector<AutostartResult> Context::autostart(Job* job)
{
    const CallScope call(job);
    impl_->synchronise(Impl::Look::full);
    std::vector<AutostartResult> results;
    std::vector<StepRecord> plan;
    std::vector<StepRecord> trace;
    for (const auto& pool : impl_->all()) {
        const auto files = pool->files();
        if (!files->autostart || !files->persistent)
            continue;
        AutostartResult result{.pool_name = pool->name};
        try {
            if (!is_accessible_now(pool, job)) {
                operate(pool, job,
                        [pool](Job* own) { start_pool(pool, BuildMode::none, {}, own); });
                result.started = !is_dry_run(job);
                if (job) { // each start is a call of its own: what the job shows is all of them
                    const auto steps = job->plan();
                    plan.insert(plan.end(), steps.begin(), steps.end());
                    const auto done = job->trace();
                    trace.insert(trace.end(), done.begin(), done.end());
                }
            }
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled)
                throw;
            result.error = error;
        }
        results.push_back(std::move(result));
    }
    for (const auto& name : impl_->store.autostart_links())
        if (const auto pool = impl_->find(name); !pool || !pool->files()->persistent)
            results.push_back({.pool_name = name, .error = left_out(*impl_, name)});
    if (job) {
        auto& impl = job->impl();
        const std::lock_guard lock(impl.mutex);
        impl.plan = std::move(plan);
        impl.trace = std::move(trace);
    }
    return results;
}

} // namespace storage::inline v1
