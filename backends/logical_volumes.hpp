// SPDX-License-Identifier: LGPL-2.1-or-later
// A volume group as a pool: what LVM reports as records, descriptions, numbers and remarks.
#pragma once

#include "backend.hpp"
#include "lvm_report.hpp"

namespace storage::inline v1 {

/** For one group; nothing here changes anything. */
class LogicalVolumes {
public:
    LogicalVolumes(std::string group, const Host& host) : group_(std::move(group)), host_(host) {}

    /** What the kernel shows, if anything is active; else what LVM says. */
    Presence presence() const;
    /** The same by LVM alone: it knows of missing devices. */
    Presence health() const;
    PoolSizes sizes() const;
    void refresh(const VolumeTable* previous, VolumeTable& table, Job* job) const;

    LvmGroup read_group(Job* job = nullptr) const;
    /** The volume of that name. @throws Error not_found  there is none, or it is not finished */
    const LvmLv& find(const LvmGroup& group, std::string_view name) const;
    /** @param previous  its last record, or null: spares a look at its header */
    VolumeRecord record(const LvmLv& lv, const VolumeRecord* previous) const;
    VolumeDef describe(const LvmGroup& group, const LvmLv& lv) const;
    /** Those whose state goes back to `lv`, oldest first. */
    std::vector<const LvmLv*> snapshots_of(const LvmGroup& group, const LvmLv& lv) const;

    const std::string& group_name() const { return group_; }
    std::string directory() const { return "/dev/" + group_; }
    std::string path_of(std::string_view name) const
    {
        return directory() + '/' + std::string(name);
    }

private:
    std::string group_;
    const Host& host_;
};

/** What a volume occupies. Of a thin one, as long as it is active, what is written. */
std::uint64_t allocation_of(const LvmLv& lv);
/** A device that LVM counts as missing because the group was changed without it, and that is there
 * again. */
bool is_back(const LvmPv& pv);

} // namespace storage::inline v1
