// SPDX-License-Identifier: LGPL-2.1-or-later
// The XML of volumes.
#include "encryption_xml.hpp"
#include "names.hpp"
#include "numbers.hpp"
#include "registry.hpp"
#include "timestamps_xml.hpp"
#include "xml_parts.hpp"

#include <algorithm>
#include <bit>

namespace storage::inline v1 {
namespace {

constexpr std::string_view volume_types[] = {"file", "block", "dir", "network", "netdir", "ploop"};
constexpr std::string_view provisioning_kinds[] = {"thick", "thin", "thin-pool", "snapshot"};
constexpr std::string_view image_features[] = {"lazy_refcounts", "extended_l2", "data_file"};

/** What reading depends on. */
struct Reading {
    const BackendInfo& info;
    bool describe{};
};

std::string read_format(const XmlElement& parent, const Reading& reading)
{
    const auto& formats = reading.info.volume_formats;
    if (formats.empty())
        return {};
    const auto element = parent.child("format");
    // So libvirt described volumes of network pools before it knew that they are raw.
    if (reading.describe && element.attribute("type") == "unknown")
        return std::string(formats.front());
    const auto word = element.choice_or_empty("type", formats);
    return word.empty() ? std::string(formats.front()) : word;
}

std::string read_compat(const XmlElement& target)
{
    const auto element = target.child("compat");
    auto text = element.text();
    if (text.empty())
        return text;
    const auto dot = text.find('.');
    const auto is_number = [](std::string_view part) {
        return !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    };
    const std::string_view view = text;
    if (dot == text.npos || !is_number(view.substr(0, dot)) || !is_number(view.substr(dot + 1)))
        element.fail_value(text, "is not a version such as 0.10 or 1.1");
    return text;
}

std::vector<std::string> read_features(const XmlElement& target, bool has_data_file)
{
    std::vector<std::string> result;
    const auto features = target.child("features");
    if (!features)
        return result;
    // Libvirt's word says only that there is an external data file; <dataFile> asks for one.
    const auto known = std::span(image_features).first(has_data_file ? 3 : 2);
    for (const auto name : known)
        if (features.child(XmlName(name, {})))
            result.emplace_back(name);
    for (const auto& element : features.children())
        if (!contains(known, element.name()))
            element.fail_value(element.name(), "is not a feature that can be asked for (allowed: " +
                                                   joined(known) + ")");
    return result;
}

std::uint64_t read_cluster_size(const XmlElement& target)
{
    const auto element = target.child("clusterSize");
    return element.text().empty() ? 0 : read_size(element);
}

std::uint32_t read_refcount_bits(const XmlElement& target)
{
    const auto element = target.child("refcountBits");
    if (!element)
        return 0;
    const auto text = element.text();
    const auto bits = to_integer<std::uint32_t>(text);
    if (!bits || *bits > 64 || !std::has_single_bit(*bits))
        element.fail_value(text, "is not a width of reference counts: 1, 2, 4, 8, 16, 32 or 64");
    return *bits;
}

std::optional<DataFile> read_data_file(const XmlElement& target)
{
    const auto element = target.child("dataFile");
    if (!element)
        return std::nullopt;
    DataFile result{.path = element.required_attribute("path"),
                    .raw = element.yes_no("raw").value_or(false)};
    if (const auto found = control_character(result.path))
        element.fail_attribute("path", "contains the control character " + *found);
    return result;
}

/** The part that a volume and the images below it have in common. */
template <typename Image>
void read_image(const XmlElement& element, const Reading& reading, Image& image)
{
    image.format = read_format(element, reading);
    image.permissions = read_permissions(element);
    if (reading.describe)
        image.timestamps = read_timestamps(element);
    else
        element.accept("timestamps");
    image.encryption = read_encryption(element);
    image.compat = read_compat(element);
    image.cluster_size = read_cluster_size(element);
    image.features = read_features(element, reading.describe || bool(element.child("dataFile")));
    if (element.child("features") && image.compat.empty())
        image.compat = "1.1"; // features came with version 3 of qcow2
}

std::optional<Provisioning> read_provisioning(const XmlElement& target)
{
    const auto element = target.child("provisioning");
    if (!element)
        return std::nullopt;
    const auto word = element.choice("type", provisioning_kinds);
    if (word.empty())
        element.fail("attribute 'type' is missing");
    const auto kind = std::find(std::begin(provisioning_kinds), std::end(provisioning_kinds), word);
    Provisioning result{.kind =
                            static_cast<ProvisioningKind>(kind - std::begin(provisioning_kinds)),
                        .pool = element.attribute("pool")};
    if (const auto text = element.attribute("stripes"); !text.empty()) {
        const auto stripes = to_integer<std::uint32_t>(text);
        if (!stripes)
            element.fail_attribute("stripes", shown(text) + " is not a number of devices");
        result.stripes = *stripes;
    }
    return result;
}

void read_target(const XmlElement& volume, const Reading& reading, VolumeTarget& target)
{
    const auto element = volume.child("target");
    if (!element) {
        if (!reading.info.volume_formats.empty())
            target.format = reading.info.volume_formats.front();
        return;
    }
    // On input the pool decides about the path.
    if (reading.describe)
        target.path = element.child_text("path");
    else
        element.accept("path");
    read_image(element, reading, target);
    target.nocow = bool(element.child("nocow"));
    target.refcount_bits = read_refcount_bits(element);
    target.data_file = read_data_file(element);
    if (reading.info.provisioning)
        target.provisioning = read_provisioning(element);
}

void read_backing(const XmlElement& above, const Reading& reading, std::vector<BackingStore>& chain)
{
    const auto element = above.child("backingStore");
    auto path = element.child_text("path");
    if (path.empty()) {
        above.accept("backingStore");
        return;
    }
    if (const auto found = control_character(path))
        element.child("path").fail_value(path, "contains the control character " + *found);
    if (!reading.describe && reading.info.volume_type != VolumeType::network)
        element.child("path").check_text_strictly(path.starts_with('/'), "is not an absolute path");
    BackingStore backing{.path = std::move(path)};
    if (reading.describe) {
        read_image(element, reading, backing);
    } else { // what else a description shows of an image that exists is nothing to ask for
        backing.format = read_format(element, reading);
        backing.permissions = read_permissions(element);
        for (const auto* name : {"timestamps", "encryption", "compat", "clusterSize", "features"})
            element.accept(name);
    }
    if (!backing.format.empty())
        backing.format_declared = element.child("format").yes_no("declared").value_or(true);
    chain.push_back(std::move(backing));
    read_backing(element, reading, chain);
}

std::uint64_t read_offset(const XmlElement& extent, const char* name)
{
    const auto text = extent.required_attribute(name);
    const auto value = to_integer<std::uint64_t>(text);
    if (!value)
        extent.fail_attribute(name, shown(text) + " is not a number of bytes");
    return *value;
}

std::vector<SourceExtent> read_extents(const XmlElement& volume)
{
    std::vector<SourceExtent> result;
    for (const auto& device : volume.child("source").children("device")) {
        const auto path = device.required_attribute("path");
        for (const auto& extent : device.children("extent"))
            result.push_back({.device = path,
                              .start = read_offset(extent, "start"),
                              .end = read_offset(extent, "end")});
    }
    return result;
}

void read_output_parts(const XmlElement& volume, const Reading& reading, VolumeDef& def)
{
    constexpr const char* names[] = {"key", "physical", "source"};
    const auto type = volume.choice_or_empty("type", volume_types);
    if (!reading.describe) {
        for (const auto* name : names)
            volume.accept(name);
        return;
    }
    if (!type.empty())
        def.type = static_cast<VolumeType>(
            std::find(std::begin(volume_types), std::end(volume_types), type) - volume_types);
    def.key = volume.child_text("key");
    if (const auto physical = volume.child("physical"))
        def.physical = read_size(physical);
    def.extents = read_extents(volume);
}

void read_name(const XmlElement& volume, const Reading& reading, VolumeDef& def)
{
    if (reading.info.names_volumes && !reading.describe && volume.child_text("name").empty())
        return;
    const auto element = volume.required_child("name");
    def.name = element.text();
    if (def.name.empty())
        element.fail("a name is required");
    // Names found on a server may hold what a new name may not, such as '/'.
    if (reading.describe)
        return;
    if (const auto problem = volume_name_problem(def.name); !problem.empty())
        element.fail_value(def.name, "cannot name a volume: it " + problem);
}

void read_sizes(const XmlElement& volume, VolumePurpose purpose, VolumeDef& def)
{
    const auto capacity = volume.child("capacity");
    const bool optional = purpose == VolumePurpose::create_from ||
                          (purpose == VolumePurpose::create && !def.backing.empty());
    if (capacity && !capacity.text().empty())
        def.capacity = read_size(capacity);
    else if (!optional)
        (capacity ? capacity : volume)
            .fail(capacity ? "a size is required" : "element 'capacity' is missing");
    if (const auto allocation = volume.child("allocation");
        allocation && !allocation.text().empty())
        def.allocation = read_size(allocation);
}

void write_size(XmlWriter& xml, std::string_view name, std::string_view unit, std::uint64_t bytes)
{
    xml.open(name).attribute("unit", unit).close_with_text(std::to_string(bytes));
}

void write_provisioning(XmlWriter& xml, const Provisioning& provisioning)
{
    xml.open("provisioning").attribute("type", to_string(provisioning.kind));
    if (!provisioning.pool.empty())
        xml.attribute("pool", provisioning.pool);
    if (provisioning.stripes > 0)
        xml.attribute("stripes", provisioning.stripes);
    xml.close();
}

/** What libvirt does not have. */
void write_own_parts(XmlWriter& xml, const VolumeTarget& target)
{
    xml.optional_text("refcountBits",
                      target.refcount_bits ? std::to_string(target.refcount_bits) : "");
    if (target.data_file) {
        xml.open("dataFile").attribute("path", target.data_file->path);
        if (target.data_file->raw)
            xml.attribute("raw", "yes");
        xml.close();
    }
    if (target.provisioning)
        write_provisioning(xml, *target.provisioning);
}

template <typename Image>
void write_image(XmlWriter& xml, const Image& image, const BackendInfo& info, bool declared)
{
    xml.optional_text("path", image.path);
    if (!info.volume_formats.empty() && !image.format.empty()) {
        xml.open("format").attribute("type", image.format);
        if (!declared)
            xml.attribute("declared", "no");
        xml.close();
    }
    write_permissions(xml, image.permissions);
    if (image.timestamps)
        write_timestamps(xml, *image.timestamps);
    if (image.encryption)
        write_encryption(xml, *image.encryption);
    xml.optional_text("compat", image.compat);
    if constexpr (requires { image.nocow; })
        if (image.nocow)
            xml.open("nocow").close();
    if (image.cluster_size > 0)
        write_size(xml, "clusterSize", "B", image.cluster_size);
    for (const auto& feature : image.features)
        if (!contains(image_features, feature))
            throw Error(ErrorCode::invalid_argument,
                        "feature " + shown(feature) +
                            " is not known (allowed: " + joined(image_features) + ")");
    // libvirt prints an empty element for every qcow2 image of version 3.
    if (!image.features.empty() || image.compat == "1.1") {
        xml.open("features");
        for (const auto name : image_features)
            if (std::find(image.features.begin(), image.features.end(), name) !=
                image.features.end())
                xml.open(name).close();
        xml.close();
    }
    if constexpr (requires { image.provisioning; })
        write_own_parts(xml, image);
}

void write_extents(XmlWriter& xml, const std::vector<SourceExtent>& extents)
{
    if (extents.empty())
        return;
    xml.open("source");
    for (auto extent = extents.begin(); extent != extents.end();) {
        const auto& device = extent->device;
        xml.open("device").attribute("path", device);
        for (; extent != extents.end() && extent->device == device; ++extent)
            xml.open("extent")
                .attribute("start", extent->start)
                .attribute("end", extent->end)
                .close();
        xml.close();
    }
    xml.close();
}

} // namespace

VolumeDef parse_volume(std::string_view text, std::string_view pool_type, VolumePurpose purpose,
                       const ParseOptions& options)
{
    const Reading reading{.info = backend_type(pool_type).info,
                          .describe = purpose == VolumePurpose::describe};
    XmlDocument document(text, "volume definition", "volume", options);
    const auto volume = document.root();

    VolumeDef def;
    read_output_parts(volume, reading, def);
    read_name(volume, reading, def);
    read_backing(volume, reading, def.backing);
    read_sizes(volume, purpose, def);
    read_target(volume, reading, def.target);
    document.finish();
    return def;
}

std::string format_volume(const VolumeDef& def, std::string_view pool_type)
{
    const auto& info = backend_type(pool_type).info;
    XmlWriter xml;
    xml.open("volume");
    if (def.type)
        xml.attribute("type", volume_types[static_cast<std::size_t>(*def.type)]);
    xml.text("name", def.name);
    xml.optional_text("key", def.key);
    write_extents(xml, def.extents);
    write_size(xml, "capacity", "bytes", def.capacity);
    write_size(xml, "allocation", "bytes", def.allocation.value_or(def.capacity));
    if (def.physical > 0)
        write_size(xml, "physical", "bytes", def.physical);
    xml.open("target");
    write_image(xml, def.target, info, true);
    xml.close(true);
    for (const auto& backing : def.backing) {
        xml.open("backingStore");
        write_image(xml, backing, info, backing.format_declared);
    }
    for (std::size_t i = 0; i < def.backing.size(); ++i)
        xml.close(true);
    xml.close();
    return xml.take();
}

} // namespace storage::inline v1
