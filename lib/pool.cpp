// SPDX-License-Identifier: LGPL-2.1-or-later
#include <basin/pool.hpp>

#include "job_impl.hpp"
#include "lifecycle.hpp"

#include <algorithm>

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

PoolDef Pool::definition(Which which) const
{
    const PoolAccess access(object_, Context::Impl::Look::full);
    return which == Which::next && access.files->persistent ? *access.files->persistent
                                                            : access.def();
}

namespace {

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
    PoolAccess access(object_, Context::Impl::Look::full);
    if (which == Which::next && access.files->persistent)
        return format_pool(*access.files->persistent);
    const auto sizes = access.files->started ? sizes_or_zero(access) : PoolSizes{};
    return format_pool(access.def(), &sizes);
}

PoolInfo Pool::info() const
{
    PoolAccess access(object_, Context::Impl::Look::full);
    PoolInfo info{.persistent = access.files->persistent != nullptr,
                  .autostart = access.files->autostart};
    if (!access.files->started)
        return info;
    try {
        auto& backend = access.active_backend();
        const auto presence = backend.presence();
        const auto sizes = backend.sizes();
        info.state =
            presence.state == PoolState::degraded ? PoolState::degraded : PoolState::running;
        info.reason = presence.reason;
        info.capacity = sizes.capacity;
        info.allocation = sizes.allocation;
        info.available = sizes.available;
    } catch (const Error& error) {
        info.state = PoolState::inaccessible;
        info.reason = error.what();
    }
    return info;
}

bool Pool::is_active() const
{
    const PoolAccess access(object_, Context::Impl::Look::full);
    return storage::is_active(*object_, *access.files, access.context->host);
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
    build_pool(object_, mode, job);
}
void Pool::start(BuildMode build, Job* job)
{
    start_pool(object_, build, job);
}
void Pool::stop(Job* job)
{
    stop_pool(object_, job);
}
void Pool::undefine(Job* job)
{
    undefine_pool(object_, job);
}
void Pool::delete_storage(Job* job)
{
    delete_pool(object_, job);
}

void Pool::refresh(Job* job)
{
    begin(job);
    PoolAccess access(object_, Context::Impl::Look::full);
    access.refresh(job, PoolAccess::Announce::refresh);
}

std::vector<Volume> Pool::volumes() const
{
    PoolAccess access(object_);
    access.require_started();
    const auto volumes = access.volumes();
    std::vector<Volume> handles;
    handles.reserve(volumes.table->size());
    for (const auto index : volumes.table->sorted())
        handles.push_back(Volume::Access::make(object_, std::string(volumes.table->name(index))));
    return handles;
}

std::vector<VolumeEntry> Pool::volume_entries() const
{
    PoolAccess access(object_);
    access.require_started();
    return access.volumes().table->entries();
}

std::vector<std::string> Pool::volume_names() const
{
    PoolAccess access(object_);
    access.require(Capability::names_only, "list names alone");
    return access.active_backend().names(nullptr);
}

std::uint64_t Pool::volume_count() const
{
    PoolAccess access(object_);
    access.require_started();
    return access.volumes().table->size();
}

std::vector<Diagnostic> Pool::diagnostics() const
{
    PoolAccess access(object_);
    access.require_started();
    return access.volumes().table->diagnostics();
}

Volume Pool::find_volume(std::string_view name) const
{
    PoolAccess access(object_);
    access.require_started();
    if (!find_volume_name(access, name))
        throw Error(ErrorCode::not_found,
                    "no volume '" + std::string(name) + "' in " + access.title(),
                    "list the volumes to see which exist");
    return Volume::Access::make(object_, std::string(name));
}

