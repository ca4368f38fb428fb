// SPDX-License-Identifier: LGPL-2.1-or-later
// Volume: a handle to one volume of a pool, and what can be done with it.
#pragma once

#include <basin/definition.hpp>
#include <basin/error.hpp>
#include <basin/image.hpp>
#include <basin/job.hpp>

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

/** Something that stands in the way of a destructive operation. */
struct Blocker {
    std::string kind{};    ///< open, backing_image, loop_device, mounted, job, snapshot, holder
    std::string message{}; ///< who and what, in words
    std::int64_t pid{};    ///< 0 where no process is meant
    bool operator==(const Blocker&) const = default;
};

/** A saved state inside a volume. */
struct Snapshot {
    std::string name{};
    std::string id{};
    Timestamp created{};
    std::uint64_t size{};
    bool operator==(const Snapshot&) const = default;
};

/** How resize() reads its number; combined with |. */
enum class ResizeFlags : std::uint32_t { none = 0, allocate = 1, delta = 2, shrink = 4 };
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
    zero,
    nnsa,
    dod,
    bsi,
    gutmann,
    schneier,
    pfitzner7,
    pfitzner33,
    random,
    trim
};

/**
 * A cheap, copyable handle: identity and operations. It belongs to one pool object, not to a pool
 * name, so it never starts to mean a stranger's volume. All calls throw not_found once the volume
 * is gone and invalid_state while its pool is not active.
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
    /** Returns the whole description, fresh from the system. */
    VolumeDef definition() const;
    /** format_volume(definition()). */
    std::string xml() const;
    /** Returns what the image header says, findings included, read now. @throws Error not_supported
     */
    ImageInfo inspect() const;
    /** Reads this one volume again, and updates the pool's list. */
    void refresh(Job* job = nullptr);

    /**
     * Deletes the volume: its storage, not only the handle. A symbolic link is deleted as a link.
     * @throws Error busy  with the blockers in detail()
     * @capability delete_volume
     */
    void delete_storage(Job* job = nullptr);

    /** Changes the capacity. @capability grow_volume, shrink_volume */
    void resize(std::uint64_t capacity, ResizeFlags flags = ResizeFlags::none, Job* job = nullptr);
    /** Renames in place, never over another volume. @capability rename_volume */
    void rename(const std::string& new_name, Job* job = nullptr);
    /** Overwrites the content. @capability wipe_volume */
    void wipe(WipeAlgorithm algorithm = WipeAlgorithm::zero, Job* job = nullptr);
    /** Writes what can be read from fd at offset; length 0: until its end. @capability upload */
    void upload(int fd, std::uint64_t offset = 0, std::uint64_t length = 0, bool sparse = false,
                Job* job = nullptr);
    /** Writes the content to fd; length 0: to the end. @capability download */
    void download(int fd, std::uint64_t offset = 0, std::uint64_t length = 0, bool sparse = false,
                  Job* job = nullptr);

    /** @capability snapshots */
    std::vector<Snapshot> snapshots() const;
    Snapshot create_snapshot(const std::string& name, Job* job = nullptr);
    void delete_snapshot(const std::string& name, Job* job = nullptr);
    void revert_snapshot(const std::string& name, Job* job = nullptr);

    /** What would stop delete_storage(), resize(), wipe() and rename() now. */
    std::vector<Blocker> blockers() const;

    /** A text that identifies this very object (device, inode, birth time; LV UUID …), not its
     * name. */
    std::string identity() const;

    struct BASIN_LOCAL Access; ///< for the library itself
private:
    friend struct Access;
    Volume(std::shared_ptr<PoolObject> pool, std::string name);
    std::shared_ptr<PoolObject> pool_;
    std::string name_;
};

} // namespace storage::inline v1
