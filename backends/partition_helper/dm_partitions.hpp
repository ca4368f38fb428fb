// SPDX-License-Identifier: GPL-3.0-or-later
// Partitions of a device-mapper disk: each is a linear device of its own, as kpartx(8) makes them.
#pragma once

#include "kernel.hpp"

#include <map>
#include <string>

namespace partition_helper {

class DmPartitions {
public:
    /** @param directory  the disk's in sysfs. @param always_p  put "p" before each number */
    DmPartitions(const std::string& directory, std::string device_number, bool always_p);

    /** Opens what libdevmapper writes its commands to, which also reading needs. */
    static void open_control();

    std::map<int, Extent> partitions() const;
    /** Named as those that are there; else as libparted and libvirt do: "p" after a digit. */
    std::string node(int number) const;
    void add(int number, const Extent& extent) const;
    void remove(int number) const;
    void resize(int number, const Extent& extent) const;

private:
    struct Partition {
        std::string name{};
        Extent extent{};
    };
    std::map<int, Partition> find() const;
    std::string name_for(int number, const std::map<int, Partition>& known) const;

    std::string directory_;
    std::string device_number_;
    bool always_p_;
    std::string name_{};
    std::string uuid_{};
};

} // namespace partition_helper
