// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_images.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "rbd_encryption.hpp"
#include "rbd_locks.hpp"
#include "signal_guard.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace storage::inline v1 {
namespace {

using nlohmann::json;

/** So many images are opened at once: each has threads of Ceph wait for answers, not for a CPU. */
constexpr unsigned parallel_opens = 8;
constexpr std::size_t parallel_looks = 128;
/** More than any pool of use has; a damaged answer must not take all memory. */
constexpr std::size_t most_images = 10'000'000;

std::uint64_t fingerprint(std::string_view text)
{
    std::uint64_t value = 0xcbf29ce484222325; // FNV-1a
    for (const unsigned char c : text)
        value = (value ^ c) * 0x100000001b3;
    return value;
}

int add_length(std::uint64_t, std::size_t length, int exists, void* sum) noexcept
{
    if (exists)
        *static_cast<std::uint64_t*>(sum) += length;
    return 0;
}

bool has_valid_map(const RbdImage& image)
{
    std::uint64_t features = 0;
    std::uint64_t flags = 0;
    const auto& library = image.library();
    return library.rbd_get_features(image.get(), &features) == 0 &&
           (features & rbd_feature_fast_diff) != 0 &&
           library.rbd_get_flags(image.get(), &flags) == 0 &&
           (flags & (rbd_flag_object_map_invalid | rbd_flag_fast_diff_invalid)) == 0;
}

std::uint64_t allocation_of(const RbdImage& image, const RbdImageInfo& info, RbdAllocation how)
{
    std::uint64_t bound = 0;
    if (__builtin_mul_overflow(info.obj_size, info.num_objs, &bound))
        bound = info.size;
    if (how == RbdAllocation::upper_bound || info.size == 0)
        return bound;
    const bool cheap = has_valid_map(image);
    if (!cheap && how != RbdAllocation::exact)
        return bound;
    std::uint64_t sum = 0;
    image.check(image.library().rbd_diff_iterate2(image.get(), nullptr, 0, info.size, 0,
                                                  cheap ? 1 : 0, add_length, &sum),
                "cannot ask for its allocation");
    return sum;
}

constexpr auto in_trash = " (in the trash)"; ///< where another image may have the name

/** What the image is a clone of: "pool/image" or "pool/namespace/image"; "" for no clone. */
std::string parent_of(const RbdImage& image)
{
    RbdLinkedImage parent{};
    RbdSnapSpec snapshot{};
    const auto& library = image.library();
    if (library.rbd_get_parent(image.get(), &parent, &snapshot) < 0)
        return {};
    std::string result = parent.pool_name;
    if (parent.pool_namespace && *parent.pool_namespace)
        result += '/' + std::string(parent.pool_namespace);
    result += '/' + std::string(parent.image_name) + (parent.trash ? in_trash : "");
    library.rbd_linked_image_spec_cleanup(&parent);
    library.rbd_snap_spec_cleanup(&snapshot);
    return result;
}

// ---- what changed ------------------------------------------------------------------------------

/**
 * The versions of the images' headers, in one pass without opening any: the object
 * "rbd_header.<id>" of format 2 (doc/dev/rbd-layering of Ceph) is written whenever size, features,
 * flags or snapshots change, and RADOS counts each write. 0: not known.
 */
std::vector<std::uint64_t> header_versions(RbdConnection& connection,
                                           const std::vector<RbdEntry>& entries, Job* job)
{
    struct Look {
        RadosCompletion completion{};
        std::uint64_t size{};
        std::time_t time{};
        std::size_t index{};
    };
    const auto& library = connection.library();
    std::vector<std::uint64_t> versions(entries.size());
    std::deque<Look> pending;
    const auto finish_first = [&] {
        auto& look = pending.front();
        library.rados_aio_wait_for_complete(look.completion);
        if (library.rados_aio_get_return_value(look.completion) >= 0)
            versions[look.index] = library.rados_aio_get_version(look.completion);
        library.rados_aio_release(look.completion);
        pending.pop_front();
    };
    for (std::size_t i = 0; i != entries.size(); ++i) {
        if (job && job->is_cancelled())
            break;
        if (pending.size() == parallel_looks)
            finish_first();
        auto& look = pending.emplace_back(); // a deque: earlier ones stay where they are
        look.index = i;
        if (library.rados_aio_create_completion(nullptr, nullptr, nullptr, &look.completion) < 0) {
            pending.pop_back();
            continue;
        }
        if (library.rados_aio_stat(connection.pool(), ("rbd_header." + entries[i].id).c_str(),
                                   look.completion, &look.size, &look.time) < 0) {
            library.rados_aio_release(look.completion);
            pending.pop_back();
        }
    }
    while (!pending.empty())
        finish_first();
    return versions;
}

// ---- reading many ------------------------------------------------------------------------------

/** What became of one entry. */
struct Outcome {
    std::optional<VolumeRecord> record{};
    std::optional<Diagnostic> diagnostic{};
};

/** Calls do(i) for each, by several threads; the first exception ends it. */
template <typename Do>
void in_parallel(std::size_t count, Do&& work)
{
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto loop = [&] {
        for (std::size_t i; (i = next++) < count;)
            try {
                work(i);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (!failure)
                    failure = std::current_exception();
                next = count;
            }
    };
    std::vector<std::thread> threads;
    try {
        const SignalsBlocked blocked;
        while (threads.size() + 1 < std::min<std::size_t>(parallel_opens, count))
            threads.emplace_back(loop);
    } catch (const std::system_error&) { // fewer, then
    }
    loop();
    for (auto& thread : threads)
        thread.join();
    if (failure)
        std::rethrow_exception(failure);
}

Outcome read_entry(const std::shared_ptr<RbdConnection>& connection, const RbdEntry& entry,
                   std::uint64_t version)
{
    Outcome outcome;
    try {
        const RbdImage image(connection, entry.name, RbdImage::Mode::read);
        outcome.record = image_record(image, entry.name, RbdAllocation::upper_bound);
        outcome.record->facts.changed_ns = static_cast<std::int64_t>(version);
    } catch (const Error& error) {
        if (connection->is_broken())
            throw;
        if (error.code() == ErrorCode::permission_denied)
            connection->forgive();
        const auto reason = error.code() == ErrorCode::not_found ? DiagnosticReason::vanished
                            : error.code() == ErrorCode::permission_denied
                                ? DiagnosticReason::unreadable
                                : DiagnosticReason::read_error;
        outcome.diagnostic = {
            .name = entry.name, .reason = reason, .message = std::string(error.what())};
    }
    return outcome;
}

/** The records of the last refresh that still hold. */
class Unchanged {
public:
    Unchanged(const VolumeTable* previous, const std::string& place,
              const std::vector<RbdEntry>& entries)
        : previous_(previous), prefix_(place + '/')
    {
        if (previous_ && previous_->referring_count() > 0)
            for (const auto& entry : entries)
                ids_.emplace(entry.name, entry.id);
    }

