// SPDX-License-Identifier: LGPL-2.1-or-later
// What keeps a user from a path.
#include "records.hpp"

#include <basin/access.hpp>

using namespace storage;
using namespace storage::capi;

namespace {

constexpr std::uint32_t all_modes = BASIN_ACCESS_SEARCH | BASIN_ACCESS_WRITE | BASIN_ACCESS_READ;
static_assert(static_cast<unsigned>(AccessMode::search) == BASIN_ACCESS_SEARCH);
static_assert(static_cast<unsigned>(AccessMode::write) == BASIN_ACCESS_WRITE);
static_assert(static_cast<unsigned>(AccessMode::read) == BASIN_ACCESS_READ);

Form<basin_access_explanation> form(const AccessExplanation& explanation)
{
    Form<basin_access_explanation> result;
    result.record.allowed = explanation.allowed;
    result.texts[0] = {&basin_access_explanation::component, explanation.component};
    result.texts[1] = {&basin_access_explanation::rule, explanation.rule};
    result.texts[2] = {&basin_access_explanation::remedy, explanation.remedy};
    return result;
}

/** The two forms differ in what they make of the answer. */
template <typename Output, typename Make>
int explain(const char* path, std::uint32_t uid, std::uint32_t gid, const std::uint32_t* groups,
            std::size_t group_count, std::uint32_t mode, std::uint32_t flags, Output* output,
            const char* output_name, basin_error** error, Make make)
{
    return guard(error, [&] {
        const std::string where(required_text(path, "path"));
        if (group_count > 0)
            required(groups, "groups");
        if (mode == 0 || (mode & ~all_modes) != 0)
            throw Error(ErrorCode::invalid_argument,
                        "mode: " + std::to_string(mode) + " is not a valid value",
                        "combine BASIN_ACCESS_SEARCH, _WRITE and _READ");
        auto& out = required(output, output_name);
        reject_unknown_flags(flags, 0);
        out = make(
            explain_access(where, uid, gid, {groups, group_count}, static_cast<AccessMode>(mode)));
    });
}

} // namespace

int basin_explain_access(const char* path, uint32_t uid, uint32_t gid, const uint32_t* groups,
                         size_t group_count, uint32_t mode, uint32_t flags,
                         basin_access_explanation** explanation, basin_error** error)
{
    return explain(path, uid, gid, groups, group_count, mode, flags, explanation, "explanation",
                   error,
                   [](const AccessExplanation& answer) { return make_record(form(answer)); });
}

int basin_explain_access_json(const char* path, uint32_t uid, uint32_t gid, const uint32_t* groups,
                              size_t group_count, uint32_t mode, uint32_t flags, char** json,
                              basin_error** error)
{
    return explain(path, uid, gid, groups, group_count, mode, flags, json, "json", error,
                   [](const AccessExplanation& answer) { return copy_text(to_json(answer)); });
}

void basin_access_explanation_free(basin_access_explanation* explanation)
{
    std::free(explanation);
}
