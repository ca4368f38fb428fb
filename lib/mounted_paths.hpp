// SPDX-License-Identifier: LGPL-2.1-or-later
// Paths that somebody wrote down, and that may lead to a server which does not answer.
#pragma once

#include "pool_call.hpp"
#include "proc_tables.hpp"

namespace storage::inline v1 {

/** Where paths lie, by the table of mounts and without asking any file system. Links are not
 * followed. */
class MountedPaths {
public:
    explicit MountedPaths(const SystemRoot& system) : mounts_(mount_table(system)) {}

    /** Whether it lies on a file system that can stop answering. */
    bool may_hang(std::string_view path) const;
    bool are_together(std::string_view one, std::string_view other) const;

private:
    const MountEntry* mount_of(std::string_view path) const;
    std::vector<MountEntry> mounts_;
};

/**
 * Looks at a path that is not, or not only, the call's own business.
 * @param look  owns what it uses
 * @return nothing: its storage does not answer soon
 */
template <typename Look>
auto look_elsewhere(Context::Impl& context, const MountedPaths& mounts, const std::string& path,
                    std::chrono::milliseconds patience, Look look)
    -> std::optional<std::invoke_result_t<Look&>>
{
    if (!mounts.may_hang(path))
        return look();
    // One thread is risked for each directory.
    const auto calls = context.calls_for_new("in " + parent_directory(path));
    if (calls->count() != 0)
        return std::nullopt;
    try {
        return result_with_patience(calls, nullptr, std::chrono::steady_clock::now() + patience,
                                    "'" + path + "'", [look](Job*) mutable { return look(); });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::timed_out)
            throw;
        context.log(LogLevel::warning, error.what());
        return std::nullopt;
    }
}

} // namespace storage::inline v1
