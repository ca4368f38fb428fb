// SPDX-License-Identifier: LGPL-2.1-or-later
#include "qcow2_create.hpp"

#include "file_attributes.hpp"
#include "file_io.hpp"
#include "image/inspection.hpp"
#include "image/qcow2_layout.hpp"
#include "job_impl.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <unistd.h>

namespace storage::inline v1 {

namespace {

using namespace image::qcow2;
using image::divide_up;
using image::is_power_of_two;
using image::number;

constexpr std::uint64_t copied_flag = std::uint64_t{1} << 63;

bool is_v2(const Qcow2Options& options)
{
    return options.compat == "0.10";
}

std::uint64_t cluster_size_of(const Qcow2Options& options)
{
    return options.cluster_size != 0 ? options.cluster_size : 65536;
}

std::uint32_t refcount_bits_of(const Qcow2Options& options)
{
    return options.refcount_bits != 0 ? options.refcount_bits : 16;
}

/** Whether every cluster of the guest has its entry in an L2 table from the start. */
bool has_mappings(const Qcow2Options& options)
{
    return options.preallocation != Preallocation::off || options.data_file_raw;
}

/**
 * Where everything lies. In this order, each part at the start of a cluster and without gaps:
 * header, refcount table, refcount blocks, L1 table, L2 tables, guest clusters; the last two only
 * with mappings, the guest's not with an external data file.
 */
struct Layout {
    explicit Layout(const Qcow2Options& options)
        : cluster_size(cluster_size_of(options)), refcount_bits(refcount_bits_of(options)),
          l2_entry_size(options.extended_l2 ? 16 : 8), size(rounded_size(options.capacity)),
          l1_entries(divide_up(size, l1_reach(cluster_size, options.extended_l2))),
          l1_clusters(divide_up(l1_entries * entry_size, cluster_size)),
          guest_clusters(has_mappings(options) ? divide_up(size, cluster_size) : 0),
          l2_tables(has_mappings(options) ? l1_entries : 0),
          data_clusters(options.data_file.empty() ? guest_clusters : 0)
    {
        place_refcounts();
    }

    std::uint64_t at(std::uint64_t cluster) const { return cluster * cluster_size; }
    std::uint64_t table_cluster() const { return 1; }
    std::uint64_t block_cluster() const { return table_cluster() + table_clusters; }
    std::uint64_t l1_cluster() const { return block_cluster() + blocks; }
    std::uint64_t l2_cluster() const { return l1_cluster() + l1_clusters; }
    std::uint64_t data_cluster() const { return l2_cluster() + l2_tables; }
    std::uint64_t clusters() const { return data_cluster() + data_clusters; }
    /** Bytes of refcounts in whole words; less than a word comes after them. */
    std::uint64_t refcount_bytes() const { return clusters() * refcount_bits / 64 * 8; }

    std::uint64_t cluster_size;
    std::uint64_t refcount_bits;
    std::uint64_t l2_entry_size;
    std::uint64_t size;
    std::uint64_t l1_entries;
    std::uint64_t l1_clusters;
    std::uint64_t guest_clusters;
    std::uint64_t l2_tables;
    std::uint64_t data_clusters;
    std::uint64_t table_clusters = 1;
    std::uint64_t blocks = 1;

private:
    /** The refcounts count themselves: both numbers grow until they cover all. */
    void place_refcounts()
    {
        for (;;) {
            const auto enough = divide_up(clusters(), cluster_size * 8 / refcount_bits);
            const auto table = divide_up(enough * entry_size, cluster_size);
            if (enough <= blocks && table <= table_clusters)
                return;
            blocks = std::max(blocks, enough);
            table_clusters = std::max(table_clusters, table);
        }
    }
};

// ---- checks -----------------------------------------------------------------------------------

class Check {
public:
    Check(const Qcow2Options& options, const std::string& path) : options_(options), path_(path) {}

    void run() const
    {
        values();
        names();
        version();
        combinations();
        sizes();
    }

private:
    [[noreturn]] void refuse(ErrorCode code, const std::string& what,
                             const std::string& remedy) const
    {
        throw Error(code, "'" + path_ + "': " + what, remedy);
    }

