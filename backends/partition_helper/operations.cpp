// SPDX-License-Identifier: GPL-3.0-or-later
#include "operations.hpp"
#include "table.hpp"
#include "types.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <utility>

namespace partition_helper {
namespace {

Json to_json(const PartitionInfo& info)
{
    return {{"number", info.number}, {"path", info.path},     {"kind", info.kind},
            {"start", info.start},   {"length", info.length}, {"format", info.format},
            {"type", info.type},     {"guid", info.guid},     {"name", info.name},
            {"flags", info.flags}};
}

Json describe(const OpenDisk& disk, const Request& request)
{
    Json partitions = Json::array();
    for (const auto& each : disk.describe())
        partitions.push_back(to_json(each));
    const auto alignment = disk.alignment(request);
    Json free = Json::array();
    for (const auto& each : disk.free())
        if (const auto region = usable(each, alignment))
            free.push_back({{"start", disk.bytes(region->first)},
                            {"length", disk.bytes(region->last - region->first + 1)},
                            {"kind", region->logical ? "logical" : "primary"}});
    return {{"table", disk.table_name()},
            {"disk_id", disk.disk_id()},
            {"alignment", disk.bytes(alignment.grain)},
            {"partitions", partitions},
            {"free", free}};
}

Json with_device(const OpenDisk& disk, Json answer)
{
    answer["sector_size"] = disk.sector_size();
    answer["physical_sector_size"] = static_cast<std::uint64_t>(disk.device().phys_sector_size);
    answer["size"] = disk.size();
    return answer;
}

/** The partitions by where they are, which does not change when numbers do. */
std::map<Extent, int, bool (*)(const Extent&, const Extent&)> numbers(const OpenDisk& disk)
{
    std::map<Extent, int, bool (*)(const Extent&, const Extent&)> result(
        [](const Extent& a, const Extent& b) {
            return a.start != b.start ? a.start < b.start : a.length < b.length;
        });
    for (const auto* part : disk.partitions())
        result[{.start = disk.bytes(part->geom.start), .length = disk.bytes(part->geom.length)}] =
            part->num;
    return result;
}

std::string shown(int number)
{
    return "partition " + std::to_string(number);
}

/** Of an extended partition the kernel shows only the beginning, so that a boot loader can be put
 * there and nothing else (msdos_partition in block/partitions/msdos.c). */
Extent kernel_extent(const PartitionInfo& info, const std::vector<PartitionInfo>& all,
                     std::uint64_t sector_size)
{
    if (info.kind != "extended")
        return {.start = info.start, .length = info.length};
    auto length = std::min(info.length, std::max<std::uint64_t>(1024, sector_size));
    // The first logical partition may begin in its second sector, and BLKPG lets no two overlap.
    for (const auto& each : all)
        if (each.kind == "logical")
            length = std::min(length, each.start - info.start);
    return {.start = info.start, .length = length};
}

/**
 * Partitions that are taken from the kernel before the table is written: one in use refuses, and
 * then nothing happened. Comes back unless accept() is called.
 */
class TakenFromKernel {
public:
    explicit TakenFromKernel(const OpenDisk& disk) : disk_(disk) {}
    ~TakenFromKernel()
    {
        for (const auto& [number, extent] : taken_)
            try {
                disk_.kernel().add(number, extent);
            } catch (const Refusal&) {
                // It stays away until the next sync; there is nobody left to tell.
            }
    }
    TakenFromKernel(const TakenFromKernel&) = delete;
    TakenFromKernel& operator=(const TakenFromKernel&) = delete;

    void take(int number)
    {
        const auto known = disk_.kernel().partitions();
        const auto found = known.find(number);
        if (found == known.end())
            return;
        remove(number);
        taken_[number] = found->second;
    }
    void accept() { taken_.clear(); }

private:
    /** udev opens what has just appeared or changed, for a moment; that is no use of it. */
    void remove(int number) const
    {
        using namespace std::chrono;
        for (const auto end = steady_clock::now() + seconds(2);;)
            try {
                return disk_.kernel().remove(number);
            } catch (const Refusal& refusal) {
                if (std::string_view(refusal.code()) != "busy")
                    throw;
                if (steady_clock::now() >= end)
                    throw Refusal("busy", shown(number) + " of '" + disk_.path() + "' is in use",
                                  "unmount it or stop what uses it");
                std::this_thread::sleep_for(milliseconds(50));
            }
    }

