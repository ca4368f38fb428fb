// SPDX-License-Identifier: LGPL-2.1-or-later
// Volume: a handle to one volume of a pool, and what can be done with it.
#pragma once

#include <basin/definition.hpp>
#include <basin/error.hpp>
#include <basin/image.hpp>
#include <basin/job.hpp>

#include <map>
#include <span>

namespace storage::inline v1 {

class Pool;
struct PoolObject;

/** A volume's numbers at one moment. */
struct VolumeInfo {
    VolumeType type{VolumeType::file};
    std::uint64_t capacity{};   ///< what a guest sees
    std::uint64_t allocation{}; ///< what it occupies
    std::uint64_t physical{};   ///< the container's length
    bool operator==(const VolumeInfo&) const = default;
};

BASIN_API std::string to_json(const VolumeInfo& info);

/** One line of a volume listing. */
struct VolumeEntry {
    std::string name{};
    std::string key{};
    std::string path{};
    bool operator==(const VolumeEntry&) const = default;
};

/** Why an entry of a pool is not, or not fully, a volume. */
enum class DiagnosticReason : std::uint8_t {
    unreadable,    ///< permission denied
    vanished,      ///< was listed, then gone
    dangling_link, ///< a symbolic link to nothing
    link_loop,     ///< a symbolic link that leads back to itself
    fifo,
    socket,
    character_device,
    unusable_name, ///< control characters or invalid UTF-8; escaped in `name`
    read_error,    ///< the system failed to read it
    damaged_image, ///< the header is malformed, truncated or marked corrupt
    duplicate,     ///< name, key or path is that of another volume
    inactive,      ///< exists, but cannot be used now
    incomplete,    ///< a part of it is missing or has failed
};

BASIN_API std::string_view to_string(DiagnosticReason reason) noexcept;

/** A typed remark of the last refresh about one entry. */
struct Diagnostic {
    std::string name{}; ///< the entry; bytes that cannot be shown are escaped as \xNN
    DiagnosticReason reason{};
    std::string message{};
    bool operator==(const Diagnostic&) const = default;
};

BASIN_API std::string to_json(const Diagnostic& diagnostic);

/**
 * What can stand in the way of a destructive operation. Such an operation refuses to run (busy, the
 * blockers in Error::detail()) unless each kind that is there is allowed; combined with |.
 */
enum class BlockerKind : std::uint32_t {
    none = 0,
    open = 1,          ///< a process has it open
    backing_image = 2, ///< another volume is based on it or keeps data in it
    loop_device = 4,   ///< a loop device shows it
    mounted = 8,       ///< it, or a loop device on it, is mounted
    job = 16,          ///< another call changes it; cannot be allowed, only waited for
    snapshot = 32,     ///< it has snapshots that would be lost
    holder = 64,       ///< another kernel device is built on it
    volume = 128,      ///< of a pool or thin pool: it has volumes that would be lost
};
constexpr BlockerKind operator|(BlockerKind a, BlockerKind b)
{
    return static_cast<BlockerKind>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr bool has(BlockerKind set, BlockerKind kind)
{
    return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(kind)) != 0;
}

/** The kind's name as written above; "unknown" for a combination. */
BASIN_API std::string_view to_string(BlockerKind kind) noexcept;

/** Something that stands in the way of a destructive operation. */
struct Blocker {
    BlockerKind kind{};
    std::string message{}; ///< who and what, in words
    std::int64_t pid{};    ///< 0 where no process is meant, or none that may be seen
    bool operator==(const Blocker&) const = default;
};

BASIN_API std::string to_json(const Blocker& blocker);

/** What is known of one image of a backing chain. */
enum class ChainState : std::uint8_t {
    ok,         ///< a volume of an active pool; its header was read
    missing,    ///< a local path where nothing is
    outside,    ///< a local path that no active pool has: it is not opened
    network,    ///< not certainly one local file: a URL, a protocol, "file:a", json: with more; or
                ///< an object of a cluster that no active pool has
    unreadable, ///< a volume that cannot be read
    cycle,      ///< an image that comes before it in the chain
    too_deep,   ///< more than 256 images
};

BASIN_API std::string_view to_string(ChainState state) noexcept;

/** One image of a backing chain: the volume itself, then what it is based on, up to the root. */
struct ChainLink {
    std::string reference{};    ///< as the image above has it; of the first: its path
    std::string path{};         ///< absolute; "" where it is no local file or device
    std::string format{};       ///< as declared; else as found, "raw" where it was not opened
    bool format_declared{true}; ///< false: the image above names no format (a guest could forge it)
    std::string pool_name{};    ///< the pool and volume that it is, or ""
    std::string volume_name{};
    ChainState state{ChainState::ok};
    bool operator==(const ChainLink&) const = default;
};

BASIN_API std::string to_json(const ChainLink& link);

/** Whether a description shows only the direct backing image or all of them. */
enum class BackingDepth : std::uint8_t { direct, chain };

/** A saved state inside a volume. */
struct Snapshot {
    std::string name{};
    std::string id{};
    Timestamp created{};
    std::uint64_t size{};
    bool is_protected{}; ///< cannot be deleted until that is taken back
    bool operator==(const Snapshot&) const = default;
};

/** How resize() reads its number; combined with |. */
enum class ResizeFlags : std::uint32_t {
    none = 0,
    allocate = 1, ///< what is added is allocated
    delta = 2,    ///< the number is a difference
    shrink = 4    ///< making it smaller is meant
};
constexpr ResizeFlags operator|(ResizeFlags a, ResizeFlags b)
{
    return static_cast<ResizeFlags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr bool has(ResizeFlags set, ResizeFlags flag)
{
    return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(flag)) != 0;
}

/** How wipe() overwrites; values are libvirt's. */
enum class WipeAlgorithm : std::uint8_t {
    zero,       ///< one pass of zeros
    nnsa,       ///< random, random, zeros, verified (NNSA NAP-14.1-C, 4 passes with the check)
    dod,        ///< random, zeros, ones, verified (DoD 5220.22-M, 4 passes with the check)
    bsi,        ///< nine passes (BSI, 2000)
    gutmann,    ///< 35 passes (Gutmann 1996)
    schneier,   ///< ones, zeros, five random (Applied Cryptography, 1996)
    pfitzner7,  ///< seven random passes
    pfitzner33, ///< 33 random passes
    random,     ///< one random pass
    trim        ///< gives the blocks back to the file system or device; reads as zeros afterwards
};

/**
 * Gives an upload its bytes: fills the buffer and returns how many; or sets `hole` to a number of
 * zero bytes and returns 0. 0 and no hole is the end. What it throws ends the call and leaves it.
 */
using ReadCallback = std::function<std::size_t(std::span<std::byte> buffer, std::uint64_t& hole)>;

/** Takes a download's bytes: data, or a number of zero bytes (only where sparse was asked for).
 * What it throws ends the call and leaves it. */
using WriteCallback = std::function<void(std::span<const std::byte> data, std::uint64_t hole)>;

/** Where the bytes of an upload come from. */
struct UploadSource {
    UploadSource(int descriptor) : fd(descriptor) {}
    UploadSource(ReadCallback reader) : read(std::move(reader)) {}
    /** Read up to its end from where it stands; not closed; may be a pipe or stream socket. A file
     * stands there again if the call fails, or behind what is kept of a resumable one; there again
     * in any case where the call ended because the pool's storage does not answer. */
    int fd{-1};
    ReadCallback read{};
};

/** Where the bytes of a download go. */
struct DownloadTarget {
    DownloadTarget(int descriptor) : fd(descriptor) {}
    DownloadTarget(WriteCallback writer) : write(std::move(writer)) {}
    int fd{-1}; ///< written from where it stands; not closed; may be a pipe or stream socket
    WriteCallback write{};
};

/** What part of a volume is transferred, and what is checked on the way. */
struct TransferOptions {
    std::uint64_t offset{}; ///< in the volume
    std::uint64_t length{}; ///< 0: to the end of the volume or of the source
    /** Holes stay holes: those of a seekable fd, of the callback, and blocks of zeros. */
    bool sparse{};
    /** The number of bytes that the source must give, holes included; fewer or more is an error. */
    std::optional<std::uint64_t> expected_length{};
    std::string expected_sha256{}; ///< of these bytes, 64 hex digits; another one is an error
    bool digest{};                 ///< tell the SHA-256 as the job's fact "sha256"
    /** Pool::upload_volume() only: keep what arrived when the source ends early or the call is
     * cancelled; the next call goes on where Pool::partial_upload() says. */
    bool resumable{};
    /** Volume::upload() only: what shall not stop it. */
    BlockerKind allowed{};
};

/**
 * A cheap, copyable handle: identity and operations. It belongs to one pool object, not to a pool
 * name, so it never starts to mean a stranger's volume. All calls throw not_found once the volume
 * is gone and invalid_state while its pool is not active. A volume may be a symbolic link to a file
 * or device elsewhere; the calls that read or change its content follow one of root's or of this
 * process's user, and of anybody else's throw permission_denied (see SECURITY.md).
 * @note Thread-safe. The Context must outlive the calls, not the handle.
 */
class BASIN_API Volume {
public:
    Volume(const Volume&);
    Volume(Volume&&) noexcept;
    Volume& operator=(const Volume&);
    Volume& operator=(Volume&&) noexcept;
    ~Volume();