    std::optional<VolumeRecord> find(const RbdEntry& entry, std::uint64_t version) const
    {
        if (version == 0 || !is_same(entry.name, entry.id))
            return std::nullopt;
        const auto index = *previous_->find_index(entry.name);
        if (previous_->facts(index).changed_ns != static_cast<std::int64_t>(version) ||
            !refers_rightly(index))
            return std::nullopt;
        return previous_->record(index);
    }

private:
    bool is_same(std::string_view name, std::string_view id) const
    {
        const auto index = previous_ ? previous_->find_index(name) : std::nullopt;
        return index &&
               previous_->facts(*index).modified_ns == static_cast<std::int64_t>(fingerprint(id));
    }

    /** A clone's header stays as it is when its parent goes into the trash, or comes back. */
    bool refers_rightly(VolumeTable::Index index) const
    {
        bool right = true;
        previous_->for_each_reference(index, [&](std::string_view reference) {
            if (!reference.starts_with(prefix_))
                return;
            const auto name = reference.substr(prefix_.size());
            if (name.find('/') != name.npos) // in a namespace
                return;
            const auto found = ids_.find(name);
            right = right && found != ids_.end() && is_same(name, found->second);
        });
        return right;
    }

    const VolumeTable* previous_;
    std::string prefix_;
    std::unordered_map<std::string_view, std::string_view> ids_{};
};

Timestamp timestamp(const std::timespec& time)
{
    return {.seconds = time.tv_sec, .nanoseconds = static_cast<std::uint32_t>(time.tv_nsec)};
}

} // namespace

