// SPDX-License-Identifier: LGPL-2.1-or-later
// /proc/self/mountinfo, whose paths and sources are whatever those who mount say; and the ACL of a
// file. Reading comes to an end, and makes nothing longer than it is.
#include "fuzz.hpp"
#include "scratch_files.hpp"

#include "access_check.hpp"
#include "proc_tables.hpp"
#include "system_root.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace storage;
    static const ScratchFiles files;
    const auto text = text_of(data, size);
    files.write("proc/self/mountinfo", text);
    const SystemRoot system(files.path());
    std::size_t length = 0;
    for (const auto& mount : mount_table(system)) {
        length += mount.point.size() + mount.source.size() + mount.type.size() +
                  mount.options.size() + mount.device.size() + 1;
        mount.has_option("ro");
        require(mount.option("lowerdir").size() <= mount.options.size(), "an option has grown",
                mount.options);
    }
    require(length <= size + 1, "what was read is more than there is", std::to_string(length));
    mount_at(files.path(), system);
    if (const auto entries = parse_acl(text))
        require(entries->size() * 8 + 4 == size, "entries that are not there", "");
    return 0;
}
