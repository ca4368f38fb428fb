// SPDX-License-Identifier: GPL-3.0-or-later
#include "table.hpp"
#include "dm_partitions.hpp"
#include "guard.hpp"
#include "types.hpp"

#include <blkid/blkid.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <utility>

namespace partition_helper {
namespace {

std::vector<std::string> messages;
Handling handling = Handling::read;

PedExceptionOption on_exception(PedException* exception)
{
    constexpr std::size_t message_limit = 64;
    if (messages.size() < message_limit && exception->message)
        messages.emplace_back(exception->message);
    const auto allowed = exception->options;
    // A GPT whose copy is not at the end of a disk that grew: writing puts it there. A plan's disk
    // is open for reading, and libparted goes on when it is told that this does not matter.
    if ((allowed & PED_EXCEPTION_FIX) && handling != Handling::read)
        return PED_EXCEPTION_FIX;
    if ((allowed & PED_EXCEPTION_IGNORE) && handling != Handling::write)
        return PED_EXCEPTION_IGNORE;
    if ((allowed & PED_EXCEPTION_IGNORE) && (allowed & PED_EXCEPTION_FIX) == 0 &&
        exception->type <= PED_EXCEPTION_WARNING)
        return PED_EXCEPTION_IGNORE;
    // One of the two copies of a GPT is damaged: the other one is used.
    if (allowed & PED_EXCEPTION_OK)
        return PED_EXCEPTION_OK;
    if (allowed & PED_EXCEPTION_NO)
        return PED_EXCEPTION_NO;
    if (allowed & PED_EXCEPTION_CANCEL)
        return PED_EXCEPTION_CANCEL;
    return PED_EXCEPTION_UNHANDLED;
}

std::string number_of(const struct stat& status)
{
    return std::to_string(major(status.st_rdev)) + ':' + std::to_string(minor(status.st_rdev));
}

struct ProbeDeleter {
    void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};

std::string text(const char* string)
{
    return string ? string : "";
}

} // namespace

std::vector<std::string> take_messages()
{
    return std::exchange(messages, {});
}

std::string said()
{
    std::string result;
    for (const auto& message : take_messages())
        result += (result.empty() ? "" : "; ") + message;
    for (auto& c : result)
        if (c == '\n')
            c = ' ';
    return result.empty() ? "libparted does not say why" : result;
}

void install_handler(Handling how)
{
    handling = how;
    ped_exception_set_handler(on_exception);
}

OpenDisk::OpenDisk(const Request& request, bool write) : path_(request.device), mark_(request.mark)
{
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ < 0)
        throw system_refusal(errno, "cannot open '" + path_ + "'");
    struct stat mine {};
    if (::fstat(fd_, &mine) != 0)
        throw system_refusal(errno, "cannot read '" + path_ + "'");
    if (!S_ISBLK(mine.st_mode) && !S_ISREG(mine.st_mode))
        throw Refusal("invalid_argument", "'" + path_ + "' is no block device and no image file");
    if (!request.device_number.empty() && request.device_number != number_of(mine))
        throw Refusal("invalid_state", "'" + path_ + "' is device " + number_of(mine) +
                                           " now and was " + request.device_number);
    kernel_ = std::make_unique<KernelDisk>(fd_, path_, request.part_separator);
    if (kernel_->is_partition())
        throw Refusal("invalid_argument", "'" + path_ + "' is a partition, not a disk");
    if (!write) {
        if (kernel_->is_device_mapper())
            DmPartitions::open_control();
        refuse_writing();
    }
    if (write)
        lock(std::chrono::milliseconds(request.patience));
    if (request.sector_size != 0 && S_ISREG(mine.st_mode))
        ::setenv("PARTED_SECTOR_SIZE", std::to_string(request.sector_size).c_str(), 1);
    device_ = ped_device_get(path_.c_str());
    if (!device_)
        throw Refusal("io", "cannot read the disk '" + path_ + "': " + said());
    // libparted opens the path again, which must not be another file by now.
    struct stat theirs {};
    if (::stat(device_->path, &theirs) != 0 || theirs.st_rdev != mine.st_rdev ||
        (S_ISREG(mine.st_mode) && (theirs.st_ino != mine.st_ino || theirs.st_dev != mine.st_dev)))
        throw Refusal("invalid_state", "'" + path_ + "' changed while it was opened");
    if (!ped_device_open(device_))
        throw Refusal("io", "cannot open the disk '" + path_ + "': " + said());
    opened_ = true;
    if (write && device_->read_only)
        throw Refusal("permission_denied", "'" + path_ + "' can only be read: " + said());
    if (!write)
        take_messages();
}

