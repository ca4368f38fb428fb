// SPDX-License-Identifier: LGPL-2.1-or-later
#include "qemu_img.hpp"

#include "job_impl.hpp"
#include "names.hpp"
#include "passphrase_cost.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>

namespace storage::inline v1 {
namespace {

constexpr std::string_view writable[] = {"luks", "parallels", "qcow", "qcow2", "qed",
                                         "raw",  "vdi",       "vhdx", "vmdk",  "vpc"};
constexpr std::string_view readable[] = {"bochs", "cloop", "dmg"};

Error not_supported(const std::string& what, const std::string& remedy = {})
{
    return {ErrorCode::not_supported, what, remedy};
}

bool contains(std::span<const std::string_view> list, std::string_view value)
{
    return std::find(list.begin(), list.end(), value) != list.end();
}

/** As a value in one of QEMU's option lists, where a comma ends it unless it is doubled. */
std::string escaped(std::string_view value)
{
    std::string result;
    for (const char c : value)
        result += c == ',' ? ",," : std::string(1, c);
    return result;
}

/** Names of ciphers, modes and hashes: whatever the definition says, no more than a word. */
std::string word(std::string_view what, std::string_view value)
{
    const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
    if (!plain)
        throw Error(ErrorCode::invalid_argument,
                    std::string(what) + ' ' + shown(value) + " is not a name");
    return std::string(value);
}

void check_image(const QemuImage& image, bool source)
{
    if (!contains(writable, image.format) && !(source && contains(readable, image.format)))
        throw not_supported(shown(image.path) + ": image format " + shown(image.format) +
                            " is not known to qemu-img" + (source ? "" : " as one to write"));
    if (image.fd < 0 && !image.path.starts_with('/'))
        throw Error(ErrorCode::invalid_argument, shown(image.path) + ": path is not absolute");
    if (image.format == "luks" && !image.secret)
        throw Error(ErrorCode::invalid_argument,
                    shown(image.path) + ": a LUKS image needs a secret");
    if (image.secret && image.format != "luks" && image.format != "qcow2")
        throw not_supported(shown(image.path) + ": image format " + shown(image.format) +
                            " cannot be encrypted");
}

std::string path_of(Command& command, const QemuImage& image)
{
    if (image.directory >= 0)
        return pass_descriptor(command, image.directory) + image.path.substr(image.path.rfind('/'));
    return image.fd < 0 ? image.path : pass_descriptor(command, image.fd);
}

/** Declares the image's secret under a name. */
void add_secret(Command& command, const QemuImage& image, const std::string& id)
{
    // What QEMU takes for a passphrase (crypto/secret_common.c).
    if (image.secret && !is_utf8_string(image.secret->bytes()))
        throw not_supported(shown(image.path) +
                                ": its secret is not UTF-8 without zero bytes, which qemu-img and "
                                "virtual machines want",
                            "use a passphrase that is");
    if (image.secret)
        command.arguments.insert(
            command.arguments.end(),
            {"--object", "secret,id=" + id + ",file=" + pass_secret(command, *image.secret)});
}

/** The image as QEMU's options to open it: nothing is guessed, and the file's name is only a name.
 * @param prefix  "", or "file." where another node is above it */
std::string image_options(Command& command, const QemuImage& image, const std::string& id,
                          const std::string& prefix = {})
{
    auto result = prefix + "driver=" + image.format;
    if (image.secret)
        result +=
            ',' + prefix + (image.format == "luks" ? "key-secret=" : "encrypt.key-secret=") + id;
    return result + ',' + prefix + "file.filename=" + escaped(path_of(command, image));
}

using Options = std::vector<std::string>;

std::string joined(const Options& options)
{
    std::string result;
    for (const auto& option : options)
        result += (result.empty() ? "" : ",") + option;
    return result;
}

void add_encryption(Options& list, const QemuImage& target, const QemuImgOptions& options)
{
    if (!target.secret)
        return;
    const std::string prefix = target.format == "qcow2" ? "encrypt." : "";
    const auto add = [&](const char* name, const std::string& value) {
        list.push_back(prefix + name + '=' + value);
    };
    if (target.format == "qcow2")
        add("format", "luks");
    add("key-secret", "target");
    if (options.encryption && options.encryption->cipher) {
        const auto& cipher = *options.encryption->cipher;
        const auto name = word("cipher", cipher.name);
        // These have one size each, and QEMU's names for them do not tell it.
        const bool sized = name != "des" && name != "3des";
        add("cipher-alg", sized ? name + '-' + std::to_string(cipher.size) : name);
        if (!cipher.mode.empty())
            add("cipher-mode", word("cipher mode", cipher.mode));
        if (!cipher.hash.empty())
            add("hash-alg", word("hash", cipher.hash));
    }
    if (options.encryption && options.encryption->ivgen) {
        add("ivgen-alg", word("ivgen", options.encryption->ivgen->name));
        if (!options.encryption->ivgen->hash.empty())
            add("ivgen-hash-alg", word("hash", options.encryption->ivgen->hash));
    }
    if (const auto cost = passphrase_cost_ms.load(); cost != default_passphrase_cost_ms)
        add("iter-time", std::to_string(cost));
}

std::string_view name_of(Preallocation preallocation)
{
    switch (preallocation) {
    case Preallocation::off: return "off";
    case Preallocation::metadata: return "metadata";
    case Preallocation::falloc: return "falloc";
    case Preallocation::full: return "full";
    }
    return "";
}

void add_preallocation(Options& list, const QemuImage& target, Preallocation wanted)
{
    if (wanted == Preallocation::off)
        return;
    const auto& format = target.format;
    if (format == "qcow2" ||
        ((format == "raw" || format == "luks") && wanted != Preallocation::metadata))
        list.push_back("preallocation=" + std::string(name_of(wanted)));
    else if ((format == "vpc" || format == "vhdx") && wanted == Preallocation::full)
        list.push_back("subformat=fixed");
    else if (format == "vdi" && wanted == Preallocation::full)
        list.push_back("static=on");
    else
        throw not_supported(shown(target.path) + ": preallocation " + shown(name_of(wanted)) +
                            " is not possible in format " + shown(format));
}

Options format_options(const QemuImage& target, const QemuImgOptions& options)
{
    Options list;
    add_encryption(list, target, options);
    add_preallocation(list, target, options.preallocation);
    if (target.format == "vpc") // else rounded to a size with a geometry of heads and cylinders
        list.emplace_back("force_size=on");
    const bool qcow2 = target.format == "qcow2";
    if (!qcow2 && (!options.compat.empty() || options.lazy_refcounts || options.extended_l2 ||
                   options.refcount_bits))
        throw not_supported(shown(target.path) + ": format " + shown(target.format) +
                            " has no compat level, features or reference counts");
    if (!options.compat.empty())
        list.push_back("compat=" + word("compat level", options.compat));
    else if (qcow2)
        list.emplace_back("compat=1.1");
    if (options.cluster_size) {
        if (!qcow2 && target.format != "qed" && target.format != "parallels")
            throw not_supported(shown(target.path) + ": format " + shown(target.format) +
                                " has no cluster size to choose");
        list.push_back("cluster_size=" + std::to_string(options.cluster_size));
    }
    if (options.lazy_refcounts)
        list.emplace_back("lazy_refcounts=on");
    if (options.extended_l2)
        list.emplace_back("extended_l2=on");
    if (options.refcount_bits)
        list.push_back("refcount_bits=" + std::to_string(options.refcount_bits));
    return list;
}

/** What stands before the first '/' and ends in ':' names a protocol, or "json:". */
void check_backing(const QemuImage& target, const QemuImgOptions& options)
{
    const auto& path = options.backing_path;
    if (path.empty()) {
        if (!options.backing_format.empty())
            throw Error(ErrorCode::invalid_argument,
                        shown(target.path) + ": a backing format without a backing file");
        return;
    }
    constexpr std::string_view with_backing[] = {"qcow", "qcow2", "qed", "vmdk"};
    if (!contains(with_backing, target.format))
        throw not_supported(shown(target.path) + ": format " + shown(target.format) +
                            " has no backing file");
    if (control_character(path))
        throw Error(ErrorCode::invalid_argument,
                    shown(path) + ": backing file with a control character");
    const auto first = path.find_first_of(":/");
    if (first != path.npos && path[first] == ':')
        throw Error(ErrorCode::invalid_argument,
                    shown(path) + ": a backing file that QEMU would take for a protocol",
                    "give an absolute path, or put './' before the name");
    if (!contains(writable, options.backing_format) && !contains(readable, options.backing_format))
        throw not_supported(shown(path) + ": backing format " + shown(options.backing_format) +
                            " is not known to qemu-img");
    if (options.capacity == 0)
        throw Error(ErrorCode::invalid_argument,
                    shown(target.path) + ": capacity 0 with a backing file", "give the capacity");
}

Command create_command(const QemuImage& target, const QemuImgOptions& options)
{
    Command command{.program = "qemu-img", .arguments = {"create", "-q", "-f", target.format}};
    auto& arguments = command.arguments;
    add_secret(command, target, "target");
    if (!options.backing_path.empty())
        arguments.insert(arguments.end(),
                         {"-u", "-b", options.backing_path, "-F", options.backing_format});
    const auto list = format_options(target, options);
    if (!list.empty())
        arguments.insert(arguments.end(), {"-o", joined(list)});
    arguments.push_back(path_of(command, target));
    arguments.push_back(std::to_string(options.capacity));
    return command;
}

/** Says what qemu-img -p says, "    (12.34/100%)\r" again and again, to the job. */
class ToolProgress {
public:
    ToolProgress(std::string_view phase, std::uint64_t size, Job* job)
        : size_(size ? size : 100), job_(job)
    {
        enter_phase(job_, phase, size_);
    }

