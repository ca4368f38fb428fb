// SPDX-License-Identifier: LGPL-2.1-or-later
// Pool: a handle to one storage pool, and its lifecycle.
#pragma once

#include <basin/volume.hpp>

namespace storage::inline v1 {

/** A pool's state; the values are libvirt's. */
enum class PoolState : std::uint8_t {
    inactive,
    building,
    running,
    degraded,     ///< works, but a part is missing
    inaccessible, ///< started, but the system does not show it now
};

BASIN_API std::string_view to_string(PoolState state) noexcept;

/** A pool's numbers and state at one moment. */
struct PoolInfo {
    PoolState state{PoolState::inactive};
    std::string reason{}; ///< why it is degraded or inaccessible
    std::uint64_t capacity{};
    std::uint64_t allocation{};
    std::uint64_t available{}; ///< what this user may still write
    bool persistent{};
    bool autostart{};
    /** More facts, which depend on the type: for logical pools "thin_pool.NAME.data_percent" … */
    std::map<std::string, std::string> details{};
    bool operator==(const PoolInfo&) const = default;
};

BASIN_API std::string to_json(const PoolInfo& info);

/** What build() does when the source may hold data. */
enum class BuildMode : std::uint8_t {
    none, ///< for start(): do not build
    keep, ///< make what is missing, write no new file system or partition table over anything
    no_overwrite, ///< format, but only if the source is empty
    overwrite,    ///< format, whatever is there
};

/** Which definition of a pool is meant. */
enum class Which : std::uint8_t {
    current, ///< the one in force
    next,    ///< the one that the next start uses, where a redefinition is pending
};

/** How create_volume() allocates, and create_volume_from() copies; combined with |. */
enum class CreateFlags : std::uint32_t {
    none = 0,
    prealloc_metadata = 1, ///< qcow2: its tables; with allocation >= capacity as libvirt: falloc
    reflink = 2,           ///< share the source's blocks, or fail
    prealloc_falloc = 4,   ///< qcow2: tables and blocks, not written
    prealloc_full = 8,     ///< qcow2: tables and blocks, written with zeros
    linked = 16, ///< create_volume_from(): an image based on the source, which must not change any
                 ///< more; qcow2 where the definition's format is raw, the default
    digest = 32, ///< create_volume_from(): tell the SHA-256 of what was copied, without what a
                 ///< larger capacity adds (of a conversion: of the new file), as the job's fact
                 ///< "sha256"
};
constexpr CreateFlags operator|(CreateFlags a, CreateFlags b)
{
    return static_cast<CreateFlags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr bool has(CreateFlags set, CreateFlags flag)
{
    return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(flag)) != 0;
}

/**
 * A cheap, copyable handle to a pool of a Context. It stays with the pool object (its uuid), not
 * with the name. Calls throw not_found once the pool is undefined and stopped.
 * @note Thread-safe. The Context must outlive the calls, not the handle.
 */
class BASIN_API Pool {
public:
    Pool(const Pool&);
    Pool(Pool&&) noexcept;
    Pool& operator=(const Pool&);
    Pool& operator=(Pool&&) noexcept;
    ~Pool();

    std::string name() const;
    std::string uuid() const;
    std::string type() const;

    /** Returns the definition; target and defaults filled in. @throws Error not_found */
    PoolDef definition(Which which = Which::current) const;
    /** Returns the XML as libvirt prints it, with the current numbers. */
    std::string xml(Which which = Which::current) const;
    /** Returns state and numbers, fresh from the system. Storage that has not answered after 5
     * seconds is inaccessible; as long as it goes on hanging that is said at once. */
    PoolInfo info() const;
    /** Whether it was started and not stopped since; info() tells whether it can be used now. */
    bool is_active() const;
    bool is_persistent() const;
    bool autostart() const;

    /** Starts this pool with Context::autostart(), or no longer. @throws Error invalid_state
     * transient pool */
    void set_autostart(bool on, Job* job = nullptr);

    /**
     * Makes the underlying storage: for a dir pool the directory with its parents, mode, owner,
     * group and label. All of it appears at once or not at all.
     * @throws Error invalid_state  active; busy  something uses what would be formatted;
     * not_supported; permission_denied; io
     * @capability build_pool
     */
    void build(BuildMode mode = BuildMode::keep, Job* job = nullptr);
    /**
     * Makes the pool active, anew where it is inaccessible. Its volumes are read when somebody
     * first asks for them.
     * @param build  what to build first; undone again if the start fails
     * @throws Error invalid_state  already active; not_found  the storage is not there: build it
     */
    void start(BuildMode build = BuildMode::none, Job* job = nullptr);
    /** Undoes what start() did, no more. Data stays. A transient pool is gone afterwards, and so is
     * this Context's hold(). @throws Error busy  in use, or another Context holds it */
    void stop(Job* job = nullptr);
    /**
     * Keeps the pool active for this Context: starts it, unless it is active, and from now on
     * stop() is refused to all others. Any number of Contexts, in any processes, may hold one pool.
     * A hold ends with release(), with the Context, or with the process, however that ends.
     * @throws Error those of start()
     */
    void hold(BuildMode build = BuildMode::none, Job* job = nullptr);
    /**
     * Ends this Context's hold(). The last one out stops the pool, if it was started by hold(); one
     * that start() made active stays so.
     * @return whether it was stopped
     * @throws Error invalid_state  this Context does not hold it; those of stop(): it still does
     */
    bool release(Job* job = nullptr);
    /** Forgets the persistent definition. @throws Error invalid_state  active */
    void undefine(Job* job = nullptr);
    /**
     * Deletes the underlying storage of an inactive pool: for a dir pool the empty directory, for a
     * logical one the volume group.
     * @param allowed  BlockerKind::volume: with the volumes that are in it, where the type can do
     * that
     * @throws Error busy  there are volumes
     * @capability delete_pool
     */
    void delete_storage(BlockerKind allowed = BlockerKind::none, Job* job = nullptr);
    /**
     * Reads the volumes again. If it fails, pool and list stay as they are. Others go on reading
     * the old list meanwhile.
     */
    void refresh(Job* job = nullptr);

