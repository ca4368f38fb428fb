// SPDX-License-Identifier: LGPL-2.1-or-later
#include "image/vmdk_descriptor.hpp"

#include <algorithm>

namespace storage::inline v1::image {

namespace {

constexpr std::size_t max_length = 64 << 10;
constexpr std::size_t max_extents = 256;
constexpr std::size_t max_path_length = 1023;
constexpr std::size_t max_extent_name = 511;    // QEMU cuts a longer one, and opens another file
constexpr std::string_view blank = " \t\r\v\f"; // isspace(3), as QEMU has it
constexpr std::string_view first_line = "# disk descriptorfile";

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

/** Whether the texts are the same but for case; wanted is in lower case. */
bool same(std::string_view text, std::string_view wanted)
{
    return text.size() == wanted.size() && std::equal(text.begin(), text.end(), wanted.begin(),
                                                      [](char a, char b) { return lower(a) == b; });
}

std::string_view trimmed(std::string_view text)
{
    const auto begin = text.find_first_not_of(blank);
    return begin == text.npos ? std::string_view{}
                              : text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

/** Takes the next line, without blanks around it, off the text. */
std::string_view take_line(std::string_view& text)
{
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return trimmed(line);
}

std::string_view take_word(std::string_view& line)
{
    const auto end = std::min(line.find_first_of(blank), line.size());
    const auto word = line.substr(0, end);
    line = trimmed(line.substr(end));
    return word;
}

std::string_view unquoted(std::string_view text)
{
    return text.size() >= 2 && text.front() == '"' && text.back() == '"'
               ? text.substr(1, text.size() - 2)
               : text;
}

class Reader {
public:
    explicit Reader(Inspection& image) : image_(image) {}

    VmdkDescriptor read(std::string_view text)
    {
        while (!text.empty()) {
            const auto line = take_line(text);
            if (line.empty() || line.front() == '#')
                continue;
            if (!take_extent(line))
                take_assignment(line);
        }
        if (more_extents_)
            image_.find(ImageIssue::limit_exceeded,
                        "only the first " + number(max_extents) + " extents are listed");
        if (!parent_hint_.empty() || (!parent_id_.empty() && !same(parent_id_, "ffffffff")))
            result_.parent =
                ImageReference{.path = parent_hint_, .format = "vmdk", .format_declared = true};
        return std::move(result_);
    }

private:
    bool take_extent(std::string_view line);
    void take_assignment(std::string_view line);

    std::string path(std::string_view what, std::string_view text,
                     std::size_t most = max_path_length)
    {
        if (text.size() <= most)
            return image_.take_text(what, text);
        image_.find(ImageIssue::malformed,
                    std::string(what) + " is " + number(text.size()) + " bytes long");
        return {};
    }

    Inspection& image_;
    VmdkDescriptor result_{};
    std::string parent_hint_{};
    std::string parent_id_{};
    bool more_extents_ = false;
};

// RW 4192256 SPARSE "disk-s001.vmdk"
// RW 8388608 FLAT "disk-flat.vmdk" 0
bool Reader::take_extent(std::string_view line)
{
    const auto access = take_word(line);
    if (!same(access, "rw") && !same(access, "rdonly") && !same(access, "noaccess"))
        return false;
    const auto sectors = to_integer(take_word(line));
    const auto type = take_word(line);
    if (!sectors || type.empty()) {
        image_.find(ImageIssue::malformed, "an extent line has no size or no type");
        return true;
    }
    result_.sectors = add(result_.sectors, *sectors);
    if (same(type, "zero"))
        return true;
    const auto end = line.starts_with('"') ? line.find('"', 1) : line.npos;
    if (end == line.npos) {
        image_.find(ImageIssue::malformed, "an extent line has no file name in quotes");
        return true;
    }
    if (result_.extents.size() >= max_extents) {
        more_extents_ = true;
        return true;
    }
    result_.extents.push_back(
        path("an extent's file name", line.substr(1, end - 1), max_extent_name));
    if (!result_.first_flat && (same(type, "flat") || same(type, "vmfs")))
        result_.first_flat = ImageReference{
            .path = result_.extents.back(), .format = "raw", .format_declared = true};
    return true;
}

void Reader::take_assignment(std::string_view line)
{
    const auto equals = line.find('=');
    if (equals == line.npos)
        return;
    const auto key = trimmed(line.substr(0, equals));
    const auto value = unquoted(trimmed(line.substr(equals + 1)));
    if (same(key, "version"))
        result_.version = path("the version", value);
    else if (same(key, "createtype"))
        result_.create_type = path("the create type", value);
    else if (same(key, "parentfilenamehint"))
        parent_hint_ = path("the parent's file name", value);
    else if (same(key, "parentcid"))
        parent_id_ = path("the parent's content id", value);
    else if (same(key, "ddb.uuid.image"))
        result_.uuid = path("the UUID", value);
}

} // namespace

VmdkDescriptor read_vmdk_descriptor(Inspection& image, std::uint64_t offset, std::uint64_t length)
{
    // Most texts end, with a NUL, in the bytes that were read already.
    auto text = image.source.head().part(offset, length).text();
    std::vector<std::byte> buffer;
    if (text.size() < length && text.find('\0') == text.npos) {
        if (length > max_length)
            image.find(ImageIssue::limit_exceeded, "the descriptor is longer than 64 KiB");
        buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(length, max_length)));
        text = image.source.read(offset, buffer).text();
    }
    return Reader(image).read(text.substr(0, text.find('\0')));
}

