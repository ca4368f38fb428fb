// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that show pools.
#include "shared.hpp"

#include <algorithm>
#include <strings.h>

namespace command {

namespace {

using storage::PoolInfo;
using storage::PoolState;

constexpr std::string_view group = "Looking at pools";

std::vector<std::string> split_types(const std::string& list)
{
    std::vector<std::string> types;
    std::string_view rest = list;
    while (true) {
        const auto comma = rest.find(',');
        const auto type = rest.substr(0, comma);
        if (!storage::find_backend(type))
            throw UsageError("pool type '" + std::string(type) + "' is not known",
                             "see 'basin pool-capabilities'");
        types.emplace_back(type);
        if (comma == std::string_view::npos)
            return types;
        rest.remove_prefix(comma + 1);
    }
}

/** One of two flags filters; none or both do not. */
std::optional<bool> either(const Call& call, std::string_view yes, std::string_view no)
{
    if (call.given(yes) == call.given(no))
        return std::nullopt;
    return call.given(yes);
}

storage::PoolFilter read_filter(const Call& call)
{
    storage::PoolFilter filter;
    if (!call.given("all"))
        filter.active = !call.given("inactive");
    filter.persistent = either(call, "persistent", "transient");
    filter.autostart = either(call, "autostart", "no-autostart");
    if (call.given("type"))
        filter.types = split_types(call.text("type"));
    return filter;
}

struct Row {
    Pool pool;
    std::string name;
    PoolInfo info;
};

/** Sorted as virsh sorts. A pool that vanishes meanwhile is not listed. */
std::vector<Row> read_rows(Call& call)
{
    std::vector<Row> rows;
    for (const auto& pool : call.context().pools(read_filter(call))) {
        try {
            rows.push_back({pool, pool.name(), pool.info()});
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_found)
                throw;
        }
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        const auto order = ::strcasecmp(a.name.c_str(), b.name.c_str());
        return order != 0 ? order < 0 : a.name < b.name;
    });
    return rows;
}

void list_identities(Call& call, const std::vector<Row>& rows)
{
    for (const auto& row : rows) {
        std::string line;
        if (call.given("uuid"))
            line = row.pool.uuid();
        if (call.given("name"))
            line += (line.empty() ? "" : " ") + printable(row.name);
        call.print(line + '\n');
    }
}

Table summary(const std::vector<Row>& rows)
{
    Table table({"Name", "State", "Autostart"});
    for (const auto& [pool, name, info] : rows)
        table.add({name, info.state == PoolState::inactive ? "inactive" : "active",
                   yes_no(info.autostart)});
    return table;
}

Table details(const std::vector<Row>& rows)
{
    Table table(
        {"Name", "State", "Autostart", "Persistent", "Capacity", "Allocation", "Available"});
    for (const auto& [pool, name, info] : rows) {
        const bool active = info.state != PoolState::inactive;
        const auto size = [&](std::uint64_t bytes) {
            return active ? pretty_size(bytes) : std::string("-");
        };
        table.add({name, std::string(to_string(info.state)), yes_no(info.autostart),
                   yes_no(info.persistent), size(info.capacity), size(info.allocation),
                   size(info.available)});
    }
    return table;
}

std::string pool_json(const Pool& pool, const PoolInfo& info)
{
    return identity(pool).text("type", pool.type()).merge(to_json(info)).str();
}

void pool_list(Call& call)
{
    call.exclusive({"all", "inactive"});
    call.exclusive({"details", "uuid"});
    call.exclusive({"details", "name"});
    const auto rows = read_rows(call);
    if (!call.json() && (call.given("uuid") || call.given("name")))
        return list_identities(call, rows);
    std::vector<std::string> values;
    if (call.json())
        for (const auto& row : rows)
            values.push_back(pool_json(row.pool, row.info));
    call.table(call.given("details") ? details(rows) : summary(rows), values);
}

/** How full each thin pool of a logical pool is. */
std::string thin_pools(const std::map<std::string, std::string>& details, const auto& size)
{
    constexpr std::string_view begin = "thin_pool.";
    constexpr std::string_view end = ".size";
    std::string text;
    for (const auto& [key, bytes] : details) {
        if (!key.starts_with(begin) || !key.ends_with(end))
            continue;
        const auto pool = key.substr(0, key.size() - end.size());
        const auto fact = [&](const char* name) {
            const auto found = details.find(pool + '.' + name);
            return found == details.end() ? std::string() : found->second;
        };
        text +=
            label("Thin pool " + printable(pool.substr(begin.size()))) + size(std::stoull(bytes));
        if (const auto used = fact("data_percent"); !used.empty())
            text += ", data " + used + " %";
        if (const auto used = fact("metadata_percent"); !used.empty())
            text += ", metadata " + used + " %";
        if (const auto health = fact("health"); !health.empty())
            text += ", " + printable(health);
        text += '\n';
    }
    return text;
}

