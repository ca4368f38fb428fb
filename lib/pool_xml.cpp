// SPDX-License-Identifier: LGPL-2.1-or-later
// The XML of pools; the rules are evaluated in libvirt's order, so that the first error is the
// same.
#include "pool_xml.hpp"

#include "names.hpp"
#include "registry.hpp"
#include "xml_parts.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view mount_options_uri = "http://libvirt.org/schemas/storagepool/fs/1.0";
constexpr std::string_view config_options_uri = "http://libvirt.org/schemas/storagepool/rbd/1.0";

const BackendInfo& read_type(const XmlElement& pool)
{
    const auto type = pool.required_attribute("type");
    const auto* info = find_backend(type);
    if (!info)
        pool.fail_attribute("type", "pool type " + shown(type) +
                                        " is not known (allowed: " + pool_type_names() + ")");
    return *info;
}

void read_name(const XmlElement& pool, const BackendInfo& info, PoolDef& def)
{
    const auto element = pool.child("name");
    def.name = element.text();
    if (def.name.empty() && info.source_accepted.has(SourceField::name))
        def.name = def.source.name;
    if (def.name.empty())
        (element ? element : pool)
            .fail(element ? "a name is required" : "element 'name' is missing");
    if (const auto problem = pool_name_problem(def.name); !problem.empty())
        (element ? element : pool).fail_value(def.name, "cannot name a pool: it " + problem);
}

void read_uuid(const XmlElement& pool, PoolDef& def)
{
    const auto element = pool.child("uuid");
    const auto text = element.text();
    if (text.empty())
        return;
    const auto uuid = canonical_uuid(text);
    if (!uuid)
        element.fail_value(text, "is not a uuid");
    def.uuid = *uuid;
}

void read_features(const XmlElement& pool, const BackendInfo& info, PoolDef& def)
{
    const auto cow = pool.child("features").child("cow");
    def.copy_on_write = cow.yes_no("state");
    if (def.copy_on_write && !info.copy_on_write_option)
        throw Error(ErrorCode::not_supported,
                    "pool '" + def.name + "': feature 'cow' is not supported by pool type '" +
                        def.type + "'",
                    "remove <features><cow/>");
}

void read_target(const XmlElement& pool, const BackendInfo& info, PoolDef& def)
{
    if (info.target_path == TargetPath::none)
        return;
    const auto target = pool.child("target");
    const auto path = target.child("path");
    const auto text = path.text();
    if (info.target_path == TargetPath::fixed) {
        def.target.path = std::string(info.target_prefix) + def.source.name;
        if (!text.empty() && sanitized_path(text) != sanitized_path(def.target.path))
            path.ignore(shown(text) + " is ignored: a pool of type '" + def.type +
                        "' has the target path " + def.target.path);
    } else {
        if (text.empty())
            (path ? path : target ? target : pool).fail("the target path is missing (target/path)");
        if (!text.starts_with('/'))
            path.fail_value(text, "is not an absolute path");
        if (const auto found = control_character(text))
            path.fail_value(text, "contains the control character " + *found);
        def.target.path = sanitized_path(text);
    }
    def.target.permissions = read_permissions(target);
}

void read_refresh(const XmlElement& pool, const BackendInfo& info, PoolDef& def)
{
    if (!info.refresh_option)
        return;
    constexpr std::string_view words[] = {"default", "capacity"};
    const auto word = pool.child("refresh").child("volume").choice_or_empty("allocation", words);
    if (!word.empty())
        def.refresh_allocation =
            word == "capacity" ? RefreshAllocation::capacity : RefreshAllocation::exact;
}

void read_options(const XmlElement& pool, const BackendInfo& info, PoolDef& def)
{
    if (info.mount_options)
        for (const auto& option :
             pool.child({"mount_opts", mount_options_uri}).children({"option", mount_options_uri}))
            def.mount_options.push_back(option.required_attribute("name"));
    if (info.config_options)
        for (const auto& option : pool.child({"config_opts", config_options_uri})
                                      .children({"option", config_options_uri}))
            def.config_options.push_back({.name = option.required_attribute("name"),
                                          .value = option.required_attribute("value")});
}

