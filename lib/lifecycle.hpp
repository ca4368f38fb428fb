// SPDX-License-Identifier: LGPL-2.1-or-later
// The life cycle of pools: state checks, locks, steps, events. What each call does is in pool.hpp.
#pragma once

#include "pool_object.hpp"

namespace storage::inline v1 {

PoolPointer define_pool(Context::Impl& context, const PoolDef& def, Job* job);
PoolPointer create_pool(Context::Impl& context, const PoolDef& def, BuildMode build, Job* job);
// Where `expected` is not "", the storage has that identity, or they throw not_found.
void build_pool(const PoolPointer& pool, BuildMode mode, const std::string& expected, Job* job);
void start_pool(const PoolPointer& pool, BuildMode build, const std::string& expected, Job* job);
void stop_pool(const PoolPointer& pool, Job* job);
void hold_pool(const PoolPointer& pool, BuildMode build, const std::string& expected, Job* job);
bool release_pool(const PoolPointer& pool, Job* job);
void undefine_pool(const PoolPointer& pool, Job* job);
void delete_pool(const PoolPointer& pool, BlockerKind allowed, const std::string& expected,
                 Job* job);
void set_autostart(const PoolPointer& pool, bool on, Job* job);

/** Whether an active pool's storage is the one that it was started on. @throws Error timed_out  it
 * does not answer */
bool is_accessible_now(const PoolPointer& pool, Job* job);

} // namespace storage::inline v1
