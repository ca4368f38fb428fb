// SPDX-License-Identifier: LGPL-2.1-or-later
#include "logical_creation.hpp"

#include "device_content.hpp"
#include "device_steps.hpp"
#include "file_io.hpp"
#include "image/extents.hpp"
#include "job_impl.hpp"
#include "lvm_steps.hpp"
#include "names.hpp"
#include "transfer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <iterator>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

std::string bytes(std::uint64_t n)
{
    return std::to_string(n) + " bytes";
}

// ---- content -----------------------------------------------------------------------------------

/** What a thick volume has behind the content that it gets is whatever the blocks had before. */
void zero_rest(const FileWork& work, std::uint64_t from)
{
    int sector = 0;
    if (::ioctl(work.fd, BLKSSZGET, &sector) != 0)
        throw system_error(errno, "cannot ask '" + work.path + "' for the size of its sectors");
    const auto end = content_length(work.fd, work.path);
    const auto size = static_cast<std::uint64_t>(sector);
    const auto start = std::min(from / size * size + (from % size ? size : 0), end);
    if (from < start)
        write_at(work.fd, from, std::string(start - from, '\0'), work.path);
    constexpr std::uint64_t piece = std::uint64_t{1} << 30; // so that it can be cancelled
    for (auto at = start; at < end; at += piece) {
        check(work.job, "filling '" + work.path + "'");
        std::array<std::uint64_t, 2> range{at, std::min(piece, end - at)};
        if (::ioctl(work.fd, BLKZEROOUT, range.data()) != 0)
            throw system_error(errno, "cannot write zeros to '" + work.path + "'");
    }
}

/** How many bytes an upload brings. */
std::uint64_t upload_length(const LogicalRequest& request, const std::string& path)
{
    const auto& options = *request.transfer;
    if (options.expected_length)
        return *options.expected_length;
    if (options.length != 0)
        return options.length;
    struct stat info {};
    const int fd = request.upload->fd;
    if (fd >= 0 && ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        const auto position = ::lseek(fd, 0, SEEK_CUR);
        return static_cast<std::uint64_t>(
            std::max<std::int64_t>(info.st_size - std::max<std::int64_t>(position, 0), 0));
    }
    throw Error(ErrorCode::invalid_argument,
                "'" + path + "': how large the volume shall be is not known before the upload",
                "give the capacity");
}

FileFunction receive(const LogicalRequest& request, bool thick, bool blank)
{
    return [source = *request.upload, options = *request.transfer, thick,
            blank](const FileWork& work) {
        const auto room = content_length(work.fd, work.path);
        const auto received =
            receive_content(source, options, work.fd, work.path, room, work.job, blank);
        if (thick)
            zero_rest(work, received);
        return true;
    };
}

// ---- which kind --------------------------------------------------------------------------------

/** The volume that is made, and how. */
struct Plan {
    NewLv lv{};
    Command command{};
    std::string summary{};
    std::string method{};          ///< for the job's facts, of a clone
    std::optional<Command> then{}; ///< run when it is there
    std::string thin_pool{};       ///< that gives it its space
    bool has_node{true};
    bool thick{};
    bool blank{}; ///< reads as zeros, and goes on doing so around what is written
};

class Planner {
public:
    Planner(const LogicalVolumes& volumes, const LogicalRequest& request,
            const std::string& pool_name, const Host& host)
        : volumes_(volumes), request_(request), def_(request.def), pool_name_(pool_name),
          host_(host), group_(volumes.read_group()), path_(volumes.path_of(def_.name))
    {
    }

    void list(Change& change);

private:
    Plan plan();
    Plan plan_thick(std::uint32_t stripes);
    Plan plan_thin(const std::string& pool_name);
    Plan plan_thin_pool(std::uint32_t stripes);
    Plan plan_snapshot();
    Plan plan_thin_clone(const LvmLv& origin, std::string method);
    const LvmLv* thin_source() const;
    const LvmLv& only_thin_pool() const;
    NewLv new_lv() const;
    NewContent content(const Plan& plan) const;
    void check_provisioning() const;