void write_options(XmlWriter& xml, const PoolDef& def)
{
    if (!def.mount_options.empty()) {
        xml.open("fs:mount_opts");
        for (const auto& option : def.mount_options)
            xml.open("fs:option").attribute("name", option).close();
        xml.close();
    }
    if (!def.config_options.empty()) {
        xml.open("rbd:config_opts");
        for (const auto& option : def.config_options) {
            xml.open("rbd:option").attribute("name", option.name);
            xml.attribute("value", option.value).close();
        }
        xml.close();
    }
}

void write_size(XmlWriter& xml, std::string_view name, std::uint64_t bytes)
{
    xml.open(name).attribute("unit", "bytes").close_with_text(std::to_string(bytes));
}

} // namespace

PoolDef parse_pool(std::string_view text, const ParseOptions& options)
{
    XmlDocument document(text, "pool definition", "pool", options);
    const auto pool = document.root();
    const auto& info = read_type(pool);

    PoolDef def;
    def.type = info.type;
    const auto source = pool.child("source");
    def.source = read_pool_source(source ? source : pool, bool(source), info);
    read_name(pool, info, def);
    read_uuid(pool, def);
    read_features(pool, info, def);
    check_pool_source(source ? source : pool, bool(source), info, def);
    read_target(pool, info, def);
    read_refresh(pool, info, def);
    read_options(pool, info, def);
    // Output only: what virsh pool-dumpxml printed may be defined again.
    for (const auto* name : {"capacity", "allocation", "available"})
        pool.accept(name);
    document.finish();
    return def;
}

std::string format_pool(const PoolDef& def, const PoolSizes* sizes)
{
    const auto& info = backend_type(def.type).info;
    XmlWriter xml;
    xml.open("pool").attribute("type", def.type);
    if (!def.mount_options.empty())
        xml.attribute("xmlns:fs", mount_options_uri);
    if (!def.config_options.empty())
        xml.attribute("xmlns:rbd", config_options_uri);
    xml.text("name", def.name);
    xml.optional_text("uuid", def.uuid);
    const auto numbers = sizes ? *sizes : PoolSizes{};
    write_size(xml, "capacity", numbers.capacity);
    write_size(xml, "allocation", numbers.allocation);
    write_size(xml, "available", numbers.available);
    if (def.copy_on_write) {
        xml.open("features");
        xml.open("cow").attribute("state", *def.copy_on_write ? "yes" : "no").close();
        xml.close();
    }
    write_pool_source(xml, def.source, info);
    if (info.target_path != TargetPath::none) {
        xml.open("target");
        xml.optional_text("path", def.target.path);
        write_permissions(xml, def.target.permissions);
        xml.close(true);
    }
    if (def.refresh_allocation) {
        xml.open("refresh");
        xml.open("volume").attribute(
            "allocation",
            *def.refresh_allocation == RefreshAllocation::capacity ? "capacity" : "default");
        xml.close();
        xml.close();
    }
    write_options(xml, def);
    xml.close();
    return xml.take();
}

PoolSource parse_pool_source(std::string_view text, std::string_view pool_type,
                             const ParseOptions& options)
{
    const auto& info = backend_type(pool_type).info;
    XmlDocument document(text, "pool source", "source", options);
    const auto root = document.root();
    auto source = read_pool_source(root, true, info);
    document.finish();
    return source;
}

std::string format_pool_sources(const std::vector<PoolSource>& sources, std::string_view pool_type)
{
    const auto& info = backend_type(pool_type).info;
    XmlWriter xml;
    xml.open("sources");
    for (const auto& source : sources)
        write_pool_source(xml, source, info);
    xml.close(true);
    return xml.take();
}

} // namespace storage::inline v1
