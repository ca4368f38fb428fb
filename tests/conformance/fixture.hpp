// SPDX-License-Identifier: LGPL-2.1-or-later
// A definition of each pool type, for cases that run over all of them.
#pragma once

#include "scratch.hpp"

/** XML of a pool of that type; where the type is available, one whose source exists on this
 * machine. */
std::string example_definition(std::string_view type, const Scratch& scratch);
