// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml_parts.hpp"

#include "names.hpp"
#include "numbers.hpp"

namespace storage::inline v1 {
namespace {

std::optional<std::uint32_t> read_id(const XmlElement& element)
{
    if (!element)
        return std::nullopt;
    const auto text = element.text();
    // -1 is chown(2)'s "leave it"; so is its unsigned form.
    const auto value = to_integer<std::int64_t>(text);
    if (!value || *value < -1 || *value > UINT32_MAX)
        element.fail_value(text, "is not a numeric id from 0 to 4294967294, or -1 for none");
    if (*value == -1 || *value == UINT32_MAX)
        return std::nullopt;
    return static_cast<std::uint32_t>(*value);
}

std::string octal(std::uint32_t mode)
{
    std::string digits;
    for (; mode != 0; mode >>= 3)
        digits.insert(digits.begin(), static_cast<char>('0' + (mode & 7)));
    return digits.empty() ? "0" : digits;
}

} // namespace

Permissions read_permissions(const XmlElement& parent)
{
    Permissions result;
    const auto permissions = parent.child("permissions");
    if (const auto mode = permissions.child("mode")) {
        const auto text = mode.text();
        const auto value = to_integer<std::uint32_t>(text, 8);
        if (text.empty()) // none, as for libvirt
            mode.ignore("'' is not an octal number from 0 to 0777");
        else if (!value || *value > 0777)
            mode.fail_value(text, "is not an octal number from 0 to 0777");
        else
            result.mode = value;
    }
    result.owner = read_id(permissions.child("owner"));
    result.group = read_id(permissions.child("group"));
    if (const auto label = permissions.child("label"))
        if (auto text = label.text(); !text.empty())
            result.label = std::move(text);
    return result;
}

void write_permissions(XmlWriter& xml, const Permissions& permissions)
{
    if (permissions == Permissions{})
        return;
    xml.open("permissions");
    if (permissions.mode)
        xml.text("mode", std::string("0").append(octal(*permissions.mode)));
    if (permissions.owner)
        xml.text("owner", std::to_string(*permissions.owner));
    if (permissions.group)
        xml.text("group", std::to_string(*permissions.group));
    if (permissions.label)
        xml.text("label", *permissions.label);
    xml.close();
}

SecretReference read_secret(const XmlElement& secret)
{
    SecretReference result{.uuid = secret.attribute("uuid"), .usage = secret.attribute("usage")};
    if (result.uuid.empty() == result.usage.empty())
        secret.fail("exactly one of the attributes 'uuid' and 'usage' is required");
    if (!result.uuid.empty()) {
        const auto uuid = canonical_uuid(result.uuid);
        if (!uuid)
            secret.fail_attribute("uuid", shown(result.uuid) + " is not a uuid");
        result.uuid = *uuid;
    }
    return result;
}

void write_secret(XmlWriter& xml, const SecretReference& secret, std::string_view type)
{
    xml.open("secret").optional("type", type).optional("uuid", secret.uuid);
    xml.optional("usage", secret.usage).close();
}

std::uint64_t read_size(const XmlElement& element)
{
    const auto text = element.text();
    auto unit = element.attribute("unit");
    try {
        return parse_size(text, unit.empty() ? "bytes" : unit);
    } catch (const Error& error) {
        element.fail(error.what());
    }
}

} // namespace storage::inline v1
