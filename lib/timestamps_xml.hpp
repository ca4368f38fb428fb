// SPDX-License-Identifier: LGPL-2.1-or-later
// `<timestamps>` of a volume: output, which only basin reads back.
#pragma once

#include "xml_reader.hpp"
#include "xml_writer.hpp"

namespace storage::inline v1 {

std::optional<Timestamps> read_timestamps(const XmlElement& parent);
void write_timestamps(XmlWriter& xml, const Timestamps& timestamps);

} // namespace storage::inline v1