bool is_unfinished_image(std::string_view name)
{
    return name.starts_with(temporary_prefix);
}

std::vector<RbdEntry> list_directory(RbdConnection& connection)
{
    const auto& library = connection.library();
    std::vector<RbdImageSpec> images;
    std::size_t count = 1024; // one call for most pools
    for (;;) {
        images.assign(count, {});
        const auto code = library.rbd_list2(connection.pool(), images.data(), &count);
        if (code == -ERANGE && count > images.size() && count <= most_images) {
            count += count / 8; // some may be made meanwhile
            continue;
        }
        connection.check(code, "cannot list the images of '" + connection.place() + "'");
        break;
    }
    if (count == 0)
        connection.require_pool();
    std::vector<RbdEntry> result;
    result.reserve(count);
    // Behind those of the directory come images whose deletion was cut short; their names may have
    // been given to others.
    std::unordered_set<std::string_view> seen;
    for (std::size_t i = 0; i != count; ++i)
        if (seen.insert(images[i].name).second)
            result.push_back({.name = images[i].name, .id = images[i].id});
    library.rbd_image_spec_list_cleanup(images.data(), count);
    return result;
}

std::vector<RbdEntry> list_images(RbdConnection& connection)
{
    auto entries = list_directory(connection);
    std::erase_if(entries, [](const RbdEntry& entry) { return is_unfinished_image(entry.name); });
    return entries;
}

VolumeRecord image_record(const RbdImage& image, std::string_view name, RbdAllocation allocation)
{
    const auto info = image.info();
    VolumeRecord record{.name = std::string(name),
                        .key = image.path(),
                        .path = image.path(),
                        .facts = {.capacity = info.size - image_encryption(image).header,
                                  .allocation = allocation_of(image, info, allocation),
                                  .physical = info.size,
                                  .modified_ns = static_cast<std::int64_t>(fingerprint(image.id())),
                                  .format = ImageFormat::raw,
                                  .type = VolumeType::network}};
    if (auto parent = parent_of(image); !parent.empty())
        record.references.push_back(std::move(parent));
    return record;
}

VolumeDef describe_image(const RbdImage& image, std::string_view name, RbdAllocation allocation)
{
    const auto info = image.info();
    const auto encryption = image_encryption(image);
    VolumeDef def{.name = std::string(name),
                  .key = image.path(),
                  .type = VolumeType::network,
                  .capacity = info.size - encryption.header,
                  .allocation = allocation_of(image, info, allocation),
                  .target = {.path = image.path(),
                             .format = "raw",
                             .encryption = described_encryption(encryption)}};
    if (auto parent = parent_of(image); !parent.empty())
        def.backing = {{.path = std::move(parent), .format = "raw"}};
    return def;
}

void refresh_images(const std::shared_ptr<RbdConnection>& connection, const VolumeTable* previous,
                    VolumeTable& table, Job* job)
{
    const auto what = "refreshing '" + connection->place() + "'";
    const auto entries = list_images(*connection);
    const auto versions = header_versions(*connection, entries, job);
    check(job, what);
    const Unchanged unchanged(previous, connection->place(), entries);
    std::vector<Outcome> outcomes(entries.size());
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i != entries.size(); ++i) {
        outcomes[i].record = unchanged.find(entries[i], versions[i]);
        if (outcomes[i].record)
            continue;
        if (volume_name_problem(entries[i].name).empty())
            changed.push_back(i);
        else
            outcomes[i].diagnostic = {.name = shown(entries[i].name),
                                      .reason = DiagnosticReason::unusable_name,
                                      .message = "an image whose name " +
                                                 volume_name_problem(entries[i].name)};
    }
    in_parallel(changed.size(), [&](std::size_t n) {
        check(job, what);
        const auto i = changed[n];
        outcomes[i] = read_entry(connection, entries[i], versions[i]);
    });
    table.reserve(entries.size());
    for (auto& outcome : outcomes) {
        if (outcome.record)
            table.add(*outcome.record);
        if (outcome.diagnostic)
            table.add_diagnostic(std::move(*outcome.diagnostic));
    }
}

