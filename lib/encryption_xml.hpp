// SPDX-License-Identifier: LGPL-2.1-or-later
// `<encryption>` of a volume.
#pragma once

#include "xml_reader.hpp"
#include "xml_writer.hpp"

namespace storage::inline v1 {

std::optional<Encryption> read_encryption(const XmlElement& parent);
void write_encryption(XmlWriter& xml, const Encryption& encryption);

} // namespace storage::inline v1
