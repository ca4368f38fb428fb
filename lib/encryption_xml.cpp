// SPDX-License-Identifier: LGPL-2.1-or-later
#include "encryption_xml.hpp"

#include "names.hpp"
#include "numbers.hpp"
#include "xml_parts.hpp"

namespace storage::inline v1 {
namespace {

constexpr std::string_view formats[] = {"default", "qcow", "luks", "luks2", "luks-any"};
constexpr std::string_view engines[] = {"qemu", "librbd"};
constexpr std::string_view secret_types[] = {"passphrase"};

Encryption::Cipher read_cipher(const XmlElement& element)
{
    Encryption::Cipher cipher{.name = element.required_attribute("name"),
                              .mode = element.attribute("mode"),
                              .hash = element.attribute("hash")};
    const auto text = element.required_attribute("size");
    const auto size = to_integer<std::uint32_t>(text);
    if (!size || *size == 0)
        element.fail_attribute("size", shown(text) + " is not a number of bits");
    cipher.size = *size;
    return cipher;
}

} // namespace

std::optional<Encryption> read_encryption(const XmlElement& parent)
{
    const auto element = parent.child("encryption");
    if (!element)
        return std::nullopt;
    Encryption result;
    element.required_attribute("format");
    result.format = element.choice("format", formats);
    result.engine = element.choice("engine", engines);
    for (const auto& secret : element.children("secret")) {
        secret.required_attribute("type");
        secret.choice("type", secret_types);
        result.secrets.push_back(read_secret(secret));
    }
    if (result.format != "luks")
        return result;
    if (const auto cipher = element.child("cipher"))
        result.cipher = read_cipher(cipher);
    if (const auto ivgen = element.child("ivgen")) {
        if (!result.cipher)
            ivgen.fail("element 'ivgen' requires element 'cipher'");
        result.ivgen = Encryption::IvGen{.name = ivgen.required_attribute("name"),
                                         .hash = ivgen.attribute("hash")};
    }
    return result;
}

void write_encryption(XmlWriter& xml, const Encryption& encryption)
{
    xml.open("encryption").attribute("format", encryption.format);
    xml.optional("engine", encryption.engine);
    for (const auto& secret : encryption.secrets)
        write_secret(xml, secret, secret_types[0]);
    if (const auto& cipher = encryption.cipher) {
        xml.open("cipher").attribute("name", cipher->name).attribute("size", cipher->size);
        xml.optional("mode", cipher->mode).optional("hash", cipher->hash).close();
    }
    if (const auto& ivgen = encryption.ivgen)
        xml.open("ivgen").attribute("name", ivgen->name).optional("hash", ivgen->hash).close();
    xml.close(true);
}

} // namespace storage::inline v1
