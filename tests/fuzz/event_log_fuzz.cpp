// SPDX-License-Identifier: LGPL-2.1-or-later
// A file that says it is the log of events, whatever is in it: reading it comes to an end, and who
// adds to it reads what was added.
#include "fuzz.hpp"
#include "scratch_files.hpp"

#include "event_log.hpp"

#include <basin/error.hpp>

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace storage;
    static const ScratchFiles files;
    // Behind the magic number; the first bytes of the input are the counter.
    files.write("events", "BsinLog1" + std::string(text_of(data, size)));
    EventLog log(files.path() + "/events", 2);
    std::uint64_t cursor = 0;
    std::vector<LoggedEvent> events;
    try {
        log.attach();
        for (int reads = 0; cursor != log.newest(); ++reads) {
            require(reads < 64, "reading does not end", std::to_string(cursor));
            log.read_after(cursor, events);
        }
        log.append({.kind = EventKind::volume_created, .pool_name = "p", .volume_name = "v"});
        events.clear();
        if (log.newest() != 0 && log.read_after(cursor, events) && !events.empty())
            require(events.back().volume_name == "v", "what was added is not read",
                    events.back().volume_name);
    } catch (const Error&) {
    }
    for (const auto& event : events)
        require(!to_string(event.kind).empty(), "an event without a kind", event.volume_name);
    return 0;
}
