// SPDX-License-Identifier: LGPL-2.1-or-later
// One run of one verb.
#include "call.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace command {

using storage::LogLevel;

namespace {

bool looks_like_uuid(const std::string& text)
{
    if (text.size() != 36)
        return false;
    for (std::size_t index = 0; index < text.size(); ++index) {
        const bool dash = index == 8 || index == 13 || index == 18 || index == 23;
        if (dash ? text[index] != '-' : !std::isxdigit(static_cast<unsigned char>(text[index])))
            return false;
    }
    return true;
}

std::chrono::seconds seconds(const Arguments& arguments, std::string_view option)
{
    constexpr std::uint64_t most = 365 * 24 * 3600;
    const auto number = parse_number(arguments.text(option), option);
    if (number > most)
        throw Error(ErrorCode::invalid_argument,
                    "--" + std::string(option) + ' ' + std::to_string(number) + " is too long",
                    "at most " + std::to_string(most) + " seconds");
    return std::chrono::seconds(number);
}

/** As a shell would have to be told, so that what is empty or has blanks is seen. */
std::string quoted(const std::string& word)
{
    const auto is_plain = [](unsigned char c) {
        return std::isalnum(c) || c >= 0x80 ||
               std::string_view("@%+=:,./_-").find(static_cast<char>(c)) != std::string_view::npos;
    };
    if (word == "&&" || (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)))
        return word;
    std::string text = "'";
    for (const char c : word)
        text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + '\'';
}

/** The Error with a way out that only the command knows. */
Error with_remedy(const Error& error, const std::string& remedy)
{
    return Error(error.code(), error.what(), remedy, error.detail(), error.os_error());
}

} // namespace

std::uint64_t parse_number(const std::string& text, std::string_view what)
{
    std::uint64_t number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        throw Error(ErrorCode::invalid_argument,
                    std::string(what) + " '" + text + "' is not a number",
                    "give a decimal number without sign");
    return number;
}

Call::Call(const Invocation& invocation, Output& output)
    : invocation_(invocation), output_(output), interrupt_(job_)
{
    const auto& globals = invocation_.globals;
    job_.set_dry_run(dry_run());
    if (globals.has("timeout"))
        job_.set_timeout(seconds(globals, "timeout"));
    if (globals.has("wait"))
        job_.set_wait(seconds(globals, "wait"));
    if (!json() && !quiet() && ::isatty(STDERR_FILENO))
        job_.set_progress_callback(
            [this](const storage::Progress& progress) { bar_.show(progress); });
}

Call::~Call()
{
    bar_.clear();
}

std::uint64_t Call::number(std::string_view option) const
{
    return parse_number(text(option), option);
}

std::vector<std::string> Call::list(std::string_view option) const
{
    std::vector<std::string> values;
    const auto all = text(option);
    for (std::size_t start = 0; start < all.size();) {
        const auto end = std::min(all.find(',', start), all.size());
        if (end > start)
            values.push_back(all.substr(start, end - start));
        start = end + 1;
    }
    return values;
}

std::uint64_t Call::size(std::string_view option, const std::string& value) const
{
    auto digits = std::min(value.find_first_not_of("0123456789"), value.size());
    if (digits == 0) // no number: the error shall show all of it
        digits = value.size();
    const auto unit = std::min(value.find_first_not_of(' ', digits), value.size());
    try {
        return storage::parse_size(std::string_view(value).substr(0, digits),
                                   std::string_view(value).substr(unit));
    } catch (const Error& error) {
        throw Error(error.code(), std::string(option) + " '" + value + "': " + error.what(),
                    error.remedy().empty() ? "give a number with a unit, such as 10G"
                                           : error.remedy());
    }
}

void Call::exclusive(std::initializer_list<std::string_view> options) const
{
    std::string_view first;
    for (const auto option : options) {
        if (!given(option))
            continue;
        if (!first.empty())
            throw UsageError("--" + std::string(first) + " and --" + std::string(option) +
                                 " exclude each other",
                             "give only one of them");
        first = option;
    }
}

