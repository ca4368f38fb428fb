// SPDX-License-Identifier: LGPL-2.1-or-later
// librados: connections, pools, what the monitor answers.
#include "fake_ceph_parts.hpp"

#include <chrono>
#include <thread>

namespace fake_ceph {
namespace {

// ---- RADOS -------------------------------------------------------------------------------------

int create2(RadosCluster* result, const char*, const char* name, std::uint64_t)
{
    ENTER(rados_create2);
    *result = new Connection{.user = name};
    ++cluster->open_;
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
    if (auto* counter = cluster->shut_down) {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        ++*counter;
    }
    const std::lock_guard lock(cluster->mutex);
    cluster->enter("rados_shutdown");
    delete static_cast<Connection*>(connection);
    --cluster->open_;
    cluster->closed_.notify_all();
}
int fsid(RadosCluster connection, char* buffer, std::size_t size)
{
    ENTER(rados_cluster_fsid);
    const auto& monitors = static_cast<Connection*>(connection)->options["mon_host"];
    std::snprintf(buffer, size, "6f0e0f0a-0000-4000-8000-00000000000%c",
                  monitors.starts_with("192.0.2.17") ? '2' : '1');
    return 36;
}
std::uint64_t instance_id(RadosCluster)
{
    return this_client;
}
int mon_command(RadosCluster, const char** command, std::size_t, const char*, std::size_t,
                char** out, std::size_t* out_length, char** remark, std::size_t* remark_length)
{
    ENTER(rados_mon_command);
    const std::string number = cluster->has_manager ? "4000000000" : "0";
    std::string answer;
    if (std::strstr(*command, "blocklist")) { // all have one address
        for (const auto& image : cluster->images_)
            image->writers = 0;
    } else if (std::strstr(*command, "get-quota")) {
        answer = R"({"pool_name":"rbd","quota_max_bytes":)" +
                 std::to_string(cluster->full ? 1 : cluster->quota) + "}";
    } else {
        for (const auto& [name, id] : cluster->pools_)
            answer += (answer.empty() ? R"({"stats":{"total_bytes":)" + number + R"(},"pools":[)"
                                      : std::string(",")) +
                      R"({"name":")" + name + R"(","id":)" + std::to_string(id) +
                      R"(,"stats":{"stored":1000,"objects":2,"max_avail":)" +
                      (cluster->has_manager ? "3000" : "0") + "}}";
        answer += "]}";
    }
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
    *result = new Pool{.name = name, .id = cluster->pools_.at(name)};
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
    return static_cast<Pool*>(pool)->id;
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
int reverse_lookup(RadosCluster, std::int64_t id, char*, std::size_t)
{
    ENTER(rados_pool_reverse_lookup);
    for (const auto& [name, number] : cluster->pools_)
        if (number == id)
            return static_cast<int>(name.size());
    return -ENOENT;
}
void full_try(RadosPool pool)
{
    static_cast<Pool*>(pool)->full_try = true;
}
// Calls are whole here: of the objects of images there are headers, which have keys and values, but
// no bytes, and what a test says that a kill left.
int read_object(RadosPool, const char* object, char* buffer, std::size_t size, std::uint64_t offset)
{
    ENTER(rados_read);
    if (const auto found = cluster->remains_.find(object); found != cluster->remains_.end())
        return static_cast<int>(found->second.copy(buffer, size, offset));
    return std::any_of(cluster->images_.begin(), cluster->images_.end(),
                       [&](const auto& image) {
                           return image->has_header && object == "rbd_header." + image->id;
                       })
               ? 0
               : -ENOENT;
}
int remove_object(RadosPool, const char* object)
{
    ENTER(rados_remove);
    return cluster->remains_.erase(object) == 0 ? -ENOENT : 0;
}
int exec(RadosPool, const char* object, const char* cls, const char* method, const char*,
         std::size_t, char*, std::size_t)
{
    ENTER(rados_exec);
    if (std::string_view(cls) != "rbd" || std::string_view(method) != "parent_detach")
        return -EOPNOTSUPP;
    for (const auto& image : cluster->images_)
        if (object == "rbd_header." + image->id) {
            image->lost_parent = false;
            return 0;
        }
    return -ENOENT;
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

} // namespace

void add_rados_functions(RbdLibrary& library)
{
    library.rados_create2 = create2;
    library.rados_conf_read_file = conf_read_file;
    library.rados_conf_set = conf_set;
    library.rados_connect = connect;
    library.rados_shutdown = shutdown;
    library.rados_cluster_fsid = fsid;
    library.rados_get_instance_id = instance_id;
    library.rados_read = read_object;
    library.rados_remove = remove_object;
    library.rados_exec = exec;
    library.rados_mon_command = mon_command;
    library.rados_buffer_free = buffer_free;
    library.rados_ioctx_create = ioctx_create;
    library.rados_ioctx_destroy = ioctx_destroy;
    library.rados_ioctx_set_namespace = set_namespace;
    library.rados_ioctx_get_id = ioctx_id;
    library.rados_pool_reverse_lookup = reverse_lookup;
    library.rados_set_pool_full_try = full_try;
    library.rados_aio_create_completion = rados_completion;
    library.rados_aio_stat = aio_stat;
    library.rados_aio_wait_for_complete = wait;
    library.rados_aio_get_return_value = rados_result;
    library.rados_aio_get_version = rados_version;
    library.rados_aio_release = release;
    library.rbd_aio_wait_for_complete = wait;
    library.rbd_aio_release = release;
}

} // namespace fake_ceph
