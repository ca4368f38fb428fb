// SPDX-License-Identifier: LGPL-2.1-or-later
// The internal contract: what a pool type gives the core. A backend translates a definition into
// steps of a change and the system's answers into values; it sees no lock and no shared object.
#pragma once

#include <basin/backend.hpp>
#include <basin/error.hpp>
#include <basin/pool.hpp>

#include "volume_table.hpp"

#include <memory>

namespace storage::inline v1 {

class Change;
class SystemRoot;
class VolumeTable;
struct Log;

/** The services that the core lends to a backend; outlives it. */
struct Host {
    const SystemRoot& system;
    const Log& log;
};

/** What the system says about a pool at this moment. */
struct Presence {
    PoolState state{PoolState::inactive}; ///< running, degraded, or inactive: not there
    std::string reason{};                 ///< unless running
    std::string
        identity{}; ///< tells this source from another that takes its place; "" when not there
};

/** One pool of one type. Calls may come from several threads at once. */
class Backend {
public:
    virtual ~Backend() = default;

    /** Asks the system, cheaply: a few system calls. Never throws for "not there". */
    virtual Presence presence() = 0;
    virtual PoolSizes sizes() = 0;

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
    /** Identifies the volume's storage itself. @throws Error not_found */
    virtual std::string identity(std::string_view name) = 0;

    // Changes: each lists its steps; the executor does them. The core has checked state, name and
    // capability.
    virtual void build(BuildMode mode, Change& change);
    virtual void start(Change& change);
    virtual void stop(Change& change);
    virtual void remove(Change& change);
    /** @param source  the volume to copy, read just now; null: an empty volume */
    virtual void create_volume(const VolumeDef& def, const VolumeRecord* source, CreateFlags flags,
                               Change& change);
    virtual void delete_volume(std::string_view name, Change& change);
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
};

/** Every pool type in libvirt's order. Declared here, defined in backends/table.cpp: the one
 * inversion. */
std::span<const BackendType* const> backend_table();

/** The type's entry. @throws Error invalid_argument */
const BackendType& backend_type(std::string_view type);

} // namespace storage::inline v1
