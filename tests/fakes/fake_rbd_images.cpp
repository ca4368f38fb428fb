// SPDX-License-Identifier: LGPL-2.1-or-later
// librbd: the directory of images, and one image.
#include "fake_ceph_parts.hpp"

namespace fake_ceph {
namespace {

// ---- the directory of images -------------------------------------------------------------------

int namespace_exists(RadosPool, const char* name, bool* exists)
{
    ENTER(rbd_namespace_exists);
    *exists = cluster->name_spaces_.contains(name);
    return 0;
}
int list2(RadosPool pool, RbdImageSpec* result, std::size_t* count)
{
    ENTER(rbd_list2);
    const auto& wanted = *static_cast<Pool*>(pool);
    std::vector<const Image*> found;
    for (const auto& image : cluster->images_)
        if (image->pool == wanted.name && image->name_space == wanted.name_space &&
            cluster->pools_.contains(wanted.name))
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
    if (cluster->full) // what 16.2 says then
        return -ENOENT;
    return state ? add_image(pool, name, state->size, image, state) : -ENOENT;
}
int remove(RadosPool pool, const char* name, RbdProgress, void*)
{
    ENTER(rbd_remove_with_progress);
    const auto image = find_image(*static_cast<Pool*>(pool), name);
    if (!image)
        return -ENOENT;
    if (cluster->full && !static_cast<Pool*>(pool)->full_try)
        return -ETIMEDOUT;
    if (image->writers > 0)
        return -EBUSY;
    if (!image->snapshots.empty())
        return -ENOTEMPTY;
    if (const int fault = cluster->enter("trash_remove"); fault != 0) {
        image->has_header = false; // in the trash, but still listed
        return fault;
    }
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

int open_either(const std::shared_ptr<Image>& image, RbdHandle* handle, const char* snapshot,
                bool read_only)
{
    if (!image || !image->has_header || image->lost_parent)
        return -ENOENT;
    const auto state = snapshot ? find_snapshot(*image, snapshot) : nullptr;
    if (snapshot && !state)
        return -ENOENT;
    if (!read_only)
        ++image->writers;
    *handle = new Open{.image = image, .snapshot = state, .read_only = read_only};
    return 0;
}
int open_writable(RadosPool pool, const char* name, RbdHandle* handle, const char* snapshot)
{
    ENTER(rbd_open);
    return open_either(find_image(*static_cast<Pool*>(pool), name), handle, snapshot, false);
}
int open_by_id(RadosPool pool, const char* id, RbdHandle* handle, const char* snapshot)
{
    ENTER(rbd_open_by_id);
    const auto& place = *static_cast<Pool*>(pool);
    for (const auto& image : cluster->images_)
        if (image->pool == place.name && image->name_space == place.name_space && image->id == id)
            return open_either(image, handle, snapshot, false);
    return -ENOENT;
}
int open_read_only(RadosPool pool, const char* name, RbdHandle* handle, const char* snapshot)
{
    ENTER(rbd_open_read_only);
    return open_either(find_image(*static_cast<Pool*>(pool), name), handle, snapshot, true);
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
/** Not what is expected of version 1: as long as a stripe. */
std::uint64_t fake_header(const Image& image)
{
    return std::uint64_t{image.luks_version == 2 ? 16u : 8u} << 20;
}
int encryption_format(RbdHandle handle, int format, const void* options, std::size_t)
{
    ENTER(rbd_encryption_format);
    auto& image = *open_image(handle).image;
    const auto& luks = *static_cast<const RbdLuksOptions*>(options);
    image.passphrase.assign(luks.passphrase, luks.passphrase_size);
    image.luks_version = format == rbd_format_luks2 ? 2 : 1;
    if (image.size < fake_header(image))
        return -ENOSPC;
    image.objects[0] = "LUKS" + std::string(object_size - 4, '\0');
    return 0;
}
int encryption_load(RbdHandle handle, int format, const void* options, std::size_t)
{
    ENTER(rbd_encryption_load);
    auto& open = open_image(handle);
    const auto& luks = *static_cast<const RbdLuksOptions*>(options);
    if (open.image->luks_version != (format == rbd_format_luks2 ? 2 : 1))
        return -EINVAL;
    if (open.image->passphrase != std::string_view(luks.passphrase, luks.passphrase_size))
        return -EPERM;
    open.is_decrypted = true;
    return 0;
}
int stat(RbdHandle handle, RbdImageInfo* info, std::size_t)
{
    ENTER(rbd_stat);
    const auto& image = *open_image(handle).image;
    *info = {};
    if (const auto& snapshot = open_image(handle).snapshot)
        info->size = snapshot->size;
    else
        info->size = open_image(handle).is_decrypted ? image.size - fake_header(image) : image.size;
    info->obj_size = object_size;
    info->num_objs = (image.size + object_size - 1) / object_size;
    info->order = 22;
    std::snprintf(info->block_name_prefix, sizeof info->block_name_prefix, "rbd_data.%s",
                  image.id.c_str());
    return 0;
}
int get_id(RbdHandle handle, char* buffer, std::size_t size)
{
    ENTER(rbd_get_id);
    if (open_image(handle).image->is_old)
        return -EINVAL;
    std::snprintf(buffer, size, "%s", open_image(handle).image->id.c_str());
    return 0;
}
int get_features(RbdHandle handle, std::uint64_t* features)
{
    ENTER(rbd_get_features);
    *features = open_image(handle).image->is_old
                    ? 0
                    : rbd_feature_layering | rbd_feature_exclusive_lock | rbd_feature_object_map |
                          rbd_feature_fast_diff;
    return 0;
}
int get_stripe_unit(RbdHandle, std::uint64_t* unit)
{
    ENTER(rbd_get_stripe_unit);
    *unit = object_size;
    return 0;
}
int get_stripe_count(RbdHandle, std::uint64_t* count)
{
    ENTER(rbd_get_stripe_count);
    *count = 2; // which makes no difference with units that are whole objects
    return 0;
}
int get_flags(RbdHandle, std::uint64_t* flags)
{
    ENTER(rbd_get_flags);
    *flags = 0;
    return 0;
}
int get_overlap(RbdHandle handle, std::uint64_t* overlap)
{
    ENTER(rbd_get_overlap);
    const auto& image = *open_image(handle).image;
    *overlap = image.parent_snapshot ? image.size : 0;
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
    const auto& image = *open_image(handle).image;
    const auto writers = static_cast<std::size_t>(image.writers);
    const auto room = *count;
    *count = writers;
    if (writers > room)
        return -ERANGE;
    for (std::size_t i = 0; i != writers; ++i)
        result[i] = {.addr = text("192.0.2.1:0/1"), .id = image.client, .cookie = i};
    return 0;
}
void watchers_cleanup(RbdWatcher* list, std::size_t count)
{
    for (std::size_t i = 0; i != count; ++i)
        std::free(list[i].addr);
}
std::int64_t lockers(RbdHandle handle, int* is_exclusive, char* tag, std::size_t*, char* clients,
                     std::size_t*, char* cookies, std::size_t*, char* addresses, std::size_t*)
{
    ENTER(rbd_list_lockers);
    const auto& image = *open_image(handle).image;
    if (image.locker.empty())
        return 0;
    *is_exclusive = 1;
    *tag = '\0';
    std::strcpy(clients, image.locker.c_str());
    std::strcpy(cookies, "by hand");
    std::strcpy(addresses, "192.0.2.1:0/1");
    return 1;
}
int resize(RbdHandle handle, std::uint64_t size, bool, RbdProgress report, void* self)
{
    ENTER(rbd_resize2);
    auto& image = *open_image(handle).image;
    const auto objects = [](std::uint64_t bytes) {
        return (bytes + object_size - 1) / object_size;
    };
    const auto total = objects(image.size);
    for (auto number = objects(size) + 1; number <= total; ++number)
        if (const int code = report_elsewhere(report, number, total, self); code < 0)
            return code;
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
        if (const int code = report_elsewhere(report, number, objects, self); code < 0)
            return code;
        if (image.parent_snapshot->objects.contains(number) && !image.unwritten.contains(number))
            image.objects.insert({number, object_of(image, number)});
    }
    image.parent.reset();
    image.parent_snapshot.reset();
    purge();
    const int fault = cluster->enter("parent_detach");
    image.lost_parent = fault != 0;
    ++image.version;
    return fault;
}

} // namespace

void add_image_functions(RbdLibrary& library)
{
    library.rbd_namespace_exists = namespace_exists;
    library.rbd_list2 = list2;
    library.rbd_image_spec_list_cleanup = list_cleanup;
    library.rbd_image_options_create = options_create;
    library.rbd_image_options_destroy = options_destroy;
    library.rbd_image_options_set_uint64 = options_set;
    library.rbd_create4 = create4;
    library.rbd_clone3 = clone3;
    library.rbd_remove_with_progress = remove;
    library.rbd_rename = rename;
    library.rbd_open = open_writable;
    library.rbd_open_by_id = open_by_id;
    library.rbd_open_read_only = open_read_only;
    library.rbd_close = close;
    library.rbd_stat = stat;
    library.rbd_get_id = get_id;
    library.rbd_get_features = get_features;
    library.rbd_get_stripe_unit = get_stripe_unit;
    library.rbd_get_stripe_count = get_stripe_count;
    library.rbd_get_flags = get_flags;
    library.rbd_get_overlap = get_overlap;
    library.rbd_get_parent = get_parent;
    library.rbd_linked_image_spec_cleanup = linked_cleanup;
    library.rbd_snap_spec_cleanup = snap_spec_cleanup;
    library.rbd_list_children3 = list_children;
    library.rbd_linked_image_spec_list_cleanup = children_cleanup;
    library.rbd_watchers_list = watchers;
    library.rbd_watchers_list_cleanup = watchers_cleanup;
    library.rbd_list_lockers = lockers;
    library.rbd_resize2 = resize;
    library.rbd_flatten_with_progress = flatten;
    library.rbd_encryption_format = encryption_format;
    library.rbd_encryption_load = encryption_load;
}

} // namespace fake_ceph