    const OpenDisk& disk_;
    std::map<int, Extent> taken_{};
};

/** Makes the kernel's partitions those of the table, leaving alone what agrees. Before a change it
 * finds out what the kernel would not take afterwards: another tool's change to what is in use. */
void update_kernel(OpenDisk& disk)
{
    const auto& kernel = disk.kernel();
    if (!kernel.is_block_device())
        return;
    std::map<int, Extent> wanted;
    const auto all = disk.describe();
    for (const auto& info : all)
        if (!disk.is_boot_file(*ped_disk_get_partition(&disk.table(), info.number)))
            wanted[info.number] = kernel_extent(info, all, disk.sector_size());
    // First what goes, then what becomes shorter: the kernel lets no two of them overlap.
    std::vector<std::pair<int, Extent>> longer;
    std::vector<std::pair<int, Extent>> shorter;
    for (const auto& [number, extent] : kernel.partitions()) {
        const auto want = wanted.find(number);
        if (want == wanted.end() || want->second.start != extent.start) {
            kernel.remove(number);
            continue;
        }
        if (want->second.length != extent.length)
            (want->second.length > extent.length ? longer : shorter).push_back(*want);
        wanted.erase(want);
    }
    for (const auto* list : {&shorter, &longer})
        for (const auto& [number, extent] : *list)
            kernel.resize(number, extent);
    for (const auto& [number, extent] : wanted)
        kernel.add(number, extent);
}

void need_partitions(const OpenDisk& disk)
{
    if (disk.kernel().is_block_device() && !disk.kernel().takes_partitions())
        throw Refusal("not_supported", "the kernel shows no partitions of '" + disk.path() + "'",
                      "attach a loop device with 'losetup --partscan'");
}

/** What will write the table. */
void require_changeable(const OpenDisk& disk)
{
    disk.require_writable();
    if (disk.is_hybrid())
        throw Refusal("not_supported",
                      "'" + disk.path() +
                          "' has a hybrid table: a gpt, and in the dos table before "
                          "it partitions that libparted would delete",
                      "change it with gdisk, which can also make a plain gpt of it");
}

bool same_guid(std::string_view a, std::string_view b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
        return std::tolower(x) == std::tolower(y);
    });
}

/** The partition that the request names; everything that it says of it must be true. */
PedPartition& find(const OpenDisk& disk, const Request& request)
{
    if (request.number == 0 || (request.guid.empty() && !(request.start && request.length)))
        throw Refusal(
            "invalid_argument",
            "request: a partition is named by 'number' and 'start' with 'length' or 'guid'");
    for (const auto& info : disk.describe()) {
        if (info.number != request.number)
            continue;
        if (info.kind == "metadata")
            throw Refusal("not_supported", shown(request.number) + " of '" + disk.path() +
                                               "' belongs to the table itself");
        if ((!request.guid.empty() && !same_guid(request.guid, info.guid)) ||
            (request.start && *request.start != info.start) ||
            (request.length && *request.length != info.length))
            throw Refusal("invalid_state",
                          shown(request.number) + " of '" + disk.path() + "' is another one by now",
                          "refresh the pool");
        return *ped_disk_get_partition(&disk.table(), request.number);
    }
    throw Refusal("not_found", "'" + disk.path() + "' has no " + shown(request.number),
                  "refresh the pool");
}

std::int64_t sectors_for(const OpenDisk& disk, std::uint64_t size)
{
    if (size == 0)
        throw Refusal("invalid_argument",
                      "a partition of 0 bytes on '" + disk.path() + "' is not possible",
                      "give a size above 0");
    return static_cast<std::int64_t>((size - 1) / disk.sector_size() + 1);
}

struct Counts {
    int primary{}; ///< with the extended one
    bool extended{};
};

Counts count(const OpenDisk& disk)
{
    Counts result;
    for (const auto* part : disk.partitions()) {
        result.extended |= (part->type & PED_PARTITION_EXTENDED) != 0;
        result.primary += (part->type & PED_PARTITION_LOGICAL) == 0;
    }
    return result;
}

/** Exactly where the request says, as long as the alignment makes it. */
Place place_at(const OpenDisk& disk, const Request& request, std::int64_t sectors)
{
    const auto start = *request.start;
    const bool extended = request.kind == "extended";
    if (start % disk.sector_size() != 0)
        throw Refusal("invalid_argument",
                      "start " + std::to_string(start) + " is no multiple of the sector size");
    const auto first = static_cast<std::int64_t>(start / disk.sector_size());
    for (const auto& region : disk.free()) {
        // A logical partition needs a sector before it for its own table (EBR).
        const auto from = region.first + (region.logical ? 1 : 0);
        if (first >= from && first <= region.last && sectors <= region.last - first + 1 &&
            !(extended && region.logical))
            return {.first = first,
                    .last = rounded_end(first, sectors, region.last, disk.alignment(request)),
                    .logical = region.logical};
    }
    throw Refusal("invalid_state",
                  "the place of the new partition on '" + disk.path() + "' is not free any more",
                  "another program changed the table: try again");
}

