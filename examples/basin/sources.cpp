// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that say which pools are possible.
#include "call.hpp"

namespace command {

namespace {

using storage::PoolSource;

constexpr std::string_view group = "What is possible";

void print_sources(Call& call, const std::string& type, const PoolSource& where)
{
    const auto sources = call.context().find_pool_sources(type, where, &call.job());
    if (!call.json())
        return call.print(format_pool_sources(sources, type));
    std::vector<std::string> values;
    for (const auto& source : sources)
        values.push_back(to_json(storage::PoolDef{.type = type, .source = source}));
    call.print(json_array(values) + '\n');
}

void find_sources(Call& call)
{
    const auto type = call.text("type");
    PoolSource where;
    if (call.given("srcSpec"))
        where = storage::parse_pool_source(read_file(call.text("srcSpec")), type,
                                           {.on_ignored = call.on_ignored()});
    print_sources(call, type, where);
}

void find_sources_as(Call& call)
{
    PoolSource where;
    if (call.given("host"))
        where.hosts.push_back({.name = call.text("host")});
    if (call.given("port")) {
        const auto port = call.number("port");
        if (port > 65535)
            throw Error(ErrorCode::invalid_argument,
                        "port " + std::to_string(port) + " is too large", "use 1 to 65535");
        if (where.hosts.empty())
            throw UsageError("--port needs --host", "give the host as well");
        where.hosts.front().port = static_cast<std::int32_t>(port);
    }
    where.initiator_iqn = call.text("initiator");
    print_sources(call, call.text("type"), where);
}

void capabilities(Call& call)
{
    if (!call.json())
        return call.print(storage::format_capabilities());
    std::vector<std::string> values;
    for (const auto& backend : storage::backends())
        values.push_back(to_json(backend));
    call.print(json_array(values) + '\n');
}

} // namespace

std::vector<Verb> source_verbs()
{
    const Option type{.name = "type",
                      .takes = Takes::pool_type,
                      .help = "type of the pools to find",
                      .required = true};
    return {
        {"pool-capabilities",
         group,
         "Print which pool types there are and what each can do",
         "basin --json pool-capabilities",
         {},
         capabilities},
        {"find-storage-pool-sources",
         group,
         "Find sources that pools could be made of, as a <source> file says",
         "basin find-storage-pool-sources logical",
         {type,
          {.name = "srcSpec",
           .takes = Takes::file,
           .help = "file with the XML of a source to ask"}},
         find_sources},
        {"find-storage-pool-sources-as",
         group,
         "Find sources that pools could be made of, as arguments say",
         "basin find-storage-pool-sources-as netfs nas.example.com",
         {type,
          {.name = "host", .takes = Takes::text, .help = "server to ask"},
          {.name = "port", .takes = Takes::number, .help = "its port"},
          {.name = "initiator", .takes = Takes::text, .help = "IQN to ask as"}},
         find_sources_as},
    };
}

} // namespace command
