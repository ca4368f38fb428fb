// SPDX-License-Identifier: LGPL-2.1-or-later
// What several verbs share.
#include "shared.hpp"

#include "xpath.hpp"

#include <algorithm>
#include <array>

namespace command {

std::vector<Option> with_build_options(std::vector<Option> options)
{
    options.push_back({.name = "build", .help = "build the pool first"});
    options.push_back({.name = "no-overwrite", .help = "build, unless the source holds data"});
    options.push_back({.name = "overwrite", .help = "build, whatever the source holds"});
    return options;
}

storage::BuildMode build_mode(const Call& call)
{
    call.exclusive({"overwrite", "no-overwrite"});
    if (call.given("overwrite"))
        return storage::BuildMode::overwrite;
    if (call.given("no-overwrite"))
        return storage::BuildMode::no_overwrite;
    return call.given("build") ? storage::BuildMode::keep : storage::BuildMode::none;
}

std::string label(std::string name)
{
    constexpr std::size_t width = 15;
    name += ':';
    name.resize(std::max(name.size(), width), ' ');
    return name + ' ';
}

std::string yes_no(bool value)
{
    return value ? "yes" : "no";
}

storage::BlockerKind allowed_blockers(const Call& call)
{
    using storage::BlockerKind;
    constexpr std::array kinds{BlockerKind::open,        BlockerKind::backing_image,
                               BlockerKind::loop_device, BlockerKind::mounted,
                               BlockerKind::snapshot,    BlockerKind::holder,
                               BlockerKind::volume};
    auto allowed = call.given("delete-snapshots") ? BlockerKind::snapshot : BlockerKind::none;
    for (const auto& wanted : call.list("allow")) {
        const auto found = std::find_if(kinds.begin(), kinds.end(), [&](BlockerKind kind) {
            return to_string(kind) == wanted;
        });
        if (found == kinds.end()) {
            std::string known;
            for (const auto kind : kinds)
                known += ' ' + std::string(to_string(kind));
            throw UsageError("blocker '" + wanted + "' is not known, or cannot be allowed",
                             "use some of:" + known);
        }
        allowed = allowed | *found;
    }
    return allowed;
}

void print_dump(Call& call, const std::string& xml, const std::function<std::string()>& definition)
{
    const bool select = call.given("xpath");
    const auto parts = select ? select_parts(xml, call.text("xpath"), call.given("wrap"))
                              : std::vector<std::string>();
    if (call.json()) {
        JsonObject dump;
        dump.text("xml", xml).raw("definition", definition());
        if (select)
            dump.raw("selected", json_strings(parts));
        call.print(dump.str() + '\n');
        return;
    }
    if (!select)
        call.print(xml);
    for (const auto& part : parts)
        call.print(part + '\n');
}

bool print_only(Call& call, const std::function<std::string()>& print,
                const std::function<std::string()>& definition)
{
    if (!call.given("print-xml"))
        return false;
    auto xml = print();
    constexpr std::string_view last_number = "</available>\n";
    if (const auto end = xml.find(last_number); end != xml.npos) {
        const auto begin = xml.find("  <capacity ");
        xml.erase(begin, end + last_number.size() - begin);
    }
    for (const std::string_view empty : {"  <source>\n  </source>\n", "  <target>\n  </target>\n"})
        if (const auto begin = xml.find(empty); begin != xml.npos)
            xml.erase(begin, empty.size());
    call.print(call.json()
                   ? JsonObject().text("xml", xml).raw("definition", definition()).str() + '\n'
                   : xml);
    return true;
}

void print_blockers(Call& call, const std::vector<storage::Blocker>& blockers)
{
    Table table({"Kind", "Process", "Message"});
    std::vector<std::string> values;
    for (const auto& blocker : blockers) {
        table.add({std::string(to_string(blocker.kind)),
                   blocker.pid ? std::to_string(blocker.pid) : "-", blocker.message});
        values.push_back(to_json(blocker));
    }
    call.table(table, values);
}

} // namespace command