    void require(bool condition, const std::string& what, const std::string& remedy) const
    {
        if (!condition)
            refuse(ErrorCode::invalid_argument, what, remedy);
    }

    void support(bool condition, const std::string& what, const std::string& remedy) const
    {
        if (!condition)
            refuse(ErrorCode::not_supported, what, remedy);
    }

    void values() const
    {
        const auto cluster_size = cluster_size_of(options_);
        const auto bits = refcount_bits_of(options_);
        require(options_.compat.empty() || options_.compat == "1.1" || is_v2(options_),
                "qcow2 compat '" + options_.compat + "' is not known", "give 0.10 or 1.1");
        require(is_power_of_two(cluster_size) && cluster_size >= min_cluster_size &&
                    cluster_size <= max_cluster_size,
                "qcow2 cluster size " + number(cluster_size) + " is not valid",
                "give a power of two from 512 to 2097152");
        require(is_power_of_two(bits) && bits <= 64,
                "qcow2 refcount width of " + number(bits) + " bits is not valid",
                "give 1, 2, 4, 8, 16, 32 or 64");
        require(options_.preallocation <= Preallocation::full,
                "preallocation mode " + number(static_cast<unsigned>(options_.preallocation)) +
                    " is not known",
                "give off, metadata, falloc or full");
    }

    void name(std::string_view what, const std::string& text, std::size_t limit) const
    {
        require(text.size() <= limit,
                "the " + std::string(what) + " has " + number(text.size()) + " bytes",
                "give at most " + number(limit));
        require(is_plain_text(text),
                "the " + std::string(what) + " is not valid UTF-8 or has control characters",
                "rename it");
    }

    void names() const
    {
        name("backing file name", options_.backing_path, 1023);
        name("backing format", options_.backing_format, 15); // QEMU reads no longer one
        name("data file name", options_.data_file, 1023);
        require(options_.backing_path.empty() || !options_.backing_format.empty(),
                "backing file '" + options_.backing_path + "' without a format",
                "name its format: a guest could make a raw image look like another one");
        require(!options_.backing_path.empty() || options_.backing_format.empty(),
                "backing format '" + options_.backing_format + "' without a backing file",
                "name the file, or leave the format out");
    }

    void version() const
    {
        if (!is_v2(options_))
            return;
        const std::string remedy = "use compat 1.1, or leave it out";
        support(!options_.extended_l2, "extended_l2 with compat 0.10", remedy);
        support(!options_.lazy_refcounts, "lazy_refcounts with compat 0.10", remedy);
        support(options_.data_file.empty(), "an external data file with compat 0.10", remedy);
        support(refcount_bits_of(options_) == 16,
                "refcounts of " + number(refcount_bits_of(options_)) + " bits with compat 0.10",
                remedy + ": 0.10 has 16 bits");
    }

    void combinations() const
    {
        const bool backing = !options_.backing_path.empty();
        support(!options_.extended_l2 || cluster_size_of(options_) >= min_extended_cluster_size,
                "extended_l2 with clusters of " + number(cluster_size_of(options_)) + " bytes",
                "extended_l2 needs clusters of 16384 bytes and more");
        support(!options_.data_file_raw || !options_.data_file.empty(),
                "data_file_raw without an external data file", "name the data file");
        support(!options_.data_file_raw || !backing,
                "data_file_raw with backing file '" + options_.backing_path + "'",
                "a raw data file is the whole content: leave one of the two out");
        // Its clusters would hide the backing file; subclusters can be there and unused.
        support(!backing || options_.preallocation == Preallocation::off || options_.extended_l2,
                "preallocation with backing file '" + options_.backing_path + "'",
                "set extended_l2, or leave preallocation out");
    }

    void sizes() const;

