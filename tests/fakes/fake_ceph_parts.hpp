// SPDX-License-Identifier: LGPL-2.1-or-later
// What the parts of the fake cluster share.
#pragma once

#include "fake_ceph.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace fake_ceph {

using namespace storage;

inline constexpr std::uint64_t object_size = std::uint64_t{4} << 20;
inline Cluster* cluster = nullptr;

struct Connection {
    std::string user{};
    std::map<std::string, std::string> options{};
};
struct Pool {
    std::string name{};
    std::string name_space{};
    std::int64_t id{};
    bool full_try{};
};
struct Open {
    std::shared_ptr<Image> image{};
    std::shared_ptr<Snapshot> snapshot{};
    bool read_only{};
    bool is_decrypted{};
};
struct Completion {
    std::int64_t result{};
    std::uint64_t version{};
};

#define ENTER(function)                                                                            \
    const std::lock_guard lock(cluster->mutex);                                                    \
    if (const int fault = cluster->enter(#function); fault != 0)                                   \
    return fault

inline char* text(const std::string& value)
{
    return ::strdup(value.c_str());
}

inline std::shared_ptr<Image> find_image(const Pool& pool, const std::string& name)
{
    for (const auto& image : cluster->images_)
        if (image->pool == pool.name && image->name_space == pool.name_space && image->name == name)
            return image;
    return nullptr;
}

inline std::shared_ptr<Snapshot> find_snapshot(const Image& image, const std::string& name)
{
    for (const auto& snapshot : image.snapshots)
        if (snapshot->name == name && !snapshot->in_trash)
            return snapshot;
    return nullptr;
}

inline std::vector<std::shared_ptr<Image>> children(const Image& image)
{
    std::vector<std::shared_ptr<Image>> result;
    for (const auto& other : cluster->images_)
        if (other->parent.get() == &image)
            result.push_back(other);
    return result;
}

inline Open& open_image(RbdHandle handle)
{
    return *static_cast<Open*>(handle);
}

inline std::string object_of(const Image& image, std::uint64_t number)
{
    if (const auto found = image.objects.find(number); found != image.objects.end())
        return found->second;
    if (image.parent_snapshot)
        if (const auto found = image.parent_snapshot->objects.find(number);
            found != image.parent_snapshot->objects.end())
            return found->second;
    return std::string(object_size, '\0');
}

/** As librbd does: on a thread of its own, which the caller waits for. */
int report_elsewhere(RbdProgress report, std::uint64_t done, std::uint64_t total, void* self);

int add_image(RadosPool pool, const char* name, std::uint64_t size,
              std::shared_ptr<Image> parent = {}, std::shared_ptr<Snapshot> snapshot = {});

/** Takes deleted snapshots away that no clone needs any more, as Ceph's trash does. */
inline void purge()
{
    for (const auto& image : cluster->images_)
        std::erase_if(image->snapshots, [&](const auto& snapshot) {
            return snapshot->in_trash &&
                   std::none_of(
                       cluster->images_.begin(), cluster->images_.end(),
                       [&](const auto& other) { return other->parent_snapshot == snapshot; });
        });
}

void add_rados_functions(RbdLibrary& library);
void add_image_functions(RbdLibrary& library);
void add_content_functions(RbdLibrary& library);

} // namespace fake_ceph