OpenDisk::~OpenDisk()
{
    table_.reset();
    if (opened_)
        ped_device_close(device_);
    if (fd_ >= 0)
        ::close(fd_);
}

/** systemd.io/BLOCK_DEVICE_LOCKING: udev reads a locked disk's partitions only when it is free. */
void OpenDisk::lock(std::chrono::milliseconds patience)
{
    using namespace std::chrono;
    const auto end = steady_clock::now() + patience;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw system_refusal(errno, "cannot lock '" + path_ + "'");
        if (steady_clock::now() >= end)
            throw Refusal("busy", "another program holds the lock of '" + path_ + "'",
                          "try again when it has finished");
        std::this_thread::sleep_for(milliseconds(50));
    }
    // From here on a table is written whole or not at all, as far as a signal is concerned.
    std::signal(SIGTERM, SIG_IGN);
}

/** Whoever asked may have been killed, and be undoing by now what has not been done yet. The mark
 * comes first: who stops listening and then finds none knows that nothing will be written. */
void OpenDisk::begin_writing() const
{
    if (!mark_.empty()) {
        const int fd = ::open(mark_.c_str(), O_WRONLY | O_CLOEXEC);
        const bool marked = fd >= 0 && ::write(fd, "x", 1) == 1;
        const int error = errno;
        if (fd >= 0)
            ::close(fd);
        if (!marked)
            throw system_refusal(error, "cannot write to '" + mark_ + "'");
    }
    pollfd answer{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&answer, 1, 0) > 0 && (answer.revents & POLLERR))
        throw Refusal("cancelled", "nobody listens any more");
}

std::uint64_t OpenDisk::sector_size() const
{
    return static_cast<std::uint64_t>(device_->sector_size);
}

std::uint64_t OpenDisk::size() const
{
    return bytes(device_->length);
}

std::uint64_t OpenDisk::bytes(std::int64_t sectors) const
{
    return static_cast<std::uint64_t>(sectors) * sector_size();
}

std::string OpenDisk::probe() const
{
    const auto* type = ped_disk_probe(device_);
    // "loop" is libparted's word for a file system without a table.
    return type && std::string_view(type->name) != "loop" ? type->name : "";
}

void OpenDisk::read(const Request& request)
{
    const auto found = probe();
    if (found.empty())
        throw Refusal("invalid_state", "'" + path_ + "' has no partition table",
                      "build the pool to make one");
    if (!request.table.empty() && request.table != basin_table_name(found))
        throw Refusal("invalid_state", "'" + path_ + "' has a partition table of type '" +
                                           basin_table_name(found) + "', not '" + request.table +
                                           "'");
    table_.reset(ped_disk_new(device_));
    if (!table_)
        throw Refusal("parse_failed",
                      "cannot read the partition table of '" + path_ + "': " + said());
    if (ped_disk_is_flag_available(table_.get(), PED_DISK_CYLINDER_ALIGNMENT))
        ped_disk_set_flag(table_.get(), PED_DISK_CYLINDER_ALIGNMENT, 0);
    read_entries();
    if (!request.disk_id.empty() && request.disk_id != disk_id_)
        throw Refusal("invalid_state", "the partition table of '" + path_ + "' is '" + disk_id_ +
                                           "' now and was '" + request.disk_id + "'");
}

