// SPDX-License-Identifier: LGPL-2.1-or-later
// librbd: snapshots, keys and values, bytes.
#include "fake_ceph_parts.hpp"

namespace fake_ceph {
namespace {

// ---- snapshots ---------------------------------------------------------------------------------

int snap_list(RbdHandle handle, RbdSnapInfo* result, int* count)
{
    ENTER(rbd_snap_list);
    const auto& snapshots = open_image(handle).image->snapshots;
    const auto room = *count;
    if (static_cast<int>(snapshots.size()) >= room) { // one more, for the end
        *count = static_cast<int>(snapshots.size()) + 1;
        return -ERANGE;
    }
    *count = static_cast<int>(snapshots.size());
    for (std::size_t i = 0; i != snapshots.size(); ++i)
        result[i] = {
            .id = snapshots[i]->id, .size = snapshots[i]->size, .name = text(snapshots[i]->name)};
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
int snap_time(RbdHandle, std::uint64_t, std::timespec* time)
{
    *time = {.tv_sec = 1'700'000'000, .tv_nsec = 0};
    return 0;
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
    if (snapshot->is_protected)
        return -EBUSY;
    snapshot->in_trash = true;
    purge();
    ++image.version;
    return 0;
}
int set_protection(RbdHandle handle, const char* name, bool on)
{
    auto& image = *open_image(handle).image;
    const auto snapshot = find_snapshot(image, name);
    if (!snapshot)
        return -ENOENT;
    if (snapshot->is_protected == on)
        return on ? -EBUSY : -EINVAL;
    snapshot->is_protected = on;
    ++image.version;
    return 0;
}
int snap_protect(RbdHandle handle, const char* name)
{
    ENTER(rbd_snap_protect);
    return set_protection(handle, name, true);
}
int snap_unprotect(RbdHandle handle, const char* name)
{
    ENTER(rbd_snap_unprotect);
    return set_protection(handle, name, false);
}
int snap_is_protected(RbdHandle handle, const char* name, int* on)
{
    ENTER(rbd_snap_is_protected);
    const auto snapshot = find_snapshot(*open_image(handle).image, name);
    *on = snapshot && snapshot->is_protected;
    return snapshot ? 0 : -ENOENT;
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

// ---- keys and values ----------------------------------------------------------------------------

int metadata_list(RbdHandle handle, const char* start, std::uint64_t most, char* keys,
                  std::size_t* key_room, char* values, std::size_t* value_room)
{
    ENTER(rbd_metadata_list);
    const auto& all = open_image(handle).image->metadata;
    std::string key_text;
    std::string value_text;
    auto at = all.upper_bound(start);
    for (std::uint64_t n = 0; at != all.end() && (most == 0 || n != most); ++at, ++n) {
        key_text += at->first + '\0';
        value_text += at->second + '\0';
    }
    const bool fits = key_text.size() <= *key_room && value_text.size() <= *value_room;
    *key_room = key_text.size();
    *value_room = value_text.size();
    if (!fits)
        return -ERANGE;
    std::copy(key_text.begin(), key_text.end(), keys);
    std::copy(value_text.begin(), value_text.end(), values);
    return 0;
}
int metadata_get(RbdHandle handle, const char* key, char* value, std::size_t* room)
{
    ENTER(rbd_metadata_get);
    const auto& all = open_image(handle).image->metadata;
    const auto found = all.find(key);
    if (found == all.end())
        return -ENOENT;
    const bool fits = found->second.size() + 1 <= *room;
    *room = found->second.size() + 1;
    if (!fits)
        return -ERANGE;
    std::memcpy(value, found->second.c_str(), *room);
    return 0;
}
int metadata_set(RbdHandle handle, const char* key, const char* value)
{
    ENTER(rbd_metadata_set);
    open_image(handle).image->metadata[key] = value;
    return 0;
}
int metadata_remove(RbdHandle handle, const char* key)
{
    ENTER(rbd_metadata_remove);
    return open_image(handle).image->metadata.erase(key) ? 0 : -ENOENT;
}

// ---- content -----------------------------------------------------------------------------------

int diff_iterate(RbdHandle handle, const char*, std::uint64_t offset, std::uint64_t length,
                 std::uint8_t include_parent, std::uint8_t by_map, RbdDiff callback, void* self)
{
    ENTER(rbd_diff_iterate2);
    const auto& image = *open_image(handle).image;
    auto numbers = by_map ? image.unwritten : std::set<std::uint64_t>{};
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
std::int64_t get_bytes(const Image& image, std::uint64_t at, std::size_t length, char* buffer)
{
    length = static_cast<std::size_t>(
        std::min<std::uint64_t>(length, image.size - std::min(image.size, at)));
    each_object(
        at, length,
        [&](std::uint64_t number, std::uint64_t inside, std::uint64_t done, std::uint64_t size) {
            std::memcpy(buffer + done, object_of(image, number).data() + inside, size);
        });
    return static_cast<std::int64_t>(length);
}
std::int64_t put_bytes(Image& image, std::uint64_t at, std::size_t length, const char* buffer)
{
    if (at + length > image.size)
        return -EINVAL;
    each_object(
        at, length,
        [&](std::uint64_t number, std::uint64_t inside, std::uint64_t done, std::uint64_t size) {
            auto object = object_of(image, number);
            std::memcpy(object.data() + inside, buffer + done, size);
            image.objects[number] = std::move(object);
            image.unwritten.erase(number);
        });
    return 0;
}
std::int64_t read(RbdHandle handle, std::uint64_t at, std::size_t length, char* buffer)
{
    ENTER(rbd_read);
    return get_bytes(*open_image(handle).image, at, length, buffer);
}
std::int64_t compare_and_write(RbdHandle handle, std::uint64_t at, std::size_t length,
                               const char* expected, const char* buffer, std::uint64_t* differs,
                               int)
{
    ENTER(rbd_compare_and_write);
    auto& image = *open_image(handle).image;
    std::vector<char> is(length);
    if (get_bytes(image, at, length, is.data()) != static_cast<std::int64_t>(length))
        return -EINVAL;
    const auto other = std::mismatch(is.begin(), is.end(), expected).first;
    if (other == is.end())
        return put_bytes(image, at, length, buffer);
    *differs = static_cast<std::uint64_t>(other - is.begin());
    return -EILSEQ;
}
int aio_read(RbdHandle handle, std::uint64_t at, std::size_t length, char* buffer,
             RbdCompletion completion)
{
    ENTER(rbd_aio_read);
    static_cast<Completion*>(completion)->result =
        get_bytes(*open_image(handle).image, at, length, buffer);
    return 0;
}
int aio_write(RbdHandle handle, std::uint64_t at, std::size_t length, const char* buffer,
              RbdCompletion completion)
{
    ENTER(rbd_aio_write);
    static_cast<Completion*>(completion)->result =
        put_bytes(*open_image(handle).image, at, length, buffer);
    return 0;
}
std::int64_t rbd_result(RbdCompletion completion)
{
    return static_cast<Completion*>(completion)->result;
}

} // namespace

void add_content_functions(RbdLibrary& library)
{
    library.rbd_snap_list = snap_list;
    library.rbd_snap_list_end = snap_list_end;
    library.rbd_snap_get_namespace_type = snap_namespace;
    library.rbd_snap_get_timestamp = snap_time;
    library.rbd_snap_create = snap_create;
    library.rbd_snap_protect = snap_protect;
    library.rbd_snap_unprotect = snap_unprotect;
    library.rbd_snap_is_protected = snap_is_protected;
    library.rbd_metadata_list = metadata_list;
    library.rbd_metadata_get = metadata_get;
    library.rbd_metadata_set = metadata_set;
    library.rbd_metadata_remove = metadata_remove;
    library.rbd_snap_remove2 = snap_remove;
    library.rbd_snap_rollback_with_progress = snap_rollback;
    library.rbd_diff_iterate2 = diff_iterate;
    library.rbd_discard = discard;
    library.rbd_flush = flush;
    library.rbd_read = read;
    library.rbd_compare_and_write = compare_and_write;
    library.rbd_aio_create_completion = rbd_completion;
    library.rbd_aio_read = aio_read;
    library.rbd_aio_write = aio_write;
    library.rbd_aio_get_return_value = rbd_result;
}

} // namespace fake_ceph
