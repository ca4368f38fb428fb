// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_table.hpp"

#include "file_io.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <stdexcept>

namespace storage::inline v1 {

namespace {

constexpr std::size_t first_chunk = 1024;
constexpr std::size_t largest_chunk = 256 * 1024;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept
{
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const char* from, std::size_t length) noexcept
{
    std::uint64_t value = 0;
    std::memcpy(&value, from, length);
    return value;
}

std::size_t references_length(std::span<const std::string> references)
{
    std::size_t length = 0;
    for (const auto& reference : references)
        length += reference.size() + 1;
    return length;
}

std::string joined(std::string_view head, std::string_view tail)
{
    std::string text;
    text.reserve(head.size() + tail.size());
    text.append(head).append(tail);
    return text;
}

} // namespace

VolumeTable::VolumeTable(std::string path_prefix)
    : prefix_(std::move(path_prefix)), seed_(random_bits())
{
}

VolumeTable::~VolumeTable() = default;

char* VolumeTable::allocate(std::size_t length)
{
    if (length > free_length_) {
        const auto usual = std::clamp(chunk_bytes_, first_chunk, largest_chunk);
        const auto chunk = std::max(usual, length);
        chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk));
        free_text_ = chunks_.back().get();
        free_length_ = chunk;
        chunk_bytes_ += chunk;
    }
    char* text = free_text_;
    free_text_ += length;
    free_length_ -= length;
    return text;
}

void VolumeTable::store_text(Slot& slot, const Text& text)
{
    char* to = allocate(text.name.size() + text.key.size() + text.path.size() +
                        references_length(text.references));
    slot.text = to;
    slot.name_length = static_cast<std::uint32_t>(text.name.size());
    slot.key_length = static_cast<std::uint32_t>(text.key.size());
    slot.path_length = static_cast<std::uint32_t>(text.path.size());
    slot.references_length = static_cast<std::uint32_t>(references_length(text.references));
    referring_ += slot.references_length != 0;
    to = std::copy(text.name.begin(), text.name.end(), to);
    to = std::copy(text.key.begin(), text.key.end(), to);
    to = std::copy(text.path.begin(), text.path.end(), to);
    for (const auto& reference : text.references) {
        to = std::copy(reference.begin(), reference.end(), to);
        *to++ = '\0';
    }
}

void VolumeTable::discard_text(const Slot& slot)
{
    referring_ -= slot.references_length != 0;
    dead_bytes_ += slot.text_length();
    if (dead_bytes_ > largest_chunk && dead_bytes_ > chunk_bytes_ / 2)
        compact();
}

void VolumeTable::compact()
{
    std::size_t length = 0;
    for (const auto& slot : slots_)
        length += slot.text_length();
    std::unique_ptr<char[]> text(new (std::nothrow) char[length]);
    if (!text)
        return; // the next change tries again
    char* to = text.get();
    for (auto& slot : slots_) {
        std::memcpy(to, slot.text, slot.text_length());
        slot.text = to;
        to += slot.text_length();
    }
    chunks_.resize(1);
    chunks_.front() = std::move(text);
    chunk_bytes_ = length;
    free_length_ = dead_bytes_ = 0;
}

VolumeTable::Text VolumeTable::text_of(const VolumeRecord& record) const
{
    Text text{.name = record.name, .key = {}, .path = {}, .references = record.references};
    if (prefix_.empty()) {
        text.path = record.path.empty() ? record.name : record.path;
        text.key = record.key.empty() ? text.path : record.key;
    }
    return text;
}

std::string_view VolumeTable::field(Index index, Field which) const noexcept
{
    const Slot& slot = slots_[index];
    switch (which) {
    case by_name: return {slot.text, slot.name_length};
    case by_key: return {slot.text + slot.name_length, slot.key_length};
    case by_path: return {slot.text + slot.name_length + slot.key_length, slot.path_length};
    }
    return {};
}

std::string_view VolumeTable::references_text(Index index) const noexcept
{
    const Slot& slot = slots_[index];
    return {slot.text + slot.name_length + slot.key_length + slot.path_length,
            slot.references_length};
}

// The scheme of wyhash: multiply 64 by 64 bits, fold the product.
std::uint32_t VolumeTable::hash(std::string_view text) const noexcept
{
    constexpr std::uint64_t a = 0xa0761d6478bd642f;
    constexpr std::uint64_t b = 0xe7037ed1a0b428db;
    std::uint64_t state = seed_ ^ text.size();
    while (text.size() > 16) {
        state = mix(load(text.data(), 8) ^ a, load(text.data() + 8, 8) ^ state);
        text.remove_prefix(16);
    }
    const auto low = std::min<std::size_t>(text.size(), 8);
    const auto high = text.size() - low;
    state = mix(load(text.data(), low) ^ b, load(text.data() + low, high) ^ state ^ seed_);
    return static_cast<std::uint32_t>(mix(state, a));
}

