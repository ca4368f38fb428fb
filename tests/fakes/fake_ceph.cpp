// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fake_ceph.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace fake_ceph {
namespace {

using namespace storage;

constexpr std::uint64_t object_size = std::uint64_t{4} << 20;
Cluster* cluster = nullptr;

struct Connection {
    std::string user{};
    std::map<std::string, std::string> options{};
};
struct Pool {
    std::string name{};
    std::string name_space{};
};
struct Open {
    std::shared_ptr<Image> image{};
    bool read_only{};
};
struct Completion {
    std::int64_t result{};
    std::uint64_t version{};
};

#define ENTER(function)                                                                            \
    const std::lock_guard lock(cluster->mutex);                                                    \
    if (const int fault = cluster->enter(#function); fault != 0)                                   \
    return fault

char* text(const std::string& value)
{
    return ::strdup(value.c_str());
}

std::shared_ptr<Image> find_image(const Pool& pool, const std::string& name)
{
    for (const auto& image : cluster->images_)
        if (image->pool == pool.name && image->name_space == pool.name_space && image->name == name)
            return image;
    return nullptr;
}

std::shared_ptr<Snapshot> find_snapshot(const Image& image, const std::string& name)
{
    for (const auto& snapshot : image.snapshots)
        if (snapshot->name == name && !snapshot->in_trash)
            return snapshot;
    return nullptr;
}

std::vector<std::shared_ptr<Image>> children(const Image& image)
{
    std::vector<std::shared_ptr<Image>> result;
    for (const auto& other : cluster->images_)
        if (other->parent.get() == &image)
            result.push_back(other);
    return result;
}

Open& open_image(RbdHandle handle)
{
    return *static_cast<Open*>(handle);
}

std::string object_of(const Image& image, std::uint64_t number)
{
    if (const auto found = image.objects.find(number); found != image.objects.end())
        return found->second;
    if (image.parent_snapshot)
        if (const auto found = image.parent_snapshot->objects.find(number);
            found != image.parent_snapshot->objects.end())
            return found->second;
    return std::string(object_size, '\0');
}

/** Takes deleted snapshots away that no clone needs any more, as Ceph's trash does. */
void purge()
{
    for (const auto& image : cluster->images_)
        std::erase_if(image->snapshots, [&](const auto& snapshot) {
            return snapshot->in_trash &&
                   std::none_of(
                       cluster->images_.begin(), cluster->images_.end(),
                       [&](const auto& other) { return other->parent_snapshot == snapshot; });
        });
}

// ---- RADOS -------------------------------------------------------------------------------------

int create2(RadosCluster* result, const char*, const char* name, std::uint64_t)
{
    ENTER(rados_create2);
    *result = new Connection{.user = name};
    return 0;
}
int conf_read_file(RadosCluster, const char*)
{
    ENTER(rados_conf_read_file);
    return 0;
}
int conf_set(RadosCluster connection, const char* name, const char* value)
{
    ENTER(rados_conf_set);
    if (std::string_view(name) == "auth_supported" || std::strstr(name, "no_such"))
        return -ENOENT;
    static_cast<Connection*>(connection)->options[name] = value;
    if (std::string_view(name) != "key")
        cluster->options_.push_back(std::string(name) + '=' + value);
    return 0;
}
int connect(RadosCluster connection)
{
    ENTER(rados_connect);
    auto& options = static_cast<Connection*>(connection)->options;
    if (options["auth_client_required"] != "cephx")
        return -EOPNOTSUPP;
    if (options["key"] != cluster->key)
        return -EACCES;
    if (options["mon_host"].find(cluster->monitor) == std::string::npos)
        return -ETIMEDOUT;
    ++cluster->connections_;
    return 0;
}
void shutdown(RadosCluster connection)
{
    const std::lock_guard lock(cluster->mutex);
    cluster->enter("rados_shutdown");
    delete static_cast<Connection*>(connection);
}
int fsid(RadosCluster, char* buffer, std::size_t size)
{
    ENTER(rados_cluster_fsid);
    std::snprintf(buffer, size, "6f0e0f0a-0000-4000-8000-000000000001");
    return 36;
}
int mon_command(RadosCluster, const char** command, std::size_t, const char*, std::size_t,
                char** out, std::size_t* out_length, char** remark, std::size_t* remark_length)
{
    ENTER(rados_mon_command);
    const std::string number = cluster->has_manager ? "4000000000" : "0";
    std::string answer;
    if (std::strstr(*command, "get-quota"))
        answer = R"({"pool_name":"rbd","quota_max_bytes":)" + std::to_string(cluster->quota) + "}";
    else
        answer =
            R"({"stats":{"total_bytes":)" + number +
            R"(},"pools":[{"name":"rbd","id":1,"stats":{"stored":1000,"objects":2,"max_avail":)" +
            (cluster->has_manager ? "3000" : "0") + "}}]}";
    *out = text(answer);
    *out_length = answer.size();
    *remark = nullptr;
    *remark_length = 0;
    return 0;
}
void buffer_free(char* buffer)
{
    std::free(buffer);
}
int ioctx_create(RadosCluster, const char* name, RadosPool* result)
{
    ENTER(rados_ioctx_create);
    if (!cluster->pools_.contains(name))
        return -ENOENT;
    *result = new Pool{.name = name};
    return 0;
}
void ioctx_destroy(RadosPool pool)
{
    delete static_cast<Pool*>(pool);
}
void set_namespace(RadosPool pool, const char* name)
{
    static_cast<Pool*>(pool)->name_space = name;
}
std::int64_t ioctx_id(RadosPool pool)
{
    return cluster->pools_.at(static_cast<Pool*>(pool)->name);
}
int rados_completion(void*, RadosCallback, RadosCallback, RadosCompletion* result)
{
    *result = new Completion;
    return 0;
}
int aio_stat(RadosPool, const char* object, RadosCompletion completion, std::uint64_t*,
             std::time_t*)
{
    ENTER(rados_aio_stat);
    auto& answer = *static_cast<Completion*>(completion);
    answer.result = -ENOENT;
    for (const auto& image : cluster->images_)
        if (image->has_header && object == "rbd_header." + image->id)
            answer = {.result = 0, .version = image->version};
    return 0;
}
int wait(void*)
{
    return 0;
}
int rados_result(RadosCompletion completion)
{
    return static_cast<int>(static_cast<Completion*>(completion)->result);
}
std::uint64_t rados_version(RadosCompletion completion)
{
    return static_cast<Completion*>(completion)->version;
}
void release(void* completion)
{
    delete static_cast<Completion*>(completion);
}

// ---- the directory of images -------------------------------------------------------------------

int list2(RadosPool pool, RbdImageSpec* result, std::size_t* count)
{
    ENTER(rbd_list2);
    const auto& wanted = *static_cast<Pool*>(pool);
    std::vector<const Image*> found;
    for (const auto& image : cluster->images_)
        if (image->pool == wanted.name && image->name_space == wanted.name_space)
            found.push_back(image.get());
    const auto room = *count;
    *count = found.size();
    if (found.size() > room)
        return -ERANGE;
    for (std::size_t i = 0; i != found.size(); ++i)
        result[i] = {.id = text(found[i]->id), .name = text(found[i]->name)};
    return 0;
}
void list_cleanup(RbdImageSpec* list, std::size_t count)
{
    for (std::size_t i = 0; i != count; ++i) {
        std::free(list[i].id);
        std::free(list[i].name);
    }
}
void options_create(RbdOptions* options)
{
    *options = new std::map<int, std::uint64_t>;
}
void options_destroy(RbdOptions options)
{
    delete static_cast<std::map<int, std::uint64_t>*>(options);
}
int options_set(RbdOptions options, int option, std::uint64_t value)
{
    (*static_cast<std::map<int, std::uint64_t>*>(options))[option] = value;
    return 0;
}
int add_image(RadosPool pool, const char* name, std::uint64_t size,
              std::shared_ptr<Image> parent = {}, std::shared_ptr<Snapshot> snapshot = {})
{
    const auto& place = *static_cast<Pool*>(pool);
    if (find_image(place, name))
        return -EEXIST;
    auto image = std::make_shared<Image>();
    image->id = std::to_string(cluster->next_id_++);
    image->name = name;
    image->pool = place.name;
    image->name_space = place.name_space;
    image->size = size;
    image->parent = std::move(parent);
    image->parent_snapshot = std::move(snapshot);
    cluster->images_.push_back(std::move(image));
    return 0;
}
int create4(RadosPool pool, const char* name, std::uint64_t size, RbdOptions)
{
    ENTER(rbd_create4);
    return add_image(pool, name, size);
}
int clone3(RadosPool parent_pool, const char* parent, const char* snapshot, RadosPool pool,
           const char* name, RbdOptions options)
{
    ENTER(rbd_clone3);
    if ((*static_cast<std::map<int, std::uint64_t>*>(options))[rbd_option_clone_format] != 2)
        return -EINVAL; // the snapshot would have to be protected
    const auto image = find_image(*static_cast<Pool*>(parent_pool), parent);
    const auto state = image ? find_snapshot(*image, snapshot) : nullptr;
    return state ? add_image(pool, name, state->size, image, state) : -ENOENT;
}
int remove(RadosPool pool, const char* name, RbdProgress, void*)
{
    ENTER(rbd_remove_with_progress);
    const auto image = find_image(*static_cast<Pool*>(pool), name);
    if (!image)
        return -ENOENT;
    if (image->writers > 0)
        return -EBUSY;
    if (!image->snapshots.empty())
        return -ENOTEMPTY;
    std::erase(cluster->images_, image);
    purge();
    return 0;
}
int rename(RadosPool pool, const char* from, const char* to)
{
    ENTER(rbd_rename);
    const auto image = find_image(*static_cast<Pool*>(pool), from);
    if (!image)
        return -ENOENT;
    if (find_image(*static_cast<Pool*>(pool), to))
        return -EEXIST;
    image->name = to;
    ++image->version;
    return 0;
}

// ---- one image ---------------------------------------------------------------------------------

int open_either(RadosPool pool, const char* name, RbdHandle* handle, bool read_only)
{
    const auto image = find_image(*static_cast<Pool*>(pool), name);
    if (!image || !image->has_header)
        return -ENOENT;
    if (!read_only)
        ++image->writers;
    *handle = new Open{.image = image, .read_only = read_only};
    return 0;
}
int open_writable(RadosPool pool, const char* name, RbdHandle* handle, const char*)
{
    ENTER(rbd_open);
    return open_either(pool, name, handle, false);
}
int open_read_only(RadosPool pool, const char* name, RbdHandle* handle, const char*)
{
    ENTER(rbd_open_read_only);
    return open_either(pool, name, handle, true);
}
int close(RbdHandle handle)
{
    const std::lock_guard lock(cluster->mutex);
    cluster->enter("rbd_close");
    auto* open = static_cast<Open*>(handle);
    if (!open->read_only)
        --open->image->writers;
    delete open;
    return 0;
}
int stat(RbdHandle handle, RbdImageInfo* info, std::size_t)
{
    ENTER(rbd_stat);
    const auto& image = *open_image(handle).image;
    *info = {};
    info->size = image.size;
    info->obj_size = object_size;
    info->num_objs = (image.size + object_size - 1) / object_size;
    info->order = 22;
    return 0;
}
int get_id(RbdHandle handle, char* buffer, std::size_t size)
{
    ENTER(rbd_get_id);
    std::snprintf(buffer, size, "%s", open_image(handle).image->id.c_str());
    return 0;
}
int get_features(RbdHandle, std::uint64_t* features)
{
    ENTER(rbd_get_features);
    *features = rbd_feature_fast_diff;
    return 0;
}
int get_flags(RbdHandle, std::uint64_t* flags)
{
    ENTER(rbd_get_flags);
    *flags = 0;
    return 0;
}
int get_time(RbdHandle, std::timespec* time)
{
    *time = {.tv_sec = 1'700'000'000, .tv_nsec = 0};
    return 0;
}
RbdLinkedImage linked(const Image& image)
{
    return {.pool_id = cluster->pools_.at(image.pool),
            .pool_name = text(image.pool),
            .pool_namespace = text(image.name_space),
            .image_id = text(image.id),
            .image_name = text(image.name),
            .trash = false};
}
void linked_cleanup(RbdLinkedImage* image)
{
    for (auto* part : {image->pool_name, image->pool_namespace, image->image_id, image->image_name})
        std::free(part);
}
int get_parent(RbdHandle handle, RbdLinkedImage* parent, RbdSnapSpec* snapshot)
{
    ENTER(rbd_get_parent);
    const auto& image = *open_image(handle).image;
    if (!image.parent)
        return -ENOENT;
    *parent = linked(*image.parent);
    *snapshot = {.id = image.parent_snapshot->id,
                 .namespace_type = image.parent_snapshot->in_trash ? 2 : 0,
                 .name = text(image.parent_snapshot->name)};
    return 0;
}
void snap_spec_cleanup(RbdSnapSpec* snapshot)
{
    std::free(snapshot->name);
}
int list_children(RbdHandle handle, RbdLinkedImage* result, std::size_t* count)
{
    ENTER(rbd_list_children3);
    const auto found = children(*open_image(handle).image);
    const auto room = *count;
    *count = found.size();
    if (found.size() > room)
        return -ERANGE;
    for (std::size_t i = 0; i != found.size(); ++i)
        result[i] = linked(*found[i]);
    return 0;
}
void children_cleanup(RbdLinkedImage* list, std::size_t count)
{
    for (std::size_t i = 0; i != count; ++i)
        linked_cleanup(&list[i]);
}
int watchers(RbdHandle handle, RbdWatcher* result, std::size_t* count)
{
    ENTER(rbd_watchers_list);
    const auto writers = static_cast<std::size_t>(open_image(handle).image->writers);
    const auto room = *count;
    *count = writers;
    if (writers > room)
        return -ERANGE;
    for (std::size_t i = 0; i != writers; ++i)
        result[i] = {.addr = text("192.0.2.1:0/1"), .id = 4100, .cookie = i};
    return 0;
}
void watchers_cleanup(RbdWatcher* list, std::size_t count)
{
    for (std::size_t i = 0; i != count; ++i)
        std::free(list[i].addr);
}
int resize(RbdHandle handle, std::uint64_t size, bool, RbdProgress, void*)
{
    ENTER(rbd_resize2);
    auto& image = *open_image(handle).image;
    image.size = size;
    std::erase_if(image.objects,
                  [&](const auto& object) { return object.first * object_size >= size; });
    ++image.version;
    return 0;
}

int flatten(RbdHandle handle, RbdProgress report, void* self)
{
    ENTER(rbd_flatten_with_progress);
    auto& image = *open_image(handle).image;
    if (!image.parent)
        return -EINVAL;
    const auto objects = (image.size + object_size - 1) / object_size;
    for (std::uint64_t number = 0; number != objects; ++number) {
        if (const int code = report(number, objects, self); code < 0)
            return code;
        if (image.parent_snapshot->objects.contains(number))
            image.objects.insert({number, object_of(image, number)});
    }
    image.parent.reset();
    image.parent_snapshot.reset();
    purge();
    ++image.version;
    return 0;
}

// ---- snapshots ---------------------------------------------------------------------------------

int snap_list(RbdHandle handle, RbdSnapInfo* result, int* count)
{
    ENTER(rbd_snap_list);
    const auto& snapshots = open_image(handle).image->snapshots;
    const auto room = *count;
    *count = static_cast<int>(snapshots.size());
    if (*count > room)
        return -ERANGE;
    for (std::size_t i = 0; i != snapshots.size(); ++i)
        result[i] = {
            .id = snapshots[i]->id, .size = snapshots[i]->size, .name = text(snapshots[i]->name)};
    if (*count < room)
        result[*count] = {};
    return *count;
}
void snap_list_end(RbdSnapInfo* list)
{
    for (; list->name; ++list)
        std::free(const_cast<char*>(list->name));
}
int snap_namespace(RbdHandle handle, std::uint64_t id, int* kind)
{
    ENTER(rbd_snap_get_namespace_type);
    for (const auto& snapshot : open_image(handle).image->snapshots)
        if (snapshot->id == id)
            *kind = snapshot->in_trash ? 2 : 0;
    return 0;
}
int snap_time(RbdHandle handle, std::uint64_t, std::timespec* time)
{
    return get_time(handle, time);
}
int snap_create(RbdHandle handle, const char* name)
{
    ENTER(rbd_snap_create);
    auto& image = *open_image(handle).image;
    if (find_snapshot(image, name))
        return -EEXIST;
    auto objects = image.objects;
    if (image.parent_snapshot)
        objects.insert(image.parent_snapshot->objects.begin(),
                       image.parent_snapshot->objects.end());
    image.snapshots.push_back(std::make_shared<Snapshot>(Snapshot{.id = cluster->next_id_++,
                                                                  .name = name,
                                                                  .size = image.size,
                                                                  .objects = std::move(objects)}));
    ++image.version;
    return 0;
}
int snap_remove(RbdHandle handle, const char* name, std::uint32_t, RbdProgress, void*)
{
    ENTER(rbd_snap_remove2);
    auto& image = *open_image(handle).image;
    const auto snapshot = find_snapshot(image, name);
    if (!snapshot)
        return -ENOENT;
    snapshot->in_trash = true;
    purge();
    ++image.version;
    return 0;
}
int snap_rollback(RbdHandle handle, const char* name, RbdProgress, void*)
{
    ENTER(rbd_snap_rollback_with_progress);
    auto& image = *open_image(handle).image;
    const auto snapshot = find_snapshot(image, name);
    if (!snapshot)
        return -ENOENT;
    image.objects = snapshot->objects;
    image.size = snapshot->size;
    ++image.version;
    return 0;
}

// ---- content -----------------------------------------------------------------------------------

int diff_iterate(RbdHandle handle, const char*, std::uint64_t offset, std::uint64_t length,
                 std::uint8_t include_parent, std::uint8_t, RbdDiff callback, void* self)
{
    ENTER(rbd_diff_iterate2);
    const auto& image = *open_image(handle).image;
    std::set<std::uint64_t> numbers;
    for (const auto& [number, object] : image.objects)
        numbers.insert(number);
    if (include_parent && image.parent_snapshot)
        for (const auto& [number, object] : image.parent_snapshot->objects)
            numbers.insert(number);
    for (const auto number : numbers) {
        const auto start = number * object_size;
        if (start < offset || start >= offset + length)
            continue;
        const auto size = std::min(object_size, image.size - start);
        if (const int code = callback(start, static_cast<std::size_t>(size), 1, self); code < 0)
            return code;
    }
    return 0;
}

template <typename Visit>
void each_object(std::uint64_t at, std::uint64_t length, Visit&& visit)
{
    for (std::uint64_t done = 0; done < length;) {
        const auto inside = (at + done) % object_size;
        const auto size = std::min(object_size - inside, length - done);
        visit((at + done) / object_size, inside, done, size);
        done += size;
    }
}

int discard(RbdHandle handle, std::uint64_t at, std::uint64_t length)
{
    ENTER(rbd_discard);
    auto& image = *open_image(handle).image;
    each_object(at, length,
                [&](std::uint64_t number, std::uint64_t inside, std::uint64_t, std::uint64_t size) {
                    auto object = object_of(image, number);
                    std::fill_n(object.begin() + static_cast<std::ptrdiff_t>(inside), size, '\0');
                    if (size == object_size && !image.parent)
                        image.objects.erase(number);
                    else
                        image.objects[number] = std::move(object);
                });
    return 0;
}
int flush(RbdHandle)
{
    ENTER(rbd_flush);
    return 0;
}
int rbd_completion(void*, RbdCallback, RbdCompletion* result)
{
    *result = new Completion;
    return 0;
}
int aio_read(RbdHandle handle, std::uint64_t at, std::size_t length, char* buffer,
             RbdCompletion completion)
{
    ENTER(rbd_aio_read);
    const auto& image = *open_image(handle).image;
    length = static_cast<std::size_t>(
        std::min<std::uint64_t>(length, image.size - std::min(image.size, at)));
    each_object(
        at, length,
        [&](std::uint64_t number, std::uint64_t inside, std::uint64_t done, std::uint64_t size) {
            std::memcpy(buffer + done, object_of(image, number).data() + inside, size);
        });
    static_cast<Completion*>(completion)->result = static_cast<std::int64_t>(length);
    return 0;
}
int aio_write(RbdHandle handle, std::uint64_t at, std::size_t length, const char* buffer,
              RbdCompletion completion)
{
    ENTER(rbd_aio_write);
    auto& image = *open_image(handle).image;
    if (at + length > image.size) {
        static_cast<Completion*>(completion)->result = -EINVAL;
        return 0;
    }
    each_object(
        at, length,
        [&](std::uint64_t number, std::uint64_t inside, std::uint64_t done, std::uint64_t size) {
            auto object = object_of(image, number);
            std::memcpy(object.data() + inside, buffer + done, size);
            image.objects[number] = std::move(object);
        });
    return 0;
}
std::int64_t rbd_result(RbdCompletion completion)
{
    return static_cast<Completion*>(completion)->result;
}

constexpr RbdLibrary functions{
    .rados_create2 = create2,
    .rados_conf_read_file = conf_read_file,
    .rados_conf_set = conf_set,
    .rados_connect = connect,
    .rados_shutdown = shutdown,
    .rados_cluster_fsid = fsid,
    .rados_mon_command = mon_command,
    .rados_buffer_free = buffer_free,
    .rados_ioctx_create = ioctx_create,
    .rados_ioctx_destroy = ioctx_destroy,
    .rados_ioctx_set_namespace = set_namespace,
    .rados_ioctx_get_id = ioctx_id,
    .rados_aio_create_completion = rados_completion,
    .rados_aio_stat = aio_stat,
    .rados_aio_wait_for_complete = wait,
    .rados_aio_get_return_value = rados_result,
    .rados_aio_get_version = rados_version,
    .rados_aio_release = release,
    .rbd_list2 = list2,
    .rbd_image_spec_list_cleanup = list_cleanup,
    .rbd_image_options_create = options_create,
    .rbd_image_options_destroy = options_destroy,
    .rbd_image_options_set_uint64 = options_set,
    .rbd_create4 = create4,
    .rbd_clone3 = clone3,
    .rbd_remove_with_progress = remove,
    .rbd_rename = rename,
    .rbd_open = open_writable,
    .rbd_open_read_only = open_read_only,
    .rbd_close = close,
    .rbd_stat = stat,
    .rbd_get_id = get_id,
    .rbd_get_features = get_features,
    .rbd_get_flags = get_flags,
    .rbd_get_parent = get_parent,
    .rbd_linked_image_spec_cleanup = linked_cleanup,
    .rbd_snap_spec_cleanup = snap_spec_cleanup,
    .rbd_list_children3 = list_children,
    .rbd_linked_image_spec_list_cleanup = children_cleanup,
    .rbd_watchers_list = watchers,
    .rbd_watchers_list_cleanup = watchers_cleanup,
    .rbd_resize2 = resize,
    .rbd_flatten_with_progress = flatten,
    .rbd_snap_list = snap_list,
    .rbd_snap_list_end = snap_list_end,
    .rbd_snap_get_namespace_type = snap_namespace,
    .rbd_snap_get_timestamp = snap_time,
    .rbd_snap_create = snap_create,
    .rbd_snap_remove2 = snap_remove,
    .rbd_snap_rollback_with_progress = snap_rollback,
    .rbd_diff_iterate2 = diff_iterate,
    .rbd_discard = discard,
    .rbd_flush = flush,
    .rbd_aio_create_completion = rbd_completion,
    .rbd_aio_read = aio_read,
    .rbd_aio_write = aio_write,
    .rbd_aio_wait_for_complete = wait,
    .rbd_aio_get_return_value = rbd_result,
    .rbd_aio_release = release,
};

} // namespace

Cluster::Cluster()
{
    cluster = this;
    replace_rbd_library(&functions);
}

Cluster::~Cluster()
{
    replace_rbd_library(nullptr);
    cluster = nullptr;
}

void Cluster::fail(const std::string& function, int code, int after, int times)
{
    const std::lock_guard lock(mutex);
    faults_[function] = {.code = code, .after = after, .times = times};
}

void Cluster::heal()
{
    const std::lock_guard lock(mutex);
    faults_.clear();
}

int Cluster::calls(const std::string& function) const
{
    const auto found = calls_.find(function);
    return found == calls_.end() ? 0 : found->second;
}

void Cluster::forget_calls()
{
    calls_.clear();
}

int Cluster::enter(const char* function)
{
    ++calls_[function];
    const auto found = faults_.find(function);
    if (found == faults_.end() || --found->second.after > 0 || found->second.times <= 0)
        return 0;
    --found->second.times;
    return found->second.code;
}

Image* Cluster::find(const std::string& pool, const std::string& name,
                     const std::string& name_space)
{
    return find_image({.name = pool, .name_space = name_space}, name).get();
}

void Cluster::add_half_made(const std::string& pool, const std::string& name)
{
    Pool place{.name = pool};
    add_image(&place, name.c_str(), 0);
    find(pool, name)->has_header = false;
}

} // namespace fake_ceph