void check_vmdk_parent(Inspection& image, std::uint64_t offset)
{
    constexpr std::size_t part_length = 20 * 512;
    constexpr std::string_view key = "parentFileNameHint";
    auto text = image.source.head().part(offset, part_length).text();
    std::vector<std::byte> buffer;
    if (text.size() < part_length && text.find('\0') == text.npos) {
        buffer.resize(part_length);
        text = image.source.read(offset, buffer).text();
    }
    text = text.substr(0, text.find('\0'));
    std::string_view hint;
    if (const auto found = text.find(key); found != text.npos) {
        const auto start =
            std::min(found + key.size() + std::string_view("=\"").size(), text.size());
        hint = text.substr(start, text.find('"', start) - start);
    }
    auto& backing = image.info.backing;
    if (hint == (backing ? std::string_view(backing->path) : std::string_view()))
        return;
    image.find(ImageIssue::malformed,
               "QEMU would not look for the parent that the descriptor names");
    if (!hint.empty())
        backing = ImageReference{.path = image.take_text("the parent's file name", hint),
                                 .format = "vmdk",
                                 .format_declared = true};
}

bool is_vmdk_descriptor(Bytes head)
{
    auto text = head.text();
    if (text.empty() || (text.front() != '#' && text.front() != 'v' && text.front() != 'V' &&
                         text.front() != '\n' && blank.find(text.front()) == blank.npos))
        return false;
    if (same(text.substr(0, first_line.size()), first_line))
        return true;
    // Other tools leave that comment out. QEMU looks for the version behind comments alone.
    const auto all = text;
    while (!text.empty()) {
        const auto line = take_line(text);
        if (line.empty() || line.front() == '#')
            continue;
        return (line == "version=1" || line == "version=2" || line == "version=3") &&
               all.find("createType=") != all.npos;
    }
    return false;
}

void inspect_vmdk_descriptor(Inspection& image)
{
    auto descriptor = read_vmdk_descriptor(image, 0, image.source.size());
    auto& info = image.info;
    info.version = std::move(descriptor.version);
    info.variant = std::move(descriptor.create_type);
    info.uuid = std::move(descriptor.uuid);
    info.backing = std::move(descriptor.parent);
    info.extents = std::move(descriptor.extents);
    info.data_file = std::move(descriptor.first_flat);
    check_vmdk_parent(image, 0);
    if (info.version != "1" && info.version != "2" && info.version != "3")
        image.find(ImageIssue::unsupported_version,
                   "descriptor version '" + info.version + "' is not known");
    if (info.variant.empty())
        image.find(ImageIssue::malformed, "the descriptor has no createType");
    if (info.extents.empty() && descriptor.sectors == 0)
        image.find(ImageIssue::malformed, "the descriptor lists no extent");
    image.set_virtual_size(multiply(descriptor.sectors, 512));
}

} // namespace storage::inline v1::image
