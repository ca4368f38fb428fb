// SPDX-License-Identifier: LGPL-2.1-or-later
// What LVM says about volume groups, physical and logical volumes: one process, JSON, plain values.
#pragma once

#include "command.hpp"

#include <cstdint>
#include <optional>

namespace storage::inline v1 {

/** A device of a volume group. */
struct LvmPv {
    std::string path{}; ///< "[unknown]" where the device is missing
    std::string uuid{};
    std::uint64_t size{};
    std::uint64_t free{};
    bool missing{};
    bool allocatable{}; ///< new volumes may be put there
    bool operator==(const LvmPv&) const = default;
};

/** Where a segment's data lie: on a device, or on a logical volume that LVM hides. */
struct LvmArea {
    std::string device{};
    std::uint64_t first_extent{};
    bool operator==(const LvmArea&) const = default;
};

/** A run of a logical volume that is laid out in one way. Sizes are bytes. */
struct LvmSegment {
    std::string type{}; ///< linear, striped, thin, thin-pool, raid1 …
    std::uint32_t stripes{};
    std::uint64_t start{};
    std::uint64_t size{};
    std::uint64_t chunk_size{}; ///< of snapshots and thin pools; else 0
    std::vector<LvmArea> areas{};
    bool operator==(const LvmSegment&) const = default;
};

/** A logical volume that LVM does not hide. lvs(8) explains the characters of lv_attr. */
struct LvmLv {
    std::string name{};
    std::string uuid{};
    std::uint64_t size{}; ///< of a classic snapshot: of what holds its differences
    std::string attributes{};
    std::string origin{};                          ///< "[NAME]" where it is hidden
    std::uint64_t origin_size{};                   ///< of a classic snapshot: what it shows
    std::string pool{};                            ///< the thin or VDO pool that it is in
    std::uint64_t metadata_size{};                 ///< of a thin pool
    std::optional<std::uint32_t> data_usage{};     ///< in 1/100 %, known only while it is active
    std::optional<std::uint32_t> metadata_usage{}; ///< the same, of a thin pool
    std::vector<std::string> tags{};
    std::vector<std::string> layout{}; ///< linear, striped, raid, thin, sparse, pool …
    std::vector<std::string> role{};   ///< public, origin, snapshot, thinsnapshot …
    std::int64_t created{};            ///< seconds since 1970; 0: not known
    bool active{};
    bool open{};            ///< the kernel says that something has it open
    bool skip_activation{}; ///< is activated only when it is named
    std::string health{};   ///< "" is healthy; "partial", "failed", "out_of_data" …
    std::vector<LvmSegment> segments{};

    bool is_thin_pool() const;
    /** A thin pool that leaves nothing of before around what is first written to a chunk. */
    bool zeroes_chunks() const;
    bool is_thin() const;
    /** A cache pool that no volume uses, a VDO pool: it has no content of its own. */
    bool is_other_pool() const;
    /** A volume in a VDO pool. */
    bool is_vdo() const;
    /** A snapshot with a place of its own for differences, that is full one day. */
    bool is_classic_snapshot() const;
    /** It has classic snapshots, which cannot be without it. */
    bool is_classic_origin() const;
    /** Thin volumes show its data, though it is none of them and lies outside their pool:
     * lvmthin(7), "Thin Snapshots of an external origin". They cannot be without it. */
    bool is_external_origin() const;
    /** A place for differences without an origin that somebody could see. */
    bool has_hidden_origin() const;
    /** A part of it lies on a device that is missing. */
    bool is_partial() const;
    /** A snapshot that was full, or that the kernel gave up: it has no content any more. */
    bool is_invalid() const;
    /** It is going back, or will when it is next activated, to the state of a snapshot. */
    bool is_merging() const;
    /** Bytes that a guest sees. */
    std::uint64_t visible_size() const;

    bool operator==(const LvmLv&) const = default;
};

struct LvmGroup {
    std::string name{};
    std::string uuid{};
    std::uint64_t size{};
    std::uint64_t free{};
    std::uint64_t extent_size{};
    std::string attributes{};
    std::uint64_t missing_pvs{};
    std::vector<LvmPv> pvs{};
    std::vector<LvmLv> lvs{};

    const LvmLv* find(std::string_view lv_name) const;
    const LvmLv* find_uuid(std::string_view lv_uuid) const;
    std::vector<const LvmLv*> thin_pools() const;
    /** Of a pool: what is in it, and goes with it. */
    std::vector<const LvmLv*> volumes_in(const LvmLv& lv) const;
    /** Extents that new volumes can have: vg_free counts devices that are missing, too. */
    std::uint64_t usable_extents() const;
    bool is_exported() const;

    bool operator==(const LvmGroup&) const = default;
};

/** Everything about one group. */
Command lvm_report_command(const std::string& group);
/** Groups and their devices only. */
Command lvm_groups_command();

/** @throws Error parse_failed  not what LVM prints */
std::vector<LvmGroup> parse_lvm_report(std::string_view text);

/** @throws Error not_found  there is no such group; invalid_state  there are several, or it is
 * another host's; those of CommandRunner::run() */
LvmGroup read_lvm_group(CommandRunner& runner, const std::string& group, Job* job);
/** The same; nothing where there is no such group. */
std::optional<LvmGroup> find_lvm_group(CommandRunner& runner, const std::string& group, Job* job);
std::vector<LvmGroup> read_lvm_groups(CommandRunner& runner, Job* job);

} // namespace storage::inline v1
