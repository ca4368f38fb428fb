// SPDX-License-Identifier: LGPL-2.1-or-later
// Changes of volumes that are files in a directory, as steps; and what reads their content.
#pragma once

#include "backend.hpp"
#include "volume_steps.hpp"

namespace storage::inline v1 {

/** For one pool. The calls are those of Backend. */
class DirectoryChanges {
public:
    DirectoryChanges(PoolDirectory directory, std::string pool_name, const Host& host)
        : directory_(std::move(directory)), pool_name_(std::move(pool_name)), host_(host)
    {
    }

    void create(const VolumeDef& def, const CopySource* source, CreateFlags flags,
                Change& change) const;
    void create_uploaded(const VolumeDef& def, const UploadSource& source,
                         const TransferOptions& options, Change& change) const;
    void discard_upload(const std::string& name, Change& change) const;
    /** A link goes as a link, a directory only when empty. */
    void remove(std::string_view name, Change& change) const;
    void rename(std::string_view name, const std::string& new_name, Change& change) const;
    void resize(const VolumeDef& volume, std::uint64_t capacity, ResizeFlags flags,
                Change& change) const;
    void flatten(const VolumeDef& volume, Change& change) const;
    void create_snapshot(const VolumeDef& volume, const std::string& name, Change& change) const;
    void delete_snapshot(const VolumeDef& volume, const std::string& name, Change& change) const;
    void revert_snapshot(const VolumeDef& volume, const std::string& name, Change& change) const;

    std::vector<Snapshot> snapshots(const std::string& path) const;
    std::optional<std::uint64_t> partial_upload(const std::string& name) const;
    std::string upload_identity(const std::string& name) const;

private:
    void add(Change& change, Step step) const;
    std::string path_of(std::string_view name) const
    {
        return directory_.path + '/' + std::string(name);
    }

    PoolDirectory directory_;
    std::string pool_name_;
    const Host& host_;
};

} // namespace storage::inline v1
