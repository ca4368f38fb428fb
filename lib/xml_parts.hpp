// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of XML that pools and volumes share.
#pragma once

#include "xml_reader.hpp"
#include "xml_writer.hpp"

namespace storage::inline v1 {

/** Reads `<permissions>` below a `<target>` or `<backingStore>`. */
Permissions read_permissions(const XmlElement& parent);
void write_permissions(XmlWriter& xml, const Permissions& permissions);

/** Reads the secret's uuid or usage: exactly one. Other attributes are the caller's. */
SecretReference read_secret(const XmlElement& secret);
void write_secret(XmlWriter& xml, const SecretReference& secret, std::string_view type);

/** Reads a number with a unit attribute, in bytes. */
std::uint64_t read_size(const XmlElement& element);

} // namespace storage::inline v1
