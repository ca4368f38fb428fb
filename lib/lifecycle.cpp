// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle.hpp"

#include "change.hpp"
#include "file_io.hpp"
#include "file_steps.hpp"
#include "job_impl.hpp"
#include "pool_call.hpp"

#include <array>
#include <cstdio>

namespace storage::inline v1 {

namespace {

/** A random UUID (RFC 9562, version 4). */
std::string make_uuid()
{
    const auto high = (random_bits() & ~std::uint64_t{0xf000}) | 0x4000;
    const auto low = (random_bits() & ~(std::uint64_t{3} << 62)) | (std::uint64_t{2} << 62);
    std::array<char, 37> text{};
    std::snprintf(text.data(), text.size(), "%08llx-%04llx-%04llx-%04llx-%012llx",
                  static_cast<unsigned long long>(high >> 32),
                  static_cast<unsigned long long>((high >> 16) & 0xffff),
                  static_cast<unsigned long long>(high & 0xffff),
                  static_cast<unsigned long long>(low >> 48),
                  static_cast<unsigned long long>(low & 0xffffffffffffULL));
    return text.data();
}

/** Checked and completed by the same rules as XML, whoever made the values. */
PoolDef normalise(const PoolDef& def)
{
    auto result = parse_pool(format_pool(def));
    if (result.name.starts_with(temporary_prefix))
        throw Error(ErrorCode::invalid_argument,
                    "pool name '" + result.name + "' begins with '" +
                        std::string(temporary_prefix) + "', which basin keeps for itself",
                    "choose another name");
    if (result.uuid.empty())
        result.uuid = make_uuid();
    return result;
}

/** The pool's life cycle, which is locked. */
ChangePlace place_of(const PoolObject& pool)
{
    return {.pool_uuid = pool.uuid, .pool_name = pool.name};
}

/** What of a pool a dry run shows: an object that exists nowhere else. */
PoolPointer imagined_pool(Context::Impl& context, const PoolDef& def)
{
    auto pool = std::make_shared<PoolObject>(context.weak_from_this(), def.uuid, def.name);
    auto files = std::make_shared<PoolFiles>();
    files->persistent = std::make_shared<const PoolDef>(def);
    pool->set_files(std::move(files));
    return pool;
}

void require_stopped(const PoolAccess& access, std::string_view what)
{
    if (access.files->started)
        throw Error(ErrorCode::invalid_state,
                    access.title() + " is active: " + std::string(what) + " needs it stopped",
                    "stop it first");
}

Presence require_running(Backend& backend, const std::string& title)
{
    auto presence = backend.presence();
    if (presence.assumed)
        presence = backend.health();
    if (presence.state == PoolState::inactive)
        throw Error(
            ErrorCode::not_found, title + ": " + presence.reason,
            "correct its definition, or make what it names (where the type can: build the pool)");
    return presence;
}

/** An implemented type, or a clear answer why it is not. */
const BackendType& implemented_type(const PoolDef& def)
{
    const auto& type = backend_type(def.type);
    if (!type.open)
        throw Error(ErrorCode::not_supported,
                    "pool '" + def.name + "': " + std::string(type.info.unavailable_reason));
    return type;
}

void list_build_steps(const PoolDef& def, const BackendInfo& info, Backend& backend, BuildMode mode,
                      Change& change)
{
    if (mode == BuildMode::none)
        return;
    const auto refuse = [&](const std::string& what) {
        throw Error(ErrorCode::not_supported,
                    "pool '" + def.name + "': pools of type '" + def.type + "' " + what);
    };
    if (!info.capabilities.has(Capability::build_pool))
        refuse("have nothing to build");
    if (mode != BuildMode::keep && !info.capabilities.has(Capability::overwrite_pool))
        refuse("have no device to format: build them without the overwrite options");
    backend.build(mode, change);
}

/** @throws Error not_found  the handle means other storage than the pool has now */
void require_expected(Backend& backend, const std::string& expected, const std::string& title)
{
    if (!expected.empty() && backend.storage_identity() != expected)
        throw Error(ErrorCode::not_found, title + ": its storage is not the one that was meant",
                    "look again, and decide anew");
}

/** How a pool is started. */
struct Start {
    BuildMode build{};
    std::string expected{}; ///< the identity of what is built over; "": whatever it is
    bool by_hold{};
};

/** Starts def, whose lock is held. @return the record that was written; null in a dry run */
std::shared_ptr<const StartRecord> run_start(Context::Impl& context, const PoolDef& def,
                                             const Start& start, Job* job)
{
    const auto& type = implemented_type(def);
    const std::shared_ptr<Backend> backend = type.open(def, context.host);
    const auto title = "pool '" + def.name + "'";
    if (start.build != BuildMode::none)
        require_expected(*backend, start.expected, title);
    Change change("pool-start " + def.name, {.pool_uuid = def.uuid, .pool_name = def.name});
    list_build_steps(def, type.info, *backend, start.build, change);
    // Otherwise the last step finds out.
    if (is_dry_run(job) && start.build == BuildMode::none &&
        !type.info.capabilities.has(Capability::start_pool))
        require_running(*backend, title);
    auto note = backend->start(change);
    const auto record = std::make_shared<StartRecord>(
        StartRecord{.definition = def, .note = std::move(note), .by_hold = start.by_hold});
    change.add(context.store.write_record_step(
        record, [backend, title] { return require_running(*backend, title).identity; }));
    change.commit_here();
    return change.execute(context.change_host(job)) ? record : nullptr;
}

bool is_accessible(PoolObject& pool, const PoolFiles& files, const Host& host)
{
    if (!files.started)
        return false;
    try {
        const auto presence = pool.backend(host)->presence();
        return presence.state != PoolState::inactive &&
               (presence.assumed || presence.identity == files.started->identity);
    } catch (const Error&) {
        return false; // info() says why
    }
}

} // namespace

bool is_accessible_now(const PoolPointer& pool, Job* job)
{
    const auto context = pool->context.lock();
    if (!context || !pool->files()->started)
        return false;
    auto limit = std::chrono::steady_clock::now() + neighbour_limit;
    if (job && job->deadline())
        limit = std::min(limit, *job->deadline());
    return limited_call(pool, job, limit, [pool, context](Job*) {
        return is_accessible(*pool, *pool->files(), context->host);
    });
}

namespace {

/** Keeps others from making a pool of that name, uuid or source meanwhile: while storage is asked,
 * which may not answer, nobody else's pools are to wait. */
HeldLock claim(Context::Impl& context, const PoolDef& def, std::vector<std::string> sources,
               std::string_view operation, Job* job)
{
    auto claims = std::move(sources);
    for (auto& source : claims)
        source.insert(0, "source ");
    claims.push_back("name " + def.name);
    claims.push_back("uuid " + def.uuid);
    return context.locks.lock_claims(claims, "pool '" + def.name + "'", operation, job);
}

/** Takes the file of the lock away where no pool came of it: nobody else knows the uuid. */
struct LockOfNew {
    Context::Impl& context;
    const std::string& uuid;
    ~LockOfNew()
    {
        if (!context.find_uuid(uuid))
            context.locks.forget(uuid);
    }
};

} // namespace

PoolPointer define_pool(Context::Impl& context, const PoolDef& given, Job* job)
{
    const CallScope call(job);
    const auto def = normalise(given);
    context.require_writable("defining pool '" + def.name + "'");
    context.synchronise(Context::Impl::Look::full);
    const auto identities = context.source_identities(def);
    context.index_sources(); // nobody waits for the lock, then, while storage is asked
    std::optional<HeldLock> claimed, lock;
    if (!is_dry_run(job)) {
        claimed.emplace(claim(context, def, identities, "pool-define", job));
        lock.emplace(context.locks.lock_registry(job));
    }
    context.synchronise(Context::Impl::Look::full);
    context.refuse_conflicts(def, identities);

    Change change("pool-define " + def.name);
    change.add(context.store.write_config_step(def));
    if (!change.execute(context.change_host(job)))
        return imagined_pool(context, def);
    context.reload_pool(def.name, {.persistent = std::make_shared<const PoolDef>(def)});
    auto pool = context.find(def.name);
    if (!pool)
        throw Error(ErrorCode::io,
                    "pool '" + def.name + "': its definition was stored, but cannot be read back");
    context.emit(EventKind::pool_defined, *pool);
    return pool;
}

PoolPointer create_pool(Context::Impl& context, const PoolDef& given, BuildMode build, Job* job)
{
    const CallScope call(job);
    auto def = normalise(given);
    context.require_writable("creating pool '" + def.name + "'");
    context.synchronise(Context::Impl::Look::full);
    // Without a uuid of its own the definition may mean the stored pool of that name.
    if (const auto stored = context.find(def.name); stored && given.uuid.empty())
        def.uuid = stored->uuid;
    const auto identities = context.source_identities(def);
    context.index_sources();
    if (is_dry_run(job)) {
        context.refuse_conflicts(def, identities);
        run_start(context, def, {build}, job);
        return imagined_pool(context, def);
    }
    const auto pool_lock = context.lock_pool(def.uuid, def.name, "pool-create", job);
    const LockOfNew lock_of_new{context, def.uuid};
    const auto claimed = claim(context, def, identities, "pool-create", job);
    {
        const auto lock = context.locks.lock_registry(job);
        context.synchronise(Context::Impl::Look::full);
        context.refuse_conflicts(def, identities);
    }
    if (const auto present = context.find(def.name); present && present->files()->started)
        throw Error(ErrorCode::invalid_state, "pool '" + def.name + "' is already active",
                    "use it as it is, or stop it first");
    const auto record = run_start(context, def, {build}, job);
    context.reload_pool(def.name, {.started = record});
    auto pool = context.find(def.name);
    if (!pool)
        throw Error(ErrorCode::io,
                    "pool '" + def.name + "': its record was written, but cannot be read back");
    context.emit(EventKind::pool_started, *pool);
    return pool;
}

void build_pool(const PoolPointer& pool, BuildMode mode, const std::string& expected, Job* job)
{
    PoolAccess access(pool, Context::Impl::Look::full);
    access.context->require_writable("building " + access.title());
    require_stopped(access, "building");
    implemented_type(access.def());
    std::optional<HeldLock> lock;
    if (!is_dry_run(job)) {
        lock.emplace(access.context->lock_pool(pool->uuid, pool->name, "pool-build", job));
        access = PoolAccess(pool, Context::Impl::Look::full);
        require_stopped(access, "building");
    }
    require_expected(access.backend(), expected, access.title());
    Change change("pool-build " + pool->name, place_of(*pool));
    list_build_steps(access.def(), access.info(), access.backend(),
                     mode == BuildMode::none ? BuildMode::keep : mode, change);
    if (change.execute(access.context->change_host(job)))
        access.context->emit(EventKind::pool_built, *pool);
}

namespace {

/** Changes of volumes that were cut short before their file system was unmounted. */
void settle_what_shows(Context::Impl& context, const PoolObject& pool)
{
    try {
        context.settle(place_of(pool));
    } catch (const Error& error) { // the start itself worked
        context.log(LogLevel::warning, error.what());
    }
}

/** Where its lock is held and it is not active, or inaccessible. */
void start_locked(PoolAccess& access, const Start& start, Job* job)
{
    auto& context = *access.context;
    // A record that the system does not bear out is replaced; a pending definition comes into
    // force.
    const auto def = access.files->persistent ? *access.files->persistent : access.def();
    const auto record = run_start(context, def, start, job);
    context.reload_pool(access.pool->name, {.started = record});
    context.emit(EventKind::pool_started, *access.pool);
}

} // namespace

void start_pool(const PoolPointer& pool, BuildMode build, const std::string& expected, Job* job)
{
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    context.require_writable("starting " + access.title());
    const auto refuse_active = [&] {
        if (is_accessible(*pool, *access.files, context.host))
            throw Error(ErrorCode::invalid_state, access.title() + " is already active",
                        "use it as it is, or stop it first");
    };
    refuse_active();
    if (is_dry_run(job)) {
        run_start(context, access.def(), {build, expected}, job);
        return;
    }
    {
        const auto pool_lock = context.lock_pool(pool->uuid, pool->name, "pool-start", job);
        access = PoolAccess(pool);
        refuse_active();
        start_locked(access, {build, expected}, job);
    }
    settle_what_shows(context, *pool);
}

void hold_pool(const PoolPointer& pool, BuildMode build, const std::string& expected, Job* job)
{
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    context.require_writable("holding " + access.title());
    const auto accessible = [&] { return is_accessible(*pool, *access.files, context.host); };
    if (is_dry_run(job)) {
        if (!accessible())
            run_start(context, access.def(), {build, expected}, job);
        return;
    }
    { // whatever goes on in it may go on; only a stop has to be over, or to come after
        const auto lock =
            context.lock_pool(pool->uuid, pool->name, "pool-hold", job, VolumeUse::read);
        access = PoolAccess(pool, Context::Impl::Look::full);
        if (accessible()) {
            context.hold(pool->uuid);
            return;
        }
    }
    {
        const auto lock = context.lock_pool(pool->uuid, pool->name, "pool-hold", job);
        access = PoolAccess(pool, Context::Impl::Look::full);
        if (!accessible())
            start_locked(access, {build, expected, true}, job);
        context.hold(pool->uuid);
    }
    settle_what_shows(context, *pool);
}

namespace {

/** @return who else holds the pool, which is left as it is; "" where it is stopped */
std::string stop_unless_held(const PoolPointer& pool, Job* job)
{
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    context.require_writable("stopping " + access.title());
    access.require_started();
    std::optional<HeldLock> lock;
    if (!is_dry_run(job)) {
        lock.emplace(context.lock_pool(pool->uuid, pool->name, "pool-stop", job));
        access = PoolAccess(pool, Context::Impl::Look::full);
        access.require_started();
    }
    if (auto holder = context.other_holder(pool->uuid); !holder.empty())
        return holder;
    Change change("pool-stop " + pool->name, place_of(*pool));
    access.backend().stop(access.files->started->note, change);
    if (!change.empty()) // once nothing is mounted or active any more, the pool is stopped
        change.commit_here();
    change.add(context.store.remove_record_step(pool->name));
    if (!change.execute(context.change_host(job)))
        return {};
    context.reload_pool(pool->name);
    context.let_go(pool->uuid);
    context.emit(EventKind::pool_stopped, *pool);
    if (!access.files->persistent)
        context.locks.forget(pool->uuid);
    return {};
}

} // namespace

bool release_pool(const PoolPointer& pool, Job* job)
{
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    if (!context.holds(pool->uuid))
        throw Error(ErrorCode::invalid_state, access.title() + " is not held by this context",
                    "hold it first");
    const auto is_last = [&] {
        access = PoolAccess(pool, Context::Impl::Look::full);
        return access.files->started && access.files->started->by_hold &&
               context.other_holder(pool->uuid).empty();
    };
    if (is_dry_run(job)) {
        if (is_last())
            stop_pool(pool, job);
        return false;
    }
    for (;;) {
        { // one after the other, so that of two that go at once the second sees that it is the last
            const auto lock = context.locks.lock_registry(job);
            if (!is_last()) {
                context.let_go(pool->uuid);
                return false;
            }
        }
        // Who came to hold it just now may be gone again, and have left it to this one.
        if (stop_unless_held(pool, job).empty())
            return true;
    }
}

void stop_pool(const PoolPointer& pool, Job* job)
{
    if (const auto holder = stop_unless_held(pool, job); !holder.empty())
        throw Error(ErrorCode::busy, "pool '" + pool->name + "': held by " + holder,
                    "let that process release it, or end it");
}

void undefine_pool(const PoolPointer& pool, Job* job)
{
    const CallScope call(job);
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    context.require_writable("undefining " + access.title());
    require_stopped(access, "undefining");
    std::optional<HeldLock> pool_lock;
    std::optional<HeldLock> registry_lock;
    if (!is_dry_run(job)) {
        pool_lock.emplace(context.lock_pool(pool->uuid, pool->name, "pool-undefine", job));
        registry_lock.emplace(context.locks.lock_registry(job));
        access = PoolAccess(pool, Context::Impl::Look::full);
        require_stopped(access, "undefining");
    }
    Change change("pool-undefine " + pool->name, place_of(*pool));
    change.add(context.store.remove_config_step(pool->name));
    change.commit_here(); // a link to nothing marks nothing
    if (!file_identity(context.store.autostart_path(pool->name)).empty()) {
        auto step = context.store.autostart_step(pool->name, false);
        step.arguments["dangling"] = "yes"; // a recovery may find a new pool's
        change.add(std::move(step));
    }
    if (!change.execute(context.change_host(job)))
        return;
    context.reload_pool(pool->name);
    context.emit(EventKind::pool_undefined, *pool);
    context.locks.forget(pool->uuid);
}

namespace {

void require_expendable(Backend& backend, const std::string& title, BlockerKind allowed)
{
    auto found = backend.storage_blockers();
    std::erase_if(found, [&](const Blocker& blocker) { return has(allowed, blocker.kind); });
    if (found.empty())
        return;
    std::string lines;
    for (const auto& blocker : found)
        lines += std::string(to_string(blocker.kind)) + ": " + blocker.message + '\n';
    throw Error(ErrorCode::busy,
                title + ": " + found.front().message +
                    (found.size() > 1 ? " and " + std::to_string(found.size() - 1) + " more" : ""),
                "delete them first, or allow it explicitly (volume)", lines);
}

} // namespace

void delete_pool(const PoolPointer& pool, BlockerKind allowed, const std::string& expected,
                 Job* job)
{
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    context.require_writable("deleting " + access.title());
    require_stopped(access, "deleting its storage");
    implemented_type(access.def());
    access.require(Capability::delete_pool, "be deleted");
    std::optional<HeldLock> lock;
    if (!is_dry_run(job)) {
        lock.emplace(context.lock_pool(pool->uuid, pool->name, "pool-delete", job));
        access = PoolAccess(pool, Context::Impl::Look::full);
        require_stopped(access, "deleting its storage");
    }
    require_expected(access.backend(), expected, access.title());
    require_expendable(access.backend(), access.title(), allowed);
    Change change("pool-delete " + pool->name, place_of(*pool));
    access.backend().remove(change);
    if (change.execute(context.change_host(job)))
        context.emit(EventKind::pool_deleted, *pool);
}

void set_autostart(const PoolPointer& pool, bool on, Job* job)
{
    const CallScope call(job);
    PoolAccess access(pool, Context::Impl::Look::full);
    auto& context = *access.context;
    context.require_writable("changing the autostart of " + access.title());
    std::optional<HeldLock> lock;
    if (!is_dry_run(job)) {
        lock.emplace(context.locks.lock_registry(job));
        access = PoolAccess(pool, Context::Impl::Look::full);
    }
    if (!access.files->persistent)
        throw Error(ErrorCode::invalid_state,
                    access.title() + " is transient: it cannot start by itself", "define it first");
    if (access.files->autostart == on)
        return;
    Change change(std::string(on ? "pool-autostart " : "pool-autostart --disable ") + pool->name);
    change.add(context.store.autostart_step(pool->name, on));
    if (!change.execute(context.change_host(job)))
        return;
    context.reload_pool(pool->name);
    context.emit(EventKind::pool_changed, *pool);
}

} // namespace storage::inline v1