    /** What the device has to hold: the capacity, and behind encryption a header. */
    std::uint64_t device_bytes() const { return device_capacity(def_); }
    [[noreturn]] void refuse(ErrorCode code, const std::string& what,
                             const std::string& remedy) const
    {
        throw Error(code, "'" + path_ + "': " + what, remedy);
    }

    const LogicalVolumes& volumes_;
    const LogicalRequest& request_;
    VolumeDef def_;
    const std::string& pool_name_;
    const Host& host_;
    LvmGroup group_;
    std::string path_;
};

NewLv Planner::new_lv() const
{
    return {.group = group_.name,
            .name = def_.name,
            .tag = make_lvm_tag(),
            .extents = extents_for(device_bytes(), group_.extent_size),
            .extent_size = group_.extent_size};
}

void Planner::check_provisioning() const
{
    const auto& wanted = def_.target.provisioning;
    if (!wanted)
        return;
    const auto kind = wanted->kind;
    const auto name = std::string(to_string(kind));
    if (kind != ProvisioningKind::thin && !wanted->pool.empty())
        refuse(ErrorCode::invalid_argument, "provisioning '" + name + "' with a thin pool",
               "use 'thin', or leave the pool out");
    if ((kind == ProvisioningKind::thin || kind == ProvisioningKind::snapshot) &&
        wanted->stripes > 1)
        refuse(ErrorCode::invalid_argument, "provisioning '" + name + "' with stripes",
               "leave the stripes out");
    if ((kind == ProvisioningKind::snapshot) == def_.backing.empty())
        refuse(ErrorCode::invalid_argument,
               def_.backing.empty()
                   ? std::string("a snapshot needs a backing volume")
                   : "a volume on a backing volume is a snapshot, not '" + name + "'",
               "say of which volume in backingStore, or leave that out");
    if (kind == ProvisioningKind::thin_pool &&
        (request_.source || request_.upload || def_.target.encryption))
        refuse(ErrorCode::invalid_argument, "a thin pool has no content of its own",
               "make a thin volume in it");
}

Plan Planner::plan_thick(std::uint32_t stripes)
{
    Plan plan{.lv = new_lv(), .thick = true};
    plan.lv.stripes = std::max(stripes, 1u);
    plan.lv.extents = (plan.lv.extents + plan.lv.stripes - 1) / plan.lv.stripes * plan.lv.stripes;
    require_extents(group_, plan.lv.extents, plan.lv.stripes, "'" + path_ + "'");
    plan.command = create_thick(plan.lv);
    plan.summary = "make logical volume '" + path_ + "' of " +
                   bytes(plan.lv.extents * group_.extent_size) +
                   (stripes > 1 ? " on " + std::to_string(stripes) + " devices" : "");
    return plan;
}

Plan Planner::plan_thin_pool(std::uint32_t stripes)
{
    Plan plan{.lv = new_lv(), .has_node = false};
    plan.lv.stripes = std::max(stripes, 1u);
    plan.lv.extents = (plan.lv.extents + plan.lv.stripes - 1) / plan.lv.stripes * plan.lv.stripes;
    // lvmthin(7): metadata are 64 bytes for each chunk, here of 64 KiB; 2 MiB to 16 GiB in all.
    const auto size = plan.lv.extents * group_.extent_size;
    const auto metadata = std::clamp<std::uint64_t>(size / 1024, 2 << 20, std::uint64_t{15} << 30);
    const auto metadata_extents = extents_for(metadata, group_.extent_size);
    // A second one of that size is kept for repairs, once for all pools of the group.
    require_extents(group_,
                    plan.lv.extents + metadata_extents * (group_.thin_pools().empty() ? 2 : 1),
                    plan.lv.stripes, "thin pool '" + path_ + "' with its metadata");
    plan.command = create_thin_pool(plan.lv, metadata_extents);
    plan.summary = "make thin pool '" + path_ + "' of " + bytes(size);
    return plan;
}