std::vector<Snapshot> image_snapshots(const RbdImage& image)
{
    const auto& library = image.library();
    std::vector<RbdSnapInfo> found;
    int count = 16;
    for (;;) {
        found.assign(static_cast<std::size_t>(count), {});
        const auto code = library.rbd_snap_list(image.get(), found.data(), &count);
        if (code == -ERANGE && count > static_cast<int>(found.size()))
            continue;
        image.check(code, "cannot list its snapshots");
        count = code;
        break;
    }
    std::vector<Snapshot> result;
    for (const auto& entry : std::span(found).first(static_cast<std::size_t>(count))) {
        int kind = rbd_user_snapshot;
        std::timespec time{};
        library.rbd_snap_get_namespace_type(image.get(), entry.id, &kind);
        if (kind != rbd_user_snapshot || is_unfinished_image(entry.name))
            continue; // of groups, of mirrors, and deleted ones that clones still need
        library.rbd_snap_get_timestamp(image.get(), entry.id, &time);
        int is_protected = 0;
        library.rbd_snap_is_protected(image.get(), entry.name, &is_protected);
        result.push_back({.name = entry.name,
                          .id = std::to_string(entry.id),
                          .created = timestamp(time),
                          .size = entry.size,
                          .is_protected = is_protected != 0});
    }
    library.rbd_snap_list_end(found.data()); // up to the entry without a name, behind the last
    return result;
}

std::vector<std::string> image_children(const RbdImage& image)
{
    const auto& library = image.library();
    std::vector<RbdLinkedImage> children(16);
    auto count = children.size();
    int code = 0;
    while ((code = library.rbd_list_children3(image.get(), children.data(), &count)) == -ERANGE &&
           count > children.size() && count <= most_images)
        children.resize(count);
    image.check(code, "cannot list its clones");
    std::vector<std::string> result;
    for (std::size_t i = 0; i != count; ++i) {
        const auto& child = children[i];
        std::string path = child.pool_name;
        if (child.pool_namespace && *child.pool_namespace)
            path += '/' + std::string(child.pool_namespace);
        result.push_back(path + '/' + child.image_name + (child.trash ? in_trash : ""));
    }
    library.rbd_linked_image_spec_list_cleanup(children.data(), count);
    std::sort(result.begin(), result.end());
    return result;
}

namespace {

struct Watcher {
    std::string client{}; ///< of rados_get_instance_id()
    std::string address{};
};

std::vector<Watcher> watchers_of(const RbdImage& image)
{
    const auto& library = image.library();
    std::vector<RbdWatcher> watchers(64);
    auto count = watchers.size();
    int code = 0;
    while ((code = library.rbd_watchers_list(image.get(), watchers.data(), &count)) == -ERANGE &&
           count > watchers.size())
        watchers.resize(count);
    image.check(code, "cannot ask who has it open");
    std::vector<Watcher> result;
    for (std::size_t i = 0; i != count; ++i)
        result.push_back({.client = std::to_string(watchers[i].id), .address = watchers[i].addr});
    library.rbd_watchers_list_cleanup(watchers.data(), count);
    return result;
}

} // namespace

std::vector<std::string> image_users(const RbdImage& image, const std::string& but)
{
    std::vector<std::string> result;
    for (const auto& watcher : watchers_of(image))
        if (watcher.client != but)
            result.push_back("open by client " + watcher.client + " at " + watcher.address);
    for (auto& lock : foreign_locks(image))
        result.push_back(std::move(lock));
    return result;
}

std::vector<Blocker> image_blockers(const RbdImage& image)
{
    std::vector<Blocker> result;
    for (auto& user : image_users(image))
        result.push_back({.kind = BlockerKind::open, .message = std::move(user)});
    for (const auto& snapshot : image_snapshots(image))
        result.push_back({.kind = BlockerKind::snapshot,
                          .message = "snapshot '" + snapshot.name + "' would be lost"});
    for (const auto& child : image_children(image))
        result.push_back({.kind = BlockerKind::backing_image,
                          .message = "clone '" + child + "' is based on it"});
    return result;
}

// ---- numbers of the pool -----------------------------------------------------------------------