    void take(std::string_view piece)
    {
        for (const char c : piece) {
            if (c == '(')
                number_.clear();
            else if (c == '/')
                report();
            else if (number_.size() < 16)
                number_ += c;
        }
    }

private:
    void report()
    {
        std::uint64_t whole = 0;
        std::uint64_t hundredths = 0;
        const char* const end = number_.data() + number_.size();
        const auto [dot, problem] = std::from_chars(number_.data(), end, whole);
        if (problem != std::errc() || end - dot != 3 || *dot != '.' || whole > 100 ||
            std::from_chars(dot + 1, end, hundredths).ptr != end)
            return;
        const auto share = std::min<std::uint64_t>(whole * 100 + hundredths, 10000);
        const auto done = size_ / 10000 * share + size_ % 10000 * share / 10000;
        if (done > done_)
            advance(job_, done - done_);
        done_ = std::max(done, done_);
    }

    std::uint64_t size_;
    Job* job_;
    std::uint64_t done_{};
    std::string number_{};
};

/**
 * Whether the target has to be made before it is filled: qemu-img convert would give it the
 * source's size, whatever the options say, and its options cannot open and create encrypted images
 * at once.
 */
bool needs_target(const QemuImage& source, const QemuImage& target, const QemuImgOptions& options)
{
    return source.secret || target.secret ||
           (options.capacity != 0 && options.capacity != source.virtual_size);
}

Command convert_command(const QemuImage& source, const QemuImage& target,
                        const QemuImgOptions& options)
{
    const std::string cache = options.direct ? "none" : "writeback"; // both flush at the end
    Command command{.program = "qemu-img",
                    .arguments = {"convert", "-p", "-t", cache, "-T", cache}};
    auto& arguments = command.arguments;
    const bool fill = needs_target(source, target, options);
    if (fill)
        arguments.emplace_back("-n");
    // Else qemu-img writes the zeros that a new image has anyway, or frees what was allocated for
    // them. One in format raw may be a device, and have kept what it had.
    const bool allocated = options.preallocation != Preallocation::off;
    if (fill && !target.secret && options.backing_path.empty() &&
        (allocated || target.format != "raw"))
        arguments.emplace_back("--target-is-zero");
    else if (fill && allocated)
        arguments.insert(arguments.end(), {"-S", "0"});
    if (!options.backing_path.empty()) // else all of it would be copied, too
        arguments.insert(arguments.end(),
                         {"-B", options.backing_path, "-F", options.backing_format});
    if (source.secret || target.secret) {
        arguments.insert(arguments.end(), {"--image-opts", "--target-image-opts"});
        add_secret(command, target, "target");
        add_secret(command, source, "source");
        arguments.push_back(image_options(command, source, "source"));
        arguments.push_back(image_options(command, target, "target"));
        return command;
    }
    arguments.insert(arguments.end(), {"-f", source.format, "-O", target.format});
    const auto list = fill ? Options() : format_options(target, options);
    if (!list.empty())
        arguments.insert(arguments.end(), {"-o", joined(list)});
    arguments.push_back(path_of(command, source));
    arguments.push_back(path_of(command, target));
    return command;
}

/** Names an existing image: by format and path, or where that does not do, by options. */
void add_image(Command& command, const QemuImage& image, bool has_format_option)
{
    auto& arguments = command.arguments;
    add_secret(command, image, "image");
    if (!image.secret && has_format_option) {
        arguments.insert(arguments.end(), {"-f", image.format, path_of(command, image)});
    } else {
        arguments.emplace_back("--image-opts");
        arguments.push_back(image_options(command, image, "image"));
    }
}

} // namespace

Command qemu_img_create_command(const QemuImage& target, const QemuImgOptions& options)
{
    check_image(target, false);
    check_backing(target, options);
    return create_command(target, options);
}

std::vector<Command> qemu_img_convert_commands(const QemuImage& source, const QemuImage& target,
                                               const QemuImgOptions& options)
{
    check_image(source, true);
    check_image(target, false);
    check_backing(target, options);
    std::vector<Command> commands;
    if (needs_target(source, target, options)) {
        auto created = options;
        if (created.capacity == 0)
            created.capacity = source.virtual_size;
        if (created.capacity == 0)
            throw Error(ErrorCode::invalid_argument,
                        shown(target.path) + ": the size of an encrypted copy is not known",
                        "give the capacity");
        commands.push_back(qemu_img_create_command(target, created));
    }
    commands.push_back(convert_command(source, target, options));
    return commands;
}

Command qemu_img_resize_command(const QemuImage& image, const QemuImgResize& resize)
{
    check_image(image, false);
    Command command{.program = "qemu-img", .arguments = {"resize", "-q"}};
    if (resize.shrink)
        command.arguments.emplace_back("--shrink");
    if (resize.preallocation != Preallocation::off)
        command.arguments.push_back("--preallocation=" +
                                    std::string(name_of(resize.preallocation)));
    add_image(command, image, true);
    command.arguments.push_back(std::to_string(resize.capacity));
    return command;
}

Command qemu_img_clear_command(const QemuImage& image, std::uint64_t offset, std::uint64_t length)
{
    check_image(image, false);
    // A copy of nothing but zeros, onto a raw node that shows that part of the image alone.
    Command command{
        .program = "qemu-img",
        .arguments = {"convert", "-n", "-t", "writeback", "--image-opts", "--target-image-opts"}};
    add_secret(command, image, "image");
    const auto size = ",size=" + std::to_string(length);
    command.arguments.push_back("driver=null-co,read-zeroes=on" + size);
    command.arguments.push_back("driver=raw,offset=" + std::to_string(offset) + size + ',' +
                                image_options(command, image, "image", "file."));
    return command;
}

Command qemu_img_flatten_command(const QemuImage& image)
{
    check_image(image, false);
    // Written through: qemu-img 7.2 changes the header while tables are in its memory alone, and
    // killed then it would leave an image of zeros.
    Command command{.program = "qemu-img",
                    .arguments = {"rebase", "-p", "-t", "writethrough", "-b", ""}};
    add_image(command, image, true);
    return command;
}

Command qemu_img_snapshot_command(const QemuImage& image, SnapshotAction action,
                                  const std::string& name)
{
    check_image(image, false);
    constexpr std::size_t name_limit = 255;
    const auto problem =
        name.empty()               ? "is empty"
        : name.size() > name_limit ? "is longer than 255 bytes"
        : control_character(name)  ? "contains a control character"
        : action == SnapshotAction::create && name.find_first_not_of("0123456789") == name.npos
            ? "is a number"
            : nullptr;
    if (problem)
        throw Error(ErrorCode::invalid_argument,
                    shown(image.path) + ": snapshot name " + shown(name) + ' ' + problem,
                    "use 1 to 255 bytes without control characters, and not only digits");
    const auto* option = action == SnapshotAction::create  ? "-c"
                         : action == SnapshotAction::apply ? "-a"
                                                           : "-d";
    Command command{.program = "qemu-img", .arguments = {"snapshot", "-q", option, name}};
    add_image(command, image, false);
    return command;
}

namespace {

/** QEMU would take an empty one, and so would everybody. */
void require_secret(const QemuImage& target)
{
    if (target.secret && target.secret->bytes().empty())
        throw Error(ErrorCode::invalid_argument, shown(target.path) + ": an empty secret");
}

void run_create(CommandRunner& runner, const Command& command, Job* job)
{
    // QEMU 7.2 finds out how many iterations a passphrase is worth with a clock of the CPU that, on
    // some machines, often does not tick meanwhile. A new attempt mends that.
    constexpr int attempts = 100;
    for (int attempt = 1;; ++attempt) {
        try {
            runner.run(command, job);
            return;
        } catch (const Error& error) {
            // Not always its last words: it may fail to delete what it began, too.
            const auto message = error.what() + error.detail();
            if (command.secrets.empty() || attempt == attempts ||
                error.code() != ErrorCode::command_failed ||
                message.find("Unable to get accurate CPU usage") == message.npos)
                throw;
        }
    }
}

/** What the program says of its failure often leaves out which image it was. */
void change_image(CommandRunner& runner, const Command& command, const QemuImage& image, Job* job)
{
    try {
        runner.run(command, job);
    } catch (const Error& error) {
        if (error.detail().empty()) // it did not run
            throw;
        throw Error(error.code(), shown(image.path) + ": " + error.what(), error.remedy(),
                    error.detail(), error.os_error());
    }
}

} // namespace

void qemu_img_create(CommandRunner& runner, const QemuImage& target, const QemuImgOptions& options,
                     Job* job)
{
    require_secret(target);
    run_create(runner, qemu_img_create_command(target, options), job);
}

void qemu_img_convert(CommandRunner& runner, const QemuImage& source, const QemuImage& target,
                      const QemuImgOptions& options, Job* job)
{
    require_secret(target);
    auto commands = qemu_img_convert_commands(source, target, options);
    if (commands.size() > 1)
        run_create(runner, commands.front(), job);
    ToolProgress progress("converting", source.virtual_size, job);
    commands.back().on_output = [&](std::string_view piece) { progress.take(piece); };
    runner.run(commands.back(), job);
}

void qemu_img_resize(CommandRunner& runner, const QemuImage& image, const QemuImgResize& resize,
                     Job* job)
{
    change_image(runner, qemu_img_resize_command(image, resize), image, job);
}

void qemu_img_clear(CommandRunner& runner, const QemuImage& image, std::uint64_t offset,
                    std::uint64_t length, Job* job)
{
    change_image(runner, qemu_img_clear_command(image, offset, length), image, job);
}

void qemu_img_flatten(CommandRunner& runner, const QemuImage& image, Job* job)
{
    auto command = qemu_img_flatten_command(image);
    ToolProgress progress("flattening", image.virtual_size, job);
    command.on_output = [&](std::string_view piece) { progress.take(piece); };
    change_image(runner, command, image, job);
}

void qemu_img_snapshot(CommandRunner& runner, const QemuImage& image, SnapshotAction action,
                       const std::string& name, Job* job)
{
    change_image(runner, qemu_img_snapshot_command(image, action, name), image, job);
}

QemuImgCheck qemu_img_check(CommandRunner& runner, const QemuImage& image, bool repair_leaks,
                            Job* job)
{
    check_image(image, true);
    // qemu-img(1): 2 is corruption, 3 leaks, 63 a format without checks.
    constexpr int unchecked = 63;
    Command command{.program = "qemu-img",
                    .arguments = {"check", "--output=json"},
                    .accepted = {0, 2, 3, unchecked}};
    if (repair_leaks)
        command.arguments.insert(command.arguments.end(), {"-r", "leaks"});
    add_image(command, image, true);
    const auto result = runner.run(command, job);
    if (result.exit_status == unchecked)
        throw not_supported(shown(image.path) + ": images of format " + shown(image.format) +
                            " have no check");
    const auto json = nlohmann::json::parse(result.output, nullptr, false);
    const auto number = [&](const char* key, bool required) -> std::uint64_t {
        const auto found = json.is_object() ? json.find(key) : json.end();
        if (found != json.end() && found->is_number_unsigned())
            return found->get<std::uint64_t>();
        if (found == json.end() && json.is_object() && !required)
            return 0;
        throw Error(ErrorCode::parse_failed,
                    std::string("qemu-img check: no number '") + key + "' in its answer", "",
                    "command: " + quoted(command) + "\nstdout: " + result.output.substr(0, 4096));
    };
    // {"image-end-offset": 262144, "check-errors": 0, "leaks": 1, "filename": "…", "format":
    // "qcow2"}
    return {.errors = number("check-errors", true),
            .corruptions = number("corruptions", false),
            .leaks = number("leaks", false),
            .leaks_repaired = number("leaks-fixed", false)};
}

void qemu_img_repair(CommandRunner& runner, const QemuImage& image, std::chrono::milliseconds limit)
{
    check_image(image, false);
    Command command{.program = "qemu-img",
                    .arguments = {"check", "-q", "-r", "all"},
                    .accepted = {0, 2, 3}, // what else is wrong with it was so before
                    .limit = limit};
    add_image(command, image, false);
    command.arguments.back() += ",backing="; // none: what the image names may be anything by now
    runner.run(command, nullptr);
}

std::string qemu_img_version(CommandRunner& runner, Job* job)
{
    // qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)
    const auto result = runner.run({.program = "qemu-img", .arguments = {"--version"}}, job);
    constexpr std::string_view start = "qemu-img version ";
    const std::string_view line(result.output);
    const auto version = line.substr(line.starts_with(start) ? start.size() : line.size());
    const auto length = std::min(version.find_first_not_of("0123456789."), version.size());
    if (length == 0)
        throw Error(ErrorCode::parse_failed,
                    "qemu-img: " + shown(line.substr(0, line.find('\n'))) + " is not a version");
    return std::string(version.substr(0, length));
}

} // namespace storage::inline v1