    /** The volumes of the last refresh, with changes since by basin applied; sorted by name.
     * @throws Error invalid_state */
    std::vector<Volume> volumes() const;
    /** The same as plain values, the cheapest way to list. */
    std::vector<VolumeEntry> volume_entries() const;
    /** The names as the storage has them now; opens no volume. @capability names_only */
    std::vector<std::string> volume_names() const;
    std::uint64_t volume_count() const;
    /** Remarks of the last refresh. */
    std::vector<Diagnostic> diagnostics() const;
    /** @throws Error not_found, invalid_state */
    Volume find_volume(std::string_view name) const;

    /**
     * Creates a volume. It appears whole under its name or not at all, also if the process dies.
     * An encrypted one needs its secret from ContextOptions::secrets.
     * @throws Error invalid_state, already_exists, not_supported, no_space, permission_denied,
     * cancelled
     * @capability create_volume
     */
    Volume create_volume(const VolumeDef& def, CreateFlags flags = CreateFlags::none,
                         Job* job = nullptr);
    /**
     * Creates a volume with another volume's content, the cheapest way that gives the same bytes:
     * shared blocks (reflink), a copy in the kernel, a copy of the data between holes, or for other
     * formats a conversion. The job's facts "method" and "reason" tell which and why. The capacity
     * is at least the source's. The source may be read meanwhile, not changed.
     *
     * The definition says how the new volume is encrypted: not at all; with a secret, anew; without
     * a secret, as the source is, with its key and without asking for it.
     *
     * It also says what the new volume is based on: nothing, and the copy has all content in
     * itself, whatever the source is based on; or the source's own backing image and format, and
     * the copy is based on it as well and shows the same content. Its reference to that is the
     * source's, or an absolute path where the format changes or a relative one would lead elsewhere
     * from the new place. The source's own description is such a definition; of a source with a
     * data file the copy has its data in itself.
     * @throws Error those of create_volume(); not_supported  reflink or linked where it cannot be,
     * or another backing image than the source's; invalid_state  the source changed its size
     * meanwhile, or is an image that inspect() calls damaged, more than not cleanly closed
     * @capability create_from
     */
    Volume create_volume_from(const VolumeDef& def, const Volume& source,
                              CreateFlags flags = CreateFlags::none, Job* job = nullptr);
    /**
     * Creates a volume from a file's content: an image of the definition's format, stored as it
     * comes. It appears when all of it has arrived and was checked, and not before; with
     * TransferOptions::resumable what arrived is kept, invisibly, for the next call of this name.
     * @param def  capacity: at least what comes (raw: the rest is zeros); 0: as much as comes
     * @param options  offset: where the source goes on, as partial_upload() says; length: how many
     * bytes to take, 0 for all
     * @throws Error those of create_volume(); io  the source ended early, gave more or other bytes
     * than expected; invalid_argument  not an image of that format, or of another capacity
     * @capability upload
     */
    Volume upload_volume(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options = {}, Job* job = nullptr);
    /** How many bytes an unfinished resumable upload of that name has; nothing where there is none.
     */
    std::optional<std::uint64_t> partial_upload(const std::string& volume_name) const;
    /** A text that tells an unfinished resumable upload from a later one of the same name, for
     * expecting(). @throws Error not_found @since 0.1 */
    std::string upload_identity(const std::string& volume_name) const;
    /** Forgets an unfinished resumable upload. @throws Error not_found */
    void discard_upload(const std::string& volume_name, Job* job = nullptr);

    /**
     * A text that identifies the storage that build() could write over and delete_storage() would
     * delete, whether the pool is active or not: of a directory device, inode and birth time, of a
     * disk or device its numbers and what is on it, of a volume group its UUID.
     * @throws Error not_found  it is not there; not_supported  a type that has neither call
     * @since 0.1
     */
    std::string identity() const;
    /**
     * A handle that means the pool while its storage has that identity(), whatever has its path or
     * is written in its definition by then: build(), start() and hold() with a build,
     * delete_storage() and discard_upload() through it look first, with the pool locked, and throw
     * not_found if it is another one. With an upload_identity() it means that upload:
     * discard_upload(), and upload_volume() where it is resumable, look first. For callers
     * between whose looking and whose deleting time passes.
     * @throws Error invalid_argument  an empty text
     * @since 0.1
     */
    Pool expecting(const std::string& identity) const;

    /** What would stop delete_storage() or stop() now. */
    std::vector<Blocker> blockers() const;

    bool operator==(const Pool& other) const noexcept { return object_ == other.object_; }

    struct BASIN_LOCAL Access; ///< for the library itself
private:
    friend struct Access;
    explicit Pool(std::shared_ptr<PoolObject> object);
    std::shared_ptr<PoolObject> object_;
    std::string expected_{}; ///< identity; "": whatever storage the pool has
};

} // namespace storage::inline v1
