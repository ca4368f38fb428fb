// SPDX-License-Identifier: LGPL-2.1-or-later
// A definition of each pool type, for cases that run over all of them.
#pragma once

#include "scratch.hpp"

#include "loop_device.hpp"

/** XML of a pool of that type, for what only defines it: its source may be anything. */
std::string example_definition(std::string_view type, const Scratch& scratch);

/** A pool that can be built, filled and deleted on this machine. */
class Ground {
public:
    Ground(std::string_view type, const Scratch& scratch);

    /** Why there is none; "" where there is one. */
    const std::string& missing() const { return missing_; }
    const std::string& definition() const { return definition_; }

private:
    std::string missing_{};
    std::string definition_{};
    std::optional<LoopDevice> disk_{};
};