Context& Call::context()
{
    if (!context_) {
        const auto& globals = invocation_.globals;
        storage::ContextOptions options;
        const char* environment = std::getenv("BASIN_ROOT");
        options.root = globals.has("root") ? globals.text("root") : environment ? environment : "";
        options.config_dir = globals.text("config-dir");
        options.state_dir = globals.text("state-dir");
        options.run_dir = globals.text("run-dir");
        options.read_only = globals.has("readonly");
        options.recover = !dry_run();
        options.watch = given("watch");
        if (const auto deadline = job_.deadline())
            options.look_timeout = std::max(std::chrono::ceil<std::chrono::milliseconds>(
                                                *deadline - std::chrono::steady_clock::now()),
                                            std::chrono::milliseconds(1));
        if (const char* helpers = std::getenv("BASIN_HELPER_DIRECTORY"))
            options.helper_directory = helpers;
        if (globals.has("secret-directory"))
            options.secrets = storage::secret_directory(globals.text("secret-directory"));
        options.log = [this](LogLevel level, std::string_view line) { log(level, line); };
        context_.emplace(std::move(options));
    }
    return *context_;
}

void Call::log(LogLevel level, std::string_view line)
{
    constexpr std::array names{"debug", "info", "warning", "error"};
    if (invocation_.globals.has("debug"))
        std::fprintf(stderr, "%s: %s\n", names.at(static_cast<std::size_t>(level)),
                     printable(line).c_str());
    else if (level >= LogLevel::warning)
        warn(std::string(line));
}

void Call::warn(const std::string& text)
{
    bar_.clear();
    if (json())
        warnings_.push_back(text);
    else if (!quiet())
        std::fprintf(stderr, "warning: %s\n", printable(text).c_str());
}

std::function<void(std::string_view)> Call::on_ignored()
{
    return [this](std::string_view line) { warn(std::string(line)); };
}

Pool Call::pool(std::string_view option)
{
    const auto wanted = text(option);
    try {
        if (wanted.starts_with('/'))
            return context().find_pool_by_target_path(wanted);
        if (looks_like_uuid(wanted)) {
            try {
                return context().find_pool_by_uuid(wanted);
            } catch (const Error& error) { // a pool may be named like a uuid
                if (error.code() != ErrorCode::not_found)
                    throw;
            }
        }
        return context().find_pool(wanted);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found)
            throw;
        throw Error(ErrorCode::not_found, "pool '" + wanted + "': no such pool",
                    "see 'basin pool-list --all'", error.detail());
    }
}

Volume Call::volume_anywhere(const std::string& text)
{
    try {
        return context().find_volume_by_key(text);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found)
            throw;
    }
    return context().find_volume_by_path(text);
}

Volume Call::volume(std::string_view option, std::string_view pool_option)
{
    const auto found = named_volume(option, pool_option);
    return option == "vol" && given("expect") ? found.expecting(text("expect")) : found;
}

Volume Call::named_volume(std::string_view option, std::string_view pool_option)
{
    const auto wanted = text(option);
    if (!given(pool_option)) {
        try {
            return volume_anywhere(wanted);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_found)
                throw;
            throw with_remedy(error, "start its pool, or name the pool with --" +
                                         std::string(pool_option));
        }
    }
    const auto in = pool(pool_option);
    try {
        return in.find_volume(wanted);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found)
            throw;
        try {
            if (auto found = volume_anywhere(wanted); found.pool() == in)
                return found;
        } catch (const Error&) { // the first error says it better
        }
        throw with_remedy(error, "see 'basin vol-list " + in.name() + "'");
    }
}

void Call::take_standard_output()
{
    if (json())
        throw UsageError("--json and the file - exclude each other",
                         "standard output can carry only one of them");
    standard_output_taken_ = true;
}