void OpenDisk::make(const std::string& table)
{
    const auto* type = ped_disk_type_get(parted_table_name(table).c_str());
    if (!type || table == "loop")
        throw Refusal("not_supported", "libparted cannot make a table of type '" + table + "'");
    table_.reset(ped_disk_new_fresh(device_, type));
    if (!table_)
        throw Refusal("not_supported",
                      "cannot make a table of type '" + table + "' on '" + path_ + "': " + said());
    if (ped_disk_is_flag_available(table_.get(), PED_DISK_CYLINDER_ALIGNMENT))
        ped_disk_set_flag(table_.get(), PED_DISK_CYLINDER_ALIGNMENT, 0);
}

std::string OpenDisk::first_sector() const
{
    std::string sector(sector_size(), '\0');
    if (!ped_device_read(device_, sector.data(), 0, 1))
        throw Refusal("io", "cannot read '" + path_ + "': " + said());
    return sector;
}

void OpenDisk::write_first_sector(const std::string& sector)
{
    if (!ped_device_write(device_, sector.data(), 0, 1))
        throw Refusal("io", "cannot write to '" + path_ + "': " + said());
}

/** Where a dos table has no boot code, libparted writes some, and another identity of the disk, by
 * which its partitions are known (PARTUUID); one without identity gets one. */
void OpenDisk::commit()
{
    constexpr std::size_t identity = 440;
    const std::string none(4, '\0');
    auto sector = table_name() == "dos" ? first_sector() : std::string(512, '\0');
    const bool is_there = sector.compare(510, 2, "\x55\xaa") == 0;
    const bool has_identity = sector.compare(identity, none.size(), none) != 0;
    if (is_there && has_identity && sector[0] == 0) {
        sector.replace(0, 4, "\xcd\x18\xeb\xfe"); // int 18h: nothing to boot from here
        write_first_sector(sector);
    }
    if (!ped_disk_commit_to_dev(table_.get()))
        throw Refusal("io", "cannot write the partition table of '" + path_ + "': " + said());
    if (is_there && !has_identity)
        write_first_sector(first_sector().replace(identity, none.size(), none));
}

void OpenDisk::write()
{
    begin_writing();
    commit();
    if (!ped_device_sync(device_))
        throw Refusal("io", "cannot flush '" + path_ + "': " + said());
    read_entries();
}

std::int64_t OpenDisk::end_length(std::int64_t length) const
{
    constexpr std::uint64_t end_size = 1024 * 1024;
    return std::min<std::int64_t>(static_cast<std::int64_t>(end_size / sector_size()), length);
}

void OpenDisk::clear_ends(std::int64_t first, std::int64_t length)
{
    const auto count = end_length(length);
    begin_writing();
    const std::string zeros(static_cast<std::size_t>(bytes(count)), '\0');
    if (!ped_device_write(device_, zeros.data(), first, count) ||
        !ped_device_write(device_, zeros.data(), first + length - count, count) ||
        !ped_device_sync(device_))
        throw Refusal("io", "cannot clear sectors " + std::to_string(first) + " to " +
                                std::to_string(first + length - 1) + " of '" + path_ +
                                "' at both ends: " + said());
}

void OpenDisk::clear_ends()
{
    clear_ends(0, device_->length);
}

std::pair<std::string, std::string> OpenDisk::read_ends() const
{
    const auto count = end_length(device_->length);
    std::string first(static_cast<std::size_t>(bytes(count)), '\0');
    auto last = first;
    if (!ped_device_read(device_, first.data(), 0, count) ||
        !ped_device_read(device_, last.data(), device_->length - count, count))
        throw Refusal("io", "cannot read '" + path_ + "': " + said());
    return {first, last};
}

void OpenDisk::write_ends(const std::pair<std::string, std::string>& ends)
{
    const auto count = end_length(device_->length);
    if (!ped_device_write(device_, ends.second.data(), device_->length - count, count) ||
        !ped_device_write(device_, ends.first.data(), 0, count) || !ped_device_sync(device_))
        throw Refusal("io",
                      "cannot write back what '" + path_ + "' began and ended with: " + said());
}

