// SPDX-License-Identifier: LGPL-2.1-or-later
// Devices of the lab that fail when they are told to.
#pragma once

#include "aftermath.hpp"
#include "lab.hpp"
#include "mounts.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

/** A device-mapper device over the start of the lab's third disk, which can be made to fail. */
class FailingDevice {
public:
    static constexpr std::uint64_t sectors = 1024 * mib / 512;

    FailingDevice() { lab_run("dmsetup create " + name_ + " --table '" + linear() + "'"); }
    ~FailingDevice() { succeeds("dmsetup remove --retry " + name_); }
    FailingDevice(const FailingDevice&) = delete;
    FailingDevice& operator=(const FailingDevice&) = delete;

    std::string path() const { return "/dev/mapper/" + name_; }

    /** The power fails: from now on nothing is read or written, and what waits is lost. */
    void fail() { replace("0 " + sectors_ + " error"); }

    /** From now on the disk can only be read. */
    void fail_writes()
    {
        replace("0 " + sectors_ + " flakey " + disk_ + " 0 0 3600 1 error_writes");
    }

    /** From now on a sector cannot be read. */
    void fail_sector(std::uint64_t sector)
    {
        const auto start = std::to_string(sector), behind = std::to_string(sector + 1);
        replace("0 " + start + " linear " + disk_ + " 0\n" + start + " 1 error\n" + behind + ' ' +
                std::to_string(sectors - sector - 1) + " linear " + disk_ + ' ' + behind);
    }

    void work() { replace(linear()); }

    /** From now on whoever reads or writes waits. */
    void suspend() { lab_run("dmsetup suspend --nolockfs --noflush " + name_); }
    void resume() { lab_run("dmsetup resume " + name_); }

private:
    std::string linear() const { return "0 " + sectors_ + " linear " + disk_ + " 0"; }

    void replace(const std::string& table)
    {
        suspend();
        lab_run("printf '" + table + "' | dmsetup load " + name_);
        resume();
    }

    std::string name_{"basin-lab"};
    std::string disk_{lab_disk('c')};
    std::string sectors_{std::to_string(sectors)};
};

/** Keeps a device suspended; not for ever, so that a call that does not come back is a failed test.
 */
class Suspension {
public:
    explicit Suspension(FailingDevice& device) : device_(device)
    {
        device_.suspend();
        watchdog_ = std::thread([this] {
            std::unique_lock lock(mutex_);
            was_in_time_ = ended_.wait_for(lock, std::chrono::minutes(1), [&] { return over_; });
            device_.resume();
        });
    }
    ~Suspension() { end(); }
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;

    /** The device works again. @return false where that was so before */
    bool end()
    {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        ended_.notify_all();
        if (watchdog_.joinable())
            watchdog_.join();
        return was_in_time_;
    }

private:
    FailingDevice& device_;
    std::mutex mutex_{};
    std::condition_variable ended_{};
    bool over_{};
    bool was_in_time_{};
    std::thread watchdog_{};
};

/** A SCSI disk in memory that can be pulled out. */
class RemovableDisk {
public:
    RemovableDisk()
    {
        lab_run("modprobe scsi_debug dev_size_mb=320 && udevadm settle");
        for (const auto& entry : std::filesystem::directory_iterator("/sys/block"))
            if (std::filesystem::canonical(entry).string().find("/pseudo_") != std::string::npos)
                name_ = entry.path().filename();
        if (name_.empty())
            throw std::runtime_error("scsi_debug made no disk");
    }
    ~RemovableDisk()
    {
        succeeds("udevadm settle; for i in 1 2 3 4 5; do rmmod scsi_debug && break; sleep 1; done");
    }
    RemovableDisk(const RemovableDisk&) = delete;
    RemovableDisk& operator=(const RemovableDisk&) = delete;

    std::string path() const { return "/dev/" + name_; }
    /** A name that udev made, and takes away with the disk. */
    std::string link() const
    {
        for (const auto& entry : std::filesystem::directory_iterator("/dev/disk/by-id"))
            if (std::filesystem::canonical(entry) == path())
                return entry.path();
        throw std::runtime_error(path() + " has no link");
    }
    void pull() const
    {
        lab_run("echo 1 > /sys/block/" + name_ + "/device/delete && udevadm settle");
    }

private:
    std::string name_{};
};