void Call::print_facts()
{
    for (const auto& [name, value] : job_.facts()) {
        if (standard_output_taken_ && name == "sha256")
            std::fprintf(stderr, "%s\n", printable(value).c_str());
        else if (quiet() && name == "sha256")
            print(printable(value) + '\n');
        else if (!quiet())
            print(printable(name) + ": " + printable(value) + '\n');
    }
}

void Call::done(const std::string& message, JsonObject details)
{
    if (json()) {
        JsonObject facts;
        for (const auto& [name, value] : job_.facts())
            facts.text(name, value);
        if (!job_.facts().empty())
            details.raw("facts", facts.str());
        details.text("message", message);
        if (!warnings_.empty())
            details.raw("warnings", json_strings(warnings_));
        print(details.str() + '\n');
    } else if (!quiet()) {
        print(printable(message) + '\n');
    }
    if (!json())
        print_facts();
}

void Call::value(const std::string& line, const JsonObject& object)
{
    print((json() ? object.str() : printable(line)) + '\n');
}

void Call::table(const Table& table, const std::vector<std::string>& json_values)
{
    print(json() ? json_array(json_values) + '\n' : table.str(!quiet()));
}

void Call::keep_plan()
{
    const auto plan = job_.plan();
    steps_.insert(steps_.end(), plan.begin(), plan.end());
}

void Call::print_plan()
{
    const std::string name(invocation_.verb->name);
    if (json()) {
        std::vector<std::string> values;
        for (const auto& step : steps_)
            values.push_back(to_json(step));
        JsonObject plan;
        plan.boolean("dry_run", true).text("verb", name).raw("steps", json_array(values));
        if (!warnings_.empty())
            plan.raw("warnings", json_strings(warnings_));
        print(plan.str() + '\n');
        return;
    }
    if (steps_.empty())
        print(name + " has nothing to do\n");
    else
        print("Steps of " + name + ", none of which was done:\n");
    std::size_t index = 0;
    for (const auto& step : steps_) {
        std::array<char, 16> mark{};
        std::snprintf(mark.data(), mark.size(), "%3zu. ", ++index);
        print(mark.data() + std::string(step.destructive ? "DESTRUCTIVE: " : "") +
              printable(step.summary) + '\n');
        std::string call;
        for (const auto& word : step.call)
            call += ' ' + quoted(word);
        if (!call.empty())
            print("     does:" + printable(call) + '\n');
        print("     undo: " + (step.undo.empty() ? "none" : printable(step.undo)) + '\n');
    }
}

std::string read_file(const std::string& path)
{
    constexpr std::size_t most = 4 * 1024 * 1024; // the parser takes less and says so
    const bool standard_input = path == "-";
    const int fd =
        standard_input ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const auto fail = [&](int error) {
        const auto code = error == ENOENT   ? ErrorCode::not_found
                          : error == EACCES ? ErrorCode::permission_denied
                                            : ErrorCode::io;
        throw Error(code, "file '" + path + "': " + std::strerror(error),
                    "give a readable file, or - for standard input", {}, error);
    };
    if (fd < 0)
        fail(errno);
    std::string content;
    std::array<char, 64 * 1024> block;
    ssize_t got{};
    while ((got = ::read(fd, block.data(), block.size())) != 0 && content.size() < most) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        content.append(block.data(), static_cast<std::size_t>(got));
    }
    const int error = got < 0 ? errno : 0;
    if (!standard_input)
        ::close(fd);
    if (error)
        fail(error);
    return content;
}

JsonObject identity(const Pool& pool)
{
    JsonObject object;
    object.text("name", pool.name()).text("uuid", pool.uuid());
    return object;
}

JsonObject identity(const Volume& volume)
{
    JsonObject object;
    object.text("name", volume.name()).text("pool", volume.pool().name());
    return object;
}

} // namespace command