    const Qcow2Options& options_;
    const std::string& path_;
};

// ---- header -----------------------------------------------------------------------------------

void put(std::string& to, std::uint64_t value, int bytes)
{
    while (bytes-- > 0)
        to += static_cast<char>(value >> (8 * bytes));
}

void put_extension(std::string& to, std::uint32_t type, std::string_view data)
{
    put(to, type, 4);
    put(to, data.size(), 4);
    to += data;
    to.append((8 - data.size() % 8) % 8, '\0');
}

std::string extensions(const Qcow2Options& options)
{
    std::string result;
    if (!options.backing_path.empty())
        put_extension(result, backing_format_extension, options.backing_format);
    if (!options.data_file.empty())
        put_extension(result, data_file_extension, options.data_file);
    put_extension(result, 0, {});
    return result;
}

std::string header(const Qcow2Options& options, const Layout& layout)
{
    const auto length = is_v2(options) ? v2_header_length : v3_header_length;
    const auto after = extensions(options);
    std::string result(magic);
    put(result, is_v2(options) ? 2 : 3, 4);
    put(result, options.backing_path.empty() ? 0 : length + after.size(), 8);
    put(result, options.backing_path.size(), 4);
    put(result, static_cast<std::uint64_t>(std::countr_zero(layout.cluster_size)), 4);
    put(result, layout.size, 8);
    put(result, 0, 4); // not encrypted
    put(result, layout.l1_entries, 4);
    put(result, layout.l1_entries != 0 ? layout.at(layout.l1_cluster()) : 0, 8);
    put(result, layout.at(layout.table_cluster()), 8);
    put(result, layout.table_clusters, 4);
    put(result, 0, 4); // no snapshots
    put(result, 0, 8);
    if (!is_v2(options)) {
        put(result,
            (options.data_file.empty() ? 0 : data_file_bit) |
                (options.extended_l2 ? extended_l2_bit : 0),
            8);
        put(result, options.lazy_refcounts ? lazy_refcounts_bit : 0, 8);
        put(result, options.data_file_raw ? raw_data_bit : 0, 8);
        put(result, static_cast<std::uint64_t>(std::countr_zero(layout.refcount_bits)), 4);
        put(result, length, 4);
        put(result, 0, 8); // compression with zlib, and padding
    }
    return result + after + options.backing_path;
}

void Check::sizes() const
{
    const auto cluster_size = cluster_size_of(options_);
    const auto limit = l1_reach(cluster_size, options_.extended_l2) * max_l1_entries;
    support(options_.capacity <= limit,
            "capacity " + number(options_.capacity) + " with clusters of " + number(cluster_size) +
                " bytes",
            "give at most " + number(limit) + " bytes, or larger clusters");
    const Layout layout(options_);
    const auto used = header(options_, layout).size();
    support(used <= cluster_size,
            "header and names have " + number(used) + " bytes, a cluster has " +
                number(cluster_size),
            "use shorter names or larger clusters");
    if (!has_mappings(options_))
        return;
    support(layout.blocks <= max_refcount_table_entries &&
                std::max(layout.clusters(), layout.guest_clusters) <=
                    max_host_offset / cluster_size,
            "capacity " + number(options_.capacity) + " is too much to allocate in advance",
            options_.data_file_raw ? "give less, or leave data_file_raw out"
                                   : "give less, or leave preallocation out");
}

// ---- writing ----------------------------------------------------------------------------------

/** Writes long runs of regular content through one buffer. */
class Writer {
public:
    Writer(int fd, const std::string& path, Job* job) : fd_(fd), path_(path), job_(job) {}

    void at(std::uint64_t offset, std::string_view data) { write_at(fd_, offset, data, path_); }

    /** `count` entries: first, first + step, …; what an entry has beyond 8 bytes is 0. */
    void entries(std::uint64_t offset, std::uint64_t count, std::uint64_t entry_length,
                 std::uint64_t first, std::uint64_t step)
    {
        while (count > 0) {
            const auto some = std::min(count, buffer_limit / entry_length);
            buffer_.clear();
            for (std::uint64_t i = 0; i < some; ++i, first += step) {
                const auto big_endian =
                    std::endian::native == std::endian::little ? __builtin_bswap64(first) : first;
                buffer_.append(reinterpret_cast<const char*>(&big_endian), sizeof big_endian);
                buffer_.append(entry_length - sizeof big_endian, '\0');
            }
            piece(offset);
            offset += buffer_.size();
            count -= some;
        }
    }

private:
    static constexpr std::uint64_t buffer_limit = 1 << 20;

