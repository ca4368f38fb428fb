// SPDX-License-Identifier: LGPL-2.1-or-later
// SIGINT and SIGTERM end the running call cleanly; a second one ends the process.
#pragma once

#include <basin/job.hpp>

namespace command {

/** While it lives, the signals cancel this job. One at a time in the process. */
class Interrupt {
public:
    explicit Interrupt(storage::Job& job);
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /** Polls readable once a signal came. */
    int fd() const;
};

} // namespace command
