/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frozen layouts, for programs with 8-byte pointers. Members and structures are only ever appended.
 */
#include <basin/basin.h>

#if UINTPTR_MAX > UINT32_MAX
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has changed its size")
#define MEMBER(type, member, bytes)                                                                \
    _Static_assert(offsetof(type, member) == (bytes), #type "." #member " has moved")

SIZE(basin_backend_info, 128);
MEMBER(basin_backend_info, struct_size, 0);
MEMBER(basin_backend_info, available, 4);
MEMBER(basin_backend_info, capabilities, 8);
MEMBER(basin_backend_info, volume_type, 16);
MEMBER(basin_backend_info, target_path, 20);
MEMBER(basin_backend_info, source_required, 24);
MEMBER(basin_backend_info, source_accepted, 28);
MEMBER(basin_backend_info, source_name_defaults_to_pool_name, 32);
MEMBER(basin_backend_info, options, 36);
MEMBER(basin_backend_info, type, 40);
MEMBER(basin_backend_info, summary, 48);
MEMBER(basin_backend_info, unavailable_reason, 56);
MEMBER(basin_backend_info, target_prefix, 64);
MEMBER(basin_backend_info, source_dir_default, 72);
MEMBER(basin_backend_info, source_formats, 80);
MEMBER(basin_backend_info, protocol_formats, 88);
MEMBER(basin_backend_info, volume_formats, 96);
MEMBER(basin_backend_info, creatable_formats, 104);
MEMBER(basin_backend_info, tools, 112);
MEMBER(basin_backend_info, libraries, 120);
SIZE(basin_progress, 32);
MEMBER(basin_progress, struct_size, 0);
MEMBER(basin_progress, reserved, 4);
MEMBER(basin_progress, done, 8);
MEMBER(basin_progress, total, 16);
MEMBER(basin_progress, phase, 24);
SIZE(basin_progress_callback, 24);
MEMBER(basin_progress_callback, fn, 0);
MEMBER(basin_progress_callback, user_data, 8);
MEMBER(basin_progress_callback, free_user_data, 16);
SIZE(basin_step, 40);
MEMBER(basin_step, struct_size, 0);
MEMBER(basin_step, destructive, 4);
MEMBER(basin_step, kind, 8);
MEMBER(basin_step, summary, 16);
MEMBER(basin_step, undo, 24);
MEMBER(basin_step, call, 32);
SIZE(basin_event, 56);
MEMBER(basin_event, struct_size, 0);
MEMBER(basin_event, kind, 4);
MEMBER(basin_event, sequence, 8);
MEMBER(basin_event, seconds, 16);
MEMBER(basin_event, nanoseconds, 24);
MEMBER(basin_event, from_other_process, 28);
MEMBER(basin_event, pool_name, 32);
MEMBER(basin_event, pool_uuid, 40);
MEMBER(basin_event, volume_name, 48);
SIZE(basin_log_callback, 24);
MEMBER(basin_log_callback, fn, 0);
MEMBER(basin_log_callback, user_data, 8);
MEMBER(basin_log_callback, free_user_data, 16);
SIZE(basin_secret_request, 40);
MEMBER(basin_secret_request, struct_size, 0);
MEMBER(basin_secret_request, usage_type, 4);
MEMBER(basin_secret_request, uuid, 8);
MEMBER(basin_secret_request, usage, 16);
MEMBER(basin_secret_request, pool_name, 24);
MEMBER(basin_secret_request, volume_name, 32);
SIZE(basin_secret_callback, 24);
MEMBER(basin_secret_callback, fn, 0);
MEMBER(basin_secret_callback, user_data, 8);
MEMBER(basin_secret_callback, free_user_data, 16);
SIZE(basin_context_options, 96);
MEMBER(basin_context_options, struct_size, 0);
MEMBER(basin_context_options, reserved, 4);
MEMBER(basin_context_options, root, 8);
MEMBER(basin_context_options, config_dir, 16);
MEMBER(basin_context_options, state_dir, 24);
MEMBER(basin_context_options, run_dir, 32);
MEMBER(basin_context_options, system_root, 40);
MEMBER(basin_context_options, log, 48);
MEMBER(basin_context_options, secrets, 72);
SIZE(basin_autostart_result, 24);
MEMBER(basin_autostart_result, struct_size, 0);
MEMBER(basin_autostart_result, started, 4);
MEMBER(basin_autostart_result, pool_name, 8);
MEMBER(basin_autostart_result, error, 16);
SIZE(basin_recovery_result, 24);
MEMBER(basin_recovery_result, struct_size, 0);
MEMBER(basin_recovery_result, finished, 4);
MEMBER(basin_recovery_result, operation, 8);
MEMBER(basin_recovery_result, message, 16);
SIZE(basin_pool_info, 48);
MEMBER(basin_pool_info, struct_size, 0);
MEMBER(basin_pool_info, state, 4);
MEMBER(basin_pool_info, capacity, 8);
MEMBER(basin_pool_info, allocation, 16);
MEMBER(basin_pool_info, available, 24);
MEMBER(basin_pool_info, persistent, 32);
MEMBER(basin_pool_info, autostart, 36);
MEMBER(basin_pool_info, reason, 40);
SIZE(basin_diagnostic, 24);
MEMBER(basin_diagnostic, struct_size, 0);
MEMBER(basin_diagnostic, reason, 4);
MEMBER(basin_diagnostic, name, 8);
MEMBER(basin_diagnostic, message, 16);
SIZE(basin_blocker, 32);
MEMBER(basin_blocker, struct_size, 0);
MEMBER(basin_blocker, reserved, 4);
MEMBER(basin_blocker, pid, 8);
MEMBER(basin_blocker, kind, 16);
MEMBER(basin_blocker, message, 24);
SIZE(basin_volume_entry, 32);
MEMBER(basin_volume_entry, struct_size, 0);
MEMBER(basin_volume_entry, reserved, 4);
MEMBER(basin_volume_entry, name, 8);
MEMBER(basin_volume_entry, key, 16);
MEMBER(basin_volume_entry, path, 24);
SIZE(basin_volume_info, 32);
MEMBER(basin_volume_info, struct_size, 0);
MEMBER(basin_volume_info, type, 4);
MEMBER(basin_volume_info, capacity, 8);
MEMBER(basin_volume_info, allocation, 16);
MEMBER(basin_volume_info, physical, 24);
SIZE(basin_snapshot, 40);
MEMBER(basin_snapshot, struct_size, 0);
MEMBER(basin_snapshot, nanoseconds, 4);
MEMBER(basin_snapshot, seconds, 8);
MEMBER(basin_snapshot, size, 16);
MEMBER(basin_snapshot, name, 24);
MEMBER(basin_snapshot, id, 32);
#endif

int main(void)
{
    return 0;
}
