// SPDX-License-Identifier: LGPL-2.1-or-later
// Log: hands lines to the application's callback, and swallows what the callback throws.
#pragma once

#include <basin/context.hpp>

#include "calling_thread.hpp"

namespace storage::inline v1 {

struct Log {
    LogCallback callback{};

    void operator()(LogLevel level, std::string_view line) const noexcept
    {
        if (!callback)
            return;
        try {
            on_calling_thread([&] { callback(level, line); });
        } catch (...) { // a logger that fails must not fail the call that logs; and nobody may
                        // listen any more
        }
    }
};

} // namespace storage::inline v1
