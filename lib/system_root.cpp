// SPDX-License-Identifier: LGPL-2.1-or-later
#include "system_root.hpp"

namespace storage::inline v1 {

SystemRoot::SystemRoot(std::string prefix) : prefix_(std::move(prefix))
{
    while (prefix_.ends_with('/'))
        prefix_.pop_back();
}

std::string SystemRoot::path(std::string_view absolute) const
{
    return prefix_ + std::string(absolute);
}

} // namespace storage::inline v1