namespace {

/** Refuses what the definition asks for and the backend does not do; fills in the format. */
VolumeDef complete(const PoolAccess& access, const VolumeDef& given, CreateFlags flags)
{
    auto def = given;
    check_volume_name(def.name);
    const auto& info = access.info();
    const auto title = volume_title(def.name, *access.pool);
    if (def.target.format.empty() && !info.volume_formats.empty())
        def.target.format = info.volume_formats.front();
    const auto creatable = info.creatable_formats;
    if (!info.volume_formats.empty() &&
        std::find(creatable.begin(), creatable.end(), def.target.format) == creatable.end()) {
        std::string list;
        for (const auto format : creatable)
            list += (list.empty() ? "" : ", ") + std::string(format);
        throw Error(ErrorCode::not_supported,
                    title + ": format '" + def.target.format + "' cannot be created",
                    "use one of: " + list);
    }
    if (def.target.permissions.mode && *def.target.permissions.mode > 0777)
        throw Error(ErrorCode::invalid_argument, title + ": mode is above 0777",
                    "use a mode from 0 to 0777");
    constexpr std::uint64_t most = INT64_MAX;
    if (def.capacity > most || def.allocation.value_or(0) > most)
        throw Error(ErrorCode::invalid_argument,
                    title + ": capacity and allocation are at most 2^63 - 1 bytes");
    if (def.target.encryption)
        access.require(Capability::encrypted_volume, "encrypt volumes yet");
    if (!def.backing.empty())
        access.require(Capability::backing_images, "put volumes on backing images yet");
    if (has(flags, CreateFlags::prealloc_metadata))
        throw Error(ErrorCode::not_supported,
                    title + ": format '" + def.target.format + "' has no metadata to allocate");
    return def;
}

Volume create(PoolAccess& access, const PoolPointer& pool, const VolumeDef& def,
              const VolumeRecord* source, CreateFlags flags, Job* job)
{
    const auto context = access.context;
    const std::string operation = source ? "vol-create-from" : "vol-create";
    context->require_writable("creating a volume in " + access.title());
    std::optional<HeldLock> lock;
    if (!is_dry_run(job)) {
        lock.emplace(context->locks.lock_volume(pool->uuid, pool->name, def.name, operation, job));
        access = PoolAccess(pool);
    }
    Change change(operation + ' ' + pool->name + ' ' + def.name);
    access.active_backend().create_volume(def, source, flags, change);
    if (change.execute(context->change_host(job))) {
        access.update_volume(def.name);
        context->emit(EventKind::volume_created, *pool, def.name);
    }
    return Volume::Access::make(pool, def.name);
}

} // namespace

Volume Pool::create_volume(const VolumeDef& given, CreateFlags flags, Job* job)
{
    begin(job);
    PoolAccess access(object_);
    access.require_started();
    access.require(Capability::create_volume, "create volumes");
    const auto def = complete(access, given, flags);
    if (has(flags, CreateFlags::reflink))
        throw Error(ErrorCode::invalid_argument,
                    volume_title(def.name, *object_) + ": reflink needs a volume to copy from");
    return create(access, object_, def, nullptr, flags, job);
}

Volume Pool::create_volume_from(const VolumeDef& given, const Volume& source, CreateFlags flags,
                                Job* job)
{
    begin(job);
    PoolAccess access(object_);
    access.require_started();
    access.require(Capability::create_from, "copy volumes");
    PoolAccess source_access(Volume::Access::pool(source));
    const auto record = source_access.active_backend().read(source.name(), nullptr);
    const auto title = volume_title(source.name(), *source_access.pool);
    auto wanted = given;
    // As libvirt: at least as large as what is copied; allocation as asked for, else all of it.
    wanted.capacity = std::max(given.capacity, record.facts.capacity);
    const auto def = complete(access, wanted, flags);
    const bool is_bytes =
        record.facts.type == VolumeType::file || record.facts.type == VolumeType::block;
    if (!is_bytes || record.facts.format != ImageFormat::raw || def.target.format != "raw")
        throw Error(ErrorCode::not_supported,
                    title + " is of format '" + std::string(to_string(record.facts.format)) +
                        "': only raw volumes can be copied, to raw ones, in this version",
                    "convert it with qemu-img");
    return create(access, object_, def, &record, flags, job);
}

Volume Pool::upload_volume(const VolumeDef&, const UploadSource&, const TransferOptions&, Job*)
{
    throw Error(ErrorCode::not_supported, "uploads of new volumes: not yet");
}

std::optional<std::uint64_t> Pool::partial_upload(const std::string&) const
{
    return std::nullopt;
}

void Pool::discard_upload(const std::string&, Job*)
{
    throw Error(ErrorCode::not_supported, "uploads of new volumes: not yet");
}

std::vector<Blocker> Pool::blockers() const
{
    throw Error(ErrorCode::not_supported,
                "pool '" + object_->name + "': blockers are not looked for yet");
}

} // namespace storage::inline v1
