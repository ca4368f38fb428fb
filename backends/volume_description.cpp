// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_description.hpp"

#include "backing_chain.hpp"
#include "file_description.hpp"
#include "volume_table.hpp"

namespace storage::inline v1 {

namespace {

std::string format_name(ImageFormat format)
{
    // A LUKS container is an encrypted raw image in the XML; what it is, <encryption> says.
    return std::string(to_string(format == ImageFormat::luks ? ImageFormat::raw : format));
}

DataFile data_file_of(const ImageInfo& header, const std::string& prefix)
{
    const auto& reference = header.data_file->path;
    const auto target = resolve_data_file(reference, prefix);
    return {.path = target.is_local() ? target.path : reference, .raw = header.data_file_raw};
}

void add_header(const std::string& prefix, const ImageInfo& header, VolumeDef& def)
{
    auto& target = def.target;
    target.encryption = header.encryption;
    target.features = header.features;
    if (header.refcount_bits != 16) // what everybody has is not worth a line
        target.refcount_bits = header.refcount_bits;
    // As libvirt: of other formats nobody chooses it, nor where VMDK's flat extents are.
    const bool chosen = header.format == ImageFormat::qcow2;
    if (chosen)
        target.cluster_size = header.cluster_size;
    if (chosen && header.data_file)
        target.data_file = data_file_of(header, prefix);
    if (header.compat != "0.10") // libvirt prints none for qcow2 version 2
        target.compat = header.compat;
    if (header.backing)
        def.backing.push_back(
            backing_store(*header.backing,
                          resolve_reference(header.backing->path, prefix,
                                            header.backing->format_declared ? header.backing->format
                                                                            : std::string_view())));
}

} // namespace

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