Place choose(const OpenDisk& disk, const Request& request)
{
    const auto sectors = sectors_for(disk, request.size);
    const auto regions = disk.free();
    const auto alignment = disk.alignment(request);
    const bool has_extended = disk.has_extended();
    const auto counts = count(disk);
    const auto slots = ped_disk_get_max_primary_partition_count(&disk.table());
    const bool extended = request.kind == "extended";
    if ((extended || request.kind == "logical") && !has_extended)
        throw Refusal("not_supported",
                      "a table of type '" + disk.table_name() + "' has no extended partitions");
    if (extended && counts.extended)
        throw Refusal("already_exists", "'" + disk.path() + "' has an extended partition",
                      "delete it first");
    if (request.kind == "logical" && !counts.extended)
        throw Refusal("invalid_state", "'" + disk.path() + "' has no extended partition",
                      "create a volume with format 'extended' first");
    if (request.start)
        return place_at(disk, request, sectors);
    if (request.kind != "logical" && counts.primary < slots)
        if (const auto place = best_fit(regions, alignment, sectors, false))
            return *place;
    if (has_extended && !extended && request.kind != "primary" && counts.extended)
        if (const auto place = best_fit(regions, alignment, sectors, true))
            return *place;
    if (counts.primary >= slots && !(counts.extended && request.kind != "primary"))
        throw Refusal("no_space",
                      "the table of '" + disk.path() + "' has all its " + std::to_string(slots) +
                          " partitions",
                      has_extended && !counts.extended
                          ? "delete one and create one with format 'extended', which holds others"
                          : "delete one");
    const bool takes_primary = request.kind != "logical" && counts.primary < slots;
    std::int64_t largest = 0;
    for (const auto& each : regions)
        if (const auto region = usable(each, alignment);
            region && (each.logical ? !extended && request.kind != "primary" : takes_primary))
            largest = std::max(largest, region->last - region->first + 1);
    throw Refusal("no_space",
                  "no free extent " + std::string(takes_primary ? "" : "for a logical partition ") +
                      "of '" + disk.path() + "' has " + std::to_string(request.size) +
                      " bytes; the largest has " + std::to_string(disk.bytes(largest)),
                  "free extents cannot be joined: delete what lies between, or ask for less");
}

bool has_names(const OpenDisk& disk)
{
    return ped_disk_type_check_feature(disk.table().type, PED_DISK_TYPE_PARTITION_NAME);
}

void set_name(PedPartition& part, const std::string& name)
{
    if (!ped_partition_set_name(&part, name.c_str()))
        throw Refusal("invalid_argument", "the name '" + name + "': " + said());
}

/** libparted 3.5 takes a partition of one sector that lies right between two others for one that
 * overlaps with them (_partition_get_overlap_constraint in disk.c), and reads the table no more. */
void require_readable(const OpenDisk& disk)
{
    const auto all = disk.partitions();
    const auto is_some = [&](const auto& predicate) {
        return std::any_of(all.begin(), all.end(),
                           [&](const auto* part) { return predicate(part->geom); });
    };
    for (const auto* part : all)
        if (const auto& place = part->geom;
            place.length == 1 &&
            is_some([&](const auto& at) { return at.end == place.start - 1; }) &&
            is_some([&](const auto& at) { return at.start == place.end + 1; }))
            throw Refusal("not_supported",
                          shown(part->num) + " of '" + disk.path() +
                              "' would have one sector and lie right between two others: libparted "
                              "could not read the table any more",
                          "ask for another size, or delete it");
}

/** Adds the partition to the table in memory. */
PedPartition& add(OpenDisk& disk, const Request& request, const Place& place)
{
    const auto type = request.kind == "extended" ? PED_PARTITION_EXTENDED
                      : place.logical            ? PED_PARTITION_LOGICAL
                                                 : PED_PARTITION_NORMAL;
    std::unique_ptr<PedPartition, decltype(&ped_partition_destroy)> part(
        ped_partition_new(&disk.table(), type, nullptr, place.first, place.last),
        ped_partition_destroy);
    if (!part)
        throw Refusal("no_space", "libparted refuses the partition: " + said());
    set_type(*part, disk.table_name(), request.format);
    if (!request.name.empty() && has_names(disk))
        set_name(*part, request.name);
    const Constraint exact(ped_constraint_exact(&part->geom));
    if (!exact || !ped_disk_add_partition(&disk.table(), part.get(), exact.get()))
        throw Refusal("no_space", "cannot place the partition on '" + disk.path() + "': " + said());
    auto& added = *part.release(); // the table's by now
    require_readable(disk);
    return added;
}