VolumeTable::Index VolumeTable::find_in(Field which, std::string_view text) const noexcept
{
    const Lookup& lookup = lookups_[which];
    if (lookup.empty())
        return none;
    const auto wanted = hash(text);
    const auto mask = lookup.size() - 1;
    for (auto at = wanted & mask; lookup[at].index != none; at = (at + 1) & mask)
        if (lookup[at].hash == wanted && field(lookup[at].index, which) == text)
            return lookup[at].index;
    return none;
}

void VolumeTable::put(Lookup& lookup, Bucket bucket) noexcept
{
    const auto mask = lookup.size() - 1;
    auto at = bucket.hash & mask;
    while (lookup[at].index != none)
        at = (at + 1) & mask;
    lookup[at] = bucket;
}

// At most two thirds full, so that a miss looks at few buckets.
void VolumeTable::grow_lookups(std::size_t volumes)
{
    std::size_t wanted = 16;
    while (wanted * 2 < volumes * 3)
        wanted *= 2;
    for (unsigned which = 0; which < lookup_count(); ++which) {
        if (lookups_[which].size() >= wanted)
            continue;
        Lookup larger(wanted, Bucket{0, none});
        for (const auto& bucket : lookups_[which])
            if (bucket.index != none)
                put(larger, bucket);
        lookups_[which] = std::move(larger);
    }
}

void VolumeTable::link(Index index) noexcept
{
    for (unsigned i = 0; i < lookup_count(); ++i)
        put(lookups_[i], {hash(field(index, Field(i))), index});
}

VolumeTable::Bucket* VolumeTable::bucket_of(Field which, Index index) noexcept
{
    Lookup& lookup = lookups_[which];
    const auto mask = lookup.size() - 1;
    auto at = hash(field(index, which)) & mask;
    while (lookup[at].index != index)
        at = (at + 1) & mask;
    return &lookup[at];
}

// Buckets that probed past the one that goes move back, so that no tombstones are needed.
void VolumeTable::unlink(Index index) noexcept
{
    for (unsigned i = 0; i < lookup_count(); ++i) {
        Lookup& lookup = lookups_[i];
        const auto mask = lookup.size() - 1;
        auto hole = static_cast<std::size_t>(bucket_of(Field(i), index) - lookup.data());
        for (auto at = (hole + 1) & mask; lookup[at].index != none; at = (at + 1) & mask) {
            const auto home = lookup[at].hash & mask;
            if (((at - home) & mask) >= ((at - hole) & mask)) {
                lookup[hole] = lookup[at];
                hole = at;
            }
        }
        lookup[hole].index = none;
    }
}

void VolumeTable::reserve(std::size_t n)
{
    slots_.reserve(n);
    grow_lookups(n);
}

bool VolumeTable::add(const VolumeRecord& record)
{
    return insert(text_of(record), record.facts);
}

bool VolumeTable::add(std::string_view name, const VolumeFacts& facts,
                      std::span<const std::string> references)
{
    const auto own = prefix_.empty() ? name : std::string_view{};
    return insert({name, own, own, references}, facts);
}

bool VolumeTable::insert(const Text& text, const VolumeFacts& facts)
{
    if (find_in(by_name, text.name) != none ||
        (prefix_.empty() &&
         (find_in(by_key, text.key) != none || find_in(by_path, text.path) != none)))
        return false;
    constexpr std::size_t limit = none - 1;
    if (slots_.size() >= limit || text.name.size() > limit || text.key.size() > limit ||
        text.path.size() > limit || references_length(text.references) > limit)
        throw std::length_error("VolumeTable");
    grow_lookups(slots_.size() + 1);
    Slot slot{};
    slot.facts = facts;
    store_text(slot, text);
    const auto index = static_cast<Index>(slots_.size());
    slots_.push_back(slot);
    link(index);
    if (order_valid_.exchange(false)) {
        const auto position = sorted_position(text.name);
        order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(position), index);
        order_valid_ = true;
    }
    return true;
}

bool VolumeTable::upsert(const VolumeRecord& record)
{
    const auto text = text_of(record);
    const auto index = find_in(by_name, record.name);
    return index == none ? insert(text, record.facts) : replace(index, text, record.facts);
}

bool VolumeTable::replace(Index index, const Text& text, const VolumeFacts& facts)
{
    if (prefix_.empty()) {
        const auto by_same_key = find_in(by_key, text.key);
        const auto by_same_path = find_in(by_path, text.path);
        if ((by_same_key != none && by_same_key != index) ||
            (by_same_path != none && by_same_path != index))
            return false;
    }
    Slot fresh{};
    fresh.facts = facts;
    store_text(fresh, text);
    unlink(index);
    const Slot old = std::exchange(slots_[index], fresh);
    link(index);
    discard_text(old);
    return true;
}

bool VolumeTable::erase(std::string_view name)
{
    const auto index = find_in(by_name, name);
    if (index == none)
        return false;
    remove(index);
    return true;
}

