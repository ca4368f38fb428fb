// SPDX-License-Identifier: LGPL-2.1-or-later
// SystemRoot: every read of /proc, /sys, /dev and /etc goes through one prefix, so that tests can
// show basin another system.
#pragma once

#include <string>
#include <string_view>

namespace storage::inline v1 {

class SystemRoot {
public:
    explicit SystemRoot(std::string prefix = {}) : prefix_(std::move(prefix)) {}
    /** Where the absolute path really is. */
    std::string path(std::string_view absolute) const { return prefix_ + std::string(absolute); }

private:
    std::string prefix_;
};

} // namespace storage::inline v1
