// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fixture.hpp"

#include "fakes/fake_ceph.hpp"
#include "lab.hpp"
#include "mounts.hpp"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

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

namespace {

/** An image with a file system, which mount(8) puts on a loop device. */
std::string file_system_definition(const Scratch& scratch, std::string& why_not)
{
    const auto image = scratch.directory / "fs.img";
    if (::geteuid() != 0 || !private_mounts()) {
        why_not = "mounting needs root";
        return {};
    }
    const auto command = "truncate -s 64M " + image + " && mkfs.ext4 -q -F " + image;
    if (std::system(command.c_str()) != 0 || LoopDevice(image).path().empty()) {
        why_not = "no mkfs.ext4 or no loop device";
        return {};
    }
    return "<pool type='fs'><name>example</name><source><device path='" + image +
           "'/><format type='ext4'/></source><target><path>" + scratch.target() +
           "</path></target></pool>";
}

std::string disk_definition(const Scratch& scratch, std::shared_ptr<void>& source,
                            std::string& why_not)
{
    const auto image = scratch.directory / "disk.img";
    scratch.directory.write("disk.img", "");
    std::filesystem::resize_file(image, 64 << 20);
    const auto disk = std::make_shared<LoopDevice>(image, LO_FLAGS_PARTSCAN);
    if (disk->path().empty()) {
        why_not = "no loop devices, which need root";
        return {};
    }
    source = disk;
    return "<pool type='disk'><name>example</name><source><device path='" + disk->path() +
           "'/><format type='dos'/></source><target><path>/dev</path></target></pool>";
}

std::string logical_definition(std::shared_ptr<void>& source, std::string& why_not)
{
    if (!in_lab()) {
        why_not = "its storage is in the lab only";
        return {};
    }
    const auto clean = [](void*) {
        std::system("{ vgremove --yes --force conformance; pvremove --yes --force /dev/vda;"
                    "wipefs -a /dev/vda; } > /dev/null 2>&1");
    };
    clean(nullptr);
    lab_run("modprobe -a dm-mod dm-snapshot dm-thin-pool");
    source = std::shared_ptr<void>(nullptr, clean);
    return "<pool type='logical'><name>example</name><source><device path='" + lab_disk('a') +
           "'/><name>conformance</name></source></pool>";
}

/** In the cluster that tests/lab/clusters/ceph started, else in a simulated one. */
std::string rbd_definition(const Scratch& scratch, std::shared_ptr<void>& source)
{
    constexpr auto uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd87";
    std::string host = "name='192.0.2.1'";
    std::string key;
    if (const char* directory = std::getenv("BASIN_CEPH")) {
        std::string name;
        std::string port;
        std::ifstream(std::string(directory) + "/monitor") >> name >> port;
        host = "name='" + name + "' port='" + port + "'";
        std::ifstream(std::string(directory) + "/virt.key") >> key;
    } else {
        const auto cluster = std::make_shared<fake_ceph::Cluster>();
        key = cluster->key;
        source = cluster;
    }
    ::mkdir((scratch.directory / "secrets").c_str(), 0700);
    const auto file = scratch.directory / "secrets/" + uuid;
    std::ofstream(file) << key;
    ::chmod(file.c_str(), 0600);
    return "<pool type='rbd'><name>example</name><source><name>rbd</name><host " + host +
           "/><auth type='ceph' username='virt'><secret uuid='" + uuid +
           "'/></auth></source></pool>";
}

} // namespace

bool needs_lab(std::string_view type)
{
    return type == "logical";
}

std::string working_definition(std::string_view type, const Scratch& scratch,
                               std::shared_ptr<void>& source, std::string& why_not)
{
    if (type == "dir")
        return example_definition(type, scratch);
    if (type == "fs")
        return file_system_definition(scratch, why_not);
    if (type == "disk")
        return disk_definition(scratch, source, why_not);
    if (type == "logical")
        return logical_definition(source, why_not);
    if (type == "rbd")
        return rbd_definition(scratch, source);
    why_not = "there is none";
    return {};
}
