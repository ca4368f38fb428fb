// SPDX-License-Identifier: LGPL-2.1-or-later
// The registration of every pool type, in libvirt's order.
#include "backends.hpp"

namespace storage::inline v1 {

std::span<const BackendType* const> backend_table()
{
    static constexpr const BackendType* table[] = {
        &dir_backend,      &fs_backend,           &netfs_backend, &logical_backend, &disk_backend,
        &iscsi_backend,    &iscsi_direct_backend, &scsi_backend,  &mpath_backend,   &rbd_backend,
        &sheepdog_backend, &gluster_backend,      &zfs_backend,   &vstorage_backend};
    return table;
}

} // namespace storage::inline v1
