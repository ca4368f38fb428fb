// SPDX-License-Identifier: LGPL-2.1-or-later
// The options of the command and the list of all verbs.
#include "verb.hpp"

#include <iterator>

namespace command {

std::string_view to_string(Takes takes)
{
    switch (takes) {
    case Takes::flag: return "flag";
    case Takes::text: return "text";
    case Takes::number: return "number";
    case Takes::size: return "size";
    case Takes::pool: return "pool";
    case Takes::volume: return "volume";
    case Takes::snapshot: return "snapshot";
    case Takes::file: return "file";
    case Takes::directory: return "directory";
    case Takes::pool_type: return "type";
    case Takes::volume_format: return "format";
    case Takes::wipe_algorithm: return "algorithm";
    case Takes::preallocation: return "preallocation";
    case Takes::blocker: return "blocker";
    case Takes::event: return "event";
    case Takes::verb: return "verb";
    }
    return "text";
}

const std::vector<Verb>& verbs()
{
    static const auto table = [] {
        std::vector<Verb> all;
        for (const auto list :
             {pool_definition_verbs, pool_lifecycle_verbs, pool_query_verbs, source_verbs,
              event_verbs, volume_creation_verbs, volume_change_verbs, transfer_verbs,
              volume_query_verbs, snapshot_verbs, access_verbs, general_verbs}) {
            auto some = list();
            all.insert(all.end(), std::make_move_iterator(some.begin()),
                       std::make_move_iterator(some.end()));
        }
        return all;
    }();
    return table;
}

const Verb* find_verb(std::string_view name)
{
    for (const auto& verb : verbs())
        if (verb.name == name)
            return &verb;
    return nullptr;
}

const std::vector<Option>& global_options()
{
    static const std::vector<Option> options{
        {.name = "json", .help = "print one JSON document, errors too"},
        {.name = "root",
         .takes = Takes::directory,
         .help = "keep everything under this directory; also BASIN_ROOT"},
        {.name = "config-dir", .takes = Takes::directory, .help = "definitions of pools"},
        {.name = "state-dir", .takes = Takes::directory, .help = "journal of unfinished changes"},
        {.name = "run-dir",
         .takes = Takes::directory,
         .help = "records of started pools, locks and events"},
        {.name = "secret-directory",
         .takes = Takes::directory,
         .help = "a file for each secret that is needed"},
        {.name = "dry-run", .help = "show the steps of a changing verb and change nothing"},
        {.name = "timeout", .takes = Takes::number, .help = "give up after this many seconds"},
        {.name = "wait",
         .takes = Takes::number,
         .help = "wait this many seconds for what others hold (default 0)"},
        {.name = "readonly", .help = "refuse every change", .letter = 'r'},
        {.name = "quiet", .help = "print results only", .letter = 'q'},
        {.name = "debug", .help = "print what the library logs", .letter = 'd'},
        {.name = "version", .help = "print the version", .letter = 'V'},
        {.name = "help", .help = "print help", .letter = 'h'},
    };
    return options;
}

} // namespace command