namespace {

json ask_monitor(RbdConnection& connection, const json& question)
{
    const auto& library = connection.library();
    const auto text = question.dump();
    const char* command = text.c_str();
    char* answer = nullptr;
    char* remark = nullptr;
    std::size_t answer_length = 0;
    std::size_t remark_length = 0;
    const auto code = library.rados_mon_command(connection.cluster(), &command, 1, "", 0, &answer,
                                                &answer_length, &remark, &remark_length);
    const std::string words(answer ? answer : "", answer ? answer_length : 0);
    if (answer)
        library.rados_buffer_free(answer);
    if (remark)
        library.rados_buffer_free(remark);
    connection.check(code, "the monitor does not do '" + question.at("prefix").get<std::string>() +
                               "' for '" + connection.place() + "'");
    if (words.empty())
        return {};
    auto parsed = json::parse(words, nullptr, false);
    if (parsed.is_discarded())
        throw Error(ErrorCode::parse_failed, "the monitor's answer to '" +
                                                 question.at("prefix").get<std::string>() +
                                                 "' is not JSON");
    return parsed;
}

std::uint64_t number(const json& object, const char* name)
{
    const auto found = object.find(name);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

} // namespace

void evict_watchers(const RbdImage& image, const std::string& client)
{
    std::vector<std::string> addresses;
    for (auto& watcher : watchers_of(image))
        if (client.empty() || client == watcher.client)
            addresses.push_back(std::move(watcher.address));
    for (const auto& address : addresses)
        try {
            ask_monitor(image.connection(), {{"prefix", "osd blocklist"},
                                             {"blocklistop", "add"},
                                             {"addr", address},
                                             {"expire", 300.0}});
        } catch (const Error& error) {
            if (error.code() != ErrorCode::invalid_argument)
                throw;
            ask_monitor(image.connection(), {{"prefix", "osd blacklist"}, // before Ceph 16
                                             {"blacklistop", "add"},
                                             {"addr", address},
                                             {"expire", 300.0}});
        }
}

PoolSizes rbd_pool_sizes(RbdConnection& connection, const PoolDef& def)
{
    auto pool_name = rbd_place(def).pool;
    const auto usage = ask_monitor(connection, {{"prefix", "df"}, {"format", "json"}});
    PoolSizes sizes;
    std::uint64_t objects = 0;
    try {
        // Without a manager daemon there are no numbers, and Ceph says 0 with success.
        if (number(usage.at("stats"), "total_bytes") == 0) {
            sizes.details["sizes"] = "unknown: the cluster has no manager daemon that counts";
            return sizes;
        }
        const auto& pools = usage.at("pools");
        for (const auto& option : def.config_options)
            if (option.name == "rbd_default_data_pool" &&
                std::any_of(pools.begin(), pools.end(),
                            [&](const json& pool) { return pool.at("name") == option.value; }))
                pool_name = sizes.details["data_pool"] = option.value;
        for (const auto& pool : pools) {
            if (pool.at("name") != pool_name)
                continue;
            const auto& stats = pool.at("stats");
            sizes.allocation = number(stats, "stored");
            sizes.available = number(stats, "max_avail");
            objects = number(stats, "objects");
            sizes.details["objects"] = std::to_string(objects);
        }
    } catch (const json::exception&) {
        throw Error(ErrorCode::parse_failed, "the monitor's answer to 'df' is not understood");
    }
    const auto quotas = ask_monitor(
        connection, {{"prefix", "osd pool get-quota"}, {"pool", pool_name}, {"format", "json"}});
    if (const auto quota = number(quotas, "quota_max_bytes"); quota != 0) {
        sizes.available = std::min(sizes.available, quota - std::min(quota, sizes.allocation));
        sizes.details["quota"] = std::to_string(quota);
    }
    if (const auto quota = number(quotas, "quota_max_objects"); quota != 0) {
        if (objects >= quota)
            sizes.available = 0;
        sizes.details["object_quota"] = std::to_string(quota);
    }
    if (__builtin_add_overflow(sizes.allocation, sizes.available, &sizes.capacity))
        sizes.capacity = UINT64_MAX;
    return sizes;
}

} // namespace storage::inline v1
