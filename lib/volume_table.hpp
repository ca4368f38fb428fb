// SPDX-License-Identifier: LGPL-2.1-or-later
// VolumeTable: the volumes of one pool in memory, compact, found by name, key and path.
#pragma once

#include <basin/image.hpp>
#include <basin/volume.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

namespace storage::inline v1 {

/** What is known of every volume, in fixed size. */
struct VolumeFacts {
    std::uint64_t capacity{};
    std::uint64_t allocation{};
    std::uint64_t physical{};
    // Tells whether the file is still the one that was inspected.
    std::uint64_t device{};
    std::uint64_t inode{};
    std::int64_t modified_ns{};
    std::int64_t changed_ns{};
    ImageFormat format{ImageFormat::raw};
    VolumeType type{VolumeType::file};
    bool fresh{}; ///< changed so shortly before it was read that an equal timestamp proves nothing
    bool damaged{}; ///< the header has findings; a Diagnostic says which
    bool operator==(const VolumeFacts&) const = default;
};

/** One volume as a backend reports it. */
struct VolumeRecord {
    std::string name{};
    std::string key{};  ///< empty: the path
    std::string path{}; ///< empty: the table's prefix + name
    VolumeFacts facts{};
    /**
     * Other objects that this volume cannot do without, as paths (relative ones resolved) or as the
     * header's own words where they are no path: the backing image first, then data files, extents.
     */
    std::vector<std::string> references{};
    bool operator==(const VolumeRecord&) const = default;
};

/**
 * All volumes of a pool: about 110 bytes each and the name, no allocation per volume.
 *
 * A table with a prefix derives key and path of every volume as prefix + name, whatever the record
 * says; one without keeps each record's own and finds by them through indices of their own.
 * Indices of volumes are dense (0 to size() - 1); any change may renumber them and ends the life of
 * views and spans. Not locked: const members may run at once with each other, not with a change.
 */
class VolumeTable {
public:
    using Index = std::uint32_t;

    explicit VolumeTable(std::string path_prefix = {});
    ~VolumeTable();
    VolumeTable(const VolumeTable&) = delete;
    VolumeTable& operator=(const VolumeTable&) = delete;

    /** Makes room for n volumes in all. */
    void reserve(std::size_t n);
    /** Adds a volume. @return false, and nothing happens, where name, key or path is taken */
    bool add(const VolumeRecord& record);
    /** The same without strings, for tables with a prefix. */
    bool add(std::string_view name, const VolumeFacts& facts,
             std::span<const std::string> references = {});
    /** Adds a volume or replaces the one of that name. @return false where another one has its key
     * or path: nothing happens */
    bool upsert(const VolumeRecord& record);
    /** @return false where there is none */
    bool erase(std::string_view name);

    std::size_t size() const noexcept { return slots_.size(); }
    bool empty() const noexcept { return slots_.empty(); }
    /** "" where key and path are each volume's own. */
    const std::string& path_prefix() const noexcept { return prefix_; }

    /** A copy with key and path filled in. */
    std::optional<VolumeRecord> find(std::string_view name) const;
    std::optional<Index> find_index(std::string_view name) const noexcept;
    std::optional<Index> find_by_key(std::string_view key) const noexcept;
    std::optional<Index> find_by_path(std::string_view path) const noexcept;

    // One volume by index; name() and facts() allocate nothing.
    std::string_view name(Index index) const noexcept;
    const VolumeFacts& facts(Index index) const noexcept { return slots_[index].facts; }
    std::string key(Index index) const;
    std::string path(Index index) const;
    bool has_references(Index index) const noexcept { return slots_[index].references_length; }
    /** How many volumes have any. */
    std::size_t referring_count() const noexcept { return referring_; }
    std::vector<std::string> references(Index index) const;
    /** Calls visit(reference) for each, without allocating. */
    template <typename Visit>
    void for_each_reference(Index index, Visit&& visit) const
    {
        for (auto rest = references_text(index); !rest.empty();) {
            const auto end = rest.find('\0');
            visit(rest.substr(0, end));
            rest.remove_prefix(end + 1);
        }
    }
    VolumeRecord record(Index index) const;

    /** The indices in the byte order of the names. Sorts at the first call, then stays sorted. */
    std::span<const Index> sorted() const;
    /** Name, key and path of all volumes, sorted by name. */
    std::vector<VolumeEntry> entries() const;
    /** All names, sorted. */
    std::vector<std::string> names() const;

    const std::vector<Diagnostic>& diagnostics() const noexcept { return diagnostics_; }
    void add_diagnostic(Diagnostic diagnostic);

    /** Heap bytes in use, as far as the table asked for them; for tests and benchmarks. */
    std::size_t memory() const noexcept;

private:
    struct Slot {
        const char* text; // name, key, path, then each reference and a NUL
        std::uint32_t name_length;
        std::uint32_t key_length;
        std::uint32_t path_length;
        std::uint32_t references_length;
        VolumeFacts facts;
        std::size_t text_length() const
        {
            return std::size_t{name_length} + key_length + path_length + references_length;
        }
    };
    struct Bucket {
        std::uint32_t hash;
        Index index;
    };
    enum Field : unsigned { by_name, by_key, by_path };
    using Lookup = std::vector<Bucket>; // open addressing, linear probing, power of two in size

    struct Text {
        std::string_view name, key, path;
        std::span<const std::string> references;
    };
    Text text_of(const VolumeRecord& record) const;
    bool insert(const Text& text, const VolumeFacts& facts);
    bool replace(Index index, const Text& text, const VolumeFacts& facts);
    void remove(Index index);
    void store_text(Slot& slot, const Text& text);
    char* allocate(std::size_t length);
    void discard_text(const Slot& slot);
    void compact();

    std::string_view field(Index index, Field which) const noexcept;
    std::string_view references_text(Index index) const noexcept;
    std::uint32_t hash(std::string_view text) const noexcept;
    Index find_in(Field which, std::string_view text) const noexcept;
    unsigned lookup_count() const noexcept { return prefix_.empty() ? 3 : 1; }
    void grow_lookups(std::size_t volumes);
    static void put(Lookup& lookup, Bucket bucket) noexcept;
    void link(Index index) noexcept;
    void unlink(Index index) noexcept;
    Bucket* bucket_of(Field which, Index index) noexcept;
    std::size_t sorted_position(std::string_view name) const;
    std::vector<Index> sort_by_name() const;

    static constexpr Index none = ~Index{0};

    std::string prefix_;
    std::uint64_t seed_; // names come from strangers: without a secret they could all collide
    std::vector<Slot> slots_{};
    Lookup lookups_[3]{};

    std::vector<std::unique_ptr<char[]>> chunks_{};
    char* free_text_{};
    std::size_t free_length_{};
    std::size_t chunk_bytes_{};
    std::size_t dead_bytes_{};
    std::size_t referring_{};

    std::vector<Diagnostic> diagnostics_{};

    mutable std::mutex order_mutex_{};
    mutable std::atomic<bool> order_valid_{};
    mutable std::vector<Index> order_{};
};

} // namespace storage::inline v1
