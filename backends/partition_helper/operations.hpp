// SPDX-License-Identifier: GPL-3.0-or-later
// What can be asked for. Each returns the answer's members.
#pragma once

#include "protocol.hpp"

#include <nlohmann/json.hpp>

namespace partition_helper {

using Json = nlohmann::ordered_json;

/** The table, its partitions and where new ones fit; `table` is "" where there is none. */
Json read(const Request& request);
/** A new, empty table instead of whatever is there. */
Json label(const Request& request);
/** Takes the table away: zeros at both ends. */
Json clear(const Request& request);
/** One new partition, or with `plan` which one it would be. */
Json create(const Request& request);
Json remove(const Request& request);
/** Moves the end of a partition; data is not touched. */
Json resize(const Request& request);
/** Gives a partition another name, or with "" none. */
Json rename(const Request& request);
/** Tells the kernel what the table says. */
Json sync(const Request& request);

} // namespace partition_helper
