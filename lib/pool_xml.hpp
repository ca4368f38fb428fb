// SPDX-License-Identifier: LGPL-2.1-or-later
// The source part of a pool's XML, which pools and source discovery share.
#pragma once

#include "backend.hpp"
#include "xml_reader.hpp"
#include "xml_writer.hpp"

namespace storage::inline v1 {

/** Reads what the pool type accepts. @param element  the source, or the pool when it has none */
PoolSource read_pool_source(const XmlElement& element, bool present, const BackendInfo& info);

/** Checks for what the type requires, and fills in what depends on the pool's name. */
void check_pool_source(const XmlElement& element, bool present, const BackendInfo& info,
                       PoolDef& def);

void write_pool_source(XmlWriter& xml, const PoolSource& source, const BackendInfo& info);

} // namespace storage::inline v1
