// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/pool.hpp>

#include "job_impl.hpp"
#include "lifecycle.hpp"
#include "pool_call.hpp"
#include "volume_change.hpp"
#include "volume_lookup.hpp"

namespace storage::inline v1 {

Pool::Pool(std::shared_ptr<PoolObject> object) : object_(std::move(object)) {}
Pool::Pool(const Pool&) = default;
Pool::Pool(Pool&&) noexcept = default;
Pool& Pool::operator=(const Pool&) = default;
Pool& Pool::operator=(Pool&&) noexcept = default;
Pool::~Pool() = default;

std::string Pool::name() const
{
    return object_->name;
}
std::string Pool::uuid() const
{
    return object_->uuid;
}
std::string Pool::type() const
{
    return PoolAccess(object_).def().type;
}

namespace {

/** The definition in force with what only its output has, where that can be had. */
PoolDef shown_definition(PoolAccess& access)
{
    auto def = access.def();
    if (access.files->started)
        try {
            access.active_backend().show(def);
        } catch (const Error&) {
            return access.def();
        }
    return def;
}

/** The sizes, or zeros where they cannot be had: the definition is worth showing all the same. */
PoolSizes sizes_or_zero(PoolAccess& access)
{
    try {
        return access.active_backend().sizes();
    } catch (const Error&) {
        return {};
    }
}

} // namespace

std::string Pool::xml(Which which) const
{
    return look(object_, [pool = object_, which] {
        PoolAccess access(pool, Context::Impl::Look::full);
        if (which == Which::next && access.files->persistent)
            return format_pool(*access.files->persistent);
        const auto sizes = access.files->started ? sizes_or_zero(access) : PoolSizes{};
        return format_pool(shown_definition(access), &sizes);
    });
}

PoolDef Pool::definition(Which which) const
{
    return look(object_, [pool = object_, which] {
        PoolAccess access(pool, Context::Impl::Look::full);
        return which == Which::next && access.files->persistent ? *access.files->persistent
                                                                : shown_definition(access);
    });
}

namespace {

/** What the storage says; state inaccessible where it says nothing. */
PoolInfo storage_info(const PoolPointer& pool)
{
    PoolInfo info{.state = PoolState::inaccessible};
    info.reason = pool->left_calls->reason();
    if (!info.reason.empty())
        return info;
    try {
        const auto ask = [pool] {
            PoolAccess access(pool);
            auto& backend = access.active_backend();
            const auto presence = backend.health();
            const auto sizes = backend.sizes();
            return PoolInfo{.state = presence.state == PoolState::degraded ? PoolState::degraded
                                                                           : PoolState::running,
                            .reason = presence.reason,
                            .capacity = sizes.capacity,
                            .allocation = sizes.allocation,
                            .available = sizes.available,
                            .details = sizes.details};
        };
        // What is no server's may take its time, such as LVM with very many volumes.
        if (pool->steadiness == Steadiness::unknown)
            limited_call(pool, nullptr, look_limit(*pool, state_limit), [](Job*) {});
        Job limited; // a server's client limits its own time
        limited.set_timeout(state_limit);
        const CallScope call(&limited);
        return look(pool, ask, state_limit);
    } catch (const Error& error) {
        info.reason = error.what();
        return info;
    }
}

} // namespace

PoolInfo Pool::info() const
{
    const PoolAccess access(object_, Context::Impl::Look::full);
    auto info = access.files->started ? storage_info(object_) : PoolInfo{};
    info.persistent = access.files->persistent != nullptr;
    info.autostart = access.files->autostart;
    return info;
}

bool Pool::is_active() const
{
    return PoolAccess(object_, Context::Impl::Look::full).files->started != nullptr;
}

bool Pool::is_persistent() const
{
    return PoolAccess(object_, Context::Impl::Look::full).files->persistent != nullptr;
}

bool Pool::autostart() const
{
    return PoolAccess(object_, Context::Impl::Look::full).files->autostart;
}

void Pool::set_autostart(bool on, Job* job)
{
    storage::set_autostart(object_, on, job);
}
void Pool::build(BuildMode mode, Job* job)
{
    operate(object_, job, [self = *this, mode](Job* own) {
        build_pool(self.object_, mode, self.expected_, own);
    });
}
void Pool::start(BuildMode build, Job* job)
{
    operate(object_, job, [self = *this, build](Job* own) {
        start_pool(self.object_, build, self.expected_, own);
    });
}
void Pool::stop(Job* job)
{
    operate(object_, job, [pool = object_](Job* own) { stop_pool(pool, own); });
}
void Pool::hold(BuildMode build, Job* job)
{
    operate(object_, job, [self = *this, build](Job* own) {
        hold_pool(self.object_, build, self.expected_, own);
    });
}
bool Pool::release(Job* job)
{
    return operate(object_, job, [pool = object_](Job* own) { return release_pool(pool, own); });
}
void Pool::undefine(Job* job)
{
    undefine_pool(object_, job);
}
void Pool::delete_storage(BlockerKind allowed, Job* job)
{
    operate(object_, job, [self = *this, allowed](Job* own) {
        delete_pool(self.object_, allowed, self.expected_, own);
    });
}

std::string Pool::identity() const
{
    return look(object_, [pool = object_] {
        PoolAccess access(pool, Context::Impl::Look::full);
        return access.backend().storage_identity();
    });
}

Pool Pool::expecting(const std::string& identity) const
{
    if (identity.empty())
        throw Error(ErrorCode::invalid_argument, "pool '" + name() + "': an empty identity",
                    "give what identity() said");
    auto result = *this;
    result.expected_ = identity;
    return result;
}

void Pool::refresh(Job* job)
{
    operate(object_, job, [pool = object_](Job* own) {
        PoolAccess access(pool, Context::Impl::Look::full);
        access.refresh(own, PoolAccess::Announce::refresh);
    });
}

std::vector<Volume> Pool::volumes() const
{
    return look(object_, [pool = object_] {
        PoolAccess access(pool);
        access.require_started();
        const auto volumes = access.volumes();
        std::vector<Volume> handles;
        handles.reserve(volumes.table->size());
        for (const auto index : volumes.table->sorted())
            handles.push_back(Volume::Access::make(pool, std::string(volumes.table->name(index))));
        return handles;
    });
}

std::vector<VolumeEntry> Pool::volume_entries() const
{
    return look(object_, [pool = object_] {
        PoolAccess access(pool);
        access.require_started();
        return access.volumes().table->entries();
    });
}

std::vector<std::string> Pool::volume_names() const
{
    return look(object_, [pool = object_] {
        PoolAccess access(pool);
        access.require(Capability::names_only, "list names alone");
        return access.active_backend().names(nullptr);
    });
}

std::uint64_t Pool::volume_count() const
{
    return look(object_, [pool = object_] {
        PoolAccess access(pool);
        access.require_started();
        return access.volumes().table->size();
    });
}

std::vector<Diagnostic> Pool::diagnostics() const
{
    return look(object_, [pool = object_] {
        PoolAccess access(pool);
        access.require_started();
        return access.volumes().table->diagnostics();
    });
}

Volume Pool::find_volume(std::string_view name) const
{
    return look(object_, [pool = object_, name = std::string(name)] {
        PoolAccess access(pool);
        access.require_started();
        if (!find_volume_name(access, name))
            throw Error(ErrorCode::not_found,
                        "no volume '" + std::string(name) + "' in " + access.title(),
                        "list the volumes to see which exist");
        return Volume::Access::make(pool, std::string(name));
    });
}

std::vector<Blocker> Pool::blockers() const
{
    return look(object_, [self = *this] {
        PoolAccess access(self.object_);
        access.require_started();
        std::vector<Blocker> found;
        // What volumes of one pool are to each other does not stop the pool.
        constexpr auto inside = BlockerKind::backing_image | BlockerKind::snapshot;
        for (const auto& volume : self.volumes())
            try {
                for (auto& blocker : blockers_of(access, volume.name(), inside)) {
                    blocker.message = "volume '" + volume.name() + "': " + blocker.message;
                    found.push_back(std::move(blocker));
                }
            } catch (const Error& error) {
                if (error.code() != ErrorCode::not_found) // vanished: stops nothing
                    throw;
            }
        for (auto& blocker : access.backend().storage_blockers())
            found.push_back(std::move(blocker));
        if (const auto holder = access.context->other_holder(self.object_->uuid); !holder.empty())
            found.push_back({.kind = BlockerKind::job, .message = "held by " + holder});
        for (const auto& [from, to] : references_into(access))
            found.push_back({.kind = BlockerKind::backing_image,
                             .message = "'" + to + "' is a backing image or data file of " +
                                        volume_title(from.name(), *Volume::Access::pool(from))});
        return found;
    });
}

} // namespace storage::inline v1