void OpenDisk::require_writable() const
{
    int is_read_only = 0;
    if (kernel_->is_block_device() && ::ioctl(fd_, BLKROGET, &is_read_only) == 0 && is_read_only)
        throw Refusal("permission_denied", "'" + path_ + "' is read-only",
                      "make it writable (blockdev --setrw), or choose another disk");
}

bool OpenDisk::is_hybrid() const
{
    unsigned char sector[512]{};
    if (::pread(fd_, sector, sizeof sector, 0) != static_cast<ssize_t>(sizeof sector) ||
        sector[510] != 0x55 || sector[511] != 0xaa)
        return false;
    bool is_gpt = false;
    bool has_others = false;
    for (std::size_t entry = 446; entry < 510; entry += 16) {
        const auto type = sector[entry + 4];
        is_gpt |= type == 0xee;
        has_others |= type != 0xee && type != 0;
    }
    return is_gpt && has_others;
}

std::string OpenDisk::table_name() const
{
    return basin_table_name(table_->type->name);
}

/** libparted 3.5 tells neither types nor identities; libblkid does. */
void OpenDisk::read_entries()
{
    entries_.clear();
    disk_id_.clear();
    const std::unique_ptr<blkid_struct_probe, ProbeDeleter> probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), fd_, 0, 0) != 0)
        throw Refusal("io", "cannot read '" + path_ + "'");
    blkid_probe_set_sectorsize(probe.get(), static_cast<unsigned>(sector_size()));
    blkid_probe_enable_superblocks(probe.get(), 0);
    blkid_probe_enable_partitions(probe.get(), 1);
    auto* list = blkid_probe_get_partitions(probe.get());
    const int count = list ? blkid_partlist_numof_partitions(list) : 0;
    for (int i = 0; i < count; ++i) {
        auto* found = blkid_partlist_get_partition(list, i);
        Entry entry{.start = static_cast<std::uint64_t>(blkid_partition_get_start(found)) * 512,
                    .name = text(blkid_partition_get_name(found))};
        const auto* type = blkid_partition_get_type_string(found);
        char code[16];
        std::snprintf(code, sizeof code, "0x%x",
                      static_cast<unsigned>(blkid_partition_get_type(found)));
        entry.type = type ? type : code;
        // For other tables libblkid makes up an identity from the disk's and the number.
        if (table_->type->name == std::string_view("gpt"))
            entry.guid = text(blkid_partition_get_uuid(found));
        entries_.push_back(std::move(entry));
    }
    if (auto* table = list ? blkid_partlist_get_table(list) : nullptr)
        disk_id_ = text(blkid_parttable_get_id(table));
}

const OpenDisk::Entry* OpenDisk::entry(const PedPartition& partition) const
{
    for (const auto& each : entries_)
        if (each.start == bytes(partition.geom.start))
            return &each;
    return nullptr;
}

std::vector<PedPartition*> OpenDisk::partitions() const
{
    std::vector<PedPartition*> result;
    for (auto* part = ped_disk_next_partition(table_.get(), nullptr); part;
         part = ped_disk_next_partition(table_.get(), part)) {
        if (!ped_partition_is_active(part))
            continue;
        if (result.size() == partition_limit)
            throw Refusal("not_supported", "'" + path_ + "' has more than " +
                                               std::to_string(partition_limit) + " partitions");
        result.push_back(part);
    }
    return result;
}

