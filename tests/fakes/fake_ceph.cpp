// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fake_ceph_parts.hpp"

#include <cassert>
#include <chrono>
#include <thread>
#include <unistd.h>

namespace fake_ceph {
namespace {

using namespace std::chrono_literals;

const RbdLibrary& functions(bool with_encryption)
{
    static const auto all = [] {
        RbdLibrary library{};
        add_rados_functions(library);
        add_image_functions(library);
        add_content_functions(library);
        return library;
    }();
    static const auto old = [] {
        auto library = all;
        library.rbd_encryption_format = nullptr;
        library.rbd_encryption_load = nullptr;
        return library;
    }();
    return with_encryption ? all : old;
}

} // namespace

int report_elsewhere(RbdProgress report, std::uint64_t done, std::uint64_t total, void* self)
{
    int code = 0;
    std::this_thread::sleep_for(cluster->pause);
    std::thread([&] { code = report(done, total, self); }).join();
    return code;
}

int add_image(RadosPool pool, const char* name, std::uint64_t size, std::shared_ptr<Image> parent,
              std::shared_ptr<Snapshot> snapshot)
{
    const auto& place = *static_cast<Pool*>(pool);
    if (cluster->full)
        return place.full_try ? -EDQUOT : -ETIMEDOUT;
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

Cluster::Cluster()
{
    cluster = this;
    replace_rbd_library(&functions(true));
}

Cluster::~Cluster()
{
    // A connection that was given up is closed by a thread that nobody waits for.
    std::unique_lock lock(mutex);
    [[maybe_unused]] const bool closed = closed_.wait_for(lock, 30s, [this] { return open_ == 0; });
    assert(closed && "a connection is never closed");
    replace_rbd_library(nullptr);
    cluster = nullptr;
}

void Cluster::fail(const std::string& function, int code, int after, int times)
{
    const std::lock_guard lock(mutex);
    faults_[function] = {.code = code, .after = after, .times = times};
}

void Cluster::at_next(const std::string& function, std::function<void()> act)
{
    const std::lock_guard lock(mutex);
    acts_[function] = std::move(act);
}

void Cluster::die_at(const std::string& function)
{
    at_next(function, [] { ::_exit(killed); });
}

void Cluster::become_old()
{
    replace_rbd_library(&functions(false));
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
    if (const auto act = acts_.extract(function))
        act.mapped()();
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
    Pool place{.name = pool, .id = pools_.at(pool)};
    add_image(&place, name.c_str(), 0);
    find(pool, name)->has_header = false;
}

} // namespace fake_ceph
