// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that concern neither one pool nor one volume, and those that read images.
#include "shared.hpp"

#include <basin/version.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace command {

namespace {

using storage::ImageInfo;

constexpr std::string_view group = "Images and general";

std::string references(const std::vector<std::string>& paths)
{
    std::string text;
    for (const auto& path : paths)
        text += label("Extent") + printable(path) + '\n';
    return text;
}

std::string reference(const char* name, const std::optional<storage::ImageReference>& image)
{
    if (!image)
        return {};
    return label(name) + printable(image->path) + " (format " +
           (image->format_declared ? printable(image->format) : "undeclared") + ")\n";
}

std::string line(const char* name, const std::string& value)
{
    return value.empty() ? std::string() : label(name) + printable(value) + '\n';
}

std::string describe(const ImageInfo& info)
{
    auto text = line("Format", std::string(to_string(info.format))) +
                line("Variant", info.variant) + line("Version", info.version) +
                line("Compat", info.compat) + line("Virtual size", pretty_size(info.virtual_size));
    if (info.cluster_size)
        text += line("Cluster size", pretty_size(info.cluster_size));
    text += reference("Backing image", info.backing) + reference("Data file", info.data_file) +
            references(info.extents);
    if (info.encryption)
        text += line("Encryption", info.encryption->format);
    for (const auto& feature : info.features)
        text += line("Feature", feature);
    text += line("Compression", info.compression);
    if (info.snapshot_count)
        text += line("Snapshots", std::to_string(info.snapshot_count));
    text += line("UUID", info.uuid);
    for (const auto& finding : info.findings)
        text += line("Finding", std::string(to_string(finding.issue)) + ": " + finding.message);
    return text;
}

void print_image(Call& call, const ImageInfo& info)
{
    call.print(call.json() ? to_json(info) + '\n' : describe(info));
}

void vol_inspect(Call& call)
{
    print_image(call, call.volume().inspect());
}

void image_inspect(Call& call)
{
    const auto path = call.text("file");
    // A FIFO would block, a terminal would become ours.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        throw Error(errno == ENOENT   ? ErrorCode::not_found
                    : errno == EACCES ? ErrorCode::permission_denied
                                      : ErrorCode::io,
                    "file '" + path + "': " + std::strerror(errno), "give the path of an image", {},
                    errno);
    try {
        const auto info = storage::inspect_image(fd);
        ::close(fd);
        print_image(call, info);
    } catch (...) {
        ::close(fd);
        throw;
    }
}

void recover(Call& call)
{
    if (call.dry_run()) {
        call.change([&](Job* job) { call.context().recover(job); });
        return;
    }
    Table table({"Operation", "Result", "Message"});
    std::vector<std::string> values;
    for (const auto& result : call.context().recover()) {
        table.add({result.operation,
                   result.operation.empty() ? "set aside"
                   : result.pending         ? "pending"
                   : result.finished        ? "finished"
                                            : "undone",
                   result.message});
        JsonObject object;
        object.text("operation", result.operation).boolean("finished", result.finished);
        object.boolean("pending", result.pending);
        values.push_back(object.text("message", result.message).str());
    }
    call.table(table, values);
}

void version(Call& call)
{
    call.value("basin " BASIN_VERSION_STRING, JsonObject().text("version", BASIN_VERSION_STRING));
}

void json_schema(Call& call)
{
    call.print(std::string(storage::json_schema()) + '\n');
}

std::string option_json(const Option& option)
{
    JsonObject object;
    object.text("name", option.name)
        .text("takes", to_string(option.takes))
        .text("help", option.help);
    return object.boolean("required", option.required).boolean("list", option.list).str();
}

std::string verb_json(const Verb& verb)
{
    std::vector<std::string> options;
    for (const auto& option : verb.options)
        options.push_back(option_json(option));
    JsonObject object;
    object.text("name", verb.name).text("group", verb.group).text("summary", verb.summary);
    return object.text("example", verb.example).raw("options", json_array(options)).str();
}

std::string option_words(const Option& option, bool positional)
{
    return "option --" + std::string(option.name) + ' ' + std::string(to_string(option.takes)) +
           (positional ? " positional" : "") + (option.list ? " list" : "") + '\n';
}

/** What shell completion reads: a kind, a word and what it takes on each line. */
void list_words(Call& call, const Verb* verb)
{
    if (verb)
        for (const auto& option : verb->options)
            call.print(option_words(option, option.takes != Takes::flag && !option.named_only));
    else
        for (const auto& one : verbs())
            call.print("verb " + std::string(one.name) + '\n');
    for (const auto& option : global_options())
        call.print(option_words(option, false));
}

void help(Call& call)
{
    const Verb* verb = nullptr;
    if (call.given("verb") && !(verb = find_verb(call.text("verb"))))
        throw UsageError("unknown verb '" + call.text("verb") + "'");
    if (call.json()) {
        std::vector<std::string> values;
        for (const auto& one : verbs())
            if (!verb || verb == &one)
                values.push_back(verb_json(one));
        return call.print(json_array(values) + '\n');
    }
    if (call.given("list"))
        return list_words(call, verb);
    call.print(verb ? help_text(*verb) : help_text());
}

} // namespace

std::vector<Verb> general_verbs()
{
    return {
        {"vol-inspect",
         group,
         "Show what the header of a volume's image says",
         "basin vol-inspect disk.qcow2 --pool vms",
         {volume_option, optional_pool_option},
         vol_inspect},
        {"image-inspect",
         group,
         "Show what the header of an image file says",
         "basin image-inspect debian.qcow2",
         {{.name = "file", .takes = Takes::file, .help = "image to read", .required = true}},
         image_inspect},
        {"recover",
         group,
         "Finish or undo what killed processes left half-done",
         "basin recover",
         {},
         recover},
        {"json-schema",
         group,
         "Print the JSON Schema of all that basin prints as JSON",
         "basin json-schema",
         {},
         json_schema},
        {"version", group, "Print the version", "basin version", {}, version},
        {"help",
         group,
         "Print help",
         "basin help vol-create-as",
         {{.name = "verb", .takes = Takes::verb, .help = "the verb to explain"},
          {.name = "list", .help = "print words for shell completion"}},
         help},
    };
}

} // namespace command