std::vector<Region> OpenDisk::free() const
{
    // What the table can say at all: 2^32 sectors with dos, for example; gpt sets no limit (-1).
    const auto longest = ped_disk_max_partition_length(table_.get());
    const auto last_start = ped_disk_max_partition_start_sector(table_.get());
    std::vector<Region> result;
    for (auto* part = ped_disk_next_partition(table_.get(), nullptr); part;
         part = ped_disk_next_partition(table_.get(), part)) {
        const bool logical = (part->type & PED_PARTITION_LOGICAL) != 0;
        if (!(part->type & PED_PARTITION_FREESPACE) ||
            (last_start > 0 && part->geom.start > last_start))
            continue;
        if (logical && !has_extended())
            continue; // the volume header of a dvh table, for boot programs
        Region region{.first = std::max<PedSector>(part->geom.start, 1),
                      .last = part->geom.end,
                      .logical = logical};
        if (longest > 0 && region.last - region.first >= longest)
            region.last = region.first + longest - 1;
        result.push_back(region);
    }
    return result;
}

PartitionInfo OpenDisk::describe(int number) const
{
    for (auto& info : describe())
        if (info.number == number)
            return info;
    throw Refusal("internal", "partition " + std::to_string(number) + " vanished");
}

std::vector<PartitionInfo> OpenDisk::describe() const
{
    std::vector<PartitionInfo> result;
    const auto table = table_name();
    for (auto* part : partitions()) {
        PartitionInfo info{.number = part->num,
                           .kind = part->type & PED_PARTITION_EXTENDED  ? "extended"
                                   : part->type & PED_PARTITION_LOGICAL ? "logical"
                                                                        : "primary",
                           .start = bytes(part->geom.start),
                           .length = bytes(part->geom.length)};
        const std::unique_ptr<char, decltype(&::free)> path(ped_partition_get_path(part), ::free);
        info.path = kernel_->node(part->num, text(path.get()));
        if (const auto* found = entry(*part)) {
            info.type = found->type;
            info.guid = found->guid;
            info.name = found->name;
        }
        info.format = format_of(table, info.type, *part);
        if (info.type == "Apple_partition_map" || (info.kind == "extended" && !has_extended()) ||
            is_boot_file(*part))
            info.kind = "metadata";
        if (info.kind == "extended")
            info.format = "extended";
        for (auto flag = ped_partition_flag_next(static_cast<PedPartitionFlag>(0)); flag;
             flag = ped_partition_flag_next(flag))
            if (ped_partition_is_flag_available(part, flag) && ped_partition_get_flag(part, flag))
                info.flags.emplace_back(ped_partition_flag_get_name(flag));
        result.push_back(std::move(info));
    }
    return result;
}

Alignment OpenDisk::alignment(const Request& request) const
{
    // Tables that count in cylinders (sun, pc98) say so; 1 means that any sector will do.
    const std::unique_ptr<PedAlignment, decltype(&ped_alignment_destroy)> of_table(
        ped_disk_get_partition_alignment(table_.get()), ped_alignment_destroy);
    if (of_table && of_table->grain_size > 1)
        return {.offset = of_table->offset, .grain = of_table->grain_size};
    const auto size = sector_size();
    if (request.alignment) {
        if (*request.alignment < size || *request.alignment % size != 0 ||
            *request.alignment > this->size())
            throw Refusal("invalid_argument", "alignment " + std::to_string(*request.alignment) +
                                                  " is no multiple of the sector size");
        return {.grain = static_cast<std::int64_t>(*request.alignment / size)};
    }
    const auto usual = static_cast<std::int64_t>(default_alignment / size);
    const std::unique_ptr<PedAlignment, decltype(&ped_alignment_destroy)> optimal(
        ped_device_get_optimum_alignment(device_), ped_alignment_destroy);
    // Some USB bridges announce 33553920 bytes, which aligns nothing: not a multiple of 4096.
    constexpr std::uint64_t most = std::uint64_t{64} << 20;
    if (!optimal || optimal->grain_size <= 0 || bytes(optimal->grain_size) > most ||
        bytes(optimal->grain_size) % 4096 != 0)
        return {.grain = usual};
    const auto both = std::lcm(optimal->grain_size, usual);
    return {.offset = optimal->offset, .grain = bytes(both) > most ? optimal->grain_size : both};
}

} // namespace partition_helper
