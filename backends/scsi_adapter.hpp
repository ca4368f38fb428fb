// SPDX-License-Identifier: LGPL-2.1-or-later
// SCSI host adapters as sysfs shows them.
#pragma once

#include <basin/definition.hpp>

#include "system_root.hpp"

#include <string>
#include <vector>

namespace storage::inline v1 {

/** The host adapter by its number on this host where it can be found, else as it is defined. */
std::vector<std::string> adapter_identities(const SourceAdapter& adapter, const SystemRoot& system);

} // namespace storage::inline v1