const LvmLv& Planner::only_thin_pool() const
{
    const auto all = group_.thin_pools();
    std::vector<const LvmLv*> pools;
    std::copy_if(all.begin(), all.end(), std::back_inserter(pools),
                 [](const auto* pool) { return !is_unfinished(*pool); });
    if (pools.size() == 1)
        return *pools.front();
    if (pools.empty() && !all.empty())
        return *all.front(); // which plan_thin() refuses
    if (pools.empty())
        refuse(ErrorCode::not_supported,
               "an allocation below the capacity needs a thin pool, and volume group '" +
                   group_.name + "' has none",
               "make a volume with <provisioning type='thin-pool'/> first, or set the allocation "
               "to the capacity");
    std::string names;
    for (const auto* pool : pools)
        names += (names.empty() ? "'" : ", '") + pool->name + "'";
    refuse(ErrorCode::invalid_argument,
           "volume group '" + group_.name + "' has several thin pools: " + names,
           "name one: <provisioning type='thin' pool='NAME'/>");
}

/** @throws Error no_space  nothing can be written to it any more */
void require_room_in(const LvmLv& pool, std::uint64_t data, const std::string& path)
{
    constexpr std::uint32_t full = 10000;
    const auto used = std::min(pool.data_usage.value_or(0), full);
    const auto free = pool.size / full * (full - used);
    // A little metadata is kept free by LVM, which refuses new volumes before it is full.
    constexpr std::uint32_t metadata_limit = 9500;
    if (pool.metadata_usage.value_or(0) >= metadata_limit)
        throw Error(ErrorCode::no_space,
                    "'" + path + "': the metadata of thin pool '" + pool.name + "' are full",
                    "extend them: lvextend --poolmetadatasize");
    if (used == full || free < data)
        throw Error(ErrorCode::no_space,
                    "'" + path + "': thin pool '" + pool.name + "' has " + bytes(free) + " left, " +
                        bytes(data) + " are needed",
                    "make the thin pool larger");
}

Plan Planner::plan_thin(const std::string& pool_name)
{
    const auto* pool = pool_name.empty() ? &only_thin_pool() : group_.find(pool_name);
    if (!pool || !pool->is_thin_pool())
        refuse(ErrorCode::not_found,
               "volume group '" + group_.name + "' has no thin pool " + shown(pool_name),
               "make it, with <provisioning type='thin-pool'/>");
    if (is_unfinished(*pool)) // and goes, with all that is in it, where that is cut short
        refuse(ErrorCode::busy, "thin pool '" + pool->name + "' is still being made",
               "try again when it is there");
    require_room_in(*pool,
                    request_.source ? std::min(request_.source->volume.allocation.value_or(0),
                                               request_.source->volume.capacity)
                                    : 0,
                    path_);
    Plan plan{.lv = new_lv(), .thin_pool = pool->name, .blank = pool->zeroes_chunks()};
    plan.command = create_thin(plan.lv, pool->name);
    plan.summary = "make thin volume '" + path_ + "' of " +
                   bytes(plan.lv.extents * group_.extent_size) + " in '" + pool->name + "'";
    return plan;
}

Plan Planner::plan_thin_clone(const LvmLv& origin, std::string method)
{
    Plan plan{.lv = new_lv(), .method = std::move(method)};
    if (const auto* pool = group_.find(origin.pool))
        require_room_in(*pool, 0, path_);
    const auto extents = plan.lv.extents;
    plan.lv.extents = origin.size / group_.extent_size;
    plan.command = create_thin_snapshot(plan.lv, origin.name);
    plan.summary = "make thin volume '" + path_ + "' with the content of '" + origin.name + "'";
    if (extents > plan.lv.extents)
        plan.then = extend_lv(group_.name, def_.name, extents);
    return plan;
}