    const std::string& name() const noexcept { return name_; }
    /** Unique on this host; what it is depends on the pool type (path, LV UUID, pool/image …). */
    std::string key() const;
    std::string path() const;
    Pool pool() const;

    /** Returns the numbers, fresh from the system. Costs one statx for a file. @throws Error
     * not_found, io */
    VolumeInfo info() const;
    /** Returns the whole description, fresh from the system. @param depth  how much of what the
     * volume is based on it shows: see chain() for what is opened */
    VolumeDef definition(BackingDepth depth = BackingDepth::direct) const;
    /** format_volume(definition(depth)). */
    std::string xml(BackingDepth depth = BackingDepth::direct) const;
    /** Returns what the image header says, findings included, read now. @throws Error not_supported
     */
    ImageInfo inspect() const;
    /** Reads this one volume again, and updates the pool's list. */
    void refresh(Job* job = nullptr);

    /**
     * The volume and all that it is based on, through all pools of the context: by the storage
     * itself, such as a clone's parent in a cluster and a snapshot's origin, then by the image's
     * header. Only volumes of active pools are opened, whatever an image's header names.
     * @throws Error not_found, invalid_state  of the volume itself; trouble further down is a state
     */
    std::vector<ChainLink> chain() const;
    /** The volumes of the context's active pools that are based directly on this one, or keep their
     * data in it. Another pool that cannot be read is passed over; if it is the volume's own, that
     * is the error. */
    std::vector<Volume> dependents() const;