PartitionInfo planned(const OpenDisk& disk, const PedPartition& part, const Request& request)
{
    auto info = disk.describe(part.num);
    info.format = request.format;
    return info;
}

void undo_created(OpenDisk& disk, PedPartition& part)
{
    if (ped_disk_delete_partition(&disk.table(), &part))
        disk.write();
}

} // namespace

Json read(const Request& request)
{
    OpenDisk disk(request, false);
    if (disk.probe().empty())
        return with_device(disk, {{"table", ""}, {"disk_id", ""}});
    disk.read(request);
    return with_device(disk, describe(disk, request));
}

Json label(const Request& request)
{
    OpenDisk disk(request, true);
    disk.require_writable();
    need_partitions(disk);
    // libparted knows tables that libblkid does not: amiga.
    if (const auto found = disk.probe(); request.keep && !found.empty())
        throw Refusal("already_exists",
                      "'" + disk.path() + "' has a partition table of type '" +
                          basin_table_name(found) + "' on it",
                      "choose another device, or build with overwrite to lose what is there");
    disk.make(request.table);
    TakenFromKernel taken(disk);
    for (const auto& [number, extent] : disk.kernel().partitions())
        taken.take(number);
    disk.kernel().require_unused();
    std::optional<std::pair<std::string, std::string>> ends;
    try {
        ends = disk.read_ends();
    } catch (const Refusal&) { // sectors that cannot be read any more can often be written
    }
    const auto put_back = [&] {
        if (ends)
            disk.write_ends(*ends);
    };
    disk.clear_ends();
    try {
        disk.write();
    } catch (const Refusal& why) {
        try {
            put_back();
        } catch (const Refusal& also) {
            throw Refusal("io", std::string(why.what()) + "; " + also.what());
        }
        throw;
    }
    // libparted writes some tables that it does not read: pc98 with sectors of 4096 bytes, or sun
    // on a disk smaller than a cylinder. Then nothing shall have happened.
    Request same;
    same.table = request.table;
    try {
        disk.read(same);
    } catch (const Refusal&) {
        put_back();
        throw Refusal("not_supported",
                      "'" + disk.path() + "', of " + std::to_string(disk.size()) +
                          " bytes in sectors of " + std::to_string(disk.sector_size()) +
                          ", cannot have a table of type '" + request.table + "'",
                      "choose 'gpt' or 'dos', or another disk");
    }
    taken.accept();
    update_kernel(disk);
    return with_device(disk, describe(disk, request));
}

Json clear(const Request& request)
{
    OpenDisk disk(request, true);
    disk.require_writable();
    if (!request.table.empty() || !request.disk_id.empty())
        disk.read(request);
    TakenFromKernel taken(disk);
    for (const auto& [number, extent] : disk.kernel().partitions())
        taken.take(number);
    disk.kernel().require_unused();
    disk.clear_ends();
    taken.accept();
    return Json::object();
}

Json create(const Request& request)
{
    OpenDisk disk(request, !request.plan);
    require_changeable(disk);
    need_partitions(disk);
    disk.read(request);
    if (disk.partitions().size() >= partition_limit)
        throw Refusal("no_space", "'" + disk.path() + "' has as many partitions as can be shown");
    auto wanted = request;
    if (request.format == "extended")
        wanted.kind = "extended";
    else if (request.kind == "extended")
        wanted.format = "extended";
    auto& part = add(disk, wanted, choose(disk, wanted));
    const int number = part.num;
    if (request.number != 0 && request.number != number)
        throw Refusal("invalid_state",
                      "the new partition of '" + disk.path() + "' would have number " +
                          std::to_string(number) + ", not " + std::to_string(request.number),
                      "another program changed the table: try again");
    if (request.plan)
        return {{"partition", to_json(planned(disk, part, wanted))}};

    TakenFromKernel taken(disk);
    // Leftovers that the table knows nothing of.
    const auto start = disk.bytes(part.geom.start);
    const auto end = start + disk.bytes(part.geom.length);
    for (const auto& [known, extent] : disk.kernel().partitions())
        if (known == number || (extent.start < end && start < extent.start + extent.length))
            taken.take(known);
    // Nobody shall take for the new volume's what a deleted one left: a LUKS header, a file system,
    // a physical volume that udev activates.
    if (!(part.type & PED_PARTITION_EXTENDED))
        disk.clear_ends(part.geom.start, part.geom.length);
    disk.write();
    try {
        update_kernel(disk);
    } catch (const Refusal&) {
        undo_created(disk, part);
        throw;
    }
    taken.accept();
    return {{"partition", to_json(disk.describe(number))}};
}

