// SPDX-License-Identifier: LGPL-2.1-or-later
// The internal contract: what a pool type gives the core. A backend translates a definition into
// steps of a change and the system's answers into values; it sees no lock and no shared object.
#pragma once

#include <basin/backend.hpp>
#include <basin/error.hpp>
#include <basin/pool.hpp>

#include "block_content.hpp"
#include "change.hpp"
#include "host.hpp"
#include "volume_table.hpp"

#include <memory>
#include <optional>

namespace storage::inline v1 {

/** Where an image leads that a program must not follow: whoever wrote the header may not be who
 * makes the call. */
struct UntrustedReference {
    std::string problem{}; ///< goes on behind the volume's name: "refers to …"
    std::string remedy{};
};

/** A volume that another one is made from, as describe() tells it, and whose it is. */
struct CopySource {
    VolumeDef volume{};
    std::string pool_name{};
    std::optional<UntrustedReference> untrusted_reference{};
    OpenContent content{}; ///< its bytes, where it has no path on this host; else null
    std::string place{};   ///< Backend::place()
};

/** What the system says about a pool at this moment. */
struct Presence {
    PoolState state{PoolState::inactive}; ///< running, degraded, or inactive: not there
    std::string reason{};                 ///< unless running
    std::string
        identity{}; ///< tells this source from another that takes its place; "" when not there
    bool assumed{}; ///< not asked, because that takes a network: health() says before it is used
    std::string place{};      ///< of volumes that are files: the directory, by place_text()
    std::uint64_t mount_id{}; ///< of a file system that was mounted for the pool; 0: of none
};

/** One pool of one type. Calls may come from several threads at once. */
class Backend {
public:
    virtual ~Backend() = default;

    /** That presence is the one of the pool's start: what changes it holds to its place. */
    virtual void accept(const Presence&) {}
    /** Presence::place of what it was told; "": none. */
    virtual std::string place() const { return {}; }

    /** Asks the system, cheaply: a few system calls. Never throws for "not there". */
    virtual Presence presence() = 0;
    /** The same, thoroughly: what is missing of it, too. May run a program, or ask a server, and
     * throws where that does not answer. */
    virtual Presence health() { return presence(); }
    /** Of network volumes: what tells the cluster in which their paths mean them. May ask it. */
    virtual std::string path_scope() { return {}; }
    /** Whether the storage is of a kind whose answer may never come: a file system of a server's.
     * What programs and libraries with time limits of their own do is not meant. */
    virtual bool may_hang() { return false; }
    virtual PoolSizes sizes() = 0;
    /** Fills in what only the output of the pool's definition has: free extents. */
    virtual void show(PoolDef& def);

    /**
     * Reads every volume into an empty table. @param previous  the last table, whose records may be
     * taken over for volumes that did not change; or null
     */
    virtual void refresh(const VolumeTable* previous, VolumeTable& table, Job* job) = 0;
    /** Names only, opening nothing. */
    virtual std::vector<std::string> names(Job* job) = 0;
    /** Reads one volume. @param previous  its last record, or null. @throws Error not_found */
    virtual VolumeRecord read(std::string_view name, const VolumeRecord* previous) = 0;
    /** Reads one volume with everything that its XML shows. @throws Error not_found */
    virtual VolumeDef describe(std::string_view name) = 0;
    virtual ImageInfo inspect(std::string_view name);
    /** Identifies the volume's storage itself; of a file by file_identity_prefix and
     * identity_text(). @throws Error not_found */
    virtual std::string identity(std::string_view name) = 0;

