// SPDX-License-Identifier: LGPL-2.1-or-later
// A verb of the command as data: help, parser, completion and the man page's test all read it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace command {

class Call;

/** What an option's value means; completion offers accordingly. */
enum class Takes {
    flag,
    text,
    number,
    size,
    pool,
    volume,
    snapshot,
    file,
    directory,
    pool_type,
    volume_format,
    wipe_algorithm,
    preallocation,
    blocker,
    event,
    verb,
};

std::string_view to_string(Takes takes);

struct Option {
    std::string_view name; ///< without the dashes
    Takes takes{Takes::flag};
    std::string_view help{};
    bool required{};
    bool named_only{}; ///< cannot be given by position
    char letter{};     ///< 0: none
    bool list{};       ///< values may be repeated and separated by commas
    bool may_be_empty{};
};

struct Verb {
    std::string_view name;
    std::string_view group;
    std::string_view summary;
    std::string_view example; ///< a whole command line
    std::vector<Option> options;
    void (*run)(Call&);
};

/** Option values as they were typed. A flag that was given has the value "". */
class Arguments {
public:
    void set(std::string_view name, std::string value)
    {
        values_[std::string(name)] = std::move(value);
    }
    bool has(std::string_view name) const { return values_.contains(name); }
    std::string text(std::string_view name) const
    {
        const auto found = values_.find(name);
        return found == values_.end() ? std::string() : found->second;
    }

private:
    std::map<std::string, std::string, std::less<>> values_;
};

/** Every verb, in the order in which help lists them. */
const std::vector<Verb>& verbs();
const Verb* find_verb(std::string_view name);

/** The options that stand before the verb, or after it where the verb has none of that name. */
const std::vector<Option>& global_options();

std::vector<Verb> pool_definition_verbs();
std::vector<Verb> pool_lifecycle_verbs();
std::vector<Verb> pool_query_verbs();
std::vector<Verb> source_verbs();
std::vector<Verb> event_verbs();
std::vector<Verb> volume_creation_verbs();
std::vector<Verb> volume_change_verbs();
std::vector<Verb> transfer_verbs();
std::vector<Verb> volume_query_verbs();
std::vector<Verb> snapshot_verbs();
std::vector<Verb> access_verbs();
std::vector<Verb> general_verbs();

} // namespace command