    void piece(std::uint64_t offset)
    {
        check(job_, "writing '" + path_ + "'");
        at(offset, buffer_);
        advance(job_, buffer_.size());
    }

    int fd_;
    const std::string& path_;
    Job* job_;
    std::string buffer_{};
};

/** Every cluster counts once; where a count has less than a byte, the first is in the low bits. */
void write_refcounts(Writer& writer, const Layout& layout)
{
    const auto offset = layout.at(layout.block_cluster());
    const auto bits = layout.clusters() * layout.refcount_bits;
    std::uint64_t ones = 0;
    for (std::uint64_t bit = 0; bit < 64; bit += layout.refcount_bits)
        ones |= std::uint64_t{1} << bit;
    writer.entries(offset, layout.refcount_bytes() / 8, 8, ones, 0);
    std::string rest;
    put(rest, ones, 8);
    rest.resize(divide_up(bits % 64, 8));
    if (bits % 8 != 0)
        rest.back() = static_cast<char>(ones & ((1U << bits % 8) - 1));
    writer.at(offset + layout.refcount_bytes(), rest);
}

void write_metadata(Writer& writer, const Qcow2Options& options, const Layout& layout)
{
    writer.at(0, header(options, layout));
    writer.entries(layout.at(layout.table_cluster()), layout.blocks, entry_size,
                   layout.at(layout.block_cluster()), layout.cluster_size);
    write_refcounts(writer, layout);
    writer.entries(layout.at(layout.l1_cluster()), layout.l2_tables, entry_size,
                   copied_flag | layout.at(layout.l2_cluster()), layout.cluster_size);
    // In an external data file a cluster lies where the guest sees it.
    const auto data = options.data_file.empty() ? layout.at(layout.data_cluster()) : 0;
    writer.entries(layout.at(layout.l2_cluster()), layout.guest_clusters, layout.l2_entry_size,
                   copied_flag | data, layout.cluster_size);
}

void set_length(int fd, std::uint64_t length, const std::string& path)
{
    if (::ftruncate(fd, static_cast<off_t>(length)) != 0)
        throw system_error(errno,
                           "cannot set the size of '" + path + "' to " + number(length) + " bytes");
}

void write_zeros(int fd, std::uint64_t start, std::uint64_t end, const std::string& path, Job* job)
{
    enter_phase(job, "writing zeros", end - start);
    Writer(fd, path, job).entries(start, divide_up(end - start, sector), sector, 0, 0);
}

} // namespace

void check_qcow2(const Qcow2Options& options, const std::string& path)
{
    Check(options, path).run();
}

void write_qcow2(int fd, int data_fd, const Qcow2Options& options, const std::string& path,
                 Job* job)
{
    check_qcow2(options, path);
    const Layout layout(options);
    const auto end = layout.at(layout.clusters());
    const bool external = !options.data_file.empty();
    const auto& space_path = external ? options.data_file : path;
    const int space_fd = external ? data_fd : fd;
    const auto space_end = external ? layout.size : end;

    set_length(fd, end, path); // first: tells whether the file system can hold it
    if (external && data_fd >= 0)
        set_length(data_fd, layout.size, space_path);
    if (options.preallocation == Preallocation::falloc && space_fd >= 0)
        allocate_range(space_fd, space_end, space_path, job);

    enter_phase(job, "writing metadata",
                layout.refcount_bytes() + (layout.blocks + layout.l2_tables) * entry_size +
                    layout.guest_clusters * layout.l2_entry_size);
    Writer writer(fd, path, job);
    write_metadata(writer, options, layout);
    if (options.preallocation == Preallocation::full && space_fd >= 0)
        write_zeros(space_fd, external ? 0 : layout.at(layout.data_cluster()), space_end,
                    space_path, job);
}

} // namespace storage::inline v1