Plan Planner::plan_snapshot()
{
    const auto& backing = def_.backing.front().path;
    const auto start = volumes_.directory() + '/';
    const auto* origin =
        backing.starts_with(start) ? group_.find(backing.substr(start.size())) : nullptr;
    if (!origin || is_unfinished(*origin) || origin->is_thin_pool() || origin->is_other_pool())
        refuse(ErrorCode::not_supported,
               "its backing volume " + shown(backing) + " is no volume of group '" + group_.name +
                   "'",
               "make a snapshot in the pool where the volume is");
    if (def_.target.encryption)
        refuse(ErrorCode::invalid_argument, "a snapshot is encrypted as its origin is",
               "leave the encryption out");
    if (request_.upload)
        refuse(ErrorCode::invalid_argument, "a snapshot has its origin's content",
               "leave the backing volume out");
    const auto size = origin->visible_size();
    if (def_.capacity != 0 && def_.capacity < size - std::min(size, group_.extent_size - 1))
        refuse(ErrorCode::not_supported,
               "a snapshot is not smaller than its origin, which has " + bytes(size),
               "give that capacity, or none");
    if (origin->is_thin())
        return plan_thin_clone(*origin, "");
    if (origin->is_classic_snapshot())
        refuse(ErrorCode::not_supported,
               "'" + origin->name + "' is itself a snapshot, of which LVM makes none",
               "make a copy, or use thin volumes");
    if (def_.capacity > size)
        refuse(ErrorCode::not_supported,
               "a snapshot has the size of its origin, which is " + bytes(size),
               "give that capacity, or none");
    Plan plan{.lv = new_lv()};
    plan.lv.extents = extents_for(def_.allocation.value_or(size), group_.extent_size);
    if (plan.lv.extents == 0)
        refuse(ErrorCode::invalid_argument, "a snapshot needs space for what changes",
               "give an allocation; when that is full the snapshot is lost");
    require_extents(group_, plan.lv.extents, 1, "snapshot '" + path_ + "'");
    plan.command = create_classic_snapshot(plan.lv, origin->name);
    plan.summary = "make snapshot '" + path_ + "' of '" + origin->name + "' with " +
                   bytes(plan.lv.extents * group_.extent_size) + " for what changes";
    return plan;
}

/** The source, where sharing its blocks gives a volume with the same content. */
const LvmLv* Planner::thin_source() const
{
    if (!request_.source)
        return nullptr;
    const auto& source = request_.source->volume;
    const auto* lv = group_.find_uuid(source.key);
    if (!lv || !lv->is_thin() || volumes_.path_of(lv->name) != source.target.path)
        return nullptr;
    const auto& wanted = def_.target.provisioning;
    if (wanted ? wanted->kind != ProvisioningKind::thin ||
                     (!wanted->pool.empty() && wanted->pool != lv->pool)
               : def_.allocation && *def_.allocation >= def_.capacity)
        return nullptr; // all of it is to be allocated
    const auto& from = source.target.encryption;
    const auto& to = def_.target.encryption;
    return !from == !to && (!to || to->secrets.empty()) ? lv : nullptr;
}

Plan Planner::plan()
{
    if (!def_.backing.empty())
        return plan_snapshot();
    if (const auto* source = thin_source())
        return plan_thin_clone(*source, "thin_snapshot");
    if (const auto& wanted = def_.target.provisioning) {
        switch (wanted->kind) {
        case ProvisioningKind::thin: return plan_thin(wanted->pool);
        case ProvisioningKind::thin_pool: return plan_thin_pool(wanted->stripes);
        default: return plan_thick(wanted->stripes);
        }
    }
    return def_.allocation.value_or(def_.capacity) < def_.capacity ? plan_thin("") : plan_thick(1);
}

NewContent Planner::content(const Plan& plan) const
{
    const bool digest = has(request_.flags, CreateFlags::digest);
    if (!plan.method.empty()) {
        if (!digest)
            return {};
        return {.fill =
                    [length = request_.source->volume.capacity](const FileWork& work) {
                        state_fact(work.job, "sha256",
                                   digest_content(work.fd, work.path, length, work.job));
                        return false;
                    },
                .call = {"pread", path_}};
    }
    if (request_.upload)
        return {.fill = receive(request_, plan.thick, plan.blank)};
    if (!def_.backing.empty())
        return {};
    auto content = plan_device_content({.directory = volumes_.directory(),
                                        .def = def_,
                                        .source = request_.source,
                                        .flags = request_.flags,
                                        .host = host_,
                                        .pool_name = pool_name_,
                                        .blank = plan.blank});
    if (content.fill && request_.source && plan.thick && !def_.target.encryption)
        content.fill = [fill = std::move(content.fill),
                        end = request_.source->volume.capacity](const FileWork& work) {
            const bool written = fill(work);
            zero_rest(work, end);
            return written;
        };
    return content;
}