    // Changes: each lists its steps; the executor does them. The core has checked state, name and
    // capability.
    virtual void build(BuildMode mode, Change& change);
    /** @return what stop() has to know of what was there before, kept in the start's record */
    virtual std::string start(Change& change);
    /** @param started  what start() returned */
    virtual void stop(const std::string& started, Change& change);
    virtual void remove(Change& change);
    /** Identifies what build() could write over and remove() would delete, also of an inactive
     * pool.
     * @throws Error not_found  there is no such thing now */
    virtual std::string storage_identity();
    /**
     * The name that the new volume gets, where the type names volumes itself
     * (BackendInfo::names_volumes). Changes nothing.
     * @param def  its name is "", or the one that the caller expects
     * @throws Error invalid_argument  it would be another one
     */
    virtual std::string new_name(const VolumeDef& def);
    /** What would be lost with the pool's storage, where remove() does not itself refuse that. */
    virtual std::vector<Blocker> storage_blockers() { return {}; }
    /** @param source  the volume to copy, read just now; null: an empty volume */
    virtual void create_volume(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                               Change& change);
    /** The volume's content comes from a caller; see Pool::upload_volume(). */
    virtual void create_uploaded(const VolumeDef& def, const UploadSource& source,
                                 const TransferOptions& options, Change& change);
    virtual void discard_upload(const std::string& name, Change& change);
    virtual void delete_volume(std::string_view name, Change& change);
    virtual void rename_volume(std::string_view name, const std::string& new_name, Change& change);
    /** @param capacity  the new one, whatever the flags say of differences */
    virtual void resize_volume(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                               Change& change);
    virtual void wipe_volume(const VolumeDef& volume, WipeAlgorithm algorithm, Change& change);
    /** @param volume  one that is based on something; the core has looked at all of that */
    virtual void flatten_volume(const VolumeDef& volume, Change& change);
    virtual void upload(const VolumeDef& volume, const UploadSource& source,
                        const TransferOptions& options, std::uint64_t& received, Change& change);
    /** Whether a snapshot of a volume that somebody writes to is sound. */
    virtual bool snapshots_while_open() { return false; }
    virtual void create_snapshot(const VolumeDef& volume, const std::string& name, Change& change);
    virtual void delete_snapshot(const VolumeDef& volume, const std::string& name, Change& change);
    virtual void revert_snapshot(const VolumeDef& volume, const std::string& name, Change& change);
    virtual void protect_snapshot(const VolumeDef& volume, const std::string& name, bool on,
                                  Change& change);
    /** @param value  nothing: the key goes. The core has checked that it may, and looked whether it
     * is there */
    virtual void set_metadata(const VolumeDef& volume, const std::string& key,
                              const std::optional<std::string>& value, Change& change);

    // Reads that need no lock.
    /** What is the storage's own business is left out. */
    virtual std::map<std::string, std::string> metadata(std::string_view name);
    /** Whether a key is the storage's own business. */
    virtual bool is_own_key(std::string_view) { return false; }
    virtual std::uint64_t download(std::string_view name, const DownloadTarget& target,
                                   const TransferOptions& options, Job* job);
    /** The bytes of a volume without a path on this host; null where it has one. */
    virtual OpenContent content(std::string_view name);
    virtual std::vector<Snapshot> snapshots(std::string_view name);
    virtual std::optional<std::uint64_t> partial_upload(const std::string& name);
    /** What tells that upload from a later one of its name; "" where there is none. */
    virtual std::string upload_identity(const std::string& name);
    /** What the system says is in the way of changing the volume; but for other volumes and calls.
     */
    virtual std::vector<Blocker> blockers(std::string_view name);
};

/** A pool type: constant data and two functions. `open` is null where the type is not implemented
 * or not built in. */
struct BackendType {
    BackendInfo info;
    std::unique_ptr<Backend> (*open)(const PoolDef& def, const Host& host);
    std::vector<PoolSource> (*find_sources)(const PoolSource& where, const Host& host, Job* job);
    /** Canonical identities of the definition's source; two pools that share one conflict.
     * "kind:value". */
    std::vector<std::string> (*source_identities)(const PoolDef& def, const SystemRoot& system);
    /** The type's own kinds of steps; each name begins with the type's: "fs_mount". */
    std::span<const Action> actions{};
    /** What the paths of volumes may begin with where they are looked up; "": nothing. */
    std::string_view path_scheme{};
};

/** Every pool type in libvirt's order. Declared here, defined in backends/table.cpp: the one
 * inversion. */
std::span<const BackendType* const> backend_table();

/** The type's entry. @throws Error invalid_argument */
const BackendType& backend_type(std::string_view type);

} // namespace storage::inline v1