void pool_info(Call& call)
{
    const auto pool = call.pool();
    const auto info = pool.info();
    if (call.json())
        return call.print(pool_json(pool, info) + '\n');
    const auto size = [&](std::uint64_t bytes) {
        return call.given("bytes") ? std::to_string(bytes) : pretty_size(bytes);
    };
    std::string text = label("Name") + printable(pool.name()) + '\n' + label("UUID") + pool.uuid() +
                       '\n' + label("State") + std::string(to_string(info.state)) + '\n';
    if (!info.reason.empty())
        text += label("Reason") + printable(info.reason) + '\n';
    text += label("Persistent") + yes_no(info.persistent) + '\n' + label("Autostart") +
            yes_no(info.autostart) + '\n';
    if (info.state != PoolState::inactive)
        text += label("Capacity") + size(info.capacity) + '\n' + label("Allocation") +
                size(info.allocation) + '\n' + label("Available") + size(info.available) + '\n';
    call.print(text + thin_pools(info.details, size));
}

void pool_dumpxml(Call& call)
{
    const auto pool = call.pool();
    const auto which = call.given("inactive") ? storage::Which::next : storage::Which::current;
    print_dump(call, pool.xml(which), [&] { return to_json(pool.definition(which)); });
}

void pool_name(Call& call)
{
    const auto pool = call.pool();
    call.value(pool.name(), identity(pool));
}

void pool_identity(Call& call)
{
    const auto pool = call.pool();
    const auto text = pool.identity();
    call.value(text, identity(pool).text("identity", text));
}

void pool_uuid(Call& call)
{
    const auto pool = call.pool();
    call.value(pool.uuid(), identity(pool));
}

void pool_diagnostics(Call& call)
{
    Table table({"Name", "Reason", "Message"});
    std::vector<std::string> values;
    for (const auto& diagnostic : call.pool().diagnostics()) {
        table.add({diagnostic.name, std::string(to_string(diagnostic.reason)), diagnostic.message});
        values.push_back(to_json(diagnostic));
    }
    call.table(table, values);
}

void pool_blockers(Call& call)
{
    print_blockers(call, call.pool().blockers());
}

} // namespace

std::vector<Verb> pool_query_verbs()
{
    const std::vector<Option> list_options{
        {.name = "inactive", .help = "list inactive pools"},
        {.name = "all", .help = "list active and inactive pools"},
        {.name = "transient", .help = "list transient pools"},
        {.name = "persistent", .help = "list persistent pools"},
        {.name = "autostart", .help = "list pools that start with pool-autostart-all"},
        {.name = "no-autostart", .help = "list pools that do not"},
        {.name = "type",
         .takes = Takes::pool_type,
         .help = "list pools of these types",
         .list = true},
        {.name = "details", .help = "show sizes"},
        {.name = "uuid", .help = "print uuids only"},
        {.name = "name", .help = "print names only"},
    };
    return {
        {"pool-list", group, "List pools", "basin pool-list --all --details", list_options,
         pool_list},
        {"pool-info",
         group,
         "Show state and sizes of a pool",
         "basin pool-info vms --bytes",
         {pool_option, {.name = "bytes", .help = "sizes in bytes"}},
         pool_info},
        {"pool-dumpxml",
         group,
         "Print the XML of a pool",
         "basin pool-dumpxml vms --inactive",
         {pool_option,
          {.name = "inactive", .help = "the definition that the next start uses"},
          xpath_option,
          wrap_option},
         pool_dumpxml},
        {"pool-name",
         group,
         "Print the name of a pool",
         "basin pool-name 11111111-2222-3333-4444-555555555555",
         {pool_option},
         pool_name},
        {"pool-uuid",
         group,
         "Print the uuid of a pool",
         "basin pool-uuid vms",
         {pool_option},
         pool_uuid},
        {"pool-identity",
         group,
         "Print what tells a pool's storage from other storage in its place",
         "basin pool-identity vms",
         {pool_option},
         pool_identity},
        {"pool-diagnostics",
         group,
         "Show what the last refresh had to remark",
         "basin pool-diagnostics vms",
         {pool_option},
         pool_diagnostics},
        {"pool-blockers",
         group,
         "Show what would stop pool-destroy or pool-delete now",
         "basin pool-blockers vms",
         {pool_option},
         pool_blockers},
    };
}

} // namespace command