void Planner::list(Change& change)
{
    require_whole_group(group_);
    require_new_lv(group_, def_.name);
    if (request_.upload && def_.capacity == 0)
        def_.capacity = upload_length(request_, path_);
    if (def_.capacity == 0 && def_.backing.empty())
        refuse(ErrorCode::invalid_argument, "a capacity of 0", "give the capacity");
    check_provisioning();
    const auto made = plan();
    const auto& tag = made.lv.tag;
    if (request_.upload)
        check_upload(path_, *request_.upload, *request_.transfer,
                     made.lv.extents * made.lv.extent_size);
    auto filled = made.has_node ? content(made) : NewContent();
    if (filled.fill && !made.thin_pool.empty())
        filled.fill = telling_full_pool(std::move(filled.fill), volumes_, made.thin_pool);
    auto create = create_lv_step(made.command, group_.name, tag, made.summary);
    if (!made.method.empty()) {
        create.arguments["method"] = made.method;
        create.arguments["reason"] = "the source is a thin volume of the same group";
    }
    change.add(std::move(create));
    if (made.then)
        change.add(run_lvm_step(*made.then, "make '" + path_ + "' larger than its source"));
    filled.summary = (filled.fill ? "fill '" : "wait for '") + path_ + "'" +
                     (def_.target.encryption ? ", encrypted" : "");
    if (made.has_node)
        change.add(fill_device_step(path_, std::move(filled), def_.target.permissions));
    change.add(finish_lv_step(group_.name, tag));
    change.commit_here();
}

} // namespace

void require_new_lv(const LvmGroup& group, const std::string& name)
{
    const auto problem = lv_name_problem(name, group.name);
    if (!problem.empty())
        throw Error(ErrorCode::invalid_argument, "volume name " + shown(name) + ' ' + problem,
                    "see lvm(8), VALID NAMES");
    if (group.find(name))
        throw Error(ErrorCode::already_exists,
                    "logical volume '" + group.name + '/' + name + "' exists",
                    "choose another name; snapshots are volumes and share their names");
}

void require_whole_group(const LvmGroup& group)
{
    if (group.missing_pvs == 0)
        return;
    std::string uuids;
    std::string returned;
    bool all_returned = true;
    for (const auto& pv : group.pvs) {
        if (!pv.missing)
            continue;
        uuids += (uuids.empty() ? "" : ", ") + pv.uuid;
        returned += is_back(pv) ? ' ' + pv.path : "";
        all_returned &= is_back(pv);
    }
    throw Error(
        ErrorCode::invalid_state,
        "volume group '" + group.name + "' lacks " + std::to_string(group.missing_pvs) + " of " +
            std::to_string(group.pvs.size()) + " devices (uuid " + uuids +
            "): LVM changes it only when it is whole",
        all_returned
            ? "they are back, but the group was changed meanwhile: if they have what they had, "
              "vgextend --restoremissing " +
                  group.name + returned
            : "bring them back; what lies on the other devices can be read and written meanwhile");
}

void refuse_other_pool(const LvmLv& lv, const LvmGroup& group)
{
    if (!lv.is_other_pool())
        return;
    const bool is_used = !group.volumes_in(lv).empty();
    throw Error(ErrorCode::not_supported,
                "'" + group.name + '/' + lv.name + "' is a " + lv.layout.front() + " pool" +
                    (is_used ? "" : " that no volume uses") + ": it has no content of its own",
                is_used ? "use the volume in it"
                        : "give it to a volume (lvconvert(8)), or delete it");
}

namespace {

/** What a thin pool has none of any more: "data", "metadata", or "" if it has, or nobody knows. */
std::string lacking(const LogicalVolumes& volumes, const std::string& pool)
{
    constexpr std::uint32_t full = 10000;
    try {
        const auto group = volumes.read_group();
        const auto* found = group.find(pool);
        if (found && found->data_usage.value_or(0) >= full)
            return "data";
        return found && found->metadata_usage.value_or(0) >= full ? "metadata" : "";
    } catch (const Error&) {
        return {};
    }
}

} // namespace

