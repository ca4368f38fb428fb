// SPDX-License-Identifier: LGPL-2.1-or-later
// Events.
#include "handles.hpp"
#include "records.hpp"

using namespace storage;
using namespace storage::capi;

namespace {

static_assert(static_cast<unsigned>(EventKind::overflow) == BASIN_EVENT_OVERFLOW);

EventKind kind_of(std::uint32_t kind)
{
    return choice(kind, "event.kind", EventKind::pool_defined, EventKind::overflow);
}

Form<basin_event> form(const Event& event)
{
    Form<basin_event> result;
    result.record.kind = static_cast<std::uint32_t>(event.kind);
    result.record.sequence = event.sequence;
    result.record.seconds = event.time.seconds;
    result.record.nanoseconds = event.time.nanoseconds;
    result.record.from_other_process = event.from_other_process;
    result.texts[0] = {&basin_event::pool_name, event.pool_name};
    result.texts[1] = {&basin_event::pool_uuid, event.pool_uuid};
    result.texts[2] = {&basin_event::volume_name, event.volume_name};
    return result;
}

Event value(const basin_event& event)
{
    if (event.struct_size < sizeof(basin_event))
        throw Error(ErrorCode::invalid_argument,
                    "event.struct_size: " + std::to_string(event.struct_size) + " is too small");
    return {.sequence = event.sequence,
            .kind = kind_of(event.kind),
            .time = {.seconds = event.seconds, .nanoseconds = event.nanoseconds},
            .pool_name = std::string(text_or_empty(event.pool_name)),
            .pool_uuid = std::string(text_or_empty(event.pool_uuid)),
            .volume_name = std::string(text_or_empty(event.volume_name)),
            .from_other_process = event.from_other_process != 0};
}

} // namespace

const char* basin_event_kind_name(uint32_t kind)
{
    return kind <= BASIN_EVENT_OVERFLOW ? to_string(static_cast<EventKind>(kind)).data()
                                        : "unknown";
}

int basin_event_to_json(const basin_event* event, uint32_t flags, char** json, basin_error** error)
{
    return guard(error, [&] {
        const auto& source = required(event, "event");
        auto& out = required(json, "json");
        reject_unknown_flags(flags, 0);
        out = copy_text(to_json(value(source)));
    });
}

void basin_event_free(basin_event* event)
{
    std::free(event);
}

int basin_context_event_fd(basin_context* context, uint32_t flags, int* fd, basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(context, "context").state->cpp;
        auto& out = required(fd, "fd");
        reject_unknown_flags(flags, 0);
        out = target.event_fd();
    });
}

int basin_context_next_event(basin_context* context, uint32_t flags, basin_event** event,
                             basin_error** error)
{
    return guard(error, [&] {
        auto& target = required(context, "context").state->cpp;
        auto& out = required(event, "event");
        reject_unknown_flags(flags, 0);
        const auto next = target.next_event();
        out = next ? make_record(form(*next)) : nullptr;
    });
}