// The last volume takes the place of the one that goes.
void VolumeTable::remove(Index index)
{
    const auto last = static_cast<Index>(slots_.size() - 1);
    if (order_valid_.load(std::memory_order_relaxed)) {
        const auto gone = sorted_position(name(index));
        order_[sorted_position(name(last))] = index;
        order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    unlink(index);
    const Slot old = slots_[index];
    if (index != last) {
        for (unsigned i = 0; i < lookup_count(); ++i)
            bucket_of(Field(i), last)->index = index;
        slots_[index] = slots_[last];
    }
    slots_.pop_back();
    discard_text(old);
}

namespace {

std::optional<VolumeTable::Index> optional_index(VolumeTable::Index index)
{
    return index == ~VolumeTable::Index{0} ? std::nullopt : std::optional(index);
}

} // namespace

std::optional<VolumeTable::Index> VolumeTable::find_index(std::string_view name) const noexcept
{
    return optional_index(find_in(by_name, name));
}

std::optional<VolumeTable::Index> VolumeTable::find_by_key(std::string_view key) const noexcept
{
    return prefix_.empty() ? optional_index(find_in(by_key, key)) : find_by_path(key);
}

std::optional<VolumeTable::Index> VolumeTable::find_by_path(std::string_view path) const noexcept
{
    if (prefix_.empty())
        return optional_index(find_in(by_path, path));
    if (!path.starts_with(prefix_))
        return std::nullopt;
    return find_index(path.substr(prefix_.size()));
}

std::optional<VolumeRecord> VolumeTable::find(std::string_view name) const
{
    const auto index = find_in(by_name, name);
    return index == none ? std::nullopt : std::optional(record(index));
}

std::string_view VolumeTable::name(Index index) const noexcept
{
    return field(index, by_name);
}

std::string VolumeTable::key(Index index) const
{
    return prefix_.empty() ? std::string(field(index, by_key)) : path(index);
}

std::string VolumeTable::path(Index index) const
{
    return prefix_.empty() ? std::string(field(index, by_path)) : joined(prefix_, name(index));
}

std::vector<std::string> VolumeTable::references(Index index) const
{
    std::vector<std::string> all;
    for_each_reference(index, [&](std::string_view reference) { all.emplace_back(reference); });
    return all;
}

VolumeRecord VolumeTable::record(Index index) const
{
    return {.name = std::string(name(index)),
            .key = key(index),
            .path = path(index),
            .facts = facts(index),
            .references = references(index)};
}

std::vector<VolumeEntry> VolumeTable::entries() const
{
    std::vector<VolumeEntry> all;
    all.reserve(size());
    for (const auto index : sorted())
        all.push_back({std::string(name(index)), key(index), path(index)});
    return all;
}

std::vector<std::string> VolumeTable::names() const
{
    std::vector<std::string> all;
    all.reserve(size());
    for (const auto index : sorted())
        all.emplace_back(name(index));
    return all;
}

void VolumeTable::add_diagnostic(Diagnostic diagnostic)
{
    diagnostics_.push_back(std::move(diagnostic));
}

std::size_t VolumeTable::memory() const noexcept
{
    std::size_t bytes =
        slots_.capacity() * sizeof(Slot) + chunk_bytes_ + chunks_.capacity() * sizeof(chunks_[0]) +
        order_.capacity() * sizeof(Index) + diagnostics_.capacity() * sizeof(Diagnostic);
    for (const auto& lookup : lookups_)
        bytes += lookup.capacity() * sizeof(Bucket);
    return bytes;
}

std::size_t VolumeTable::sorted_position(std::string_view wanted) const
{
    const auto position = std::lower_bound(
        order_.begin(), order_.end(), wanted,
        [this](Index index, std::string_view name_wanted) { return name(index) < name_wanted; });
    return static_cast<std::size_t>(position - order_.begin());
}

std::span<const VolumeTable::Index> VolumeTable::sorted() const
{
    if (!order_valid_.load(std::memory_order_acquire)) {
        const std::lock_guard lock(order_mutex_);
        if (!order_valid_.load(std::memory_order_relaxed)) {
            order_ = sort_by_name();
            order_valid_.store(true, std::memory_order_release);
        }
    }
    return order_;
}

// Names of a pool often begin alike: eight bytes after what all share, as one number, decide almost
// every comparison without a look at the names.
std::vector<VolumeTable::Index> VolumeTable::sort_by_name() const
{
    struct Item {
        std::uint64_t start;
        Index index;
    };
    std::vector<Item> items(size());
    std::string_view shared = empty() ? std::string_view{} : name(0);
    for (Index i = 0; i < size(); ++i) {
        const auto other = name(i);
        const auto end = std::mismatch(shared.begin(), shared.end(), other.begin(), other.end());
        shared = shared.substr(0, static_cast<std::size_t>(end.first - shared.begin()));
    }
    for (Index i = 0; i < size(); ++i) {
        const auto rest = name(i).substr(shared.size());
        const auto start = load(rest.data(), std::min<std::size_t>(rest.size(), 8));
        constexpr bool swap = std::endian::native == std::endian::little;
        items[i] = {swap ? __builtin_bswap64(start) : start, i};
    }
    std::sort(items.begin(), items.end(), [this](const Item& a, const Item& b) {
        return a.start != b.start ? a.start < b.start : name(a.index) < name(b.index);
    });
    std::vector<Index> order(size());
    std::transform(items.begin(), items.end(), order.begin(),
                   [](const Item& item) { return item.index; });
    return order;
}

} // namespace storage::inline v1