FileFunction telling_full_pool(FileFunction fill, const LogicalVolumes& volumes,
                               const std::string& pool)
{
    return [fill = std::move(fill), volumes, pool](const FileWork& work) {
        try {
            const bool written = fill(work);
            if (written && ::fsync(work.fd) != 0)
                throw flush_error(errno, work.path);
            return written;
        } catch (const Error& error) {
            const bool may_be =
                error.code() == ErrorCode::io || error.code() == ErrorCode::no_space;
            const auto what = may_be ? lacking(volumes, pool) : std::string();
            if (what.empty())
                throw;
            throw Error(ErrorCode::no_space,
                        "'" + work.path + "': thin pool '" + pool +
                            "' is full: it has no space for " + what + " left",
                        what == "data" ? "make the thin pool larger, or delete volumes in it"
                                       : "extend its metadata: lvextend --poolmetadatasize",
                        error.what(), error.os_error());
        }
    };
}

void require_extents(const LvmGroup& group, std::uint64_t extents, std::uint32_t stripes,
                     const std::string& what)
{
    // The stripes of a segment are on different devices, and all have the same length.
    const auto share = extents / stripes + (extents % stripes != 0);
    std::uint64_t room = 0;
    std::uint32_t devices = 0;
    for (const auto& pv : group.pvs)
        if (!pv.missing && pv.allocatable) {
            const auto free = pv.free / group.extent_size;
            room += stripes > 1 ? std::min(free, share) : free;
            ++devices;
        }
    if (devices < stripes)
        throw Error(ErrorCode::invalid_argument,
                    what + ": " + std::to_string(stripes) + " stripes, but volume group '" +
                        group.name + "' has " + std::to_string(devices) + " devices to use",
                    "use fewer stripes");
    if (room < extents)
        throw Error(ErrorCode::no_space,
                    what + " needs " + bytes(extents * group.extent_size) + ", volume group '" +
                        group.name + "' has " + bytes(room * group.extent_size) +
                        (stripes > 1 ? " for so many stripes" : "") + " left",
                    "free space, or add a device to the group");
}

void plan_logical_volume(const LogicalVolumes& volumes, const LogicalRequest& request,
                         const std::string& pool_name, const Host& host, Change& change)
{
    Planner(volumes, request, pool_name, host).list(change);
}

void plan_logical_snapshot(const LvmGroup& group, const LvmLv& volume, const std::string& name,
                           Change& change)
{
    require_whole_group(group);
    require_new_lv(group, name);
    refuse_other_pool(volume, group);
    NewLv lv{
        .group = group.name, .name = name, .tag = make_lvm_tag(), .extent_size = group.extent_size};
    const auto title = "snapshot '" + name + "' of '" + volume.name + "'";
    if (volume.is_thin()) {
        if (const auto* pool = group.find(volume.pool))
            require_room_in(*pool, 0, name);
        change.add(create_lv_step(create_thin_snapshot(lv, volume.name), group.name, lv.tag,
                                  "make thin " + title));
    } else if (volume.is_thin_pool() || volume.is_classic_snapshot()) {
        throw Error(ErrorCode::not_supported,
                    "'" + group.name + '/' + volume.name + "' is a " +
                        (volume.is_thin_pool() ? "thin pool" : "snapshot") +
                        ", of which LVM makes no snapshots",
                    "use thin volumes");
    } else {
        // So much that it can never be full: every block, and 16 bytes for each of 4096.
        lv.extents = extents_for(volume.size, group.extent_size);
        lv.extents += lv.extents / 256 + 1;
        require_extents(group, lv.extents, 1, title + ", which may not become full,");
        change.add(create_lv_step(create_classic_snapshot(lv, volume.name), group.name, lv.tag,
                                  "make " + title + " with room for every change"));
    }
    change.add(finish_lv_step(group.name, lv.tag));
    change.commit_here();
}

} // namespace storage::inline v1
