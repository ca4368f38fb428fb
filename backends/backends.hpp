// SPDX-License-Identifier: LGPL-2.1-or-later
// Every pool type that table.cpp registers.
#pragma once

#include "backend.hpp"

namespace storage::inline v1 {

extern const BackendType dir_backend;
extern const BackendType fs_backend;
extern const BackendType netfs_backend;
extern const BackendType logical_backend;
extern const BackendType disk_backend;
extern const BackendType iscsi_backend;
extern const BackendType iscsi_direct_backend;
extern const BackendType scsi_backend;
extern const BackendType mpath_backend;
extern const BackendType rbd_backend;
extern const BackendType sheepdog_backend;
extern const BackendType gluster_backend;
extern const BackendType zfs_backend;
extern const BackendType vstorage_backend;

} // namespace storage::inline v1
