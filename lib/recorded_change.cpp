// SPDX-License-Identifier: LGPL-2.1-or-later
#include "recorded_change.hpp"

#include "names.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace storage::inline v1 {

namespace {

using nlohmann::json;

/** Which step, or how many; a number that is too large becomes a fraction when it is read. */
std::size_t count_of(const json& number)
{
    if (!number.is_number_unsigned())
        throw Error(ErrorCode::parse_failed, "journal has a number that is none");
    return number.get<std::size_t>();
}

ChangePlace place_of(const json& line)
{
    if (!line.contains("pool")) // another version's, or the registry's
        return {};
    const auto& pool = line.at("pool");
    const auto uuid = canonical_uuid(pool.at("uuid").get<std::string>());
    if (!uuid) // it names a lock file
        throw Error(ErrorCode::parse_failed, "journal names a pool without a uuid");
    return {.pool_uuid = *uuid,
            .pool_name = pool.at("name").get<std::string>(),
            .volumes = pool.at("volumes").get<std::vector<std::string>>()};
}

} // namespace

RecordedChange parse_recorded_change(const std::string& text, bool steps_too)
{
    RecordedChange change;
    std::size_t start = 0;
    for (bool first = true; start < text.size(); first = false) {
        const auto end = text.find('\n', start);
        if (end == std::string::npos)
            break; // the line that the kill cut short: what it speaks of had not begun
        const auto line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(start),
                                      text.begin() + static_cast<std::ptrdiff_t>(end));
        start = end + 1;
        if (first) {
            change.operation = line.at("operation").get<std::string>();
            change.place = place_of(line);
            if (!steps_too)
                break;
            change.commit = count_of(line.at("commit"));
            for (const auto& item : line.at("steps")) {
                Step step;
                step.action = find_action(item.at("action").get<std::string>());
                if (!step.action)
                    throw Error(ErrorCode::parse_failed, "journal names an unknown action");
                step.arguments = item.at("arguments").get<Arguments>();
                step.record.summary = item.at("summary").get<std::string>();
                change.steps.push_back(std::move(step));
            }
        } else if (line.contains("over")) {
            return {};
        } else if (line.contains("begin")) {
            change.begun = count_of(line.at("begin")) + 1;
        } else if (line.contains("done")) {
            change.done = count_of(line.at("done")) + 1;
        } else if (line.contains("pending")) {
            change.pending = line.at("pending").get<std::string>();
        } else {
            change.steps.at(count_of(line.at("step")))
                .evidence.insert_or_assign(line.at("key").get<std::string>(),
                                           line.at("value").get<std::string>());
        }
    }
    change.begun = std::min(change.begun, change.steps.size());
    change.done = std::min(change.done, change.steps.size());
    return change;
}

} // namespace storage::inline v1
