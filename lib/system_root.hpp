// SPDX-License-Identifier: LGPL-2.1-or-later
// SystemRoot: every read of /proc, /sys, /dev and /etc goes through a prefix, so that tests can
// bring their own.
#pragma once

#include <string>
#include <string_view>

namespace storage::inline v1 {

class SystemRoot {
public:
    SystemRoot() = default;
    explicit SystemRoot(std::string prefix);

    /** Where the absolute path is to be found. */
    std::string path(std::string_view absolute) const;

private:
    std::string prefix_{};
};

} // namespace storage::inline v1
