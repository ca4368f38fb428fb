// SPDX-License-Identifier: LGPL-2.1-or-later
// A definition of each pool type, for cases that run over all of them.
#pragma once

#include "scratch.hpp"

/** Whether working pools of the type are to be had in the virtual machine of tests/lab alone. */
bool needs_lab(std::string_view type);

/** XML of a pool of that type, whose source need not exist. */
std::string example_definition(std::string_view type, const Scratch& scratch);

/**
 * The same of a pool that can be used on this machine, its source made new.
 * @param source   keeps it as long as it lives
 * @param why_not  is told what is missing, where it cannot
 */
std::string working_definition(std::string_view type, const Scratch& scratch,
                               std::shared_ptr<void>& source, std::string& why_not);
