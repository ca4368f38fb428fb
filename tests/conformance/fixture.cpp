// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fixture.hpp"

#include <map>

std::string example_definition(std::string_view type, const Scratch& scratch)
{
    const auto target = "<target><path>" + scratch.target() + "</path></target>";
    const auto by_path = std::string("<target><path>/dev/disk/by-path</path></target>");
    const std::map<std::string_view, std::string> parts{
        {"dir", target},
        {"fs", "<source><device path='/dev/vg/images'/></source>" + target},
        {"netfs", "<source><host name='nfs.example.com'/><dir path='/export'/><format "
                  "type='nfs'/></source>" +
                      target},
        {"logical", "<source><device path='/dev/sda1'/><device path='/dev/sdb1'/></source>"},
        {"disk", "<source><device path='/dev/sda'/><format "
                 "type='gpt'/></source><target><path>/dev</path></target>"},
        {"iscsi", "<source><host name='iscsi.example.com'/><device "
                  "path='iqn.2013-06.com.example:pool'/></source>" +
                      by_path},
        {"iscsi-direct",
         "<source><host name='iscsi.example.com'/><device path='iqn.2013-06.com.example:pool'/>"
         "<initiator><iqn name='iqn.2013-06.com.example:host'/></initiator></source>"},
        {"scsi", "<source><adapter name='host0'/></source>" + by_path},
        {"mpath", "<target><path>/dev/mapper</path></target>"},
        {"rbd", "<source><name>rbdpool</name><host name='1.2.3.4'/><host name='mon.example.com' "
                "port='6789'/>"
                "<auth username='admin' type='ceph'><secret "
                "uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87'/></auth></source>"},
        {"sheepdog", "<source><name>sheep</name><host name='localhost' port='7000'/></source>"},
        {"gluster", "<source><name>volname</name><host name='localhost'/><dir path='/'/></source>"},
        {"zfs", "<source><name>tank/vms</name><device path='/dev/ada1'/></source>"},
        {"vstorage", "<source><name>cluster</name></source>" + target},
    };
    return "<pool type='" + std::string(type) + "'><name>example</name>" + parts.at(type) +
           "</pool>";
}

Ground::Ground(std::string_view type, const Scratch& scratch)
{
    if (type == "dir") {
        definition_ = example_definition(type, scratch);
    } else if (type == "disk") {
        disk_ = LoopDevice::make(scratch.directory / "disk", std::uint64_t{64} << 20, missing_);
        if (disk_)
            definition_ =
                "<pool type='disk'><name>example</name><source><device path='" + disk_->path() +
                "'/><format type='dos'/></source><target><path>/dev</path></target></pool>";
    } else {
        missing_ = "pools of type '" + std::string(type) + "' need the lab";
    }
}
