// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_xml.hpp"

#include "names.hpp"
#include "numbers.hpp"
#include "registry.hpp"
#include "xml_parts.hpp"

#include <algorithm>
#include <cstdio>

namespace storage::inline v1 {
namespace {

std::string read_format(const XmlElement& source, const BackendInfo& info)
{
    if (info.source_formats.empty())
        return {};
    const auto word = source.child("format").choice_or_empty("type", info.source_formats);
    return word.empty() ? std::string(info.source_formats.front()) : word;
}

/** @param format  of the source */
std::string read_dir(const XmlElement& source, const BackendInfo& info, const std::string& format)
{
    const auto element = source.child("dir");
    // The servers of formats without a version of the protocol, cifs and glusterfs, have names.
    const bool is_name = !info.protocol_formats.empty() && !contains(info.protocol_formats, format);
    if (element && !is_name)
        element.check_strictly("path", element.attribute("path").starts_with('/'),
                               "is not an absolute path");
    auto path = sanitized_path(element.attribute("path"));
    return path.empty() ? std::string(info.source_dir_default) : path;
}

std::vector<SourceHost> read_hosts(const XmlElement& source)
{
    std::vector<SourceHost> result;
    for (const auto& element : source.children("host")) {
        SourceHost host{.name = element.required_attribute("name")};
        element.check_strictly("name", is_host_name(host.name),
                               "is neither a DNS name nor an IP address");
        if (element.has_attribute("port")) {
            const auto text = element.attribute("port");
            host.port = to_integer<std::int32_t>(text);
            if (!host.port || *host.port < -1 || *host.port > 65535)
                element.fail_attribute("port",
                                       shown(text) + " is not a port number from 1 to 65535");
            if (*host.port == 0) // libvirt's "not given"
                host.port.reset();
        }
        result.push_back(std::move(host));
    }
    return result;
}

/** As mount(8) names a device. */
bool is_device_tag(std::string_view text)
{
    constexpr std::string_view tags[] = {"UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="};
    return std::any_of(std::begin(tags), std::end(tags), [text](std::string_view tag) {
        return text.starts_with(tag) && text.size() > tag.size();
    });
}

std::vector<SourceDevice> read_devices(const XmlElement& source, const BackendInfo& info)
{
    std::vector<SourceDevice> result;
    // Libvirt's schema has one rule for all types but iscsi-direct, whose devices are targets.
    const bool targets_only = info.source_required.has(SourceField::initiator);
    const bool is_local = !info.source_required.has(SourceField::host);
    for (const auto& element : source.children("device")) {
        const auto path = element.attribute("path");
        element.check_strictly(
            "path",
            is_iqn(path) || (!targets_only && (path.starts_with('/') || is_generic_name(path))) ||
                (is_local && is_device_tag(path)),
            targets_only ? "is not an IQN (iqn.YYYY-MM.domain[:text])"
            : is_local   ? "is neither an absolute path nor UUID=, LABEL=, PARTUUID= or "
                           "PARTLABEL= with a value, nor an IQN, nor a word of letters, "
                           "digits, '_', '+' and '-'"
                         : "is neither an IQN nor an absolute path nor a word of "
                           "letters, digits, '_', '+' and '-'");
        result.push_back({.path = element.required_attribute("path"),
                          .part_separator = element.yes_no("part_separator")});
        element.accept("freeExtent");
    }
    return result;
}

std::uint32_t read_address_part(const XmlElement& address, const char* name, std::uint32_t largest)
{
    if (!address.has_attribute(name))
        return 0;
    const auto text = address.attribute(name);
    const bool hex = text.starts_with("0x") || text.starts_with("0X");
    const auto value =
        to_integer<std::uint32_t>(std::string_view(text).substr(hex ? 2 : 0), hex ? 16 : 10);
    if (!value || *value > largest)
        address.fail_attribute(name, shown(text) + " is not a number from 0 to " +
                                         std::to_string(largest));
    return *value;
}

SourceAdapter::ParentAddress read_parent_address(const XmlElement& element)
{
    SourceAdapter::ParentAddress result;
    const auto address = element.required_child("address");
    // The widths of a PCI address in Linux: 32-bit domain, 8-bit bus, 5-bit slot, 3-bit function.
    result.address = {.domain = read_address_part(address, "domain", UINT32_MAX),
                      .bus = read_address_part(address, "bus", 0xFF),
                      .slot = read_address_part(address, "slot", 0x1F),
                      .function = read_address_part(address, "function", 7)};
    const auto text = element.required_attribute("unique_id");
    const auto id = to_integer<std::uint32_t>(text);
    if (!id)
        element.fail_attribute("unique_id", shown(text) + " is not a number from 0");
    result.unique_id = *id;
    return result;
}

std::string read_wwn(const XmlElement& adapter, const char* name)
{
    auto text = adapter.attribute(name);
    if (!text.empty() && !is_wwn(text))
        adapter.fail_attribute(name, shown(text) + " is not 16 hexadecimal digits");
    return text;
}

void read_scsi_host(const XmlElement& element, SourceAdapter& adapter)
{
    adapter.name = element.attribute("name");
    if (const auto address = element.child("parentaddr"))
        adapter.parent_address = read_parent_address(address);
    if (adapter.name.empty() == !adapter.parent_address)
        element.fail("exactly one of attribute 'name' and element 'parentaddr' is required");
}

void read_fc_host(const XmlElement& element, SourceAdapter& adapter)
{
    adapter.parent = element.attribute("parent");
    adapter.parent_wwnn = read_wwn(element, "parent_wwnn");
    adapter.parent_wwpn = read_wwn(element, "parent_wwpn");
    adapter.parent_fabric_wwn = read_wwn(element, "parent_fabric_wwn");
    adapter.managed = element.yes_no("managed");
    element.required_attribute("wwnn");
    element.required_attribute("wwpn");
    adapter.wwnn = read_wwn(element, "wwnn");
    adapter.wwpn = read_wwn(element, "wwpn");
    if (adapter.parent_wwnn.empty() != adapter.parent_wwpn.empty())
        element.fail("attributes 'parent_wwnn' and 'parent_wwpn' are required together");
}

std::optional<SourceAdapter> read_adapter(const XmlElement& source)
{
    const auto element = source.child("adapter");
    if (!element)
        return std::nullopt;
    SourceAdapter adapter;
    constexpr std::string_view types[] = {"scsi_host", "fc_host"};
    const auto type = element.choice("type", types);
    if (type == "fc_host") {
        adapter.type = SourceAdapter::Type::fc_host;
        read_fc_host(element, adapter);
        return adapter;
    }
    if (type.empty() && (element.has_attribute("wwnn") || element.has_attribute("wwpn") ||
                         element.has_attribute("parent") || element.child("parentaddr")))
        element.fail("attribute 'type' is missing (allowed: scsi_host, fc_host)");
    read_scsi_host(element, adapter);
    return adapter;
}

std::optional<SourceAuth> read_auth(const XmlElement& source)
{
    const auto element = source.child("auth");
    if (!element)
        return std::nullopt;
    constexpr std::string_view types[] = {"chap", "ceph"};
    element.required_attribute("type");
    SourceAuth auth;
    auth.type =
        element.choice("type", types) == "ceph" ? SourceAuth::Type::ceph : SourceAuth::Type::chap;
    auth.username = element.required_attribute("username");
    const auto secret = element.required_child("secret");
    auth.secret = read_secret(secret);
    auth.secret_type = secret.attribute("type");
    return auth;
}

std::string read_protocol_version(const XmlElement& source, const BackendInfo& info,
                                  const std::string& format)
{
    const auto element = source.child("protocol");
    auto version = element.attribute("ver");
    if (version.empty())
        return version;
    if (!contains(info.protocol_formats, format))
        element.fail_attribute("ver", "source format '" + format +
                                          "' has no protocol version (allowed with: " +
                                          joined(info.protocol_formats) + ")");
    if (version.find(',') != version.npos)
        element.fail_attribute("ver", shown(version) + " contains a comma");
    return version;
}

void write_adapter(XmlWriter& xml, const SourceAdapter& adapter)
{
    xml.open("adapter");
    if (adapter.type == SourceAdapter::Type::fc_host) {
        xml.attribute("type", "fc_host").optional("parent", adapter.parent);
        xml.optional("parent_wwnn", adapter.parent_wwnn);
        xml.optional("parent_wwpn", adapter.parent_wwpn);
        xml.optional("parent_fabric_wwn", adapter.parent_fabric_wwn);
        if (adapter.managed)
            xml.attribute("managed", *adapter.managed ? "yes" : "no");
        xml.attribute("wwnn", adapter.wwnn).attribute("wwpn", adapter.wwpn).close();
        return;
    }
    xml.attribute("type", "scsi_host").optional("name", adapter.name);
    if (const auto& parent = adapter.parent_address) {
        const auto hex = [](const char* format, std::uint32_t value) {
            char text[16];
            std::snprintf(text, sizeof text, format, value);
            return std::string(text);
        };
        xml.open("parentaddr").attribute("unique_id", parent->unique_id);
        xml.open("address").attribute("domain", hex("0x%04x", parent->address.domain));
        xml.attribute("bus", hex("0x%02x", parent->address.bus));
        xml.attribute("slot", hex("0x%02x", parent->address.slot));
        xml.attribute("function", hex("0x%x", parent->address.function)).close();
        xml.close();
    }
    xml.close();
}

void write_devices(XmlWriter& xml, const std::vector<SourceDevice>& devices)
{
    for (const auto& device : devices) {
        xml.open("device").attribute("path", device.path);
        if (device.part_separator)
            xml.attribute("part_separator", *device.part_separator ? "yes" : "no");
        for (const auto& extent : device.free_extents)
            xml.open("freeExtent")
                .attribute("start", extent.start)
                .attribute("end", extent.end)
                .close();
        xml.close();
    }
}

void write_auth(XmlWriter& xml, const SourceAuth& auth)
{
    xml.open("auth").attribute("type", auth.type == SourceAuth::Type::ceph ? "ceph" : "chap");
    xml.attribute("username", auth.username);
    write_secret(xml, auth.secret, auth.secret_type);
    xml.close();
}

} // namespace

PoolSource read_pool_source(const XmlElement& element, bool present, const BackendInfo& info)
{
    PoolSource source;
    if (!present) {
        if (!info.source_formats.empty())
            source.format = info.source_formats.front();
        source.dir = info.source_dir_default;
        return source;
    }
    const auto accepts = [&](SourceField field) { return info.source_accepted.has(field); };
    if (accepts(SourceField::name)) {
        source.name = element.child_text("name");
        if (source.name.empty() && info.source_required.has(SourceField::name) &&
            !info.source_name_defaults_to_pool_name)
            element.fail("element 'name' is missing: the source's name");
    }
    source.format = read_format(element, info);
    if (accepts(SourceField::host))
        source.hosts = read_hosts(element);
    if (accepts(SourceField::initiator))
        source.initiator_iqn = element.child("initiator").child("iqn").attribute("name");
    if (accepts(SourceField::device))
        source.devices = read_devices(element, info);
    if (accepts(SourceField::dir))
        source.dir = read_dir(element, info, source.format);
    if (accepts(SourceField::adapter))
        source.adapter = read_adapter(element);
    if (accepts(SourceField::auth))
        source.auth = read_auth(element);
    if (accepts(SourceField::protocol))
        source.protocol_version = read_protocol_version(element, info, source.format);
    source.vendor = element.child("vendor").attribute("name");
    source.product = element.child("product").attribute("name");
    return source;
}

void check_pool_source(const XmlElement& element, bool present, const BackendInfo& info,
                       PoolDef& def)
{
    auto& source = def.source;
    const auto require = [&](SourceField field, bool given, const std::string& what) {
        if (info.source_required.has(field) && !given)
            element.fail((present ? "" : "element 'source' is missing: ") + what +
                         " is required for pool type '" + std::string(info.type) + "'");
    };
    require(SourceField::host, !source.hosts.empty(), "element 'host'");
    require(SourceField::dir, !source.dir.empty(), "element 'dir' with a path");
    require(SourceField::device, !source.devices.empty(), "element 'device'");
    if (source.name.empty() && info.source_name_defaults_to_pool_name)
        source.name = def.name;
    require(SourceField::name, !source.name.empty(), "element 'name'");
    require(SourceField::adapter, source.adapter.has_value(), "element 'adapter'");
    require(SourceField::initiator, !source.initiator_iqn.empty(),
            "element 'initiator' with an 'iqn'");
}

void write_pool_source(XmlWriter& xml, const PoolSource& source, const BackendInfo& info)
{
    xml.open("source");
    for (const auto& host : source.hosts) {
        xml.open("host").attribute("name", host.name);
        if (host.port)
            xml.attribute("port", std::to_string(*host.port));
        xml.close();
    }
    write_devices(xml, source.devices);
    if (!source.dir.empty())
        xml.open("dir").attribute("path", source.dir).close();
    if (source.adapter)
        write_adapter(xml, *source.adapter);
    xml.optional_text("name", source.name);
    if (!source.initiator_iqn.empty()) {
        xml.open("initiator");
        xml.open("iqn").attribute("name", source.initiator_iqn).close();
        xml.close();
    }
    if (!info.source_formats.empty())
        xml.open("format")
            .attribute("type", source.format.empty() ? info.source_formats.front()
                                                     : std::string_view(source.format))
            .close();
    if (source.auth)
        write_auth(xml, *source.auth);
    if (!source.protocol_version.empty())
        xml.open("protocol").attribute("ver", source.protocol_version).close();
    if (!source.vendor.empty())
        xml.open("vendor").attribute("name", source.vendor).close();
    if (!source.product.empty())
        xml.open("product").attribute("name", source.product).close();
    xml.close(true);
}

} // namespace storage::inline v1
