// SPDX-License-Identifier: LGPL-2.1-or-later
// Pool: the calls that make volumes.
#include "volume_change.hpp"

#include "pool_asked.hpp"
#include "transfer.hpp"
#include "volume_lookup.hpp"

#include <algorithm>
#include <fcntl.h>
#include <span>

namespace storage::inline v1 {

namespace {

ChangePlace place_of(const PoolObject& pool, const std::string& volume)
{
    return {.pool_uuid = pool.uuid, .pool_name = pool.name, .volumes = {volume}};
}

/**
 * Refuses what the definition asks for and the pool type does not do; fills in the format.
 * @param copied  the format of what is copied: the copy can be of that one, too
 */
VolumeDef complete(const PoolAccess& access, const VolumeDef& given, std::string_view copied = {})
{
    auto def = given;
    const auto& info = access.info();
    if (!def.name.empty() || !info.names_volumes)
        check_volume_name(def.name);
    const auto title = volume_title(def.name, *access.pool);
    if (def.target.format.empty() && !info.volume_formats.empty())
        def.target.format = info.volume_formats.front();
    const auto creatable = info.creatable_formats;
    const auto is_one_of = [&](std::span<const std::string_view> formats) {
        return std::find(formats.begin(), formats.end(), def.target.format) != formats.end();
    };
    if (!info.volume_formats.empty() && !is_one_of(creatable) &&
        (def.target.format != copied || !is_one_of(info.volume_formats))) {
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
        access.require(Capability::encrypted_volume, "encrypt volumes");
    if (!def.backing.empty())
        access.require(Capability::backing_images, "put volumes on backing images");
    return def;
}

/**
 * Locks the name of the new volume, unless that is done. Where the type names it, another creation
 * may have taken that name meanwhile; then it is the next one.
 * @return nothing in a dry run
 */
std::optional<HeldLock> lock_new_name(PoolAccess& access, VolumeDef& def,
                                      const std::string& operation, Job* job,
                                      std::optional<HeldLock> held)
{
    if (held)
        return held;
    const auto pool = access.pool;
    const auto wanted = def;
    def.name = access.active_backend().new_name(wanted);
    if (is_dry_run(job))
        return std::nullopt;
    for (;;) {
        check(job, operation);
        auto lock = access.context->lock_volume({pool->uuid, pool->name, def.name}, operation, job);
        access = PoolAccess(pool);
        auto name = access.active_backend().new_name(wanted);
        if (name == def.name)
            return lock;
        def.name = std::move(name);
    }
}

/** The part of each creation that does not depend on where the content comes from. */
template <typename List>
Volume create(PoolAccess& access, const PoolPointer& pool, VolumeDef def,
              const std::string& operation, Job* job, List&& list,
              std::optional<HeldLock> held = std::nullopt)
{
    const auto context = access.context;
    context->require_writable("creating a volume in " + access.title());
    const auto lock = lock_new_name(access, def, operation, job, std::move(held));
    Change change(operation + ' ' + pool->name + ' ' + def.name, place_of(*pool, def.name));
    list(access.active_backend(), def, change);
    if (change.execute(context->change_host(job))) {
        try {
            access.update_volume(def.name);
        } catch (const Error& error) { // it is made all the same
            context->log(LogLevel::warning, error.what());
        }
        context->emit(EventKind::volume_created, *pool, def.name);
        if (access.info().names_volumes)
            access.update_others();
    }
    return Volume::Access::make(pool, def.name);
}

void refuse(CreateFlags flags, CreateFlags wrong, const std::string& message)
{
    if (has(flags, wrong))
        throw Error(ErrorCode::invalid_argument, message, "leave the flag out");
}

/** Before the two are locked. */
void require_other_name(const VolumeDef& def, const Volume& source, const PoolObject& pool)
{
    check_volume_name(def.name);
    if (Volume::Access::pool(source)->uuid == pool.uuid && source.name() == def.name)
        throw Error(ErrorCode::already_exists,
                    volume_title(def.name, pool) + " is the one that shall be copied",
                    "choose another name");
}

/** A file that another image keeps its data in would be written by two. */
void check_data_file(Context::Impl& context, const PoolObject& pool, const VolumeDef& def)
{
    const auto refuse = [&](ErrorCode code, const std::string& what, const std::string& remedy) {
        throw Error(code,
                    volume_title(def.name, pool) + ": data file '" + def.target.data_file->path +
                        "' " + what,
                    remedy);
    };
    const auto& path = def.target.data_file->path;
    const auto volume = volume_with_path(context, path);
    if (!volume)
        refuse(ErrorCode::not_found, "is no volume of an active pool", "create it first");
    if (const auto format = volume->definition().target.format;
        !format.empty() && format != "raw" && format != "none")
        refuse(ErrorCode::invalid_argument, "is of format '" + format + "'", "use a raw volume");
    PoolAccess access(Volume::Access::pool(*volume));
    if (const auto users = dependents_of(access, path); !users.empty())
        refuse(ErrorCode::busy, "is used by '" + users.front().path() + "'",
               "use a volume of its own");
}

/**
 * The source's description, and its node open where it has one: the storage of a pool that names
 * its volumes itself may give the name to another one (a logical partition's, when one before it is
 * deleted), but not while this one is in use.
 * @throws Error busy  it has just done so
 */
std::pair<VolumeDef, UniqueFd> hold_source(PoolAccess& access, const Volume& source)
{
    auto& backend = access.active_backend();
    if (!access.info().names_volumes)
        return {backend.describe(source.name()), UniqueFd()};
    const auto identity = backend.identity(source.name());
    auto described = backend.describe(source.name());
    UniqueFd node(
        ::open(described.target.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (backend.identity(source.name()) != identity)
        throw Error(ErrorCode::busy,
                    volume_title(source.name(), *access.pool) + " is another one by now",
                    "look again, and decide anew");
    return {std::move(described), std::move(node)}; // what cannot be opened, the copy will say
}

} // namespace

Volume Pool::create_volume(const VolumeDef& given, CreateFlags flags, Job* job)
{
    const auto asked = pool_asked(object_, given, job);
    return operate(asked, job, [pool = object_, given, flags](Job* own) {
        PoolAccess access(pool);
        access.require_started();
        access.require(Capability::create_volume, "create volumes");
        const auto def = complete(access, given);
        refuse(flags, CreateFlags::reflink | CreateFlags::linked | CreateFlags::digest,
               volume_title(def.name, *pool) +
                   ": reflink, linked and digest need a volume to copy from");
        if (def.target.data_file)
            check_data_file(*access.context, *pool, def);
        return create(access, pool, def, "vol-create", own,
                      [&](Backend& backend, const VolumeDef& named, Change& change) {
                          backend.create_volume(named, nullptr, flags, change);
                      });
    });
}

Volume Pool::create_volume_from(const VolumeDef& given, const Volume& source, CreateFlags flags,
                                Job* job)
{
    // A server that hangs while it is read is to hold up its own pool, not this one.
    const auto read_from = pool_asked(source, job);
    if (object_->steadiness == Steadiness::unknown)
        operate(object_, job, [](Job*) {}); // finds out, unless the call waits for ever anyway
    const bool is_steady = object_->steadiness == Steadiness::steady;
    const auto& asked =
        is_steady && read_from->steadiness != Steadiness::steady ? read_from : object_;
    return operate(asked, job, [pool = object_, given, source, flags](Job* own) {
        PoolAccess access(pool);
        access.require_started();
        access.require(Capability::create_from, "copy volumes");
        const auto& source_pool = Volume::Access::pool(source);
        PoolAccess source_access(source_pool);
        source_access.require_started();
        std::optional<HeldLock> source_lock, lock;
        if (!is_dry_run(own)) { // any number may copy one volume
            const VolumeLock reading{source_pool->uuid, source_pool->name, source.name(),
                                     VolumeUse::read};
            auto& locks = *source_access.context;
            if (access.info().names_volumes) { // a name that no volume has: nobody reads it
                source_lock.emplace(locks.lock_volume(reading, "vol-create-from", own));
            } else {
                require_other_name(given, source, *pool);
                auto both = locks.lock_volumes(reading, {pool->uuid, pool->name, given.name},
                                               "vol-create-from", own);
                source_lock.emplace(std::move(both.first));
                lock.emplace(std::move(both.second));
            }
            access = PoolAccess(pool);
            source_access = PoolAccess(source_pool);
        }
        auto [described, held] = hold_source(source_access, source);
        CopySource from{.volume = std::move(described),
                        .pool_name = source_pool->name,
                        .untrusted_reference = untrusted_reference(*access.context, source),
                        .content = source_access.active_backend().content(source.name()),
                        .place = source_access.backend().place()};
        if (from.volume.type == VolumeType::block) // its format, if any, says what it is used for
            from.volume.target.format = "raw";
        auto wanted = given;
        // As libvirt: at least as large as what is copied.
        wanted.capacity = std::max(given.capacity, from.volume.capacity);
        if (has(flags, CreateFlags::linked)) {
            refuse(flags,
                   CreateFlags::reflink | CreateFlags::digest | CreateFlags::prealloc_metadata |
                       CreateFlags::prealloc_falloc | CreateFlags::prealloc_full,
                   volume_title(given.name, *pool) +
                       ": a linked clone copies nothing and allocates nothing");
            if (from.volume.target.encryption && from.volume.target.format == "raw")
                throw Error(ErrorCode::not_supported,
                            volume_title(given.name, *pool) +
                                ": a linked clone of an encrypted raw volume",
                            "make a copy instead");
            if (from.volume.type == VolumeType::dir || from.volume.type == VolumeType::ploop)
                throw Error(ErrorCode::not_supported,
                            volume_title(given.name, *pool) + ": a linked clone of a directory",
                            "use a volume that is an image");
            if (!has_same_paths(access, source_access))
                throw Error(ErrorCode::not_supported,
                            volume_title(given.name, *pool) + ": a linked clone of " +
                                volume_title(source.name(), *source_pool) +
                                ", which is in another cluster",
                            "make a copy instead");
            const auto formats = access.info().volume_formats;
            const bool has_qcow2 = formats.empty() || std::find(formats.begin(), formats.end(),
                                                                "qcow2") != formats.end();
            if (has_qcow2 && (wanted.target.format.empty() || wanted.target.format == "raw"))
                wanted.target.format = "qcow2";
            wanted.backing = {
                {.path = from.volume.target.path, .format = from.volume.target.format}};
            wanted.allocation = 0;
        }
        const bool is_linked = has(flags, CreateFlags::linked);
        const auto def =
            complete(access, wanted, is_linked ? std::string_view() : from.volume.target.format);
        if (is_linked)
            state_fact(own, "method", "linked");
        return create(
            access, pool, def, "vol-create-from", own,
            [&](Backend& backend, const VolumeDef& named, Change& change) {
                backend.create_volume(named, is_linked ? nullptr : &from, flags, change);
            },
            std::move(lock));
    });
}

namespace {

constexpr std::string_view upload_prefix = "upload:";

std::string identity_of_upload(Backend& backend, const std::string& name)
{
    const auto identity = backend.upload_identity(name);
    return identity.empty() ? identity : std::string(upload_prefix) + identity;
}

/** @param expected  an upload's identity, or that of the pool's storage */
void require_expected_upload(Backend& backend, const std::string& name, const std::string& expected,
                             const std::string& title)
{
    if (expected.empty())
        return;
    const bool is_upload = expected.starts_with(upload_prefix);
    if (expected != (is_upload ? identity_of_upload(backend, name) : backend.storage_identity()))
        throw Error(ErrorCode::not_found,
                    is_upload ? title + ": the unfinished upload of '" + name +
                                    "' is not the one that was meant"
                              : title + " has other storage than what was meant",
                    "look again, and decide anew");
}

} // namespace

Volume Pool::upload_volume(const VolumeDef& given, const UploadSource& source,
                           const TransferOptions& options, Job* job)
{
    const auto meant = options.resumable ? expected_ : std::string();
    std::optional<SourceGuard> guard;
    if (!options.resumable) // else it stands behind what is kept
        guard.emplace(source);
    return operate(
        object_, job, [pool = object_, given, source = kept(source), options, meant](Job* own) {
            PoolAccess access(pool);
            access.require_started();
            access.require(Capability::create_volume, "create volumes");
            access.require(Capability::upload, "take uploads");
            const auto def = complete(access, given);
            return create(access, pool, def, "vol-upload", own,
                          [&](Backend& backend, const VolumeDef& named, Change& change) {
                              require_expected_upload(backend, named.name, meant, access.title());
                              backend.create_uploaded(named, *source, options, change);
                          });
        });
}

std::optional<std::uint64_t> Pool::partial_upload(const std::string& volume_name) const
{
    return look(object_, [pool = object_, volume_name] {
        PoolAccess access(pool);
        access.require_started();
        check_volume_name(volume_name);
        return access.active_backend().partial_upload(volume_name);
    });
}

std::string Pool::upload_identity(const std::string& volume_name) const
{
    return look(object_, [pool = object_, volume_name] {
        PoolAccess access(pool);
        access.require_started();
        check_volume_name(volume_name);
        auto identity = identity_of_upload(access.active_backend(), volume_name);
        if (identity.empty())
            throw Error(ErrorCode::not_found,
                        access.title() + ": no unfinished upload of '" + volume_name + '\'');
        return identity;
    });
}

void Pool::discard_upload(const std::string& volume_name, Job* job)
{
    operate(object_, job, [pool = object_, volume_name, expected = expected_](Job* own) {
        PoolAccess access(pool);
        access.context->require_writable("forgetting an upload in " + access.title());
        access.require_started();
        access.require(Capability::upload, "take uploads");
        check_volume_name(volume_name);
        std::optional<HeldLock> lock;
        if (!is_dry_run(own))
            lock.emplace(access.context->lock_volume({pool->uuid, pool->name, volume_name},
                                                     "vol-upload-discard", own));
        Change change("vol-upload-discard " + pool->name + ' ' + volume_name,
                      place_of(*pool, volume_name));
        require_expected_upload(access.active_backend(), volume_name, expected, access.title());
        access.active_backend().discard_upload(volume_name, change);
        change.execute(access.context->change_host(own));
    });
}

} // namespace storage::inline v1
