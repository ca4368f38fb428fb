// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_description.hpp"

#include "volume_table.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/xattr.h>

namespace storage::inline v1 {

namespace {

using nlohmann::json;

// Qemu's rule: a colon before the first slash makes a protocol, not a file name.
bool has_protocol(std::string_view reference)
{
    const auto at = reference.find_first_of(":/");
    return at != reference.npos && reference[at] == ':';
}

const std::string* string_member(const json& object, const char* key)
{
    const auto member = object.find(key);
    return member != object.end() && member->is_string() ? member->get_ptr<const std::string*>()
                                                         : nullptr;
}

/** The local file in qemu's block device options, nested or with dots, or null. */
const std::string* local_file(const json& options, unsigned depth)
{
    if (!options.is_object() || depth == 0)
        return nullptr;
    const auto inner = options.find("file");
    if (inner != options.end())
        return local_file(*inner, depth - 1);
    for (const std::string prefix : {"", "file.", "file.file."}) {
        const auto* file_name = string_member(options, (prefix + "filename").c_str());
        const auto* driver = string_member(options, (prefix + "driver").c_str());
        const bool is_file =
            !driver || *driver == "file" || *driver == "host_device" || *driver == "host_cdrom";
        if (file_name && is_file && !has_protocol(*file_name))
            return file_name;
    }
    return nullptr;
}

/** The file that a json: reference means; "" where it means no local file. */
std::string file_of_json(std::string_view text)
{
    constexpr std::size_t longest = 4096; // qcow2 stores at most 1023 bytes
    if (text.size() > longest)
        return {};
    const auto options = json::parse(text, nullptr, false);
    const auto* file = local_file(options, 8);
    return file ? *file : std::string();
}

std::string format_name(ImageFormat format)
{
    // A LUKS container is an encrypted raw image in the XML; what it is, <encryption> says.
    return std::string(to_string(format == ImageFormat::luks ? ImageFormat::raw : format));
}

Timestamp timestamp_of(const ::statx_timestamp& time)
{
    return {.seconds = time.tv_sec, .nanoseconds = time.tv_nsec};
}

std::optional<std::string> label_of(const std::string& path)
{
    char label[256];
    const auto length = ::getxattr(path.c_str(), "security.selinux", label, sizeof label);
    if (length <= 0)
        return std::nullopt;
    // The kernel's text may count its NUL.
    return std::string(label, ::strnlen(label, static_cast<std::size_t>(length)));
}

// Only asked of the system, never opened: the path is what a stranger wrote into the header.
BackingStore backing_of(const std::string& prefix, const ImageReference& reference)
{
    BackingStore backing{.path = resolve_reference(prefix, reference.path)};
    backing.format_declared = reference.format_declared;
    backing.format = reference.format_declared ? reference.format : "raw";
    struct ::statx status;
    if (backing.path.starts_with('/') &&
        ::statx(AT_FDCWD, backing.path.c_str(), AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
                STATX_BASIC_STATS | STATX_BTIME, &status) == 0) {
        backing.permissions = permissions_of(status, backing.path);
        backing.timestamps = timestamps_of(status);
    }
    return backing;
}

void add_header(const std::string& prefix, const ImageInfo& header, VolumeDef& def)
{
    auto& target = def.target;
    target.encryption = header.encryption;
    target.cluster_size = header.cluster_size;
    target.features = header.features;
    if (header.compat != "0.10") // libvirt prints none for qcow2 version 2
        target.compat = header.compat;
    if (header.backing)
        def.backing.push_back(backing_of(prefix, *header.backing));
}

} // namespace

std::string resolve_reference(const std::string& prefix, const std::string& reference)
{
    if (reference.starts_with("json:")) {
        const auto file = file_of_json(std::string_view(reference).substr(5));
        if (file.empty())
            return reference;
        return file.starts_with('/') ? file : prefix + file;
    }
    if (reference.empty() || reference.starts_with('/') || has_protocol(reference))
        return reference;
    return prefix + reference;
}

std::vector<std::string> references_of(const std::string& prefix, const ImageInfo& header)
{
    std::vector<std::string> all;
    const auto add = [&](const std::string& reference) {
        auto resolved = resolve_reference(prefix, reference);
        if (!resolved.empty() && std::find(all.begin(), all.end(), resolved) == all.end())
            all.push_back(std::move(resolved));
    };
    if (header.backing)
        add(header.backing->path);
    if (header.data_file)
        add(header.data_file->path);
    for (const auto& extent : header.extents)
        add(extent);
    return all;
}

// libvirt's mode ends at 0777: set-user-id and the sticky bit mean nothing for an image.
Permissions permissions_of(const struct ::statx& status, const std::string& path)
{
    return {.mode = status.stx_mode & 0777U,
            .owner = status.stx_uid,
            .group = status.stx_gid,
            .label = label_of(path)};
}

Timestamps timestamps_of(const struct ::statx& status)
{
    Timestamps times{.access = timestamp_of(status.stx_atime),
                     .modification = timestamp_of(status.stx_mtime),
                     .change = timestamp_of(status.stx_ctime)};
    if (status.stx_mask & STATX_BTIME)
        times.birth = timestamp_of(status.stx_btime);
    return times;
}

VolumeDef describe_volume(const std::string& prefix, std::string_view name,
                          const struct ::statx& status, const VolumeFacts& facts,
                          const ImageInfo* header)
{
    VolumeDef def{.name = std::string(name),
                  .key = prefix + std::string(name),
                  .type = facts.type,
                  .capacity = facts.capacity,
                  .allocation = facts.allocation,
                  .physical = facts.physical};
    def.target.path = def.key;
    def.target.format = format_name(facts.format);
    def.target.permissions = permissions_of(status, def.key);
    def.target.timestamps = timestamps_of(status);
    if (header)
        add_header(prefix, *header, def);
    return def;
}

} // namespace storage::inline v1