    /** What would stop delete_storage(), resize(), wipe() and rename() now. Processes of other
     * users can be seen by root alone; that there is one is always found out. */
    std::vector<Blocker> blockers() const;

    /**
     * Deletes the volume: its storage, not only the handle. A symbolic link is deleted as a link,
     * also while what it leads to is in use; so it is renamed. Of a file, this does not wait for
     * the disk: where the power fails within seconds, it may be there again, whole.
     * @param allowed  blockers that shall not stop it
     * @throws Error busy  with the blockers in detail()
     * @capability delete_volume
     */
    void delete_storage(BlockerKind allowed = BlockerKind::none, Job* job = nullptr);

    /**
     * Changes the capacity. Raw: one step that happens or does not; what is cut off is gone. No
     * file system is looked at: whoever has one on it makes that smaller before, and checks it.
     * @param capacity  bytes, or with ResizeFlags::delta the difference (with shrink: downwards)
     * @throws Error invalid_argument  smaller without ResizeFlags::shrink; busy; no_space;
     * invalid_state  the image is damaged, or with ResizeFlags::allocate was not closed cleanly;
     * not_supported  it refers to what no active pool has
     * @capability grow_volume, shrink_volume
     */
    void resize(std::uint64_t capacity, ResizeFlags flags = ResizeFlags::none,
                BlockerKind allowed = BlockerKind::none, Job* job = nullptr);
    /**
     * Renames in place, never over another volume; this handle follows, copies of it do not.
     * @throws Error already_exists; busy
     * @note Not while another thread uses this handle.
     * @capability rename_volume
     */
    void rename(const std::string& new_name, BlockerKind allowed = BlockerKind::none,
                Job* job = nullptr);
    /**
     * Overwrites the content in place: of an image file, the file as a whole, so that it is raw
     * afterwards. Holes have no blocks and stay. After a kill some of it is overwritten. What
     * lies below may keep old copies all the same: copy-on-write file systems (btrfs, reflinks),
     * snapshots of the device, thin pools, journals of data, and flash, which never writes in
     * place. There only encryption, or destroying the device, is certain.
     * @throws Error busy; not_supported  trim where the file system cannot punch holes; an image
     * that has its data in other files, which would stay (qcow2 with a data file, some of vmdk)
     * @capability wipe_volume
     */
    void wipe(WipeAlgorithm algorithm = WipeAlgorithm::zero,
              BlockerKind allowed = BlockerKind::none, Job* job = nullptr);
    /**
     * Makes the volume independent of what it is based on: all of that content becomes its own.
     * What a guest reads is the same before, meanwhile and afterwards. Ended early, by a kill too,
     * the volume is still based on what it was, may occupy more, and the next call goes on. Volumes
     * that are based on this one stay as they are.
     * @throws Error invalid_state  it is based on nothing; busy  a process has it open, or it has
     * snapshots that need what it is based on, where that matters; no_space
     * @capability flatten_volume
     */
    void flatten(Job* job = nullptr);

