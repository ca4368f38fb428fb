// SPDX-License-Identifier: LGPL-2.1-or-later
// What is used of librados and librbd, as pointers to functions: loaded when first needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>

namespace storage::inline v1 {

// The C interface of librados.so.2 and librbd.so.1, as of Ceph 14 and unchanged up to 20, declared
// here so that building basin does not need Ceph's headers; a test compares it with these.
using RadosCluster = void*;
using RadosPool = void*; ///< an "I/O context"
using RadosCompletion = void*;
using RbdHandle = void*;
using RbdOptions = void*;
using RbdCompletion = void*;

struct RbdImageSpec {
    char* id;
    char* name;
};
struct RbdLinkedImage {
    std::int64_t pool_id;
    char* pool_name;
    char* pool_namespace;
    char* image_id;
    char* image_name;
    bool trash;
};
struct RbdSnapSpec {
    std::uint64_t id;
    int namespace_type;
    char* name;
};
struct RbdSnapInfo {
    std::uint64_t id;
    std::uint64_t size;
    const char* name;
};
struct RbdImageInfo {
    std::uint64_t size;
    std::uint64_t obj_size;
    std::uint64_t num_objs;
    int order;
    char block_name_prefix[24];
    std::int64_t parent_pool;
    char parent_name[96];
};
struct RbdWatcher {
    char* addr;
    std::int64_t id;
    std::uint64_t cookie;
};

/** Of both versions of LUKS. */
struct RbdLuksOptions {
    int algorithm;
    const char* passphrase;
    std::size_t passphrase_size;
};

inline constexpr int rbd_format_luks1 = 0;
inline constexpr int rbd_format_luks2 = 1;
inline constexpr int rbd_algorithm_aes128 = 0;
inline constexpr int rbd_algorithm_aes256 = 1;
inline constexpr int rbd_option_clone_format = 12;
inline constexpr std::uint64_t rbd_feature_layering = 1 << 0;
inline constexpr std::uint64_t rbd_feature_exclusive_lock = 1 << 2;
inline constexpr std::uint64_t rbd_feature_object_map = 1 << 3;
inline constexpr std::uint64_t rbd_feature_fast_diff = 1 << 4;
inline constexpr std::uint64_t rbd_flag_object_map_invalid = 1 << 0;
inline constexpr std::uint64_t rbd_flag_fast_diff_invalid = 1 << 1;
inline constexpr int rbd_user_snapshot = 0;

using RbdProgress = int (*)(std::uint64_t done, std::uint64_t total, void* self);
using RbdDiff = int (*)(std::uint64_t offset, std::size_t length, int exists, void* self);
using RadosCallback = void (*)(RadosCompletion, void*);
using RbdCallback = void (*)(RbdCompletion, void*);

// F(type of the result, name, types of the arguments)
#define BASIN_RADOS_FUNCTIONS(F)                                                                   \
    F(int, rados_create2, (RadosCluster*, const char*, const char*, std::uint64_t))                \
    F(int, rados_conf_read_file, (RadosCluster, const char*))                                      \
    F(int, rados_conf_set, (RadosCluster, const char*, const char*))                               \
    F(int, rados_connect, (RadosCluster))                                                          \
    F(void, rados_shutdown, (RadosCluster))                                                        \
    F(int, rados_cluster_fsid, (RadosCluster, char*, std::size_t))                                 \
    F(std::uint64_t, rados_get_instance_id, (RadosCluster))                                        \
    F(int, rados_mon_command,                                                                      \
      (RadosCluster, const char**, std::size_t, const char*, std::size_t, char**, std::size_t*,    \
       char**, std::size_t*))                                                                      \
    F(void, rados_buffer_free, (char*))                                                            \
    F(int, rados_ioctx_create, (RadosCluster, const char*, RadosPool*))                            \
    F(void, rados_ioctx_destroy, (RadosPool))                                                      \
    F(void, rados_ioctx_set_namespace, (RadosPool, const char*))                                   \
    F(std::int64_t, rados_ioctx_get_id, (RadosPool))                                               \
    F(int, rados_pool_reverse_lookup, (RadosCluster, std::int64_t, char*, std::size_t))            \
    F(int, rados_read, (RadosPool, const char*, char*, std::size_t, std::uint64_t))                \
    F(int, rados_remove, (RadosPool, const char*))                                                 \
    F(int, rados_exec,                                                                             \
      (RadosPool, const char*, const char*, const char*, const char*, std::size_t, char*,          \
       std::size_t))                                                                               \
    F(int, rados_aio_create_completion, (void*, RadosCallback, RadosCallback, RadosCompletion*))   \
    F(int, rados_aio_stat,                                                                         \
      (RadosPool, const char*, RadosCompletion, std::uint64_t*, std::time_t*))                     \
    F(int, rados_aio_wait_for_complete, (RadosCompletion))                                         \
    F(int, rados_aio_get_return_value, (RadosCompletion))                                          \
    F(std::uint64_t, rados_aio_get_version, (RadosCompletion))                                     \
    F(void, rados_aio_release, (RadosCompletion))

#define BASIN_RBD_FUNCTIONS(F)                                                                     \
    F(int, rbd_namespace_exists, (RadosPool, const char*, bool*))                                  \
    F(int, rbd_list2, (RadosPool, RbdImageSpec*, std::size_t*))                                    \
    F(void, rbd_image_spec_list_cleanup, (RbdImageSpec*, std::size_t))                             \
    F(void, rbd_image_options_create, (RbdOptions*))                                               \
    F(void, rbd_image_options_destroy, (RbdOptions))                                               \
    F(int, rbd_image_options_set_uint64, (RbdOptions, int, std::uint64_t))                         \
    F(int, rbd_create4, (RadosPool, const char*, std::uint64_t, RbdOptions))                       \
    F(int, rbd_clone3, (RadosPool, const char*, const char*, RadosPool, const char*, RbdOptions))  \
    F(int, rbd_remove_with_progress, (RadosPool, const char*, RbdProgress, void*))                 \
    F(int, rbd_rename, (RadosPool, const char*, const char*))                                      \
    F(int, rbd_open, (RadosPool, const char*, RbdHandle*, const char*))                            \
    F(int, rbd_open_by_id, (RadosPool, const char*, RbdHandle*, const char*))                      \
    F(int, rbd_open_read_only, (RadosPool, const char*, RbdHandle*, const char*))                  \
    F(int, rbd_close, (RbdHandle))                                                                 \
    F(int, rbd_stat, (RbdHandle, RbdImageInfo*, std::size_t))                                      \
    F(int, rbd_get_id, (RbdHandle, char*, std::size_t))                                            \
    F(int, rbd_get_features, (RbdHandle, std::uint64_t*))                                          \
    F(int, rbd_get_stripe_unit, (RbdHandle, std::uint64_t*))                                       \
    F(int, rbd_get_stripe_count, (RbdHandle, std::uint64_t*))                                      \
    F(int, rbd_get_flags, (RbdHandle, std::uint64_t*))                                             \
    F(int, rbd_get_overlap, (RbdHandle, std::uint64_t*))                                           \
    F(int, rbd_get_parent, (RbdHandle, RbdLinkedImage*, RbdSnapSpec*))                             \
    F(void, rbd_linked_image_spec_cleanup, (RbdLinkedImage*))                                      \
    F(void, rbd_snap_spec_cleanup, (RbdSnapSpec*))                                                 \
    F(int, rbd_list_children3, (RbdHandle, RbdLinkedImage*, std::size_t*))                         \
    F(void, rbd_linked_image_spec_list_cleanup, (RbdLinkedImage*, std::size_t))                    \
    F(int, rbd_watchers_list, (RbdHandle, RbdWatcher*, std::size_t*))                              \
    F(void, rbd_watchers_list_cleanup, (RbdWatcher*, std::size_t))                                 \
    F(std::int64_t, rbd_list_lockers,                                                              \
      (RbdHandle, int*, char*, std::size_t*, char*, std::size_t*, char*, std::size_t*, char*,      \
       std::size_t*))                                                                              \
    F(int, rbd_resize2, (RbdHandle, std::uint64_t, bool, RbdProgress, void*))                      \
    F(int, rbd_flatten_with_progress, (RbdHandle, RbdProgress, void*))                             \
    F(int, rbd_snap_list, (RbdHandle, RbdSnapInfo*, int*))                                         \
    F(void, rbd_snap_list_end, (RbdSnapInfo*))                                                     \
    F(int, rbd_snap_get_namespace_type, (RbdHandle, std::uint64_t, int*))                          \
    F(int, rbd_snap_get_timestamp, (RbdHandle, std::uint64_t, std::timespec*))                     \
    F(int, rbd_snap_create, (RbdHandle, const char*))                                              \
    F(int, rbd_snap_protect, (RbdHandle, const char*))                                             \
    F(int, rbd_snap_unprotect, (RbdHandle, const char*))                                           \
    F(int, rbd_snap_is_protected, (RbdHandle, const char*, int*))                                  \
    F(int, rbd_metadata_list,                                                                      \
      (RbdHandle, const char*, std::uint64_t, char*, std::size_t*, char*, std::size_t*))           \
    F(int, rbd_metadata_get, (RbdHandle, const char*, char*, std::size_t*))                        \
    F(int, rbd_metadata_set, (RbdHandle, const char*, const char*))                                \
    F(int, rbd_metadata_remove, (RbdHandle, const char*))                                          \
    F(int, rbd_snap_remove2, (RbdHandle, const char*, std::uint32_t, RbdProgress, void*))          \
    F(int, rbd_snap_rollback_with_progress, (RbdHandle, const char*, RbdProgress, void*))          \
    F(int, rbd_diff_iterate2,                                                                      \
      (RbdHandle, const char*, std::uint64_t, std::uint64_t, std::uint8_t, std::uint8_t, RbdDiff,  \
       void*))                                                                                     \
    F(std::int64_t, rbd_read, (RbdHandle, std::uint64_t, std::size_t, char*))                      \
    F(std::int64_t, rbd_compare_and_write,                                                         \
      (RbdHandle, std::uint64_t, std::size_t, const char*, const char*, std::uint64_t*, int))      \
    F(int, rbd_discard, (RbdHandle, std::uint64_t, std::uint64_t))                                 \
    F(int, rbd_flush, (RbdHandle))                                                                 \
    F(int, rbd_aio_create_completion, (void*, RbdCallback, RbdCompletion*))                        \
    F(int, rbd_aio_read, (RbdHandle, std::uint64_t, std::size_t, char*, RbdCompletion))            \
    F(int, rbd_aio_write, (RbdHandle, std::uint64_t, std::size_t, const char*, RbdCompletion))     \
    F(int, rbd_aio_wait_for_complete, (RbdCompletion))                                             \
    F(std::int64_t, rbd_aio_get_return_value, (RbdCompletion))                                     \
    F(void, rbd_aio_release, (RbdCompletion))

// Null where librados is older than Ceph 16.
#define BASIN_RADOS_NEWER_FUNCTIONS(F) F(void, rados_set_pool_full_try, (RadosPool))

// Null where librbd is older than Ceph 16.
#define BASIN_RBD_NEWER_FUNCTIONS(F)                                                               \
    F(int, rbd_encryption_format, (RbdHandle, int, const void*, std::size_t))                      \
    F(int, rbd_encryption_load, (RbdHandle, int, const void*, std::size_t))

struct RbdLibrary {
#define BASIN_MEMBER(result, name, arguments) result(*name) arguments;
    BASIN_RADOS_FUNCTIONS(BASIN_MEMBER)
    BASIN_RBD_FUNCTIONS(BASIN_MEMBER)
    BASIN_RADOS_NEWER_FUNCTIONS(BASIN_MEMBER)
    BASIN_RBD_NEWER_FUNCTIONS(BASIN_MEMBER)
#undef BASIN_MEMBER
};

/** Loads both libraries, once. @throws Error unavailable  with the package to install */
const RbdLibrary& rbd_library();

/** For tests: what rbd_library() gives instead; null: the real one again. */
void replace_rbd_library(const RbdLibrary* library);

} // namespace storage::inline v1
