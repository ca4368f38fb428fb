// SPDX-License-Identifier: LGPL-2.1-or-later
// The record of a started pool: it is refused, or its definition is one.
#include "fuzz.hpp"
#include "scratch_files.hpp"

#include "state_store.hpp"

#include <basin/error.hpp>

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace storage;
    static const ScratchFiles files;
    static const StateStore store = [] {
        files.write("system/proc/sys/kernel/random/boot_id", "boot\n");
        ContextOptions options;
        options.root = files.path();
        options.system_root = files.path() + "/system";
        return StateStore(options);
    }();
    files.write("run/pools/pool.json", text_of(data, size));
    try {
        if (const auto record = store.read_record("pool")) {
            require(record->boot_id == "boot", "a record of another boot", record->boot_id);
            const auto json = to_json(record->definition);
            require(pool_from_json(json) == record->definition, "its definition changes", json);
        }
    } catch (const Error&) {
    }
    return 0;
}
