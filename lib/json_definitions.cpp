// SPDX-License-Identifier: LGPL-2.1-or-later
// The JSON of pool and volume definitions, lossless both ways.
#include "json_io.hpp"

#include <basin/definition.hpp>

namespace storage::inline v1 {

// Static rather than in an unnamed namespace, where argument-dependent look-up would not see them.

template <typename Io>
static void fields(Io& io, Permissions& value)
{
    io("mode", value.mode);
    io("owner", value.owner);
    io("group", value.group);
    io("label", value.label);
}

template <typename Io>
static void fields(Io& io, SourceHost& value)
{
    io.always("name", value.name);
    io("port", value.port);
}

template <typename Io>
static void fields(Io& io, FreeExtent& value)
{
    io.always("start", value.start);
    io.always("end", value.end);
}

template <typename Io>
static void fields(Io& io, SourceDevice& value)
{
    io.always("path", value.path);
    io("part_separator", value.part_separator);
    io("free_extents", value.free_extents);
}

template <typename Io>
static void fields(Io& io, PciAddress& value)
{
    io("domain", value.domain);
    io("bus", value.bus);
    io("slot", value.slot);
    io("function", value.function);
}

template <typename Io>
static void fields(Io& io, SourceAdapter::ParentAddress& value)
{
    io.always("address", value.address);
    io.always("unique_id", value.unique_id);
}

template <typename Io>
static void fields(Io& io, SourceAdapter& value)
{
    static constexpr std::string_view types[] = {"scsi_host", "fc_host"};
    io.choice("type", value.type, types);
    io("name", value.name);
    io("parent_address", value.parent_address);
    io("parent", value.parent);
    io("parent_wwnn", value.parent_wwnn);
    io("parent_wwpn", value.parent_wwpn);
    io("parent_fabric_wwn", value.parent_fabric_wwn);
    io("wwnn", value.wwnn);
    io("wwpn", value.wwpn);
    io("managed", value.managed);
}

template <typename Io>
static void fields(Io& io, SecretReference& value)
{
    io("uuid", value.uuid);
    io("usage", value.usage);
}

template <typename Io>
static void fields(Io& io, SourceAuth& value)
{
    static constexpr std::string_view types[] = {"chap", "ceph"};
    io.choice("type", value.type, types);
    io.always("username", value.username);
    io.always("secret", value.secret);
    io("secret_type", value.secret_type);
}

template <typename Io>
static void fields(Io& io, PoolSource& value)
{
    io("hosts", value.hosts);
    io("devices", value.devices);
    io("dir", value.dir);
    io("adapter", value.adapter);
    io("name", value.name);
    io("initiator_iqn", value.initiator_iqn);
    io("format", value.format);
    io("auth", value.auth);
    io("protocol_version", value.protocol_version);
    io("vendor", value.vendor);
    io("product", value.product);
}

template <typename Io>
static void fields(Io& io, PoolTarget& value)
{
    io("path", value.path);
    io("permissions", value.permissions);
}

template <typename Io>
static void fields(Io& io, ConfigOption& value)
{
    io.always("name", value.name);
    io.always("value", value.value);
}

template <typename Io>
static void fields(Io& io, PoolDef& value)
{
    static constexpr std::string_view allocations[] = {"default", "capacity"};
    io.always("type", value.type);
    io.always("name", value.name);
    io("uuid", value.uuid);
    io("copy_on_write", value.copy_on_write);
    io("source", value.source);
    io("target", value.target);
    io.choice("refresh_allocation", value.refresh_allocation, allocations);
    io("mount_options", value.mount_options);
    io("config_options", value.config_options);
}

template <typename Io>
static void fields(Io& io, Timestamp& value)
{
    io.always("seconds", value.seconds);
    io("nanoseconds", value.nanoseconds);
}

template <typename Io>
static void fields(Io& io, Timestamps& value)
{
    io("access", value.access);
    io("modification", value.modification);
    io("change", value.change);
    io("birth", value.birth);
}

template <typename Io>
static void fields(Io& io, Encryption::Cipher& value)
{
    io.always("name", value.name);
    io.always("size", value.size);
    io("mode", value.mode);
    io("hash", value.hash);
}

template <typename Io>
static void fields(Io& io, Encryption::IvGen& value)
{
    io.always("name", value.name);
    io("hash", value.hash);
}

template <typename Io>
static void fields(Io& io, Encryption& value)
{
    io.always("format", value.format);
    io("engine", value.engine);
    io("secrets", value.secrets);
    io("cipher", value.cipher);
    io("ivgen", value.ivgen);
}

template <typename Io>
static void fields(Io& io, SourceExtent& value)
{
    io.always("device", value.device);
    io.always("start", value.start);
    io.always("end", value.end);
}

template <typename Io>
static void fields(Io& io, BackingStore& value)
{
    io.always("path", value.path);
    io("format", value.format);
    io("format_declared", value.format_declared, true);
    io("permissions", value.permissions);
    io("timestamps", value.timestamps);
    io("encryption", value.encryption);
    io("compat", value.compat);
    io("cluster_size", value.cluster_size);
    io("features", value.features);
}

template <typename Io>
static void fields(Io& io, Provisioning& value)
{
    static constexpr std::string_view kinds[] = {"thick", "thin", "thin-pool", "snapshot"};
    io.choice("type", value.kind, kinds);
    io("pool", value.pool);
    io("stripes", value.stripes);
}

template <typename Io>
static void fields(Io& io, DataFile& value)
{
    io.always("path", value.path);
    io("raw", value.raw);
}

template <typename Io>
static void fields(Io& io, VolumeTarget& value)
{
    io("path", value.path);
    io("format", value.format);
    io("permissions", value.permissions);
    io("timestamps", value.timestamps);
    io("encryption", value.encryption);
    io("compat", value.compat);
    io("nocow", value.nocow);
    io("cluster_size", value.cluster_size);
    io("features", value.features);
    io("refcount_bits", value.refcount_bits);
    io("data_file", value.data_file);
    io("provisioning", value.provisioning);
}

template <typename Io>
static void fields(Io& io, VolumeDef& value)
{
    static constexpr std::string_view types[] = {"file",    "block",  "dir",
                                                 "network", "netdir", "ploop"};
    io.always("name", value.name);
    io("key", value.key);
    io.choice("type", value.type, types);
    if constexpr (Io::reading) // volume_from_json() knows whether it may be missing
        io("capacity", value.capacity);
    else
        io.always("capacity", value.capacity);
    io("allocation", value.allocation);
    io("physical", value.physical);
    io("extents", value.extents);
    io("target", value.target);
    io("backing", value.backing);
}

std::string to_json(const PoolDef& def)
{
    return print_json(JsonWriter::to(def));
}

std::string to_json(const VolumeDef& def)
{
    return print_json(JsonWriter::to(def));
}

PoolDef pool_from_json(std::string_view json)
{
    return JsonReader::read<PoolDef>(parse_json(json), "");
}

VolumeDef volume_from_json(std::string_view json, VolumePurpose purpose)
{
    const auto document = parse_json(json);
    auto def = JsonReader::read<VolumeDef>(document, "");
    const bool is_based = !def.backing.empty() && !def.backing.front().path.empty();
    if (purpose == VolumePurpose::describe || (purpose == VolumePurpose::create && !is_based))
        JsonReader(document, "").require("capacity");
    return def;
}

} // namespace storage::inline v1
