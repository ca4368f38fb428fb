// SPDX-License-Identifier: LGPL-2.1-or-later
// The only file that uses CLI11.
#include "options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>

namespace command {

namespace {

std::string upper(std::string_view text)
{
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return result;
}

std::string spelling(const Option& option)
{
    std::string names = "--" + std::string(option.name);
    if (option.letter)
        names = '-' + std::string(1, option.letter) + ',' + names;
    return names;
}

/** A parser for some options, which knows how to hand over what it read. */
class Parser {
public:
    Parser()
    {
        app_.set_help_flag();
        app_.allow_windows_style_options(false);
    }

    void add(const std::vector<Option>& options, Arguments& into)
    {
        for (const auto& option : options)
            if (!app_.get_option_no_throw("--" + std::string(option.name)))
                add(option, into);
    }

    void stop_at_first_stranger() { app_.prefix_command(); }

    std::vector<std::string> parse(std::vector<std::string> arguments)
    {
        std::reverse(arguments.begin(), arguments.end()); // CLI11 takes them from the back
        try {
            app_.parse(std::move(arguments));
        } catch (const CLI::ArgumentMismatch& error) {
            hand_over();
            const std::string what = error.what(); // "--pool: 1 required  missing"
            throw UsageError(what.substr(0, what.find(':')) + (what.ends_with("missing")
                                                                   ? " needs a value"
                                                                   : " was given more than once"));
        } catch (const CLI::ParseError& error) {
            hand_over();
            throw UsageError(error.what());
        }
        hand_over();
        refuse_values_of_flags();
        return app_.remaining();
    }

private:
    void add(const Option& option, Arguments& into)
    {
        auto names = spelling(option);
        if (option.takes == Takes::flag) {
            parsed_.push_back({&option, app_.add_flag(names), &into});
            return;
        }
        if (!option.named_only)
            names += ',' + std::string(option.name);
        auto* const added = app_.add_option(names)->expected(1);
        added->multi_option_policy(option.list ? CLI::MultiOptionPolicy::TakeAll
                                               : CLI::MultiOptionPolicy::Throw);
        parsed_.push_back({&option, added, &into});
    }

    void hand_over()
    {
        for (const auto& [option, value, into] : parsed_)
            if (value->count() > 0)
                into->set(option->name,
                          option->takes == Takes::flag ? std::string() : joined(value->results()));
    }

    /** CLI11 takes --overwrite=false, and would say that the flag was given. */
    void refuse_values_of_flags() const
    {
        for (const auto& [option, flag, into] : parsed_)
            for (const auto& value : flag->results())
                if (option->takes == Takes::flag && value != "true")
                    throw UsageError("--" + std::string(option->name) +
                                     " takes no value, such as '" + value + "'");
    }

    static std::string joined(const std::vector<std::string>& values)
    {
        std::string text;
        for (const auto& value : values)
            text += (text.empty() ? "" : ",") + value;
        return text;
    }

    struct Parsed {
        const Option* option;
        CLI::Option* value;
        Arguments* into;
    };
    CLI::App app_;
    std::vector<Parsed> parsed_;
};

/** Global options cannot be given by position. */
const std::vector<Option>& named_globals()
{
    static const auto options = [] {
        auto copy = global_options();
        for (auto& option : copy)
            option.named_only = true;
        return copy;
    }();
    return options;
}

void require_all(const Verb& verb, const Arguments& arguments)
{
    for (const auto& option : verb.options)
        if (option.required && !arguments.has(option.name))
            throw UsageError("'" + std::string(verb.name) + "' requires " + upper(option.name),
                             "usage: basin " + usage_line(verb));
}

/** A variable of a script that is not set must not mean the system's own directories, or no check.
 */
void refuse_empty(const std::vector<Option>& options, const Arguments& arguments)
{
    for (const auto& option : options)
        if (option.takes != Takes::flag && !option.may_be_empty && arguments.has(option.name) &&
            arguments.text(option.name).empty())
            throw UsageError("--" + std::string(option.name) + " is empty",
                             option.required ? "give a value" : "give a value, or leave it out");
}

std::string padded(std::string text, std::size_t width)
{
    if (text.size() < width)
        text.resize(width, ' ');
    return text;
}

std::string option_help(const Option& option)
{
    auto left = option.letter ? "  -" + std::string(1, option.letter) + ", --" : "  --";
    left += option.name;
    if (option.takes != Takes::flag)
        left += ' ' + upper(to_string(option.takes)) + (option.list ? ",..." : "");
    return padded(std::move(left), 30) + ' ' + std::string(option.help) + '\n';
}

} // namespace

void parse_command_line(int argc, char** argv, Invocation& invocation)
{
    std::vector<std::string> all(argv + std::min(argc, 1), argv + argc);
    Parser before;
    before.stop_at_first_stranger();
    before.add(named_globals(), invocation.globals);
    auto rest = before.parse(std::move(all));
    refuse_empty(global_options(), invocation.globals);
    if (rest.empty())
        return;
    if (rest.front().starts_with('-'))
        throw UsageError("unknown option '" + rest.front() + "'");
    invocation.verb = find_verb(rest.front());
    if (!invocation.verb)
        throw UsageError("unknown verb '" + rest.front() + "'");
    const auto& verb = *invocation.verb;
    rest.erase(rest.begin());

    Parser after;
    after.add(verb.options, invocation.arguments);
    after.add(named_globals(), invocation.globals);
    try {
        after.parse(std::move(rest));
    } catch (const UsageError& error) {
        throw UsageError("'" + std::string(verb.name) + "': " + error.what(),
                         "usage: basin " + usage_line(verb));
    }
    refuse_empty(verb.options, invocation.arguments);
    refuse_empty(global_options(), invocation.globals);
    if (!invocation.globals.has("help"))
        require_all(verb, invocation.arguments);
}

std::string usage_line(const Verb& verb)
{
    std::string line(verb.name);
    for (const auto& option : verb.options) {
        const auto value = upper(to_string(option.takes));
        if (option.required)
            line += ' ' + upper(option.name);
        else if (option.takes == Takes::flag)
            line += " [--" + std::string(option.name) + ']';
        else
            line += " [--" + std::string(option.name) + ' ' + value + (option.list ? ",...]" : "]");
    }
    return line;
}

std::string help_text(const Verb& verb)
{
    auto text =
        "Usage: basin [OPTIONS] " + usage_line(verb) + "\n\n" + std::string(verb.summary) + "\n";
    if (!verb.options.empty())
        text += '\n';
    for (const auto& option : verb.options)
        text += option_help(option);
    return text + "\nExample:\n  " + std::string(verb.example) + '\n';
}

std::string help_text()
{
    std::string text =
        "Usage: basin [OPTIONS] VERB [ARGUMENTS]\n\nManages storage pools and volumes, without a "
        "daemon.\n\nOptions:\n";
    for (const auto& option : global_options())
        text += option_help(option);
    std::string_view group;
    for (const auto& verb : verbs()) {
        if (verb.group != group) {
            group = verb.group;
            text += '\n' + std::string(group) + ":\n";
        }
        text += "  " + padded(std::string(verb.name), 28) + ' ' + std::string(verb.summary) + '\n';
    }
    return text + "\n'basin VERB --help' tells more about one verb.\n";
}

} // namespace command