    /**
     * Writes into the volume in place, as it is on the disk: an image file is written as a file.
     * The volume is locked meanwhile. A transfer that ends early has written what it has; for one
     * that is whole or not there at all see Pool::upload_volume().
     * @return bytes transferred, holes included
     * @throws Error invalid_argument  offset or length beyond the end, or the source is the
     * volume's own file; busy  somebody uses it (see blockers()) and options.allowed does not say
     * that this may be; permission_denied  also of another user's symbolic link (see Volume);
     * no_space  also where the thin pool of a logical volume is full; io  the source ended early or
     * does not have the expected digest
     * @capability upload
     */
    std::uint64_t upload(const UploadSource& source, const TransferOptions& options = {},
                         Job* job = nullptr);
    /**
     * Reads the volume, as it is on the disk. @return bytes transferred, holes included
     * @throws Error invalid_argument  offset or length beyond the end, or the target is the
     * volume's own file; permission_denied  also of another user's symbolic link (see Volume);
     * io  these are not the bytes that are expected, or not as many
     * @capability download
     */
    std::uint64_t download(const DownloadTarget& target, const TransferOptions& options = {},
                           Job* job = nullptr) const;

    /** Lists the snapshots, oldest first. @capability snapshots */
    std::vector<Snapshot> snapshots() const;
    /** Saves the present state under a name; in a logical pool as a volume of that name.
     * @throws Error already_exists; not_supported  an image refers to what no active pool has, or
     * has its data in another file; busy  a process has the volume open, where that matters: a
     * logical volume may be in use, its snapshot is then as after a power cut */
    Snapshot create_snapshot(const std::string& name, Job* job = nullptr);
    /** Forgets a snapshot; the present state stays. @throws Error not_found; busy  also where it is
     * protected */
    void delete_snapshot(const std::string& name, Job* job = nullptr);
    /** Brings a snapshot's state back; what was written since is lost. @throws Error not_found;
     * busy */
    void revert_snapshot(const std::string& name, Job* job = nullptr);

    /**
     * Keeps a snapshot from being deleted, by whatever program, or lets it be deleted again. To
     * protect one that is protected, or the other way round, changes nothing.
     * @throws Error not_found; busy  clones that need the protection are based on it
     * @capability protect_snapshots
     */
    void protect_snapshot(const std::string& name, bool on = true, Job* job = nullptr);

    /**
     * The keys and values that applications keep with the volume. What programs of the storage keep
     * there for themselves is not among them: of rbd, keys that begin with "conf_", "libvirt" or
     * ".".
     * @capability metadata
     */
    std::map<std::string, std::string> metadata() const;
    /**
     * Adds a key, or gives it another value.
     * @param key    1 to 255 bytes of UTF-8 without control characters, not one of those kept back
     * @param value  UTF-8, at most 64 KiB
     * @throws Error invalid_argument
     * @capability metadata
     */
    void set_metadata(const std::string& key, const std::string& value, Job* job = nullptr);
    /** @throws Error not_found  no such key @capability metadata */
    void remove_metadata(const std::string& key, Job* job = nullptr);

    /** A text that identifies this very object (device, inode, birth time; LV UUID …), not its
     * name. */
    std::string identity() const;
    /**
     * A handle that means the object of that identity() and no other one of its name: each call
     * through it that changes, overwrites or deletes looks first, with the volume locked, and
     * throws not_found if another one has taken the name since. For callers between whose looking
     * and whose deleting time passes.
     * @throws Error invalid_argument  an empty text
     * @since 0.1
     */
    Volume expecting(const std::string& identity) const;

    struct BASIN_LOCAL Access; ///< for the library itself
private:
    friend struct Access;
    Volume(std::shared_ptr<PoolObject> pool, std::string name);
    std::shared_ptr<PoolObject> pool_;
    std::string name_;
    std::string expected_{}; ///< identity; "": whoever has the name
};

} // namespace storage::inline v1