Json remove(const Request& request)
{
    OpenDisk disk(request, !request.plan);
    require_changeable(disk);
    disk.read(request);
    auto& part = find(disk, request);
    const int number = part.num;
    if (part.type & PED_PARTITION_EXTENDED)
        for (const auto* each : disk.partitions())
            if (each->type & PED_PARTITION_LOGICAL)
                throw Refusal("busy",
                              shown(number) + " of '" + disk.path() + "' holds " + shown(each->num),
                              "delete the logical partitions first");
    if (request.plan)
        return Json::object();
    update_kernel(disk);
    const auto before = numbers(disk);
    if (!ped_disk_delete_partition(&disk.table(), &part))
        throw Refusal("io", "cannot delete " + shown(number) + ": " + said());
    TakenFromKernel taken(disk);
    taken.take(number);
    Json renumbered = Json::array();
    for (const auto& [extent, now] : numbers(disk)) {
        const auto old = before.find(extent);
        if (old == before.end() || old->second == now)
            continue;
        taken.take(old->second);
        renumbered.push_back({{"from", old->second}, {"to", now}});
    }
    disk.write();
    taken.accept();
    update_kernel(disk);
    return {{"deleted", number}, {"renumbered", renumbered}};
}

Json resize(const Request& request)
{
    OpenDisk disk(request, !request.plan);
    require_changeable(disk);
    disk.read(request);
    auto& part = find(disk, request);
    const auto sectors = sectors_for(disk, request.size);
    const auto first = part.geom.start;
    // As far as the free region that begins behind it reaches; what is to become shorter does not
    // grow because its end is rounded up.
    auto last = part.geom.end;
    const bool logical = (part.type & PED_PARTITION_LOGICAL) != 0;
    for (const auto& region : disk.free())
        if (sectors > part.geom.length && region.first == part.geom.end + 1 &&
            region.logical == logical)
            last = region.last;
    if (sectors > last - first + 1)
        throw Refusal("no_space",
                      shown(part.num) + " of '" + disk.path() + "' can have " +
                          std::to_string(disk.bytes(last - first + 1)) + " bytes, not " +
                          std::to_string(request.size),
                      "ask for less, or delete the partition behind it");
    const auto end = rounded_end(first, sectors, last, disk.alignment(request));
    if (part.type & PED_PARTITION_EXTENDED)
        for (const auto* each : disk.partitions())
            if ((each->type & PED_PARTITION_LOGICAL) && each->geom.end > end)
                throw Refusal("busy",
                              shown(part.num) + " of '" + disk.path() + "' holds " +
                                  shown(each->num) + ", which ends behind " +
                                  std::to_string(disk.bytes(end - first + 1)) + " bytes",
                              "delete the logical partition, or ask for more");
    if (!request.plan)
        update_kernel(disk);
    PedGeometry geometry;
    if (!ped_geometry_init(&geometry, &disk.device(), first, end - first + 1))
        throw Refusal("no_space", "cannot resize " + shown(part.num) + ": " + said());
    const Constraint exact(ped_constraint_exact(&geometry));
    if (!exact || !ped_disk_set_partition_geom(&disk.table(), &part, exact.get(), first, end))
        throw Refusal("no_space",
                      "cannot resize " + shown(part.num) + " of '" + disk.path() + "': " + said());
    if (part.geom.start != first || part.geom.end != end)
        throw Refusal("internal", "libparted would move " + shown(part.num));
    require_readable(disk);
    if (!request.plan) {
        disk.write();
        update_kernel(disk);
    }
    return {{"partition", to_json(disk.describe(part.num))}};
}

Json rename(const Request& request)
{
    OpenDisk disk(request, true);
    require_changeable(disk);
    disk.read(request);
    auto& part = find(disk, request);
    if (!has_names(disk))
        throw Refusal("not_supported",
                      "a table of type '" + disk.table_name() + "' has no names of partitions");
    set_name(part, request.name);
    disk.write();
    return Json::object();
}

Json sync(const Request& request)
{
    OpenDisk disk(request, true);
    if (disk.is_hybrid())
        install_handler(Handling::read); // mending would write it
    disk.read(request);
    need_partitions(disk);
    update_kernel(disk);
    return Json::object();
}

} // namespace partition_helper
