// SPDX-License-Identifier: LGPL-2.1-or-later
// pool-event: prints what happens to pools and volumes, in whatever process.
#include "shared.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <poll.h>

namespace command {

namespace {

using storage::Event;
using storage::EventKind;
using Clock = std::chrono::steady_clock;

/** The first two are virsh's. */
constexpr std::array<std::string_view, 4> event_types{"lifecycle", "refresh", "change", "volume"};

struct Words {
    std::string_view type;
    std::string_view what;
};

Words describe(EventKind kind)
{
    switch (kind) {
    case EventKind::pool_defined: return {"lifecycle", "Defined"};
    case EventKind::pool_undefined: return {"lifecycle", "Undefined"};
    case EventKind::pool_started: return {"lifecycle", "Started"};
    case EventKind::pool_stopped: return {"lifecycle", "Stopped"};
    case EventKind::pool_built: return {"lifecycle", "Created"};
    case EventKind::pool_deleted: return {"lifecycle", "Deleted"};
    case EventKind::pool_refreshed: return {"refresh", ""};
    case EventKind::pool_changed: return {"change", ""};
    case EventKind::volume_created: return {"volume", "Created"};
    case EventKind::volume_changed: return {"volume", "Changed"};
    case EventKind::volume_deleted: return {"volume", "Deleted"};
    case EventKind::overflow: return {"overflow", "events were lost"};
    }
    return {"unknown", ""};
}

std::string timestamp(const storage::Timestamp& time)
{
    const std::time_t seconds = time.seconds;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    const auto length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    std::snprintf(text.data() + length, text.size() - length, ".%03u+0000",
                  time.nanoseconds / 1000000);
    return text.data();
}

std::string sentence(const Event& event, bool with_time)
{
    const auto [type, what] = describe(event.kind);
    auto line = with_time ? timestamp(event.time) + ": " : std::string();
    line += "event '" + std::string(type) + "' for storage pool " + event.pool_name;
    if (!event.volume_name.empty())
        line += " volume " + event.volume_name;
    if (!what.empty())
        line += ": " + std::string(what);
    return line;
}

/** What the user wants to hear of. */
class Filter {
public:
    explicit Filter(Call& call)
    {
        if (call.given("event"))
            type_ = call.text("event");
        if (call.given("pool"))
            uuid_ = call.pool().uuid();
    }
    bool wants(const Event& event) const
    {
        if (event.kind == EventKind::overflow)
            return true;
        return (type_.empty() || type_ == describe(event.kind).type) &&
               (uuid_.empty() || uuid_ == event.pool_uuid);
    }

private:
    std::string type_;
    std::string uuid_;
};

enum class Wait { event, timed_out, interrupted };

/** Waits until there may be an event. */
Wait wait_for_event(Call& call, int event_fd, std::optional<Clock::time_point> deadline)
{
    while (true) {
        std::array<pollfd, 2> polled{pollfd{event_fd, POLLIN, 0},
                                     pollfd{call.interrupt().fd(), POLLIN, 0}};
        std::optional<std::chrono::milliseconds> left;
        if (deadline)
            left = std::max(std::chrono::milliseconds(0),
                            std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()));
        constexpr std::chrono::milliseconds longest = std::chrono::hours(1);
        const int timeout = left ? static_cast<int>(std::min(*left, longest).count()) : -1;
        const int ready = ::poll(polled.data(), polled.size(), timeout);
        if (ready < 0 && errno != EINTR)
            throw Error(ErrorCode::io,
                        std::string("cannot wait for events: ") + std::strerror(errno), {}, {},
                        errno);
        if (polled[1].revents && ready > 0)
            return Wait::interrupted;
        if (ready > 0)
            return Wait::event;
        if (ready == 0 && deadline && Clock::now() >= *deadline)
            return Wait::timed_out;
    }
}

/** Prints each event as it comes; in JSON they are the elements of one array. */
class Listener {
public:
    explicit Listener(Call& call) : call_(call), filter_(call) {}

    Wait run()
    {
        const int fd = call_.context().event_fd();
        auto deadline = call_.job().deadline(); // of a --timeout before the verb
        if (call_.given("timeout"))
            deadline = Clock::now() + std::chrono::seconds(call_.number("timeout"));
        begin();
        Wait outcome{};
        bool enough = false;
        while (!enough && (outcome = wait_for_event(call_, fd, deadline)) == Wait::event)
            while (auto event = call_.context().next_event())
                if (filter_.wants(*event) && (show(*event), !call_.given("loop"))) {
                    enough = true;
                    break;
                }
        end();
        return outcome;
    }

    std::uint64_t count() const { return count_; }

private:
    void begin()
    {
        if (call_.json())
            call_.print("[");
        call_.flush();
    }
    void show(const Event& event)
    {
        if (call_.json())
            call_.print((count_ ? ",\n " : "") + to_json(event));
        else
            call_.print(printable(sentence(event, call_.given("timestamp"))) + '\n');
        call_.flush();
        ++count_;
    }
    void end()
    {
        if (call_.json())
            call_.print("]\n");
    }

    Call& call_;
    Filter filter_;
    std::uint64_t count_{};
};

void list_types(Call& call)
{
    std::vector<std::string> names(event_types.begin(), event_types.end());
    if (call.json())
        return call.print(json_strings(names) + '\n');
    for (const auto& name : names)
        call.print(name + '\n');
}

void pool_event(Call& call)
{
    call.exclusive({"list", "event", "all"});
    if (call.given("list"))
        return list_types(call);
    if (!call.given("event") && !call.given("all"))
        throw UsageError("one of --list, --all and --event is required",
                         "see 'basin pool-event --help'");
    const auto wanted = call.text("event");
    if (call.given("event") &&
        std::find(event_types.begin(), event_types.end(), wanted) == event_types.end())
        throw UsageError("event type '" + wanted + "' is not known",
                         "see 'basin pool-event --list'");
    constexpr std::uint64_t a_year = 365 * 24 * 3600;
    if (call.given("timeout") && call.number("timeout") > a_year)
        throw UsageError("--timeout '" + call.text("timeout") + "' is too long",
                         "at most " + std::to_string(a_year));

    Listener listener(call);
    const auto outcome = listener.run();
    if (!call.json() && !call.quiet()) {
        if (outcome == Wait::timed_out)
            call.print("event loop timed out\n");
        if (outcome == Wait::interrupted)
            call.print("event loop interrupted\n");
        call.print("events received: " + std::to_string(listener.count()) + '\n');
    }
    if (listener.count() == 0)
        call.set_status(1);
}

} // namespace

std::vector<Verb> event_verbs()
{
    return {
        {"pool-event",
         "Events",
         "Wait for events of pools and volumes and print them",
         "basin pool-event --all --loop --timestamp",
         {optional_pool_option,
          {.name = "event", .takes = Takes::event, .help = "events of this type"},
          {.name = "all", .help = "events of every type"},
          {.name = "watch", .help = "also what other programs do to files of pools"},
          {.name = "loop", .help = "until timeout or interrupt, not only the first"},
          {.name = "timeout",
           .takes = Takes::number,
           .help = "seconds to wait",
           .named_only = true},
          {.name = "list", .help = "list the types"},
          {.name = "timestamp", .help = "print the time of each event"}},
         pool_event},
    };
}

} // namespace command
